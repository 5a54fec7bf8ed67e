"""Learn which switches of a config vLLM's own classes read, and which tensors they then need and take.

    python -m benchmarks.learn.vllm_switches --vllm-python ENV/bin/python [--families NAME ...]

transformers' config class of a model may not know a switch that vLLM's class reads (`attention_bias` of Mistral), and hybrid models
have the tensors of a switch in some layers only (`mamba_conv_bias`): `optional_tensors.py` learns neither. Here the words that a
class of vLLM 0.32.0 takes from its config are read from its source, each is turned in tiny families of
`tests/support/models/families.py` and of `tests/support/mirrors/mirrored_text.py`, and vLLM shows which parameters stay empty. The
tensors that fill them are written, and vLLM loads the four pairs of switch and tensors. The result is
`ctq/engines/data/vllm_switches.json`; with families only theirs are learnt anew. Nothing is downloaded.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from builders import edit_config, edit_tensors, read_safetensors
from families import SWEPT, build
from mirrored import build_mirrored
from mirrored_text import MIRRORED_TEXT
from raw_safetensors import Raw
from sweep_truth import Truth, observe, serves, truth_of

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.data_table import write_tables
from benchmarks.learn.known_names import installed, registered_classes
from benchmarks.learn.options import script
from benchmarks.loads import loaded
from ctq.engines.vllm.fused import fused_mapping
from ctq.engines.vllm_models.names import engine_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirrored import Mirrored

    from ctq.verify.engines.vllm.facts import VllmResult

DATA: Final = ENGINE_DATA / "vllm_switches.json"
SWITCH: Final = re.compile(r"bias|norm(?!.*eps)|sinks?$|_gate$|gating")
READS: Final = (
    re.compile(r'(?:get|has)attr\(\s*[\w.]*(?:config|cfg)\w*,\s*"(\w+)"'),
    re.compile(r"config\.([a-z]\w+)"),
)
IMPORTS: Final = re.compile(r"^from (?:\.|vllm\.model_executor\.models\.)(\w+) import", re.MULTILINE)
NUMBER: Final = re.compile(r"(?<=\.)\d+(?=\.|$)")
BIAS: Final = ".bias"
MISSES: Final = "were not initialized"
MIRRORED: Final = {row.name: row for row in MIRRORED_TEXT}
PART: Final = 10
"""Families that are asked about together."""


@dataclass(kw_only=True)
class Turn:
    """One switch of one family under another value than its own, and the tensors that come with one of the two.

    ``tensors`` are by name in the files; ``there`` tells whether the family has them. ``assumes`` is what a config means that
    leaves the switch out, where that was seen.
    """

    family: str
    switch: str
    own: bool | None
    value: bool
    tensors: dict[str, Raw] = field(default_factory=dict)
    there: bool = False
    assumes: bool | None = None


def main() -> None:
    options = script(__doc__, "vllm_python", "families").parse_args()
    python, names = (
        options.vllm_python,
        options.families or [*(n for n, row in SWEPT.items() if not (row.text or row.multimodal)), *MIRRORED],
    )
    found: dict[str, Any] = json.loads(DATA.read_text())["architectures"] if DATA.exists() else {}
    for start in range(0, len(names), PART):
        with tempfile.TemporaryDirectory() as scratch:
            learnt = learn(names[start : start + PART], Path(scratch), python)
        found.update(learnt)
        write(found)
        print(names[start : start + PART], learnt, flush=True)


def learn(names: Sequence[str], scratch: Path, python: Path) -> dict[str, Any]:
    """Return the switches of each architecture that were seen to bring tensors."""
    turns = [turn for name in names for turn in _turns(name, scratch, python)]
    _build_turned([turn for turn in turns if turn.family in MIRRORED], scratch / "turned", python)
    _discover([turn for turn in turns if not turn.tensors], scratch, python)
    turns = [turn for turn in turns if turn.tensors]
    states = [(turn, there, value) for turn in turns for there in (True, False) for value in (True, False)]
    folders = [_state(scratch, turn, there=there, value=value) for turn, there, value in states]
    answers = loaded(folders, python)
    silent = [turn for turn in turns if turn.there]
    folders = [_state(scratch, turn, there=True, value=None) for turn in silent]
    unsaid = dict(zip(map(id, silent), map(_is_good, loaded(folders, python)), strict=True))
    found: dict[str, Any] = {}
    for turn in turns:
        seen = {(t, v): answer for (one, t, v), answer in zip(states, answers, strict=True) if one is turn}
        if not any(_is_good(answer) for answer in seen.values()):
            continue
        needs = [value for value in (True, False) if not _is_good(seen[False, value])]
        takes = [value for value in (True, False) if not _stumbles(seen[True, value])]
        if len(needs) == 2 and turn.there:  # what the switch has nothing to do with
            continue
        entry: dict[str, Any] = {
            "tensors": sorted({NUMBER.sub("#", name) for name in turn.tensors}),
            "needs": needs,
            "takes": takes,
        }
        unstated = bool(turn.own) if unsaid.get(id(turn), True) else not turn.own
        entry["assumes"] = unstated if turn.assumes is None else turn.assumes
        known = found.setdefault(_architecture(turn.family), {})
        of_others: list[str] = known.get(turn.switch, {}).get("tensors", [])  # other families have other layers
        known[turn.switch] = entry | {"tensors": sorted({*entry["tensors"], *of_others})}
    return found


def _architecture(name: str) -> str:
    return MIRRORED[name].architecture if name in MIRRORED else SWEPT[name].architecture


def _build(name: str, scratch: Path, python: Path) -> Path:
    if name not in MIRRORED:
        return build(name, scratch / name)
    for why in build_mirrored([MIRRORED[name]], scratch, python=python).values():
        raise ValueError(why)
    return scratch / name


def _turns(name: str, scratch: Path, python: Path) -> list[Turn]:
    try:
        folder = _build(name, scratch, python)
    except Exception as error:  # noqa: BLE001  # whatever a model says
        print(f"  {name}: {type(error).__name__} {str(error)[:80]}")
        return []
    config = json.loads((folder / "config.json").read_text())
    words = sorted(_words(_architecture(name), python) | {key for key in config if SWITCH.search(key)})
    states = [(word, config.get(word)) for word in words if SWITCH.search(word) and "tie" not in word]
    return [
        Turn(family=name, switch=word, own=own, value=not own)
        for word, own in states
        if own is None or isinstance(own, bool)
    ]


def _words(architecture: str, python: Path) -> set[str]:
    """Return what the sources of an architecture's class take from a config: its own file and those it imports."""
    registry = registered_classes(installed(python, "model_executor/models/registry.py"))
    if architecture not in registry:
        return set()
    module = registry[architecture][0]
    if module.startswith("vllm."):
        return set()
    source = installed(python, f"model_executor/models/{module}.py")
    sources = [source, *(_source(python, other) for other in set(IMPORTS.findall(source)) - {"utils", "interfaces"})]
    return {word for text in sources for pattern in READS for word in pattern.findall(text)}


