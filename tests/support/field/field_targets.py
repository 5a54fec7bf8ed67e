"""Targets and `ignore`."""

from __future__ import annotations

import copy
from random import Random
from typing import Any, Final

from field_kind import add, kind
from field_model import Model, pick

IGNORES: Final[dict[str, list[str] | None]] = {
    "nothing": [], "null": None, "lm_head": ["lm_head"], "re:.*lm_head": ["re:.*lm_head"], "*lm_head": ["*lm_head"],
    ".*lm_head": [".*lm_head"], "Linear": ["Linear"], "ParallelLMHead": ["ParallelLMHead"], "re:.*": ["re:.*"], "model": ["model"],
    "attention": ["re:.*self_attn.*"], "re:self_attn": ["re:self_attn"], "norms": ["re:.*norm.*"], "embed": ["embed_tokens"],
    "router": ["re:.*mlp.gate$"], "bad pattern": ["re:*lm_head"], "head of a wrapper": ["language_model.lm_head"],
    "model.lm_head": ["model.lm_head"], "tower": ["re:.*visual.*", "re:.*vision_tower.*"], "lm_head.weight": ["lm_head.weight"],
    "layers.0": ["model.layers.0"], "LM_HEAD": ["LM_HEAD"], "q_proj": ["re:.*q_proj"], "re:.*mlp.*": ["re:.*mlp.*"],
    "down_proj by name": ["down_proj"], "empty text": [""], "RMSNorm": ["RMSNorm"],
}  # fmt: skip


TARGETS: Final[dict[str, Any]] = {
    "re:.*": ["re:.*"], "nothing": [], "linear": ["linear"], "nn.Linear": ["nn.Linear"], "torch.nn.Linear": ["torch.nn.Linear"],
    "re:.*_proj$": ["re:.*_proj$"], "lm_head": ["lm_head"], "bad pattern": ["re:*proj"], "a text": "Linear", "null": None,
    "QKVParallelLinear": ["QKVParallelLinear"], "Linear and ParallelLMHead": ["Linear", "ParallelLMHead"], "q_proj": ["q_proj"],
    "re:model.layers": ["re:model.layers.*"], "re:layers": ["re:layers.*"], "re:.*self_attn.*": ["re:.*self_attn.*"],
    "re:.*mlp.*": ["re:.*mlp.*"], "re:.*layers.0.*": [r"re:.*layers\.0\..*"], "LinearBase": ["LinearBase"],
    "Linear and FusedMoE": ["Linear", "FusedMoE"], "Conv1D": ["Conv1D"], "re:.*(q|k|v|o|gate|up|down)_proj": ["re:.*(q|k|v|o|gate|up|down)_proj"],
    "MoE": ["re:.*experts.*"], "Embedding": ["Embedding", "Linear"],
}  # fmt: skip


for _name, _value in IGNORES.items():
    add(f"ignore {_name}", lambda m, d, v=_value: m.quant.__setitem__("ignore", copy.copy(v)))
    if _value:
        add(
            f"ignore {_name} too",
            lambda m, d, v=_value: m.quant.__setitem__("ignore", [*(m.quant.get("ignore") or []), *v]),
        )


for _name, _value in TARGETS.items():

    def _target(m: Model, d: Random, v: Any = _value) -> None:
        pick(d, m.groups.values())["targets"] = copy.copy(v)

    add(f"target {_name}", _target)


@kind
def ignore_lists_every_dense_module(m: Model, d: Random) -> None:
    m.quant["ignore"] = [
        module for module in m.modules() + m.modules(text=False) if f"{module}.weight_scale" not in m.tensors
    ]


@kind
def ignore_without_prefix(m: Model, d: Random) -> None:
    entries = m.quant.get("ignore") or pick(d, [])
    m.quant["ignore"] = [entry.split(".", 1)[-1] if not entry.startswith("re:") else entry for entry in entries]


@kind
def ignore_with_prefix(m: Model, d: Random) -> None:
    entries = m.quant.get("ignore") or pick(d, [])
    prefix = pick(d, ("model.", "language_model.", "base_model.model."))
    m.quant["ignore"] = [entry if entry.startswith("re:") else prefix + entry for entry in entries]


@kind
def an_entry_of_ignore_lost(m: Model, d: Random) -> None:
    entries = list(m.quant.get("ignore") or pick(d, []))
    entries.remove(pick(d, entries))
    m.quant["ignore"] = entries


@kind
def patterns_of_ignore_without_re(m: Model, d: Random) -> None:
    entries = m.quant.get("ignore") or pick(d, [])
    m.quant["ignore"] = [entry.removeprefix("re:") for entry in entries]


@kind
def patterns_of_targets_without_re(m: Model, d: Random) -> None:
    for group in m.groups.values():
        group["targets"] = [target.removeprefix("re:") for target in group["targets"]]


@kind
def targets_list_every_module(m: Model, d: Random) -> None:
    last = list(m.groups)[-1]
    m.groups[last]["targets"] = m.quantized()


@kind
def targets_list_every_module_without_prefix(m: Model, d: Random) -> None:
    last = list(m.groups)[-1]
    m.groups[last]["targets"] = [module.split(".", 1)[-1] for module in m.quantized()]


@kind
def targets_list_kinds_of_modules(m: Model, d: Random) -> None:
    last = list(m.groups)[-1]
    m.groups[last]["targets"] = sorted({f"re:.*{module.rpartition('.')[2]}$" for module in m.quantized()})


@kind
def head_both_ignored_and_a_target(m: Model, d: Random) -> None:
    m.quant["ignore"] = [*(m.quant.get("ignore") or []), pick(d, (m.head(), "re:.*lm_head$"))]


@kind
def head_a_target_of_the_body(m: Model, d: Random) -> None:
    group = list(m.groups.values())[-1]
    group["targets"] = [*group["targets"], pick(d, ("lm_head", "re:.*lm_head", "ParallelLMHead", m.head()))]
