"""Make the real head on the device, load its real tensors, run it, and compare with the same tensors in float32.

Only the head exists: a model of any size is proven with the memory of its head. The comparison tells what the engine's kernel
makes of these tensors, not whether the tensors are right; that needs the original weights.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .dequantize import dequantized_rows
from .facts import head_names
from .headers import read_header, read_tensor
from .placement import created_on
from .recorder import storage_key
from .standins import NAMES as STAND_INS

if TYPE_CHECKING:
    from .headers import Entry
    from .model import DryModel

BLOCK_ROWS = 4096


class CannotRunError(Exception):
    """The head cannot be run on its own, for a reason of the model's code and not of the checkpoint."""


def run_head(dry: DryModel, job: dict[str, Any]) -> dict[str, Any]:
    """Run the model's head on ``head_tokens`` hidden states; raise what the engine raises."""
    from vllm.platforms import current_platform

    begun = time.monotonic()
    name = main_head_name(dry.model)
    entries = head_entries(dry, name)
    device, dtype = current_platform.device_type, dry.config.model_config.dtype
    with created_on(device, dtype), torch.inference_mode():
        head = make_head(dry, name)
        tensors = load_head(head, entries, device=device)
        head.quant_method.process_weights_after_loading(head)
        hidden = within(hidden_states(job, width=head.embedding_dim).to(device, dtype), tensors)
        start, end = head.shard_indices.org_vocab_start_index, head.shard_indices.org_vocab_end_index
        logits = head.quant_method.apply(head, hidden, bias=head.bias)[:, : end - start].float()
        expected = reference_logits(tensors, hidden, rows=range(start, end))
    kernel = kernel_name(head)
    return {
        "device": device,
        "kernel": STAND_INS.get(kernel, kernel),
        "exercised": kernel not in STAND_INS,
        "tokens": hidden.shape[0],
        "rows": end - start,
        **compare(logits, expected),
        "seconds": round(time.monotonic() - begun, 3),
    }


def main_head_name(model: torch.nn.Module) -> str:
    """Choose the language model's head among several: the one that is nested least, then the first."""
    names = head_names(model)
    if not names:
        raise CannotRunError("the model has no ParallelLMHead")
    return min(names, key=lambda name: name.count("."))


def head_entries(dry: DryModel, name: str) -> dict[str, Entry]:
    """Find the one tensor of the files that each parameter of the head was loaded from."""
    entries: dict[str, Entry] = {}
    for key, parameter in dry.model.get_submodule(name).named_parameters():
        origin = dry.recorder.origins.get(storage_key(parameter))
        if origin is None:
            raise CannotRunError(f"nothing was loaded into {name}.{key}")
        if len(origin.names) != 1 or not origin.moved:
            raise CannotRunError(f"{name}.{key} is computed by the model's own loader from {sorted(origin.names)[:3]}")
        entries[key] = dry.offered[next(iter(origin.names))]
    return entries


def make_head(dry: DryModel, name: str) -> Any:
    """Construct the head again with the arguments that the model gave it."""
    made = dry.heads.get(id(dry.model.get_submodule(name)))
    if made is None:
        raise CannotRunError(f"{name} was not made by a ParallelLMHead's constructor")
    kind, args, kwargs = made
    return kind(*args, **kwargs)


def load_head(head: torch.nn.Module, entries: dict[str, Entry], *, device: str) -> dict[str, torch.Tensor]:
    """Give each parameter's own loader its real tensor; return the tensors by parameter."""
    from vllm.model_executor.model_loader.weight_utils import default_weight_loader

    tensors: dict[str, torch.Tensor] = {}
    for key, parameter in head.named_parameters():
        if key not in entries:
            raise CannotRunError(f"the head made on the device has a parameter {key} that the model's has not")
        tensors[key] = read_tensor(entries[key]).to(device)
        getattr(parameter, "weight_loader", default_weight_loader)(parameter, tensors[key])
    return tensors


def hidden_states(job: dict[str, Any], *, width: int) -> torch.Tensor:
    """Take hidden states from a file, or make some like those after a final norm: unit size, channels of different spread."""
    if job.get("hidden_states"):
        return saved_states(Path(job["hidden_states"]))[: job["head_tokens"]]
    generator = torch.Generator("cpu").manual_seed(job.get("seed", 0))
    spread = torch.exp(0.5 * torch.randn(width, generator=generator, device="cpu"))
    return torch.randn(job["head_tokens"], width, generator=generator, device="cpu") * spread


def within(hidden: torch.Tensor, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    """Bring hidden states into the range of a static activation scale: beyond it the best kernel clips."""
    scale = tensors.get("input_scale")
    if scale is None:
        return hidden
    return hidden * (100.0 * scale.float().max() / hidden.float().abs().max()).to(hidden.dtype)


def saved_states(file: Path) -> torch.Tensor:
    """Read the only tensor of a safetensors file as [tokens, hidden]."""
    entries = list(read_header(file))
    if len(entries) != 1:
        raise CannotRunError(f"{file} holds {len(entries)} tensors, one was expected")
    tensor = read_tensor(entries[0])
    return tensor.reshape(-1, tensor.shape[-1])


def kernel_name(head: Any) -> str:
    """Name the kernel's class; empty for a dense head."""
    kernel = getattr(getattr(head, "scheme", None), "kernel", None)
    return type(kernel).__name__ if kernel is not None else ""


def reference_logits(tensors: dict[str, torch.Tensor], hidden: torch.Tensor, *, rows: range) -> torch.Tensor:
    """Multiply hidden states with the dequantized rows in float32, a block of rows at a time."""
    states = hidden.float()
    blocks = [
        states @ dequantized_rows(tensors, start, min(start + BLOCK_ROWS, rows.stop)).T for start in rows[::BLOCK_ROWS]
    ]
    logits = torch.cat(blocks, dim=1)
    bias = tensors.get("bias")
    return logits if bias is None else logits + bias.float()[rows.start : rows.stop]


def compare(logits: torch.Tensor, expected: torch.Tensor) -> dict[str, Any]:
    """Compare logits with the expected ones: direction, size, error, and the chosen token."""
    finite = bool(torch.isfinite(logits).all())
    got, want = torch.nan_to_num(logits).double(), expected.double()
    product, size = (got * want).sum(), (want * want).sum()
    return {
        "cosine": float(product / (got.norm() * want.norm()).clamp_min(1e-30)),
        "slope": float(product / size.clamp_min(1e-30)),
        "relative_error": float((got - want).norm() / want.norm().clamp_min(1e-30)),
        "top1": float((logits.argmax(1) == expected.argmax(1)).double().mean()),
        "finite": finite,
    }
