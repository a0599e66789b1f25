"""minigen.data: embedded sets, the registry, and each loader on real files and on damaged ones.

Real files: `../shared/data` beside the repository (never redistributed), or Debian packages. A test
whose files are absent is skipped and says so.
"""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pooch
import pytest
import requests
import soundfile as sf

from minigen import data
from minigen.data import fetch, g722, speech
from minigen.data.fetch import REGISTRY, Corpus, Remote

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
FAKE_HOST = "https://corpus.example"


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"no real sample here: {path} is absent")
    return path


def debian(folder: Path, package: str) -> Path:
    if not folder.exists():
        pytest.skip(f"no real recordings here: the Debian package {package} is not installed")
    return folder


# -- a server that misbehaves on request ---------------------------------------------------------


class Server:
    """Serves `files` on this machine; `requests.get` is led here instead of to FAKE_HOST."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str | None] = []  # the Range header of each request
        self.sent = 0  # bytes of content
        self.cut_at: int | None = None  # close the connection after this many bytes
        self.ranges = True
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
    monkeypatch.setattr(pooch.get_logger(), "disabled", True)  # it keeps a captured stream
    monkeypatch.delenv("MINIGEN_DATA", raising=False)
    return folder


@pytest.fixture
def offer(server, monkeypatch):
    """Put a corpus "toy" in the registry whose one file is `content`."""

    def put(content: bytes, name: str = "toy.tar.gz", marker: str = "toy.txt", sha256: str = ""):
        server.files[f"/{name}"] = content
        remote = Remote(f"{FAKE_HOST}/{name}", sha256 or hashlib.sha256(content).hexdigest())
        toy = Corpus("Toy", "no licence", "nobody", "page", {"": marker}, {"": (remote,)})
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


PACKERS = {
    "toy.tar.gz": lambda files: tar_of(files, "gz"),
    "toy.tar.bz2": lambda files: tar_of(files, "bz2"),
    "toy.zip": zip_of,
}
NOISE = np.random.default_rng(0).bytes(200_000)  # does not compress: archives can be cut midway


def left_in(cache: Path) -> list[str]:
    """Files in the cache, but for unfinished downloads, which are kept apart to be resumed."""
    return [
        path.relative_to(cache).as_posix()
        for path in cache.rglob("*")
        if path.is_file() and path.parent.name != "unfinished"
    ]


def write_wav(path: Path, rate: int, seconds: float = 0.1, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (int(rate * seconds), channels))
    sf.write(path, noise, rate, subtype="PCM_16")


# -- Utterance -----------------------------------------------------------------------------------


def utterance(**changes) -> data.Utterance:
    fields = {"audio": np.zeros(8000, np.float32), "rate": 8000, "text": "seven", "speaker": "slt"}
    return data.Utterance(**(fields | changes))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"audio": [0.0, 1.0]}, TypeError, "NumPy array"),
        ({"audio": np.zeros(8000)}, TypeError, r"float64.*astype\(np.float32\)"),
        ({"audio": np.zeros((2, 8000), np.float32)}, ValueError, "average the channels"),
        ({"audio": np.zeros(0, np.float32)}, ValueError, "T >= 1"),
        ({"audio": np.full(9, np.nan, np.float32)}, ValueError, "NaN"),
        ({"audio": np.full(9, 1.5, np.float32)}, ValueError, "1.5.*32768"),
        ({"rate": 8000.0}, TypeError, "must be an int"),
        ({"rate": True}, TypeError, "must be an int"),
        ({"rate": 0}, ValueError, "positive"),
        ({"text": None}, TypeError, "text is None"),
        ({"phones": [("s", 0.0)]}, TypeError, "phone, start_s, end_s"),
        ({"phones": [("s", 0.0, 0.5), ("eh", 0.4, 0.6)]}, ValueError, "overlap"),
        ({"phones": [("s", 0.0, 800.0)]}, ValueError, "in seconds"),
        ({"phones": [("s", 0.0, float("nan"))]}, ValueError, "in order"),
        ({"f0": np.zeros((100, 1))}, TypeError, r"\(N,\)"),
        ({"f0": np.full(100, -1.0)}, ValueError, "use 0 for unvoiced"),
        ({"f0": np.zeros(50)}, ValueError, "about 100"),
    ],
)
def test_utterance_refuses(changes, error, message):
    with pytest.raises(error, match=message):
        utterance(**changes)


def test_utterance_accepts_and_is_frozen():
    clip = utterance(phones=[("s", 0.0, 0.4), ("eh", 0.4, 1.0)], f0=np.full(100, 120.0))
    assert clip.duration == 1.0
    with pytest.raises(AttributeError):
        clip.rate = 16000


# -- embedded sets -------------------------------------------------------------------------------


def test_embedded_sets_use_no_network_and_no_torch():
    code = """
