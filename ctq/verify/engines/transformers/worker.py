"""The worker of the transformers engine: loads checkpoints through ``from_pretrained`` and compares logits.

Run as a module with a request file and the name of an answer file. Nothing from a checkpoint is executed: no remote code.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from ctq.verify.engines.vllm.worker.lifeline import hold_on

_OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
_LONGEST = 600


def main(request: Path, answer: Path) -> None:
    """Answer one request; whatever a load raises is the answer."""
    job = json.loads(request.read_text(encoding="utf-8"))
    os.environ.update(_OFFLINE)
    import torch
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    device = "cuda" if job["device"] != "cpu" and torch.cuda.is_available() else "cpu"
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    result: dict[str, Any] = {"version": transformers.__version__, "device": name}
    stage = "checkpoint"
    try:
        result |= _checkpoint(job, device)
        if job["reference"]:
            stage = "reference"
            result |= _compared(result.pop("logits"), job, device)
        result.pop("logits", None)
    except Exception as error:  # noqa: BLE001  # the boundary of the process: any failure is an answer
        result.pop("logits", None)
        failed = "import" if isinstance(error, ImportError) else stage
        result |= {"failed": failed, "error": f"{type(error).__name__}: {_first_line(str(error))}"}
    answer.write_text(json.dumps(result), encoding="utf-8")


def _checkpoint(job: dict[str, Any], device: str) -> dict[str, Any]:
    """Load the checkpoint; say what the head is, what the loader missed, and give the logits."""
    model, info = _load(job["checkpoint"], device)
    head = model.get_output_embeddings()
    scheme = getattr(head, "quantization_scheme", None)
    found = {
        "head_class": type(head).__name__ if head is not None else None,
        "quantized": scheme is not None,
        "scheme": _scheme_words(scheme),
        "missing": sorted(info["missing_keys"]),
        "unexpected": sorted(info["unexpected_keys"]),
        "mismatched": sorted(str(key) for key in info["mismatched_keys"]),
    }
    began = time.monotonic()
    return {**found, "logits": _logits(model, job, device), "seconds": round(time.monotonic() - began, 3)}


def _load(folder: str, device: str) -> tuple[Any, dict[str, Any]]:
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    named = getattr(transformers, (config.architectures or [""])[0] or "-", None)
    maker = named or transformers.AutoModelForCausalLM
    model, info = maker.from_pretrained(folder, output_loading_info=True, dtype="auto")
    return model.to(device).eval(), info


def _logits(model: Any, job: dict[str, Any], device: str) -> Any:  # noqa: ANN401  # transformers has no types here
    import torch

    ids = job["token_ids"] or _some_tokens(model.config.get_text_config().vocab_size, job)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids], device=device), use_cache=False).logits
    return logits[0].float().cpu()


def _some_tokens(vocabulary: int, job: dict[str, Any]) -> list[int]:
    import torch

    generator = torch.Generator().manual_seed(job["seed"])
    return [int(token) for token in torch.randint(0, vocabulary, (job["tokens"],), generator=generator)]


def _compared(logits: Any, job: dict[str, Any], device: str) -> dict[str, Any]:  # noqa: ANN401
    from dataclasses import asdict

    from ctq.verify.logits import compare_logits

    model, _ = _load(job["reference"], device)
    expected = _logits(model, job, device)
    rows = min(logits.shape[1], expected.shape[1])
    return {"run": asdict(compare_logits(logits[:, :rows], expected[:, :rows]))}


def _scheme_words(scheme: Any) -> str | None:  # noqa: ANN401
    if scheme is None:
        return None
    activations = f"A{scheme.input_activations.num_bits}" if scheme.input_activations else "A16"
    return f"W{scheme.weights.num_bits}{activations}"


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:_LONGEST] if lines else ""


if __name__ == "__main__":
    hold_on()
    main(Path(sys.argv[1]), Path(sys.argv[2]))
