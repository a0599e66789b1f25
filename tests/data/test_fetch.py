"""Fetching: the registry, downloads that are cut off, archives that lie, processes that meet."""

from __future__ import annotations

import errno
import hashlib
import io
import multiprocessing
import os
import shutil
import signal
import stat
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import requests

from minigen.data import fetch
from minigen.data.fetch import REGISTRY, Corpus

FAKE_HOST = "https://corpus.example"
ARCHIVES = ("toy.tar.gz", "toy.tar.bz2", "toy.zip")
NOISE = np.random.default_rng(0).bytes(200_000)  # does not compress: archives can be cut midway


def left_in(cache: Path) -> list[str]:
    """Files in the cache, but for locks and for downloads that are kept to be used by the next call."""
    return [
        path.relative_to(cache).as_posix()
        for path in cache.rglob("*")
        if path.is_file() and "unfinished" not in path.parts and path.suffix != ".lock"
    ]


@pytest.mark.parametrize("name", REGISTRY)
def test_every_corpus_says_whose_it_is_and_can_be_had(name):
    corpus = REGISTRY[name]
    assert corpus.title and corpus.licence and corpus.credit and corpus.page
    assert corpus.parts or corpus.files or corpus.package, "neither a download nor a package"
    hashes = [h for part in corpus.parts or [""] for h in corpus.downloads(part).values()]
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
        Corpus("Toy", "none", "nobody", "page", "toy.txt", files={url: sha256})


@pytest.mark.parametrize("name", ARCHIVES)
def test_download_once_then_never_again(name, offer, packers, server, cache, capsys):
    offer(packers[name]({"top/toy.txt": b"hello", "top/deep/noise": NOISE}), name)
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
def test_interrupted_download_resumes(ranges, offer, packers, server, cache):
    content = packers["toy.tar.gz"]({"toy.txt": b"hello", "noise": NOISE})
    offer(content)
    server.cut_at = len(content) // 2
    with pytest.raises(ConnectionError, match="goes on where it stopped.*MINIGEN_DATA"):
        fetch.locate("toy")
    assert left_in(cache) == [] and not (cache / "toy" / "all").exists()
    server.cut_at, server.ranges, server.sent = None, ranges, 0
    assert (fetch.locate("toy") / "toy.txt").read_bytes() == b"hello"
    assert server.asked[0] is None and server.asked[-1].startswith("bytes=")
    # A server that knows ranges sends the rest alone; another sends everything again.
    assert (server.sent < len(content)) == ranges
    assert not (cache / "unfinished").exists()


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip"])
def test_a_server_that_takes_an_archives_ending_for_an_encoding(encoding, offer, packers, server):
    """The file is what was sent: a client that unpacks it would have another checksum."""
    content = packers["toy.tar.gz"]({"toy.txt": b"hello", "noise": NOISE})
    offer(content)
    server.encoding, server.cut_at = encoding, len(content) // 2
    with pytest.raises(ConnectionError, match="goes on where it stopped"):
        fetch.locate("toy")
    server.cut_at = None
    assert (fetch.locate("toy") / "toy.txt").read_bytes() == b"hello"


def test_complete_but_unverified_remainder_is_used(offer, packers, server, cache):
    content = packers["toy.tar.gz"]({"toy.txt": b"hello"})
    offer(content)
    folder = cache / "unfinished" / hashlib.sha256(content).hexdigest()
    folder.mkdir(parents=True)
    (folder / "toy.tar.gz.part").write_bytes(content)
    assert (fetch.locate("toy") / "toy.txt").exists()  # the server answers 416
    assert server.sent == 0


def test_wrong_checksum(offer, packers, server, cache):
    offer(packers["toy.tar.gz"]({"toy.txt": b"hello"}), sha256="0" * 64)
    with pytest.raises(ValueError, match="checksum.*0000.*MINIGEN_DATA/toy"):
        fetch.locate("toy")
    assert not (cache / "unfinished").exists() and left_in(cache) == []
    # The bad file is not taken up again: a second call starts from nothing.
    with pytest.raises(ValueError, match="checksum"):
        fetch.locate("toy")
    assert server.asked == [None, None]


