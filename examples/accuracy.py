"""Measure what quantizing costs in accuracy: the head, the body and both, in W8A8 and W8A16, against the dense model.

    python examples/train_small_model.py demo/small-llama
    python examples/accuracy.py demo/small-llama demo/small-llama-heldout.txt --json accuracy.json

Every checkpoint is written by `ctq quantize` and loaded by transformers with compressed-tensors' own decompression, which also
rounds the activations of W8A8; nothing of ctq's arithmetic takes part in it. Models run in float32 on the values of the files, so
that only quantization makes a difference; how large the one is that bf16 arithmetic makes is the first row.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD_ONLY = ("--target", "re:.*lm_head$", "--include-lm-head")
VARIANTS: dict[str, tuple[str, ...]] = {
    "head W8A16": (*HEAD_ONLY, "--scheme", "W8A16"),
    "head W8A16 per channel": (*HEAD_ONLY, "--scheme", "W8A16", "--strategy", "channel"),
    "head W8A8": (*HEAD_ONLY, "--scheme", "W8A8"),
    "body W8A16": ("--exclude-lm-head", "--scheme", "W8A16"),
    "body W8A8": ("--exclude-lm-head", "--scheme", "W8A8"),
    "all W8A16": ("--include-lm-head", "--scheme", "W8A16"),
    "all W8A8": ("--include-lm-head", "--scheme", "W8A8"),
    "W8A8, head W8A16": ("--include-lm-head", "--scheme", "W8A8", "--lm-head-scheme", "W8A16"),
}
"""What is quantized, and the options of `ctq quantize` that do it."""
CONTEXT, BATCH = 256, 16


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """One model against the dense one over all tokens: ``top1`` is the share of equal first choices, ``kl`` in nats per token."""

    tokens: int
    top1: float
    kl: float
    perplexity: float
    perplexity_change: float


def held_out(model: Path, text: Path, tokens: int) -> torch.Tensor:
    """Return token ids ``[rows, CONTEXT]`` of the text."""
    ids = transformers.AutoTokenizer.from_pretrained(model).encode(text.read_text(encoding="utf-8"), verbose=False)
    rows = min(len(ids), tokens) // CONTEXT
    return torch.tensor(ids[: rows * CONTEXT]).view(rows, CONTEXT)


def load(folder: Path, dtype: torch.dtype = torch.float32) -> transformers.PreTrainedModel:
    """Load as anybody would."""
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()


def log_probabilities(model: transformers.PreTrainedModel, ids: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield float32 log-probabilities of a batch at a time."""
    for rows in ids.split(BATCH):
        with torch.no_grad():
            yield model(input_ids=rows).logits.float().log_softmax(-1)


def compare(dense: transformers.PreTrainedModel, other: transformers.PreTrainedModel, ids: torch.Tensor) -> Accuracy:
    """Run both on the same tokens."""
    same = divergence = mine = theirs = 0.0
    pairs = zip(log_probabilities(dense, ids), log_probabilities(other, ids), ids.split(BATCH), strict=True)
    for wanted, got, rows in pairs:
        same += (wanted.argmax(-1) == got.argmax(-1)).sum().item()
        divergence += (wanted.exp() * (wanted - got)).sum(dtype=torch.float64).item()
        theirs += -_of_next(wanted, rows).sum(dtype=torch.float64).item()
        mine += -_of_next(got, rows).sum(dtype=torch.float64).item()
    predicted = ids.shape[0] * (CONTEXT - 1)
    return Accuracy(
        tokens=ids.numel(),
        top1=same / ids.numel(),
        kl=divergence / ids.numel(),
        perplexity=math.exp(mine / predicted),
        perplexity_change=math.expm1((mine - theirs) / predicted),
    )


def _of_next(log_probability: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    return log_probability[:, :-1].gather(-1, rows[:, 1:, None])


def quantize(model: Path, out: Path, options: tuple[str, ...]) -> None:
    """Run `ctq quantize`, verification included."""
    command = [str(Path(sys.executable).with_name("ctq")), "quantize", str(model), "-o", str(out), "--quiet", *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def measure(model: Path, ids: torch.Tensor, work: Path, names: list[str]) -> Iterator[tuple[str, Accuracy]]:
    """Yield the accuracy of each variant."""
    dense = load(model)
    yield "dense in bf16", compare(dense, load(model, torch.bfloat16), ids)
    for name in names:
        out = work / name.replace(" ", "-").replace(",", "")
        quantize(model, out, VARIANTS[name])
        yield name, compare(dense, load(out), ids)


def _row(name: str, found: Accuracy) -> str:
    return f"{name:24}{found.top1:9.2%}{found.kl:11.1e}{found.perplexity:12.3f}{found.perplexity_change:+12.3%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path, help="that the model was not trained on")
    parser.add_argument("--tokens", type=int, default=65536, help="of it, at most (default 65536)")
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="one of these; repeatable (default: all)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    options = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    ids = held_out(options.model, options.text, options.tokens)
    results: dict[str, Any] = {}
    print(f"{ids.numel()} tokens\n{'':24}{'top-1':>9}{'KL':>11}{'perplexity':>12}{'change':>12}")
    with tempfile.TemporaryDirectory() as work:
        for name, found in measure(options.model, ids, Path(work), options.variant or list(VARIANTS)):
            results[name] = asdict(found)
            print(_row(name, found), flush=True)
    if options.json:
        versions = {"torch": torch.__version__, "transformers": transformers.__version__}
        options.json.write_text(json.dumps({"versions": versions, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
