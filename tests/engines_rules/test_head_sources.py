"""How heads are built, read in model classes that are written here (benchmarks/learn/vllm_heads.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from model_sources import write_release

from benchmarks.learn.heads.releases import rows_at, spans
from benchmarks.learn.heads.rows import HeadRow, rows_of
from ctq.engines.data_file import read_data

if TYPE_CHECKING:
    from pathlib import Path

NONE = HeadRow(None, None, None, "")
LLAMA = """
class LlamaModel(nn.Module):
    def __init__(self, *, vllm_config, prefix=""):
        super().__init__()
        self.embed_tokens = VocabParallelEmbedding(vllm_config.model_config.hf_config.vocab_size)


class LlamaForCausalLM(nn.Module):
    def __init__(self, *, vllm_config, prefix=""):
        super().__init__()
        config = vllm_config.model_config.hf_config
        quant_config = vllm_config.quant_config
        self.model = LlamaModel(vllm_config=vllm_config, prefix=maybe_prefix(prefix, "model"))
        if get_pp_group().is_last_rank:
            self.lm_head = ParallelLMHead(
                config.vocab_size, config.hidden_size, quant_config=quant_config, prefix=maybe_prefix(prefix, "lm_head")
            )
            if config.tie_word_embeddings:
                self.lm_head = self.lm_head.tie_weights(self.model.embed_tokens)
        else:
            self.lm_head = PPMissingLayer()
"""
BUILDS = """
class Model(nn.Module):
    def __init__(self, *, vllm_config, prefix=""):
        config, quant_config = vllm_config.model_config.hf_config, vllm_config.quant_config
        {}
"""
HEADS = {
    "five arguments": ("ParallelLMHead(1, 2, False, None, None)", HeadRow("", "no", False, "ignored")),
    "by place": ('ParallelLMHead(1, 2, False, None, None, 64, quant_config, "lm_head")', HeadRow("lm_head", "yes", True, "ignored")),
    "no name": ("ParallelLMHead(1, 2, quant_config=quant_config)", HeadRow("", "yes", False, "ignored")),
    "a name with a dot before it": (
        'ParallelLMHead(1, 2, quant_config=quant_config, prefix=f"{prefix}.lm_head")', HeadRow(".lm_head", "yes", True, "ignored"),
    ),
    "another name": (
        'ParallelLMHead(1, 2, quant_config=quant_config, prefix=maybe_prefix(prefix, "output"))',
        HeadRow("output", "yes", False, "ignored"),
    ),
    "no quantization": ('ParallelLMHead(1, 2, prefix="lm_head")', HeadRow("lm_head", "no", False, "ignored")),
    "none": ('ParallelLMHead(1, 2, quant_config=None, prefix="lm_head")', HeadRow("lm_head", "none", False, "ignored")),
    "by the config": (
        'ParallelLMHead(1, 2, quant_config=quant_config if config.own_head else None, prefix="lm_head")',
        HeadRow("lm_head", "conditional", True, "ignored"),
    ),
}  # fmt: skip


def read(folder: Path, architecture: str, registered: dict[str, tuple[str, str]], **models: str) -> HeadRow:
    root = write_release(folder, models, registered=registered)
    return rows_of(root)[architecture]


def of(folder: Path, text: str, cls: str = "Model") -> HeadRow:
    """Return the row of a class beside that of Llama."""
    registered = {"It": ("it", cls), "LlamaForCausalLM": ("llama", "LlamaForCausalLM")}
    return read(folder, "It", registered, it=f"from .llama import LlamaForCausalLM, LlamaModel\n{text}", llama=LLAMA)


@pytest.mark.parametrize("name", HEADS)
def test_what_a_head_is_given(tmp_path: Path, name: str) -> None:
    call, expected = HEADS[name]
    assert of(tmp_path, BUILDS.format(f"self.lm_head = {call}")) == expected


TIES = {
    "tie_weights": "{head}\n        if config.tie_word_embeddings:\n            self.lm_head = self.lm_head.tie_weights(self.embed)",
    "tie_weights+always_tied": "{head}\n        self.lm_head = self.lm_head.tie_weights(self.embed)",
    "weight_share": "{head}\n        if self.config.weight_tying:\n            self.lm_head.weight = self.embed.weight",
    "module_alias": (
        'tied = getattr(config, "tie_word_embeddings", False)\n'
        "        if tied:\n            self.lm_head = self.embed\n        else:\n            {head}"
    ),
    "ignored": "{head}\n        if config.bias:\n            self.lm_head.bias = None",
}  # fmt: skip


@pytest.mark.parametrize("way", TIES)
def test_how_a_head_is_tied(tmp_path: Path, way: str) -> None:
    head = 'self.lm_head = ParallelLMHead(1, 2, quant_config=quant_config, prefix="lm_head")'
    assert of(tmp_path, BUILDS.format(TIES[way].format(head=head))) == HeadRow("lm_head", "yes", True, way)


LOADERS = {
    "skip_prefixes": 'return AutoWeightsLoader(self, skip_prefixes=["lm_head."] if self.config.tie_word_embeddings else None)',
    "load_skip": 'for name, _ in weights:\n            if self.tie_word_embeddings and "lm_head.weight" in name:\n                continue',
    "": 'for name, _ in weights:\n            if "lm_head" not in name:\n                continue',
}  # fmt: skip


@pytest.mark.parametrize("way", LOADERS)
def test_what_its_loader_leaves_out(tmp_path: Path, way: str) -> None:
    text = f"class Model(LlamaForCausalLM):\n    def load_weights(self, weights):\n        {LOADERS[way]}\n"
    assert of(tmp_path, text) == HeadRow("lm_head", "yes", True, f"tie_weights+{way}".rstrip("+"))


def test_a_name_that_is_mapped_to_none_is_left_out(tmp_path: Path) -> None:
    text = (
        'class Model(LlamaForCausalLM):\n    hf_to_vllm_mapper = WeightsMapper(orig_to_new_prefix={"lm_head.": None})\n'
    )
    assert of(tmp_path, text).tie == "tie_weights+load_skip"


def test_a_constructor_that_is_passed_by_ties_nothing(tmp_path: Path) -> None:
    text = """
