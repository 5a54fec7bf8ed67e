"""The order in which engines' data is learnt: every script and every file is in it, and each comes after what it needs."""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.learn.refresh import call, chosen
from benchmarks.learn.steps import ELSEWHERE, STEPS, Step

ROOT = Path(__file__).parents[1]
LEARN = ROOT / "benchmarks" / "learn"
DATA = {path.stem for path in (ROOT / "ctq" / "engines" / "data").glob("*.json")}
OWN = [step for step in STEPS if "." not in step.script]
ids = "{0.script}".format


def text_of(step: Step) -> str:
    return (ROOT / f"{step.module.replace('.', '/')}.py").read_text()


def test_every_script_is_a_step() -> None:
    called = {path.stem for path in LEARN.glob("*.py") if '__name__ == "__main__"' in path.read_text()}
    assert called - {"refresh"} == {step.script for step in OWN}


def test_every_file_of_data_is_learnt_but_those_of_other_engines() -> None:
    assert {step.writes for step in STEPS if step.writes} == DATA - {*ELSEWHERE}


def test_each_step_comes_after_what_it_needs() -> None:
    known = {*ELSEWHERE}
    for step in STEPS:
        assert known.issuperset(step.after), step
        known |= {step.writes, step.script}


@pytest.mark.parametrize("step", OWN, ids=ids)
def test_a_step_says_what_its_script_reads_and_writes(step: Step) -> None:
    text = text_of(step)
    read = set(re.findall(r'(?:read_data\(|ENGINE_DATA / )"(\w+?)(?:\.json)?"', text))
    assert read <= {step.writes, *step.after}
    assert f"{step.writes}.json" in text


@pytest.mark.parametrize("step", OWN, ids=ids)
def test_a_step_gives_the_options_that_its_script_does_not_do_without(step: Step) -> None:
    calls = [node for node in ast.walk(ast.parse(text_of(step))) if isinstance(node, ast.Call)]
    [shared] = [node for node in calls if ast.unparse(node.func) == "script"]
    names = {word.value for word in shared.args[1:] if isinstance(word, ast.Constant)} - {"families"}
    of_its_own = {
        str(ast.literal_eval(node.args[0])).removeprefix("--")
        for node in calls
        if ast.unparse(node.func) == "parser.add_argument"
        and any(word.arg == "required" and ast.unparse(word.value) == "True" for word in node.keywords)
    }
    assert names | of_its_own == {*step.takes}


def test_calls_share_a_folder_where_one_reads_the_others_answers() -> None:
    options = argparse.Namespace(vllm_python=Path("/venv/bin/python"), work=Path("/data"))
    calls = [" ".join(call(step, options)) for step in chosen("benchmarks.tower_values", ()) if step.work]
    assert calls == [
        "python -m benchmarks.tower_values ask --vllm-python /venv/bin/python --work /data/towers",
        "python -m benchmarks.learn.tower_rules --vllm-python /venv/bin/python --work /data/towers",
    ]


def test_without_run_the_calls_are_only_shown(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks.learn.refresh",
        "--vllm-python",
        "/no/python",
        "--work",
        str(tmp_path / "w"),
    ]
    done = subprocess.run([*command, "--only", "config_values"], cwd=ROOT, capture_output=True, text=True, check=True)
    answers = tmp_path / "w" / "config_values" / "answers.jsonl"
    assert done.stdout == f"python -m benchmarks.learn.config_values --vllm-python /no/python --answers {answers}\n"
    assert not list(tmp_path.iterdir())


def test_a_script_that_there_is_not_is_refused() -> None:
    with pytest.raises(SystemExit, match="no script skeleton"):
        chosen(None, ["skeleton"])
