"""Note what vLLM reads of a config while it builds and loads a model: keys that it does not bear to be gone, classes that it asks for.

Started with ``PYTHON reads_worker.py REQUEST``: a JSON list of folders; prints what config classes have, and one JSON line for each
folder. Runs in vLLM's interpreter.
"""

from __future__ import annotations

import contextlib
import dis
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config_class_facts import TEXTS, classes
from dotted_values import put
from vllm_worker import serve, start, tell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

PLAIN = ("LOAD_ATTR", "LOAD_METHOD")
"""What Python does for ``config.key``; ``getattr(config, "key", other)`` is a call."""
OWN = (
    "/configuration_",
    "huggingface_hub",
    "/copy.py",
    "/configs/",
    "/transformers_utils/config.py",
    "_rope_utils.py",
    "reads_worker",
)
"""Where configs read themselves, or every config is read."""

MODELS = "/model_executor/models/"
BACKEND = "SmolLM3ForCausalLM"
"""An architecture that vLLM's Transformers backend serves: what it builds, the model type decides."""
OTHER_TEXTS = ("llama", "qwen2", "gemma2", "phi3", "opt")
OTHER_TOWERS = (
    "clip_vision_model", "siglip_vision_model", "siglip2_vision_model", "pixtral", "internvl_vision", "dinov2", "llama",
)  # fmt: skip


class Reads:
    """The keys that were read of each config object, by its identity; objects are kept, so that none takes another's place."""

    def __init__(self) -> None:
        self.objects: dict[int, Any] = {}
        self.plain: dict[int, set[str]] = {}
        self.careful: dict[int, set[str]] = {}
        self.expected: set[str] = set()
        self.inside: list[str] = []
        self.hidden: tuple[type, str] | None = None
        self.by_class: dict[str, set[str]] = {}

    def note(self, config: Any, key: str, frame: FrameType) -> None:
        """Note a read, and whether it is one that bears nothing else."""
        if key.startswith("_") or any(part in frame.f_code.co_filename for part in OWN):
            return
        if self.hidden == (type(config), key):
            raise AttributeError(key)
        is_plain = dis.opname[frame.f_code.co_code[frame.f_lasti]] in PLAIN
        self.objects[id(config)] = config
        if MODELS in frame.f_code.co_filename:
            self.by_class.setdefault(type(config).__name__, set()).add(key)
        (self.plain if is_plain else self.careful).setdefault(id(config), set()).add(key)


@contextlib.contextmanager
def noted() -> Iterator[Reads]:
    """Note every read of a config meanwhile, and the classes of configs and of models inside that are asked for."""
    from transformers import PreTrainedConfig
    from vllm.model_executor.model_loader import utils as loading
    from vllm.multimodal.processing.context import InputProcessingContext as Context

    reads = Reads()
    real, ask, initialize = PreTrainedConfig.__getattribute__, Context.get_hf_config, loading.initialize_model

    def read(self: Any, key: str) -> Any:
        value = real(self, key)
        if not callable(value):
            reads.note(self, key, sys._getframe(1))
        return value

    def asked(self: Any, typ: Any = None, /) -> Any:
        kinds = typ if isinstance(typ, tuple) else (typ,) if typ is not None else ()
        reads.expected |= {kind.__name__ for kind in kinds}
        return ask(self, typ)

    def initialized(*args: Any, **kwargs: Any) -> Any:
        config = kwargs.get("vllm_config") or args[0]
        reads.inside.append((config.model_config.architectures or [""])[0])
        return initialize(*args, **kwargs)

    PreTrainedConfig.__getattribute__, Context.get_hf_config, loading.initialize_model = read, asked, initialized
    try:
        yield reads
    finally:
        PreTrainedConfig.__getattribute__, Context.get_hf_config, loading.initialize_model = real, ask, initialize


def carry_out(folder: Path) -> dict[str, Any]:
    """Load one checkpoint; say what was read of its config and of that of the text model."""
    with noted() as reads:
        try:
            config, _ = _loaded(folder, load=True)
        except Exception as error:  # noqa: BLE001 - whatever the engine raises is the answer
            return {"folder": folder.name, "inside": reads.inside, "error": _said(error)}
        top, text = config.model_config.hf_config, config.model_config.hf_text_config
        found: dict[str, set[str]] = {}
        guarded: dict[str, set[str]] = {}
        for number, keys in dict(reads.plain).items():
            kind = type(reads.objects[number])
            place = "top" if kind is type(top) else "text" if kind is type(text) else _key_of(kind, top)
            found.setdefault(place, set()).update(keys)
            guarded.setdefault(place, set()).update(keys & reads.careful.get(number, set()))
        answer = {
            "folder": folder.name,
            "nested": text is not top,
            "type": top.model_type,
            "expected": sorted(reads.expected),
            "inside": list(reads.inside),
        }
        for place, keys in guarded.items():
            kind = type(top) if place == "top" else type(text) if place == "text" else None
            for key in sorted(keys) if kind else ():
                reads.hidden = (kind, key)
                if _error(folder) is None:
                    found[place].discard(key)
            reads.hidden = None
            if kind is None:
                found[place] -= keys
    answer["reads"] = {place: sorted(keys) for place, keys in found.items()}
    if text is top:
        answer["foreign"] = foreign(folder)
        answer["unsplit"] = unsplit(folder)
    with tempfile.TemporaryDirectory() as scratch:
        answer["backend"] = _error(_changed(folder, Path(scratch) / "b", {"architectures": [BACKEND]}), load=True)
        if text is not top:
            answer["variants"] = dict(variants(folder, Path(scratch)))
    return answer