def _source(python: Path, module: str) -> str:
    try:
        return installed(python, f"model_executor/models/{module}.py")
    except ValueError:
        return ""


def _build_turned(turns: Sequence[Turn], scratch: Path, python: Path) -> None:
    """Fill in the tensors that come with a switch where vLLM's own model is built under either value of it."""
    values = [(turn, value) for turn in turns for value in (turn.value, None)]
    rows = [_with_switch(turn, value) for turn, value in values]
    build_mirrored(rows, scratch, python=python)
    built = {row.name: _tensors(scratch / row.name) for row in rows}
    for turn in turns:
        own, turned, silent = (
            _tensors(scratch.parent / turn.family),
            built[_with_switch(turn, turn.value).name],
            built[_with_switch(turn, None).name],
        )
        lost, more = own.keys() - turned.keys(), turned.keys() - own.keys()
        if turned and bool(lost) != bool(more):
            turn.there = bool(lost)
            turn.tensors = {name: (own | turned)[name] for name in lost or more}
            if silent.keys() in (own.keys(), turned.keys()):
                turn.assumes = bool(turn.own) if silent.keys() == own.keys() else turn.value


def _with_switch(turn: Turn, value: bool | None) -> Mirrored:
    row = MIRRORED[turn.family]
    rest = {key: own for key, own in row.config.items() if key != turn.switch}
    stated = {} if value is None else {turn.switch: value}
    return replace(row, name=f"{turn.family}-{turn.switch}-{value}", config=rest | stated)


