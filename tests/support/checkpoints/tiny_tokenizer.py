"""A real tokenizer of 320 entries, trained in milliseconds on one built-in text."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SPECIAL: Final = ("<pad>", "<s>", "</s>", "<unk>")
TEXT: Final = (
    "The head of a language model turns the last hidden state into one score for every entry of the vocabulary. "
    "It is read once per token, so its bytes are paid for at every step of decoding. "
    "Eight bits are enough for it, and half the bytes are twice the speed where memory is the limit."
)
CHAT_TEMPLATE: Final = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"


def save_tokenizer(
    folder: Path, *, vocab: int = 320, more: tuple[str, ...] = (), marks: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Train a byte-level BPE tokenizer of at most ``vocab`` entries, ``more`` special ones among them, and save its files to ``folder``.

    ``marks`` are attributes of the tokenizer (`image_token`) and the special tokens that they stand for.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[*SPECIAL, *more],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    names = dict(zip(("pad_token", "bos_token", "eos_token", "unk_token"), SPECIAL, strict=True))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, extra_special_tokens=dict(marks), **names)
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)
