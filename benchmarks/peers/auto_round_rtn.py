"""Quantize one folder with auto-round, rounding to nearest, the head dense as by default: one process of a comparison.

    python -m benchmarks.peers.auto_round_rtn SOURCE OUTPUT [--scheme W8A16]

It takes a tokenizer with every model, so a folder without one is linked beside a tokenizer of one word.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path


def with_tokenizer(source: Path, folder: Path) -> Path:
    """Return a folder that holds links to the source's files, and a tokenizer if the source has none."""
    for path in source.resolve().iterdir():
        (folder / path.name).symlink_to(path)
    if not (source / "tokenizer.json").exists():
        from tokenizers import Tokenizer
        from tokenizers.models import WordLevel
        from transformers import PreTrainedTokenizerFast

        tokenizer = Tokenizer(WordLevel({"<unk>": 0}, unk_token="<unk>"))
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(folder)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("output")
    parser.add_argument("--scheme", default="W8A16")
    options = parser.parse_args()
    from auto_round.__main__ import run

    with tempfile.TemporaryDirectory() as folder:
        model = with_tokenizer(options.source, Path(folder))
        sys.argv = ["auto-round", "--model", str(model), "--output_dir", options.output, "--scheme", options.scheme]
        sys.argv += ["--iters", "0", "--disable_opt_rtn", "--device_map", "cpu"]
        run()


if __name__ == "__main__":
    main()
