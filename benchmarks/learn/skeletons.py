"""Learn what the tensors of each architecture are called, how large they are, and what vLLM does with names that it does not know.

    python -m benchmarks.learn.skeletons --vllm-python ENV/bin/python

Every family of `tests/support/models/families.py` is built by transformers itself, again and again with one number or one switch of
its config changed: what changes with it tells which numbers of the config a dimension is made of, and which tensors are optional.
Then the real vLLM loads each family with one tensor too many, in several places, and shows whether it refuses or looks away. The
result, `ctq/engines/data/skeletons.json`, is what inspection compares checkpoints with. Nothing is downloaded.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from builders import drop_tensor, edit_config
from families import EVERY, POOLED, build, plain
from raw_safetensors import Raw, read_file, read_safetensors, write_safetensors
from sweep_quantize import quantize_as
from sweep_truth import Observation, serves

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.options import script
from benchmarks.learn.skeleton_fit import Build, build_from, fit, text_level
from benchmarks.loads import observed
from ctq.checkpoint.config import TIE_KEY
from ctq.engines.configs.labels import LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping

Json: TypeAlias = dict[str, Any]
UNMARKED: Final = frozenset({"Phi4MultimodalForCausalLM", "MoshiForCausalLM", "GraniteMoeSWAForCausalLM"})
"""Families of which is not said where their text model lies among others inside, and one that comes under two sets of names."""
FAMILIES: Final = {name: family for name, family in {**EVERY, **POOLED}.items() if name not in UNMARKED}
DATA: Final = ENGINE_DATA / "skeletons.json"
SWITCH: Final = re.compile(r"bias|norm|tie_word|gate|shared|swiglu|add_|use_qk|parallel")
"""Switches of a config that may bring or remove tensors."""
EMPTIED: Final = re.compile(r"rank|shared|n_inner|first_k|freq|period|offset|sparse_step|dense_layers|n_group|window")
"""Numbers that some models set to nothing or to none, which brings or removes tensors."""
OTHER_VALUES: Final = {
    "hidden_size": 256, "n_embd": 256, "d_model": 256, "intermediate_size": 320, "ffn_dim": 320, "n_inner": 320,
    "num_attention_heads": 8, "n_head": 8, "num_heads": 8, "num_key_value_heads": 1, "head_dim": 64, "vocab_size": 352,
    "moe_intermediate_size": 160, "shared_expert_intermediate_size": 224, "shared_intermediate_size": 224,
    "intermediate_size_mlp": 224, "kv_lora_rank": 96, "q_lora_rank": 160, "qk_rope_head_dim": 16, "qk_nope_head_dim": 64,
    "v_head_dim": 64, "num_experts": 6, "num_local_experts": 6, "n_routed_experts": 6, "moe_num_experts": 6,
    "num_kv_heads": 2, "max_position_embeddings": 128, "n_positions": 128, "n_shared_experts": 3, "moe_num_shared_experts": 3,
    "num_shared_experts": 3, "moe_shared_expert_intermediate_size": 224, "moe_latent_size": 96,
    "type_vocab_size": 5, LABELS: 3,
}  # fmt: skip
"""A second value for each number of a config; those that no model takes alone are left out."""
EMBEDDING: Final = r"re:.*\b(embed_tokens|embed_in|wte|word_embeddings|tok_embeddings|embeddings?|embed)$"
SAME_CLASS: Final = {"DeepseekV2ForCausalLM": "DeepseekV3ForCausalLM"}
"""Architectures for which vLLM has another's class, so that each takes the other's tensors (0.32.0 ``models/deepseek_v2.py``)."""
FEWEST: Final = 6
"""Of fewer builds too little is learnt to judge checkpoints by."""
PART: Final = 12
"""Families that are learnt together."""
PROBES: Final = {
    "top": "training_step",
    "module": "extra.weight",
    "draft": "mtp.fc.weight",
    "layer": "{layer}.extra_proj.weight",
    "inner": "{inner}.extra_proj.weight",
    "beyond": "{layers}.{count}.eh_proj.weight",
    "bias": "{linear}.bias",
    "head": "model.lm_head.weight",
}
"""A tensor too many, in each place: whether the engine refuses it."""
WITHOUT: Final = "without "
NUMBERED: Final = re.compile(r"\.\d+\.")


def read_build(folder: Path) -> Build:
    """Read names, shapes and numbers of one build."""
    config = text_level(json.loads((folder / "config.json").read_text()))
    shapes: dict[str, tuple[int, ...]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        header, _ = read_file(path)
        shapes |= {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    return build_from(config, shapes)


def changes_of(first: Build) -> list[Json]:
    """Return the changes to the numbers and switches of a config, one alone each, that may change names or sizes of tensors."""
    changes: list[Json] = [{key: OTHER_VALUES[key]} for key in first.numbers if key in OTHER_VALUES]
    changes += [{key: not value} for key, value in first.switches.items() if SWITCH.search(key) and key != TIE_KEY]
    changes += [{TIE_KEY: flag} for flag in (True, False) if TIE_KEY in first.switches]  # a wrapper's own may differ
    changes += [{key: value} for key in first.numbers if EMPTIED.search(key) for value in (None, 0, 1)]
    return changes


def builds_of(name: str, base: Path, scratch: Path) -> list[Build]:
    """Build a family with each number and each switch changed alone; what no model takes is left out."""
    first = read_build(base)
    family = FAMILIES[name]
    found = [first]
    for number, change in enumerate(changes_of(first)):
        folder = scratch / f"{name}-{number}"
        options = {"tied": change[TIE_KEY]} if TIE_KEY in change else {}
        options |= {"vocab": change["vocab_size"]} if "vocab_size" in change else {}
        try:
            build(name, folder, config={} if options else family.in_text(change), **options)
        except Exception as error:  # noqa: BLE001  # whatever a model says against a number: it is not taken
            print(f"  {name} {change}: {type(error).__name__} {str(error)[:80]}")
            continue
        made = read_build(folder)
        if (made.numbers, made.switches, made.shapes) != (first.numbers, first.switches, first.shapes):
            found.append(made)
        for path in folder.glob("*"):
            path.unlink()
    return found


def probe(base: Path, out: Path, tensor: str) -> Path:
    """Copy a dense checkpoint with one tensor more."""
    out.mkdir(parents=True)
    for path in base.glob("*.json"):
        if "index" not in path.name:
            (out / path.name).write_bytes(path.read_bytes())
    tensors = {name: raw for path in sorted(base.glob("*.safetensors")) for name, raw in read_safetensors(path).items()}
    shape = (128,) if tensor.endswith("bias") else (1,) if tensor == PROBES["top"] else (128, 128)
    count = shape[0] * (shape[1] if len(shape) > 1 else 1)
    extra = {tensor: Raw("BF16", shape, b"\x00" * (2 * count))}
    write_safetensors(out / "model.safetensors", tensors | extra, metadata={"format": "pt"})
    return out


def spared(base: Path, scratch: Path) -> dict[str, Path]:
    """Copy a dense checkpoint without one tensor, for each that lies in no list of layers, by its name."""
    names = [
        name
        for path in sorted(base.glob("*.safetensors"))
        for name in read_safetensors(path)
        if not NUMBERED.search(name)
    ]
    copies = {name: scratch / str(number) for number, name in enumerate(sorted(names))}
    for name, copy in copies.items():
        shutil.copytree(base, copy)
        drop_tensor(copy, name)
    return copies


def probes_of(shapes: dict[str, tuple[int, ...]]) -> dict[str, str]:
    """Name the tensors too many of one family."""
    layers = re.compile(
        r"(?P<layers>.*?\.?(?:layers?|h|blocks))\.(?P<number>\d+)\.(?P<inner>\w+)\.(?:\d+\.)?(?P<leaf>\w+)\.weight$"
    )
    inside = [
        found
        for name, shape in shapes.items()
        if len(shape) == 2 and (found := layers.match(name)) and "vis" not in name
    ]
    if not inside:
        return {}
    first = next((found for found in inside if f"{found[0].removesuffix('.weight')}.bias" not in shapes), inside[0])
    path = first["layers"]
    count = 1 + max(int(found["number"]) for found in inside if found["layers"] == path)
    words = {
        "layers": path,
        "layer": f"{path}.{first['number']}",
        "inner": f"{path}.{first['number']}.{first['inner']}",
        "linear": f"{path}.{first['number']}.{first['inner']}.{first['leaf']}",
        "count": str(count),
    }
    names = {key: pattern.format(**words) for key, pattern in PROBES.items()}
    return {key: name for key, name in names.items() if name not in shapes}


def targeted_embedding(base: Path, out: Path) -> list[Path]:
    """Quantize a family and target its dense embedding by name: whether the engine gives it that name shows in the load."""
    made = quantize_as("no head", base, out)
    if not made.promise:
        return []

    def change(config: Json) -> None:
        quant = config["quantization_config"]
        quant["config_groups"]["named"] = quant["config_groups"]["group_0"] | {"targets": [EMBEDDING]}

    edit_config(out, change)
    return [out]


def main() -> None:
    options = script(__doc__, "vllm_python", "families").parse_args()
    names = options.families or list(FAMILIES)
    known: Json = json.loads(DATA.read_text())["architectures"] if options.families and DATA.exists() else {}
    for part in parts(names):
        with tempfile.TemporaryDirectory() as scratch:
            known |= learn(part, Path(scratch), options.vllm_python)
        write(known)


def parts(names: list[str]) -> list[list[str]]:
    """Split the families into parts that share no architecture, so that each can be learnt and stored alone."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[FAMILIES[name].architecture].append(name)
    found: list[list[str]] = [[]]
    for group in groups.values():
        if len(found[-1]) >= PART:
            found.append([])
        found[-1] += group
    return found