import socket, sys
def refuse(*args, **kwargs):
    raise AssertionError("network used")
socket.socket.connect = refuse
from minigen import data
data.spoken_digits(); data.example(); data.digits(); data.airline(); data.nile(); data.sunspots()
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("False", 0), done.stderr


def test_airline_is_series_g():
    months, values = data.airline()
    assert len(values) == len(months) == 144
    assert values.sum() == 40363
    assert (str(months[0]), str(months[-1])) == ("1949-01", "1960-12")
    # July or August is the peak of every year.
    assert set(values.reshape(12, 12).argmax(axis=1)) <= {6, 7}


@pytest.mark.parametrize(
    ("ours", "name", "columns"),
    [
        (data.nile, "nile", ("year", "volume")),
        (data.sunspots, "sunspots", ("YEAR", "SUNACTIVITY")),
    ],
)
def test_series_equal_statsmodels(ours, name, columns):
    datasets = pytest.importorskip("statsmodels.datasets")
    theirs = getattr(datasets, name).load_pandas().data
    for mine, column in zip(ours(), columns, strict=True):
        np.testing.assert_array_equal(mine, theirs[column].to_numpy())


def test_digits_and_their_split():
    images, labels, split = data.digits()
    assert images.shape == (1797, 64) and images.min() == 0 and images.max() == 16
    assert sorted(np.concatenate(list(split.values()))) == list(range(1797))
    assert {part: len(rows) for part, rows in split.items()} == {
        "train": 1297,
        "validation": 200,
        "test": 300,
    }
    # The split is part of what the book reports: it must never move.
    assert split["train"][:5].tolist() == [360, 1773, 1482, 600, 850]
    np.testing.assert_array_equal(data.digits().split["test"], split["test"])
    assert np.bincount(labels).min() > 170


def test_digits_without_scikit_learn_names_the_fix(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        data.digits()


# -- the registry --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REGISTRY)
def test_every_corpus_says_whose_it_is_and_can_be_had(name):
    corpus = REGISTRY[name]
    assert corpus.title and corpus.licence and corpus.credit and corpus.page
    assert corpus.parts or corpus.package, "neither a download nor a package"
    assert set(corpus.parts or corpus.package) == set(corpus.marker)
    for remotes in corpus.parts.values():
        assert remotes
    hashes = [remote.sha256 for remotes in corpus.parts.values() for remote in remotes]
    assert len(set(hashes)) == len(hashes)
    page = Path(__file__).parents[2] / "book" / "data.md"
    assert f"data.{name}" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("url", "sha256", "message"),
    [
        ("http://corpus.example/a.zip", "0" * 64, "not an https address"),
        ("https://corpus.example/a.zip", "0" * 40, "not a SHA-256"),
        ("https://corpus.example/a.zip", "", "not a SHA-256"),
    ],
)
def test_registry_refuses_what_cannot_be_verified(url, sha256, message):
    with pytest.raises(ValueError, match=message):
        Remote(url, sha256)


@pytest.mark.parametrize("name", PACKERS)
def test_download_once_then_never_again(name, offer, server, cache, capsys):
    offer(PACKERS[name]({"top/toy.txt": b"hello", "top/deep/noise": NOISE}), name)
    for _ in range(3):
        folder = fetch.locate("toy")
        assert (folder / "toy.txt").read_bytes() == b"hello"
        assert (folder / "deep" / "noise").read_bytes() == NOISE
    assert len(server.asked) == 1
    assert sorted(left_in(cache)) == ["toy/all/top/deep/noise", "toy/all/top/toy.txt"]
    captured = capsys.readouterr()
    assert captured.out.count("Licence: no licence. Credit: nobody.") == 1
    assert name in captured.err  # the progress bar
    server.online = False
    assert fetch.locate("toy") == folder


