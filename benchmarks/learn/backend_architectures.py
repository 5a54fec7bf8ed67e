"""Store the architectures without a class in vLLM that it was seen to load all the same, through its Transformers backend.

    python -m benchmarks.learn.backend_architectures --vllm-python ENV/bin/python

They are those of the stored sweep (`python -m benchmarks.conformance architectures`) whose dense checkpoints the real vLLM 0.32.0
loaded; beside them stand those that its registry sends to the backend by name, and those that it refuses whatever their config
says. The result is `ctq/engines/data/backend_architectures.json`.
"""

from __future__ import annotations

import json
import re
from typing import Final

from benchmarks import RESULTS
from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.known_names import installed
from benchmarks.learn.options import script
from ctq.engines.vllm.learnt_with import LEARNT_WITH
from ctq.engines.vllm_models.heads import registered_support

SWEEP: Final = RESULTS / "architectures.json"
DATA: Final = ENGINE_DATA / "backend_architectures.json"
REFUSED: Final = re.compile(
    r"not supported for now|not supported anymore|does not dispatch through the Transformers attention"
    r"|not found in the forward method|dispatches attention from more than one|Unrecognized configuration class"
    r"|Config' object has no attribute 'num_hidden_layers'"
)
"""What vLLM says of an architecture for which it has no class and that its backend cannot build."""


def main() -> None:
    registry = installed(script(__doc__, "vllm_python").parse_args().vllm_python, "model_executor/models/registry.py")
    rows = json.loads(SWEEP.read_text())
    loaded = {row["architecture"] for row in rows if row["dense"] in ("dense", "quantized")}
    about = (
        "What vLLM 0.32.0 loads through its Transformers backend: made by benchmarks/learn/backend_architectures.py."
    )
    found = {
        "about": about,
        "architectures": sorted(name for name in loaded if not registered_support(name, LEARNT_WITH)),
        "refused": sorted({row["architecture"] for row in rows if REFUSED.search(row["dense"])}),
        "registered": sorted(set(re.findall(r'"(\w+)":\s*\(\s*"transformers",', registry))),
    }
    DATA.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
