#!/usr/bin/env bash
#SBATCH --job-name=teachlib
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
# One training in the queue of a cluster, a process a GPU; --nodes=2 above, or after sbatch, takes two machines. From the
# project's folder, which all machines see, with options as for 'teachlib train':
#
#     sbatch examples/slurm.sh rae-l2 --dataset mnist --scale paper --out runs/rae-l2-mnist
#
# Queued again after its time, it goes on from the last checkpoint; a finished run is left as it is.
set -euo pipefail

cd "${SLURM_SUBMIT_DIR:?start this by sbatch}"
if [ -f .venv/bin/activate ]; then
    # shellcheck source=/dev/null
    source .venv/bin/activate
fi
export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1} # srun does not take it from sbatch
srun --kill-on-bad-exit=1 python -m teachlib.cli train "$@" \
    --devices "$SLURM_NTASKS_PER_NODE" --nodes "$SLURM_JOB_NUM_NODES" --resume
