"""The plan of the run that made a result of ctq, by its record's recipe and the reference: what its tensors have to be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ctq.checkpoint.shards import DEFAULT_SHARD_SIZE, parse_size
from ctq.errors import CheckpointError, CtqError, PlanError
from ctq.quantize.plan import build_plan
from ctq.quantize.side_files import PROVENANCE_NAME
from ctq.quantize.tasks import QuantizeTask, output_specs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.checkpoint.header import TensorInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPlan:
    """What ctq would write for the reference today: the weights to quantize, and the config that says so."""

    tasks: tuple[QuantizeTask, ...]
    quantization_config: Mapping[str, Any]

    def ill_formed(self, task: QuantizeTask, tensors: Mapping[str, TensorInfo]) -> str | None:
        """Return the first tensor of a weight that is not there, or has another dtype or shape than it has to have."""
        for spec in output_specs(task.module, task.dtype, (task.rows, task.columns), task.scheme):
            found = tensors.get(spec.name)
            if found is None or (found.dtype, found.shape) != (spec.dtype, spec.shape):
                return spec.name
        return None


def own_plan(record: dict[str, Any], reference: Checkpoint) -> OwnPlan:
    """Plan again the run that the record describes.

    Raises:
        CheckpointError: the record's recipe cannot be read, or does not fit the reference.

    """
    from ctq.recipe.recipe_file import recipe_from_json

    try:
        recipe = recipe_from_json(record["recipe"], origin=PROVENANCE_NAME)
        # A target that names the head decides for it without `lm_head` saying so: the record tells the outcome.
        recipe = replace(recipe, lm_head=bool(record["lm_head"]["quantized"]))
        size = parse_size(DEFAULT_SHARD_SIZE)
        plan = build_plan(reference, recipe, max_shard_size=size, allow_unsupported_head=True)
    except PlanError as error:
        raise CheckpointError(
            f"{PROVENANCE_NAME}: its recipe does not fit the reference: {error.problems[0].message}"
        ) from error
    except (CtqError, KeyError, TypeError) as error:
        raise CheckpointError(f"{PROVENANCE_NAME}: not a record that can be followed: {error}") from error
    tasks = tuple(task for task in plan.tasks if isinstance(task, QuantizeTask))
    return OwnPlan(tasks=tasks, quantization_config=plan.quantization_config)
