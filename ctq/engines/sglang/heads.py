"""What SGLang's own model classes do with a head: how they name it, whether they tie it, and which of its tensors they load.

Data: ``data/sglang_heads.json``, of SGLang 0.5.23: read in its sources (``benchmarks/sglang_heads.py``), and what loaders do, seen
by running those classes (``benchmarks/sglang_source.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ctq.engines.data_file import read_data

_NAMES = ("lm_head", "language_model.lm_head")
"""Names that classes build heads with; both are asked where that of a class is not known."""


class Way(StrEnum):
    """What a class takes for its head, and what its loader puts there."""

    OWN = "own"
    """A head of its own; names that it does not know are passed over."""
    STRICT = "strict"
    """A head of its own; names that it does not know are refused."""
    PASSED_OVER = "passed over"
    """A head of its own that nothing is loaded into."""
    WEIGHT_ALONE = "weight alone"
    """A head of its own into which ``weight`` is loaded and nothing else."""
    SHARED = "shared"
    """A head of its own that takes the embedding's weight where the files hold none."""
    OVERWRITTEN = "overwritten"
    """A head of its own that takes the embedding's weight whatever the files hold."""
    EMBEDDING = "embedding"
    """The embedding; the tensors of a head are passed over."""
    EMBEDDING_STRICT = "embedding, strict"
    """The embedding; the tensors of a head are refused."""
    REFUSED = "refused"
    """The class refuses a config that says so."""
    UNKNOWN = "unknown"


class Given(StrEnum):
    """What a class gives its head to be dispatched by."""

    NAMED = "named"
    NAMELESS = "nameless"
    NO_CONFIG = "no"
    UNREAD = "unread"
    NOTHING = "not native"
    """There is no class of that name: the Transformers backend serves the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SglangHead:
    """How the class of an architecture treats its head; ``names`` are those that it may have there."""

    given: Given
    names: tuple[str, ...]
    untied: Way
    tied: Way


def sglang_head(architecture: str | None) -> SglangHead:
    """Return what is known of an architecture's head."""
    data = read_data("sglang_heads")
    given = next((given for given in Given if architecture in data.get(given.value, ())), Given.NOTHING)
    name = _kind_of(architecture, data["prefixes"])
    return SglangHead(
        given=given,
        names=_NAMES if name is None else (name,),
        untied=Way(_kind_of(architecture, data["untied"]) or Way.OWN),
        tied=Way(_kind_of(architecture, data["tied"]) or Way.EMBEDDING),
    )


def newest_sglang() -> str:
    """Return the newest release of SGLang that the data covers."""
    return str(read_data("sglang_heads")["version"])


def first_sglang() -> str:
    """Return the first release of SGLang that quantizes heads."""
    return str(read_data("sglang_heads")["first"])


def _kind_of(architecture: str | None, kinds: dict[str, list[str]]) -> str | None:
    return next((kind for kind, names in kinds.items() if architecture in names), None)
