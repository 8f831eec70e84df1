#!/bin/sh
# Joins the parts, once all are there.
#SBATCH --job-name=ebm-merge
#SBATCH --output=%x-%j.log
. "$EBM_JOB"

exec ebm merge "$OUT"
