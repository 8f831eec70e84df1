#!/bin/sh
# A training by several ranks, which an ebm that was built with MPI makes:
#   CC=mpicc go build -tags mpi ./cmd/ebm
#   EBM_JOB=$PWD/train.env sbatch --ntasks=4 deploy/slurm/train.sh
# where train.env has OUT, a folder that all nodes see, and
#   TRAIN_FLAGS="--preset cifar10 --shards 16 --checkpoint-every auto --keep-checkpoints 3"
# The number of ranks changes no bit of the weights. Submitted again, or requeued,
# it goes on from the newest checkpoint, with any number of ranks up to --shards.
#SBATCH --job-name=ebm-train
#SBATCH --ntasks=4
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
. "${EBM_JOB:?want EBM_JOB, the file that says what is trained}"

# What connects the ranks: pmix for Open MPI, pmi2 for MPICH.
srun --mpi="${MPI:-pmix}" --kill-on-bad-exit=1 ebm train --quiet --resume --out "$OUT" $TRAIN_FLAGS
status=$?
# A rank was lost: three more tries. Wrong usage (2) and an end that was asked for (130,
# 143) are none.
case $status in 0 | 2 | 130 | 143) exit $status ;; esac
if [ "${SLURM_RESTART_COUNT:-0}" -lt 3 ]; then
	scontrol requeue "$SLURM_JOB_ID"
	sleep 60 # the requeue ends this
fi
exit $status
