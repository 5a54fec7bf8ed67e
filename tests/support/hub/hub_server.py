"""A hub on the loopback: the paths, headers and error codes of the real one, for folders on this machine.

    with HubServer({"org/tiny": HubRepo(folder)}) as hub:
        subprocess.run([...], env=os.environ | hub.environment(tmp_path))
        assert not hub.asked_for(".bin")

What clients see is what huggingface_hub sees on the real hub: a model's information with the sizes of its files, its tree,
``resolve`` with ``X-Repo-Commit`` and ``ETag``, ranges, redirects of large files to another origin (the CDN), and refusals with
``X-Error-Code``. Every request is recorded.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

_PATH = re.compile(
    r"(?:/api/models/(?P<api>[^/]+/[^/]+?)(?:/(?P<kind>revision|tree)/(?P<api_revision>[^/]+)(?:/.*)?)?"
    r"|/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+))"
)
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


@dataclass(frozen=True)
class HubRepo:
    """A folder served as a model: its branches, who may read it, and where its large files are sent from."""

    folder: Path
    branches: tuple[str, ...] = ("main",)
    gated: bool = False
    private: bool = False
    token: str = "hf_right"
    on_cdn: bool = False

    @cached_property
    def commit(self) -> str:
        """The commit hash: of the folder's content, as git's is."""
        digest = hashlib.sha1(usedforsecurity=False)
        for name in self.files:
            digest.update(f"{name}\0{(self.folder / name).stat().st_size}\0".encode())
        return digest.hexdigest()

    @cached_property
    def files(self) -> list[str]:
        """Relative names, sorted."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())


@dataclass(frozen=True)
class Request:
    """One request and how it was answered: ``sent`` counts the bytes of the body, ``origin`` is ``hub`` or ``cdn``."""

    origin: str
    method: str
    path: str
    range: str | None
    authorization: str | None
    status: int
    sent: int


@dataclass
class Behaviour:
    """How the server misbehaves: the number of first answers that fail, or break off; whether it ignores ranges."""

    unavailable: int = 0
    broken: int = 0
    ignores_ranges: bool = False
    not_a_hub: bool = False


