"""Learn which values of a config's keys vLLM refuses whatever else the config says: none, null, zero, a negative number, a switch.

    python -m benchmarks.learn.config_values --vllm-python ENV/bin/python --answers FILE [--families NAME ...] [--changes null ...]

Every key of the config of each text family of `tests/support/models/families.py` that vLLM's sources name is left out, nulled, set
to zero, doubled, made negative, turned or misspelt, one at a time, and vLLM 0.32.0 loads the result. Of text models that
transformers does not build (`mirrored_text.py`) each key is nulled: what is left out their own repositories' classes may fill in.
Where it stops before it has built the model, the tensors have no part in it: those answers are added to
`ctq/engines/data/config_values.json`. All answers, with what vLLM said, are added to FILE, a line each, and asked for once;
`--disagreements` prints what inspection says otherwise. Nothing is downloaded.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from families import FAMILIES, SWEPT, build
from family_default import TEXT
from mirrored import build_mirrored
from mirrored_text import MIRRORED_TEXT
from sweep_claims import inspected
from sweep_truth import Observation, read_observation, serves, truth_of
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.config_changes import GONE, changed, mutants, vllm_words, with_config
from benchmarks.learn.data_table import write_tables
from benchmarks.learn.options import script
from benchmarks.loads import observed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence, Set

Json: TypeAlias = dict[str, Any]
MIRRORED: Final = {row.name: row for row in MIRRORED_TEXT}
DATA: Final = ENGINE_DATA / "config_values.json"
PART: Final = 4
"""Families that are asked about together."""
MANY: Final = 8
FEW: Final = 9
"""Architectures that refuse a value, and times as many as take it: then others are held to refuse it too."""
OF_MIXTURES: Final = re.compile(r"moe|expert")
"""Keys that only mixtures read: others are not held to be one."""
STANDS_FOR: Final = ("rope_parameters", "rope_scaling", "rope_theta", "tie_word_embeddings")
"""Keys without which older configs say the same in another place."""
ASSUMED: Final = (["rope_theta"], ["rope_type"])
"""Keys of rotary settings that are filled in."""
UNNAMED: Final = "rope_type"
"""What is missed by a rule of its own in the settings of a kind of layers."""
OF_THE_MACHINE: Final = re.compile(r"CUDA|ROCm|XPU|cutlass|triton|kernel", re.IGNORECASE)
WITHOUT: Final = re.compile(r"NoneType|has no attribute|KeyError|is not None|required|takes \d+ positional")
"""What is said of a key that is not there, whatever the other keys say."""
LACKS: Final = re.compile(r"Config' object has no attribute '(\w+)'")
TOO_SHORT: Final = re.compile(r"index out of range|not enough values to unpack")
LAYERS: Final = "num_hidden_layers"
MORE: Final = 5
KINDS: Final = {"=0": "zero", "neg": "negative", "null": "null", GONE: "gone"}


def main() -> None:
    parser = script(__doc__, "vllm_python", "families")
    parser.add_argument("--answers", type=Path, required=True)
    parser.add_argument("--changes", nargs="*", default=(), metavar="WHAT", help="only these of what is done to keys")
    parser.add_argument("--disagreements", action="store_true")
    options = parser.parse_args()
    known = {_case(row) for row in read_answers(options.answers)}
    names = options.families or [*text_families(), *MIRRORED]
    changes = tuple(options.changes)
    for start in range(0, len(names), PART):
        with tempfile.TemporaryDirectory() as scratch:
            ask(names[start : start + PART], known, changes, Path(scratch), options.vllm_python, options.answers)
    answers = read_answers(options.answers)
    write(answers)
    if options.disagreements:
        with tempfile.TemporaryDirectory() as scratch:
            for line in disagreements(answers, Path(scratch), options.vllm_python):
                print(line, flush=True)


def text_families() -> list[str]:
    """Return one family of each architecture that is a text model."""
    found: dict[str, str] = {}
    for name, row in SWEPT.items():
        if not row.multimodal and (name in FAMILIES or row.architecture in TEXT):
            found.setdefault(row.architecture, name)
    return list(found.values())


def read_answers(path: Path) -> list[Json]:
    """Read the lines of the answers; none where there is no file yet."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def architecture_of(name: str) -> str:
    """Return the architecture of a family, or of a model that transformers does not build."""
    return MIRRORED[name].architecture if name in MIRRORED else SWEPT[name].architecture


