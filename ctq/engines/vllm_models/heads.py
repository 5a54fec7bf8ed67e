"""Which architectures' heads vLLM can dispatch, and since when: reference data read from the sources of its releases."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ctq.engines.data_file import of_architecture, read_data
from ctq.engines.versions import at_or_below, version_key
from ctq.engines.vllm.backend import backend_architectures, refused_by_backend
from ctq.engines.vllm.learnt_with import LEARNT_WITH
from ctq.engines.vllm.matching import UnmatchedLayerError, find_matched_target
from ctq.engines.vllm.rules import rules_for
from ctq.engines.vllm_models.causal_lms import causal_lm_of
from ctq.engines.vllm_models.ties import ALWAYS_TIED, EMBEDDING_AS_HEAD, Tie, tie_when_tied, ways_of
from ctq.recipe.heads import ENGINE_CLASS

if TYPE_CHECKING:
    from collections.abc import Sequence

_BACKEND = "TransformersForCausalLM"
_IMPOSSIBLE = {
    None: "vLLM {version} builds no head of its own for {architecture}",
    "no": "the {architecture} of vLLM {version} does not pass the quantization config to its head",
    "none": "the {architecture} of vLLM {version} does not pass the quantization config to its head",
}


@dataclass(frozen=True, slots=True)
class HeadSupport:
    """How one release of vLLM builds the head of one architecture.

    ``prefix`` is the name that it passes ("" when it passes none, None when it builds no head); ``quant_config`` whether the
    quantization config reaches it (``yes no none conditional inner``, None without a head); ``tie_ways`` how the class ties it to
    the embedding, in the words of the reference data.
    """

    prefix: str | None
    quant_config: str | None
    tie_ways: frozenset[str]
    version: str

    @property
    def name(self) -> str:
        """The name that it passes, the first of several heads; "" where it passes none."""
        return (self.prefix or "").replace("<idx>", "0")

    @property
    def before(self) -> str:
        """What stands before `lm_head` in that name, which is where a wrapper keeps its text model."""
        return (self.prefix or "").removesuffix("lm_head")

    @property
    def is_always_tied(self) -> bool:
        """Whether the head is tied to the embedding whatever the config says."""
        return ALWAYS_TIED in self.tie_ways

    @property
    def uses_embedding(self) -> bool:
        """Whether the logits come from the embedding whatever the config says: of a head always tied, or without a head."""
        return self.is_always_tied or EMBEDDING_AS_HEAD in self.tie_ways

    @property
    def when_tied(self) -> Tie:
        """What becomes of the head's tensors where the head is tied."""
        return tie_when_tied(self.tie_ways)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Whether a checkpoint's targets reach the head in one release of vLLM, and why.

    ``prefix`` is the name under which vLLM looks the head up, where known; ``nameless`` says that the model class passes none, so
    that only the class target ``ParallelLMHead`` reaches it.
    """

    status: Literal["dispatched", "missed", "impossible", "unknown"]
    reason: str
    version: str
    target: str | None = None
    prefix: str | None = None
    nameless: bool = False


def known_versions() -> tuple[str, ...]:
    """Return the releases of vLLM that the data covers, oldest first."""
    return tuple(read_data("vllm_heads")["versions"])


def newest_vllm() -> str:
    """Return the newest release of vLLM that the data covers."""
    return known_versions()[-1]


def extracted() -> str:
    """Return the month in which the data was read from vLLM's sources."""
    return str(read_data("vllm_heads")["extracted"])


def architectures() -> tuple[str, ...]:
    """Return every architecture that vLLM registers in some release, sorted."""
    return tuple(sorted(read_data("vllm_heads")["architectures"]))


def head_support(architecture: str | None, version: str | None = None) -> HeadSupport | None:
    """Return how vLLM ``version`` (default: the newest known) builds the head of ``architecture``.

    An architecture that is not registered, but that the real vLLM was seen to load, goes through its Transformers backend; of
    older releases than the one that was seen nothing is said. None: not known, or the release is older than all known ones.

    Raises:
        UsageError: ``version`` is not a version number.

    """
    nearest = at_or_below(version or newest_vllm(), known_versions())
    if nearest is None:
        return None
    is_seen = architecture in backend_architectures() and version_key(nearest) >= version_key(LEARNT_WITH)
    return registered_support(architecture, nearest) or (registered_support(_BACKEND, nearest) if is_seen else None)


def registered_support(architecture: str | None, version: str) -> HeadSupport | None:
    """Return how ``version``, one of the known releases, builds the head in the class that it registers for ``architecture``."""
    key = version_key(version)
    rows = of_architecture("vllm_heads", architecture, ())
    for first, last, prefix, quant_config, _, tie in rows:
        if version_key(first) <= key <= version_key(last):
            return HeadSupport(prefix, quant_config, ways_of(tie), version)
    return None


