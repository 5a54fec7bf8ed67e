"""`ctq inspect` as a person reads it: the whole text, at 80 columns, plain when piped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import breaking as do
import pytest
from builders import edit_config, edit_tensors, tiny_checkpoint, tiny_quantized
from raw_safetensors import Raw

from ctq.cli.main import run

if TYPE_CHECKING:
    from pathlib import Path


class Run(Protocol):
    """Run the command line in a folder and return exit code, stdout and stderr."""

    def __call__(self, *arguments: str) -> tuple[int, str, str]: ...


@pytest.fixture
def ctq(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


HEALTHY = """\
model
LlamaForCausalLM, compressed-tensors int-quantized, 424 kB in 2 files, 36
tensors

lm_head              quantized: int8 per-channel, matched by `re:.*lm_head$`,
                     2.0x smaller
vllm 0.33.0          quantized
sglang 0.5.23        quantized
transformers 5.19.0  quantized

Modules                                 Stored as            Size
model.embed_tokens                      dense BF16        81.9 kB
model.layers.{0-1}.mlp.down_proj x2     int8 per-channel    66 kB
model.layers.{0-1}.mlp.gate_proj x2     int8 per-channel  66.6 kB
model.layers.{0-1}.mlp.up_proj x2       int8 per-channel  66.6 kB
model.layers.{0-1}.self_attn.k_proj x2  int8 per-channel  16.6 kB
model.layers.{0-1}.self_attn.o_proj x2  int8 per-channel  33.3 kB
model.layers.{0-1}.self_attn.q_proj x2  int8 per-channel  33.3 kB
model.layers.{0-1}.self_attn.v_proj x2  int8 per-channel  16.6 kB
lm_head                                 int8 per-channel  41.6 kB
norms and other small parameters x5     dense             1.28 kB

size       linear 299 kB, embedding 81.9 kB, head 41.6 kB, other 1.28 kB
per token  342 kB of weights read while decoding one sequence
head       saves 40.3 kB of that: decoding about 1.12x as fast as with a dense
           head

no findings
"""


def test_a_healthy_checkpoint(ctq: Run, tmp_path: Path) -> None:
    tiny_quantized(tmp_path / "model")
    assert ctq("inspect", "model", "--ignore-rule", "HED012") == (0, HEALTHY, "")


def test_a_broken_one_says_what_to_change(ctq: Run, tmp_path: Path) -> None:
    tiny_quantized(tmp_path / "model", kind="w8a16")
    edit_config(tmp_path / "model", lambda config: config["quantization_config"].update(ignore=["lm_head"]))
    code, out, err = ctq("inspect", "model")
    assert (code, err) == (1, "")
    assert out.splitlines()[4:12] == [
        "lm_head              broken: in `ignore` (`lm_head`)",
        "vllm 0.33.0          fails: vLLM builds a dense head and refuses the tensor",
        "                     lm_head.weight_packed: ignore holds lm_head",
        "sglang 0.5.23        garbage: SGLang builds a dense head, which quantized",
        "                     tensors do not fill: no target names it, or ignore does;",
        "                     SGLang does not ask for classes such as Linear",
        "transformers 5.19.0  garbage: no target reaches the head, or ignore does:",
        "                     transformers makes up a dense head",
    ]
    assert (
        out.partition("\nerror ")[2]
        == """\
HED002 quantized-head-ignored
  the head is stored quantized (int8 group 128), but `ignore` excludes it
  (`lm_head`)
  -> remove `lm_head` from quantization_config.ignore, or store the head dense

