"""`ctq inspect ORG/NAME` against a server that speaks the hub's paths: the same report, from header bytes alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from builders import tiny_quantized
from hub_server import HubRepo, HubServer

from ctq.cli.main import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOREIGN = ("HF_", "HUGGING", "TRANSFORMERS_", "http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy")


def inspect(hub: HubServer, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return subprocess.run(
        [sys.executable, "-m", "ctq", "inspect", *arguments],
        env=own | hub.environment(home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_quantized(tmp_path_factory.mktemp("served") / "tiny", kind="w8a16")


@pytest.fixture(scope="module")
def hub(folder: Path) -> Iterator[HubServer]:
    with HubServer({"org/tiny": HubRepo(folder, branches=("main", "v1"))}) as server:
        yield server


def test_a_hub_id_gives_the_report_of_its_files(
    hub: HubServer, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = inspect(hub, tmp_path, "org/tiny", "--json", "--revision", "v1", "--expect-lm-head", "quantized")
    assert (done.returncode, done.stderr) == (0, "")
    assert run(["inspect", str(folder), "--json"]) == 0
    remote, local = json.loads(done.stdout), json.loads(capsys.readouterr().out)
    assert remote["checkpoint"].pop("path").startswith("org/tiny")
    local["checkpoint"].pop("path")
    assert remote == local
    served = sum(path.stat().st_size for path in folder.iterdir())
    fetched = sum(request.sent for request in hub.asked_for("safetensors"))
    assert fetched < served / 2, "headers, not weights"


def test_an_unknown_id_is_one_line(hub: HubServer, tmp_path: Path) -> None:
    done = inspect(hub, tmp_path, "org/missing")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("ctq: org/missing")
    assert "Traceback" not in done.stderr
