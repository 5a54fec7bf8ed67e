"""CFG: what the config says of the model, value by value, as the classes read it that vLLM and transformers share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ctq.engines.refusals import refused_by_loaders
from ctq.engines.skeletons.find import is_wrapper, reads_towers, tower_configs
from ctq.engines.vllm_models.own_code import brings_its_own_code
from ctq.findings import Severity
from ctq.inspect.rules.rule import Hit
from ctq.recipe.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.engines.refused import Refused
    from ctq.inspect.facts.facts import Facts

_MOST_NAMED = 3
_TOWER = re.compile(r"vis|audio|image")
"""Keys of the configs of towers."""


def refused_model_config(facts: Facts) -> Iterator[Hit]:
    """Report values of the model's config that loaders refuse.

    ## What it checks
    The type of each usual key against the config class of its model type (a boolean for `tie_word_embeddings`, an integer for
    `vocab_size`, never a text), `layer_types` holds kinds of layers that exist, `architectures` is a list of texts, `dtype` is a
    dtype of torch, `hidden_act` a function that vLLM's class of the architecture takes (some take `silu` alone), the same of the
    configs of a wrapper's towers, whose number of heads divides their width; a kind of rotary
    embedding has the settings that it needs; there is a `model_type`, it is a wrapper's where a text model's config lies
    inside, and its class has what vLLM's class of the architecture reads. With an `auto_map`, a type that loaders know is
    read by their own class, and of another what lies inside is judged. Where there is no architecture, vLLM takes the class of
    transformers' base model: a warning, and an error where the model type stands for none.

    ## Why it hurts
    transformers 5 checks types strictly while it reads the config, for itself and for vLLM; the checkpoint does not load.

    ## Example
    `"tie_word_embeddings": null`, `"vocab_size": "32000"`, `"dtype": "bf16"`.

    ## How to mend
    Restore the value of the original.

    ## References
    transformers 5.19 `configuration_utils.py`; vLLM 0.32.0 `transformers_utils/config.py`; `benchmarks/learn/config_fields.py`.
    """
    config = facts.config
    refused = [*refused_by_loaders(config), *_lost_tower(facts)] if config.raw else []
    if refused:
        keys = list(dict.fromkeys(key for key, _ in refused[:_MOST_NAMED]))
        yield Hit(
            where=f"config.json: {keys[0]}",
            message="loaders refuse the config: " + "; ".join(f"{key} {why}" for key, why in refused[:_MOST_NAMED]),
            hint=f"restore {', '.join(keys)} of the original",
        )
    elif config.diffusers_class is not None:
        yield Hit(
            where="config.json: architectures",
            message=f"no architectures: it is the {config.diffusers_class} of a diffusers pipeline, no language model",
            hint="give a model that transformers saved",
        )
    elif config.raw and config.names_no_architecture:
        taken = config.architecture or "nothing"
        yield Hit(
            where="config.json: architectures",
            message=f"no architectures: vLLM takes {taken} by the model type, other loaders may not",
            hint="restore architectures of the original",
            severity=None if config.architecture is None else Severity.WARNING,
        )


def _lost_tower(facts: Facts) -> Iterator[Refused]:
    """Yield the config of a tower that a wrapper lacks: loaders take the sizes that its class assumes."""
    config = facts.config
    architecture = config.architecture
    if brings_its_own_code(config) or not is_wrapper(architecture) or not reads_towers(architecture):
        return
    has_tower = any(entry.kind is Kind.TOWER for entry in facts.entries)
    known = tower_configs(architecture)
    inside = (entry for _, level in config.text_levels for entry in level.items())  # thinker_config holds both
    if has_tower and not any(isinstance(value, dict) and (key in known or _TOWER.search(key)) for key, value in inside):
        yield "the config of the tower", "is missing beside its tensors"
