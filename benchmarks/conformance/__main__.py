"""Compare what ctq says of checkpoints with what real engines do, part by part; see docs/conformance.md.

    python -m benchmarks.conformance architectures --vllm-python ENV/bin/python --work /data/architectures
    python -m benchmarks.conformance faults --vllm-python ENV/bin/python --work /data/faults
    python -m benchmarks.conformance stored --work /data/stored       # the faults again, without an engine
    python -m benchmarks.conformance loaders --work /data/loaders
    python -m benchmarks.conformance field --vllm-python ENV/bin/python --work /data/field --seed 1

Answers are kept in the folder of work as JSON lines, so that a run that was killed goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.conformance import architectures, faults, field, loaders, stored

PARTS = {"architectures": architectures, "faults": faults, "stored": stored, "loaders": loaders, "field": field}
"""Each part has a docstring, ``add_options`` and ``main``, which returns the number of disagreements."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.conformance",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = parser.add_subparsers(dest="part", required=True)
    for name, part in PARTS.items():
        summary = (part.__doc__ or "").splitlines()[0]
        one = parts.add_parser(name, help=summary, description=summary)
        one.add_argument("--work", type=Path, required=True, help="a folder for checkpoints and answers, kept")
        part.add_options(one)
    options = parser.parse_args()
    return int(PARTS[options.part].main(options) > 0)


if __name__ == "__main__":
    sys.exit(main())
