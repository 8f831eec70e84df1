#!/bin/sh
# Compares the samples with the reference. The numbers go to OUT/evaluation.json,
# and what they took to OUT/times.json.
#SBATCH --job-name=ebm-evaluate
#SBATCH --output=%x-%j.log
. "$EBM_JOB"

ebm evaluate --quiet --threads "${SLURM_CPUS_PER_TASK:-0}" --samples "$OUT" --reference "$REFERENCE" $EVALUATE_FLAGS \
	--times "$OUT/times.json" --json >"$OUT/.evaluation.json" &&
	mv "$OUT/.evaluation.json" "$OUT/evaluation.json"
