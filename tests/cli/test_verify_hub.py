"""`ctq verify ORG/NAME` against a server that speaks the hub's paths: fetched, and judged like a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from builders import tiny_checkpoint, tiny_quantized
from hub_server import HubRepo, HubServer

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = ("--engine", "builtin", "--json")
FOREIGN = ("HF_", "HUGGING", "TRANSFORMERS_", "http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy")


def test_a_hub_id_and_its_reference_are_fetched_and_compared(tmp_path: Path) -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    repos = {
        "org/dense": HubRepo(tiny_checkpoint(tmp_path / "dense"), branches=("main",)),
        "org/int8": HubRepo(tiny_quantized(tmp_path / "int8"), branches=("main",)),
    }
    with HubServer(repos) as hub:
        done = subprocess.run(
            [sys.executable, "-m", "ctq", "verify", "org/int8", "--reference", "org/dense", *OPTIONS],
            env=own | hub.environment(tmp_path / "home"),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert (found["verdict"], found["numeric"]["weights"]["modules"]) == ("pass", 15)
