#!/bin/sh
# Make a virtual environment of its own for the peers that ctq is compared with: llm-compressor and auto-round.
# Usage: benchmarks/peers/install.sh DIR      (then: DIR/bin/python -m benchmarks.peers.llm_compressor_outputs ...)
set -eu
venv=${1:?usage: install.sh DIR}
here=$(dirname "$0")
python3 -m venv "$venv"
"$venv/bin/pip" install -q -r "$here/requirements.txt"
"$venv/bin/pip" list 2>/dev/null | grep -iE '^(torch|llmcompressor|compressed-tensors|transformers|auto-round) '
