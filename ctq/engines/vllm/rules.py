"""What changed between vLLM's releases in the way it dispatches compressed-tensors layers, as data.

Every edge was read in the sources of the releases around it. Paths are those of vLLM; CT stands for
``model_executor/layers/quantization/compressed_tensors``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from ctq.engines.versions import at_or_below, version_key

if TYPE_CHECKING:
    from collections.abc import Mapping

MatchStep = Literal["name", "class", "fused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRules:
    """vLLM's rules of one release.

    ``version`` is the release that they were read in and ``asked`` the one that was asked for; ``beyond`` says that the latter is
    newer or older than all that are known.
    """

    version: str
    asked: str
    beyond: Literal["newer", "older"] | None = None

    lm_head_branch: bool = False
    """`get_quant_method` knows ParallelLMHead (CT/compressed_tensors.py, 0.32.0:186)."""
    embedding_branch: bool = False
    """`get_quant_method` knows VocabParallelEmbedding (0.32.0:197)."""
    unmatched: Literal["ValueError", "None"] = "ValueError"
    """What a layer that no target matches brings (CT/utils.py `find_matched_target`)."""
    match_order: tuple[MatchStep, ...] = ("name", "class", "fused")
    ignore_reads_fused_name: bool = False
    """A pattern in `ignore` that matches the name of a fused layer itself settles it (config_utils.py `find_matching_patterns`)."""
    skips_attention_groups: bool = True
    """A group whose one target is an attention class is left out (`from_config`)."""
    refuses_sparsity: bool = False
    refuses_group_actorder: bool = False
    reads_kv_cache_scheme: bool = True
    kv_cache_needs_both: bool = True
    """A cache scheme is refused unless it is float and of 8 bits; before, one of the two was enough."""
    moe_class: str = "FusedMoE"
    """Class of a fused MoE layer; the target `Linear` is filed under it too (`_add_fused_moe_to_target_scheme_map`)."""

    wna16_bits: frozenset[int] = frozenset({4, 8})
    wna16_zero_point_bits: frozenset[int] = frozenset({4, 8})
    wna16_refuses_other_bits: bool = False
    """Other widths raise ValueError in the scheme; before, they found no scheme."""
    wna8o8: Literal["no", "static", "static-or-subbyte"] = "no"
    """Whether static int8 input and output activations (and weight-only widths other than 4 and 8) get WNA8O8Int."""
    wnam_int: bool = False
    """Packed weights with dynamic int8 or int4 activations get WNA8Int or WNA4Int (Humming)."""
    mxfp4_scheme: str | None = "W4A16Mxfp4"
    mxfp8: bool = True
    w4a8_mxfp4: bool = False
    nvfp4_a16_scheme: str = "W4A16Fp4"
    nvfp4_before_format: bool = False
    """NVFP4 weights are decided before the format is looked at, and other activations refused."""
    w4a8_checks_types: bool = False
    """Schemes of 4-bit weights and 8-bit activations look at the types, and the one for experts no longer at the GPU."""
    wna16_capability: int = 75
    w8a16_fp8_capability: int = 75
    passes_unknown_capability: bool = False
    """Where the platform has no compute capability (CPUs) schemes that need a least one are taken."""

    unties_from_weight: bool = False
    """A tensor ending in `lm_head.weight` overrides the tie flag (config/model.py 0.32.0:1242 `maybe_untie_word_embeddings`)."""
    reshapes_scalar_scales: bool = False
    """A 0-dim scale is taken for one of length 1."""


_ALL_BITS = frozenset(range(2, 9))
_OLDEST: Mapping[str, Any] = {
    "skips_attention_groups": False,
    "reads_kv_cache_scheme": False,
    "kv_cache_needs_both": False,
    "wna16_capability": 80,
    "w8a16_fp8_capability": 80,
    "mxfp4_scheme": None,
    "mxfp8": False,
}

_CHANGES: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("0.11.2", _OLDEST),
    (
        "0.15.1",
        {
            "skips_attention_groups": True,
            "reads_kv_cache_scheme": True,
            "mxfp4_scheme": "W4A16Mxfp4",
            "wna16_capability": 75,
        },
    ),
    ("0.17.1", {"w8a16_fp8_capability": 75}),
    ("0.18.1", {}),
    ("0.19.0", {}),
    ("0.19.1", {}),
    ("0.20.0", {"lm_head_branch": True, "mxfp8": True}),
    ("0.20.2", {}),
    ("0.21.0", {"unmatched": "None"}),
    ("0.22.1", {"refuses_sparsity": True, "mxfp4_scheme": "W4A4Mxfp4"}),
    (
        "0.23.0",
        {
            "embedding_branch": True,
            "wna8o8": "static-or-subbyte",
            "nvfp4_a16_scheme": "W4A4Fp4",
            "nvfp4_before_format": True,
            "reshapes_scalar_scales": True,
        },
    ),
    ("0.24.0", {"moe_class": "RoutedExperts", "kv_cache_needs_both": True, "passes_unknown_capability": True}),
    ("0.25.0", {"wna16_bits": _ALL_BITS, "wna16_refuses_other_bits": True, "wna8o8": "static"}),
    ("0.26.0", {"wnam_int": True}),
    ("0.27.0", {"match_order": ("name", "fused", "class")}),
    ("0.27.1", {}),
    ("0.28.0", {}),
    ("0.29.0", {"unties_from_weight": True}),
    ("0.30.0", {"ignore_reads_fused_name": True, "refuses_group_actorder": True}),
    ("0.31.0", {"wna16_zero_point_bits": _ALL_BITS, "w4a8_checks_types": True}),
    ("0.32.0", {"w4a8_mxfp4": True}),
    ("0.33.0", {}),
)

KNOWN_VERSIONS = tuple(version for version, _ in _CHANGES)
FIRST_WITH_HEAD = next(version for version, change in _CHANGES if change.get("lm_head_branch"))
"""The first release that dispatches a quantized head at all."""


@lru_cache(maxsize=64)
def rules_for(version: str | None = None) -> EngineRules:
    """Return the rules of vLLM ``version``: those of the nearest known release below it; by default of the newest known.

    A release newer than all known gets the newest's rules and one older the oldest's, with ``beyond`` set.

    Raises:
        UsageError: ``version`` is not a version number.

    """
    asked = version or KNOWN_VERSIONS[-1]
    nearest = at_or_below(asked, KNOWN_VERSIONS)
    rules = EngineRules(version=KNOWN_VERSIONS[0], asked=asked)
    for known, change in _CHANGES:
        rules = replace(rules, version=known, **change)
        if known == (nearest or KNOWN_VERSIONS[0]):
            break
    if nearest is None:
        return replace(rules, beyond="older")
    is_newer = version_key(asked) > version_key(KNOWN_VERSIONS[-1])
    return replace(rules, beyond="newer" if is_newer else None)
