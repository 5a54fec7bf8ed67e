"""Rules of what a config says the model is: the names by which loaders choose their code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctq.checkpoint.architecture_endings import CLASSIFIERS
from ctq.checkpoint.pooling import MODULES_NAME
from ctq.engines.versions import version_key
from ctq.engines.vllm.learnt_with import LEARNT_WITH
from ctq.engines.vllm.methods.arguments import refused_arguments
from ctq.engines.vllm.methods.called import method_called
from ctq.engines.vllm.methods.storages import refusal
from ctq.engines.vllm_models.bare_models import generates_by_name, is_bare, pools_without_head, resembles_a_class
from ctq.engines.vllm_models.known_names import known_architectures, quant_methods
from ctq.engines.vllm_models.other_tasks import classified_model, lacks_its_reward
from ctq.engines.vllm_models.own_code import is_read
from ctq.findings import Severity
from ctq.inspect.as_built.no_class import without_class
from ctq.inspect.facts.entries import State
from ctq.inspect.rules.rule import QUANTIZATION_CONFIG, Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ctq.inspect.facts.facts import Facts

_DENSE = "dense"
_CLASSIFIER_HEADS = frozenset({"score", "classifier", "classification_head", _DENSE})
"""Last names of a classifier's output."""


def unknown_model_type(facts: Facts) -> Iterator[Hit]:
    """Report a `model_type` that no loader knows beside an architecture that is known.

    ## What it checks
    `model_type` against those of transformers 5.19 and vLLM 0.32, where the architecture is one of theirs and no `auto_map` brings
    a class for the config (`AutoConfig`).

    ## Why it hurts
    Engines read `config.json` by its model type before anything else: vLLM and transformers both refuse it.

    ## Example
    `"architectures": ["LlamaForCausalLM"]` beside `"model_type": "my_llama"`.

    ## How to mend
    Give the model type that belongs to the architecture.

    ## References
    transformers 5.19 `configuration_auto.py`; vLLM 0.32.0 `transformers_utils/config.py`.
    """
    config = facts.config
    name = config.model_type
    if name is not None and config.architecture in known_architectures() and not is_read(config):
        yield Hit(
            where="config.json: model_type",
            message=f"no loader knows the model_type {name!r}, although {config.architecture} is known",
            hint="give the model type that belongs to the architecture",
        )


def unknown_architecture(facts: Facts) -> Iterator[Hit]:
    """Report an architecture that no loader knows beside a `model_type` that is known, or that vLLM has no more.

    ## What it checks
    `architectures` names a class that an older release of vLLM had, and the newest known one (or that of `--engine`) has not.
    All of `architectures` against the classes of transformers 5.19 and every known release of vLLM, where the model type is
    one of theirs, or an `auto_map` brings a class for the config and none for the model (`AutoModelForCausalLM`). A model of a
    new type is not judged. Behind an unknown name, one that vLLM does not register does not count. An unknown name whose ending
    vLLM corrects (`LlavaLMHeadModel` to `LlavaForConditionalGeneration`) is the corrected one.

    ## Why it hurts
    vLLM chooses its model class by this name and refuses one that neither it nor transformers has.

    ## Example
    `"architectures": ["MyLlamaForCausalLM"]` beside `"model_type": "llama"`.

    ## How to mend
    Give the architecture of the model that was quantized.

    ## References
    vLLM 0.32.0 `model_executor/models/registry.py` (`_raise_for_unsupported`).
    """
    for lacking in without_class(facts):
        yield Hit(where="config.json: architectures", message=lacking.why, hint=lacking.hint)


