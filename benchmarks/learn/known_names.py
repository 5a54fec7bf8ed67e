"""Store the names that loaders know: model types, architectures, activations and quantization methods of transformers and vLLM.

    python -m benchmarks.learn.known_names --vllm-python ENV/bin/python

The result is `ctq/engines/data/known_names.json`. Nothing is downloaded, and no engine is started: vLLM's sources are read.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from transformers.activations import ACT2FN
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING
from transformers.utils.quantization_config import QuantizationMethod

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.options import script

if TYPE_CHECKING:
    from pathlib import Path

KNOWN_NAMES: Final = ENGINE_DATA / "known_names.json"


def main() -> None:
    write(script(__doc__, "vllm_python").parse_args().vllm_python)


def write(python: Path) -> None:
    """Store the model types, architectures, activations and quantization methods that transformers and the installed vLLM know."""
    registry = installed(python, "transformers_utils/config.py").partition("_CONFIG_REGISTRY")[2].partition("\n)")[0]
    types = {*CONFIG_MAPPING_NAMES, *re.findall(r'^\s+"?([\w.-]+)"?\s*[=:]', registry, re.MULTILINE)}
    models = installed(python, "model_executor/models/registry.py")
    architectures = set(re.findall(r'^\s+"(\w+)": [(\[]', models, re.MULTILINE))
    for name, mapping in vars(modeling_auto).items():
        if name.endswith("_MAPPING_NAMES"):
            for classes in mapping.values():
                architectures.update([classes] if isinstance(classes, str) else classes)
    layers = installed(python, "model_executor/layers/activation.py")
    functions = {name.lower() for name in {*ACT2FN, *re.findall(r'^\s+"(\w+)": lambda', layers, re.MULTILINE)}}
    listed = (
        installed(python, "model_executor/layers/quantization/__init__.py").partition("Literal[")[2].partition("]")[0]
    )
    methods = {
        *AUTO_QUANTIZATION_CONFIG_MAPPING,
        *(method.value for method in QuantizationMethod),
        *re.findall(r'"([\w-]+)"', listed),
    }
    about = "What transformers and vLLM know: made by benchmarks/learn/known_names.py."
    lists = {
        "model_types": sorted(types),
        "architectures": sorted(architectures),
        "activations": sorted(functions),
        "quant_methods": sorted(methods),
        "registered": sorted(registered_classes(models)),
    }
    blocks = ",\n".join(f' "{key}": [\n{_rows(names)}\n ]' for key, names in lists.items())
    chosen = json.dumps(chosen_classes(models))
    KNOWN_NAMES.write_text(f'{{\n "about": {json.dumps(about)},\n{blocks},\n "chosen": {chosen}\n}}\n')


def chosen_classes(registry: str) -> dict[str, str]:
    """Return the architecture that vLLM takes by the model type alone: transformers' base model, as vLLM registers it."""
    classes = dict(re.findall(r'"(\w+)":\s*\(\s*"[\w.]+",\s*"(\w+)"', registry))
    bases = {kind: names if isinstance(names, str) else names[0] for kind, names in MODEL_MAPPING_NAMES.items()}
    return {kind: name if classes.get(name) not in classes else classes[name] for kind, name in sorted(bases.items())}


def registered_classes(registry: str) -> dict[str, tuple[str, str]]:
    """Return module and name of the class that vLLM registers for each architecture, but for its Transformers backend."""
    found = re.findall(r'"(\w+)":\s*\(\s*"([\w.]+)",\s*"(\w+)"', registry)
    return {name: (module, kind) for name, module, kind in found if module != "transformers"}


def installed(python: Path, file: str) -> str:
    """Return the source of a file of the installed vLLM."""
    [source] = python.parents[1].glob(f"lib/python3*/site-packages/vllm/{file}")
    return source.read_text()


def _rows(names: list[str]) -> str:
    return ",\n".join(f"  {json.dumps(name)}" for name in names)


if __name__ == "__main__":
    main()
