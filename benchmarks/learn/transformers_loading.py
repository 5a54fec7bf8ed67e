"""Learn which quantized layers transformers cannot load in which architecture, from its own classes on the meta device.

    python -m benchmarks.learn.transformers_loading

Two things stop a load, whatever the files hold. A class that keeps the experts of a layer in one tensor has converters that take
apart packed and FP8 experts only (`merged`), or none that know single experts (`whole`). And a class whose initialisation reads
`weight` of a layer finds none in a packed one. Heads that are not called `lm_head` are listed too. Every class with a head is built
with its default configuration made small. The result, `ctq/engines/data/transformers_loading.json`, is what inspection and
`ctq quantize` say of transformers. Nothing is downloaded.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from families import FAMILIES, plain
from shrink import shrunk

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.options import script

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import torch
    from transformers import PreTrainedModel

DATA: Final = ENGINE_DATA / "transformers_loading.json"
SINGLE: Final = re.compile(r"experts\\?\.(\*|\.\*|\\d)")
"""A pattern of a converter that names single experts."""
ENDINGS: Final = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


def architectures() -> Iterator[str]:
    """Yield the names of all classes with a head."""
    import transformers

    named = {family.architecture for family in FAMILIES.values()}
    yield from (name for name in sorted(dir(transformers)) if name.endswith(ENDINGS) or name in named)


def built(architecture: str) -> PreTrainedModel:
    """Build a class on the meta device, small where its configuration lets it."""
    import torch
    import transformers

    kind = getattr(transformers, architecture)
    family = next((item for item in FAMILIES.values() if item.architecture == architecture and not item.shrunk), None)
    known = [plain(family.config) | {"vocab_size": family.vocab}] if family else []
    for settings in (*known, shrunk(kind.config_class()), {}):
        try:
            with torch.device("meta"):
                model: PreTrainedModel = kind(kind.config_class(**settings))
                return model
        except Exception as error:  # noqa: BLE001  # numbers that do not fit each other
            reason = f"{type(error).__name__}: {str(error)[:100]}"
    raise ValueError(reason)


def experts_of(model: PreTrainedModel) -> str:
    """Return what becomes of experts that lie one by one in the files: "merged", "whole", or "" where each is a module."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter
    from transformers.quantizers.base import MODULES_TO_PATCH_FOR_QUANTIZATION as PATCHED

    if not any(value.ndim == 3 and "experts" in name for name, value in model.named_parameters()):  # all in one tensor
        return ""
    if any(type(module).__name__ in PATCHED for module in model.modules()):
        return ""
    converters = [item for item in get_model_conversion_mapping(model) if isinstance(item, WeightConverter)]
    return "merged" if any(SINGLE.search(source) for item in converters for source in item.source_patterns) else "whole"


def head_of(model: PreTrainedModel) -> str:
    """Return the name of the head where it is not `lm_head` under some prefix."""
    head = model.get_output_embeddings()
    name = next((name for name, module in model.named_modules() if module is head), "")
    return "" if name.rpartition(".")[2] == "lm_head" else name


def read_at_start(model: PreTrainedModel) -> list[str]:
    """Return the names, numbers apart, of linear layers whose missing `weight` stops what every load initialises."""
    import torch

    linears = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    if not linears or _initialises_without(model, linears):
        return []
    alike: dict[str, dict[str, torch.nn.Module]] = defaultdict(dict)
    for name, module in linears.items():
        alike[re.sub(r"\b\d+\b", "#", name)][name] = module
    return [template for template, some in sorted(alike.items()) if not _initialises_without(model, some)]


def _initialises_without(model: PreTrainedModel, linears: Mapping[str, torch.nn.Module]) -> bool:
    taken = {name: module._parameters.pop("weight") for name, module in linears.items()}
    for module in model.modules():
        module._is_hf_initialized = False
    try:
        model.initialize_weights()
    except AttributeError as error:
        return "has no attribute 'weight'" not in str(error)
    finally:
        for name, weight in taken.items():
            linears[name]._parameters["weight"] = weight
    return True


def main() -> None:
    """Learn it of every class and store it."""
    script(__doc__).parse_args()
    import transformers

    experts: dict[str, str] = {}
    heads: dict[str, str] = {}
    read: dict[str, list[str]] = {}
    for architecture in architectures():
        try:
            model = built(architecture)
            kind, head, last = experts_of(model), head_of(model), read_at_start(model)
        except Exception as error:  # noqa: BLE001  # what cannot be built small is not known
            print(f"{architecture}: {type(error).__name__}: {str(error)[:120]}", flush=True)
            continue
        heads |= {architecture: head} if head else {}
        experts |= {architecture: kind} if kind else {}
        read |= {architecture: last} if last else {}
    data = {"version": transformers.__version__, "heads": heads, "experts": experts, "read_at_start": read}
    DATA.write_text(json.dumps(data, indent=1) + "\n")
    print(f"{len(experts)} keep experts in one tensor, {len(read)} read weights: {', '.join(read)}")


if __name__ == "__main__":
    main()
