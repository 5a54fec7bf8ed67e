"""Import the dispatch code of any release of vLLM from its bare sources, everything around it replaced by stand-ins.

A release's wheel needs its own torch and gigabytes; its quantization folder needs neither. ``install(folder)`` makes
``vllm.model_executor.layers.quantization.compressed_tensors`` importable from an unpacked wheel, real down to the integer schemes,
while every other module of vLLM is an empty one that gives a new class for each name asked of it.

Run as a script it writes the golden answers that the rules are tested with where no engine is installed:
old_vllm.py RELEASES tests/engines_rules/golden_dispatch.json, with RELEASES/0.20.0/vllm, ... as unpacked wheels.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

REAL = (
    "vllm.model_executor.layers.quantization.compressed_tensors",
    "vllm.model_executor.layers.quantization.utils.config_utils",
)


class StandInType(type):
    """A class that has every attribute."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn()


class StandIn(metaclass=StandInType):
    """Anything: a base class, a decorator, a constant with attributes, a call that gives another."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __call__(self, *args: Any, **options: Any) -> Any:
        alone = len(args) == 1 and not options
        return args[0] if alone and callable(args[0]) else StandIn()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn()


class StandInModule(ModuleType):
    """A module of vLLM that is not under test."""

    __path__: ClassVar[list[str]] = []

    def __init__(self, name: str, source: Path) -> None:
        super().__init__(name)
        text = source.read_text() if source.exists() else ""
        self._aliases = dict(re.findall(r"^(\w+): TypeAlias = (\w+)$", text, re.MULTILINE))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        name = self._aliases.get(name, name)
        if name in vars(self):
            return vars(self)[name]
        bases = (self.VocabParallelEmbedding,) if name == "ParallelLMHead" else (linear_base(self, name),)
        value = StandInType(name, bases, {"__module__": self.__name__}) if name[0].isupper() else StandIn()
        setattr(self, name, value)
        return value


def linear_base(module: ModuleType, name: str) -> type:
    is_layer = name.endswith("ParallelLinear") or name == "ReplicatedLinear"
    return module.LinearBase if is_layer else StandIn  # type: ignore[no-any-return]


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules under test in ``root`` and makes up all others."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.split(".")[0] != "vllm":
            return None
        place = self.root / name.replace(".", "/")
        for file in (place / "__init__.py", place.with_suffix(".py")):
            if name.startswith(REAL) and file.exists():
                folder = [str(place)] if file.name == "__init__.py" else None
                return importlib.util.spec_from_file_location(name, file, submodule_search_locations=folder)
        return importlib.util.spec_from_loader(name, self, is_package=True)

    def create_module(self, spec: Any) -> ModuleType:
        return StandInModule(spec.name, self.root / spec.name.replace(".", "/") / "__init__.py")

    def exec_module(self, module: ModuleType) -> None: ...


def install(root: Path) -> None:
    sys.meta_path.insert(0, Finder(root))


def answer_of(root: Path, cases: Path) -> dict[str, Any]:
    """Return the answers of the release in ``root``, from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        answers = Path(folder) / "answers.json"
        subprocess.run([sys.executable, __file__, "--one", str(root), str(cases), str(answers)], check=True)
        return json.loads(answers.read_text())  # type: ignore[no-any-return]


def answer_in_process(root: Path) -> None:
    install(root)
    sys.path.insert(0, str(Path(__file__).parent))
    from match_oracle import main

    main()


def write_golden(releases: Path, golden: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "support" / "engines"))
    import golden_dispatch

    from ctq.engines.versions import version_key

    with tempfile.TemporaryDirectory() as folder:
        cases = Path(folder) / "cases.json"
        cases.write_text(json.dumps(golden_dispatch.cases()))
        roots = sorted(releases.iterdir(), key=lambda root: version_key(root.name))
        answers = {root.name: answer_of(root, cases) for root in roots}
    golden.write_text(golden_dispatch.encode(answers))


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        root = Path(sys.argv[2])
        sys.argv[1:3] = []
        answer_in_process(root)
    else:
        write_golden(Path(sys.argv[1]), Path(sys.argv[2]))
