"""Ask vLLM's own code about matching and dispatch: match_oracle.py CASES.json ANSWERS.json, run where it can be imported.

Schemes and methods that would look for kernels are replaced by stand-ins that remember their name; which of them is chosen, and
what the integer ones refuse, stays vLLM's decision.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import torch

CT = "vllm.model_executor.layers.quantization.compressed_tensors"
INT_SCHEMES = ("WNA16", "W8A8Int8", "WNA8Int", "WNA4Int", "WNA8O8Int", "W4A8Int", "W4A8Fp8")


class Oracle:
    """The functions and classes under test, imported by name."""

    def __init__(self) -> None:
        define_vision_operators()
        self.utils = importlib.import_module(f"{CT}.utils")
        self.module = importlib.import_module(f"{CT}.compressed_tensors")
        folder = importlib.import_module(f"{CT}.compressed_tensors_moe")
        is_folder = Path(folder.__file__ or "").name == "__init__.py"
        self.moe = (
            importlib.import_module(f"{CT}.compressed_tensors_moe.compressed_tensors_moe") if is_folder else folder
        )
        self.linear = importlib.import_module("vllm.model_executor.layers.linear")
        self.vocab = importlib.import_module("vllm.model_executor.layers.vocab_parallel_embedding")
        self.capability: int | None = None
        self._replace_schemes()
        self._replace_moe_methods()
        self.module.current_platform = self.moe.current_platform = self

    # What the module asks of the platform.
    def get_device_capability(self) -> Any:
        return None if self.capability is None else self

    def to_int(self) -> int:
        assert self.capability is not None
        return self.capability

    def is_xpu(self) -> bool:
        return False

    is_rocm = is_xpu

    def _replace_schemes(self) -> None:
        for name, scheme in list(vars(self.module).items()):
            kept = name.removeprefix("CompressedTensors") in INT_SCHEMES
            if name.startswith("CompressedTensorsW") and isinstance(scheme, type) and not kept:
                least = scheme.get_min_capability()
                setattr(self.module, name, stand_in(name, get_min_capability=classmethod(lambda _, least=least: least)))

    def _replace_moe_methods(self) -> None:
        folder = Path(self.moe.__file__).parent
        modules = [self.moe]
        for path in folder.glob("compressed_tensors_moe_w*.py"):
            with contextlib.suppress(ImportError):  # those of other platforms
                modules.append(importlib.import_module(f"{CT}.compressed_tensors_moe.{path.stem}"))
        for module in modules:
            for name, method in list(vars(module).items()):
                if isinstance(method, type) and name.endswith("MoEMethod") and name != "CompressedTensorsMoEMethod":
                    setattr(module, name, stand_in(name))

    def answer(self, cases: dict[str, Any]) -> dict[str, Any]:
        """Return ``matching`` and ``dispatch`` answers, one for each case of these kinds."""
        return {
            "matching": [self.match(case) for case in cases["matching"]],
            "dispatch": [self.dispatch(case) for case in cases["dispatch"]],
        }

    def match(self, case: dict[str, Any]) -> list[Any]:
        layer = type(case["cls"], (torch.nn.Module,), {})()
        target = attempt(lambda: self.utils.find_matched_target(case["layer"], layer, case["targets"], case["fused"]))
        return [target, attempt(lambda: self.utils.should_ignore_layer(case["layer"], case["ignore"], case["fused"]))]

    def dispatch(self, case: dict[str, Any]) -> str:
        self.capability = case["capability"]
        try:
            config = self.module.CompressedTensorsConfig.from_config(json.loads(json.dumps(case["config"])))
        except Exception as error:  # noqa: BLE001  # whatever it raises is the answer
            return f"config:{kind(error)}"
        config.packed_modules_mapping = case["fused"]
        layer = self._layer(case["cls"])
        try:
            return answer(config.get_quant_method(layer, case["prefix"]), layer)
        except Exception as error:  # noqa: BLE001
            return f"layer:{kind(error)}"

    def _layer(self, name: str) -> Any:
        experts = getattr(self.module, "RoutedExperts", None) or getattr(self.module, "FusedMoE", None)
        attention = getattr(self.module, "Attention", None) or importlib.import_module("vllm.attention.layer").Attention
        classes = {"FusedMoE": experts, "Attention": attention}
        owner = self.vocab if name in ("ParallelLMHead", "VocabParallelEmbedding") else self.linear
        cls: Any = classes.get(name) or getattr(owner, name)
        layer = cls.__new__(cls)
        if isinstance(layer, torch.nn.Module):
            torch.nn.Module.__init__(layer)
        if name == "FusedMoE":
            layer.moe_config = None
            layer.ckpt_gate_proj_name, layer.ckpt_up_proj_name, layer.ckpt_down_proj_name = (
                "gate_proj",
                "up_proj",
                "down_proj",
            )
        return layer


def define_vision_operators() -> None:
    """Define what torchvision's compiled part would: the package is often installed without it, and transformers imports it."""
    if not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "FRAGMENT")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        globals()["_vision"] = library


def stand_in(name: str, **members: Any) -> type:
    return type(name, (), {"__init__": lambda self, *args, **options: None, **members})


def attempt(call: Any) -> Any:
    try:
        return call()
    except Exception as error:  # noqa: BLE001
        return {"error": kind(error)}


def kind(error: Exception) -> str:
    return "ValueError" if isinstance(error, ValueError) else type(error).__name__


def answer(method: Any, layer: Any) -> str:
    name = type(method).__name__.removeprefix("CompressedTensors")
    if method is None:
        return "none"
    if name == "LinearMethod":
        return f"linear:{type(layer.scheme).__name__.removeprefix('CompressedTensors')}"
    if name.endswith("MoEMethod"):
        scheme = name.removesuffix("MoEMethod").removesuffix("Fused").removesuffix("Marlin")
        return f"moe:{None if scheme == 'Unquantized' else scheme}"
    return {"UnquantizedLinearMethod": "linear:None", "KVCacheMethod": "kv_cache:None"}.get(name, f"embedding:{name}")


def main() -> None:
    cases = json.loads(Path(sys.argv[1]).read_text())
    Path(sys.argv[2]).write_text(json.dumps(Oracle().answer(cases)))


if __name__ == "__main__":
    main()
