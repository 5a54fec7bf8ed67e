#!/usr/bin/env bash
# Build a virtual environment in which SGLang's model classes can be imported on a CPU: install.sh ENV VERSION VLLM_ENV, 2.5 GB.
# Without its kernel package some of its layers import vLLM's: VLLM_ENV is an environment by ../install.sh, seen after this one.
# Only what its modules import at the top is installed: no kernels, no CUDA libraries. TORCH says which torch, a CPU build where the
# package index has one. The release's own pins hold for transformers and compressed-tensors (before 0.5.19 there is none for the latter).
set -euo pipefail

env=$1
version=$2
vllm=$3
python=${PYTHON:-python3}
test -x "$env/bin/python" || "$python" -m venv "$env"
pip() { "$env/bin/python" -m pip --disable-pip-version-check -q install --no-compile "$@"; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$env/bin/python" -m pip --disable-pip-version-check -q download --no-deps -d "$work" "sglang==$version"
pinned() { unzip -p "$work"/sglang-*.whl '*.dist-info/METADATA' | sed -n "s/^Requires-Dist: \($1==[0-9.]*\).*/\1/p" | head -1; }
tensors=$(pinned compressed-tensors)

pip "torch==${TORCH:-2.13.0}"
pip --no-deps torchvision triton "$work"/sglang-*.whl "${tensors:-compressed-tensors==0.18.0}"
pip "$(pinned transformers)" aiohttp dill einops fastapi gguf ipython llguidance loguru msgspec openai orjson partial_json_parser pillow psutil \
    pybase64 pydantic python-multipart pyzmq requests sentencepiece setproctitle tiktoken uvloop xgrammar
realpath "$vllm"/lib/python3.*/site-packages > "$(echo "$env"/lib/python3.*/site-packages)/z_vllm.pth"
"$env/bin/python" -c 'import importlib.metadata as m; print("sglang", m.version("sglang"), "torch", m.version("torch"))'
