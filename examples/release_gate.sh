#!/usr/bin/env bash
# A release gate: quantize a model with its head, and ship only what inspection and verification let through.
#
#   examples/release_gate.sh MODEL OUT [REPORTS]
#
# The reports (JSON) stay in REPORTS, by default OUT-reports. The exit code is that of the step that stopped the release:
# 1 checked and not good, 2 usage, 3 could not do it or could not decide. 0: OUT may be shipped.
set -euo pipefail

if [ $# -lt 2 ]; then
  echo "usage: release_gate.sh MODEL OUT [REPORTS]" >&2
  exit 2
fi
model=$1
out=$2
reports=${3:-$out-reports}
mkdir -p "$reports"

# What a report says against the checkpoint: the engines that refuse it, then the errors among the findings.
objections() {
  python3 - "$1" <<'PYTHON'
import json, sys

report = json.load(open(sys.argv[1]))
for engine in report.get("engines", []):
    if engine.get("status", "pass") != "pass":
        print(f"  {engine['engine']}: {engine['error']}")
for finding in report.get("findings", []):
    if finding["severity"] == "error":
        print(f"  {finding['code']} {finding['where']}: {finding['message']}")
PYTHON
}

# Run one step of ctq with --json; stop the release with its exit code when it is not satisfied.
gate() {
  local report=$reports/$1.json code=0
  ctq "$@" --json > "$report" || code=$?
  if [ "$code" -ne 0 ]; then
    echo "release stopped by 'ctq $1' (exit code $code)" >&2
    [ -s "$report" ] && objections "$report" >&2
    exit "$code"
  fi
  echo "passed: ctq $1"
}

gate quantize "$model" --include-lm-head -o "$out"
gate inspect "$out" --expect-lm-head quantized
gate verify "$out" --expect-lm-head quantized --reference "$model"

python3 - "$reports/verify.json" <<'PYTHON'
import json, sys

report = json.load(open(sys.argv[1]))
for engine in report["engines"]:
    print(f"{engine['engine']} {engine['version']}: {report['lm_head']['name']} runs as {engine['scheme']} ({engine['kernel']})")
weights = report["numeric"]["weights"]
print(f"{weights['modules']} weights against the original: lowest SQNR {weights['sqnr_db']['minimum']:.1f} dB")
PYTHON
echo "may be shipped: $out"
