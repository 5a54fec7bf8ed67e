"""What the config class of each model type has and takes, by making configs of it.

Runs in vLLM's interpreter, which has classes of its own for some types.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import inspect
import textwrap
from typing import Any

TEXTS = ("text_config", "llm_config", "language_config", "thinker_config", "decoder", "text_encoder", "generator")
"""Keys under which a wrapper's config has that of a text model."""


def classes() -> dict[str, Any]:
    """Return for each model type the names of its class, what a config of it has, and what a config must not state."""
    from transformers import CONFIG_MAPPING
    from vllm.transformers_utils.config import _CONFIG_REGISTRY

    known = {
        kind: _CONFIG_REGISTRY if kind in _CONFIG_REGISTRY else CONFIG_MAPPING
        for kind in {*CONFIG_MAPPING, *_CONFIG_REGISTRY}
    }
    waiting = [(kind, known[kind]) for kind in sorted(known)]
    found: dict[str, Any] = {}
    for kind, classes_of in waiting:
        try:
            cls = classes_of[kind]
            config = cls()
        except Exception:  # noqa: BLE001 - whatever a class says against being made of nothing
            continue
        for inner in vars(config).values():  # wrappers in wrappers, which are registered nowhere
            if {*TEXTS} & {*getattr(inner, "sub_configs", ())} and inner.model_type not in {*known, ""}:
                known[inner.model_type] = {inner.model_type: type(inner)}
                waiting.append((inner.model_type, known[inner.model_type]))
        names = [name for name in {*dir(config), *cls.attribute_map} if not name.startswith("_")]
        found[kind] = {
            **flat(cls),
            "classes": [base.__name__ for base in cls.__mro__],
            "has": sorted(name for name in names if _is_value(config, name)),
            "inside": {key: found_inside for key in TEXTS if (found_inside := _inside(cls, key))},
            "sealed": sorted(name for name in dir(cls) if not name.startswith("_") and _is_sealed(cls, name)),
        }
    return found


def _inside(cls: Any, key: str) -> list[Any] | None:
    """Return how a class reads a text model's config inside.

    That is the model type that it is read as where it states none, whether it is whatever it states, and, if there are any, other
    names that the class takes for types.
    """
    found = _usual(cls, key)
    names = _other_names(cls, key) if found is not None and not found[1] else {}
    return [*found, names] if found is not None and names else found


def _other_names(cls: Any, key: str) -> dict[str, str]:
    """Return names of no model type that a class takes inside, of those that its code holds, with the type that each stands for."""
    from transformers import CONFIG_MAPPING

    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    found = {}
    for word in sorted(one for one in words if one.isidentifier() and one not in CONFIG_MAPPING):
        with contextlib.suppress(Exception):
            found[word] = type(getattr(cls(**{key: {"model_type": word}}), key)).model_type
    return {word: kind for word, kind in found.items() if kind in CONFIG_MAPPING}


def _usual(cls: Any, key: str) -> list[Any] | None:
    if key not in getattr(cls, "sub_configs", {}):
        return _made_inside(cls, key)
    usual = None
    for stated in ({}, FLAT):
        with contextlib.suppress(Exception):  # whatever a class says against a config that states no type
            usual = usual or getattr(cls(**{key: copy.deepcopy(stated)}), key).model_type
    try:
        cls(**{key: {"model_type": "no_model_type"}})
    except KeyError:
        return [usual, False]
    except Exception:  # noqa: BLE001 - it is not known what it takes
        return None
    return [usual, True]


MARK = "no_key_of_any_config"
UNKNOWN_TYPE = "Unrecognized model identifier"
"""In transformers' words for a type that it does not have."""


def _made_inside(cls: Any, key: str) -> list[Any] | None:
    """Return the same of a class that does not declare what it makes inside: where it is found by a mark."""
    kinds: list[str | None] = []
    for stated in ({}, {"model_type": "no_model_type"}):
        try:
            made = vars(cls(**{key: {MARK: 1, **stated}})).values()
        except Exception as error:  # noqa: BLE001 - of any other it is not known what the class takes
            if not isinstance(error, KeyError) and UNKNOWN_TYPE not in str(error):
                return None
            kinds.append(None)
            continue
        marked = [type(one).model_type for one in made if getattr(one, MARK, None) == 1 and hasattr(one, "model_type")]
        if not marked:
            return None
        kinds.append(marked[0])
    usual, other = kinds
    return [usual, other is not None] if usual or not other else None


def _is_sealed(cls: Any, name: str) -> bool:
    """Tell a key that a class works out, and refuses to be told."""
    own = inspect.getattr_static(cls, name, None)
    if not isinstance(own, property) or own.fset is not None:
        return False
    try:
        cls(**{name: None})
    except Exception as error:  # noqa: BLE001 - whatever a class says against the value
        return "has no setter" in str(error)
    return False


FLAT: dict[str, Any] = {
    "hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 192,
    "vocab_size": 320, "max_position_embeddings": 256, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
}  # fmt: skip
"""What the config of a text model states."""
WIDTH, ODD_WIDTH = "head_dim", 20
SIZES = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "vocab_size",
    "num_experts",
    "n_routed_experts",
    "num_local_experts",
)


def flat(cls: Any) -> dict[str, Any]:
    """Return what a class makes of a text model's config: its width of a head, rotary settings, and where the sizes end up."""
    try:
        config = cls(**copy.deepcopy(FLAT))
    except Exception as error:  # noqa: BLE001 - whatever a class says against the values
        return {"refuses": str(error)[:300]}
    found: dict[str, Any] = {"moves": [key for key in FLAT if not _is_value(config, key)]}
    with contextlib.suppress(Exception):
        found[WIDTH] = getattr(config, WIDTH)
    with contextlib.suppress(Exception):
        found["deaf"] = getattr(cls(**{**copy.deepcopy(FLAT), WIDTH: ODD_WIDTH}), WIDTH) != ODD_WIDTH
    settings = getattr(config, "rope_parameters", None)
    found["rope"] = sorted(settings) if isinstance(settings, dict) else None
    with contextlib.suppress(Exception):
        text = config.get_text_config()
        if text is not config:
            found["text"] = {key: getattr(text, key, None) for key in SIZES}
    return found


def _is_value(config: Any, name: str) -> bool:
    try:
        return not callable(getattr(config, name))
    except AttributeError:
        return False
    except Exception:  # noqa: BLE001 - what may differ from layer to layer says so
        return True
