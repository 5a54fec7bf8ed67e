"""The table of rules: codes are never used again, and the order is the order of the documentation."""

from __future__ import annotations

from ctq.findings import Severity
from ctq.inspect.rules.architecture import experts, layer_kinds, missing, sizes, switched_off, unknown
from ctq.inspect.rules.config import (
    agreement,
    identity,
    matching,
    model_config,
    other_methods,
    quantization,
    schemes,
    validity,
)
from ctq.inspect.rules.files import leftovers, own_code, promised, shards, strays
from ctq.inspect.rules.head import embedding, serving, stored
from ctq.inspect.rules.rule import Check, Claim, Rule
from ctq.inspect.rules.tensors import (
    alike,
    astray,
    beside_dense,
    body,
    cache_scales,
    deep,
    defects,
    intruders,
    never_quantized,
    of_methods,
    parts,
    structure,
)

FAMILIES = {
    "HED": "The head",
    "CFG": "The quantization config",
    "TEN": "Tensors",
    "FIL": "Files",
    "DEP": "Values (`--deep`, and `ctq verify`)",
}

_FILES = ("FIL001", "FIL003", "FIL004", "FIL006", "FIL008")
"""Without all tensors at hand, nothing can be said about what is missing or unmatched."""
_CONFIG = ("CFG001", "CFG003", "CFG004", "CFG005")
"""A config that engines do not even read is judged no further."""

_BODY = (
    *_CONFIG,
    *("HED002", "HED003", "HED004", "HED009"),
    *("CFG006", "CFG007", "CFG008", "CFG009", "CFG012", "CFG013", "CFG014", "CFG015"),
    *(f"TEN{number:03}" for number in (*range(1, 16), 17, 18, 20, 21, 23)),
)
"""Findings that say why a layer of the body is not served; TEN027 is for what no other rule knows."""

_EXPLAINED = (
    *_CONFIG,
    *("HED001", "HED004", "HED005", "HED006", "HED007", "HED008"),
    *("CFG006", "CFG007", "CFG008", "CFG009", "CFG012", "CFG013", "CFG014", "CFG023", "TEN014", "TEN019", "TEN022"),
    *("FIL001", "FIL002", "FIL003", "FIL004", "FIL006", "FIL008"),
)
"""Findings that say why an engine does not serve a head; HED010 is for what no other rule knows."""


def _rule(
    code: str,
    check: Check,
    severity: Severity = Severity.ERROR,
    *,
    unless: tuple[str, ...] = (),
    claim: Claim = Claim.DEFECT,
) -> Rule:
    name = check.__name__.replace("_", "-")
    return Rule(code=code, name=name, severity=severity, check=check, unless=unless, claim=claim)


