"""`ctq quantize` as scripts see it: whole output, one JSON object, exit codes, and what stays on disk after an interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from builders import edit_config, tiny_checkpoint, tiny_quantized
from dense_builder import all_tensors

from ctq.cli.main import run


@pytest.fixture
def llama(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    tiny_checkpoint(tmp_path / "llama")
    return Path("llama")


def quantize(*arguments: str) -> int:
    return run(["quantize", *arguments])


def test_dry_run_prints_the_plan_and_writes_nothing(llama: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quantize("llama", "--include-lm-head", "--dry-run") == 0
    assert capsys.readouterr().out == (
        "llama (LlamaForCausalLM)\n"
        "head      lm_head: quantized, W8A8, 81.9 kB -> 41.6 kB (included by flags)\n"
        "quantize  14 linear layers as W8A8\n"
        "dense     1 embedding\n"
        "dense     5 norm\n"
        "file      model.safetensors  428 kB\n"
        "bytes     755 kB -> 428 kB\n"
        "hardware  W8A8 runs in vLLM on CUDA GPUs of compute capability 7.5 to 9.x and on\n"
        "          CPUs (there dense layers, not experts); on 10.0 and later (Blackwell)\n"
        "          not by default, its Triton kernel may work with --linear-backend\n"
        "          triton\n"
    )
    assert [path.name for path in Path.cwd().iterdir()] == ["llama"]


def test_summary(llama: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quantize("llama", "--include-lm-head", "--no-verify") == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == "head      lm_head: quantized, W8A8, 81.9 kB -> 41.6 kB (included by flags)"
    assert lines[1:3] == ["body      14 linear layers as W8A8", "bytes     755 kB -> 428 kB"]
    assert lines[-1] == "output    llama-W8A8-lm_head"
    assert captured.err.startswith("quantizing 755 kB\n")
    assert (Path("llama-W8A8-lm_head") / "model.safetensors").exists()


def test_summary_of_a_head_by_itself(llama: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quantize("llama", "--target", "lm_head", "--no-verify") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "body      left dense: 1 embedding, 5 norm, 14 linear (no target matches)"


def test_summary_of_a_run_that_was_done_before(llama: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quantize("llama", "--include-lm-head", "--no-verify", "--json") == 0
    capsys.readouterr()
    assert quantize("llama", "--include-lm-head", "--no-verify", "--resume") == 0
    words = capsys.readouterr().out
    assert " units were done before" in words
    assert "SQNR  " not in words


def test_json_is_one_object_and_nothing_else(llama: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quantize("llama", "--include-lm-head", "--json", "-o", "out") == 0
    captured = capsys.readouterr()
    summary = json.loads(captured.out)
    assert captured.err == ""
    assert summary["schema_version"] == 1
    assert summary["output"] == "out"
    assert summary["lm_head"]["state"] == "quantized"
    assert summary["modules"]["quantized"] == {"W8A8": 14}
    assert summary["sqnr_db"]["minimum"] > 38
    assert summary["verification"]["verdict"] == "pass"


def test_quiet_says_nothing(llama: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quantize("llama", "--exclude-lm-head", "-q", "-o", "out") == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["--exclude-lm-head"], "llama-W8A8"),
        (["--include-lm-head"], "llama-W8A8-lm_head"),
        (["--scheme", "w8a16", "--include-lm-head"], "llama-W8A16-lm_head"),
        ([], "llama-W8A8"),
    ],
)
def test_default_output(llama: Path, arguments: list[str], name: str) -> None:
    assert quantize("llama", *arguments, "--no-verify", "-q") == 0
    assert {path.name for path in Path.cwd().iterdir()} == {"llama", name}


def test_a_snapshot_of_the_hubs_cache_is_called_by_its_repository(llama: Path) -> None:
    snapshot = Path("cache/models--some-org--Tiny-2--B/snapshots/0123abc")
    snapshot.parent.mkdir(parents=True)
    llama.rename(snapshot)
    assert quantize(str(snapshot), "--include-lm-head", "--no-verify", "-q") == 0
    assert {path.name for path in Path.cwd().iterdir()} == {"cache", "Tiny-2--B-W8A8-lm_head"}


def test_nobody_decided_is_said(llama: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quantize("llama", "--no-verify")
    assert "lm_head: dense, 81.9 kB (nobody decided: the head stays dense)" in capsys.readouterr().out


def test_flags_override_the_recipe(llama: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("recipe.yaml").write_text("scheme: W8A16\nlm_head: {include: true}\nobserver: mse\n")
    assert (
        quantize(
            "llama", "--recipe", "recipe.yaml", "--exclude-lm-head", "--strategy", "channel", "--dry-run", "--json"
        )
        == 0
    )
    recipe = json.loads(capsys.readouterr().out)["recipe"]
    assert recipe["lm_head"] == {"include": False}
    assert recipe["groups"] == [{"targets": ["Linear"], "scheme": "W8A16", "strategy": "channel", "symmetric": True}]
    assert recipe["observer"] == "mse"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["none"], 3, "no such file or folder: 'none'"),
        (["llama", "--ignore", "nothing"], 2, "ignore `nothing` matches no module"),
        (["llama", "--scheme", "W4A4"], 2, "no scheme 'W4A4'"),
        (["llama", "--strategy", "group"], 2, "W8A8 is per-channel"),
        (["llama", "--scheme", "W8A16", "--group-size", "48"], 2, "group size 48 has no 8-bit kernel"),
        (["llama", "--asymmetric"], 2, "W8A8 is symmetric"),
        (["llama", "--exclude-lm-head", "--lm-head-scheme", "W8A16"], 2, "--lm-head-scheme with an excluded head"),
        (["llama", "--include-lm-head", "--exclude-lm-head"], 2, "--include-lm-head and --exclude-lm-head at once"),
        (["llama", "--exclude-lm-head", "--include-lm-head"], 2, "--include-lm-head and --exclude-lm-head at once"),
        (["llama", "--max-shard-size", "5 parsecs"], 2, "is not a size"),
        (["llama", "--workers", "0"], 2, "Invalid value for '--workers'"),
        (["llama", "-o", "llama", "--force"], 3, "is the source"),
        (["llama", "--recipe", "none.yaml"], 2, "No such file"),
    ],
)
def test_refusals_are_one_line_and_a_code(
    llama: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    assert quantize(*arguments) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err
    assert "Traceback" not in captured.err


def test_an_impossible_head_is_exit_code_one(llama: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit_config(llama, lambda config: config.update(architectures=["OPTForCausalLM"]))
    assert quantize("llama", "--include-lm-head") == 1
    assert "no known engine dispatches it: the OPTForCausalLM of vLLM" in capsys.readouterr().err
    assert quantize("llama", "--include-lm-head", "--dry-run") == 1, "at plan time too"


def test_an_existing_output_and_a_quantized_source(llama: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_quantized(Path("done"), kind="w8a8")
    assert quantize("llama", "-o", "done") == 3
    assert "done: already exists" in capsys.readouterr().err
    assert quantize("done", "-o", "out") == 3
    assert "already quantized (compressed-tensors, format int-quantized)" in capsys.readouterr().err


def test_terminal_codes_in_names_are_shown_as_escapes(llama: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quantize("llama", "--ignore", "\x1b[31mred") == 2
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_an_interrupted_run_leaves_no_model_and_resumes(tmp_path: Path, number: signal.Signals, code: int) -> None:
    source = tiny_checkpoint(tmp_path / "source", layers=64, vocab=64000)
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "ctq",
        "quantize",
        str(source),
        "-o",
        str(out),
        "--include-lm-head",
        "--no-verify",
        "-q",
    ]
    slow = [sys.executable, "-c", _SLOWLY, *command[3:]]
    with subprocess.Popen(slow, stderr=subprocess.PIPE, text=True) as process:
        journal = tmp_path / "out.partial/.ctq-journal"
        deadline = time.monotonic() + 60
        while not (journal.exists() and journal.read_bytes().count(b"\n") > 3) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        error = process.communicate(timeout=60)[1]
    assert process.returncode == code, error
    if code > 0:
        words = {130: "interrupted", 143: "terminated"}[code]
        advice = f"{out}.partial keeps what is done: continue with --resume"
        assert error.split("\n") == [*([""] if code == 130 else []), f"ctq: {words}", f"  hint: {advice}", ""]
    assert not out.exists()
    assert not (tmp_path / "out.partial/config.json").exists()
    assert "Traceback" not in error
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 3
    assert "an unfinished run" in again.stderr
    subprocess.run([*command, "--resume"], check=True)
    subprocess.run([*command[:6], str(tmp_path / "whole"), *command[7:]], check=True)
    assert all_tensors(out) == all_tensors(tmp_path / "whole")


def test_an_interrupted_check_says_that_the_result_is_written(
    llama: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ctq.cli.checked.check", interrupted)
    assert quantize("llama", "--include-lm-head", "-o", "out", "-q") == 130
    assert capsys.readouterr().err == (
        "\nctq: interrupted\n  hint: out is written, but not checked: check it with `ctq verify`\n"
    )
    assert Path("out/config.json").exists()


_SLOWLY = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background is started with it ignored
import ctq.quantize.stream as stream
real = stream.quantize_unit
stream.quantize_unit = lambda *a, **k: (time.sleep(0.02), real(*a, **k))[1]
from ctq.cli.main import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize(
    "arguments",
    [["inspect", "q"], ["inspect", "q", "--json"], ["rules"], ["quantize", "llama", "--dry-run"]],
    ids=" ".join,
)
def test_a_reader_that_leaves_early_changes_nothing(llama: Path, arguments: list[str]) -> None:
    tiny_quantized(Path("q"), kind="w8a8")
    command = f"set -o pipefail; {sys.executable} -m ctq {' '.join(arguments)} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_output_that_is_closed_goes_nowhere(closed: str, llama: Path) -> None:
    command = f"{sys.executable} -m ctq quantize llama --include-lm-head -o out {closed}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert len(all_tensors(Path("out"))) > len(all_tensors(llama))


@pytest.mark.parametrize("arguments", ["quantize llama --dry-run", "rules --markdown"], ids=["short", "long"])
@pytest.mark.parametrize("held", [True, False], ids=["held back", "at once"])
def test_a_full_disk_under_the_output_is_said(llama: Path, arguments: str, held: bool) -> None:
    command = f"{sys.executable} -m ctq {arguments} > /dev/full"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    environment |= {} if held else {"PYTHONUNBUFFERED": "1"}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (3, "ctq: output: No space left on device\n")


@pytest.mark.parametrize(("arguments", "code"), [("inspect nowhere", 3), ("inspect llama", 0), ("inspect --nope", 2)])
def test_a_full_disk_under_the_messages_changes_nothing(llama: Path, arguments: str, code: int) -> None:
    command = f"{sys.executable} -m ctq {arguments} 2> /dev/full"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    assert (
        subprocess.run(["bash", "-c", command], stdout=subprocess.DEVNULL, check=False, env=environment).returncode
        == code
    )


def test_a_misspelt_command_is_told_from_one_that_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["quantise", "llama"]) == 2
    assert "No such command 'quantise'. Did you mean 'quantize'?" in capsys.readouterr().err
    assert run(["help"]) == 2
    assert "There are: quantize, inspect, verify, rules." in capsys.readouterr().err


def test_an_output_that_is_given_as_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["quantize", "llama", "out"]) == 2
    assert "Got unexpected extra argument (out). The output folder is given with -o." in capsys.readouterr().err
