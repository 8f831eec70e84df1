#!/bin/bash
# Trains with Open MPI and with MPICH on 1, 2 and 4 ranks of this machine: weights and
# optimiser state are those of the build without MPI, and so is what fit makes of a model. A rank is killed with -9: the
# job ends within seconds with a status that is not 0, and its folder goes on from the
# last checkpoint on another number of ranks, to the same bytes.
# Usage: test.sh FOLDER with the programs ebm, ebm-openmpi and ebm-mpich.
set -euo pipefail
bin=$(realpath "$1")
model=$(dirname "$(realpath "$0")")/../../mdsm/train/testdata/fit.onnx
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
flags=(train --quiet --preset mnist --net res6 --dim 8 --batch 16 --shards 4 --steps "${STEPS:-12}" --checkpoint-every 3)
run() { # MPI RANKS FLAGS…
	local mpi=$1 ranks=$2 more=()
	shift 2
	[ "$mpi" = openmpi ] && more=(--oversubscribe)
	exec "mpirun.$mpi" "${more[@]}" -n "$ranks" "$bin/ebm-$mpi" "$@"
}
hashes() { (cd "$1/checkpoints" && sha256sum */*.safetensors | tail -n 2); }

"$bin/ebm" "${flags[@]}" --out alone >/dev/null
hashes alone | tee alone.sum
awk 'BEGIN { print "a;b;c;d;inside"; for (i = 0; i < 200; i++) {
	a = rand() * 2 - 1; b = rand() * 2 - 1; print a ";" b ";" rand() ";" rand() ";" (a * a + b * b < 0.6) } }' >points.csv
fit=(fit "$model" --quiet --data points.csv --mode inference --shards 4 --steps 30 --validate-every 10)
"$bin/ebm" "${fit[@]}" --out fitted >/dev/null
for mpi in openmpi mpich; do
	(run $mpi 3 "${fit[@]}" --out $mpi-fitted) >/dev/null
	for f in model.onnx best.onnx best.json; do cmp fitted/$f $mpi-fitted/$f; done
	echo "$mpi: fit by 3 ranks: the same bytes"
	for ranks in 1 2 4; do
		(run $mpi $ranks "${flags[@]}" --out $mpi-$ranks) >/dev/null
		diff alone.sum <(hashes $mpi-$ranks)
		echo "$mpi: $ranks ranks: the same bytes"
	done
	if (run $mpi 5 "${flags[@]}" --out refused) >refused.log 2>&1; then echo "5 ranks for 4 shards were not refused" >&2; exit 1; fi
	grep -q "5 ranks, want 4 at most" refused.log

	(run $mpi 3 "${flags[@]}" --steps 100000 --out $mpi-killed) >killed.log 2>&1 &
	job=$!
	end=$((SECONDS + 90))
	until ls $mpi-killed/checkpoints/step-* >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || { cat killed.log >&2; exit 1; }
		sleep 0.1
	done
	victim=$(for p in /proc/[0-9]*; do
		[ "$(readlink "$p/exe" 2>/dev/null)" = "$bin/ebm-$mpi" ] || continue
		if tr '\0' '\n' 2>/dev/null <"$p/environ" | grep -qxE '(OMPI_COMM_WORLD|PMI)_RANK=1'; then echo "${p#/proc/}"; fi
	done | head -n 1)
	begin=$SECONDS
	kill -9 "$victim"
	status=0
	wait $job || status=$?
	took=$((SECONDS - begin))
	[ $status != 0 ] && [ $took -le 15 ] || { echo "rank 1 was killed: status $status after $took s, want another than 0 within seconds" >&2; exit 1; }
	echo "$mpi: rank 1 of 3 was killed: status $status after $took s, checkpoints $(ls $mpi-killed/checkpoints | tr '\n' ' ')"

	# Stopped after some steps on 4 ranks, it goes on on 2, then on one without MPI. The
	# learning rate falls over all steps, so the run is stopped rather than shortened.
	(run $mpi 4 "${flags[@]}" --out $mpi-resumed) >/dev/null
	ls -d $mpi-resumed/checkpoints/step-* | sort | tail -n +2 | xargs rm -r
	(run $mpi 2 train --quiet --resume --out $mpi-resumed) >/dev/null
	diff alone.sum <(hashes $mpi-resumed)
	ls -d $mpi-resumed/checkpoints/step-* | sort | tail -n +3 | xargs rm -r
	"$bin/ebm" train --quiet --resume --out $mpi-resumed >/dev/null
	diff alone.sum <(hashes $mpi-resumed)
	echo "$mpi: begun on 4 ranks, resumed on 2, and on one without MPI: the same bytes"
done
echo "mpi: all passed"