class Model(LlamaForCausalLM):
    def __init__(self, *, vllm_config, prefix=""):
        nn.Module.__init__(self)
        self.lm_head = ParallelLMHead(1, 2, quant_config=vllm_config.quant_config, prefix=maybe_prefix(prefix, "lm_head"))
"""
    assert of(tmp_path, text) == HeadRow("lm_head", "yes", True, "ignored")


def test_a_mixin_hands_on_what_it_is_given(tmp_path: Path) -> None:
    text = """
class Mixin(nn.Module):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)


class Model(Mixin, LlamaForCausalLM): ...
"""
    assert of(tmp_path, text) == HeadRow("lm_head", "yes", True, "tie_weights")


WRAPPER = """
class Model(nn.Module):
    def __init__(self, *, vllm_config, prefix=""):
        config = vllm_config.model_config.hf_config
        with self._mark_language_model(vllm_config):
            self.language_model = {}
"""


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            'init_vllm_registered_model(vllm_config=vllm_config, hf_config=config.text_config, prefix=maybe_prefix(prefix, "llm"))',
            HeadRow("llm.lm_head", "inner", "inner", "inner"),
        ),
        (
            'init_vllm_registered_model(vllm_config, prefix="llm", architectures=["LlamaForCausalLM"])',
            HeadRow("llm.lm_head", "yes", True, "tie_weights"),
        ),
        (
            'init_vllm_registered_model(vllm_config.with_hf_config(config.text, ["LlamaForCausalLM"]), prefix="llm")',
            HeadRow("llm.lm_head", "yes", True, "tie_weights"),
        ),
        (
            'init_vllm_registered_model(vllm_config, prefix="llm", architectures=["NotThere"])',
            HeadRow("llm.lm_head", "inner", "inner", "inner"),
        ),
        (
            'LlamaForCausalLM(vllm_config=vllm_config, prefix=maybe_prefix(prefix, "language_model"))',
            HeadRow("language_model.lm_head", "yes", True, "tie_weights"),
        ),
        ("LlamaModel(vllm_config=vllm_config)", NONE),
    ],
    ids=["by the config", "by name", "in its settings", "unknown", "by class", "without a head"],
)
def test_what_a_wrapper_builds_its_text_model_of(tmp_path: Path, call: str, expected: HeadRow) -> None:
    assert of(tmp_path, WRAPPER.format(call)) == expected


def test_a_head_that_is_taken_away_or_left_out_is_none(tmp_path: Path) -> None:
    taken = """
class Model(nn.Module):
    def __init__(self, *, vllm_config, prefix=""):
        self.language_model = LlamaForCausalLM(vllm_config=vllm_config)
        language_model: nn.Module = self.language_model
        language_model.lm_head = None
"""
    left_out = """
