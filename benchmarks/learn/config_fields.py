"""Learn what transformers' config classes take: the types of the fields that many models have, their defaults and other names.

    python -m benchmarks.learn.config_fields

transformers 5 checks a config strictly by these types and fills in what is missing, for itself and for vLLM. The result,
`ctq/engines/data/config_fields.json`, is what inspection reads configs by. Nothing is downloaded.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
import types
import typing
from collections import Counter
from dataclasses import MISSING, fields
from typing import Any, Final

import torch
from transformers.configuration_utils import (
    _LEGACY_LAYER_TYPE_REMAP,
    ALLOWED_ATTN_LAYER_TYPES,
    ALLOWED_MLP_LAYER_TYPES,
    PreTrainedConfig,
)
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from benchmarks.learn import ENGINE_DATA
from benchmarks.learn.options import script

DATA: Final = ENGINE_DATA / "config_fields.json"
KINDS: Final[dict[Any, str]] = {
    int: "i",
    float: "f",
    bool: "b",
    str: "s",
    type(None): "n",
    list: "l",
    tuple: "l",
    dict: "o",
}
TRIFLES: Final = (
    "id2label",
    "label2id",
    "return_dict",
    "output_hidden_states",
    "chunk_size_feed_forward",
    "transformers_version",
)
CHECK: Final = "validate_architecture"
KNOWN: Final = (
    *(ast.Name, ast.Load, ast.Constant, ast.List, ast.Call, ast.IfExp, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Compare),
    *(ast.boolop, ast.operator, ast.unaryop, ast.cmpop),
)
"""What conditions are made of."""
TAKEN_OUT: Final = re.compile(r"""kwargs\.(?:pop|get)\(["'](\w+)["']""")
"""Keys that a class takes out of what it is given."""
ROUNDED: Final = frozenset({"block_ff_dim"})
"""One of them that is read with what rounds it (`ctq.engines.skeletons.adjusted`)."""
ONE, OTHER = 6, 3
"""Values of a number under two names."""
TEXTS: Final = ("text_config", "decoder", "generator", "text_encoder", "thinker_config", "llm_config")
"""Keys under which a config may keep that of a text model."""
TASKS: Final = ("CAUSAL_LM", "IMAGE_TEXT_TO_TEXT", "MULTIMODAL_LM", "SEQ_TO_SEQ_CAUSAL_LM", "SPEECH_SEQ_2_SEQ")


def main() -> None:
    script(__doc__).parse_args()
    classes = {name: CONFIG_MAPPING[name] for name in sorted(generating())}
    kinds = {name: {key: kind for key, kind in kinds_of(cls).items() if kind} for name, cls in classes.items()}
    counts = Counter(key for found in kinds.values() for key in found)
    common = {  # the usual type of each field
        key: Counter(found[key] for found in kinds.values() if key in found).most_common(1)[0][0]
        for key in sorted(counts)
        if key not in TRIFLES
    }
    models = {name: entry(classes[name], kinds[name], common) for name in sorted(classes)}
    nested: dict[str, list[str]] = {
        name: [key for key in TEXTS if key in parts_of(classes[name])] for name in sorted(classes)
    }
    below = sorted(name for name, cls in classes.items() if TEXTS[0] in nested[name] and not takes_text_above(cls))
    checks = {name: found for name in sorted(classes) if (found := checks_of(classes[name]))}
    write(common, {name: keys for name, keys in nested.items() if keys}, below, layer_kinds(classes), checks, models)


def generating() -> set[str]:
    """Return the model types that generate text, and those of the text models inside."""
    found: set[str] = set()
    for task in TASKS:
        found |= set(getattr(modeling_auto, f"MODEL_FOR_{task}_MAPPING_NAMES", {}))
    inner = [getattr(CONFIG_MAPPING[name], "sub_configs", {}).get("text_config") for name in found]
    types_inside = {getattr(cls, "model_type", "") for cls in inner}
    return found | {name for name in types_inside if name in CONFIG_MAPPING}


def kinds_of(cls: type) -> dict[str, str]:
    """Return the JSON types that each field takes, a letter each; "" where any value is taken."""
    hints = typing.get_type_hints(cls, localns={"torch": torch})
    return {field.name: "".join(sorted(set(_letters(hints[field.name])))) for field in fields(cls)}


def _letters(hint: object) -> str:
    if hint in KINDS:
        return KINDS[hint]
    if typing.is_typeddict(hint):
        return KINDS[dict]
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        parts = [_letters(part) for part in typing.get_args(hint)]
        return "".join(parts) if all(parts) else ""
    return KINDS.get(origin, "")


def entry(cls: type, kinds: dict[str, str], common: dict[str, str]) -> list[Any]:
    """Return a class's fields with the numbers and switches it assumes, those of another type, and numbers of several names."""
    defaults = {field.name: field.default for field in fields(cls) if field.default is not MISSING}
    known = [key for key in common if key in kinds]
    scalars = {key: defaults.get(key) if type(defaults.get(key)) in (int, bool) else None for key in known}
    names = [found for field in sorted(set(_other_names(cls).values())) if (found := names_of(cls, field))]
    return [scalars, {key: kinds[key] for key in known if kinds[key] != common[key]}, *([names] if names else [])]


def parts_of(cls: type) -> set[str]:
    """Return the keys of a class, those of configs inside it among them."""
    return {field.name for field in fields(cls)} | set(getattr(cls, "sub_configs", {}))


def names_of(cls: type, field: str) -> list[str]:
    """Return the names of a number, those that win where a config states several first; none where it has one alone."""
    first: list[str] = []
    last: list[str] = []
    for alias in sorted(alias for alias, name in _other_names(cls).items() if name == field):
        try:
            won = getattr(cls(**{field: ONE, alias: OTHER}), field)
        except Exception:  # noqa: BLE001  # whatever a class says against the numbers: it does not take them
            continue
        (first if won == OTHER else last).append(alias)
    return [*first, field, *last] if first or last else []


def _other_names(cls: type) -> dict[str, str]:
    """Return the other names of fields: those that a class has for all its keys, and those that it takes out as it is made."""
    return {**_taken_out(cls), **getattr(cls, "attribute_map", {})}


def _taken_out(cls: type) -> dict[str, str]:
    if "__post_init__" not in vars(cls):
        return {}
    names = set(TAKEN_OUT.findall(inspect.getsource(vars(cls)["__post_init__"])))
    numbers = [field.name for field in fields(cls) if type(field.default) is int]
    found: dict[str, str] = {}
    for alias in sorted(names - ROUNDED - {field.name for field in fields(cls)}):
        try:
            usual, made = cls(), cls(**{alias: OTHER})
            moved = [key for key in numbers if getattr(made, key) == OTHER != getattr(usual, key)]
        except Exception:  # noqa: BLE001  # whatever a class says against the number: it is no size
            continue
        found |= {alias: moved[0]} if len(moved) == 1 else {}
    return found


def takes_text_above(cls: type) -> bool:
    """Tell a wrapper's class that gives its text model what stands at the top; one that cannot be made of so little too."""
    odd = {"hidden_size": 96, "num_hidden_layers": 3}
    try:
        text = cls(**odd).get_text_config()
    except Exception:  # noqa: BLE001  # whatever a class says against the numbers
        return True
    return any(getattr(text, key, None) == value for key, value in odd.items())


def layer_kinds(classes: dict[str, type]) -> dict[str, list[str]]:
    """Return the kinds of layers that configs may list, and the model types whose class checks them in a way of its own."""
    usual = PreTrainedConfig.validate_layer_type
    others = [name for name, cls in classes.items() if getattr(cls, "validate_layer_type", usual) is not usual]
    return {
        "layer_types": [*ALLOWED_ATTN_LAYER_TYPES, *_LEGACY_LAYER_TYPE_REMAP],
        "mlp_layer_types": [*ALLOWED_MLP_LAYER_TYPES],
        "others": sorted(others),
    }


def checks_of(cls: type) -> list[str]:
    """Return the conditions under which a class refuses its own numbers, as far as they are no more than that."""
    check = getattr(cls, CHECK, None)
    if check is None or check is getattr(PreTrainedConfig, CHECK, None):
        return []
    [function] = ast.parse(textwrap.dedent(inspect.getsource(check))).body
    names: dict[str, ast.expr] = {}
    found: list[str] = []
    for statement in getattr(function, "body", ()):
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            names[statement.targets[0].id] = statement.value
        elif isinstance(statement, ast.If):
            found += _conditions(statement, names, [])
    return found


def _conditions(statement: ast.If, names: dict[str, ast.expr], around: list[str]) -> list[str]:
    """Return the conditions of an ``if`` that raises, those around it with them."""
    condition = _OfKeys(names).visit(ast.parse(ast.unparse(statement.test), mode="eval").body)
    words = {node.id for node in ast.walk(condition) if isinstance(node, ast.Name)}
    called = {ast.unparse(node.func) for node in ast.walk(condition) if isinstance(node, ast.Call)}
    is_plain = all(isinstance(node, KNOWN) for node in ast.walk(condition)) and called <= {"len"}
    if not is_plain or "self" in words or not words - {"len"}:
        return []
    both = [*around, ast.unparse(condition)]
    inner = [entry for entry in statement.body if isinstance(entry, ast.If)]
    if any(isinstance(entry, ast.Raise) for entry in statement.body):
        return [" and ".join(f"({part})" for part in both) if len(both) > 1 else both[0]]
    return [found for entry in inner for found in _conditions(entry, names, both)]


class _OfKeys(ast.NodeTransformer):
    """Write `self.key` as `key`, and what stands for an expression as that."""

    def __init__(self, names: dict[str, ast.expr]) -> None:
        self._names = names

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:  # as ast calls it
        is_own = isinstance(node.value, ast.Name) and node.value.id == "self"
        return ast.Name(id=node.attr, ctx=ast.Load()) if is_own else node

    def visit_Name(self, node: ast.Name) -> ast.AST:  # as ast calls it
        return self.visit(self._names[node.id]) if node.id in self._names else node


def write(
    common: dict[str, str],
    nested: dict[str, list[str]],
    below: list[str],
    kinds: dict[str, list[str]],
    checks: dict[str, list[str]],
    entries: dict[str, Any],
) -> None:
    """Write the data, one model type a line."""
    about = (
        "What transformers' config classes take: made by benchmarks/learn/config_fields.py. Types are letters (i f b s n l o: "
        "integer, float, boolean, text, null, list, object); a model type lists its fields with their defaults, those of another "
        "type, and the names of numbers that have several, the one that wins first. `nested` are the keys of text models "
        "inside; of the types in `below`, nothing of the text model may stand at the top. `kinds` are what lists of layers may "
        "hold, but for `others`. `checks` are conditions over keys, under each of which a class refuses a config."
    )
    rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in entries.items())
    head = {"about": about, "fields": common, "nested": nested, "below": below, "kinds": kinds, "checks": checks}
    lines = [f" {json.dumps(key)}: {json.dumps(value)},\n" for key, value in head.items()]
    DATA.write_text(f'{{\n{"".join(lines)} "models": {{\n{rows}\n }}\n}}\n')


if __name__ == "__main__":
    main()
