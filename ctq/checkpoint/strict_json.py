"""JSON from files that nobody vouches for: parsed strictly, in bounded memory, and refused with a cause."""

from __future__ import annotations

import json
from typing import Any, NoReturn

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


def parse_strictly(raw: bytes) -> Any:  # noqa: ANN401  # untrusted JSON
    """Parse UTF-8 JSON as the Rust readers of these files do: no NaN, no lone surrogates, and here no key twice either.

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
        if _may_repeat_a_key(value, text):
            json.loads(text, object_pairs_hook=_unique)
        refuse_surrogates(value, raw)
    except JsonError:
        raise
    except (ValueError, RecursionError) as error:
        raise JsonError(HeaderFault.NOT_JSON, f"not JSON ({error})") from error
    return value


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


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise JsonError(HeaderFault.DUPLICATE_KEY, f"has {quoted(twice)} twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise JsonError(HeaderFault.NOT_JSON, f"not JSON ({name} is no number of it)")
