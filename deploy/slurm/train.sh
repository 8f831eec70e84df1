#!/bin/sh
# A training by several ranks, which an ebm that was built with MPI makes:
#   CC=mpicc go build -tags mpi ./cmd/ebm
# The number of ranks changes no bit of the weights. Submitted again, or requeued,
# it goes on from the newest checkpoint, with any number of ranks up to --shards.
#SBATCH --job-name=ebm-train
#SBATCH --ntasks=4
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
. "$EBM_JOB"

# What connects the ranks: pmix for Open MPI, pmi2 for MPICH.
exec srun --mpi="${MPI:-pmix}" --kill-on-bad-exit=1 ebm train --quiet --resume --out "$OUT" $TRAIN_FLAGS
