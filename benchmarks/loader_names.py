"""Store under which other names vLLM's model classes load tensors: the prefixes and parts of names that their mappers rewrite.

    python benchmarks/loader_names.py --vllm-python ENV/bin/python

Two names that a class maps to one are one tensor to it. The result, `ctq/engines/data/loader_names.json`, has the architectures
that `ctq/engines/data/skeletons.json` describes. No model is built.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import Final

DATA: Final = Path(__file__).parents[1] / "ctq" / "engines" / "data"
WORKER: Final = Path(__file__).parents[1] / "ctq" / "verify" / "vllm" / "worker" / "__main__.py"
ASK: Final = """
import json, os, runpy, sys
runpy.run_path(sys.argv[1])["load_package"]()
from ctq_vllm_worker.jobs import start_engine
start_engine()
from vllm.model_executor.models.registry import ModelRegistry
found = {}
for name in json.load(sys.stdin):
    try:
        mapper = getattr(ModelRegistry.models[name].load_model_cls(), "hf_to_vllm_mapper", None)
    except Exception:
        continue
    pairs = [] if mapper is None else (mapper.orig_to_new_substr, mapper.orig_to_new_prefix)
    kept = [{old: new for old, new in part.items() if new is not None and old != new} for part in pairs]
    if any(kept):
        found[name] = kept
print("found " + json.dumps(found), flush=True)
os._exit(0)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm-python", type=Path, required=True)
    known = json.loads((DATA / "skeletons.json").read_text())["architectures"]
    command = [str(parser.parse_args().vllm_python.absolute()), "-c", ASK, str(WORKER)]
    done = subprocess.run(command, input=json.dumps(sorted(known)), capture_output=True, text=True, check=True)
    [line] = [line for line in done.stdout.splitlines() if line.startswith("found ")]
    rows = [
        f"  {json.dumps(name)}: {json.dumps({'parts': parts, 'prefixes': prefixes})}"
        for name, (parts, prefixes) in sorted(json.loads(line.removeprefix("found ")).items())
    ]
    about = "Names that vLLM 0.32.0 rewrites while it loads: made by benchmarks/loader_names.py."
    table = ",\n".join(rows)
    text = f'{{\n "about": {json.dumps(about)},\n "architectures": {{\n{table}\n }}\n}}\n'
    (DATA / "loader_names.json").write_text(text)


if __name__ == "__main__":
    main()
