"""Build the checkpoint that ``make demo`` quantizes: a small real Llama with a large vocabulary, sharded, with a tokenizer.

    python examples/demo_checkpoint.py demo/tiny-llama

Nothing is downloaded and the weights are random, but everything else is as transformers saves it. As in small published
models, the head and the embeddings are most of the bytes. The same command gives the same bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TEXT = """The head of a language model turns the last hidden state into one score for every entry of the vocabulary.
It is read once per token, so its bytes are paid for at every step of decoding.
Eight bits are enough for it, and half the bytes are twice the speed where memory is the limit."""
SIZES: dict[str, Any] = {
    "vocab_size": 16384,
    "hidden_size": 512,
    "intermediate_size": 1536,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 2048,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
}


def build_model() -> PreTrainedModel:
    """Make the model in bf16, with rows of different spread as trained models have."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM._from_config(LlamaConfig(**SIZES), dtype=torch.bfloat16)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                spread = torch.exp(0.4 * torch.randn(parameter.shape[0], 1))
                parameter.copy_(torch.randn(parameter.shape) * spread / parameter.shape[1] ** 0.5)
    return model


def save_tokenizer(folder: Path) -> None:
    """Train a byte-level tokenizer on a few sentences and save it with a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    trainer = trainers.BpeTrainer(
        vocab_size=1024,
        special_tokens=list(special.values()),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT.splitlines(), trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    fast.chat_template = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    fast.save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    folder = parser.parse_args().output

    import transformers

    transformers.utils.logging.disable_progress_bar()
    model = build_model()
    total = sum(parameter.nbytes for parameter in model.parameters())
    model.save_pretrained(folder, max_shard_size="20MB")
    save_tokenizer(folder)
    files = len(list(folder.glob("*.safetensors")))
    print(f"{folder}: a Llama of {total / 1e6:.0f} MB in bf16, {files} shards, with its own lm_head and a tokenizer")


if __name__ == "__main__":
    main()
