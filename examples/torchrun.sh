#!/usr/bin/env bash
# One training on several processes of this machine: one a GPU, or as many as PROCESSES says. Options as for
# 'teachlib train', in an activated environment:
#
#     examples/torchrun.sh rae-l2 --dataset mnist --scale paper --out runs/rae-l2-mnist
#     PROCESSES=2 examples/torchrun.sh primer-pixelcnn --dataset digits --scale ci --out runs/two    # without a GPU
#
# On two machines, the same line on each, with MACHINES=2 and FIRST=NAME, one of them; --out is a folder that both see.
set -euo pipefail

processes=${PROCESSES:-$(python -c 'import torch; print(max(1, torch.cuda.device_count()))')}
machines=${MACHINES:-1}
if [ "$machines" -eq 1 ]; then
    meeting=(--standalone)
else
    meeting=(--nnodes "$machines" --rdzv-backend c10d --rdzv-id teachlib)
    meeting+=(--rdzv-endpoint "${FIRST:?the name of one of the machines, the same on all}:29500")
fi
exec python -m torch.distributed.run --nproc-per-node "$processes" "${meeting[@]}" \
    -m teachlib.cli train "$@" --devices "$processes" --nodes "$machines"
