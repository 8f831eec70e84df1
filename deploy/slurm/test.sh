#!/bin/bash
# Runs the scripts of this folder in a Slurm of its own on this machine: munged,
# slurmctld and three slurmd on the loopback device, in a temporary folder. Of an
# array of four, one task is killed with -9 and requeued, and one node drained in
# the middle; of a training by several ranks, one is killed, and it goes on. What comes
# out has the bytes of one process.
# Usage, as root: test.sh EBM EBM-OPENMPI, programs whose paths all nodes see.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
ebm=$(realpath "$1")
ranked=$(realpath "$2")
dir=$(mktemp -d /tmp/ebm-slurm.XXXXXX)
host=$(hostname)
pids=()
finish() {
	status=$?
	[ $status = 0 ] || { squeue -a 2>/dev/null || true; tail -n 5 "$dir"/*.log "$dir"/jobs/*.log 2>/dev/null || true; }
	scancel --user=root 2>/dev/null || true
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
	sleep 1
	for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
	rm -rf "$dir"
	exit $status
}
trap finish EXIT
# until SECONDS COMMAND: waits until it succeeds.
until_() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || { echo "test.sh: gave up waiting for: $*" >&2; return 1; }
		sleep 0.2
	done
}

mkdir -p "$dir"/{state,spool,jobs,bin,ranked}
ln -s "$ebm" "$dir/bin/ebm"
ln -s "$ranked" "$dir/ranked/ebm"
head -c 1024 /dev/urandom >"$dir/munge.key"
chmod 400 "$dir/munge.key"
chmod 755 "$dir"
chown -R root: "$dir"
munged --foreground --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" --pid-file="$dir/munge.pid" --log-file="$dir/munge.log" \
	--seed-file="$dir/munge.seed" >"$dir/munged.log" 2>&1 &
pids+=($!)
port=$((20000 + RANDOM % 20000))
cat >"$dir/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
AuthType=auth/munge
AuthInfo=socket=$dir/munge.socket,cred_expire=5
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/%n.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
MpiDefault=none
KillWait=5
SchedulerParameters=sched_interval=2,bf_interval=2
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=2
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=2
NodeName=n3 NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + 3)) CPUs=2
PartitionName=all Nodes=n1,n2,n3 Default=YES State=UP MaxTime=INFINITE
CONF
export SLURM_CONF=$dir/slurm.conf PATH=$dir/bin:$PATH
until_ 10 test -S "$dir/munge.socket"
slurmctld -D >"$dir/ctld.out" 2>&1 &
pids+=($!)
until_ 20 scontrol ping
for n in n1 n2 n3; do
	slurmd -D -N $n >"$dir/$n.out" 2>&1 &
	pids+=($!)
done
until_ 30 sh -c 'test "$(sinfo -h -t idle -o %D)" = 3'
echo "slurm $(sinfo -V), three nodes"

cd "$dir/jobs"
cat >job.env <<ENV
RUN=mnist16
COUNT=${COUNT:-128}
SEED=3
PARTS=4
OUT=$dir/jobs/samples
REFERENCE=mnist:test
SAMPLE_FLAGS="--steps ${STEPS:-60} --threads 1"
EVALUATE_FLAGS="--features classifier --limit 100 --threads 1"
ENV
"$here/submit.sh" job.env --cpus-per-task=1 --time=20 | tee jobs
sample=$(sed 's/sample \([0-9]*\),.*/\1/' jobs)
evaluate=$(sed 's/.*evaluate //' jobs)
shards() { ls samples/shards/*.npy 2>/dev/null | wc -l; }
# task VARIABLE=VALUE PROGRAM: the process that runs it with that in its environment.
task() {
	{ grep -lzx "$1" /proc/[0-9]*/environ 2>/dev/null || true; } | cut -d/ -f3 | while read -r p; do
		[ "$(readlink "/proc/$p/exe")" != "$2" ] || { echo "$p"; break; }
	done
}
# The second task is killed where it is, and a node drained.
alive() { [ -n "$(task SLURM_ARRAY_TASK_ID=2 "$ebm")" ] && [ -f samples/samples.json ]; }
until_ 120 alive
victim=$(task SLURM_ARRAY_TASK_ID=2 "$ebm")
kill -9 "$victim"
echo "killed task 2, process $victim, with $(shards) shards in the folder"
scontrol update NodeName=n2 State=DRAIN Reason=test
echo "drained n2: $(sinfo -h -n n2 -o %T)"
ebm watch samples --once
until_ 240 sh -c "test -s samples/evaluation.json || squeue -h -j $evaluate -o %r | grep -q Never"
test -s samples/evaluation.json || { echo "test.sh: the chain did not end" >&2; exit 1; }
restarts=$(scontrol show job "${sample}_2" | sed -n 's/.*Restarts=\([0-9]*\).*/\1/p')
[ "$restarts" = 1 ] || { echo "test.sh: task 2 was requeued $restarts times, want 1" >&2; exit 1; }

ebm watch samples --once | grep -P 'sample\t4\t4\t0\t0' # finished, of, running, stopped

env -u SLURM_CONF ebm sample --quiet --run mnist16 --count "${COUNT:-128}" --seed 3 --steps "${STEPS:-60}" --out alone
cp alone/samples.npz one.npz
env -u SLURM_CONF ebm evaluate --quiet --samples alone --reference mnist:test --features classifier --limit 100 --json >alone/evaluation.json
for f in samples.npz samples.json trace.json snapshots.npz grid.png; do cmp "samples/$f" "alone/$f"; done
diff <(sed "s|$dir/jobs/samples|X|" samples/evaluation.json) <(sed 's|\balone\b|X|' alone/evaluation.json)
sha256sum samples/samples.npz alone/samples.npz
echo "slurm: an array of 4, one task killed and requeued, one node drained: the bytes of one process"

# A training of two ranks, one of which is killed when there are checkpoints: Slurm runs
# the job again, and it goes on from the newest.
scontrol update NodeName=n2 State=RESUME
flags="--preset mnist --net res6 --dim 8 --batch 16 --shards 4 --steps ${UPDATES:-120} --checkpoint-every 10 --threads 1"
cat >train.env <<ENV
OUT=$dir/jobs/run
TRAIN_FLAGS="$flags"
ENV
train=$(EBM_JOB=$PWD/train.env PATH=$dir/ranked:$PATH sbatch --parsable --nodes=1 --ntasks=2 "$here/train.sh")
until_ 120 sh -c 'ls run/checkpoints/step-*20'
victim=$(task SLURM_PROCID=1 "$ranked")
kill -9 "$victim"
echo "killed rank 1 of 2, process $victim, after $(ls run/checkpoints | tail -n 1)"
state() { scontrol show job "$train" | sed -n "s/.*$1=\([^ ]*\).*/\1/p"; }
ended() { [ "$(state JobState)" = COMPLETED ] || [ "$(state JobState)" = FAILED ]; }
until_ 240 ended
[ "$(state JobState) $(state Restarts)" = "COMPLETED 1" ] || { echo "test.sh: the training is $(state JobState) after $(state Restarts) restarts" >&2; exit 1; }
env -u SLURM_CONF ebm train --quiet $flags --out one >/dev/null
for f in model.safetensors state.safetensors; do cmp "$(ls -d run/checkpoints/step-* | tail -n 1)/$f" "$(ls -d one/checkpoints/step-* | tail -n 1)/$f"; done
sha256sum {run,one}/checkpoints/step-*"${UPDATES:-120}"/model.safetensors
echo "slurm: a training of 2 ranks, one killed, the job requeued: the bytes of one process"
