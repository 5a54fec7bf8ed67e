"""The plan of a run, from headers alone: every output byte's place is known, and every refusal made, before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ctq.checkpoint.checkpoint import Checkpoint, require_sound
from ctq.checkpoint.dtypes import FLOAT_SOURCES
from ctq.checkpoint.faults import HARMLESS
from ctq.checkpoint.index import INDEX_NAME, index_json
from ctq.checkpoint.shards import shard_names, shard_plan
from ctq.checkpoint.strict_json import quoted
from ctq.checkpoint.weight_slice import whole
from ctq.checkpoint.writer import PlannedFile, TensorSpec, plan_file
from ctq.errors import CheckpointError, PlanError
from ctq.quantize.head import HeadPlan, plan_head
from ctq.quantize.loaders import loader_notes
from ctq.quantize.side_files import side_files
from ctq.quantize.tasks import CopyTask, Place, QuantizeTask, Task, output_specs
from ctq.quantize.written_config import written_config
from ctq.recipe.compose import compose
from ctq.recipe.decide import decide

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.checkpoint.weight_slice import WeightSlice
    from ctq.recipe.decision import Decisions
    from ctq.recipe.recipe import Observer, Recipe
    from ctq.recipe.schemes import Scheme

METADATA = {"format": "pt"}
"""The metadata that transformers asks of a safetensors file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that a run will do.

    ``files`` are the safetensors files by name, ``documents`` the JSON files by name (the index before the config),
    ``side_files`` the names of source files to copy; ``notes`` are sentences that a person should read.
    """

    source: Checkpoint
    recipe: Recipe
    decisions: Decisions
    head: HeadPlan
    quantization_config: Mapping[str, Any]
    files: Mapping[str, PlannedFile]
    tasks: tuple[Task, ...]
    documents: Mapping[str, bytes]
    side_files: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def nbytes_before(self) -> int:
        """Bytes of tensor data in the source."""
        return self.source.nbytes

    @property
    def nbytes_after(self) -> int:
        """Bytes of the safetensors files to be written."""
        return sum(file.nbytes for file in self.files.values())


def build_plan(
    source: Checkpoint, recipe: Recipe, *, max_shard_size: int, allow_unsupported_head: bool = False
) -> Plan:
    """Plan the quantization of a dense checkpoint.

    Raises:
        CheckpointError: the source is damaged, already quantized, or a part of a diffusers pipeline.
        PlanError: the recipe does not fit the source; all reasons at once.

    """
    require_sound(source)
    _refuse_diffusers(source)
    _refuse_quantized(source)
    decisions = decide(source, recipe)
    head = plan_head(source, decisions, allow_unsupported=allow_unsupported_head)
    problems = (*decisions.problems, *head.problems)
    if problems:
        raise PlanError(problems)
    quantization = compose(decisions, recipe, head.targets or head.ignored)
    outputs = _outputs(source, decisions)
    _refuse_collisions(source, outputs)
    files, index = _files(outputs, source, max_shard_size)
    config = written_config(source.config, quantization, untie=decisions.head_scheme is not None)
    strays = tuple(fault.message for fault in source.faults if fault.kind in HARMLESS)
    return Plan(
        source=source,
        recipe=recipe,
        decisions=decisions,
        head=head,
        quantization_config=quantization,
        files=files,
        tasks=tuple(_tasks(source, outputs, files, recipe.observer)),
        documents=index | {"config.json": config},
        side_files=side_files(name for name in source.source.files if name not in source.source.links_outside),
        notes=(*head.notes, *_apart(decisions), *loader_notes(source.config.architecture, decisions), *strays),
    )


def _apart(decisions: Decisions) -> Iterator[str]:
    tensors = {decision.tensor for decision in decisions.modules if decision.part is not None}
    if tensors:
        yield f"{len(tensors)} tensors hold all experts of a layer: each expert is written by itself, as vLLM loads them"


def _refuse_diffusers(source: Checkpoint) -> None:
    if source.config.diffusers_class is not None:
        raise CheckpointError(
            f"{source.label}: no language model: it is the {source.config.diffusers_class} of a diffusers pipeline",
            hint="give a model that transformers saved",
        )


def _refuse_quantized(source: Checkpoint) -> None:
    raw = source.config.quantization
    if raw is not None:
        method = raw.get("quant_method", "unknown method")
        form = f", format {raw['format']}" if "format" in raw else ""
        raise CheckpointError(
            f"{source.label}: already quantized ({method}{form})",
            hint="give the dense original; `ctq inspect` shows what this one holds",
        )
    integers = [
        name
        for name, tensor in source.tensors.items()
        if tensor.dtype.startswith(("I8", "F8_")) and name.endswith(".weight")
    ]
    if integers:
        raise CheckpointError(
            f"{source.label}: holds 8-bit weights ({integers[0]}) but no quantization_config",
            hint="give the dense original",
        )


@dataclass(frozen=True, slots=True)
class _Output:
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
        return sum(spec.nbytes for spec in self.specs)


def _outputs(source: Checkpoint, decisions: Decisions) -> list[_Output]:
    quantized = _quantized(source, decisions)
    outputs = [
        output
        for name in source.tensors
        for output in (
            [_output(source, *chosen) for chosen in quantized[name]] if name in quantized else [_copied(source, name)]
        )
    ]
    head, head_scheme = decisions.head, decisions.head_scheme
    if head and head_scheme and head.tensor is None and head.embedding:
        outputs.append(_output(source, head.name, whole(source.tensors[head.embedding]), head_scheme))
    return outputs


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


def _output(source: Checkpoint, module: str, weight: WeightSlice, scheme: Scheme) -> _Output:
    dtype = source.tensors[weight.tensor].dtype
    if dtype not in FLOAT_SOURCES:
        raise CheckpointError(
            f"{source.label}: {quoted(weight.tensor)} is {dtype}, no dense weight to quantize",
            hint="give the dense original; `ctq inspect` shows what this one holds",
        )
    specs = output_specs(module, dtype, (weight.rows, weight.columns), scheme)
    return _Output(module, weight, weight.tensor, scheme, tuple(specs))


def _copied(source: Checkpoint, tensor: str) -> _Output:
    info = source.tensors[tensor]
    return _Output("", None, tensor, None, (TensorSpec(tensor, info.dtype, info.shape),))


def _files(
    outputs: list[_Output], source: Checkpoint, max_shard_size: int
) -> tuple[dict[str, PlannedFile], dict[str, bytes]]:
    """Re-balance the shards; the tensors of one module stay together."""
    by_key = {str(i): output for i, output in enumerate(outputs)}
    shards = shard_plan([(key, output.nbytes) for key, output in by_key.items()], max_shard_size)
    metadata = _metadata(source)
    specs = {
        name: [spec for key in keys for spec in by_key[key].specs]
        for name, keys in zip(shard_names(len(shards)), shards, strict=True)
    }
    files = {name: plan_file(tensors, metadata) for name, tensors in specs.items()}
    if len(files) == 1:
        return files, {}
    weight_map = {spec.name: name for name, tensors in specs.items() for spec in tensors}
    total = sum(output.nbytes for output in outputs)
    return files, {INDEX_NAME: index_json(weight_map, total)}


def _refuse_collisions(source: Checkpoint, outputs: list[_Output]) -> None:
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


def _metadata(source: Checkpoint) -> dict[str, str]:
    """Keep what every source shard says alike; add the mark that transformers asks for."""
    metadatas = [header.metadata for header in source.headers.values()]
    common = set.intersection(*(set(metadata.items()) for metadata in metadatas)) if metadatas else set()
    return dict(sorted(common | set(METADATA.items()) if "format" not in dict(common) else common))


def _tasks(
    source: Checkpoint, outputs: list[_Output], files: Mapping[str, PlannedFile], observer: Observer
) -> Iterator[Task]:
    places = {
        name: Place(file, start, end - start)
        for file, planned in files.items()
        for name, (start, end) in planned.offsets.items()
    }
    copies: list[CopyTask] = []
    for output in outputs:
        origin = _origin(source, output.tensor)
        if output.scheme is None or output.weight is None:
            copies.append(CopyTask(tensor=output.tensor, source=origin, target=places[output.tensor]))
            continue
        info = source.tensors[output.tensor]
        yield QuantizeTask(
            module=output.module,
            weight=output.weight,
            dtype=info.dtype,
            scheme=output.scheme,
            source=origin,
            outputs={spec.name.removeprefix(f"{output.module}."): places[spec.name] for spec in output.specs},
            observer=observer,
        )
    yield from _merged(copies)


def _origin(source: Checkpoint, tensor: str) -> Place:
    shard, info = source.shard_of[tensor], source.tensors[tensor]
    return Place(shard, source.headers[shard].data_start + info.start, info.nbytes)


def _merged(copies: list[CopyTask]) -> Iterator[CopyTask]:
    """Join copies that are adjacent in source and target alike, so that small tensors cost no call each."""
    pending: CopyTask | None = None
    for copy in sorted(copies, key=lambda task: (task.source.file, task.source.offset)):
        if pending is not None and _adjacent(pending, copy):
            pending = CopyTask(
                tensor=pending.tensor,
                source=_joined(pending.source, copy.source),
                target=_joined(pending.target, copy.target),
            )
            continue
        if pending is not None:
            yield pending
        pending = copy
    if pending is not None:
        yield pending


def _adjacent(first: CopyTask, second: CopyTask) -> bool:
    return all(
        a.file == b.file and a.offset + a.nbytes == b.offset
        for a, b in ((first.source, second.source), (first.target, second.target))
    )


def _joined(first: Place, second: Place) -> Place:
    return Place(first.file, first.offset, first.nbytes + second.nbytes)
