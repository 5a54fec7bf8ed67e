"""Single rows of another tool's weight that are not their originals, and ways of quantizing that must not be taken for them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pytest
from builders import edit_tensors, from_floats, tiny_checkpoint, tiny_quantized
from raw_safetensors import Raw, from_numpy

from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder
from ctq.findings import Finding, Severity
from ctq.inspect.facts.collect import collect_facts
from ctq.verify.numeric.proof import prove_weights
from ctq.verify.request import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from ctq.verify.numeric.result import WeightsReport

    Floats = npt.NDArray[np.float32]
    Codes = npt.NDArray[np.int8]

ROWS: Final = (17, 40)
VOCAB: Final = 8192
FEWER: Final = 1024


def prove(folder: Path, reference: Path, limits: Limits | None = None) -> tuple[WeightsReport, tuple[Finding, ...]]:
    facts = collect_facts(open_checkpoint(LocalFolder(folder)))
    return prove_weights(facts, open_checkpoint(LocalFolder(reference)), limits=limits or Limits(), workers=2)


def errors(findings: tuple[Finding, ...]) -> dict[str, str]:
    return {item.where: item.code for item in findings if item.severity is Severity.ERROR}


def _reordered(raw: Raw, order: list[int]) -> Raw:
    """Return the tensor with its rows in another order."""
    size = len(raw.data) // raw.shape[0]
    return replace(raw, data=b"".join(raw.data[row * size : (row + 1) * size] for row in order))


def _exchanged(raw: Raw) -> Raw:
    order = list(range(raw.shape[0]))
    order[ROWS[0]], order[ROWS[1]] = ROWS[1], ROWS[0]
    return _reordered(raw, order)


def _shifted(raw: Raw) -> Raw:
    order = list(range(raw.shape[0]))
    order[ROWS[0]] = ROWS[0] + 1
    return _reordered(raw, order)


def _negated(raw: Raw) -> Raw:
    """Turn the signs of a row of codes: a code is the byte less 128 where it is packed."""
    flip = 128 if raw.dtype == "I32" else 0
    data = np.frombuffer(raw.data, np.uint8).reshape(raw.shape[0], -1).copy()
    codes = (data[ROWS[0]] ^ flip).view(np.int8)
    data[ROWS[0]] = np.negative(codes.clip(-127)).view(np.uint8) ^ flip
    return replace(raw, data=data.tobytes())


def _nothing(raw: Raw) -> Raw:
    data = bytearray(raw.data)
    size = len(data) // raw.shape[0]
    data[ROWS[0] * size : (ROWS[0] + 1) * size] = (b"\x80" if raw.dtype == "I32" else b"\0") * size
    return replace(raw, data=bytes(data))


FAULTS: dict[str, tuple[str, Callable[[Raw], Raw]]] = {
    "two rows' scales exchanged": ("weight_scale", _exchanged),
    "two rows' codes exchanged": ("weight", _exchanged),
    "a row shifted": ("weight", _shifted),
    "a row negated": ("weight", _negated),
    "a row's scale zero": ("weight_scale", _nothing),
    "a row's codes zero": ("weight", _nothing),
}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The original; its head has so many rows that a wrong one does not show on the whole."""
    return tiny_checkpoint(tmp_path_factory.mktemp("rows") / "r", vocab=VOCAB)


def _changed(folder: Path, kind: str, part: str, change: Callable[[Raw], Raw]) -> Path:
    def edit(tensors: dict[str, Raw]) -> None:
        name = next(name for name in (f"lm_head.{part}_packed", f"lm_head.{part}") if name in tensors)
        tensors[name] = change(tensors[name])

    edit_tensors(tiny_quantized(folder, kind=kind, vocab=VOCAB), edit)
    return folder