def _discover(turns: Sequence[Turn], scratch: Path, python: Path) -> None:
    """Fill in the tensors that come with each switch: those that stay empty under its other value, or that are refused there."""
    folders = [_turned(scratch, turn) for turn in turns]
    names = list(dict.fromkeys(turn.family for turn in turns))
    answers = loaded([*(scratch / name for name in names), *folders], python)
    bases = dict(zip(names, answers, strict=False))
    again = []
    for turn, answer in zip(turns, answers[len(names) :], strict=True):
        if not _is_good(bases[turn.family]) or _is_good(answer):
            continue
        lost = {parameter.name: parameter.shape for parameter in answer.never_loaded}
        if lost:
            turn.tensors = _fillers(turn.family, lost, scratch)
        elif answer.error is not None and answer.error.tensor:
            turn.tensors = _refused_with(answer.error.tensor, _tensors(scratch / turn.family))
            turn.there = True
            again.append(turn)
    # Of the biases beside a refused one, those that stay empty without them belong to no switch.
    folders = [_state(scratch, turn, there=False, value=turn.value) for turn in again]
    for turn, answer in zip(again, loaded(folders, python), strict=True):
        lost = {parameter.name: parameter.shape for parameter in answer.never_loaded}
        for name in _fillers(turn.family, lost, scratch):
            turn.tensors.pop(name, None)


def _refused_with(tensor: str, held: dict[str, Raw]) -> dict[str, Raw]:
    """Return the tensors that a switch may bring together with a refused one: biases of one block, or all of one norm or vector."""
    module = NUMBER.sub("#", tensor).rpartition(".")[0]
    if tensor.endswith(BIAS) and "norm" not in module:
        return {name: raw for name, raw in held.items() if _is_bias_in(name, module.rpartition(".")[0])}
    own = NUMBER.sub("#", tensor)
    ends = (f"{module}.weight", f"{module}{BIAS}") if "norm" in module else (own,)
    return {name: raw for name, raw in held.items() if NUMBER.sub("#", name).endswith(ends)}


def _is_bias_in(name: str, parent: str) -> bool:
    return name.endswith(BIAS) and NUMBER.sub("#", name).rpartition(".")[0].rpartition(".")[0].endswith(parent)


def _fillers(family: str, lost: dict[str, tuple[int, ...]], scratch: Path) -> dict[str, Raw]:
    """Return the tensors of files that fill biases and vectors of vLLM's model, by the modules of the files that lie there."""
    held, architecture = _tensors(scratch / family), _architecture(family)
    names, fused = engine_names(architecture), fused_mapping(architecture)
    found: dict[str, Raw] = {}
    for name, raw in held.items():
        module = name.removesuffix(".weight")
        if not name.endswith(".weight") or len(raw.shape) < 2 or name.count(".experts."):
            continue
        place = (names.module(module) if names is not None else module) or module
        parent, _, leaf = place.rpartition(".")
        whole = [f"{parent}.{key}{BIAS}" for key, parts in fused.items() if leaf in parts]
        if any(_ends_alike(other, bias) for bias in (f"{place}{BIAS}", *whole) for other in lost):
            found[f"{module}{BIAS}"] = Raw("BF16", raw.shape[:1], bytes(2 * raw.shape[0]))
    return found


def _ends_alike(one: str, other: str) -> bool:
    return one.removeprefix("model.") == other.removeprefix("model.")


def _tensors(folder: Path) -> dict[str, Raw]:
    return {name: raw for path in sorted(folder.glob("*.safetensors")) for name, raw in read_safetensors(path).items()}


def _turned(scratch: Path, turn: Turn) -> Path:
    folder = shutil.copytree(scratch / turn.family, scratch / f"{turn.family}-{turn.switch}")
    edit_config(folder, lambda config: config.update({turn.switch: turn.value}))
    return folder


def _state(scratch: Path, turn: Turn, *, there: bool, value: bool | None) -> Path:
    folder = scratch / f"{turn.family}-{turn.switch}-{there}-{value}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(scratch / turn.family, folder)
    edit_config(
        folder,
        lambda config: config.update({turn.switch: value}) if value is not None else config.pop(turn.switch, None),
    )
    if there and not turn.there:
        edit_tensors(folder, lambda tensors: tensors.update(turn.tensors))
    elif not there and turn.there:
        edit_tensors(folder, lambda tensors: [tensors.pop(name, None) for name in turn.tensors])
    return folder


def _is_good(answer: VllmResult) -> bool:
    return serves(observe(answer))


def _stumbles(answer: VllmResult) -> bool:
    truth, why = truth_of(observe(answer))
    return truth is Truth.REFUSED and MISSES not in why


def write(found: dict[str, Any]) -> None:
    """Write the data, a line to an architecture."""
    about = (
        "Switches that classes of vLLM 0.32.0 read: made by benchmarks/learn/vllm_switches.py. By architecture and switch the "
        "tensors that come with it, by template, the values under which vLLM needs them beside the weight of their layer, those "
        "under which it takes them, and what a config means that leaves the switch out."
    )
    write_tables(DATA, about, architectures=found)


if __name__ == "__main__":
    main()
