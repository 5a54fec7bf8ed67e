"""What classes give their heads, read in sources that are written here as SGLang lays them out (benchmarks/sglang_heads.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.sglang_heads import given, names_read, table

if TYPE_CHECKING:
    from pathlib import Path

IMPORTS = """
from sglang.srt.layers.vocab_parallel_embedding import ParallelLMHead
from sglang.srt.utils import add_prefix, is_npu

_is_npu = is_npu()
"""
QWEN = """
class Qwen2ForCausalLM(nn.Module):
    def __init__(self, config, quant_config=None, prefix=""):
        if self.pp_group.is_last_rank:
            if self.pp_group.world_size == 1 and config.tie_word_embeddings:
                self.lm_head = self.model.embed_tokens
            else:
                self.lm_head = ParallelLMHead(1, 2, quant_config=quant_config, prefix=add_prefix("lm_head", prefix))
        else:
            self.lm_head = PPMissingLayer()


EntryClass = Qwen2ForCausalLM
"""
CLASS = """
from sglang.srt.models.qwen2 import Qwen2ForCausalLM


class It(nn.Module):
    def __init__(self, config, quant_config=None, prefix=""):
        {}


EntryClass = [It]
"""
HEADS = {
    "a name": ('self.lm_head = ParallelLMHead(1, 2, quant_config=quant_config, prefix="lm_head").float()', "named", "lm_head"),
    "no name": ("self.lm_head = ParallelLMHead(1, 2, quant_config=quant_config)", "nameless", ""),
    "no config": ('self.lm_head = ParallelLMHead(1, 2, prefix=add_prefix("lm_head", prefix))', "no", ""),
    "no head": ("self.lm_head = nn.Linear(1, 2)", "unread", ""),
    "inside": (
        'self.llm = Qwen2ForCausalLM(config, quant_config=quant_config, prefix=add_prefix("llm", prefix))', "named", "llm.lm_head",
    ),
    "inside, without the config": ("self.llm = Qwen2ForCausalLM(config)", "no", ""),
    "unlike text models": (
        ("if config.kind:\n            self.llm = Qwen2ForCausalLM(config)\n"
         "        else:\n            self.llm = Qwen2ForCausalLM(config, quant_config)"), "unread", "",
    ),
    "but for another platform": (
        ("if _is_npu and config.kind:\n            quant_config = None\n"
         "        self.llm = Qwen2ForCausalLM(config, quant_config)"), "named", "lm_head",
    ),
    "but for another method": (
        ('if quant_config and quant_config.get_name() == "modelopt_fp4":\n            quant_config = None\n'
         "        self.llm = Qwen2ForCausalLM(config, quant_config)"), "named", "lm_head",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_what_a_class_gives_its_head(tmp_path: Path, name: str) -> None:
    body, word, prefix = HEADS[name]
    models = {"qwen2": QWEN, "it": CLASS.format(body)}
    files = {f"models/{module}.py": IMPORTS + text for module, text in models.items()}
    files["layers/vocab_parallel_embedding.py"] = "class ParallelLMHead: ...\n"
    for file, text in files.items():
        (tmp_path / "sglang/srt" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sglang/srt" / file).write_text(text)
    read = names_read(tmp_path / "sglang")
    assert given("Qwen2ForCausalLM", read["Qwen2ForCausalLM"], []) == ("named", "lm_head")
    assert given("It", read["It"], []) == (word, prefix)


def test_what_was_measured_is_kept() -> None:
    known = {"first": "0.5.19", "untied": {"embedding": ["A"]}, "tied": {}, "named": ["Gone"]}
    assert given("A", [], known["untied"]["embedding"]) == ("no", "")
    made = table(known, "0.6.0", {"A": ("no", ""), "B": ("named", "lm_head"), "C": ("unread", "")})
    assert made.pop("about")
    assert made == {
        **{key: known[key] for key in ("first", "untied", "tied")},
        "version": "0.6.0", "named": ["B"], "nameless": [], "no": ["A"], "unread": ["C"], "prefixes": {"lm_head": ["B"]},
    }  # fmt: skip