@pytest.mark.parametrize("name", ARCHIVES)
def test_truncated_archive(name, offer, packers, cache):
    content = packers[name]({"toy.txt": b"hello", "noise": NOISE, "more": NOISE})
    offer(content[: len(content) // 2], name)
    with pytest.raises(ValueError, match="damaged or cut off.*call again"):
        fetch.locate("toy")
    assert left_in(cache) == [] and not (cache / "toy" / "all").exists()


@pytest.mark.parametrize("name", ARCHIVES)
@pytest.mark.parametrize("bad", ["../evil", "a/../../evil", "/tmp/evil", "..\\evil", "C:\\evil"])
def test_names_that_lead_out_of_the_folder(name, bad, offer, packers, cache, tmp_path):
    offer(packers[name]({"toy.txt": b"hello", bad: b"owned"}), name)
    with pytest.raises(ValueError, match="leads out of the folder"):
        fetch.locate("toy")
    assert left_in(cache) == [] and not (cache / "toy" / "all").exists()
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
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as bundle:
        info = zipfile.ZipInfo("link")
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        bundle.writestr(info, str(secret))
        bundle.writestr("toy.txt", "hello")
    shutil.rmtree(fetch.locate("toy"))
    offer(zipped.getvalue(), "toy.zip")
    assert [path.name for path in fetch.locate("toy").iterdir()] == ["toy.txt"]


def failing(error: BaseException, after: int = 0):
    """Stands for `shutil.copyfileobj` and fails at its `after`-th file."""
    calls = []

    def copy(source, target):
        calls.append(1)
        if len(calls) > after:
            raise error
        target.write(source.read())

    return copy


FULL = [(OSError(n, "Full"), OSError, "Make room.*again") for n in (errno.ENOSPC, errno.EDQUOT)]
LOCKED = [
    (OSError(n, "Locked"), PermissionError, "cannot be written.*XDG_CACHE_HOME.*MINIGEN_DATA/toy")
    for n in (errno.EACCES, errno.EPERM, errno.EROFS)
]


@pytest.mark.parametrize(("error", "seen", "message"), [*FULL, *LOCKED])
def test_a_cache_that_cannot_be_made_is_named_with_the_way_out(
    error, seen, message, offer, server, cache, monkeypatch
):
    """Before anything is asked for; and of another fault the system's own words are kept."""
    offer(b"to be", "toy.txt")

    def refuse(error):
        def mkdir(*_, **__):
            raise error

        monkeypatch.setattr(fetch.Path, "mkdir", mkdir)

    refuse(error)
    with pytest.raises(seen, match=message) as caught:
        fetch.locate("toy")
    assert str(cache) in str(caught.value) and caught.value.errno == error.errno
    refuse(OSError(errno.EIO, "Input/output error"))
    with pytest.raises(OSError, match="Input/output error"):
        fetch.locate("toy")
    assert server.asked == []


@pytest.mark.parametrize(
    ("error", "seen", "message"),
    [FULL[0], LOCKED[-1], (KeyboardInterrupt(), KeyboardInterrupt, None)],
)
def test_verified_archive_survives_unpacking(
    error, seen, message, offer, packers, server, cache, monkeypatch
):
    """A full disk, lost rights, Ctrl-C: nothing half-unpacked stays, nothing is downloaded again."""
    offer(packers["toy.tar.gz"]({"toy.txt": b"hello", "noise": NOISE}))
    with monkeypatch.context() as patch, pytest.raises(seen, match=message) as caught:
        patch.setattr(fetch.shutil, "copyfileobj", failing(error, after=1))
        fetch.locate("toy")
    assert "\n" not in str(caught.value)
    assert left_in(cache) == [] and not (cache / "toy" / "all").exists()
    server.online = False
    assert (fetch.locate("toy") / "noise").read_bytes() == NOISE
    assert len(server.asked) == 1 and not (cache / "unfinished").exists()


def test_redirect_away_from_https_is_refused(offer, packers, server, monkeypatch, cache):
    offer(packers["toy.tar.gz"]({"toy.txt": b"hello"}))
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


def killed_while_unpacking() -> None:
    """In a process of its own: SIGKILL at the second file of an archive."""

    def kill(source, target):
        target.write(b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    fetch.shutil.copyfileobj = kill
    fetch.locate("toy")


def test_after_sigkill_the_next_call_completes_and_removes_what_was_left(
    offer, packers, server, cache
):
    offer(packers["toy.tar.gz"]({"toy.txt": b"hello", "noise": NOISE}))
    process = multiprocessing.get_context("fork").Process(target=killed_while_unpacking)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL and list(cache.glob("toy/.filling-*"))
    (cache / "unfinished" / ("0" * 64)).mkdir(parents=True)  # no longer in the registry
    assert (fetch.locate("toy") / "noise").read_bytes() == NOISE
    assert len(server.asked) == 1
    assert sorted(left_in(cache)) == ["toy/all/noise", "toy/all/toy.txt"]
    left = {path.name for path in cache.rglob("*")}
    assert left == {"toy", "all", "noise", "toy.txt", "toy-all.lock"}


def test_what_was_downloaded_for_a_corpus_that_is_complete_is_removed(offer, server, cache):
    """A process was killed between the last two steps."""
    offer(b"to be", "toy.txt")
    folder = fetch.locate("toy")
    (digest,) = REGISTRY["toy"].files.values()
    left = cache / "unfinished" / digest
    left.mkdir(parents=True)
    assert fetch.locate("toy") == folder and not left.exists() and len(server.asked) == 1


def locate_toy(results) -> None:
    results.put((fetch.locate("toy") / "noise").stat().st_size)


def test_many_processes_and_threads_download_once(offer, packers, server, cache):
    """The first takes the lock; the others wait and find the corpus."""
    offer(packers["toy.tar.gz"]({"toy.txt": b"hello", "noise": NOISE}))
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    workers = [context.Process(target=locate_toy, args=(results,)) for _ in range(8)]
    workers += [threading.Thread(target=locate_toy, args=(results,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    assert [results.get(timeout=60) for _ in workers] == [len(NOISE)] * 12
    for worker in workers:
        worker.join()
    assert len(server.asked) == 1 and not (cache / "unfinished").exists()


def test_the_one_who_waits_is_told_why(offer, packers, cache, capsys):
    offer(packers["toy.tar.gz"]({"toy.txt": b"hello"}))
    with fetch._alone(cache / "toy-all.lock", "Toy"):
        waiting = threading.Thread(target=fetch.locate, args=("toy",))
        waiting.start()
        while "another process is fetching Toy" not in (said := capsys.readouterr().err):
            assert waiting.is_alive() and not said.strip()
    waiting.join()
    assert (fetch.locate("toy") / "toy.txt").exists()


def test_a_name_twice_in_one_archive(offer, cache):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as bundle:
        for content in (b"one", b"two"):
            info = tarfile.TarInfo("toy.txt")
            info.size = 3
            bundle.addfile(info, io.BytesIO(content))
    offer(buffer.getvalue())
    with pytest.raises(ValueError, match="twice"):
        fetch.locate("toy")
    assert left_in(cache) == []


@pytest.mark.parametrize("setting", ["/no/such/folder", "~/no-such-folder", "file"])
def test_data_folder_that_is_none(setting, monkeypatch, tmp_path, server):
    """Nothing is downloaded behind the back of somebody who mistyped a folder."""
    if setting == "file":
        setting = str(tmp_path / "file")
        Path(setting).touch()
    monkeypatch.setenv("MINIGEN_DATA", setting)
    with pytest.raises(FileNotFoundError, match=r"MINIGEN_DATA is .* no such folder: make it"):
        fetch.locate("fsdd")
    assert server.asked == []


def test_data_folder_in_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MINIGEN_DATA", "~/corpora")
    (tmp_path / "corpora/fsdd/recordings").mkdir(parents=True)
    assert fetch.locate("fsdd") == tmp_path / "corpora/fsdd"


def test_companions_that_macos_makes_are_not_the_corpus(place):
    folder = place("fsdd")
    (folder / "__MACOSX/recordings").mkdir(parents=True)
    (folder / ".hidden/recordings").mkdir(parents=True)
    (folder / "zz/recordings").mkdir(parents=True)
    assert fetch.locate("fsdd") == folder / "zz"


EVERY_PART = [(name, part) for name, corpus in REGISTRY.items() for part in corpus.parts or [""]]


@pytest.mark.parametrize(("name", "part"), EVERY_PART)
def test_no_network_names_the_fix(name, part, server, cache):
    server.online = False
    with pytest.raises((ConnectionError, FileNotFoundError)) as caught:
        fetch.locate(name, part)
    assert f"$MINIGEN_DATA/{name}" in str(caught.value)
    assert str(caught.value).startswith(("https://", REGISTRY[name].title))
    assert left_in(cache) == []


@pytest.mark.parametrize(("name", "part"), EVERY_PART)
def test_placed_files_win_and_need_no_network(name, part, place, server):
    server.online = False
    folder = place(name)
    with pytest.raises(FileNotFoundError, match="does not hold"):
        fetch.locate(name, part)
    for root in (folder, folder / "added-level"):
        marker = root / REGISTRY[name].marker.format(part=part)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        assert fetch.locate(name, part, installed=Path("/elsewhere")) == root
        marker.unlink()


@pytest.mark.parametrize(("name", "part"), [("toys", ""), ("allison", "de"), ("fsdd", "en")])
def test_unknown_names_list_what_there_is(name, part):
    with pytest.raises(ValueError, match="choose one of"):
        fetch.locate(name, part)


def test_a_corpus_that_the_users_folder_lacks_is_looked_for_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGEN_DATA", str(tmp_path))
    assert fetch._placed("fsdd") is None
    (tmp_path / "fsdd").mkdir()
    assert fetch._placed("fsdd") == tmp_path / "fsdd"
