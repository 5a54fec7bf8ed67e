"""Tasks are cut into units that cover every row and byte exactly once, always the same way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ctq.checkpoint.weight_slice import WeightSlice
from ctq.quantize.tasks import CopyTask, Place, QuantizeTask, output_parts
from ctq.quantize.units import ROW_MULTIPLE, UNIT_BYTES, CopyUnit, RowUnit, units_of
from ctq.recipe.schemes import SCHEMES, variant


@given(rows=st.integers(1, 500_000), columns=st.integers(1, 20_000))
def test_rows_are_covered_once_in_bounded_units(rows: int, columns: int) -> None:
    nbytes = rows * columns * 2
    task = QuantizeTask(
        module="m", weight=WeightSlice("m.weight", rows, columns), dtype="BF16", scheme=SCHEMES["W8A8"],
        source=Place("a", 0, nbytes), outputs={},
    )  # fmt: skip
    units = [unit for unit in units_of([task]) if isinstance(unit, RowUnit)]
    assert [unit.start for unit in units[1:]] == [unit.stop for unit in units[:-1]]
    assert (units[0].start, units[-1].stop) == (0, rows)
    assert all(unit.start % ROW_MULTIPLE == 0 for unit in units)
    assert sum(unit.nbytes for unit in units) == nbytes
    assert all(unit.nbytes <= max(UNIT_BYTES, ROW_MULTIPLE * columns * 2) for unit in units)


@given(nbytes=st.integers(0, 5 * UNIT_BYTES), source=st.integers(0, 1000), target=st.integers(0, 1000))
def test_bytes_are_copied_once_to_their_place(nbytes: int, source: int, target: int) -> None:
    task = CopyTask(tensor="t", source=Place("a", source, nbytes), target=Place("b", target, nbytes))
    units = [unit for unit in units_of([task]) if isinstance(unit, CopyUnit)]
    assert sum(unit.nbytes for unit in units) == nbytes
    position = 0
    for unit in units:
        assert (unit.source.offset - source, unit.target.offset - target) == (position, position)
        position += unit.nbytes


def test_parts_of_each_scheme() -> None:
    packed = variant(SCHEMES["W8A16"], symmetric=False)
    assert output_parts("BF16", 6, 256, SCHEMES["W8A8"]) == {
        "weight": ("I8", (6, 256)),
        "weight_scale": ("BF16", (6, 1)),
    }
    assert output_parts("F16", 6, 256, packed) == {
        "weight_packed": ("I32", (6, 64)),
        "weight_scale": ("F16", (6, 2)),
        "weight_shape": ("I64", (2,)),
        "weight_zero_point": ("I32", (2, 2)),
    }
