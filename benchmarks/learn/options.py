"""The command line of the scripts here: what they are about, and the options that several of them take."""

from __future__ import annotations

import argparse
from pathlib import Path


def script(about: str | None, *names: str) -> argparse.ArgumentParser:
    """Return a parser that shows a script's first lines (``about``), with the named ones of the options that scripts share.

    ``vllm_python`` is made absolute without following links: a virtual environment's interpreter is one.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in names:
        _SHARED[name](parser)
    return parser


def _vllm_python(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--vllm-python", type=_absolute, required=True, metavar="PATH", help="an interpreter with vLLM")


def _work(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--work", type=Path, required=True, metavar="DIR", help="keeps answers from one run to the next"
    )


def _families(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--families", nargs="*", metavar="NAME", help="only these families")


def _absolute(text: str) -> Path:
    return Path(text).absolute()


_SHARED = {"vllm_python": _vllm_python, "work": _work, "families": _families}