def _loaded(folder: Path, *, load: bool) -> tuple[Any, Any]:
    """Return the configuration and the model that vLLM makes of a checkpoint."""
    from ctq_vllm_worker import model as engine  # type: ignore[import-not-found]
    from ctq_vllm_worker.engine import parallel_state  # type: ignore[import-not-found]
    from ctq_vllm_worker.plain_config import register_plain_config  # type: ignore[import-not-found]

    register_plain_config(str(folder))
    config = engine.engine_config(str(folder), tensor_parallel_size=1)
    with parallel_state(config, size=1, rank=0):
        dry = engine.build(config)
        if load:
            engine.load(dry)
    return config, dry.model


def _error(folder: Path, *, load: bool = False) -> str | None:
    """Return what vLLM says against a checkpoint; None where it builds it."""
    try:
        _loaded(folder, load=load)
    except Exception as error:  # noqa: BLE001 - whatever the engine raises is the answer
        return _said(error)
    return None


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:300]}"


def _changed(folder: Path, other: Path, changes: dict[str, Any]) -> Path:
    """Return a copy of a checkpoint with some keys of its config changed, "text_config.key" those inside."""
    other.mkdir()
    for path in folder.iterdir():
        if path.name != "config.json":
            (other / path.name).symlink_to(path.absolute())
    config = json.loads((folder / "config.json").read_text())
    for path, value in changes.items():
        put(config, path, value)
    (other / "config.json").write_text(json.dumps(config))
    return other


def variants(folder: Path, scratch: Path) -> Iterator[tuple[str, Any]]:
    """Yield what vLLM makes of other model types inside: the models that it initializes, or what it says."""
    config = json.loads((folder / "config.json").read_text())
    for key, level in config.items():
        if not key.endswith("_config") or not isinstance(level, dict) or key == "quantization_config":
            continue
        for kind in OTHER_TEXTS if key in TEXTS else OTHER_TOWERS:
            name = f"{key}={kind}"
            other = _changed(folder, scratch / name, {f"{key}.model_type": kind})
            with noted() as reads:
                error = _error(other)
            yield name, [error, reads.inside[1:]]


def unsplit(folder: Path) -> list[str]:
    """Return the places of a text model where wrappers may look for what splits it by layers, and that do not have it."""
    model = _loaded(folder, load=False)[1]
    holders = {"language_model": model, "language_model.model": getattr(model, "model", None)}
    return [place for place, holder in holders.items() if not hasattr(holder, "make_empty_intermediate_tensors")]


def foreign(folder: Path) -> dict[str, Any]:
    """Build a text model from a config of another class, with that of a text model inside; say what it lacks and which is read."""
    import vllm.config.model as engine_side

    lacking: list[str] = []
    real = engine_side.get_config
    classes: dict[str, type] = {}

    def other(*args: Any, **kwargs: Any) -> Any:
        config = real(*args, **kwargs)
        made = [_as_another(config, name, lacking, classes) for name in ("ForeignTop", "ForeignText")]
        made[0].__dict__["text_config"] = made[1]
        return made[0]

    engine_side.get_config = other
    try:
        for _ in range(12):
            with noted() as reads:
                error = _error(folder)
            missing = re.search(r"'Foreign\w+' object has no attribute '(\w+)'", error or "")
            if not missing or missing[1] in lacking:
                break
            lacking.append(missing[1])
    finally:
        engine_side.get_config = real
    text, top = (reads.by_class.get(name, set()) for name in ("ForeignText", "ForeignTop"))
    return {"lacking": lacking, "error": error, "text": sorted(text), "asked": sorted(text | top)}


def _as_another(config: Any, name: str, lacking: list[str], classes: dict[str, type]) -> Any:
    from transformers import PreTrainedConfig

    own = type(config)
    space = {"attribute_map": dict(own.attribute_map), "model_type": own.model_type}
    cls = classes.setdefault(name, type(name, (PreTrainedConfig,), space))
    made = object.__new__(cls)
    made.__dict__.update(config.__dict__)
    for key in lacking:
        if hasattr(config, key):
            made.__dict__[key] = getattr(config, key)
    return made


def _key_of(kind: type, top: Any) -> str:
    """Return the key of the top level under which a config of a class lies."""
    return next((key for key, value in vars(top).items() if type(value) is kind), kind.__name__)


def ask_once() -> None:
    """Read configs without waiting two seconds for one that is refused to be mended."""
    from vllm.transformers_utils import config

    config.with_retry = lambda function, *_, **__: function()


if __name__ == "__main__":
    start()
    ask_once()
    tell("classes", classes())
    serve("reads", lambda folder: carry_out(Path(folder)))