def resolved_support(
    architecture: str | None, inner: str | None = None, version: str | None = None
) -> HeadSupport | None:
    """Return how the head is built, in a wrapper by the text model inside: ``inner`` is its architecture or ``model_type``.

    ``quant_config`` stays ``inner`` where that one is not known.

    Raises:
        UsageError: ``version`` is not a version number.

    """
    support = head_support(architecture, version)
    if support is None or support.quant_config != "inner":
        return support
    return _inside(support, head_support(head_owner(architecture, inner, version), version))


def head_owner(architecture: str | None, inner: str | None = None, version: str | None = None) -> str | None:
    """Return the architecture whose model class builds the head: in a wrapper that of the text model inside.

    Raises:
        UsageError: ``version`` is not a version number.

    """
    support = head_support(architecture, version)
    is_inside = support is not None and support.quant_config == "inner"
    return causal_lm_of(inner) or inner if is_inside else architecture


def head_reach(
    architecture: str | None,
    targets: Sequence[str],
    *,
    inner: str | None = None,
    version: str | None = None,
    packed: bool = False,
) -> Reach:
    """Return whether ``targets`` make vLLM ``version`` (default: newest known) quantize the head of ``architecture``.

    ``inner`` is the architecture of the text model inside a multimodal one, or its ``model_type``; ``packed`` says that the head's
    codes are called ``weight_packed``: no embedding's ``weight`` takes their place in a head that is always tied.

    Raises:
        UsageError: ``version`` is not a version number, or a target an invalid regular expression.

    """
    rules = rules_for(version or newest_vllm())
    if not rules.lm_head_branch:
        return Reach(status="impossible", reason=f"vLLM {rules.asked} quantizes no head", version=rules.asked)
    support = head_support(architecture, version)
    if support is None and (refusal := refused_by_backend(architecture, rules.asked)) is not None:
        return Reach(status="impossible", reason=refusal, version=rules.asked)
    if support is None:
        reason = f"vLLM {rules.asked} has no model class for {architecture or 'a model without an architecture'} that is known here"
        return Reach(status="unknown", reason=reason, version=rules.asked)
    owner = str(architecture)
    if support.quant_config == "inner":
        owner = causal_lm_of(inner) or inner or "the text model inside, which the config does not name,"
        support = _inside(support, head_support(owner, rules.asked))
    unreached = _unreached(support, owner, str(architecture), rules.asked, packed=packed)
    return unreached or _match(support, str(architecture), targets, rules.asked)


def _unreached(support: HeadSupport, owner: str, architecture: str, asked: str, *, packed: bool) -> Reach | None:
    """Say why no target reaches a head that ``owner`` builds, or may not; None where a target decides."""
    if support.quant_config in _IMPOSSIBLE:
        reason = _IMPOSSIBLE[support.quant_config].format(version=asked, architecture=owner)
        return Reach(status="impossible", reason=reason, version=asked, prefix=support.prefix)
    if support.is_always_tied and not (packed and support.when_tied is Tie.SHARED):
        reason = f"the {owner} of vLLM {asked} ties its head to the embedding whatever the config says"
        return Reach(status="impossible", reason=reason, version=asked, prefix=support.prefix)
    if support.quant_config != "yes":
        reason = f"in vLLM {asked} {owner} decides whether the head of {architecture} can be quantized"
        return Reach(status="unknown", reason=reason, version=asked, prefix=support.prefix)
    return None


def _inside(wrapper: HeadSupport, inner: HeadSupport | None) -> HeadSupport:
    """Return how the text model builds the head, under the name that the wrapper puts before it."""
    if inner is None or inner.quant_config == "inner":
        return wrapper
    if not inner.prefix:
        return inner
    return replace(inner, prefix=wrapper.before + inner.prefix.removeprefix("."))


def _match(support: HeadSupport, architecture: str, targets: Sequence[str], asked: str) -> Reach:
    name = support.name
    try:
        target = find_matched_target(name, ENGINE_CLASS, targets, {}, rules_for(asked))
    except UnmatchedLayerError:
        target = None
    built = f"as '{name}'" if name else "without a name"
    if target:
        reason = f"the target {target} matches the head, which {architecture} builds {built}"
        return Reach(status="dispatched", reason=reason, version=asked, target=target, prefix=name, nameless=not name)
    reason = f"no target matches the head, which the {architecture} of vLLM {asked} builds {built}"
    if not name:
        reason += f": only the class target {ENGINE_CLASS} reaches it"
    return Reach(status="missed", reason=reason, version=asked, prefix=name, nameless=not name)
