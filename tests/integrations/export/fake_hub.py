"""A small HTTP server that keeps model repositories and speaks what huggingface_hub asks for."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar

TOKEN = "hf_of_the_owner"


@dataclass
class Repository:
    """Commits, each all files by name, and large files by their hash until they are committed."""

    private: bool
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    large: dict[str, bytes] = field(default_factory=dict)

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        if revision == "main":
            return self.commits[-1] if self.commits else ("0" * 40, {})
        return next((commit for commit in self.commits if commit[0] == revision), None)


class FakeHub(ThreadingHTTPServer):
    """Repositories by name, and the paths that were asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Repository] = {}
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub
    protocol_version = "HTTP/1.1"
    routes: ClassVar[dict[str, str]] = {
        r"POST /api/repos/create": "create",
        r"POST /api/validate-yaml": "validate",
        r"POST /api/models/(?P<repo>[^/]+/[^/]+)/preupload/(?P<revision>.+)": "preupload",
        r"POST /(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch": "large_files",
        r"PUT /large/(?P<repo>[^/]+/[^/]+)/(?P<oid>\w+)": "put_large_file",
        r"POST /api/models/(?P<repo>[^/]+/[^/]+)/commit/(?P<revision>.+)": "commit",
        r"GET /api/models/(?P<repo>[^/]+/[^/]+)(/revision/(?P<revision>[^/]+))?": "info",
        r"GET /api/models/(?P<repo>[^/]+/[^/]+)/tree/(?P<revision>[^/]+)": "tree",
        r"(HEAD|GET) /(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)": "resolve",
    }

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        request = f"{self.command} {self.path.split('?')[0]}"
        self.server.asked.append(request)
        for pattern, name in self.routes.items():
            if match := re.fullmatch(pattern, request):
                known = {key: value for key, value in match.groupdict().items() if value is not None}
                getattr(self, name)(**known)
                return
        self.answer({"error": f"not of this server: {request}"}, 404)

    do_HEAD = do_POST = do_PUT = do_GET

    def log_message(self, format: str, *arguments: Any) -> None:
        """Quiet."""

    def answer(self, document: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        length = {"Content-Length": str(len(data))}
        for key, value in (length | {"Content-Type": "application/json"} | (headers or {})).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    @property
    def owner(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def repository(self, name: str) -> Repository | None:
        """The repository, or an answer that there is none for this reader."""
        found = self.server.repositories.get(name)
        if found is None or (found.private and not self.owner):
            code = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
            self.answer({"error": "Repository not found"}, 404, code)
            return None
        return found

    def create(self) -> None:
        if not self.owner:
            self.answer({"error": "Invalid user token."}, 401, {"X-Error-Message": "Invalid user token."})
            return
        asked = json.loads(self.body)
        name = f"{asked.get('organization') or 'owner'}/{asked['name']}"
        exists = name in self.server.repositories
        hidden = asked.get("visibility") == "private" or bool(asked.get("private"))  # since 2.0, and before
        self.server.repositories.setdefault(name, Repository(hidden))
        address = f"{self.server.address}/{name}"
        self.answer({"url": address, "name": name, "id": name}, 409 if exists else 200)

    def validate(self) -> None:
        content = json.loads(self.body)["content"]
        valid = re.match(r"---\n.*?\n---\n", content, re.DOTALL)
        self.answer({"errors": [] if valid else [{"message": "no metadata"}], "warnings": []})

    def preupload(self, repo: str, revision: str) -> None:
        if self.repository(repo) is None:
            return
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(self.body)["files"]
        ]
        self.answer({"files": files})

    def large_files(self, repo: str) -> None:
        objects = [
            {
                **{key: wanted[key] for key in ("oid", "size")},
                "actions": {"upload": {"href": f"{self.server.address}/large/{repo}/{wanted['oid']}"}},
            }
            for wanted in json.loads(self.body)["objects"]
        ]
        self.answer({"transfer": "basic", "objects": objects})

    def put_large_file(self, repo: str, oid: str) -> None:
        assert hashlib.sha256(self.body).hexdigest() == oid
        self.server.repositories[repo].large[oid] = self.body
        self.answer({})

    def commit(self, repo: str, revision: str) -> None:
        found = self.repository(repo)
        if found is None:
            return
        _, before = found.at("main") or ("", {})
        files = dict(before)
        for line in self.body.decode().splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = found.large[value["oid"]]
        sha = hashlib.sha1(self.body).hexdigest()
        found.commits.append((sha, files))
        self.answer({"commitUrl": f"{self.server.address}/{repo}/commit/{sha}", "commitOid": sha})

    def info(self, repo: str, revision: str = "main") -> None:
        found = self.repository(repo)
        if found is None:
            return
        commit = found.at(revision)
        if commit is None:
            self.answer({"error": "Invalid rev id"}, 404, {"X-Error-Code": "RevisionNotFound"})
            return
        sha, files = commit
        siblings = [{"rfilename": name} for name in files]
        self.answer({"id": repo, "modelId": repo, "sha": sha, "siblings": siblings, "private": found.private})

    def tree(self, repo: str, revision: str) -> None:
        found = self.repository(repo)
        commit = None if found is None else found.at(revision)
        if commit is not None:
            sizes = ((name, len(data)) for name, data in commit[1].items())
            self.answer([{"type": "file", "path": p, "size": size, "oid": "0" * 40} for p, size in sizes])

    def resolve(self, repo: str, revision: str, file: str) -> None:
        found = self.repository(repo)
        commit = None if found is None else found.at(revision)
        if commit is None:
            return
        sha, files = commit
        if file not in files:
            self.answer({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
            return
        etag = hashlib.sha256(files[file]).hexdigest()
        self.answer(files[file], 200, {"X-Repo-Commit": sha, "ETag": f'"{etag}"'})


@contextmanager
def running_hub() -> Iterator[FakeHub]:
    """A hub on a free port for the length of a ``with`` block."""
    server = FakeHub()
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
