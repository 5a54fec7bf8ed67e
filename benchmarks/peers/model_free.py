"""Quantize one folder with llm-compressor's ``model_free_ptq``, head included: one process of the side-by-side runs.

python -m benchmarks.peers.model_free SOURCE OUTPUT [--scheme W8A8]
"""

from __future__ import annotations

import argparse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("output")
    parser.add_argument("--scheme", default="W8A8")
    options = parser.parse_args()
    from llmcompressor import model_free_ptq

    model_free_ptq(
        model_stub=options.source,
        save_directory=options.output,
        scheme=options.scheme,
        ignore=["re:.*embed_tokens$"],
        device="cpu",
    )


if __name__ == "__main__":
    main()
