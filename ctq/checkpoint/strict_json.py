"""JSON from files that nobody vouches for: parsed strictly, in bounded memory, and refused with a cause."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, NamedTuple, NoReturn

from ctq.errors import HeaderFault

_MIN_BYTES_PER_BRACKET = 16
"""The shortest entry of a safetensors header takes 49 bytes and has two square brackets; names may hold some more."""
_CANNOT_FILL_MEMORY = 1_000_000
_SHOWN_CHARACTERS = 200


class JsonError(ValueError):
    """Bytes that are not the JSON they should be; ``fault`` is the cause."""

    def __init__(self, fault: HeaderFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class Parsed(NamedTuple):
    """A value, and the keys in it that hold the same object twice."""

    value: Any
    repeated: tuple[str, ...] = ()


def parse_strictly(raw: bytes) -> Parsed:
    """Parse UTF-8 JSON as the Rust readers of these files do: no NaN, no lone surrogates.

    A key twice, of which those readers take the last, is refused here, unless it holds the same object both times: then there is
    no doubt, and it is named in the answer.

    A long text with more brackets than tensors need is refused before it is parsed: 100 MB of ``[],[],...`` would take gigabytes.

    Raises:
        JsonError: with the first cause found.

    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JsonError(HeaderFault.NOT_UTF8, f"not UTF-8 at byte {error.start}") from error
    if len(text) > _CANNOT_FILL_MEMORY and max(text.count("["), text.count("{")) > len(text) // _MIN_BYTES_PER_BRACKET:
        raise JsonError(HeaderFault.NOT_A_HEADER, "more brackets than its tensors can need")
    try:
        value = json.loads(text, parse_constant=_no_constant)
        repeated: list[str] = []
        if _may_repeat_a_key(value, text):
            json.loads(text, object_pairs_hook=partial(_without_doubt, repeated))
        refuse_surrogates(value, raw)
    except JsonError:
        raise
    except (ValueError, RecursionError) as error:
        raise JsonError(HeaderFault.NOT_JSON, f"not JSON ({error})") from error
    return Parsed(value, tuple(repeated))


def refuse_surrogates(value: object, raw: bytes) -> None:
    """Refuse escaped halves of surrogate pairs in ``value``, parsed from ``raw``: no characters, they cannot even be printed.

    Raises:
        UnicodeEncodeError: a ``ValueError``, as of any text that is not JSON.

    """
    if b"\\u" in raw:
        json.dumps(value, ensure_ascii=False).encode()


def quoted(name: str) -> str:
    """Return a string from an untrusted file as it may stand in a message: quoted, escaped and not endless."""
    return repr(name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}…")


def _may_repeat_a_key(value: object, text: str) -> bool:
    """Compare colons with keys: a key that occurs twice leaves one colon more than the value has keys.

    Asking the parser about every object costs as much as parsing. Values of another form than these files have, and colons in
    names, only make the answer a needless yes.
    """
    try:
        return text.count(":") != len(value) + sum(map(len, value.values()))  # type: ignore[arg-type, attr-defined]
    except (TypeError, AttributeError):
        return True


def _without_doubt(repeated: list[str], pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of ``pairs``; add to ``repeated`` what it says twice, refuse what it says in two ways."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, value in pairs:
            if (key in seen and not isinstance(value, dict)) or found[key] != value:
                raise JsonError(HeaderFault.DUPLICATE_KEY, f"has {quoted(key)} twice")
            if key in seen:
                repeated.append(key)
            seen.add(key)
    return found


def _no_constant(name: str) -> NoReturn:
    raise JsonError(HeaderFault.NOT_JSON, f"not JSON ({name} is no number of it)")
