"""The head loaded and run as one rank after another, its logits put together and compared. Needs torch."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

from ctq.recipe.heads import find_head
from ctq.verify.engines.builtin.arithmetic import can_dequantize, exact_logits, kernel_logits
from ctq.verify.engines.builtin.loading import fill_rows, load_rank, torch_dtype
from ctq.verify.hidden_states import random_states, saved_states
from ctq.verify.logits import compare_logits
from ctq.verify.report import LogitsRun
from ctq.verify.row_threads import over_rows
from ctq.verify.tensor_bytes import TensorBytes

if TYPE_CHECKING:
    from ctq.checkpoint.checkpoint import Checkpoint
    from ctq.verify.engines.builtin.dispatch_head import HeadDispatch
    from ctq.verify.engines.builtin.head_loading import HeadLoading
    from ctq.verify.subject import Subject

_REFERENCE_ROWS = 1024
"""Rows of the reference's head at a time."""
_STATIC_RANGE = 100.0
"""Steps of a static activation scale that the largest hidden state is brought to: beyond 127 every kernel clips."""


def choose_device(wanted: str) -> str:
    """Return ``cuda`` where it is there and wanted, else ``cpu``."""
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"


def device_name(device: str) -> str:
    """Return what reports call the device."""
    return torch.cuda.get_device_name() if device == "cuda" else "cpu"


def capability_of(device: str) -> int | None:
    """Return the compute capability as 75, 90, ..., or None on a CPU."""
    if device != "cuda":
        return None
    major, minor = torch.cuda.get_device_capability()
    return major * 10 + minor


def can_run(head: HeadDispatch, loading: HeadLoading) -> bool:
    """Tell whether the head's arithmetic is known here."""
    return head.quantized and loading.parameters is not None and can_dequantize(head.args)


def run_head(subject: Subject, head: HeadDispatch, loading: HeadLoading, *, device: str) -> tuple[LogitsRun, ...]:
    """Run a loaded head on hidden states; compare with the dequantized head, and with the reference's where there is one.

    Raises:
        CheckpointError: a file cannot be read.
        UsageError: the hidden states given do not fit.

    """
    began = time.monotonic()
    hidden = _hidden(subject, loading).to(torch_dtype(loading.geometry.dtype)).to(device)
    with torch.no_grad():
        logits, exact, hidden = _all_ranks(subject, head, loading, hidden)
        runs = [_run(head, logits, exact, "dequantized", began)]
        if subject.reference is not None:
            began = time.monotonic()
            wanted = _reference_logits(subject.reference, hidden)
            if wanted is not None and wanted.shape == logits.shape:
                runs.append(_run(head, logits, wanted, "reference", began))
    return tuple(runs)


def _hidden(subject: Subject, loading: HeadLoading) -> torch.Tensor:
    request, width = subject.request, loading.geometry.hidden
    if request.hidden_states is not None:
        return saved_states(request.hidden_states, width=width)
    return random_states(request.tokens, width, seed=request.seed)


def _all_ranks(
    subject: Subject, head: HeadDispatch, loading: HeadLoading, hidden: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the kernel's and the exact logits ``[tokens, vocabulary]``, and the hidden states that both were given."""
    got, exact = [], []
    device = hidden.device.type
    with TensorBytes(subject.checkpoint) as reader:
        for rank in range(loading.geometry.ranks):
            parameters = load_rank(reader, loading.placements.loaded, loading.geometry, rank=rank, device=device)
            if rank == 0 and "input_scale" in parameters:
                hidden = _within(hidden, parameters["input_scale"])
            got.append(kernel_logits(head.scheme, head.args, parameters, hidden))
            exact.append(exact_logits(head.args, parameters, hidden))
    rows = loading.geometry.vocabulary
    return _joined(got)[:, :rows], _joined(exact)[:, :rows], hidden


def _joined(ranks: list[torch.Tensor]) -> torch.Tensor:
    return ranks[0] if len(ranks) == 1 else torch.cat(ranks, 1)


def _within(hidden: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    factor = _STATIC_RANGE * scale.float().max() / hidden.float().abs().max().clamp_min(1e-12)
    return hidden * factor.to(hidden.dtype)


def _reference_logits(reference: Checkpoint, hidden: torch.Tensor) -> torch.Tensor | None:
    """Multiply with the dense head of the reference (its embedding where that is tied), some rows at a time."""
    head = find_head(reference.config, reference.tensors)
    name = (head.tensor or head.embedding) if head else None
    if name is None or head is None or reference.tensors[name].shape[-1] != hidden.shape[1]:
        return None
    rows = reference.tensors[name].shape[0]
    states = hidden.float().T.contiguous()
    logits = torch.empty(states.shape[1], rows, device=hidden.device)
    with TensorBytes(reference) as reader:

        def multiply(first: int, last: int) -> None:
            block = torch.empty(min(_REFERENCE_ROWS, last - first), states.shape[0], device=hidden.device)
            for start in range(first, last, _REFERENCE_ROWS):
                part = block[: min(_REFERENCE_ROWS, last - start)]
                fill_rows(reader, part, name, start)
                logits[:, start : start + part.shape[0]] = torch.mm(part, states).T

        over_rows(rows, multiply, device=hidden.device.type)
        bias = f"{head.name}.bias"
        if bias in reference.tensors:
            added = torch.empty(rows, device=hidden.device)
            fill_rows(reader, added, bias, 0)
            logits += added
    return logits


def _run(head: HeadDispatch, logits: torch.Tensor, expected: torch.Tensor, against: str, began: float) -> LogitsRun:
    compared = compare_logits(logits, expected)
    return LogitsRun(
        engine="builtin",
        device=device_name(logits.device.type),
        kernel=kernel_name(head),
        of="head",
        against=against,
        compared=compared,
        exercised=True,
        seconds=round(time.monotonic() - began, 3),
    )


def kernel_name(head: HeadDispatch) -> str:
    """Return what computes the logits here."""
    return "int8 product, int32 sums" if head.scheme == "W8A8Int8" else "dequantized in blocks"
