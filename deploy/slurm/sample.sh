#!/bin/sh
# A part of the samples: each task of the array draws its own, which ebm takes
# from SLURM_ARRAY_TASK_ID. A task that was stopped, or killed and requeued, goes
# on from where its chains were.
#SBATCH --job-name=ebm-sample
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%A_%a.log
. "$EBM_JOB"

ebm sample --quiet --threads "${SLURM_CPUS_PER_TASK:-0}" --run "$RUN" --count "$COUNT" --seed "$SEED" --out "$OUT" $SAMPLE_FLAGS
status=$?
# Killed with -9, as by the kernel when memory is short: three more tries.
if [ $status -eq 137 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 3 ]; then
	scontrol requeue "$SLURM_JOB_ID"
	sleep 60 # the requeue ends this
fi
exit $status