@dataclass
class HubServer:
    """A hub with the given repositories, from ``with`` to its end; ``requests`` holds what was asked so far."""

    repos: Mapping[str, HubRepo]
    behaviour: Behaviour = field(default_factory=Behaviour)
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._servers = {origin: _Server(("127.0.0.1", 0), self, origin) for origin in ("hub", "cdn")}
        for server in self._servers.values():
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for server in self._servers.values():
            server.shutdown()
            server.server_close()

    def url(self, origin: str = "hub") -> str:
        """Return where the hub, or its CDN, listens."""
        return f"http://127.0.0.1:{self._servers[origin].server_port}"

    def environment(self, home: Path, token: str | None = None) -> dict[str, str]:
        """Return what makes a process use this hub, with an empty cache in ``home``."""
        chosen = {"HF_ENDPOINT": self.url(), "HF_HOME": str(home / "hf-home"), "HF_HUB_DISABLE_TELEMETRY": "1"}
        return chosen | {"HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"} | ({"HF_TOKEN": token} if token else {})

    def asked_for(self, part: str) -> list[Request]:
        """Return the requests whose path contains ``part``."""
        return [request for request in self.requests if part in request.path]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], hub: HubServer, origin: str) -> None:
        super().__init__(address, _Handler)
        self.hub = hub
        self.origin = origin

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that hang up early are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        behaviour = self.server.hub.behaviour
        if "/resolve/" in path and behaviour.unavailable:
            behaviour.unavailable -= 1
            self._refuse(503, "", "Service Unavailable")
            return
        if behaviour.not_a_hub:
            self._send(200, {"Content-Type": "text/html"}, b"<html>a login page</html>")
            return
        found = _PATH.fullmatch(path)
        name = found and (found["api"] or found["repo"])
        repo = self.server.hub.repos.get(name) if name else None
        if found is None or name is None or repo is None or (repo.private and not self._authorized(repo)):
            self._refuse(404 if self._token() else 401, "RepoNotFound", "Repository not found")
            return
        revision = found["api_revision"] or found["revision"] or "main"
        if revision not in (*repo.branches, repo.commit):
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        elif found["api"]:
            self._describe(name, repo, tree=found["kind"] == "tree")
        else:
            self._resolve(repo, found["file"])

    def _describe(self, name: str, repo: HubRepo, *, tree: bool) -> None:
        entries = [(file, (repo.folder / file).stat().st_size, _etag(repo.folder / file)) for file in repo.files]
        if tree:
            answer: object = [{"type": "file", "oid": etag, "size": size, "path": file} for file, size, etag in entries]
        else:
            sizes = "blobs=" in self.path
            siblings = [
                {"rfilename": file} | ({"size": size, "blobId": etag} if sizes else {}) for file, size, etag in entries
            ]
            answer = {"id": name, "modelId": name, "sha": repo.commit, "gated": repo.gated, "siblings": siblings}
        self._send(200, {"Content-Type": "application/json"}, json.dumps(answer).encode())

    def _resolve(self, repo: HubRepo, file: str) -> None:
        if repo.gated and not self._authorized(repo):
            self._refuse(403 if self._token() else 401, "GatedRepo", "Access to this model is restricted")
            return
        if file not in repo.files:
            self._refuse(404, "EntryNotFound", "Entry not found")
            return
        path = repo.folder / file
        headers = {"X-Repo-Commit": repo.commit, "ETag": f'"{_etag(path)}"', "Accept-Ranges": "bytes"}
        if repo.on_cdn and self.server.origin == "hub" and file.endswith(".safetensors"):
            linked = {"X-Linked-Size": str(path.stat().st_size), "X-Linked-ETag": headers["ETag"]}
            self._send(302, headers | linked | {"Location": self.server.hub.url("cdn") + self.path}, b"")
            return
        size = path.stat().st_size
        wanted = None if self.server.hub.behaviour.ignores_ranges else _RANGE.fullmatch(self.headers.get("Range", ""))
        if wanted is None:
            self._send(200, headers, path.read_bytes())
        elif int(wanted[1]) >= size:
            self._send(416, headers | {"Content-Range": f"bytes */{size}"}, b"")
        else:
            with path.open("rb") as file:
                file.seek(int(wanted[1]))
                part = file.read(int(wanted[2]) + 1 - int(wanted[1]))
            place = f"bytes {wanted[1]}-{int(wanted[1]) + len(part) - 1}/{size}"
            self._send(206, headers | {"Content-Range": place}, part)

    def _refuse(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self._send(status, headers | {"Content-Type": "application/json"}, json.dumps({"error": message}).encode())

    def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        sent = 0 if self.command == "HEAD" else len(body)
        broken = sent > 0 and status < 300 and "/resolve/" in self.path and self.server.hub.behaviour.broken > 0
        if broken:
            self.server.hub.behaviour.broken -= 1
            sent //= 2
        asked = (self.headers.get("Range"), self.headers.get("Authorization"))
        path = unquote(urlsplit(self.path).path)
        self.server.hub.requests.append(Request(self.server.origin, self.command, path, *asked, status, sent))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:sent])
        if broken:
            self.close_connection = True

    def _token(self) -> str | None:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None

    def _authorized(self, repo: HubRepo) -> bool:
        return self.server.origin == "cdn" or self._token() == repo.token

    def log_message(self, *args: object) -> None:
        """Keep quiet: what matters is in ``requests``."""


def _etag(path: Path) -> str:
    found = path.stat()
    return hashlib.sha256(f"{path.name} {found.st_size} {found.st_mtime_ns}".encode()).hexdigest()
