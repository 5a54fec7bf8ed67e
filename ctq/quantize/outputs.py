"""What each tensor of the source becomes: copied, or quantized into the tensors of its scheme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ctq.checkpoint.dtypes import FLOAT_SOURCES, FLOATS
from ctq.checkpoint.strict_json import quoted
from ctq.checkpoint.weight_slice import whole
from ctq.checkpoint.writer import TensorSpec
from ctq.errors import CheckpointError
from ctq.quantize.tasks import output_specs

if TYPE_CHECKING:
    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.checkpoint.weight_slice import WeightSlice
    from ctq.recipe.decision import Decisions
    from ctq.recipe.schemes import Scheme


@dataclass(frozen=True, slots=True)
class Output:
    """What a source tensor, or a part of it, becomes; ``scheme`` None means copied.

    A tied head adds a second output for the embedding, experts that lie in one tensor are an output each.
    """

    module: str
    weight: WeightSlice | None
    tensor: str
    scheme: Scheme | None
    specs: tuple[TensorSpec, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors that it becomes."""
        return sum(spec.nbytes for spec in self.specs)


def outputs(source: Checkpoint, decisions: Decisions) -> list[Output]:
    """Return what the tensors become, in the order of the source, a tied head's own tensors last.

    Raises:
        CheckpointError: what is to be quantized is no float weight, or a tensor would be written twice.

    """
    quantized = _quantized(source, decisions)
    found = [
        output
        for name in source.tensors
        for output in (
            [_output(source, *chosen) for chosen in quantized[name]] if name in quantized else [_copied(source, name)]
        )
    ]
    head, head_scheme = decisions.head, decisions.head_scheme
    if head and head_scheme and head.tensor is None and head.embedding:
        found.append(_output(source, head.name, whole(source.tensors[head.embedding]), head_scheme))
    _refuse_collisions(source, found)
    return found


def _quantized(source: Checkpoint, decisions: Decisions) -> dict[str, list[tuple[str, WeightSlice, Scheme]]]:
    """Return the modules to quantize, with their weights and schemes, by the tensor that holds them."""
    found: dict[str, list[tuple[str, WeightSlice, Scheme]]] = {}
    for decision in decisions.modules:
        if decision.scheme:
            weight = decision.part or whole(source.tensors[decision.tensor])
            found.setdefault(decision.tensor, []).append((decision.module, weight, decision.scheme))
    head, head_scheme = decisions.head, decisions.head_scheme
    if head and head_scheme and head.tensor:
        found[head.tensor] = [(head.name, whole(source.tensors[head.tensor]), head_scheme)]
    return found


def _output(source: Checkpoint, module: str, weight: WeightSlice, scheme: Scheme) -> Output:
    dtype = source.tensors[weight.tensor].dtype
    if dtype not in FLOAT_SOURCES:
        double = "convert it to float32 or bfloat16 first, or leave it dense with --ignore"
        taken = ", ".join(sorted(FLOAT_SOURCES))
        raise CheckpointError(
            f"{source.label}: {quoted(weight.tensor)} is {dtype}, none of the dtypes that are quantized ({taken})",
            hint=double if dtype in FLOATS else "give the dense original; `ctq inspect` shows what this one holds",
        )
    specs = output_specs(module, dtype, (weight.rows, weight.columns), scheme)
    return Output(module, weight, weight.tensor, scheme, tuple(specs))


def _copied(source: Checkpoint, tensor: str) -> Output:
    info = source.tensors[tensor]
    return Output("", None, tensor, None, (TensorSpec(tensor, info.dtype, info.shape),))


def _refuse_collisions(source: Checkpoint, outputs: list[Output]) -> None:
    """Refuse a source that already holds a tensor under the name of one that quantizing writes (a stray ``weight_scale``)."""
    seen: set[str] = set()
    for output in outputs:
        for spec in output.specs:
            if spec.name in seen:
                raise CheckpointError(
                    f"{source.label}: '{spec.name}' would be written twice: the source already holds a tensor of that name",
                    hint="is it a leftover of another quantization? give the dense original",
                )
            seen.add(spec.name)
