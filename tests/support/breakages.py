"""Ways to break a healthy checkpoint, each of which one rule of `ctq inspect` must name, alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from builders import INDEX, drop_tensor, edit_config, edit_index, edit_tensors, tiny_quantized
from raw_safetensors import Raw, edit_header, from_floats, from_numpy, read_file, write_file

if TYPE_CHECKING:
    from pathlib import Path

HEAD: Final = "lm_head"
UP: Final = "model.layers.1.mlp.up_proj"
EMBEDDING: Final = "model.embed_tokens"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakage:
    """One way: the code that must report it, what is built first (arguments of `tiny_quantized`), and what is changed."""

    code: str
    change: Callable[[Path], object]
    build: Mapping[str, Any] = field(default_factory=dict)
    deep: bool = False

    @property
    def name(self) -> str:
        """A name for the test."""
        return f"{self.code}-{getattr(self.change, '__name__', 'change')}"

    def make(self, folder: Path) -> Path:
        """Build the healthy checkpoint and break it."""
        tiny_quantized(folder, **self.build)
        self.change(folder)
        return folder


def quantization(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the quantization config in place."""
    edit_config(folder, lambda config: change(config["quantization_config"]))


def groups(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change every config group in place."""
    quantization(folder, lambda raw: [change(group) for group in raw["config_groups"].values()])


def set_targets(*targets: str) -> Callable[[Path], None]:
    """Make one group of all, the body's, with these targets."""

    def change(folder: Path) -> None:
        def merge(raw: dict[str, Any]) -> None:
            body = list(raw["config_groups"].values())[-1]
            raw["config_groups"] = {"group_0": body | {"targets": list(targets)}}

        quantization(folder, merge)

    change.__name__ = "targets-" + "-".join(target.strip("re:.*$") or "all" for target in targets)
    return change


def ignore(*patterns: str) -> Callable[[Path], None]:
    """Set the ignore list."""

    def change(folder: Path) -> None:
        quantization(folder, lambda raw: raw.update(ignore=list(patterns)))

    change.__name__ = "ignore-" + "-".join(pattern.strip("re:.*$") for pattern in patterns)
    return change


def drop(*names: str) -> Callable[[Path], None]:
    """Remove tensors."""

    def change(folder: Path) -> None:
        for name in names:
            drop_tensor(folder, name)

    change.__name__ = "without-" + names[0]
    return change


def put(name: str, make: Callable[[Mapping[str, Raw]], Raw]) -> Callable[[Path], None]:
    """Add or replace one tensor."""

    def change(folder: Path) -> None:
        edit_tensors(folder, lambda tensors: tensors.__setitem__(name, make(tensors)))

    change.__name__ = "with-" + name
    return change


def store_dense(module: str) -> Callable[[Path], None]:
    """Put a float weight in the place of a quantized one."""

    def change(folder: Path) -> None:
        def swap(tensors: dict[str, Raw]) -> None:
            rows = tensors[f"{module}.weight_scale"].shape[0]
            columns = 256 if module.endswith("down_proj") else 128
            for part in ("weight", "weight_packed", "weight_scale", "weight_shape", "weight_zero_point"):
                tensors.pop(f"{module}.{part}", None)
            tensors[f"{module}.weight"] = from_floats(np.ones((rows, columns), np.float32), "BF16")

        edit_tensors(folder, swap)

    change.__name__ = "dense-" + module
    return change


def named(name: str, change: Callable[[Path], object]) -> Callable[[Path], object]:
    """Give a change a name for the test."""

    def run(folder: Path) -> object:
        return change(folder)

    run.__name__ = name
    return run


def _scaled(shape: tuple[int, ...]) -> Callable[[Mapping[str, Raw]], Raw]:
    return lambda _: from_floats(np.full(shape, 0.01, np.float32), "BF16")


def _bytes(dtype: str, shape: tuple[int, ...], size: int) -> Callable[[Mapping[str, Raw]], Raw]:
    return lambda _: Raw(dtype, shape, b"\x01" * (int(np.prod(shape)) * size))


def _scale_value(value: float) -> Callable[[Mapping[str, Raw]], Raw]:
    def make(tensors: Mapping[str, Raw]) -> Raw:
        scales = tensors[f"{UP}.weight_scale"].floats.copy()
        scales[3] = value
        return from_floats(scales, "BF16")

    return make


def _truncate(folder: Path) -> None:
    path = sorted(folder.glob("*.safetensors"))[-1]
    path.write_bytes(path.read_bytes()[:-10])


def _duplicate(folder: Path) -> None:
    first, last = sorted(folder.glob("*.safetensors"))[:: len(list(folder.glob("*.safetensors"))) - 1]
    header, data = read_file(first)
    other, other_data = read_file(last)
    name = next(name for name in header if name.endswith("weight"))
    start, end = header[name]["data_offsets"]
    other[name] = header[name] | {"data_offsets": [len(other_data), len(other_data) + end - start]}
    write_file(last, other, other_data + data[start:end])


def _move_config_group_format(folder: Path) -> None:
    groups(folder, lambda group: group.update(format=None))


def _frozen(folder: Path) -> None:
    put(f"{UP}.weight", lambda _: from_floats(np.ones((256, 128), np.float32), "BF16"))(folder)


W8A16: Final = {"kind": "w8a16"}
CHANNEL: Final = {"kind": "w8a16-channel"}
DENSE_HEAD: Final = {"head": "dense"}
TIED: Final = {"head": "tied"}
LAYERS: Final = {"layers": 5}

BREAKAGES: Final[tuple[Breakage, ...]] = (
    # The head against the config.
    Breakage(code="HED001", change=set_targets("Linear")),
    Breakage(code="HED001", change=set_targets("Linear"), build=W8A16),
    Breakage(code="HED002", change=ignore("lm_head")),
    Breakage(code="HED002", change=ignore("re:.*lm_head$"), build=W8A16),
    Breakage(code="HED003", change=set_targets(r"re:.*layers\..*")),
    Breakage(code="HED003", change=set_targets("re:.*lmhead$", r"re:.*layers\..*"), build=W8A16),
    Breakage(code="HED004", change=store_dense(HEAD)),
    Breakage(code="HED004", change=store_dense(HEAD), build=W8A16),
    Breakage(code="HED004", change=ignore(), build=DENSE_HEAD),
    Breakage(code="HED005", change=named("named", lambda folder: [ignore()(folder), set_targets("re:.*lm_head$", "Linear")(folder)]), build=TIED),
    Breakage(code="HED005", change=ignore(), build=TIED),
    Breakage(code="HED006", change=named("tied-flag", lambda folder: edit_config(folder, lambda config: config.update(tie_word_embeddings=True)))),
    Breakage(code="HED006", change=named("tied-flag", lambda folder: edit_config(folder, lambda config: config.update(tie_word_embeddings=True))), build=W8A16),
    Breakage(code="HED008", change=set_targets("re:.*")),
    Breakage(code="HED009", change=put("model.audio_lm_head.weight", _scaled((320, 128)))),
    # The config.
    Breakage(code="CFG001", change=named("no-config", lambda folder: edit_config(folder, lambda config: config.pop("quantization_config")))),
    Breakage(code="CFG001", change=named("no-config", lambda folder: edit_config(folder, lambda config: config.pop("quantization_config"))), build={"kind": "gptq", "head": "dense"}),
    Breakage(code="CFG002", change=named("two-configs", lambda folder: edit_config(folder, lambda config: config.update(text_config={"quantization_config": {"quant_method": "fp8"}})))),
    Breakage(code="CFG003", change=named("unknown-key", lambda folder: groups(folder, lambda group: group["weights"].update(bits=8)))),
    Breakage(code="CFG003", change=named("no-method", lambda folder: quantization(folder, lambda raw: raw.pop("quant_method")))),
    Breakage(code="CFG003", change=named("targets-text", lambda folder: groups(folder, lambda group: group.update(targets="Linear")))),
    Breakage(code="CFG003", change=named("bad-strategy", lambda folder: groups(folder, lambda group: group["weights"].update(strategy="row")))),
    Breakage(code="CFG003", change=named("static-token", lambda folder: groups(folder, lambda group: group["input_activations"].update(dynamic=False)))),
    Breakage(code="CFG004", change=ignore("re:*.lm_head")),
    Breakage(code="CFG005", change=named("wrong-method", lambda folder: quantization(folder, lambda raw: [raw.clear(), raw.update(quant_method="compressed-tensors", format="pack-quantized", config_groups={})])), build={"kind": "gptq", "head": "dense"}),
    Breakage(code="CFG006", change=_move_config_group_format, build={"kind": "mixed"}),
    Breakage(code="CFG007", change=named("weight-only", lambda folder: groups(folder, lambda group: group.update(input_activations=None)))),
    Breakage(code="CFG008", change=named("int8-groups", lambda folder: _regroup(folder, 64, strategy="group"))),
    Breakage(code="CFG009", change=named("group-96", lambda folder: _regroup(folder, 96)), build=W8A16),
    Breakage(code="CFG011", change=named("frozen", lambda folder: quantization(folder, lambda raw: raw.update(quantization_status="frozen")))),
    Breakage(code="CFG011", change=named("no-status", lambda folder: quantization(folder, lambda raw: raw.pop("quantization_status"))), build=W8A16),
    Breakage(code="CFG012", change=named("actorder", lambda folder: groups(folder, lambda group: group["weights"].update(actorder="group"))), build=W8A16),
    Breakage(code="CFG013", change=named("sparse", lambda folder: quantization(folder, lambda raw: raw.update(sparsity_config={"format": "sparse-24-bitmask", "targets": ["Linear"]})))),
    Breakage(code="CFG014", change=named("no-weights", lambda folder: quantization(folder, lambda raw: raw["config_groups"].update(group_9={"targets": ["Conv1d"], "weights": None})))),
    Breakage(code="CFG015", change=named("half-ignored", lambda folder: [store_dense("model.layers.1.self_attn.q_proj")(folder), ignore("model.layers.1.self_attn.q_proj")(folder)])),
    Breakage(code="CFG016", change=named("two-patterns", lambda folder: quantization(folder, lambda raw: raw["config_groups"].update(group_9={**raw["config_groups"]["group_1"], "weights": {**raw["config_groups"]["group_1"]["weights"], "num_bits": 4}, "targets": ["re:.*lm_he.*"]})))),
    Breakage(code="CFG017", change=named("dead-target", lambda folder: quantization(folder, lambda raw: raw["config_groups"]["group_1"]["targets"].append("re:.*down_prj$")))),
    Breakage(code="CFG018", change=ignore("re:.*mlp.gate$")),
    Breakage(code="CFG018", change=ignore(".*mlp.gate")),
    # Tensors.
    Breakage(code="TEN001", change=drop(f"{UP}.weight")),
    Breakage(code="TEN001", change=drop(f"{HEAD}.weight")),
    Breakage(code="TEN001", change=drop(f"{HEAD}.weight_packed"), build=W8A16),
    Breakage(code="TEN002", change=drop(f"{UP}.weight_scale")),
    Breakage(code="TEN002", change=drop(f"{HEAD}.weight_scale")),
    Breakage(code="TEN002", change=drop(f"{HEAD}.weight_scale"), build=W8A16),
    Breakage(code="TEN003", change=_frozen),
    Breakage(code="TEN004", change=set_targets("re:.*lm_head$", r"re:.*self_attn\..*")),
    Breakage(code="TEN005", change=ignore(r"re:.*mlp\..*")),
    Breakage(code="TEN006", change=store_dense(UP)),
    Breakage(code="TEN006", change=store_dense(UP), build=W8A16),
    Breakage(code="TEN007", change=put("model.layers.1.mlp.gate.weight", _scaled((4, 128)))),
    Breakage(code="TEN007", change=put("visual.blocks.0.attn.qkv.weight", _scaled((96, 32)))),
    Breakage(code="TEN008", change=put("mtp.fc.weight", _scaled((128, 256)))),
    Breakage(code="TEN008", change=put("model.layers.2.eh_proj.weight", _scaled((128, 256)))),
    Breakage(code="TEN009", change=named("int-says-packed", lambda folder: _format(folder, "pack-quantized"))),
    Breakage(code="TEN009", change=named("packed-says-int", lambda folder: _format(folder, "int-quantized")), build=W8A16),
    Breakage(code="TEN010", change=put(f"{UP}.weight", _bytes("U8", (256, 128), 1))),
    Breakage(code="TEN010", change=put(f"{UP}.weight_scale", _bytes("I32", (256, 1), 4))),
    Breakage(code="TEN010", change=named("float-type", lambda folder: [group_type(folder, "float")])),
    Breakage(code="TEN011", change=put(f"{UP}.weight_scale", _scaled((128, 1)))),
    Breakage(code="TEN011", change=put(f"{UP}.weight_scale", _scaled((256, 2)))),
    Breakage(code="TEN011", change=put(f"{HEAD}.weight_scale", _scaled((256, 1)))),
    Breakage(code="TEN011", change=put(f"{UP}.weight_packed", _bytes("I32", (256, 24), 4)), build={"kind": "w8a16-g32"}),
    Breakage(code="TEN012", change=named("asymmetric", lambda folder: groups(folder, lambda group: group["weights"].update(symmetric=False))), build=W8A16),
    Breakage(code="TEN013", change=named("static", lambda folder: groups(folder, lambda group: group["input_activations"].update(dynamic=False, strategy="tensor")))),
    Breakage(code="TEN013", change=drop(f"{UP}.input_scale"), build={"kind": "w8a8-static"}),
    Breakage(code="TEN014", change=drop(f"{HEAD}.weight_shape"), build=W8A16),
    Breakage(code="TEN015", change=put(f"{UP}.weight_zero_point", _bytes("I8", (256, 1), 1))),
    Breakage(code="TEN015", change=put(f"{UP}.input_scale", _scaled((1,)))),
    Breakage(code="TEN015", change=put(f"{UP}.weight", _scaled((256, 128))), build=W8A16),
    Breakage(code="TEN016", change=named("embedding", lambda folder: _quantize(folder, EMBEDDING))),
    Breakage(code="TEN017", change=named("router", lambda folder: _quantize(folder, "model.layers.1.mlp.gate", rows=4))),
    Breakage(code="TEN018", change=named("experts", lambda folder: edit_tensors(folder, _fused_experts))),
    Breakage(code="TEN019", change=named("vocabulary", lambda folder: edit_config(folder, lambda config: config.update(vocab_size=300)))),
    Breakage(code="TEN020", change=drop("model.layers.1.self_attn.k_proj.weight", "model.layers.1.self_attn.k_proj.weight_scale")),
    Breakage(code="TEN020", change=drop("model.layers.2.input_layernorm.weight"), build=LAYERS),
    Breakage(code="TEN020", change=named("no-layer", lambda folder: edit_tensors(folder, lambda tensors: [tensors.pop(name) for name in list(tensors) if ".layers.3." in name])), build=LAYERS),
    Breakage(code="TEN021", change=named("odd-layer", lambda folder: [put("model.layers.2.mlp.up_proj.weight", _bytes("I8", (192, 128), 1))(folder), put("model.layers.2.mlp.up_proj.weight_scale", _scaled((192, 1)))(folder)]), build=LAYERS),
    # Files.
    Breakage(code="FIL001", change=_truncate),
    Breakage(code="FIL001", change=named("unknown-dtype", lambda folder: edit_header(sorted(folder.glob("*.safetensors"))[0], lambda header: header["model.embed_tokens.weight"].update(dtype="F7")))),
    Breakage(code="FIL002", change=named("no-config", lambda folder: (folder / "config.json").unlink()), build={**DENSE_HEAD}),
    Breakage(code="FIL003", change=named("config-text", lambda folder: (folder / "config.json").write_text("<<<<<<< HEAD"))),
    Breakage(code="FIL004", change=named("index-text", lambda folder: (folder / INDEX).write_text("{"))),
    Breakage(code="FIL004", change=named("index-outside", lambda folder: edit_index(folder, lambda index: index["weight_map"].update({"lm_head.weight": "../m.safetensors"})))),
    Breakage(code="FIL005", change=named("no-index", lambda folder: (folder / INDEX).unlink())),
    Breakage(code="FIL006", change=named("no-shard", lambda folder: sorted(folder.glob("*.safetensors"))[-1].unlink())),
    Breakage(code="FIL007", change=named("stray", lambda folder: (folder / "old.safetensors").write_bytes(sorted(folder.glob("*.safetensors"))[0].read_bytes()))),
    Breakage(code="FIL008", change=named("promised", lambda folder: edit_index(folder, lambda index: index["weight_map"].update({"model.extra.weight": sorted(index["weight_map"].values())[0]})))),
    Breakage(code="FIL009", change=named("unlisted", lambda folder: edit_index(folder, lambda index: index["weight_map"].pop("model.norm.weight")))),
    Breakage(code="FIL010", change=_duplicate),
    Breakage(code="FIL011", change=named("total", lambda folder: edit_index(folder, lambda index: index["metadata"].update(total_size=0)))),
    Breakage(code="FIL012", change=named("pickle", lambda folder: (folder / "pytorch_model.bin").write_bytes(b"\x80\x04."))),
    Breakage(code="FIL014", change=named("mode", lambda folder: sorted(folder.glob("*.safetensors"))[0].chmod(0o600))),
    # Values.
    Breakage(code="DEP001", change=put(f"{UP}.weight_scale", _scale_value(float("nan"))), deep=True),
    Breakage(code="DEP001", change=put(f"{UP}.weight_scale", _scale_value(float("inf"))), deep=True),
    Breakage(code="DEP002", change=put(f"{UP}.weight_scale", _scale_value(0.0)), deep=True),
    Breakage(code="DEP002", change=put(f"{UP}.weight_scale", _scale_value(-0.01)), deep=True),
    Breakage(code="DEP003", change=put(f"{UP}.weight_scale", _scale_value(1e6)), deep=True),
    Breakage(code="DEP004", change=put(f"{HEAD}.weight_shape", lambda _: from_numpy(np.array([320, 120], np.int64))), build=CHANNEL, deep=True),
)  # fmt: skip


def _format(folder: Path, name: str) -> None:
    quantization(folder, lambda raw: raw.update(format=name))
    groups(folder, lambda group: group.update(format=name))


def group_type(folder: Path, name: str) -> None:
    """Declare another type of numbers."""
    groups(folder, lambda group: [group["weights"].update(type=name), group["input_activations"].update(type=name)])


def _regroup(folder: Path, size: int, **weights: object) -> None:
    groups(folder, lambda group: group["weights"].update(group_size=size, **weights))

    def change(tensors: dict[str, Raw]) -> None:
        for name in [name for name in tensors if name.endswith("weight_scale")]:
            module = name.removesuffix(".weight_scale")
            packed = tensors.get(f"{module}.weight_packed")
            rows, columns = tensors[f"{module}.weight"].shape if packed is None else (packed.shape[0], packed.shape[1] * 4)
            tensors[name] = from_floats(np.full((rows, -(-columns // size)), 0.01, np.float32), "BF16")

    edit_tensors(folder, change)


def _quantize(folder: Path, module: str, rows: int = 320) -> None:
    put(f"{module}.weight", _bytes("I8", (rows, 128), 1))(folder)
    put(f"{module}.weight_scale", _scaled((rows, 1)))(folder)


def _fused_experts(tensors: dict[str, Raw]) -> None:
    for layer in range(2):
        path = f"model.layers.{layer}.mlp.experts.gate_up_proj"
        tensors[f"{path}_packed"] = Raw("I32", (4, 256, 32), b"\x01" * 4 * 256 * 32 * 4)
        tensors[f"{path}_scale"] = from_floats(np.full((4, 256, 1), 0.01, np.float32), "BF16")