def learn(names: list[str], scratch: Path, python: Path) -> Json:
    """Return the skeleton of each architecture that the engine loads, dense or else quantized."""
    builds: dict[str, list[Build]] = {}
    for name in names:
        build(name, scratch / name)
        builds[name] = builds_of(name, scratch / name, scratch / "variants")
        print(name, len(builds[name]), "builds", flush=True)
    bases = loadable(names, scratch, python)
    jobs = [(name, "", base) for name, base in bases.items()]
    for name, base in bases.items():
        for key, tensor in probes_of(builds[name][0].shapes).items():
            jobs.append((name, key, probe(base, scratch / "probes" / name / key, tensor)))
        if name in POOLED:
            without = spared(base, scratch / "probes" / name / "without")
            jobs += [(name, f"{WITHOUT}{tensor}", folder) for tensor, folder in without.items()]
        embedding = targeted_embedding(scratch / name, scratch / "probes" / name / "embedding")
        jobs += [(name, "embedding", folder) for folder in embedding]
    seen = observed([folder for *_, folder in jobs], python)
    return merge(list(bases), builds, {(name, key): one for (name, key, _), one in zip(jobs, seen, strict=True)})


def loadable(names: list[str], scratch: Path, python: Path) -> dict[str, Path]:
    """Return what the engine loads of each family: the dense checkpoint, or else the quantized one."""
    dense = observed([scratch / name for name in names], python)
    found = {name: scratch / name for name, one in zip(names, dense, strict=True) if serves(one)}
    others = {
        name: quantize_as("no head", scratch / name, scratch / "quantized" / name)
        for name in names
        if name not in found
    }
    made = {name: one.folder for name, one in others.items() if one.promise}
    loads = observed(list(made.values()), python)
    return found | {name: folder for (name, folder), one in zip(made.items(), loads, strict=True) if serves(one)}


