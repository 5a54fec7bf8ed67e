"""The plan of a run, from headers alone: every output byte's place is known, and every refusal made, before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ctq.checkpoint.checkpoint import Checkpoint, require_sound
from ctq.checkpoint.faults import HARMLESS
from ctq.engines.vllm_models.registry import as_loaded
from ctq.errors import CheckpointError, PlanError
from ctq.quantize.head import HeadPlan, plan_head
from ctq.quantize.layout import files_of
from ctq.quantize.loaders import loader_notes
from ctq.quantize.outputs import outputs
from ctq.quantize.own_code import config_with_code, rewritten_files
from ctq.quantize.side_files import side_files
from ctq.quantize.task_list import tasks_of
from ctq.quantize.written_config import written_config
from ctq.recipe.compose import compose
from ctq.recipe.decide import decide

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ctq.checkpoint.config import ModelConfig
    from ctq.checkpoint.writer import PlannedFile
    from ctq.quantize.tasks import Task
    from ctq.recipe.decision import Decisions
    from ctq.recipe.recipe import Recipe


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
    source = replace(source, config=as_loaded(source.config))
    _refuse_diffusers(source)
    _refuse_quantized(source)
    decisions = decide(source, recipe)
    head = plan_head(source, decisions, allow_unsupported=allow_unsupported_head)
    problems = (*decisions.problems, *head.problems)
    if problems:
        raise PlanError(problems)
    quantization = compose(decisions, recipe, head.targets or head.ignored)
    written = outputs(source, decisions)
    files, index = files_of(written, source, max_shard_size)
    beside = side_files(name for name in source.source.files if name not in source.source.links_outside)
    rewritten = dict(rewritten_files(beside, source.source))
    named = config_with_code(source.config, source.source)
    config = written_config(named, quantization, untie=decisions.head_scheme is not None)
    strays = tuple(fault.message for fault in source.faults if fault.kind in HARMLESS)
    return Plan(
        source=source,
        recipe=recipe,
        decisions=decisions,
        head=head,
        quantization_config=quantization,
        files=files,
        tasks=tuple(tasks_of(source, written, files, recipe.observer)),
        documents=index | rewritten | {"config.json": config},
        side_files=tuple(name for name in beside if name not in rewritten),
        notes=(
            *head.notes,
            *_apart(decisions),
            *loader_notes(source.config.architecture, decisions),
            *_elsewhere(source, named),
            *strays,
        ),
    )


def _apart(decisions: Decisions) -> Iterator[str]:
    tensors = {decision.tensor for decision in decisions.modules if decision.part is not None}
    if tensors:
        yield f"{len(tensors)} tensors hold all experts of a layer: each expert is written by itself, as vLLM loads them"


def _elsewhere(source: Checkpoint, named: ModelConfig) -> Iterator[str]:
    if named is not source.config:
        yield f"code of a hub model is not downloaded: the result refers to {source.source.cached_repo} for it"


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
