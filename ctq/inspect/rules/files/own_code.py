"""FIL: code that the config says the checkpoint brings along, and that is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.engines.vllm_models.known_names import known_architectures
from ctq.engines.vllm_models.own_code import brings_its_own_code, config_code, model_code
from ctq.findings import Severity
from ctq.inspect.rules.rule import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts.facts import Facts


def code_missing(facts: Facts) -> Iterator[Hit]:
    """Report code that `auto_map` names and that does not lie beside the weights.

    ## What it checks
    The files of the classes that `auto_map` of `config.json` names, unless they are another repository's
    (`owner/name--module.Class`). It is an error where nothing else reads the config or builds the model: for the config's class if
    no loader knows the model type, for the model's if none knows the architecture. Otherwise it is a warning, and so it is in the
    hub's cache, which holds what was asked for.

    ## Why it hurts
    A tool that saves weights and configs alone leaves the `.py` files behind. Engines then stop before they read a tensor, with
    *does not appear to have a file named configuration_chat.py*.

    ## Example
    `"auto_map": {"AutoConfig": "configuration_chat.ChatConfig"}` in a folder without `configuration_chat.py`.

    ## How to mend
    Copy the `.py` files of the original, all of them: they import one another.

    ## References
    transformers 5.19 `dynamic_module_utils.py` (`get_class_from_dynamic_module`); vLLM 0.32.0 `transformers_utils/config.py`,
    `model_executor/models/registry.py` (`_try_resolve_transformers`).
    """
    checkpoint, config = facts.checkpoint, facts.config
    of_config, of_model = config_code(config), model_code(config)
    needed = {
        *([of_config] if of_config is not None and brings_its_own_code(config) else ()),
        *(of_model if config.architecture not in known_architectures() else ()),
    }
    named = dict.fromkeys((*([of_config] if of_config is not None else ()), *of_model))
    lost = [file for file in named if file not in checkpoint.source.files]
    if lost:
        missed = [file for file in lost if file in needed and checkpoint.source.cached_repo is None]
        yield Hit(
            where="config.json: auto_map",
            message=f"auto_map names code that is not there: {', '.join(missed or lost)}",
            hint="copy the .py files of the original"
            if missed
            else "copy the .py files of the original, or leave auto_map out",
            severity=None if missed else Severity.WARNING,
        )
