"""Offer single tensors to the loaders of models that vLLM builds, and note which it refuses.

Started with ``PYTHON strangers_worker.py REQUEST``: a JSON list of jobs with a ``folder`` and ``strangers``, shapes by name; prints one
JSON line for each, with what vLLM says against each name. Every model is built once. Runs in vLLM's interpreter.
"""

from __future__ import annotations

from typing import Any

from vllm_worker import serve, start


def carry_out(job: dict[str, Any]) -> dict[str, Any]:
    """Build one model, and say what its loader has against each stranger alone; "" where it takes it or leaves it unread."""
    import torch
    from ctq_vllm_worker import model as engine  # type: ignore[import-not-found]
    from ctq_vllm_worker.engine import parallel_state  # type: ignore[import-not-found]
    from ctq_vllm_worker.plain_config import register_plain_config  # type: ignore[import-not-found]

    folder = job["folder"]
    try:
        register_plain_config(folder)
        config = engine.engine_config(folder, tensor_parallel_size=1)
        with parallel_state(config, size=1, rank=0):
            dry = engine.build(config)
            answers = {
                name: _said(dry, name, torch.empty(shape, dtype=config.model_config.dtype, device="meta"))
                for name, shape in job["strangers"].items()
            }
    except Exception as error:  # noqa: BLE001 - whatever the engine raises is the answer
        return {"folder": folder, "error": f"{type(error).__name__}: {str(error)[:300]}"}
    return {"folder": folder, "answers": answers}


def _said(dry: Any, name: str, tensor: Any) -> str:
    from ctq_vllm_worker import model as engine  # type: ignore[import-not-found]

    with engine.created_on("meta", dry.config.model_config.dtype), engine.kept_on_meta(), dry.recorder:
        try:
            dry.model.load_weights(iter([(name, tensor)]))
        except Exception as error:  # noqa: BLE001 - whatever the engine raises is the answer
            return f"{type(error).__name__}: {str(error)[:120]}"
    return ""


if __name__ == "__main__":
    start()
    serve("strangers", carry_out)
