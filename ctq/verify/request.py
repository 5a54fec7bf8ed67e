"""What a verification is asked to prove, as one value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from ctq.inspect.facts.facts import Expected
    from ctq.verify.engine_names import EngineName

Device = Literal["auto", "cuda", "cpu"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What numbers must keep to.

    ``min_sqnr`` in decibels for every quantized weight against the reference (None: a default for the bits of each);
    ``min_top1`` the share of tokens on which the head and the reference's head choose the same one; ``strict`` also asks for the
    half-step bound of round-to-nearest.
    """

    min_sqnr: float | None = None
    min_top1: float = 0.90
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyRequest:
    """A checkpoint, what is expected of its head, and who is to prove it.

    ``expected`` None asks for what the checkpoint's own config declares. ``engines`` empty means builtin, and vllm where it is
    installed or ``vllm_python`` names an interpreter. ``tokens`` are hidden states for the head, ``timeout_s`` seconds for one
    question to an engine in a process of its own.
    """

    checkpoint: Path
    expected: Expected | None = None
    engines: tuple[EngineName, ...] = ()
    reference: Path | None = None
    device: Device = "auto"
    tensor_parallel_size: int = 1
    hidden_states: Path | None = None
    tokens: int = 64
    seed: int = 0
    token_ids: tuple[int, ...] = ()
    vllm_python: str | None = None
    generate: int = 0
    timeout_s: float = 600.0
    workers: int = 2
    limits: Limits = field(default_factory=Limits)
