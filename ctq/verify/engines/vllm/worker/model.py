"""Build the engine's real model class on the meta device and let its own loader load tensors without bytes."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .faults import lacks_bytes
from .headers import Entry, read_headers
from .placement import created_on, kept_on_meta, move_to_meta, small_ones_real
from .recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "tekken.json")


@dataclass
class DryModel:
    """A model on the meta device, what was offered to its loader, and what that loader wrote."""

    config: Any
    model: torch.nn.Module
    heads: dict[int, tuple[type, tuple[Any, ...], dict[str, Any]]]
    offered: dict[str, Entry] = field(default_factory=dict)
    recorder: Recorder = field(default_factory=Recorder)


def engine_config(checkpoint: str, *, tensor_parallel_size: int) -> Any:
    """Make the engine's configuration as serving would, without a tokenizer where the folder has none."""
    from vllm.engine.arg_utils import EngineArgs

    # Prefix caching has no part in loading, and CPU builds switch it off late, which hybrids then refuse.
    arguments = EngineArgs(
        model=checkpoint,
        skip_tokenizer_init=not any((Path(checkpoint) / name).exists() for name in TOKENIZERS),
        enforce_eager=True,
        enable_prefix_caching=False,
        tensor_parallel_size=tensor_parallel_size,
    )
    return arguments.create_engine_config()


def build(config: Any) -> DryModel:
    """Build the model class; also note how each head was constructed, by the identity of its module."""
    config.device_config.device = torch.device("meta")  # the Transformers backend asks this one
    try:
        return build_on(config, created_on("meta", config.model_config.dtype))
    except (NotImplementedError, RuntimeError) as error:
        if not lacks_bytes(error):
            raise
    config.compilation_config.static_forward_context.clear()
    return build_on(config, small_ones_real(config.model_config.dtype))


def build_on(config: Any, placed: contextlib.AbstractContextManager[None]) -> DryModel:
    """Build the model class with its tensors placed by a context, and end with all of them on the meta device."""
    from vllm.model_executor.model_loader.utils import initialize_model

    with remembered_heads() as heads, kept_on_meta(), placed:
        model = initialize_model(vllm_config=config)
    move_to_meta(model)
    return DryModel(config, model, heads)


@contextlib.contextmanager
def remembered_heads() -> Iterator[dict[int, Any]]:
    """Remember the class and arguments of every ParallelLMHead made meanwhile."""
    from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead

    heads: dict[int, Any] = {}
    real = ParallelLMHead.__init__

    def remember(self: Any, *args: Any, **kwargs: Any) -> None:
        heads[id(self)] = (type(self), args, kwargs)
        real(self, *args, **kwargs)

    ParallelLMHead.__init__ = remember
    try:
        yield heads
    finally:
        ParallelLMHead.__init__ = real


@contextlib.contextmanager
def meta_files(dry: DryModel) -> Iterator[None]:
    """Let the engine's default loader yield meta tensors made from the headers of the files it chose."""
    from safetensors import safe_open
    from vllm.model_executor.model_loader import default_loader

    def iterate(files: Iterable[str], *_: Any, **__: Any) -> Iterator[tuple[str, torch.Tensor]]:
        files = list(files)
        for file in files:
            # The library's own checks, which serving would make. Not as "pt": that maps the file writable, which counts as memory.
            with safe_open(file, framework="np"):
                pass
        for entry in read_headers(files):
            tensor = torch.empty(entry.shape, dtype=entry.dtype, device="meta")
            dry.offered[entry.name] = entry
            dry.recorder.adopt(entry.name, tensor)
            yield entry.name, tensor

    real = default_loader.safetensors_weights_iterator
    default_loader.safetensors_weights_iterator = iterate
    try:
        yield
    finally:
        default_loader.safetensors_weights_iterator = real


def load(dry: DryModel) -> None:
    """Run the engine's loader over the checkpoint's headers; raise what it raises."""
    from vllm.model_executor.model_loader import get_model_loader

    loader = get_model_loader(dry.config.load_config)
    with meta_files(dry), created_on("meta", dry.config.model_config.dtype), kept_on_meta(), dry.recorder:
        loader.load_weights(dry.model, dry.config.model_config)
