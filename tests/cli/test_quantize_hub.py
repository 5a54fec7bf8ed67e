"""`ctq quantize ORG/NAME` against a server that speaks the hub's paths: no code is fetched, and the result says where it lies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from builders import edit_config, tiny_checkpoint
from hub_server import HubRepo, HubServer

if TYPE_CHECKING:
    from pathlib import Path

FOREIGN = ("HF_", "HUGGING", "TRANSFORMERS_", "http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy")
MAP = {"AutoConfig": "configuration_chat.ChatConfig"}
CODE = "configuration_chat.py"


def test_a_model_with_code_of_its_own(tmp_path: Path) -> None:
    folder = tiny_checkpoint(tmp_path / "chat")
    edit_config(folder, lambda config: config.update(model_type="chat", auto_map=MAP))
    (folder / CODE).write_text("raise SystemExit('run')\n")
    own = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    with HubServer({"org/chat": HubRepo(folder)}) as hub:

        def ctq(*arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-m", "ctq", *arguments],
                env=own | hub.environment(tmp_path / "home"),
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )

        made = ctq("quantize", "org/chat", "-o", str(tmp_path / "q"), "--include-lm-head", "--json")
        assert (made.returncode, made.stderr) == (0, "")
        assert "code of a hub model is not downloaded: the result refers to org/chat for it" in made.stdout
        assert hub.asked_for(".py") == []
        seen = ctq("inspect", str(tmp_path / "q"), "--json")
        compared = ctq("verify", str(tmp_path / "q"), "--reference", "org/chat", "--engine", "builtin", "--json")
    written = json.loads((tmp_path / "q" / "config.json").read_text())
    assert written["auto_map"] == {"AutoConfig": "org/chat--configuration_chat.ChatConfig"}
    assert not (tmp_path / "q" / CODE).exists()
    assert [finding for finding in json.loads(seen.stdout)["findings"] if finding["severity"] == "error"] == []
    assert (seen.returncode, compared.returncode) == (0, 0), compared.stdout
