"""FIL: files beside the weights, and what the file system says of them."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import TYPE_CHECKING

from ctq.checkpoint.faults import FaultKind
from ctq.findings import named
from ctq.inspect.rules.faults import one_of_kind
from ctq.inspect.rules.rule import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts.facts import Facts

_CONSOLIDATED = "consolidated*.safetensors"


def wrong_total_size(facts: Facts) -> Iterator[Hit]:
    """Report an index whose `total_size` is not the size of the tensors.

    ## What it checks
    `metadata.total_size` of the index against the bytes of all tensors.

    ## Why it hurts
    Loaders plan memory and progress by it; a wrong one shows that the index was not written for these shards.

    ## Example
    The dense model's total beside quantized shards, or 0.

    ## How to mend
    Write the index again from the shards.

    ## References
    huggingface_hub `serialization`.
    """
    yield from one_of_kind(facts, FaultKind.TOTAL_SIZE, "write the index again from the shards")


def pickle_beside(facts: Facts) -> Iterator[Hit]:
    """Report pickles beside the weights.

    ## What it checks
    Files ending in `.bin`, `.pt`, `.pth`, `.ckpt` or `.pkl`.

    ## Why it hurts
    Loading a pickle runs code. Beside a quantized checkpoint it is also the dense model once more, uploaded and downloaded with it.

    ## Example
    `pytorch_model.bin` or `training_args.bin` in a release folder.

    ## How to mend
    Remove it from the release.

    ## References
    Python's `pickle` documentation, the warning at its top.
    """
    yield from one_of_kind(facts, FaultKind.PICKLE, "remove it from the release")


def link_outside(facts: Facts) -> Iterator[Hit]:
    """Note links that lead out of the folder.

    ## What it checks
    Symbolic links to files elsewhere, other than those of the hub's cache.

    ## Why it hurts
    A copy of the folder does not hold what the links stand for, and what is inspected here may be replaced there.

    ## Example
    `model.safetensors -> /scratch/run7/model.safetensors`.

    ## How to mend
    Copy the file into the folder before publishing it.

    ## References
    `cp --dereference`.
    """
    yield from one_of_kind(facts, FaultKind.LINK_OUTSIDE, "copy the file into the folder before publishing it")


def unreadable_mode(facts: Facts) -> Iterator[Hit]:
    """Note files that only their owner can read.

    ## What it checks
    The mode bits of the weights, the index and the config in a local folder: neither group nor others may read.

    ## Why it hurts
    A server that runs as another user fails to start, with a permission error that nobody expects from a model.

    ## Example
    `model-00001-of-00002.safetensors` with mode 0600, as the safetensors library of 2026 writes every file.

    ## How to mend
    `chmod a+r` the files.

    ## References
    safetensors issue #782.
    """
    if facts.unreadable:
        yield Hit(
            where=facts.unreadable[0],
            message=f"{named(facts.unreadable, 1)}: only the owner may read it",
            hint="chmod a+r the files",
        )


def entry_twice(facts: Facts) -> Iterator[Hit]:
    """Report a tensor whose entry stands twice in the header of one file, both times the same.

    ## What it checks
    No name occurs twice in a header. Where the entries differ the header cannot be used (FIL001).

    ## Why it hurts
    The format forbids it. The safetensors library takes the last entry and says nothing; other readers may refuse the file.

    ## Example
    A script that appends `lm_head.weight` to a header without looking for it.

    ## How to mend
    Write the file again, for example with `safetensors.torch.save_file`.

    ## References
    safetensors `README.md` (format: duplicate keys are disallowed).
    """
    yield from one_of_kind(facts, FaultKind.ENTRY_TWICE, "write the file again")


def consolidated_elsewhere(facts: Facts) -> Iterator[Hit]:
    """Report a `consolidated` file in a folder inside the checkpoint.

    ## What it checks
    No folder inside the checkpoint holds a file `consolidated*.safetensors`, unless one lies beside the weights too.

    ## Why it hurts
    vLLM looks for such a file in all folders; where there is one, it loads what is called so beside `config.json` and nothing else:
    *Cannot find any model weights*.

    ## Example
    `original/consolidated.00.safetensors`, beside shards made from it.

    ## How to mend
    Leave the folder out, or move it elsewhere.

    ## References
    vLLM 0.32.0 `default_loader.py:170`, `transformers_utils/repo_utils.py:174`.
    """
    found = [name for name in facts.checkpoint.source.files if fnmatch(name.rpartition("/")[2], _CONSOLIDATED)]
    if found and all("/" in name for name in found):
        yield Hit(
            where=found[0],
            message=f"{found[0]}: for this file's name, vLLM passes over the weights of the checkpoint and finds none",
            hint="leave the folder out, or move it elsewhere",
        )
