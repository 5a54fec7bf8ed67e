"""What transformers makes of a checkpoint, boiled down to one word, as the sweep of loaders sees it.

The word shares nothing with `ctq.verify.engines.transformers.engine`, which is judged by it too: a model is good here when every key was
filled, every weight taken apart is near the dense original's, and the logits are those of the original and, nearer, of the weights
taken apart and written as a dense checkpoint.
"""

from __future__ import annotations

import gc
import json
import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from sweep_truth import Truth

if TYPE_CHECKING:
    from pathlib import Path

    import torch

WEIGHTS_NEAR: Final = 0.05
"""Relative error of a weight in 8 bits: about 0.01 for Gaussian rows; another weight's, or none, gives 1 and more."""
TWIN_NEAR: Final = 0.02
"""Relative error of logits without quantized activations: one multiplication in bfloat16 instead of another."""
LOGITS_NEAR: Final = 0.25
"""The same against the original, at the median token: routers of random weights change their minds over a last bit."""
_MATRIX: Final = 2
SLOPE: Final = (0.9, 1.1)
TOKENS: Final = tuple(range(3, 35))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One load. ``error`` is what it raised, at ``stage``; ``head`` is "quantized", "dense" or ""; ``worst`` the furthest weight.

    ``weights`` is the largest relative error of a weight against the original's; of logits against the original's and the twin's
    there are the cosine, the slope and the relative error at the median token; none where the original does not run on text, or the
    twin's single experts are unknown to the class.
    """

    stage: str = ""
    error: str = ""
    head: str = ""
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()
    weights: float = 0.0
    worst: str = ""
    original: tuple[float, ...] = ()
    twin: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """The original as transformers runs it: its weights by name, and its logits, None where it does not run on text."""

    seen: Seen
    weights: dict[str, torch.Tensor]
    logits: torch.Tensor | None


def read_seen(value: dict[str, Any]) -> Seen:
    """Read what `Seen.to_json` gave."""
    return Seen(**{key: tuple(item) if isinstance(item, list) else item for key, item in value.items()})


def truth_of(seen: Seen, dense: Seen, *, weight_only: bool) -> tuple[Truth, str]:
    """Return the word and the reason."""
    if seen.error:
        return Truth.REFUSED, f"{seen.stage}: {seen.error}"
    wrong = _wrong(seen, dense, weight_only=weight_only)
    if wrong:
        return Truth.GARBAGE, wrong
    return (Truth.QUANTIZED if seen.head == "quantized" else Truth.DENSE), ""


def _wrong(seen: Seen, dense: Seen, *, weight_only: bool) -> str:
    for kind in ("missing", "mismatched", "unexpected"):
        names = [name for name in getattr(seen, kind) if name not in getattr(dense, kind)]
        if names:
            return f"{kind}: {', '.join(names[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    if not seen.weights <= WEIGHTS_NEAR:
        return f"{seen.worst} is not the original's: relative error {seen.weights:.2g}"
    if weight_only and seen.twin and not seen.twin[2] <= TWIN_NEAR:
        return f"the logits are not those of the weights: relative error {seen.twin[2]:.2g}"
    if seen.original and not (SLOPE[0] <= seen.original[1] <= SLOPE[1] and seen.original[2] <= LOGITS_NEAR):
        return f"the logits are not the original's: slope {seen.original[1]:.3g}, relative error {seen.original[2]:.2g}"
    return ""


def load_dense(folder: Path) -> Dense:
    """Load and run the original."""
    try:
        model, seen = _load(folder)
    except Exception as error:  # noqa: BLE001  # what a load raises is its outcome
        return Dense(seen=Seen(stage="load", error=_words(error)), weights={}, logits=None)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        logits = _logits(model)
    except Exception as error:  # noqa: BLE001  # not every model runs on text
        return Dense(seen=replace(seen, stage="run", worst=_words(error)), weights=weights, logits=None)
    return Dense(seen=seen, weights=weights, logits=logits)


def observe(folder: Path, dense: Dense, twin: torch.Tensor | None) -> Seen:
    """Load a quantized checkpoint, run it and take its weights apart."""
    stage, seen = "load", Seen()
    try:
        model, seen = _load(folder)
        stage = "run"
        if dense.logits is not None:
            logits = _logits(model)
            seen = replace(seen, original=_compared(logits, dense.logits))
            seen = replace(seen, twin=_compared(logits, twin) if twin is not None else ())
        else:  # the first forward takes every weight apart
            stage = "decompress"
            model.hf_quantizer.compressor.decompress_model(model)
        weights, worst = _furthest(model.state_dict(), dense.weights)
    except Exception as error:  # noqa: BLE001  # as above
        return replace(seen, stage=stage, error=_words(error))
    finally:
        model = None
        gc.collect()
    return replace(seen, weights=weights, worst=worst)


def _load(folder: Path) -> tuple[Any, Seen]:
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    architecture = json.loads((folder / "config.json").read_text())["architectures"][0]
    maker = getattr(transformers, architecture)
    model, info = maker.from_pretrained(folder, output_loading_info=True, dtype="auto")
    head = model.get_output_embeddings()
    quantized = getattr(head, "quantization_scheme", None) is not None
    return model.eval(), Seen(
        head="" if head is None else "quantized" if quantized else "dense",
        missing=tuple(sorted(info["missing_keys"])),
        unexpected=tuple(sorted(info["unexpected_keys"])),
        mismatched=tuple(sorted(str(key) for key in info["mismatched_keys"])),
    )


def _logits(model: Any) -> torch.Tensor:
    """Run on text; an encoder gets the same tokens."""
    import torch

    tokens = torch.tensor([TOKENS])
    inputs = {"input_ids": tokens}
    if getattr(model.config, "is_encoder_decoder", False):
        inputs["decoder_input_ids"] = tokens
        if model.main_input_name == "input_features":
            config = model.config
            generator = torch.Generator().manual_seed(0)
            shape = (1, config.num_mel_bins, 2 * config.max_source_positions)
            features = torch.randn(shape, generator=generator).to(model.dtype)
            inputs = {"input_features": features, "decoder_input_ids": tokens}
    with torch.no_grad():
        logits: torch.Tensor = model(**inputs, use_cache=False).logits[0].float()
    return logits


def _compared(logits: torch.Tensor, expected: torch.Tensor) -> tuple[float, ...]:
    """Return cosine, slope and relative error at the median token."""
    import torch

    columns = min(logits.shape[-1], expected.shape[-1])
    found, wanted = logits[:, :columns].double(), expected[:, :columns].double()
    size = wanted.norm(dim=-1)
    inner = (found * wanted).sum(-1)
    values = (inner / (found.norm(dim=-1) * size), inner / size**2, (found - wanted).norm(dim=-1) / size)
    return tuple(float(torch.median(value)) for value in values)


def _furthest(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> tuple[float, str]:
    """Return the largest relative error of a tensor of the original, infinite where it is not there.

    Experts that a loader keeps one by one, unlike the original, are left to the logits. Rows of nothing but zeros are left out:
    transformers empties the padding token's row of an embedding, and so of a head tied to it, whatever the file holds.
    """
    worst = (0.0, "")
    for name, expected in wanted.items():
        value = found.get(name)
        if value is None and f"{name.rpartition('.')[0]}.0.down_proj.weight" in found:
            continue
        if value is None or value.shape != expected.shape:
            return math.inf, name
        size = float(expected.double().norm()) or 1.0
        away = value.double() - expected.double()
        error = float((away[expected.any(dim=-1)] if expected.ndim == _MATRIX else away).norm()) / size
        worst = max(worst, (math.inf if math.isnan(error) else error, name))
    return worst


def _words(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]
