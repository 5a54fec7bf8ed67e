"""Train a small Llama on text that every Python brings along, so that accuracy is measured on a model that has learnt something.

    python examples/train_small_model.py demo/small-llama        # some five minutes on two cores; nothing is downloaded

The text is the standard library's own source and documentation. One file in twenty is held out and written to
``demo/small-llama-heldout.txt``; ``examples/accuracy.py`` measures on it.
"""

from __future__ import annotations

import argparse
import math
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedModel, PreTrainedTokenizerFast

SIZES: dict[str, Any] = {
    "vocab_size": 2048,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "tie_word_embeddings": False,
}
CONTEXT, BATCH = 256, 8
HELD_OUT = 20
"""One file in so many is not trained on."""
SKIPPED = {"site-packages", "test", "tests", "lib2to3", "idlelib", "__pycache__"}
PEAK_RATE, WARM_UP = 4e-3, 20


def texts(megabytes: float) -> list[str]:
    """Return the sources of the standard library, up to a size, in the order of their names."""
    root = Path(sysconfig.get_path("stdlib"))
    files = (path for path in sorted(root.rglob("*.py")) if not SKIPPED & set(path.relative_to(root).parts))
    found, left = [], megabytes * 1e6
    for path in files:
        text = path.read_text(encoding="utf-8", errors="replace")
        left -= len(text)
        if left < 0:
            break
        found.append(text)
    return found


def train_tokenizer(training: list[str]) -> PreTrainedTokenizerFast:
    """Learn a byte-level BPE vocabulary."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZES["vocab_size"],
        special_tokens=["<s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(training, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="<s>")


def batches(ids: torch.Tensor, steps: int) -> Iterator[torch.Tensor]:
    """Yield token ids ``[BATCH, CONTEXT]`` from all over the text."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        starts = torch.randint(len(ids) - CONTEXT, (BATCH,), generator=generator)
        yield torch.stack([ids[start : start + CONTEXT] for start in starts.tolist()])


def learning_rate(step: int, steps: int) -> float:
    """Warm up, then fall along a cosine."""
    if step < WARM_UP:
        return PEAK_RATE * (step + 1) / WARM_UP
    return PEAK_RATE * (0.05 + 0.95 * (1 + math.cos(math.pi * step / steps)) / 2)


def train(ids: torch.Tensor, steps: int) -> PreTrainedModel:
    """Train from nothing in bf16 autocast with float32 weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SIZES))
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    began = time.monotonic()
    for step, batch in enumerate(batches(ids, steps)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps)
        with torch.autocast("cpu", torch.bfloat16):
            loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % 20 == 0 or step == steps - 1:
            print(f"step {step:5d}  loss {loss.item():.3f}  {time.monotonic() - began:5.0f} s", flush=True)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--steps", type=int, default=500, help=f"of {BATCH} x {CONTEXT} tokens (default 500)")
    parser.add_argument("--megabytes", type=float, default=12, help="of text, at most (default 12)")
    options = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    found = texts(options.megabytes)
    training = [text for number, text in enumerate(found) if number % HELD_OUT]
    tokenizer = train_tokenizer(training)
    ids = torch.tensor([token for text in training for token in (0, *tokenizer.encode(text, verbose=False))])
    print(f"{len(training)} files, {len(ids):,} tokens of a vocabulary of {len(tokenizer)}", flush=True)
    model = train(ids, options.steps)
    model.to(torch.bfloat16).save_pretrained(options.output)
    tokenizer.save_pretrained(options.output)
    held_out = options.output.with_name(f"{options.output.name}-heldout.txt")
    held_out.write_text("".join(found[::HELD_OUT]), encoding="utf-8")
    print(f"{options.output}, and {held_out} that it has not seen")


if __name__ == "__main__":
    main()