class Model(LlamaForCausalLM):
    def __init__(self, *, vllm_config, prefix=""):
        with no_init_weights(self, lambda one: StageMissingLayer(one), targets=(LogitsProcessor, ParallelLMHead)):
            super().__init__(vllm_config=vllm_config, prefix=prefix)
"""
    assert of(tmp_path / "taken", taken) == of(tmp_path / "left_out", left_out) == NONE


def test_logits_of_the_embedding(tmp_path: Path) -> None:
    text = """
class Model(nn.Module):
    def __init__(self, *, vllm_config, prefix=""):
        self.model = LlamaModel(vllm_config=vllm_config)

    def compute_logits(self, hidden_states):
        return self.logits_processor(self.model.embed_tokens, hidden_states)
"""
    assert of(tmp_path, text) == HeadRow(None, None, None, "embed_as_head")


def test_heads_of_counted_layers_are_tied_by_what_holds_them(tmp_path: Path) -> None:
    text = """
class SharedHead(nn.Module):
    def __init__(self, config, prefix, quant_config=None):
        self.head = ParallelLMHead(1, 2, quant_config=quant_config, prefix=maybe_prefix(prefix, "head"))


class Layer(nn.Module):
    def __init__(self, vllm_config, prefix):
        self.shared_head = SharedHead(vllm_config.model_config.hf_config, prefix=prefix, quant_config=vllm_config.quant_config)


class Model(nn.Module):
    def __init__(self, *, vllm_config, prefix=""):
        self.layers = nn.ModuleDict({str(at): Layer(vllm_config, f"{prefix}layers.{at}") for at in range(2)})

    def load_weights(self, weights):
        for name, weight in weights:
            if self.config.tie_word_embeddings and "lm_head.weight" in name:
                continue
"""
    assert of(tmp_path, text) == HeadRow("layers.<idx>.head", "yes", False, "wrapper:load_skip")


def test_a_class_that_makes_one_of_others(tmp_path: Path) -> None:
    text = """
class Own(nn.Module):
    def __init__(self, *, vllm_config, prefix=""):
        self.llm = LlamaForCausalLM(vllm_config=vllm_config, prefix=maybe_prefix(prefix, "llm"))


VERSIONS = {(2, 0): Own, (2, 5): Own}


class Model(Own):
    def __new__(cls, *, vllm_config, prefix=""):
        made = VERSIONS.get(tuple(vllm_config.model_config.hf_config.version))
        if made is None:
            raise ValueError
        return made(vllm_config=vllm_config, prefix=prefix)
"""
    assert of(tmp_path, text) == HeadRow("llm.lm_head", "yes", True, "tie_weights")


PLATFORMS = """
from typing import TYPE_CHECKING

from vllm.platforms import current_platform

if TYPE_CHECKING or not current_platform.is_rocm():
    from .nvidia.model import Model
else:
    from .amd.model import Model
"""
ELSEWHERE = "from vllm.model_executor.layers.vocab_parallel_embedding import ParallelLMHead\n"


def test_of_packages_by_platform_that_of_cuda_is_read(tmp_path: Path) -> None:
    models = {
        "it/__init__": PLATFORMS,
        "it/nvidia/model": ELSEWHERE + BUILDS.format('self.head = ParallelLMHead(1, 2, prefix="cuda")'),
        "it/amd/model": ELSEWHERE + BUILDS.format('self.head = ParallelLMHead(1, 2, prefix="rocm")'),
    }
    assert read(tmp_path, "It", {"It": ("vllm.models.it", "Model")}, **models) == HeadRow(
        "cuda", "no", False, "ignored"
    )


def test_rows_hold_from_one_release_to_another() -> None:
    one, other = HeadRow("lm_head", "yes", True, "ignored"), HeadRow("lm_head", "no", False, "ignored")
    releases = {
        "0.10.0": {"A": one, "B": one},
        "0.9.0": {"A": one},
        "0.11.0": {"A": other},
        "0.12.0": {"A": other, "B": one},
    }
    stored = spans(releases)
    assert stored == {
        "A": [["0.9.0", "0.10.0", *one], ["0.11.0", "0.12.0", *other]],
        "B": [["0.10.0", "0.10.0", *one], ["0.12.0", "0.12.0", *one]],
    }
    assert {version: rows_at(stored, version) for version in releases} == releases


def test_the_stored_rows_are_as_few_as_can_be() -> None:
    known = read_data("vllm_heads")
    assert (
        spans({version: rows_at(known["architectures"], version) for version in known["versions"]})
        == known["architectures"]
    )
