#!/usr/bin/env bash
# From nothing to a verified INT8 checkpoint with its head quantized: build a small real model, quantize, inspect, verify.
set -euo pipefail

work=${1:-demo}
model=$work/tiny-llama
out=$work/tiny-llama-W8A8-lm_head

mkdir -p "$work"
[ -f "$model/config.json" ] || python "$(dirname "$0")/demo_checkpoint.py" "$model"

echo; echo "\$ ctq quantize $model --include-lm-head -o $out --force"
ctq quantize "$model" --include-lm-head -o "$out" --force

echo; echo "\$ ctq inspect $out --expect-lm-head quantized"
ctq inspect "$out" --expect-lm-head quantized

echo; echo "\$ ctq verify $out --reference $model --engine builtin"
ctq verify "$out" --reference "$model" --engine builtin