def test_file_that_is_no_archive_is_kept_as_it_is(offer, cache):
    offer(b"to be", "toy.txt")
    assert (fetch.locate("toy") / "toy.txt").read_bytes() == b"to be"
    assert left_in(cache) == ["toy/all/toy.txt"]


@pytest.mark.parametrize("ranges", [True, False])
def test_interrupted_download_resumes(ranges, offer, server, cache):
    content = tar_of({"toy.txt": b"hello", "noise": NOISE})
    offer(content)
    server.cut_at = len(content) // 2
    with pytest.raises(ConnectionError, match="goes on where it stopped.*MINIGEN_DATA"):
        fetch.locate("toy")
    assert left_in(cache) == [] and not (cache / "toy").exists()
    server.cut_at, server.ranges, server.sent = None, ranges, 0
    assert (fetch.locate("toy") / "toy.txt").read_bytes() == b"hello"
    assert server.asked[0] is None and server.asked[-1].startswith("bytes=")
    # A server that knows ranges sends the rest alone; another sends everything again.
    assert (server.sent < len(content)) == ranges
    assert not list((cache / "unfinished").iterdir())


def test_complete_but_unverified_remainder_is_used(offer, server, cache):
    content = tar_of({"toy.txt": b"hello"})
    offer(content)
    digest = hashlib.sha256(content).hexdigest()
    (cache / "unfinished").mkdir(parents=True)
    (cache / "unfinished" / f"{digest}.part").write_bytes(content)
    assert (fetch.locate("toy") / "toy.txt").exists()  # the server answers 416
    assert server.sent == 0


def test_wrong_checksum(offer, server, cache):
    offer(tar_of({"toy.txt": b"hello"}), sha256="0" * 64)
    with pytest.raises(ValueError, match="checksum.*0000.*MINIGEN_DATA/toy"):
        fetch.locate("toy")
    assert [path for path in cache.rglob("*") if path.is_file()] == []
    # The bad file is not taken up again: a second call starts from nothing.
    with pytest.raises(ValueError, match="checksum"):
        fetch.locate("toy")
    assert server.asked == [None, None]


