"""A fake model hub on loopback: repositories are folders, answered as the real hub answers."""

import hashlib
import json
import re
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lib.data import sources
from lib.data.sources import hub as hub_source


class FakeHub(BaseHTTPRequestHandler):
    """Serves root/models/<owner>--<name>/<file> and root/datasets/….

    asked: every request, as "METHOD /path". revisions: {repository: its newest revision}.
    gated: repositories that want a login. damage: {file name: what is sent in its place}.
    down: True to answer everything with 503
    """

    asked, revisions, gated, damage, down = [], {}, set(), {}, False

    def __init__(self, root, *args):
        self.root = root
        super().__init__(*args)

    def do_GET(self):
        type(self).asked.append(f"{self.command} {self.path}")
        path = self.path.partition("?")[0]
        api = re.fullmatch(r"/api/(models|datasets)/(.+?)(?:/(revision|tree)/([^/]+))?", path)
        file = re.fullmatch(r"/(datasets/)?(.+?)/resolve/([^/]+)/(.+)", path)
        if self.down:
            return self.answer(503, b"down")
        if path == "/":
            return self.answer(200, b"a hub")
        if not api and not file:  # the client asks for chat templates, for example
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        kind, repo, what, revision = (
            api.groups() if api else ("datasets" if file[1] else "models", file[2], "file", file[3])
        )
        folder, newest = self.root / kind / repo.replace("/", "--"), self.revisions.get(repo)
        if newest is None or revision not in (None, "main", newest):
            code = "RepoNotFound" if newest is None else "RevisionNotFound"
            return self.answer(404, b"", {"X-Error-Code": code})
        if repo in self.gated and what in ("tree", "file"):
            message = "Access to this model is restricted. Please log in."
            return self.answer(401, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": message})
        if what == "tree":
            paths = sorted(path for path in folder.rglob("*") if path.is_file())
            return self.answer(
                200, json.dumps([self.listed(folder, path) for path in paths]).encode()
            )
        if what != "file":
            return self.answer(
                200, json.dumps({"id": repo, "sha": newest, "siblings": []}).encode()
            )
        path = folder / file[4]
        if not path.is_file():
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        body = self.damage.get(path.name, path.read_bytes())
        listed = self.listed(folder, path)
        etag = listed["lfs"]["oid"] if "lfs" in listed else listed["oid"]
        self.answer(200, body, {"X-Repo-Commit": newest, "ETag": f'"{etag}"'})

    do_HEAD = do_GET

    def listed(self, folder, path):
        """What the hub's list of files says about one file."""
        body = path.read_bytes()
        about = {"type": "file", "path": path.relative_to(folder).as_posix(), "size": len(body)}
        about["oid"] = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
        if path.suffix in (".safetensors", ".bin", ".parquet"):
            about["lfs"] = {
                "oid": hashlib.sha256(body).hexdigest(),
                "size": len(body),
                "pointerSize": 1,
            }
        return about

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture()
def hub(tmp_path, monkeypatch):
    """A hub with the tiny encoder as own/tiny and the tiny rows of SST-2 and STS-B as GLUE."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from huggingface_hub import constants

    root = tmp_path / "hub"
    encoder, tokenizer, _ = sources.encoder("tiny", ["tiny"])
    for part in (encoder, tokenizer):
        part.save_pretrained(root / "models" / "own--tiny")
    for task, name in (("SST-2", "sst2"), ("STS-B", "stsb")):
        rows, folder = sources.rows(task, ["tiny"]), root / "datasets" / "nyu-mll--glue" / name
        folder.mkdir(parents=True)
        for split, of in (("train", rows.train), ("validation", rows.dev), ("test", rows.dev)):
            table = pa.Table.from_pylist([{**row, "idx": n} for n, row in enumerate(of)])
            if task == "SST-2":
                table = table.rename_columns(["sentence", "label", "idx"])
            pq.write_table(table, folder / f"{split}-00000-of-00001.parquet")

    class Hub(FakeHub):
        pass

    Hub.asked, Hub.gated, Hub.damage = [], set(), {}
    Hub.revisions = {"own/tiny": "1" * 40, "nyu-mll/glue": "2" * 40}

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, root))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    Hub.folder, Hub.address, Hub.cache = root / "models" / "own--tiny", address, tmp_path / "hf"
    # for processes that a test starts, and for this one, where the client has read them already
    for name, value in (("HF_ENDPOINT", address), ("HF_HOME", str(tmp_path / "hf"))):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
    hub_source._unreachable.cache_clear()
    yield Hub
    server.shutdown()
    server.server_close()
    hub_source._unreachable.cache_clear()
