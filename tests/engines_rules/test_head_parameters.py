"""Parameters of a head and what fits into them: shapes and shards as vLLM makes them, without any tensor."""

from __future__ import annotations

import pytest

from ctq.checkpoint.header import TensorInfo
from ctq.engines.dispatch_error import DispatchError
from ctq.engines.engine_args import EngineArgs
from ctq.engines.vllm.head.geometry import HeadGeometry
from ctq.engines.vllm.head.parameters import ParameterSpec, head_parameters
from ctq.engines.vllm.head.placement import Placements, place
from ctq.engines.vllm.rules import rules_for
from ctq.engines.vllm.scheme_predicates import SchemeArgs

HEAD = HeadGeometry(vocabulary=333, hidden=256, ranks=2)
CHANNEL = SchemeArgs(weights=EngineArgs(strategy="channel"), inputs=EngineArgs(strategy="token", dynamic=True))
GROUPS = SchemeArgs(weights=EngineArgs(strategy="group", group_size=64, symmetric=False))


def tensor(name: str, dtype: str, *shape: int) -> TensorInfo:
    return TensorInfo(name, dtype, shape, 0, 0)


def shapes(scheme: str, args: SchemeArgs, head: HeadGeometry = HEAD) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {spec.name: (spec.dtype, spec.shape) for spec in head_parameters(scheme, args, head) or ()}


def test_the_vocabulary_is_padded_to_64_and_split() -> None:
    assert (HEAD.padded, HEAD.rows_per_rank, HEAD.shard(0), HEAD.shard(1)) == (384, 192, (0, 192), (192, 333))


def test_a_rank_of_padding_alone_takes_no_rows() -> None:
    assert HeadGeometry(vocabulary=65, hidden=8, ranks=4).shard(3) == (65, 65)


def test_ranks_must_divide_the_padded_vocabulary() -> None:
    with pytest.raises(DispatchError, match="384 padded rows do not split over 5 ranks"):
        HeadGeometry(vocabulary=333, hidden=256, ranks=5).rows_per_rank  # noqa: B018


def test_int8_has_float32_scales() -> None:
    assert shapes("W8A8Int8", CHANNEL) == {"weight": ("I8", (192, 256)), "weight_scale": ("F32", (192, 1))}


def test_packed_weights_have_scales_in_the_models_dtype_and_packed_zero_points() -> None:
    assert shapes("WNA16", GROUPS) == {
        "weight_packed": ("I32", (192, 64)),
        "weight_scale": ("BF16", (192, 4)),
        "weight_shape": ("I64", (2,)),
        "weight_zero_point": ("I32", (48, 4)),
    }


def test_a_dense_head_has_its_weight_in_the_models_dtype() -> None:
    (spec,) = head_parameters(None, None, HEAD) or ()
    assert (spec.name, spec.dtype, spec.shape) == ("weight", "BF16", (192, 256))


def test_of_other_schemes_nothing_is_claimed() -> None:
    assert head_parameters("W4A4Fp4", CHANNEL, HEAD) is None


def placed(spec: ParameterSpec, found: TensorInfo, version: str | None = None) -> Placements:
    reshapes = rules_for(version).reshapes_scalar_scales
    return place([spec], {spec.name: found}, HEAD, module="h", reshapes_scalar_scales=reshapes)


SCALE = ParameterSpec(name="weight_scale", dtype="F32", shape=(192, 1))
INPUT = ParameterSpec(name="input_scale", dtype="F32", shape=(1,), layout="whole")


@pytest.mark.parametrize(
    ("found", "refused"),
    [
        (tensor("h.weight_scale", "BF16", 333, 1), False),
        (tensor("h.weight_scale", "BF16", 384, 1), True),  # padded rows in the file are refused: the engine pads
        (tensor("h.weight_scale", "BF16", 333), True),
        (tensor("h.weight_scale", "BF16"), True),
        (tensor("h.weight_scale", "BF16", 333, 4), True),
    ],
)
def test_rows_are_those_of_the_vocabulary(found: TensorInfo, refused: bool) -> None:
    assert bool(placed(SCALE, found).refusals) is refused


def test_one_value_fills_a_row_without_a_word() -> None:
    wide = ParameterSpec(name="weight_scale", dtype="BF16", shape=(192, 4))
    assert placed(wide, tensor("h.weight_scale", "BF16", 333, 1)).refusals == ()


@pytest.mark.parametrize(("version", "refused"), [("0.22.1", True), ("0.23.0", False)])
def test_a_scalar_scale_is_reshaped_from_0_23_on(version: str, refused: bool) -> None:
    assert bool(placed(INPUT, tensor("h.input_scale", "F32"), version).refusals) is refused


@pytest.mark.parametrize(
    ("parameter", "stored", "converted"),
    [("F32", "BF16", False), ("I8", "BF16", True), ("BF16", "I8", True), ("I64", "I32", False), ("I32", "F32", True)],
)
def test_only_a_change_of_kind_loses_the_meaning(parameter: str, stored: str, converted: bool) -> None:
    spec = ParameterSpec(name="weight", dtype=parameter, shape=(192, 1))
    assert bool(placed(spec, tensor("h.weight", stored, 333, 1)).converted) is converted


def test_weight_shape_may_be_missing_since_nobody_reads_it() -> None:
    specs = head_parameters("WNA16", GROUPS, HEAD) or ()
    missing = place(specs, {}, HEAD, module="h", reshapes_scalar_scales=True).missing
    assert missing == ("h.weight_packed", "h.weight_scale", "h.weight_zero_point")


def test_an_order_of_columns_has_a_place_where_the_config_states_one() -> None:
    weights = EngineArgs(strategy="group", group_size=64, actorder="group")
    assert shapes("WNA16", SchemeArgs(weights=weights))["weight_g_idx"] == ("I32", (256,))
