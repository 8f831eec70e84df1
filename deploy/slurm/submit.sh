#!/bin/sh
# Submits sample, merge and evaluate as a chain: submit.sh FILE.env [flags of sbatch …].
# Each begins when the one before has succeeded. It prints the numbers of the jobs.
set -eu
[ $# -ge 1 ] || { echo "submit.sh: want FILE.env, see job.env" >&2; exit 2; }
EBM_JOB=$(realpath "$1")
export EBM_JOB
shift
. "$EBM_JOB"
here=$(dirname "$(realpath "$0")")
sample=$(sbatch --parsable --array=1-"$PARTS" "$@" "$here/sample.sh")
merge=$(sbatch --parsable --dependency=afterok:"$sample" "$@" "$here/merge.sh")
evaluate=$(sbatch --parsable --dependency=afterok:"$merge" "$@" "$here/evaluate.sh")
echo "sample $sample, merge $merge, evaluate $evaluate"
