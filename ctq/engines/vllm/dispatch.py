"""vLLM's ``get_quant_method`` over stand-in layers: what a checkpoint's config makes of each layer, without the engine.

The head is the case that matters: its class is not a linear layer, its own branch swallows a ValueError, and what it falls back
to is the branch of embeddings. Source: vLLM 0.32.0 model_executor/layers/quantization/compressed_tensors/compressed_tensors.py
(``get_quant_method``:156-227, ``get_scheme_dict``:995) and compressed_tensors_moe/compressed_tensors_moe.py.

Names are those of the engine (``ctq.engines.vllm_models.names``). Not here: what transforms do where they are not refused, and MoE
before 0.17.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from ctq.engines.dispatch_error import DispatchError
from ctq.engines.vllm.fused import DEFAULT_FUSED
from ctq.engines.vllm.input_transforms import InputTransform, check_inputs, input_transforms
from ctq.engines.vllm.layers import Attention, FusedMoE, LayerSpec, LinearBase, ParallelLMHead, VocabParallelEmbedding
from ctq.engines.vllm.matching import PartlyIgnoredError, UnmatchedLayerError, find_matched_target, should_ignore_layer
from ctq.engines.vllm.moe_choice import choose_moe_scheme
from ctq.engines.vllm.scheme_choice import Question, choose_scheme
from ctq.engines.vllm.scheme_predicates import is_group_or_channel
from ctq.engines.vllm.target_schemes import (
    TargetScheme,
    check_kv_cache,
    check_sparsity,
    read_ignore,
    read_target_schemes,
)
from ctq.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ctq.engines.vllm.rules import EngineRules

EMBEDDING_SCHEME = "EmbeddingWNA16Int"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """The method that vLLM gives to a layer.

    ``scheme`` is None for an unquantized one; ``target`` is what matched and ``group`` the entry of ``config_groups`` that it
    stands in. ``kind`` ``embedding`` on a head means that it loads and then fails at the first logits.
    """

    kind: Literal["linear", "embedding", "moe", "kv_cache"]
    scheme: str | None = None
    target: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchConfig:
    """A checkpoint's ``quantization_config`` as one release of vLLM holds it, on a GPU of ``capability`` (75, ...; None: none)."""

    schemes: Mapping[str, TargetScheme]
    ignore: tuple[str, ...] | None
    kv_cache_scheme: Mapping[str, Any] | None
    rules: EngineRules
    fused_mapping: Mapping[str, tuple[str, ...]]
    capability: int | None = None
    transforms: tuple[InputTransform, ...] = ()

    @classmethod
    def from_quantization_config(
        cls,
        raw: Mapping[str, Any],
        rules: EngineRules,
        *,
        fused_mapping: Mapping[str, tuple[str, ...]] = DEFAULT_FUSED,
        capability: int | None = None,
    ) -> DispatchConfig:
        """Read a ``quantization_config``, as vLLM does when it starts.

        Raises:
            DispatchError: vLLM refuses the config itself (weight-only INT in ``int-quantized``, invalid arguments, ...).

        """
        schemes = read_target_schemes(raw, rules)
        check_sparsity(raw, rules)
        return cls(
            schemes=schemes,
            ignore=read_ignore(raw),
            kv_cache_scheme=raw.get("kv_cache_scheme"),
            rules=rules,
            fused_mapping=fused_mapping,
            capability=capability,
            transforms=tuple(input_transforms(raw.get("transform_config"))),
        )

    def renamed(self, rename: Callable[[str], str]) -> DispatchConfig:
        """Return the config with every target and entry of ``ignore`` as ``rename`` gives it (``apply_vllm_mapper``)."""
        schemes = {rename(target): scheme for target, scheme in self.schemes.items()}
        return replace(self, schemes=schemes, ignore=tuple(map(rename, self.ignore)) if self.ignore else self.ignore)

    def get_quant_method(self, layer: LayerSpec, prefix: str) -> Method | None:
        """Return the method for the layer that the model calls ``prefix``, or None for a layer that vLLM leaves to itself.

        Raises:
            DispatchError: vLLM refuses the layer.

        """
        if isinstance(layer, LinearBase):
            linear = self._linear(layer, prefix)
            check_inputs(self.transforms, prefix, layer.class_name(self.rules), self.fused_mapping)
            return linear or Method(kind="linear")
        if isinstance(layer, ParallelLMHead) and self.rules.lm_head_branch:
            method = self._head(layer, prefix)
            if method is not None:
                return method
        if isinstance(layer, VocabParallelEmbedding):
            return self._embedding(layer, prefix) if self.rules.embedding_branch else None
        if isinstance(layer, Attention):
            check_kv_cache(self.kv_cache_scheme, self.rules)
            return Method(kind="kv_cache")
        return self._moe(layer, prefix) if isinstance(layer, FusedMoE) else None

    def matched(self, layer: LayerSpec, prefix: str) -> TargetScheme | None:
        """Return what the config holds for a layer: None when it is ignored or no target matches (``get_scheme_dict``).

        Raises:
            DispatchError: a fused layer is ignored in part, nothing matches where that is refused, or a pattern is invalid.

        """
        return self._matched_in(self.schemes, layer, prefix)

    def _matched_in(self, schemes: Mapping[str, TargetScheme], layer: LayerSpec, prefix: str) -> TargetScheme | None:
        if self.ignore is None:
            raise DispatchError("TypeError", "ignore is null, a list is expected")
        try:
            if should_ignore_layer(prefix, self.ignore, self.fused_mapping, self.rules) or not schemes:
                return None
            target = find_matched_target(prefix, layer.class_name(self.rules), schemes, self.fused_mapping, self.rules)
        except (PartlyIgnoredError, UnmatchedLayerError) as error:
            raise DispatchError("ValueError", str(error)) from error
        except UsageError as error:
            raise DispatchError("re.error", error.message) from error
        return None if target is None else schemes[target]

    def _linear(self, layer: LayerSpec, prefix: str) -> Method | None:
        found = self.matched(layer, prefix)
        if found is None:
            return None
        scheme = choose_scheme(Question(found.args, self.rules, self.capability))
        return Method(kind="linear", scheme=scheme, target=found.target, group=found.group)

    def _head(self, layer: ParallelLMHead, prefix: str) -> Method | None:
        try:
            return self._linear(layer, prefix)
        except DispatchError as error:
            if error.kind != "ValueError":
                raise
            return None  # vLLM swallows it, and asks again as for an embedding

    def _embedding(self, layer: VocabParallelEmbedding, prefix: str) -> Method | None:
        found = self.matched(layer, prefix)
        if found is None:
            return None
        weights = found.args.weights
        if weights.type != "int" or weights.dynamic or not is_group_or_channel(weights):
            raise DispatchError("ValueError", "embeddings take weight-only INT by group or channel alone")
        return Method(kind="embedding", scheme=EMBEDDING_SCHEME, target=found.target, group=found.group)

    def _moe(self, layer: FusedMoE, prefix: str) -> Method:
        """Return the method of a MoE layer: that of expert 0, whose three projections must agree."""
        schemes = dict(self.schemes)
        if "Linear" in schemes:
            schemes.setdefault(self.rules.moe_class, schemes["Linear"])
        found = [self._matched_in(schemes, layer, f"{prefix}.0.{name}") for name in layer.projections]
        if len({scheme and scheme.args for scheme in found}) > 1:
            raise DispatchError("ValueError", f"the projections of the experts in {prefix} have different schemes")
        last = found[-1]
        if last is None:
            return Method(kind="moe")
        scheme = choose_moe_scheme(Question(last.args, self.rules, self.capability))
        return Method(kind="moe", scheme=scheme, target=last.target, group=last.group)