def merge(names: list[str], builds: dict[str, list[Build]], seen: dict[tuple[str, str], Any]) -> Json:
    """Join the families of each architecture that loads dense."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        if serves(seen[name, ""]) and len(builds[name]) >= FEWEST:
            groups[FAMILIES[name].architecture].append(name)
    found: Json = {}
    for architecture, members in sorted(groups.items()):
        named = [seen[name, "embedding"].outcome != "loaded" for name in members if (name, "embedding") in seen]
        entry: Json = {
            "embedding": any(named) if named else None,
            "refuses": refused_places(members, seen),
            "inner": inner_type(members[0]),
            "computed": computed(members, builds),
        }
        tensors = fit([builds[name] for name in members])
        for name, key in seen:
            if name in members and key.startswith(WITHOUT) and serves(seen[name, key]):
                tensors[key.removeprefix(WITHOUT)][0] = False
        found[architecture] = entry | {"tensors": tensors}
    return found


def refused_places(members: list[str], seen: Mapping[tuple[str, str], Observation]) -> list[str]:
    """Return the places where the engine refuses a tensor too many in all families of an architecture that were asked."""
    return sorted(
        key
        for key in PROBES
        if any((name, key) in seen for name in members)
        and all(seen[name, key].outcome == "refused" for name in members if (name, key) in seen)
    )


def inner_type(name: str) -> str | None:
    """Return the model type of the text model inside a wrapper, which may hold others too."""
    import transformers

    family = FAMILIES[name]
    if not family.text:
        return None
    made = getattr(transformers, family.architecture).config_class(**plain(family.config))
    return str(made.get_text_config().model_type)


def computed(members: list[str], builds: dict[str, list[Build]]) -> list[str]:
    """Return the numbers that the config works out where a file leaves them out, as the families that do so show."""
    silent = [name for name in members if "head_dim" not in json.dumps(plain(FAMILIES[name].config))]
    found = [build.numbers for name in silent for build in builds[name] if "head_dim" in build.numbers]
    right = [
        numbers["head_dim"] * numbers["num_attention_heads"] == numbers["hidden_size"]
        for numbers in found
        if "num_attention_heads" in numbers
    ]
    return ["head_dim"] if len(right) > 1 and all(right) else []


def write(architectures: Json) -> None:
    """Write the data, one tensor a line."""
    about = (
        "The tensors of each architecture as transformers saves them, and what vLLM does with others: made by "
        "benchmarks/learn/skeletons.py. `refuses` names the places in which vLLM refuses a tensor that it does not know. A "
        "tensor's value: whether every layer has it, and its dimensions as sums of products of numbers of the config (or null)."
    )
    for name, other in SAME_CLASS.items():
        if {name, other} <= architectures.keys():
            taken = {key: slot[:2] for key, slot in architectures[other]["tensors"].items()}
            architectures[name]["tensors"] = {**taken, **architectures[name]["tensors"]}
    lines = ["{", f' "about": {json.dumps(about)},', ' "architectures": {']
    for number, (name, entry) in enumerate(sorted(architectures.items())):
        head = {key: value for key, value in entry.items() if key != "tensors"}
        lines.append(f'  {json.dumps(name)}: {json.dumps(head)[:-1]}, "tensors": {{')
        rows = [f"   {json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(entry["tensors"].items())]
        lines += [row + ("," if i < len(rows) - 1 else "") for i, row in enumerate(rows)]
        lines.append("  }}" + ("," if number < len(architectures) - 1 else ""))
    DATA.write_text("\n".join([*lines, " }", "}"]) + "\n")
    json.loads(DATA.read_text())


if __name__ == "__main__":
    main()