@pytest.mark.parametrize("name", PACKERS)
def test_truncated_archive(name, offer, cache):
    content = PACKERS[name]({"toy.txt": b"hello", "noise": NOISE, "more": NOISE})
    offer(content[: len(content) // 2], name)
    with pytest.raises(ValueError, match="damaged or cut off.*call again"):
        fetch.locate("toy")
    assert left_in(cache) == [] and not (cache / "toy").exists()


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("bad", ["../evil", "a/../../evil", "/tmp/evil", "..\\evil", "C:\\evil"])
def test_names_that_lead_out_of_the_folder(name, bad, offer, cache, tmp_path):
    offer(PACKERS[name]({"toy.txt": b"hello", bad: b"owned"}), name)
    with pytest.raises(ValueError, match="leads out of the folder"):
        fetch.locate("toy")
    assert left_in(cache) == [] and not (cache / "toy").exists()
    assert not list(tmp_path.rglob("*evil*"))


def test_links_in_archives_are_left_out(offer, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as bundle:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            info = tarfile.TarInfo(f"link{kind.decode()}")
            info.type, info.linkname = kind, str(secret)
            bundle.addfile(info)
        info = tarfile.TarInfo("toy.txt")
        info.size = 5
        bundle.addfile(info, io.BytesIO(b"hello"))
    offer(buffer.getvalue())
    assert [path.name for path in fetch.locate("toy").iterdir()] == ["toy.txt"]


def test_full_disk_is_not_called_a_damaged_archive(offer, cache, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    offer(tar_of({"toy.txt": b"hello"}))
    monkeypatch.setattr(fetch.shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space left"):
        fetch.locate("toy")
    assert left_in(cache) == []


def test_redirect_away_from_https_is_refused(offer, server, monkeypatch, cache):
    offer(tar_of({"toy.txt": b"hello"}))
    led = server.get

    def redirected(url, **options):
        response = led(url, **options)
        response.history = [response]
        return response

    monkeypatch.setattr(requests, "get", redirected)
    with pytest.raises(ConnectionError, match="not https"):
        fetch.locate("toy")
    assert left_in(cache) == []


def test_missing_on_the_server(offer, server):
    offer(b"")
    del server.files["/toy.tar.gz"]
    with pytest.raises(ConnectionError, match="404.*MINIGEN_DATA"):
        fetch.locate("toy")


def test_another_process_was_faster(offer, cache, monkeypatch):
    offer(tar_of({"toy.txt": b"hello"}))
    unpack = fetch.unpack

    def overtaken(archive, folder):
        unpack(archive, folder)
        target = cache / "toy" / "all"
        target.mkdir(parents=True)
        (target / "toy.txt").write_bytes(b"theirs")

    monkeypatch.setattr(fetch, "unpack", overtaken)
    assert (fetch.locate("toy") / "toy.txt").read_bytes() == b"theirs"


EVERY_PART = [(name, part) for name, corpus in REGISTRY.items() for part in corpus.marker]


@pytest.mark.parametrize(("name", "part"), EVERY_PART)
def test_no_network_names_the_fix(name, part, server, cache):
    server.online = False
    with pytest.raises((ConnectionError, FileNotFoundError)) as caught:
        fetch.locate(name, part)
    assert f"$MINIGEN_DATA/{name}" in str(caught.value)
    assert left_in(cache) == []


@pytest.mark.parametrize(("name", "part"), EVERY_PART)
def test_placed_files_win_and_need_no_network(name, part, place, server):
    server.online = False
    folder = place(name)
    with pytest.raises(FileNotFoundError, match="does not hold"):
        fetch.locate(name, part)
    for root in (folder, folder / "added-level"):
        marker = root / REGISTRY[name].marker[part]
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        assert fetch.locate(name, part, installed=Path("/elsewhere")) == root
        marker.unlink()


@pytest.mark.parametrize(("name", "part"), [("toys", ""), ("allison", "de"), ("fsdd", "en")])
def test_unknown_names_list_what_there_is(name, part):
    with pytest.raises(ValueError, match="choose one of"):
        fetch.locate(name, part)


# -- real corpora --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def fsdd_files(tmp_path_factory):
    """The real recordings, unpacked once."""
    folder = tmp_path_factory.mktemp("fsdd")
    fetch.unpack(shared("fsdd.tar.gz"), folder)
    return folder / "fsdd"


@pytest.fixture(scope="session")
def ljspeech_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ljspeech")
    fetch.unpack(shared("ljspeech-sample.tar.gz"), folder)
    return folder / "LJSpeech-1.1"


def test_fsdd_real(fsdd_files, place):
    place("fsdd").rmdir()
    (Path(os.environ["MINIGEN_DATA"]) / "fsdd").symlink_to(fsdd_files)
    clips = data.fsdd()
    assert len(clips) == 3000
    assert {clip.rate for clip in clips} == {8000}
    assert {clip.text for clip in clips} == set(data.DIGIT_WORDS)
    assert len({clip.speaker for clip in clips}) == 6
    assert sum(clip.duration for clip in clips) / 60 == pytest.approx(21.9, abs=0.05)
    chosen = data.fsdd(speaker="theo", word="seven")
    assert [clip.name for clip in chosen[:3]] == ["7_theo_0", "7_theo_1", "7_theo_2"]
    assert len(chosen) == 50
    np.testing.assert_array_equal(
        chosen[0].audio, sf.read(fsdd_files / "recordings/7_theo_0.wav", dtype="float32")[0]
    )
    with pytest.raises(ValueError, match="no speaker in fsdd 'slt'.*george"):
        data.fsdd(speaker="slt")
    with pytest.raises(ValueError, match="no word in fsdd 'ten'"):
        data.fsdd(word="ten")


def test_fsdd_real_archive_through_the_registry(server, cache, monkeypatch):
    content = shared("fsdd.tar.gz").read_bytes()
    server.files["/fsdd.tar.gz"] = content
    remote = Remote(f"{FAKE_HOST}/fsdd.tar.gz", hashlib.sha256(content).hexdigest())
    corpus = REGISTRY["fsdd"]
    monkeypatch.setitem(
        REGISTRY,
        "fsdd",
        Corpus(
            corpus.title, corpus.licence, corpus.credit, corpus.page, corpus.marker, {"": (remote,)}
        ),
    )
    server.cut_at = 5_000_000
    with pytest.raises(ConnectionError):
        data.fsdd(limit=1)
    assert not (cache / "fsdd").exists()
    server.cut_at = None
    assert len(data.fsdd(limit=7)) == 7
    assert len(list((cache / "fsdd/all/fsdd/recordings").iterdir())) == 3000


def test_fsdd_damaged(place):
    recordings = place("fsdd") / "recordings"
    write_wav(recordings / "7_theo_0.wav", 8000)
    assert data.fsdd()[0].text == "seven"
    write_wav(recordings / "8_theo_0.wav", 16000)
    with pytest.raises(ValueError, match="8_theo_0.wav is at 16000 Hz.*8000 Hz.*resample"):
        data.fsdd()
    (recordings / "8_theo_0.wav").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match="8_theo_0.wav is damaged.*remove its folder"):
        data.fsdd()
    with pytest.raises(ValueError, match="limit is 0"):
        data.fsdd(word="seven", limit=0)
    (recordings / "8_theo_0.wav").rename(recordings / "eight.wav")
    with pytest.raises(ValueError, match="eight.wav is not called <digit>"):
        data.fsdd()


def test_ljspeech_real(ljspeech_files, place):
    shutil.copytree(ljspeech_files, place("ljspeech") / "LJSpeech-1.1")
    with pytest.warns(UserWarning, match="24 of 32 recordings .* have no transcript"):
        clips = data.ljspeech()
    assert len(clips) == 8 and {clip.rate for clip in clips} == {22050}
    assert clips[0].name == "LJ001-0001" and clips[0].text.startswith("Printing, in the only sense")
    assert all(clip.text and 0.1 < np.abs(clip.audio).max() <= 1 for clip in clips)


@pytest.mark.filterwarnings("ignore:.*have no transcript")
def test_ljspeech_real_damaged(ljspeech_files, place):
    root = place("ljspeech") / "LJSpeech-1.1"
    shutil.copytree(ljspeech_files, root)
    table = root / "metadata.csv"
    rows = table.read_text(encoding="utf-8")
    table.unlink()
    with pytest.raises(FileNotFoundError, match="does not hold metadata.csv: unpack LJ Speech"):
        data.ljspeech()
    table.write_text("")
    with pytest.raises(FileNotFoundError, match="no recording in .* has a transcript"):
        data.ljspeech()
    table.write_text(rows.replace("|", ","), encoding="utf-8")
    with pytest.raises(ValueError, match="not name|text|text"):
        data.ljspeech()
    table.write_text(rows, encoding="utf-8")
    (root / "wavs/LJ001-0002.wav").rename(root / "spare.wav")
    with pytest.raises(FileNotFoundError, match="lacks 1 of 8 recordings, LJ001-0002.wav"):
        data.ljspeech()
    write_wav(root / "wavs/LJ001-0002.wav", 44100)
    with pytest.raises(ValueError, match="LJ001-0002.wav is at 44100 Hz; this corpus is at 22050"):
        data.ljspeech()
    write_wav(root / "wavs/LJ001-0002.wav", 22050, channels=2)
    with pytest.raises(ValueError, match="LJ001-0002.wav.*average the channels"):
        data.ljspeech()


def vctk_folder(root: Path, spoken: int = 3) -> Path:
    """VCTK's layout; its recordings are not at hand, so these are noise."""
    for i in range(1, spoken + 1):
        for microphone in (1, 2):
            path = root / f"wav48_silence_trimmed/p225/p225_{i:03}_mic{microphone}.flac"
            write_wav(path, 48000)
        text = root / f"txt/p225/p225_{i:03}.txt"
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text(f"Please call Stella {i}.\n")
    (root / "wav48_silence_trimmed/p315").mkdir()
    return root


def test_vctk(place):
    root = vctk_folder(place("vctk"))
    clips = data.vctk("p225", limit=2)
    assert [clip.name for clip in clips] == ["p225_001_mic1", "p225_002_mic1"]
    assert clips[1].text == "Please call Stella 2." and clips[0].rate == 48000
    assert data.vctk("p225", microphone=2)[2].name == "p225_003_mic2"
    with pytest.raises(ValueError, match="no speaker in vctk 'p999': choose one of p225, p315"):
        data.vctk("p999")
    with pytest.raises(ValueError, match="microphone is 3"):
        data.vctk(microphone=3)
    with pytest.raises(FileNotFoundError, match="no transcripts.*p315"):
        data.vctk("p315")
    (root / "txt/p225/p225_001.txt").unlink()
    with pytest.warns(UserWarning, match="1 of 3 recordings .* have no transcript"):
        assert len(data.vctk()) == 2
    (root / "wav48_silence_trimmed/p225/p225_002_mic1.flac").unlink()
    with pytest.warns(UserWarning) as caught:
        assert len(data.vctk()) == 1
    assert "1 transcripts of p225 have no recording" in str(caught[0].message)
    write_wav(root / "wav48_silence_trimmed/p225/p225_003_mic1.flac", 16000)
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="16000 Hz.*48000 Hz"):
        data.vctk()


def arctic_folder(root: Path) -> Path:
    """CMU ARCTIC's layout; its recordings are not at hand, so these are noise."""
    root /= "cmu_us_slt_arctic"
    for name in ("arctic_a0001", "arctic_a0002"):
        write_wav(root / f"wav/{name}.wav", 16000)
    (root / "etc").mkdir()
    (root / "etc/txt.done.data").write_text(
        '( arctic_a0001 "Author of the danger trail, Philip Steels, etc." )\n'
        '( arctic_a0002 "Not at this particular case, \\"Tom\\"." )\n'
    )
    return root


def test_cmu_arctic(place):
    root = arctic_folder(place("cmu_arctic"))
    clips = data.cmu_arctic("slt")
    assert [clip.text for clip in clips] == [
        "Author of the danger trail, Philip Steels, etc.",
        'Not at this particular case, "Tom".',
    ]
    assert clips[0].phones is None and clips[0].speaker == "slt"
    (root / "lab").mkdir()
    label = root / "lab/arctic_a0001.lab"
    label.write_text("#\n0.02 125 pau\n0.1 125 ao\n")
    phones = [("pau", 0.0, 0.02), ("ao", 0.02, 0.1)]
    assert [clip.phones for clip in data.cmu_arctic("slt")] == [phones, None]
    label.write_text("0.02 125 pau\n")
    with pytest.raises(ValueError, match="arctic_a0001.lab is not a label file"):
        data.cmu_arctic("slt")
    label.write_text("#\n20 125 pau\n")
    with pytest.raises(ValueError, match="arctic_a0001.wav: phone 'pau' .* in seconds"):
        data.cmu_arctic("slt")
    label.unlink()
    write_wav(root / "wav/arctic_a0001.wav", 32000)
    with pytest.raises(ValueError, match="32000 Hz.*16000 Hz"):
        data.cmu_arctic("slt")
    (root / "etc/txt.done.data").write_text("arctic_a0001 no brackets\n")
    with pytest.raises(ValueError, match="txt.done.data has the line"):
        data.cmu_arctic("slt")
    (root / "etc/txt.done.data").unlink()
    with pytest.raises(FileNotFoundError, match="does not hold cmu_us_slt_arctic/etc/txt.done"):
        data.cmu_arctic("slt")
    with pytest.raises(ValueError, match="no speaker in cmu_arctic 'alan'.*slt"):
        data.cmu_arctic("alan")


def test_festvox_ru_real():
    debian(speech._FESTVOX_RU, "festvox-ru")
    clips = data.festvox_ru()
    assert len(clips) == 620 and {clip.rate for clip in clips} == {16000}
    assert sum(clip.duration for clip in clips) / 60 == pytest.approx(99.5, abs=0.05)
    assert all(clip.phones and clip.text for clip in clips)
    # The labels cover their recordings: each begins and ends in a pause.
    assert (
        {clip.phones[0][0] for clip in clips} == {clip.phones[-1][0] for clip in clips} == {"pau"}
    )
    assert max(abs(clip.phones[-1][2] - clip.duration) for clip in clips) < 0.05
    # A vowel is louder than a pause, on average: labels and audio belong together.
    power = {"pau": [], "a": []}
    for clip in clips[:50]:
        for phone, start, end in clip.phones:
            if phone in power:
                part = clip.audio[int(start * clip.rate) : int(end * clip.rate)]
                power[phone].append(np.mean(part.astype(float) ** 2))
    assert np.mean(power["a"]) > 100 * np.mean(power["pau"])


def test_festvox_ru_real_copy_damaged(place):
    source = debian(speech._FESTVOX_RU, "festvox-ru")
    root = place("festvox_ru")
    for part in ("etc/txt.done.data", "wav/ru_0001.wav", "lab/ru_0001.lab"):
        (root / part).parent.mkdir()
        shutil.copy(source / part, root / part)
    with pytest.raises(FileNotFoundError, match="lacks 619 of 620 recordings, ru_0002.wav"):
        data.festvox_ru()
    prompts = (root / "etc/txt.done.data").read_text(encoding="utf-8").splitlines()
    (root / "etc/txt.done.data").write_text(prompts[0], encoding="utf-8")
    assert data.festvox_ru()[0].phones[1] == ("k", 0.342, 0.392)
    content = (root / "wav/ru_0001.wav").read_bytes()
    (root / "wav/ru_0001.wav").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="ru_0001.wav: phone"):  # the labels run past the end
        data.festvox_ru()


def test_festvox_ru_absent_names_the_package(monkeypatch, tmp_path):
    monkeypatch.setattr(speech, "_FESTVOX_RU", tmp_path)
    with pytest.raises(FileNotFoundError, match="not downloaded.*apt-get install festvox-ru"):
        data.festvox_ru()


# -- Asterisk ------------------------------------------------------------------------------------

needs_decoder = pytest.mark.skipif(
    g722.importlib.util.find_spec("av") is None and shutil.which("ffmpeg") is None,
    reason="neither PyAV nor ffmpeg is installed: G.722 cannot be decoded",
)
CLIPS_AND_MINUTES = {  # with a transcript, speech only
    "en": (551, 24.26),
    "es": (477, 28.87),
    "fr": (509, 23.91),
    "it": (580, 22.58),
    "ru": (554, 23.49),
}


@needs_decoder
@pytest.mark.parametrize("language", CLIPS_AND_MINUTES)
def test_allison_real(language):
    speaker, folder = speech._VOICES[language]
    debian(speech._ASTERISK_SOUNDS / folder, REGISTRY["allison"].package[language])
    clips = data.allison(language)
    count, minutes = CLIPS_AND_MINUTES[language]
    assert len(clips) == count
    assert sum(clip.duration for clip in clips) / 60 == pytest.approx(minutes, abs=0.01)
    assert {(clip.rate, clip.speaker) for clip in clips} == {(16000, speaker)}
    for clip in clips:
        assert clip.text and not set("[]<>") & set(clip.text), clip
        assert not clip.name.startswith("silence/") and clip.name not in speech._TONES
        assert np.abs(clip.audio).max() > 0.02, clip
    words = {clip.name: clip.text for clip in clips}
    seven = {"en": "seven", "es": "siete", "fr": "sept", "it": "sette", "ru": "семь"}[language]
    assert words["digits/7"].strip(".").lower() == seven


@needs_decoder
def test_allison_limit_is_a_prefix():
    debian(speech._ASTERISK_SOUNDS / "en_US_f_Allison", "asterisk-core-sounds-en-g722")
    clips = data.allison("en", limit=3)
    assert [clip.name for clip in clips] == ["activated", "added", "agent-alreadyon"]


def test_g722_backends_agree():
    folder = debian(speech._ASTERISK_SOUNDS / "en_US_f_Allison", "asterisk-core-sounds-en-g722")
    pytest.importorskip("av", reason="PyAV is not installed")
    if shutil.which("ffmpeg") is None:
        pytest.skip("the command ffmpeg is not installed")
    paths = sorted(folder.glob("*.g722"))[:70]  # more than one batch
    for one, other in zip(g722.decode(paths, "av"), g722.decode(paths, "ffmpeg"), strict=True):
        np.testing.assert_array_equal(one, other)


def asterisk_copy(folder: Path) -> Path:
    """A few real prompts in the upstream archive's layout."""
    source = debian(speech._ASTERISK_SOUNDS / "en_US_f_Allison", "asterisk-core-sounds-en-g722")
    texts = speech._ASTERISK_TEXTS / "asterisk-core-sounds-en/core-sounds-en.txt.gz"
    for name in ("activated", "beep", "digits/7", "silence/1", "spy-iax2"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / f"{name}.g722", folder / f"{name}.g722")
    (folder / "core-sounds-en.txt").write_bytes(gzip.decompress(texts.read_bytes()))
    return folder


@needs_decoder
def test_allison_real_upstream_layout_and_damage(place, monkeypatch):
    root = asterisk_copy(place("allison") / "en")
    clips = data.allison()
    assert {clip.name: clip.text for clip in clips} == {
        "activated": "Activated.",
        "digits/7": "seven",
        "spy-iax2": "IAX",  # the remark in brackets is not spoken
    }
    (root / "activated.g722").write_bytes(b"")
    with pytest.raises(ValueError, match="activated.g722 is empty: remove its folder"):
        data.allison()
    transcripts = root / "core-sounds-en.txt"
    transcripts.write_text("; nothing here\n")
    with pytest.raises(FileNotFoundError, match="no recording in .* has a transcript"):
        data.allison()
    transcripts.unlink()
    with pytest.raises(FileNotFoundError, match="does not hold core-sounds-en.txt"):
        data.allison()
    with pytest.raises(ValueError, match="no language of allison 'de': choose one of en, es"):
        data.allison("de")


def test_allison_without_documentation_names_the_fix(monkeypatch, tmp_path):
    debian(speech._ASTERISK_SOUNDS / "en_US_f_Allison", "asterisk-core-sounds-en-g722")
    monkeypatch.setattr(speech, "_ASTERISK_TEXTS", tmp_path)
    with pytest.raises(FileNotFoundError, match="--reinstall asterisk-core-sounds-en"):
        data.allison()


def test_allison_without_a_decoder_names_the_fix(monkeypatch, tmp_path):
    monkeypatch.setattr(g722.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(g722.shutil, "which", lambda name: None)
    with pytest.raises(ImportError, match="pip install av"):
        g722.decode([tmp_path / "a.g722"])
    with pytest.raises(ValueError, match="must be 'av' or 'ffmpeg'"):
        g722.decode([], backend="sox")


# -- MNIST and Shakespeare -----------------------------------------------------------------------


def test_mnist_real_and_damaged(place, monkeypatch):
    source = shared("mnist")
    monkeypatch.setenv("MINIGEN_DATA", str(source.parent))
    mnist = data.mnist()
    assert mnist.train_images.shape == (60000, 28, 28) and mnist.test_images.shape == (
        10000,
        28,
        28,
    )
    assert np.bincount(mnist.train_labels).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert mnist.train_labels[:4].tolist() == [5, 0, 4, 1]
    assert mnist.train_images.mean() == pytest.approx(33.318, abs=0.001)

    monkeypatch.setenv("MINIGEN_DATA", str(source.parent / "nothing-here"))
    root = place("copy")
    monkeypatch.setenv("MINIGEN_DATA", str(root))
    shutil.copytree(source, root / "mnist")
    (root / "mnist").chmod(0o755)
    labels = root / "mnist/train-labels-idx1-ubyte.gz"
    content = labels.read_bytes()
    for damaged, message in (
        (content[:10_000], "labels-idx1-ubyte.gz is damaged"),
        (b"not gzip", "labels-idx1-ubyte.gz is damaged"),
        (gzip.compress(b"\0\0\x08\x01" + b"\0" * 60_004, 1), "not an IDX file of bytes with shape"),
    ):
        labels.unlink()
        labels.write_bytes(damaged)
        with pytest.raises(ValueError, match=message):
            data.mnist()
    labels.unlink()
    with pytest.raises(FileNotFoundError, match="train-labels-idx1-ubyte.gz is missing"):
        data.mnist()


def test_tinyshakespeare_real_and_damaged(place):
    source = shared("tinyshakespeare.txt")
    copy = place("tinyshakespeare") / "input.txt"
    copy.write_bytes(source.read_bytes())
    text = data.tinyshakespeare()
    assert text.startswith("First Citizen:\nBefore we proceed any further, hear me speak.")
    assert len(text) == 1_115_394 and len(set(text)) == 65
    # What the registry would fetch is this file.
    (remote,) = REGISTRY["tinyshakespeare"].parts[""]
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == remote.sha256
    copy.write_text(text[:1000])
    with pytest.raises(ValueError, match="has 1000 characters, not 1115394"):
        data.tinyshakespeare()