def built(name: str, folder: Path, python: Path) -> Path:
    """Build either."""
    if name not in MIRRORED:
        return build(name, folder)
    failed = build_mirrored([MIRRORED[name]], folder.parent, python=python)
    if failed:
        raise RuntimeError(next(iter(failed.values())))
    return folder.parent / name


def _case(row: Json) -> tuple[str, ...]:
    return (row["family"], row["what"], *row["path"])


def ask(
    names: Sequence[str],
    known: Set[tuple[str, ...]],
    wanted: Sequence[str],
    scratch: Path,
    python: Path,
    answers: Path,
) -> None:
    """Ask vLLM about some families under every changed config that is not known yet; ``wanted`` names the changes, none all."""
    words = vllm_words(python)
    rows: list[Json] = []
    folders: list[Path] = []
    for name in names:
        try:
            base = built(name, scratch / name, python)
        except Exception as error:  # noqa: BLE001  # whatever a model says
            print(f"  {name}: {type(error).__name__} {str(error)[:80]}")
            continue
        config = json.loads((base / "config.json").read_text())
        only = ("null",) if name in MIRRORED else wanted
        changes: list[tuple[tuple[str, ...], str, Json]] = [((), "base", config)]
        changes += [
            (path, what, changed(config, path, new))
            for path, what, new in mutants(config, words)
            if not only or what in only
        ]
        for number, (path, what, new) in enumerate(changes):
            row = {"family": name, "path": list(path), "what": what, "config": new}
            if _case(row) in known:
                continue
            rows.append(row)
            folders.append(with_config(base, scratch / f"{name}-{number}", new))
    if not folders:
        return
    seen = observed(folders, python)
    with answers.open("a") as out:
        for row, one in zip(rows, seen, strict=True):
            out.write(json.dumps({**row, "obs": one.to_json()}) + "\n")
    print(names, len(rows), flush=True)


def refused(answers: Iterable[Json]) -> dict[str, dict[str, list[str]]]:
    """Return the kinds of values of each key that an architecture's class refuses before it is built."""
    bases = {row["family"]: _observed(row) for row in answers if row["what"] == "base"}
    found: dict[str, dict[str, list[str]]] = {}
    for row in answers:
        seen, kind = _observed(row), _kind(row)
        lacks = LACKS.search(seen.message) if row["what"] == "base" and _is_refused(seen) else None
        if lacks is not None:  # a key that vLLM reads and transformers' class does not have
            found.setdefault(architecture_of(row["family"]), {})[lacks[1]] = [GONE]
        if not kind or not serves(bases[row["family"]]):
            continue
        kinds = found.setdefault(architecture_of(row["family"]), {})
        if _is_refused(seen) and (kind != GONE or WITHOUT.search(seen.message)):
            kinds.setdefault(".".join(row["path"]), []).append(kind)
    return found


def _is_refused(seen: Observation) -> bool:
    """Tell a config that is refused by itself, on whatever machine."""
    return seen.outcome == "refused" and seen.stage in ("config", "build") and not OF_THE_MACHINE.search(seen.message)


def others(answers: Iterable[Json]) -> dict[str, list[str]]:
    """Return the kinds of values of keys that many architectures refuse and few take."""
    found, counts = refused(answers), defaultdict(lambda: defaultdict(set))  # type: ignore[var-annotated]
    for row in answers:
        architecture, key, kind = architecture_of(row["family"]), ".".join(row["path"]), _kind(row)
        if kind and architecture in found:
            counts[key, kind][kind in found[architecture].get(key, ())].add(architecture)
    common: dict[str, list[str]] = {}
    for (key, kind), seen in sorted(counts.items()):
        if len(seen[True]) >= MANY and len(seen[True]) > FEW * len(seen[False]) and not OF_MIXTURES.search(key):
            common.setdefault(key, []).append(kind)
    return common


