"""What the hub refuses, in one line that says what to do; recognised by class name, so that nothing is imported for it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from ctq.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOG_IN = "log in (hf auth login) or set HF_TOKEN to a token that may read it"


class _Words(NamedTuple):
    message: str
    hint: str


_WORDS: dict[str, _Words] = {
    "GatedRepoError": _Words(
        "gated: its owner lets only people in who accepted the terms",
        f"accept them on the model's page, then {_LOG_IN}",
    ),
    "DisabledRepoError": _Words("disabled by the hub", "choose another model"),
    "BadRequestError": _Words("the hub does not understand the request", "check the name and --revision"),
    "RevisionNotFoundError": _Words("no such revision", "give a branch, a tag or a commit of the model to --revision"),
    "EntryNotFoundError": _Words("the hub has lost a file that it lists", "try again"),
    "RepositoryNotFoundError": _Words(
        "neither a folder here nor a model that the hub shows you", f"check the spelling; if it is private, {_LOG_IN}"
    ),
    "IncompleteSnapshotError": _Words(
        "only partly in the local cache, and the hub is out of reach", "download it once with HF_HUB_OFFLINE unset"
    ),
    "OfflineModeIsEnabled": _Words(
        "HF_HUB_OFFLINE is set, which forbids asking the hub", "unset it, or give a local folder"
    ),
    "LocalEntryNotFoundError": _Words(
        "neither a folder here nor in the local cache, and the hub is out of reach",
        "download it once with HF_HUB_OFFLINE unset",
    ),
    "LocalTokenNotFoundError": _Words("a token is asked for and there is none", _LOG_IN),
    "HFValidationError": _Words("neither a folder here nor a hub id", "give a local folder, or a hub id like ORG/NAME"),
    **dict.fromkeys(
        ("JSONDecodeError", "KeyError", "TypeError", "InvalidURL"),
        _Words("what was asked does not answer as a hub does", "check HF_ENDPOINT"),
    ),
}
"""By the names of huggingface_hub's error classes, subclasses before their bases."""

_BY_STATUS: dict[int, _Words] = {
    401: _Words("the hub does not accept the token", _LOG_IN),
    403: _Words("the token may not read it", _LOG_IN),
    429: _Words(
        "the hub has had too many requests from here", "wait some minutes; requests with a token may be more frequent"
    ),
}
_UNREACHABLE = (
    "check the spelling of a folder, the network and HF_ENDPOINT; with HF_HUB_OFFLINE=1 only the local cache is used"
)


@contextmanager
def in_plain_words(label: str) -> Iterator[None]:
    """Turn whatever huggingface_hub and its HTTP client raise in here into one line about ``label``.

    Raises:
        CheckpointError: instead of it.

    """
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        words = _words(error)
        if words is None:
            raise
        raise CheckpointError(f"{label}: {words.message}", hint=words.hint) from error


def _words(error: Exception) -> _Words | None:
    classes = [cls.__name__ for cls in type(error).__mro__]
    known = next((_WORDS[name] for name in classes if name in _WORDS), None)
    if known:
        return known
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return _BY_STATUS.get(status) or _Words(f"the hub answered with HTTP status {status}", "try again later")
    if "HTTPError" in classes or isinstance(error, OSError):
        return _Words(f"no folder here, and the hub is out of reach ({_first_line(error)})", _UNREACHABLE)
    return None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