def unknown_quant_method(facts: Facts) -> Iterator[Hit]:
    """Report a `quant_method` that no loader knows, or of which vLLM takes no config at all.

    ## What it checks
    `quantization_config.quant_method` against the methods of transformers 5.19 and vLLM 0.32, in any case of letters, whatever the
    tensors are; and against those of them that vLLM was seen to refuse: of transformers alone (bitsandbytes, HQQ, GGUF), no longer
    supported (FBGEMM's FP8), or such as quantize while vLLM loads; and arguments of GPTQ and AWQ that it takes no more (`desc_act`
    over groups, `sym: false`). A warning where another engine or an older release is asked for.

    ## Why it hurts
    vLLM stops with *Unknown quantization method*; transformers warns of a name that it does not know either, and loads the codes as
    if they were weights.

    ## Example
    `"quant_method": "compressed-tensor"`.

    ## How to mend
    Give the method of the tool that wrote the tensors: `compressed-tensors`. Quantize again from the dense model for a method that
    vLLM does not take.

    ## References
    vLLM 0.32.0 `config/model.py` (`_verify_quantization`); transformers `quantizers/auto.py`; `benchmarks/learn/other_methods.py`.
    """
    quant = facts.quant
    method = quant.method if quant is not None else None
    if quant is None or not method or facts.is_compressed_tensors:
        return
    if method.lower() not in quant_methods():
        yield Hit(
            where=f"{QUANTIZATION_CONFIG}.quant_method",
            message=f"no loader knows the quant_method {method!r}",
            hint="give the method of the tool that wrote the tensors, such as compressed-tensors",
        )
        return
    why = refusal(method.lower())
    wrong = (
        [("quant_method", f"the quant_method {method!r}: {why}")]
        if why
        else [
            (key, f"this {method}: {key} {said}") for key, said in refused_arguments(method_called(method), quant.raw)
        ]
    )
    asked = [one.version for one in facts.engines if one.engine == "vllm" and one.decides]
    others = facts.engines and not any(version_key(one) >= version_key(LEARNT_WITH) for one in asked)
    for key, said in wrong:
        yield Hit(
            where=f"{QUANTIZATION_CONFIG}.{key}",
            message=f"vLLM {LEARNT_WITH} refuses {said}",
            hint="quantize again in a method that vLLM takes, or leave this rule out if an engine of yours takes this one",
            severity=Severity.WARNING if others else None,
        )


def head_of_another_task(facts: Facts) -> Iterator[Hit]:
    """Report a language model's checkpoint whose architecture is a classifier's, or the model's without its head.

    ## What it checks
    `architectures` names a classifier (`...ForSequenceClassification`, `...ForTokenClassification`) and the files hold a head
    `lm_head` and no `score` or `classifier`, or neither where vLLM makes the classifier of a language model's class; or a reward
    model of vLLM's, whose output the files do not hold. The first name of several that vLLM can make something of decides. Or
    `architectures` names the bare model (`Qwen2_5_VLModel`), or nothing where the model type stands for one, and vLLM does not
    generate with it: a warning where the head is dense and vLLM was seen to serve the rest for pooling. Or it names a base model
    that vLLM registers as one that generates (`LlamaModel`), without the `modules.json` that says otherwise.

    ## Why it hurts
    vLLM makes a pooling model of it, whose classifier is never loaded and answers from uninitialised memory, and which has no
    place for the head.

    ## Example
    `"architectures": ["LlamaForSequenceClassification"]` beside `lm_head.weight`.

    ## How to mend
    Give the architecture of the language model, `...ForCausalLM`.

    ## References
    vLLM 0.32.0 `model_executor/models/adapters.py` (`as_seq_cls_model`); `benchmarks/learn/bare_models.py`.
    """
    name, head = facts.config.architecture or "", facts.head
    modules = [entry.modules for entry in facts.entries]
    leaves = {one.leaf for one in modules if one.leaf != _DENSE or not one.depth}  # Falcon's attention has one too
    is_unclassified = leaves.isdisjoint(_CLASSIFIER_HEADS)
    if lacks_its_reward(name, leaves):
        yield _of_another_task(f"{name} is a reward model, and the files hold no output of one")
    elif head.entry is None and classified_model(name) is not None and is_unclassified:
        hint = "give the architecture of the model without a head to pool with it, or restore the classifier"
        yield _of_another_task(f"{name} is a classifier, and the files hold none", hint)
    elif generates_by_name(name) and facts.config.relative and not facts.config.pools:
        said = f"vLLM takes {name} for a model that generates, and refuses tensors that are called as inside of one"
        yield _of_another_task(
            said, f"put the {MODULES_NAME} of sentence-transformers beside it, or serve with --runner pooling"
        )
    elif head.entry is not None and is_bare(name):
        said = f"{name} is the model without a head, and the files hold {head.name}"
        yield _of_another_task(said, severity=Severity.WARNING if _only_pools(facts) else None)
    elif head.entry is not None and name.endswith(CLASSIFIERS) and is_unclassified:
        held = f"the language model's head {head.name} and no classifier"
        yield _of_another_task(f"{name} is a classifier, and the files hold {held}")


def _of_another_task(
    said: str, hint: str = "give the architecture of the language model", severity: Severity | None = None
) -> Hit:
    return Hit(where="config.json: architectures", message=said, hint=hint, severity=severity)


def _only_pools(facts: Facts) -> bool:
    """Tell a model with a dense head, of which vLLM serves all the rest, to pool with; its backend refuses the head."""
    config = facts.config
    name, is_wrapper = config.architecture or "", len(config.text_levels) > 1
    known = pools_without_head(name)
    served = known if known is not None else not is_wrapper and resembles_a_class(name)
    return served and facts.head.state in (State.DENSE, State.TIED)