1 error
"""
    )


def test_a_tied_head_is_named_with_what_quantizing_it_would_save(ctq: Run, tmp_path: Path) -> None:
    tiny_quantized(tmp_path / "model", head="tied")
    _, out, _ = ctq("inspect", "model")
    assert "\nlm_head              tied: no tensors of its own: tied to\n" in out
    assert "\nvllm 0.33.0          dense\n" in out
    assert "head       int8 would save 40.3 kB of that: decoding about 1.12x as fast" in out


def test_modules_unfolds_the_table(ctq: Run, tmp_path: Path) -> None:
    tiny_quantized(tmp_path / "model")
    _, out, _ = ctq("inspect", "model", "--modules")
    lines = out.splitlines()
    assert "model.layers.0.mlp.up_proj               int8 per-channel  33.3 kB" in lines
    assert "model.layers.1.input_layernorm           dense BF16          256 B" in lines
    assert not any("{0-1}" in line for line in lines)


def test_names_cannot_act_on_the_terminal(ctq: Run, tmp_path: Path) -> None:
    tiny_quantized(tmp_path / "model")
    names = [
        "[red]layer[/red].weight",
        "\x1b[2J\x1b[31mlayer.weight",
        "a\u202eb.weight",
        "line\nbreak.weight",
        ":smile:.weight",
    ]

    def add(tensors: dict[str, Raw]) -> None:
        tensors.update({name: Raw("F32", (1, 1), bytes(4)) for name in names})

    edit_tensors(tmp_path / "model", add)
    do.config(architectures=["TinyForCausalLM"], model_type="tiny")(tmp_path / "model")
    code, out, _ = ctq("inspect", "model")
    assert code == 0
    for shown in ("[red]layer[/red]", r"\x1b[2J\x1b[31mlayer", r"a\u202eb", r"line\nbreak", ":smile:"):
        assert f"\n{shown}  " in out
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_long_names_go_on_at_a_dot(ctq: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "54")
    tiny_quantized(tmp_path / "model")
    _, out, _ = ctq("inspect", "model")
    assert "\nmodel.layers.{0-1}           int8 per-channel  33.3 kB\n  .self_attn.q_proj x2\n" in out


def test_where_nothing_can_be_read_nothing_is_listed(ctq: Run, tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "model", shards=1)
    (folder / "model.safetensors").write_bytes(b"")
    code, out, _ = ctq("inspect", "model")
    assert code == 1
    assert "Stored as" not in out
    assert "per token" not in out


@pytest.mark.parametrize("width", [20, 50, 60, 80, 120])
def test_nothing_is_wider_than_the_terminal_or_padded(
    width: int, ctq: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    tiny_quantized(tmp_path / "model")
    edit_config(tmp_path / "model", lambda config: config["quantization_config"].update(ignore=["lm_head"]))
    _, out, _ = ctq("inspect", "model")
    assert max(len(line) for line in out.splitlines()) <= max(width, 50)
    assert not [line for line in out.splitlines() if line != line.rstrip()]


def test_colour_is_for_terminals_and_no_color_wins(ctq: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_quantized(tmp_path / "model")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[32mquantized" in ctq("inspect", "model")[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in ctq("inspect", "model")[1]


DIFFERENCE = """\
- before, 506 kB
+ after, 424 kB

lm_head  dense -> quantized (int8 per-channel)

lm_head
  dense BF16 [320, 128] -> int8 per-channel, 81.9 kB -> 41.6 kB

config.json: quantization_config.config_groups.group_0.targets
  ["Linear"] -> ["re:.*lm_head$"]
config.json: quantization_config.config_groups.group_1
  absent -> {"targets": ["Linear"], "weights": {"num_bits": 8, "type"...
config.json: quantization_config.ignore
  ["re:.*lm_head$"] -> []
"""


def test_two_checkpoints_side_by_side(ctq: Run, tmp_path: Path) -> None:
    tiny_quantized(tmp_path / "before", head="dense")
    tiny_quantized(tmp_path / "after")
    code, out, err = ctq("inspect", "before", "--diff", "after")
    assert (code, err) == (0, "")
    assert out.startswith("- before, 464 kB\n+ after, 424 kB\n")
    assert out.partition("\n\n")[2] == DIFFERENCE.partition("\n\n")[2]
    assert ctq("inspect", "after", "--diff", "after")[1].endswith("\nno difference in modules and config\n")
