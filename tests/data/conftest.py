"""What the tests of the loaders share: a server that misbehaves on request, a toy corpus, real samples.

Real files: `../shared/data` beside the repository (never redistributed), or Debian packages. A test
whose files are absent is skipped and says so.
"""

from __future__ import annotations

import hashlib
import http.server
import io
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import requests
import soundfile as sf

from minigen.data import fetch
from minigen.data.fetch import REGISTRY, Corpus

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
FAKE_HOST = "https://corpus.example"


@pytest.fixture(scope="session")
def shared():
    """The path of a real sample, or the test is skipped."""

    def path(name: str) -> Path:
        if not (SHARED / name).exists():
            pytest.skip(f"no real sample here: {SHARED / name} is absent")
        return SHARED / name

    return path


@pytest.fixture(scope="session")
def debian():
    """A folder of a Debian package, or the test is skipped."""

    def path(folder: Path, package: str) -> Path:
        if not folder.exists():
            pytest.skip(f"no real recordings here: the Debian package {package} is not installed")
        return folder

    return path


class Server:
    """Serves `files` on this machine; `requests.get` is led here instead of to FAKE_HOST."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str | None] = []  # the Range header of each request
        self.sent = 0  # bytes of content
        self.cut_at: int | None = None  # close the connection after this many bytes
        self.ranges = True
        self.encoding = ""  # what it says that it did to the content
        self.online = True
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                wanted = self.headers.get("Range")
                owner.asked.append(wanted)
                content = owner.files.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                first = 0
                if wanted and owner.ranges:
                    first = int(wanted.removeprefix("bytes=").rstrip("-"))
                    if first >= len(content):
                        self.send_error(416)
                        return
                self.send_response(206 if first else 200)
                self.send_header("Content-Length", str(len(content) - first))
                if owner.encoding:
                    self.send_header("Content-Encoding", owner.encoding)
                self.end_headers()
                body = content[first : owner.cut_at]
                owner.sent += len(body)
                self.wfile.write(body)

            def log_message(self, *args):
                """Say nothing: the test reads `asked`."""

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def get(self, url, **options):
        if not self.online:
            raise requests.ConnectionError("name resolution failed")
        assert url.startswith(FAKE_HOST), f"a test asked for {url}"
        address = f"http://127.0.0.1:{self.http.server_port}"
        return self.real_get(url.replace(FAKE_HOST, address), **options)


@pytest.fixture
def server(monkeypatch):
    server = Server()
    server.real_get = requests.get
    monkeypatch.setattr(requests, "get", server.get)
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """Each test has an empty cache, nothing placed, and nothing credited so far."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(fetch, "cache_folder", lambda: folder)
    monkeypatch.setattr(fetch, "_credited", set())
    monkeypatch.delenv("MINIGEN_DATA", raising=False)
    return folder


@pytest.fixture
def offer(server, monkeypatch):
    """Put a corpus "toy" in the registry whose one file is `content`."""

    def put(content: bytes, name: str = "toy.tar.gz", marker: str = "toy.txt", sha256: str = ""):
        server.files[f"/{name}"] = content
        files = {f"{FAKE_HOST}/{name}": sha256 or hashlib.sha256(content).hexdigest()}
        toy = Corpus("Toy", "no licence", "nobody", "page", marker, files=files)
        monkeypatch.setitem(REGISTRY, "toy", toy)

    return put


@pytest.fixture
def place(monkeypatch, tmp_path):
    """Set $MINIGEN_DATA; returns a function that makes the folder of one corpus in it."""
    monkeypatch.setenv("MINIGEN_DATA", str(tmp_path / "placed"))

    def folder(name: str) -> Path:
        path = tmp_path / "placed" / name
        path.mkdir(parents=True)
        return path

    return folder


def tar_of(files: dict[str, bytes], mode: str = "gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{mode}") as bundle:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            bundle.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zip_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def packers():
    """Name of an archive -> what makes one of {name: content}."""
    return {
        "toy.tar.gz": lambda files: tar_of(files, "gz"),
        "toy.tar.bz2": lambda files: tar_of(files, "bz2"),
        "toy.zip": zip_of,
    }


@pytest.fixture
def write_wav():
    """Write noise as 16-bit WAV or FLAC."""

    def write(path: Path, rate: int, seconds: float = 0.1, channels: int = 1) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, (int(rate * seconds), channels))
        sf.write(path, noise, rate, subtype="PCM_16")

    return write
