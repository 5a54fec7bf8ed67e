"""FIL: the files of a checkpoint against each other, as ``ctq.checkpoint`` found them while opening it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.faults import FaultKind
from ctq.findings import Severity
from ctq.inspect.rules.faults import faults_of, one_of, one_of_kind
from ctq.inspect.rules.rule import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts.facts import Facts


def unreadable_shard(facts: Facts) -> Iterator[Hit]:
    """Report a safetensors file whose header does not hold.

    ## What it checks
    The header's length, JSON, dtypes, shapes and offsets, and that the data ends where the file ends.

    ## Why it hurts
    No engine can read the file; a truncated one is the usual trace of an interrupted copy.

    ## Example
    A shard of 4.9 GB that was cut at 2 GB.

    ## How to mend
    Fetch or copy the file again.

    ## References
    safetensors `src/tensor.rs`.
    """
    for fault in faults_of(facts, FaultKind.HEADER):
        yield Hit(where=fault.file, message=fault.message, hint="fetch or copy the file again")


def config_missing(facts: Facts) -> Iterator[Hit]:
    """Report a checkpoint without `config.json`.

    ## What it checks
    `config.json` is there. For a single file it is a note.

    ## Why it hurts
    Engines need it to know the architecture and how the tensors are quantized.

    ## Example
    A folder with nothing but `model.safetensors`.

    ## How to mend
    Copy the model's `config.json` beside the weights.

    ## References
    transformers `PretrainedConfig`.
    """
    for fault in faults_of(facts, FaultKind.CONFIG_MISSING):
        alone = facts.checkpoint.source.is_file
        yield Hit(
            where=fault.file,
            message="a file by itself: nothing says how it is meant to be quantized" if alone else fault.message,
            hint="give its folder, to judge it with config.json"
            if alone
            else (fault.error and fault.error.hint) or "copy the model's config.json beside the weights",
            severity=Severity.NOTE if alone else None,
        )


def config_invalid(facts: Facts) -> Iterator[Hit]:
    """Report a `config.json` that is not a JSON object.

    ## What it checks
    `config.json` parses. So does a `modules.json` of sentence-transformers, which vLLM reads first: a list of modules.

    ## Why it hurts
    No engine can start.

    ## Example
    A merge conflict marker, or a file cut in half.

    ## How to mend
    Restore the file.

    ## References
    RFC 8259.
    """
    yield from one_of_kind(facts, FaultKind.CONFIG_INVALID, "restore the file")


def index_invalid(facts: Facts) -> Iterator[Hit]:
    """Report an index that cannot be used.

    ## What it checks
    `model.safetensors.index.json` is JSON with a `weight_map`, whose files lie in the folder.

    ## Why it hurts
    Engines cannot tell which files to load; an entry that leaves the folder would read someone else's file.

    ## Example
    `"lm_head.weight": "../other/model.safetensors"`.

    ## How to mend
    Write the index again from the shards.

    ## References
    transformers `modeling_utils.py` (sharded checkpoints); vLLM 0.32.0 `default_loader.py` (`glob` of the folder).
    """
    yield from one_of_kind(facts, FaultKind.INDEX_INVALID, "write the index again from the shards")


def index_missing(facts: Facts) -> Iterator[Hit]:
    """Report several shards without an index.

    ## What it checks
    More than one safetensors file and no `model.safetensors.index.json`.

    ## Why it hurts
    transformers does not find the weights; vLLM loads every file that is there.

    ## Example
    Shards that were copied with `cp *.safetensors`.

    ## How to mend
    Copy the index too, or write it again from the shards.

    ## References
    transformers `modeling_utils.py` (sharded checkpoints).
    """
    yield from one_of_kind(facts, FaultKind.INDEX_MISSING, "copy the index too, or write it again from the shards")


def shard_missing(facts: Facts) -> Iterator[Hit]:
    """Report files that the index names and that are not there, or not where engines look.

    ## What it checks
    Every file of the index's `weight_map` exists, and lies beside `config.json`, as do the weights where there is no index.

    ## Why it hurts
    Loading fails, or the tensors of the file stay uninitialised. vLLM looks for weights in the folder itself alone.

    ## Example
    An upload that stopped at `model-00007-of-00030.safetensors`.

    ## How to mend
    Fetch or copy the missing files.

    ## References
    transformers `modeling_utils.py` (sharded checkpoints).
    """
    yield from one_of_kind(facts, FaultKind.SHARD_MISSING, "fetch or copy the missing files")
    nested = [name for name in facts.checkpoint.headers if "/" in name]
    if nested:
        yield Hit(
            where=nested[0],
            message=f"{nested[0]} lies in a folder inside, where vLLM does not look for weights",
            hint="move the weights and their index beside config.json",
        )


def tensor_not_in_index(facts: Facts) -> Iterator[Hit]:
    """Report tensors that the index does not know, or puts into another file than the one that has them.

    ## What it checks
    Every tensor of the shards is in the index's `weight_map`, under the file that it lies in.

    ## Why it hurts
    Engines that go by the index never load it; vLLM loads whatever the files hold.

    ## Example
    A `lm_head.weight_scale` that was added to a shard by a script.

    ## How to mend
    Write the index again from the shards.

    ## References
    transformers `modeling_utils.py` (sharded checkpoints).
    """
    elsewhere = [
        fault for fault in faults_of(facts, FaultKind.TENSOR_NOT_IN_SHARD) if fault.tensor in facts.checkpoint.tensors
    ]
    faults = [*elsewhere, *faults_of(facts, FaultKind.TENSOR_NOT_IN_INDEX)]
    yield from one_of(faults, "write the index again from the shards")


def tensor_duplicate(facts: Facts) -> Iterator[Hit]:
    """Report tensors that lie in more than one file.

    ## What it checks
    No tensor name occurs in two shards.

    ## Why it hurts
    Which one counts depends on the engine: the index's choice, or whichever is loaded last. Copies in two float types are among
    them, and codes of which an engine takes those that the index names.

    ## Example
    The dense `lm_head.weight` in one shard and the int8 one in another.

    ## How to mend
    Remove the stale tensor or file.

    ## References
    vLLM 0.32.0 `weight_utils.py` (`filter_duplicate_safetensors_files`).
    """
    yield from one_of_kind(facts, FaultKind.TENSOR_DUPLICATE, "remove the stale tensor or file")


def tensor_conflict(facts: Facts) -> Iterator[Hit]:
    """Report tensors that lie in two files with different dtypes or shapes.

    ## What it checks
    A name that occurs in two shards has the same shape in both, and if one is not a float, the last file is the one that the
    index names.

    ## Why it hurts
    vLLM loads every file that the index names, whole, by the numbers in their names: another shape is refused, and what comes last
    is converted into the other's parameter.

    ## Example
    The dense `lm_head.weight` left in one shard beside the int8 one in another.

    ## How to mend
    Remove the stale tensor or file.

    ## References
    vLLM 0.32.0 `weight_utils.py` (`filter_duplicate_safetensors_files`).
    """
    yield from one_of_kind(facts, FaultKind.TENSOR_CONFLICT, "remove the stale tensor or file")
