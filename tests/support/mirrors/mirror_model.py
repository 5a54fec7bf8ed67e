"""The checkpoint that a model of vLLM's would load: its parameters under the names, and in the parts, of the files.

Runs in vLLM's interpreter, over a model on the meta device.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from mirror_inverse import Shard, inverse_of_list, inverse_of_mapper
from mirror_study import Loading, study

Entry = tuple[str, list[int], Any]
"""Name, shape and dtype of one tensor of the files."""
Named = list[tuple[str, Shard]]
_PER_EXPERT = re.compile(r"experts\.\d+\.")


class Mirror:
    """One model, and how each of its modules loads, found out once."""

    def __init__(self, model: Any) -> None:
        self._model, self._modules = model, dict(model.named_modules())
        self._known: dict[str, Loading] = {}

    def entries(self) -> Iterator[Entry]:
        """Yield the tensors of the files; some may come twice, from parameters that share a tensor."""
        for name, parameter in self._model.named_parameters():
            path, _, leaf = name.rpartition(".")
            module = self._modules[path]
            if type(module).__name__ == "RoutedExperts" and leaf.startswith(_OF_EACH_EXPERT):
                yield from self._experts(path, module, leaf, parameter)
                continue
            for original, shard in self._names(name, path):
                yield original, _shape(module, parameter, shard), parameter.dtype
        stored = self._model.state_dict().keys()
        for name, buffer in self._model.named_buffers():
            path, _, leaf = name.rpartition(".")
            if name in stored and not leaf.startswith("_"):
                yield self._names(name, path)[0][0], list(buffer.shape), buffer.dtype

    def _names(self, name: str, path: str, shard: Shard = None) -> Named:
        """Return what a parameter is made of in the files, from the innermost loader to the model's own."""
        names: Named = [(name, shard)]
        for prefix, loading in self._loaders(path):
            names = [made for one in names for made in self._before(one, prefix, loading)]
        return names

    def _before(self, named: tuple[str, Shard], prefix: str, loading: Loading) -> Named:
        name, shard = named
        start = f"{prefix}." if prefix else ""
        if not name.startswith(start):
            return [named]
        inside = name.removeprefix(start)
        found = (inverse_of_list(inside, loading.rows) if shard is None else []) or [(inside, shard)]
        for mapper in reversed(loading.mappers):
            found = [made for one in found for made in _by_mapper(one, mapper, inside=bool(prefix))]
        return [(start + inside, part) for inside, part in found]

    def _loaders(self, path: str) -> Iterator[tuple[str, Loading]]:
        parts = path.split(".")
        for count in range(len(parts), -1, -1):
            prefix = ".".join(parts[:count])
            module = self._modules.get(prefix)
            if callable(getattr(module, "load_weights", None)) and type(module).__name__ not in _OF_EXPERTS:
                if prefix not in self._known:
                    self._known[prefix] = study(module)
                yield prefix, self._known[prefix]

    def _experts(self, path: str, module: Any, leaf: str, parameter: Any) -> Iterator[Entry]:
        base = path.removesuffix(".routed_experts")
        owner = base.removesuffix("experts") if base.endswith("experts") else f"{base}."
        kind, part = leaf.split("_", 1)
        gated = module.moe_config.is_act_and_mul
        shape = list(parameter.shape[1:])
        if kind == "w13" and gated:
            shape[0] //= 2
        for name, expert, shard in self._expert_rows(base, module):
            wanted = (shard == "w2") == (kind == "w2") and expert < parameter.shape[0] and (gated or shard != "w3")
            if wanted:
                names = self._names(f"{owner}{name}{part}", base.rpartition(".")[0], shard=0)
                yield names[0][0], shape, parameter.dtype

    def _expert_rows(self, base: str, module: Any) -> Iterable[tuple[str, int, str]]:
        lists = [rows for _, loading in self._loaders(base) for rows in loading.experts]
        if lists:
            return [(name, expert, shard) for _, name, expert, shard in lists[0] if _PER_EXPERT.search(name)]
        own = (("w1", module.ckpt_gate_proj_name), ("w2", module.ckpt_down_proj_name), ("w3", module.ckpt_up_proj_name))
        count = module.moe_config.num_logical_experts
        return [(f"experts.{expert}.{name}.", expert, shard) for expert in range(count) for shard, name in own if name]


_OF_EACH_EXPERT = ("w13_", "w2_")
_OF_EXPERTS = ("RoutedExperts", "MoERunner")
"""Loaders that `Mirror` takes itself."""


def _by_mapper(named: tuple[str, Shard], mapper: Any, *, inside: bool) -> Named:
    """Return what a mapper leads to a name; of a model ``inside`` another without the prefixes of whole files."""
    name, shard = named
    found = (inverse_of_mapper(name, mapper, prefixed=False) if inside else []) or inverse_of_mapper(name, mapper)
    found = found or [(name, None)]
    if shard is None:
        return found
    return [(next((made for made, part in found if part is None), found[0][0]), shard)]


def _shape(module: Any, parameter: Any, shard: Shard) -> list[int]:
    """Return the shape of a shard of a parameter, or of what a padded vocabulary has in the files."""
    shape = list(parameter.shape)
    shard = shard[0] if isinstance(shard, list) else shard  # several that one tensor of the files fills
    if hasattr(module, "org_vocab_size"):
        shape[0] = module.org_vocab_size
    elif shard is not None:
        axis = getattr(parameter, "output_dim", 0) or 0
        if hasattr(module, "total_num_kv_heads"):
            size, values = module.head_size, getattr(module, "v_head_size", module.head_size)
            rows = {
                "q": module.total_num_heads * size,
                "k": module.total_num_kv_heads * size,
                "v": module.total_num_kv_heads * values,
            }
            shape[axis] = rows.get(shard, shape[axis])
        elif hasattr(module, "output_sizes"):
            with contextlib.suppress(TypeError, IndexError):
                shape[axis] = sum(
                    module.output_sizes[index] for index in (shard if isinstance(shard, tuple) else (shard,))
                )
    return shape
