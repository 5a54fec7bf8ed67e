"""Hub ids against a server that speaks the hub's paths, through huggingface_hub itself in processes of their own."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from builders import INDEX, edit_index, tiny_checkpoint
from hub_server import Behaviour, HubRepo, HubServer

import ctq
from ctq.checkpoint.checkpoint import open_checkpoint
from ctq.checkpoint.source import LocalFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(ctq.__file__).parents[1]
CLIENT = ROOT / "tests" / "support" / "hub" / "hub_client.py"
COMING_FROM_OUTSIDE = ("HF_", "HUGGING", "TRANSFORMERS_", "http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy")
UNSEEN = "neither a folder here nor a model that the hub shows you"

Answer = dict[str, Any]


def ask(
    hub: HubServer, home: Path, *questions: tuple[str | None, ...], token: str | None = None, **extra: str
) -> list[Answer]:
    """Put the questions to one client process."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(COMING_FROM_OUTSIDE)}
    done = subprocess.run(
        [sys.executable, CLIENT],
        input="".join(json.dumps(question) + "\n" for question in questions),
        env=own | hub.environment(home, token) | {"PYTHONPATH": str(ROOT)} | extra,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "%|" not in done.stderr, "a progress bar"
    return [json.loads(line) for line in done.stdout.splitlines()]


def cluttered(folder: Path) -> Path:
    """Add what real repositories hold beside a model, and no one should fetch or run."""
    for name in (
        "pytorch_model.bin",
        "optimizer.pt",
        "modeling_tiny.py",
        "onnx/model.onnx",
        "original/consolidated.pth",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(pickle.dumps(name))
    shutil.copy(folder / "model-00001-of-00003.safetensors", folder / "consolidated.safetensors")
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        (folder / name).write_text("{}")
    (folder / "tokenizer.model").write_bytes(bytes(8))
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cluttered(tiny_checkpoint(tmp_path_factory.mktemp("served") / "tiny", shards=3))


@pytest.fixture(scope="module")
def hub(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    others = tmp_path_factory.mktemp("others")
    pickled = others / "pickled"
    pickled.mkdir()
    (pickled / "config.json").write_text("{}")
    (pickled / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    damaged = tiny_checkpoint(others / "damaged", shards=2)
    with (damaged / "model-00002-of-00002.safetensors").open("r+b") as file:
        file.truncate(5000)
    escaping = tiny_checkpoint(others / "escaping", shards=2)
    edit_index(escaping, lambda index: index["weight_map"].update({"lm_head.weight": "../../secret.safetensors"}))
    lured = tiny_checkpoint(others / "lured", shards=2)
    (lured / "weights.bin").write_bytes(b"\x80\x04.")
    edit_index(lured, lambda index: index["weight_map"].update({"lm_head.weight": "weights.bin"}))
    bracketed = tiny_checkpoint(others / "bracketed", shards=1)
    (bracketed / "model.safetensors").rename(bracketed / "model[1]*.safetensors")
    repos = {
        "org/tiny": HubRepo(folder, branches=("main", "refs%2Fpr%2F1", "v1")),
        "org/far": HubRepo(folder, on_cdn=True),
        "org/gated": HubRepo(folder, gated=True),
        "org/private": HubRepo(folder, private=True),
        "org/pickled": HubRepo(pickled),
        "org/damaged": HubRepo(damaged),
        "org/escaping": HubRepo(escaping),
        "org/lured": HubRepo(lured),
        "org/bracketed": HubRepo(bracketed),
    }
    with HubServer(repos) as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def anonymous(hub: HubServer, home: Path) -> dict[tuple[str | None, ...], Answer]:
    """What a client without a token is told."""
    questions: list[tuple[str | None, ...]] = [
        *(
            ("inspect", f"org/{name}", None)
            for name in ("tiny", "gated", "private", "missing", "pickled", "damaged", "escaping")
        ),
        ("inspect", "org/tiny", "v1"),
        ("inspect", "org/tiny", "v2"),
        *(("download", f"org/{name}", None) for name in ("tiny", "gated", "pickled", "bracketed", "escaping", "lured")),
    ]
    return dict(zip(questions, ask(hub, home, *questions), strict=True))


def local(folder: Path) -> dict[str, list[Any]]:
    return {name: [info.dtype, *info.shape] for name, info in open_checkpoint(LocalFolder(folder)).tensors.items()}


def test_inspects_without_a_download(
    hub: HubServer, anonymous: dict[tuple[str | None, ...], Answer], folder: Path
) -> None:
    answer = anonymous["inspect", "org/tiny", None]
    assert answer["label"] == "org/tiny"
    assert answer["architecture"] == "LlamaForCausalLM"
    assert answer["tensors"] == local(folder)
    assert len(answer["smallest"]) == 2 * 256
    commit = hub.repos["org/tiny"].commit
    first = next(request for request in hub.requests if request.path.endswith("config.json"))
    mine = hub.requests[: hub.requests.index(first) + 6]
    assert [request.path for request in mine[:3]] == [
        "/api/models/org/tiny",
        f"/org/tiny/resolve/{commit}/config.json",
        f"/org/tiny/resolve/{commit}/{INDEX}",
    ]
    assert {Path(request.path).name for request in mine[3:6]} == {
        f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)
    }
    shards = [request for request in mine if request.path.endswith(".safetensors")]
    assert all(request.status == 206 and request.sent <= 4096 for request in shards)
    assert sum((folder / Path(request.path).name).stat().st_size for request in shards) > 20 * sum(
        r.sent for r in shards
    )


def test_inspects_a_revision(anonymous: dict[tuple[str | None, ...], Answer]) -> None:
    assert anonymous["inspect", "org/tiny", "v1"]["label"] == "org/tiny@v1"
    assert anonymous["inspect", "org/tiny", "v1"]["tensors"] == anonymous["inspect", "org/tiny", None]["tensors"]


def test_downloads_what_a_model_needs_and_nothing_that_runs(
    hub: HubServer, anonymous: dict[tuple[str | None, ...], Answer]
) -> None:
    answer = anonymous["download", "org/tiny", None]
    assert answer["commit"] == hub.repos["org/tiny"].commit
    assert answer["faults"] == []
    assert answer["files"] == [
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        *(f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)),
        INDEX,
        "tokenizer.json",
        "tokenizer.model",
        "tokenizer_config.json",
    ]


@pytest.mark.parametrize("part", [".bin", ".pt", ".pth", ".py", ".onnx", "consolidated", "secret", "missing/resolve"])
def test_nothing_dangerous_or_needless_is_asked_for(
    hub: HubServer, anonymous: dict[tuple[str | None, ...], Answer], part: str
) -> None:
    assert anonymous
    assert hub.asked_for(part) == []


@pytest.mark.parametrize("action", ["inspect", "download"])
def test_pickles_alone_are_refused_before_anything_is_fetched(
    hub: HubServer, anonymous: dict[tuple[str | None, ...], Answer], action: str
) -> None:
    answer = anonymous[action, "org/pickled", None]
    assert answer["error"] == "org/pickled: no safetensors, only pickles (pytorch_model.bin), which ctq never opens"
    assert answer["exit_code"] == 3
    assert hub.asked_for("org/pickled/resolve") == []


@pytest.mark.parametrize(
    ("question", "error", "hint"),
    [
        (("inspect", "org/missing", None), f"org/missing: {UNSEEN}", "check the spelling"),
        (("inspect", "org/private", None), f"org/private: {UNSEEN}", "HF_TOKEN"),
        (("inspect", "org/tiny", "v2"), "org/tiny@v2: no such revision", "--revision"),
        (("inspect", "org/gated", None), "org/gated: config.json: gated: its owner", "accept them on the model's page"),
        (("download", "org/gated", None), "org/gated: model.safetensors.index.json: gated: its owner", "hf auth login"),
        (("download", "org/escaping", None), "entry '../../secret.safetensors' leaves the folder", ""),
    ],
)  # fmt: skip
def test_refusals_say_what_to_do(
    anonymous: dict[tuple[str | None, ...], Answer], question: tuple[str | None, ...], error: str, hint: str
) -> None:
    answer = anonymous[question]
    assert error in answer["error"]
    assert hint in (answer["hint"] or "")
    assert "\n" not in answer["error"]
    assert answer["exit_code"] == 3


def test_a_damaged_shard_is_a_fault_like_a_local_one(anonymous: dict[tuple[str | None, ...], Answer]) -> None:
    assert [fault for fault in anonymous["inspect", "org/damaged", None]["faults"] if "truncated" in fault]


def test_an_index_that_leads_outside_is_a_fault(anonymous: dict[tuple[str | None, ...], Answer]) -> None:
    faults = anonymous["inspect", "org/escaping", None]["faults"]
    assert [fault for fault in faults if "'../../secret.safetensors' leaves the folder" in fault]


def test_an_index_that_names_a_pickle_fetches_none(anonymous: dict[tuple[str | None, ...], Answer]) -> None:
    answer = anonymous["download", "org/lured", None]
    assert "weights.bin" not in answer["files"]
    assert "weights.bin: named by the index, but not there" in answer["faults"]


def test_file_names_with_brackets_are_names_not_patterns(anonymous: dict[tuple[str | None, ...], Answer]) -> None:
    assert "model[1]*.safetensors" in anonymous["download", "org/bracketed", None]["files"]


def test_offline_the_cache_is_used_and_nothing_is_asked(
    hub: HubServer, home: Path, anonymous: dict[tuple[str | None, ...], Answer]
) -> None:
    before = len(hub.requests)
    questions = (("download", "org/tiny", None), ("inspect", "org/tiny", None), ("inspect", "org/private", None))
    downloaded, inspected, absent = ask(hub, home, *questions, HF_HUB_OFFLINE="1")
    assert len(hub.requests) == before
    assert downloaded == anonymous["download", "org/tiny", None]
    assert inspected["tensors"] == anonymous["inspect", "org/tiny", None]["tensors"]
    assert absent["error"] == "org/private: neither a folder here nor in the local cache, and the hub is out of reach"


def test_the_right_token_opens_and_goes_to_no_one_else(hub: HubServer, tmp_path: Path, folder: Path) -> None:
    before = len(hub.requests)
    answers = ask(
        hub, tmp_path, *(("inspect", f"org/{name}") for name in ("gated", "private", "far")), token="hf_right"
    )
    assert [answer.get("tensors") for answer in answers] == [local(folder)] * 3
    seen = {(request.origin, request.authorization) for request in hub.requests[before:]}
    assert seen == {("hub", "Bearer hf_right"), ("cdn", None)}


def test_the_wrong_token_is_told_so(hub: HubServer, tmp_path: Path) -> None:
    gated, private = ask(hub, tmp_path, ("inspect", "org/gated"), ("inspect", "org/private"), token="hf_wrong")
    assert "gated: its owner" in gated["error"]
    assert private["error"] == f"org/private: {UNSEEN}"


def test_a_hub_that_stumbles_is_asked_again(folder: Path, tmp_path: Path) -> None:
    with HubServer({"org/tiny": HubRepo(folder)}, Behaviour(unavailable=1, broken=1)) as hub:
        (answer,) = ask(hub, tmp_path, ("inspect", "org/tiny"))
        assert answer["tensors"] == local(folder)
        assert [request.status for request in hub.asked_for("config.json")] == [503, 206, 206]


def test_a_server_without_ranges_is_read_as_far_as_it_goes(folder: Path, tmp_path: Path) -> None:
    with HubServer({"org/tiny": HubRepo(folder)}, Behaviour(ignores_ranges=True)) as hub:
        (answer,) = ask(hub, tmp_path, ("inspect", "org/tiny"))
    assert "the server does not send ranges of files" in answer["error"]


def test_what_is_not_a_hub(folder: Path, tmp_path: Path) -> None:
    with HubServer({}, Behaviour(not_a_hub=True)) as hub:
        inspected, downloaded = ask(hub, tmp_path, ("inspect", "org/tiny"), ("download", "org/tiny"))
    assert inspected["error"] == "org/tiny: what was asked does not answer as a hub does"
    assert downloaded == inspected


def test_no_hub_at_all(tmp_path: Path) -> None:
    with HubServer({}) as hub:
        pass
    (answer,) = ask(hub, tmp_path, ("inspect", "org/tiny"))
    assert answer["error"].startswith("org/tiny: no folder here, and the hub is out of reach (")
    assert "HF_ENDPOINT" in answer["hint"]
