#!/usr/bin/env bash
# Run the chain on the nodes of a Slurm job. Copy it, and change what follows for your cluster.
#
#   python run_all.py --profile paper --fetch        once, where there is a network
#   sbatch docs/slurm.sh --profile paper             then; all options go to run_all.py
#
#SBATCH --job-name=all-tickets
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
# Two minutes before the time is up, this script gets SIGTERM. The same command then continues.
#SBATCH --signal=B:TERM@120
# With cards, ask for one task a card: --ntasks-per-node=4 --gpus-per-task=1, and WORKERS=1.
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:?this is a job script: sbatch docs/slurm.sh}"

dask=(.venv/bin/python -m dask)
workers=${WORKERS:-$((SLURM_CPUS_PER_TASK > 4 ? SLURM_CPUS_PER_TASK / 4 : 1))} # of each task
file=$PWD/.dask-$SLURM_JOB_ID.json # the workers find the scheduler by it
export HF_HUB_OFFLINE=1 # nodes often have no network

trap 'kill $(jobs -p) 2>/dev/null; wait; rm -f "$file"' EXIT

"${dask[@]}" scheduler --scheduler-file "$file" --port 0 --no-dashboard &
until [ -s "$file" ]; do sleep 1; done
srun "${dask[@]}" worker --scheduler-file "$file" --nworkers "$workers" --nthreads 1 --no-dashboard &
address=$(
  .venv/bin/python - "$file" $((SLURM_NTASKS * workers)) <<'PYTHON'
import sys
from distributed import Client

with Client(scheduler_file=sys.argv[1]) as client:
    client.wait_for_workers(int(sys.argv[2]), timeout=600)
    print(client.scheduler.address)
PYTHON
)
.venv/bin/python run_all.py --scheduler "$address" "$@" &
run=$!
trap 'kill -TERM "$run"' TERM # it ends like after Ctrl-C, and then this script does
while kill -0 "$run" 2>/dev/null; do # a signal ends the wait before run_all has ended
  wait "$run" && status=0 || status=$?
done
exit "${status:-1}"
