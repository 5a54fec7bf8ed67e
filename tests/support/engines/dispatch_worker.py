"""A program for vLLM's interpreter: the engine's own matching and dispatch, asked in bulk.

It is no part of the tests' path there: what it needs of its neighbour, `answer_jobs`, is run by its file.
"""

from __future__ import annotations

import copy
import runpy
from pathlib import Path
from typing import Any

import torch


def match(job: dict[str, Any]) -> dict[str, Any]:
    """Answer cases of matching: ``layer_name``, ``class``, ``targets``, ``ignore``, ``fused`` (name -> parts).

    Each answer has ``target`` and ``ignored`` as the engine's own functions give them; ``error`` names what either raised.
    """
    from vllm.model_executor.layers.quantization.compressed_tensors import utils

    answers = []
    for case in job["cases"]:
        module = type(case["class"], (torch.nn.Module,), {})()
        name, fused = case["layer_name"], case.get("fused", {})
        found: dict[str, Any] = {"target": None, "ignored": None, "error": None}
        try:
            found["ignored"] = utils.should_ignore_layer(name, ignore=case.get("ignore", []), fused_mapping=fused)
            found["target"] = utils.find_matched_target(name, module, case.get("targets", []), fused)
        except Exception as error:  # noqa: BLE001 - whatever the engine raises is its answer
            found["error"] = type(error).__name__
        answers.append(found)
    return {"outcome": "loaded", "answers": answers}


def get_quant_method(job: dict[str, Any]) -> dict[str, Any]:
    """Answer cases of dispatch: ``config`` (a quantization_config), ``class`` of layer, ``prefix``, ``fused``.

    Each answer has the names of the ``method`` and ``scheme`` classes, None where the engine gives none, and what it raised.
    """
    answers = [quant_method(case) for case in job["cases"]]
    return {"outcome": "loaded", "answers": answers}


def quant_method(case: dict[str, Any]) -> dict[str, Any]:
    """Ask one configuration about one layer."""
    from vllm.model_executor.layers.quantization.compressed_tensors.compressed_tensors import CompressedTensorsConfig

    layer = bare_layer(case["class"])
    try:
        config = CompressedTensorsConfig.from_config(copy.deepcopy(case["config"]))
        config.packed_modules_mapping = case.get("fused", {})
        method = config.get_quant_method(layer, case["prefix"])
    except Exception as error:  # noqa: BLE001 - whatever the engine raises is its answer
        return {"method": None, "scheme": None, "error": type(error).__name__, "message": str(error)[:300]}
    scheme = getattr(layer, "scheme", None)
    return {
        "method": None if method is None else type(method).__name__,
        "scheme": None if scheme is None else type(scheme).__name__,
        "error": None,
        "message": "",
    }


def bare_layer(name: str) -> torch.nn.Module:
    """Make a layer of the engine's class without building it: dispatch asks only its class."""
    from vllm.model_executor.layers import linear, vocab_parallel_embedding

    kind = getattr(linear, name, None) or getattr(vocab_parallel_embedding, name, None) or torch.nn.Module
    layer: torch.nn.Module = kind.__new__(kind)
    torch.nn.Module.__init__(layer)
    return layer


if __name__ == "__main__":
    answer_jobs = runpy.run_path(str(Path(__file__).with_name("vllm_worker.py")))["answer_jobs"]
    answer_jobs({"match": match, "get_quant_method": get_quant_method})