RULES: tuple[Rule, ...] = (
    _rule("HED001", stored.head_only_targeted_by_class, unless=_CONFIG, claim=Claim.OPINION),
    _rule("HED002", stored.quantized_head_ignored, unless=_CONFIG),
    _rule("HED003", stored.quantized_head_untargeted, unless=_CONFIG),
    _rule("HED004", stored.dense_head_targeted, unless=_CONFIG),
    _rule("HED005", stored.targeted_head_without_tensors, unless=(*_CONFIG, *_FILES)),
    _rule("HED006", stored.tie_flag_beside_quantized_head, Severity.WARNING, unless=_CONFIG),
    _rule("HED007", serving.exact_target_misses_head, unless=_CONFIG, claim=Claim.OPINION),
    _rule("HED008", embedding.target_hits_embedding, unless=_CONFIG),
    _rule("HED009", stored.other_head_caught, unless=_CONFIG),
    _rule("HED010", serving.head_not_served, unless=_EXPLAINED, claim=Claim.OPINION),
    _rule("HED011", serving.head_not_as_expected, claim=Claim.OPINION),
    _rule("HED012", serving.limits_of_a_quantized_head, Severity.NOTE, claim=Claim.OPINION),
    _rule("CFG001", quantization.missing_quantization_config, unless=("FIL002", "FIL003")),
    _rule("CFG002", quantization.contradictory_quantization_configs),
    _rule("CFG003", validity.invalid_quantization_config),
    _rule("CFG004", validity.invalid_pattern, unless=("CFG003",)),
    _rule("CFG005", quantization.method_contradicts_tensors, unless=("CFG024",)),
    _rule("CFG006", quantization.mixed_precision_without_group_format, unless=_CONFIG),
    _rule("CFG007", quantization.weight_only_int_quantized, unless=(*_CONFIG, "TEN009"), claim=Claim.OPINION),
    _rule(
        "CFG008",
        schemes.unsupported_scheme,
        unless=(*_CONFIG, "CFG007", "CFG012", "TEN009", "TEN012"),
        claim=Claim.OPINION,
    ),
    _rule("CFG009", schemes.group_size_does_not_divide, unless=_CONFIG),
    _rule(
        "CFG010",
        schemes.scheme_without_kernel,
        Severity.NOTE,
        unless=(*_CONFIG, "CFG008", "TEN012"),
        claim=Claim.OPINION,
    ),
    _rule("CFG011", quantization.status_not_compressed, Severity.WARNING, unless=(*_CONFIG, "CFG021", "TEN003")),
    _rule("CFG012", schemes.group_activation_ordering, unless=_CONFIG, claim=Claim.OPINION),
    _rule("CFG013", quantization.sparsity_config, unless=_CONFIG),
    _rule(
        "CFG014",
        schemes.refused_config,
        unless=(*_CONFIG, "CFG006", "CFG007", "CFG012", "CFG013", "TEN009"),
        claim=Claim.OPINION,
    ),
    _rule("CFG015", agreement.fused_parts_differ, unless=_CONFIG),
    _rule("CFG016", agreement.ambiguous_targets, Severity.WARNING, unless=(*_CONFIG, "TEN009", "TEN010", "TEN011")),
    _rule(
        "CFG017",
        matching.unmatched_target,
        Severity.WARNING,
        unless=(*_CONFIG, *_FILES, "HED001", "HED003", "HED010", "TEN004"),
    ),
    _rule(
        "CFG018",
        matching.unmatched_ignore,
        Severity.WARNING,
        unless=(*_CONFIG, *_FILES, "HED004", "HED009", "TEN006", "TEN007", "TEN008", "TEN027"),
    ),
    _rule("CFG019", identity.unknown_model_type),
    _rule("CFG020", identity.unknown_architecture, claim=Claim.OPINION),
    _rule("CFG021", validity.oddity_that_only_vllm_reads, Severity.WARNING, unless=_CONFIG),
    _rule("CFG022", model_config.refused_model_config, unless=("CFG001",)),
    _rule("CFG023", identity.head_of_another_task),
    _rule("CFG024", identity.unknown_quant_method),
    _rule("CFG025", other_methods.method_without_its_tensors, unless=("CFG005", "CFG024", "FIL002", "FIL003")),
    _rule("TEN001", defects.missing_weight, unless=(*_CONFIG, *_FILES)),
    _rule("TEN002", defects.missing_weight_scale, unless=(*_CONFIG, *_FILES)),
    _rule("TEN003", defects.weights_not_compressed, unless=_CONFIG),
    _rule("TEN004", defects.quantized_but_undeclared, unless=_CONFIG),
    _rule("TEN005", defects.quantized_but_ignored, unless=_CONFIG),
    _rule("TEN006", defects.dense_but_declared_quantized, unless=_CONFIG),
    _rule("TEN007", defects.dense_layer_not_ignored, unless=_CONFIG),
    _rule("TEN008", defects.draft_layers_not_ignored, Severity.WARNING, unless=_CONFIG),
    _rule("TEN009", defects.format_does_not_fit, unless=_CONFIG),
    _rule("TEN010", parts.wrong_dtype, unless=_CONFIG),
    _rule("TEN011", parts.wrong_shape, unless=_CONFIG),
    _rule("TEN012", parts.missing_zero_point, unless=(*_CONFIG, *_FILES)),
    _rule("TEN013", parts.missing_input_scale, unless=(*_CONFIG, *_FILES)),
    _rule("TEN014", parts.missing_weight_shape, Severity.WARNING, unless=(*_CONFIG, *_FILES)),
    _rule("TEN015", parts.extra_part, unless=_CONFIG),
    _rule("TEN016", never_quantized.embedding_quantized, unless=_CONFIG),
    _rule("TEN017", never_quantized.router_quantized, unless=_CONFIG),
    _rule("TEN018", never_quantized.fused_experts_quantized, Severity.WARNING, unless=_CONFIG),
    _rule("TEN019", structure.vocabulary_mismatch, unless=("TEN011",)),
    _rule("TEN020", structure.missing_module, unless=_FILES),
    _rule("TEN021", structure.uneven_layers, unless=("TEN011",)),
    _rule("TEN022", structure.hidden_size_mismatch, unless=("TEN011",)),
    _rule("TEN023", experts.fused_experts_not_ignored, unless=_CONFIG),
    _rule("TEN024", unknown.unknown_module),
    _rule("TEN025", missing.missing_tensor, unless=(*_FILES, "HED005", "HED010", "TEN001", "TEN020")),
    _rule("TEN026", sizes.size_against_config, unless=("TEN011", "TEN019", "TEN021", "TEN022", "TEN037")),
    _rule("TEN027", body.body_not_served, unless=(*_FILES, *_BODY)),
    _rule("TEN028", cache_scales.misplaced_cache_scale, unless=_CONFIG),
    _rule("TEN029", intruders.tensor_inside_a_layer, unless=(*_CONFIG, "TEN024")),
    _rule("TEN030", body.layer_not_loaded_elsewhere, unless=(*_FILES, *_CONFIG)),
    _rule("TEN031", alike.sizes_of_parts, unless=("TEN011", "TEN019", "TEN021", "TEN022", "TEN026")),
    _rule("TEN032", switched_off.tensor_switched_off, unless=("TEN024",)),
    _rule("TEN033", layer_kinds.layer_of_another_kind, unless=_FILES),
    _rule("TEN034", astray.part_led_astray, unless=("TEN015", "TEN017", "TEN024")),
    _rule("TEN035", beside_dense.part_beside_dense, unless=(*_CONFIG, "TEN003", "TEN004", "TEN024")),
    _rule("TEN036", never_quantized.mamba_quantized, unless=_CONFIG),
    _rule("TEN037", of_methods.layer_not_of_its_method, unless=(*_FILES, *_CONFIG, "CFG024", "CFG025")),
    _rule("FIL001", shards.unreadable_shard),
    _rule("FIL002", shards.config_missing),
    _rule("FIL003", shards.config_invalid),
    _rule("FIL004", shards.index_invalid),
    _rule("FIL005", shards.index_missing, Severity.WARNING),
    _rule("FIL006", shards.shard_missing),
    _rule("FIL007", strays.shard_unlisted, unless=("FIL004",)),
    _rule("FIL008", promised.tensor_not_in_shard),
    _rule("FIL009", shards.tensor_not_in_index, Severity.WARNING),
    _rule("FIL010", shards.tensor_duplicate, Severity.WARNING),
    _rule("FIL011", leftovers.wrong_total_size, Severity.WARNING),
    _rule("FIL012", leftovers.pickle_beside, Severity.WARNING),
    _rule("FIL013", leftovers.link_outside, Severity.NOTE),
    _rule("FIL014", leftovers.unreadable_mode, Severity.NOTE),
    _rule("FIL015", shards.tensor_conflict),
    _rule("FIL016", leftovers.consolidated_elsewhere),
    _rule("FIL017", leftovers.entry_twice, Severity.WARNING),
    _rule("FIL018", own_code.code_missing),
    _rule("DEP001", deep.non_finite_scale),
    _rule("DEP002", deep.non_positive_scale),
    _rule("DEP003", deep.absurd_scale),
    _rule("DEP004", deep.false_weight_shape, Severity.WARNING),
    _rule("DEP005", deep.empty_weight, Severity.WARNING, claim=Claim.QUESTION),
    _rule("DEP006", deep.non_finite_vector),
)
"""Every rule; ``unless`` names the rules of whose findings its own would be consequences."""
