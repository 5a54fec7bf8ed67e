"""Tiny real checkpoints of many families, saved by transformers itself.

``build`` is deterministic: the same arguments give the same bytes. Nothing is downloaded.
"""

from __future__ import annotations

import copy
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from dense_builder import INDEX, write_index
from family import Family
from family_default import DEFAULT_FAMILIES, UNSERVED_FAMILIES
from family_dense import DENSE_FAMILIES
from family_hybrid import HYBRID_FAMILIES, MORE_HYBRID_FAMILIES
from family_learnt import LEARNT_FAMILIES
from family_moe import MOE_FAMILIES
from family_multimodal import MULTIMODAL_FAMILIES
from family_pooled import POOLED_FAMILIES
from family_table import MAIN_FAMILIES
from raw_safetensors import read_safetensors, write_safetensors
from shrink import shrunk

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import torch
    from transformers import PreTrainedModel

FIXED: Final = ("inv_freq", "num_batches_tracked", "slope_rate", "_decay", "running_mean", "running_var")
"""Buffers that are no weights: noise would break the model."""


def _index(families: Iterable[Family]) -> Mapping[str, Family]:
    table: dict[str, Family] = {}
    for family in families:
        assert family.name not in table, f"two families are called {family.name}"
        table[family.name] = family
    return MappingProxyType(table)


FAMILIES: Final = _index((*MAIN_FAMILIES, *DENSE_FAMILIES, *MOE_FAMILIES, *HYBRID_FAMILIES, *MULTIMODAL_FAMILIES))
MORE_FAMILIES: Final = _index((*MORE_HYBRID_FAMILIES, *DEFAULT_FAMILIES))
"""Further architectures, for the whole sweep alone."""
LEARNT_ONLY: Final = _index(LEARNT_FAMILIES)
"""Others that only what is learnt of architectures is made of."""
POOLED: Final = _index(POOLED_FAMILIES)
"""Models without a head, of whose configs alone something is learnt."""
UNSERVED: Final = _index(UNSERVED_FAMILIES)
"""Some architectures that vLLM refuses whatever their config says."""
SWEPT: Final = _index((*FAMILIES.values(), *MORE_FAMILIES.values()))
"""The families of the whole sweep."""
EVERY: Final = _index((*FAMILIES.values(), *LEARNT_ONLY.values(), *MORE_FAMILIES.values()))


def build(name: str, folder: Path, **options: Any) -> Path:
    """Build the family called ``name`` in ``folder``; options as in `build_family`."""
    return build_family({**EVERY, **POOLED, **UNSERVED}[name], folder, **options)


def build_family(
    family: Family,
    folder: Path,
    *,
    dtype: str = "bfloat16",
    shards: int = 1,
    tied: bool | None = None,
    seed: int = 0,
    vocab: int | None = None,
    tokenizer: bool = False,
    config: Mapping[str, Any] | None = None,
) -> Path:
    """Save a checkpoint of ``family`` through ``save_pretrained`` and return ``folder``.

    ``shards`` is the least number of files; ``config`` overrides keys of the configuration (nested ones too).
    """
    import transformers

    model = _make_model(family, settings_of(family, tied=tied, vocab=vocab, config=config), dtype=dtype, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(folder, max_shard_size=_shard_size(model, shards))
    _rename(folder, family.renames)
    if family.processor:
        from tiny_processor import save_processor

        save_processor(folder, vocab=vocab or family.vocab)
    elif tokenizer:
        from tiny_tokenizer import save_tokenizer

        save_tokenizer(folder, vocab=vocab or family.vocab)
    return folder


def settings_of(
    family: Family, *, tied: bool | None = None, vocab: int | None = None, config: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what the family's config class is given; options as in `build_family`."""
    settings = _merge(_default(family) if family.shrunk else {}, copy.deepcopy(plain(family.config)))
    settings = _merge(settings, config or {})
    if not family.shrunk or vocab is not None:
        _set_vocab(settings, family, vocab or family.vocab)
    if not family.shrunk or tied is not None:
        _set_tied(settings, family, family.tied if tied is None else tied)
    return settings


def _rename(folder: Path, renames: Iterable[tuple[str, str]]) -> None:
    for pattern, replacement in renames:
        for path in folder.glob("*.safetensors"):
            tensors = {re.sub(pattern, replacement, name): raw for name, raw in read_safetensors(path).items()}
            write_safetensors(path, tensors, metadata={"format": "pt"})
        if (folder / INDEX).exists():
            write_index(folder)


def _default(family: Family) -> dict[str, Any]:
    import transformers

    return shrunk(getattr(transformers, family.architecture).config_class())


def plain(value: Any) -> Any:
    """Return a configuration's mappings as dictionaries, at every level."""
    if hasattr(value, "items"):
        return {key: plain(entry) for key, entry in value.items()}
    return value


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in over.items():
        nested = isinstance(value, dict) and isinstance(base.get(key), dict)
        base[key] = _merge(base[key], value) if nested else value
    return base


def _text_config(settings: dict[str, Any], family: Family) -> dict[str, Any]:
    for key in filter(None, family.text.split(".")):
        settings = settings.setdefault(key, {})
    return settings


def _set_vocab(settings: dict[str, Any], family: Family, vocab: int) -> None:
    _text_config(settings, family)["vocab_size"] = vocab


def _set_tied(settings: dict[str, Any], family: Family, tied: bool) -> None:
    settings["tie_word_embeddings"] = tied
    _text_config(settings, family)["tie_word_embeddings"] = tied


def _make_model(family: Family, settings: dict[str, Any], *, dtype: str, seed: int) -> PreTrainedModel:
    import torch
    import transformers

    architecture = getattr(transformers, family.architecture)
    made = architecture.config_class(**settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = architecture._from_config(made, dtype=getattr(torch, dtype))
        _make_realistic(model)
    return model


def _make_realistic(model: PreTrainedModel) -> None:
    """Give rows different spreads and vectors some noise: a lost bias or a swapped scale must show."""
    import torch

    with torch.no_grad():
        for name, parameter in model.state_dict(keep_vars=True).items():
            if not parameter.is_floating_point() or _is_fixed(name):
                continue
            noise = torch.randn(parameter.shape)
            if parameter.ndim < 2:
                parameter.add_((0.05 * noise).to(parameter.dtype))
            else:
                parameter.copy_(noise * _spread(parameter, name))


def _is_fixed(name: str) -> bool:
    return name.endswith(FIXED)


def _spread(parameter: torch.Tensor, name: str) -> torch.Tensor:
    import torch

    rows = torch.exp(0.4 * torch.randn(*parameter.shape[:-1], 1))
    wide = 2.0 if name.endswith(("router.weight", "gate.weight")) else 1.0  # clear choices of experts
    spread: torch.Tensor = wide * rows / parameter.shape[-1] ** 0.5
    return spread


def _shard_size(model: PreTrainedModel, shards: int) -> int:
    total = sum({p.data_ptr(): int(p.nbytes) for p in model.parameters()}.values())
    return -(-total // shards) + (shards == 1) * 2**20