@pytest.mark.parametrize("kind", ["w8a8", "w8a16"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_row_that_is_not_its_original_is_found_and_named(
    tmp_path: Path, reference: Path, kind: str, fault: str
) -> None:
    found, findings = prove(_changed(tmp_path / "m", kind, *FAULTS[fault]), reference)
    assert found.modules["lm_head"].sqnr_db > 30, "on the whole the weight is near"
    assert errors(findings) == {"lm_head": "VER021"}
    assert any(f"row {row} " in findings[0].message for row in ROWS)


@pytest.mark.parametrize("fault", ["a row shifted", "two rows' codes exchanged"])
@pytest.mark.parametrize("kind", ["w4a16", "fp8"])
def test_rows_of_forms_with_fewer_digits_too(tmp_path: Path, reference: Path, kind: str, fault: str) -> None:
    assert errors(prove(_changed(tmp_path / "m", kind, *FAULTS[fault]), reference)[1]) == {"lm_head": "VER021"}


def _rounded(weight: Floats, scale: Floats) -> Codes:
    return np.clip(np.rint(weight / scale), -128, 127).astype(np.int8)


def _channel(weight: Floats) -> Floats:
    return from_floats(np.maximum(np.abs(weight).max(1, keepdims=True) / 127.5, np.float32(1e-12)), "BF16").floats


def _gptq(weight: Floats, scale: Floats, *, rank: int, damp: float) -> Codes:
    """Round column by column, what each rounding loses made up for by the columns to come: GPTQ."""
    random = np.random.default_rng(1)
    columns = weight.shape[1]
    activations = random.standard_normal((4 * columns, rank)) @ random.standard_normal((rank, columns))
    activations += 0.1 * random.standard_normal(activations.shape)
    hessian = activations.T @ activations
    hessian += damp * np.mean(np.diag(hessian)) * np.eye(columns)
    upper = np.linalg.cholesky(np.linalg.inv(hessian)).T
    left, codes = weight.astype(np.float64), np.empty(weight.shape, np.int8)
    for column in range(columns):
        codes[:, column] = _rounded(left[:, column], scale[:, 0])
        lost = (left[:, column] - codes[:, column] * scale[:, 0]) / upper[column, column]
        left[:, column + 1 :] -= lost[:, None] * upper[column, column + 1 :]
    return codes


def _with_head(folder: Path, codes: Codes, scale: Floats, dense: Floats | None = None) -> Path:
    def edit(tensors: dict[str, Raw]) -> None:
        if dense is None:
            tensors |= {"lm_head.weight": from_numpy(codes), "lm_head.weight_scale": from_floats(scale, "BF16")}
        else:
            tensors["lm_head.weight"] = from_floats(dense, "BF16")

    edit_tensors(folder, edit)
    return folder


def _gaussian() -> Floats:
    random = np.random.default_rng(0)
    spread = np.exp(0.4 * random.standard_normal((FEWER, 1)))
    return from_floats((spread * random.standard_normal((FEWER, 128)) / 11).astype(np.float32), "BF16").floats


def _outliers() -> Floats:
    """A few rows hold one value that is far larger than all others, one row is nearly nothing, one is nothing."""
    weight = _gaussian()
    weight[::512, 7] *= 500
    weight[5] *= np.float32(1e-30)
    weight[6] = 0
    return from_floats(weight, "BF16").floats


@pytest.mark.parametrize("weight", [_gaussian(), _outliers()], ids=["gaussian", "outliers"])
@pytest.mark.parametrize(
    ("rank", "damp"), [(1000, 0.01), (8, 0.01), (32, 0.0001)], ids=["white", "few directions", "little damped"]
)
def test_rows_whose_errors_make_up_for_each_other_are_sound(
    tmp_path: Path, weight: Floats, rank: int, damp: float
) -> None:
    scale = _channel(weight)
    reference = _with_head(tiny_checkpoint(tmp_path / "r", vocab=FEWER), np.empty(0, np.int8), scale, weight)
    folder = _with_head(
        tiny_quantized(tmp_path / "m", kind="w8a8", vocab=FEWER), _gptq(weight, scale, rank=rank, damp=damp), scale
    )
    found, findings = prove(folder, reference)
    assert errors(findings) == {}
    assert found.modules["lm_head"].block.largest_error_steps > 0.6, "it is no rounding to nearest"


@pytest.mark.parametrize("scale_of", ["one for all", "clipped"])
def test_rows_of_large_values_are_sound(tmp_path: Path, scale_of: str) -> None:
    weight = _outliers()
    scale = (
        np.full((FEWER, 1), _channel(weight).max(), np.float32)
        if scale_of == "one for all"
        else _channel(weight) * np.float32(0.8)
    )
    reference = _with_head(tiny_checkpoint(tmp_path / "r", vocab=FEWER), np.empty(0, np.int8), scale, weight)
    folder = _with_head(tiny_quantized(tmp_path / "m", kind="w8a8", vocab=FEWER), _rounded(weight, scale), scale)
    assert "VER021" not in {item.code for item in prove(folder, reference, Limits(min_sqnr=-10.0))[1]}


def test_columns_scaled_to_smooth_activations_pass_where_less_is_asked(tmp_path: Path) -> None:
    weight = _gaussian()
    smooth = np.exp(0.7 * np.random.default_rng(2).standard_normal((1, 128))).astype(np.float32)
    scale = _channel(weight * smooth)
    reference = _with_head(tiny_checkpoint(tmp_path / "r", vocab=FEWER), np.empty(0, np.int8), scale, weight)
    folder = _with_head(
        tiny_quantized(tmp_path / "m", kind="w8a8", vocab=FEWER), _rounded(weight * smooth, scale), scale
    )
    assert errors(prove(folder, reference)[1]) == {"lm_head": "VER001"}
    assert errors(prove(folder, reference, Limits(min_sqnr=-10.0))[1]) == {}
