"""Start the worker as a package of its own, without putting anything of ours on the other interpreter's path."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

NAME = "ctq_vllm_worker"


def load_package() -> None:
    """Make this folder importable as one package under a name that nobody else uses."""
    folder = Path(__file__).resolve().parent
    spec = importlib.util.spec_from_file_location(
        NAME, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    load_package()
    importlib.import_module(f"{NAME}.lifeline").hold_on()
    run = importlib.import_module(f"{NAME}.jobs").run
    code = run(Path(sys.argv[1]), Path(sys.argv[2]))
    os._exit(code)  # results are on disk; an engine's own shutdown may hang
