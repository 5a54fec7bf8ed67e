"""Which files of a source are its weights, and their headers, read in as few and as small reads as possible."""

from __future__ import annotations

from collections import Counter
from fnmatch import fnmatch
from functools import partial
from typing import TYPE_CHECKING

from ctq.checkpoint.config import CONFIG_NAME
from ctq.checkpoint.header import LENGTH_BYTES, Header, header_length, parse_header
from ctq.checkpoint.index import SINGLE_NAME
from ctq.errors import CheckpointError, HeaderError
from ctq.findings import named

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ctq.checkpoint.index import Index
    from ctq.checkpoint.source import Source

PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
WEIGHTS_SUFFIX = ".safetensors"
_OTHER_WEIGHTS = (
    (
        PICKLE_SUFFIXES,
        "pickles ({}), which ctq never opens",
        "convert in a place you trust: AutoModelForCausalLM.from_pretrained(...).save_pretrained(DIR)",
    ),
    ((".gguf",), "GGUF ({})", "give the Hugging Face checkpoint that it was made from"),
    (
        (".h5", ".msgpack"),
        "weights of TensorFlow or Flax ({})",
        "convert them with transformers, or fetch the safetensors",
    ),
)
"""Endings of weights in other formats, what they are, and what to do."""
_FIRST_READ = 64 * 1024
"""Without an index: most headers fit into this, so that a file costs one system call, or one request."""
_BYTES_PER_TENSOR = 192
"""With an index: a name and an entry rarely take more, so that one read of just the right size is enough."""
_SMALLEST_READ = 4096
_SHOWN = 3
_MISTRAL_CONFIG, _MISTRAL_WEIGHTS = "params.json", "consolidated*.safetensors"


def weight_files(files: Collection[str], index: Index | None) -> list[str]:
    """Return the names of the files that engines load, in order; what an index names may be missing from ``files``."""
    if index is not None:
        return sorted(set(index.weight_map.values()))
    if SINGLE_NAME in files:
        return [SINGLE_NAME]
    present = sorted(name for name in files if name.endswith(WEIGHTS_SUFFIX) and not is_hidden(name))
    return [name for name in present if "/" not in name] or present


def is_hidden(name: str) -> bool:
    """Tell a file that no engine's pattern finds: macOS leaves one (``._model.safetensors``) beside each that it copies."""
    return name.rpartition("/")[2].startswith(".")


def require_weights(source: Source) -> None:
    """Refuse a source that holds no safetensors file, or holds them in Mistral's own format.

    Raises:
        CheckpointError: it says what is there instead, and what to do.

    """
    if any(name.endswith(WEIGHTS_SUFFIX) for name in source.files):
        _refuse_shelf(source)
        _refuse_mistral(source)
        return
    for suffixes, words, hint in _OTHER_WEIGHTS:
        if found := next((name for name in source.files if name.endswith(suffixes)), None):
            raise CheckpointError(f"{source.label}: no safetensors, only {words.format(found)}", hint=hint)
    what = "not a safetensors file" if source.is_file else f"no {WEIGHTS_SUFFIX} file in it"
    raise CheckpointError(
        f"{source.label}: {what}", hint=f"give the folder that holds {CONFIG_NAME} and *{WEIGHTS_SUFFIX}"
    )


def _refuse_mistral(source: Source) -> None:
    """Refuse Mistral's own format, which vLLM makes a config of by itself (0.32.0 ``transformers_utils/config.py:830``)."""
    is_whole = _MISTRAL_CONFIG in source.files and any(fnmatch(name, _MISTRAL_WEIGHTS) for name in source.files)
    if CONFIG_NAME not in source.files and is_whole:
        raise CheckpointError(
            f"{source.label}: Mistral's own format ({_MISTRAL_CONFIG}, {_MISTRAL_WEIGHTS}), which is not judged here",
            hint=f"give the Hugging Face checkpoint, with {CONFIG_NAME}",
        )


def _refuse_shelf(source: Source) -> None:
    """Refuse a folder that is no checkpoint but holds some, each in a folder of its own."""
    if any("/" not in name and name.endswith((WEIGHTS_SUFFIX, ".json")) for name in source.files):
        return
    weights = {name.rpartition("/")[0] for name in source.files if name.endswith(WEIGHTS_SUFFIX)}
    inner = [folder for folder in sorted(weights) if f"{folder}/{CONFIG_NAME}" in source.files]
    if inner:
        raise CheckpointError(
            f"{source.label}: no checkpoint itself, but {named(inner, _SHOWN)} in it",
            hint=f"give {'one of them' if len(inner) > 1 else 'that'}: {source.label.rstrip('/')}/{inner[0]}",
        )


def read_headers(
    source: Source, names: Sequence[str], index: Index | None
) -> Iterator[tuple[str, Header | HeaderError]]:
    """Yield the header of each file, or what is wrong with it, in the order of ``names``.

    Raises:
        CheckpointError: a file cannot be read at all.

    """
    counts = Counter(index.weight_map.values()) if index else {}
    guesses = {name: max(_SMALLEST_READ, counts[name] * _BYTES_PER_TENSOR) if index else _FIRST_READ for name in names}
    read = partial(_header_or_error, source, guesses)
    return zip(names, source.concurrently(read, names), strict=True)


def _header_or_error(source: Source, guesses: dict[str, int], name: str) -> Header | HeaderError:
    try:
        return read_header(source, name, guess=guesses[name])
    except HeaderError as error:
        return error


def read_header(source: Source, name: str, *, guess: int = _FIRST_READ) -> Header:
    """Read and check the header of one safetensors file; ``guess`` is how many bytes to read at first.

    Raises:
        HeaderError: the header does not hold.

    """
    size = source.files[name]
    first = source.read(name, 0, min(guess, size))
    length = header_length(first, size, file=name)
    raw = first[LENGTH_BYTES : LENGTH_BYTES + length]
    if len(raw) < length:
        raw += source.read(name, LENGTH_BYTES + len(raw), length - len(raw))
    return parse_header(raw, size, file=name)