def lists(answers: Iterable[Json]) -> dict[str, dict[str, tuple[int | str, bool]]]:
    """Return how long each list must be that an architecture's class reads beyond its end, and whether an empty one is filled in.

    The length is a number, or a key that says one for each layer.
    """
    found: dict[str, dict[str, tuple[int | str, bool]]] = defaultdict(dict)
    for row in answers:
        seen, [*parents, key] = _observed(row), row["path"] or [""]
        if row["what"] == "short" and not parents and seen.stage == "build" and TOO_SHORT.search(seen.message):
            length = len(row["config"][key]) + 1 if _is_constant(row["config"], key) else LAYERS
            found[architecture_of(row["family"])][key] = (length, _is_filled_in(row["config"], key))
    return found


def _is_filled_in(config: Json, key: str) -> bool:
    """Tell a list of which transformers' own class makes one where it is empty."""
    return bool(getattr(CONFIG_MAPPING[config["model_type"]](**{key: []}), key, None))


def _is_constant(config: Json, key: str) -> bool:
    """Tell a list that is as long in a model of more layers, by transformers' own class."""
    made = CONFIG_MAPPING[config["model_type"]](num_hidden_layers=config[LAYERS] + MORE)
    usual = getattr(made, key, None)
    return usual is not None and len(usual) != made.num_hidden_layers


def _observed(row: Json) -> Observation:
    return read_observation(row["obs"])


def _kind(row: Json) -> str:
    """Return the kind of the value that a row gives its key; "" for those that say nothing of other configs."""
    path, what = row["path"], row["what"]
    if not path or (
        path[0] in STANDS_FOR and (len(path) == 1 or (what == GONE and (path[1:] in ASSUMED or path[-1] == UNNAMED)))
    ):
        return ""
    if row["what"] == "flip":
        level = row["config"]
        for word in row["path"]:
            level = level[word]
        return str(level).lower()
    return KINDS.get(row["what"], "")


def write(answers: Sequence[Json]) -> None:
    """Add to the data, a line to an architecture."""
    known: Json = json.loads(DATA.read_text())
    about = (
        "Values that vLLM 0.32.0 refuses before it builds a model: made by benchmarks/learn/config_values.py. By architecture and "
        "key of the config, by dotted path: gone, null, zero, negative, true, false. `others` is of those that were not asked. "
        "`lists` are keys of lists that must not be shorter than a number, or than another key says, and whether an empty one "
        "will do."
    )
    own: dict[str, dict[str, list[str]]] = known["architectures"]
    usual: dict[str, list[str]] = known["others"]
    asked = {(architecture_of(row["family"]), ".".join(row["path"]), _kind(row)) for row in answers}
    for name, keys in refused(answers).items():
        before = {
            key: [kind for kind in kinds if (name, key, kind) not in asked]
            for key, kinds in own.get(name, usual).items()
        }
        joined = {key: list(dict.fromkeys((*before.get(key, ()), *keys.get(key, ())))) for key in before | keys}
        own[name] = {key: kinds for key, kinds in sorted(joined.items()) if kinds}
    write_tables(DATA, about, others=others(answers) | usual, lists=known["lists"] | lists(answers), architectures=own)


def disagreements(answers: Sequence[Json], scratch: Path, python: Path) -> Iterator[str]:
    """Yield what inspection says otherwise than vLLM, a line each, and their number at last."""
    bases = {row["family"]: _observed(row) for row in answers if row["what"] == "base"}
    counts: dict[str, int] = defaultdict(int)
    for number, row in enumerate(answers):
        baseline = bases[row["family"]]
        truth, why = truth_of(_observed(row), baseline)
        if not serves(baseline) or truth == "undecided":
            continue
        dense = scratch / "dense" / row["family"]
        if not dense.exists():
            built(row["family"], dense, python)
        folder = with_config(dense, scratch / str(number), row["config"])
        claims = inspected(folder)
        shutil.rmtree(folder)
        verdict = _compared(bool(claims.errors or claims.crash), truth.is_good)
        counts[verdict] += 1
        if verdict != "agreed":
            said = claims.crash or "; ".join(claims.errors)
            yield f"{verdict}: {row['family']} {'.'.join(row['path'])} {row['what']} | {truth} {why[:160]} | {said[:160]}"
    yield str(dict(counts))


def _compared(is_error: bool, is_good: bool) -> str:
    if is_error != is_good:
        return "agreed"
    return "false alarm" if is_good else "false pass"


if __name__ == "__main__":
    main()
