"""What the library can fetch, and how: `corpora.toml` is the registry, `locate` finds or fetches.

`locate` looks for a corpus, in this order, in

1. `$MINIGEN_DATA/<name>`, where you put files that you have already;
2. the Debian package of the corpus, where there is one and it is installed;
3. the cache (`cache_folder()`), filled by earlier calls;

and else downloads into the cache over https, verified by SHA-256. One process at a time fetches a
corpus; others wait for it. What was downloaded is kept until the corpus is complete: an interrupted
download resumes, and a verified archive is never downloaded again because unpacking was interrupted.
Archives are unpacked into a folder that is renamed at the end, so the cache never holds half a corpus.
"""

import errno
import os
import re
import shutil
import stat
import sys
import tarfile
import tomllib
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Corpus:
    """One corpus: what it is, whose it is, and where its files come from.

    Args:
        title, licence, credit, page: what it is called, on what terms it may be used, whom to name,
            where to read about it.
        marker: a file or folder that is there when the corpus is; may hold "{part}".
        package: the Debian packages that hold it, too.
        files: address -> SHA-256 of each file to download, of a corpus in one piece.
        url, parts: of a corpus in several pieces, the address with "{part}" in it, and part -> SHA-256.
    """

    title: str
    licence: str
    credit: str
    page: str
    marker: str
    package: str = ""
    files: dict[str, str] = field(default_factory=dict)
    url: str = ""
    parts: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in self.parts or [""]:
            for url, sha256 in self.downloads(part).items():
                if not url.startswith("https://"):
                    raise ValueError(f"{url!r} is not an https address; downloads use nothing else")
                if not re.fullmatch("[0-9a-f]{64}", sha256):
                    raise ValueError(f"{sha256!r} is not a SHA-256 in 64 lower-case digits")

    def downloads(self, part: str = "") -> dict[str, str]:
        """Address -> SHA-256 of what one part, or the whole corpus, consists of."""
        return {self.url.format(part=part): self.parts[part]} if part else self.files


REGISTRY: dict[str, Corpus] = {
    name: Corpus(**entry)
    for name, entry in tomllib.loads(
        Path(__file__).with_name("corpora.toml").read_text(encoding="utf-8")
    ).items()
}
_credited: set[str] = set()  # corpora whose licence this process has printed


def cache_folder() -> Path:
    """Where downloads are kept: the user's cache folder, as the operating system defines it."""
    import pooch

    return Path(pooch.os_cache("minigen"))


def choose(table: Mapping[str, T], key: str, what: str) -> T:
    """`table[key]`, or an error that lists what there is."""
    if key not in table:
        raise ValueError(f"no {what} {key!r}: choose one of {', '.join(table)}")
    return table[key]


def locate(name: str, part: str = "", installed: Path | None = None) -> Path:
    """The folder that holds (a part of) a corpus; the first time, this may download it.

    Prints the licence and the credit of the corpus, once a process.

    Args:
        name: of the corpus, a key of `REGISTRY`.
        part: a speaker, for a corpus that comes in several pieces.
        installed: where the operating system's package puts it, if that is there.

    Raises FileNotFoundError: `$MINIGEN_DATA` is no folder, or `$MINIGEN_DATA/<name>` holds something else; or
    the corpus is nowhere and cannot be downloaded. ConnectionError: the download failed; the next call resumes
    it. OSError: the cache cannot be written, or the disk is full. ValueError: a checksum does not match or an
    archive is damaged; or an unknown name or part.
    """
    corpus = choose(REGISTRY, name, "corpus")
    choose(corpus.parts or {"": ""}, part, f"part of {name}")
    marker = corpus.marker.format(part=part)
    placed = _placed(name)
    if placed is not None:
        folder = _holding(placed, marker)
        if folder is None:
            raise FileNotFoundError(
                f"{placed} does not hold {marker}: unpack {corpus.title} there ({corpus.page}), "
                f"or rename the folder to have it fetched"
            )
    elif installed is not None:
        folder = installed
    else:
        target = _target(name, part)
        if not target.exists() or any(map(_kept, corpus.downloads(part).values())):
            _fill(target, name, part)
        folder = _holding(target, marker)
        if folder is None:
            raise FileNotFoundError(
                f"{target} does not hold {marker}: remove that folder and call again"
            )
    if name not in _credited:
        _credited.add(name)
        print(f"{corpus.title}. Licence: {corpus.licence}. Credit: {corpus.credit}. {corpus.page}")
    return folder


def _placed(name: str) -> Path | None:
    """The user's own folder for this corpus, or None."""
    setting = os.environ.get("MINIGEN_DATA")
    if not setting:
        return None
    folder = Path(setting).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(
            f"MINIGEN_DATA is {setting!r}, and there is no such folder: make it, or unset the variable"
        )
    return folder / name if (folder / name).exists() else None


def _holding(folder: Path, marker: str) -> Path | None:
    """`folder`, or the one folder below it, that contains `marker`: archives often add a level."""
    below = [p for p in sorted(folder.glob("*")) if p.is_dir() and p.name[0] not in "._"]
    return next((p for p in (folder, *below) if (p / marker).exists()), None)


def _other_ways(name: str) -> str:
    """What a person can do without a download."""
    corpus = REGISTRY[name]
    ways = f"place its files in the folder $MINIGEN_DATA/{name} (see {corpus.page})"
    if corpus.package:
        ways += f"; or, on Debian or Ubuntu, `sudo apt-get install {corpus.package}`"
    return ways


# -- filling the cache ---------------------------------------------------------------------------


def _target(name: str, part: str) -> Path:
    return cache_folder() / name / (part or "all")


def _kept(sha256: str) -> bool:
    """Whether (a piece of) this download is there, from a call that did not come to its end."""
    return (cache_folder() / "unfinished" / sha256).exists()


def _fill(target: Path, name: str, part: str) -> None:
    """Download, verify and unpack what a part consists of, one process at a time."""
    corpus, root = REGISTRY[name], cache_folder()
    downloads = corpus.downloads(part)
    if not downloads:
        raise FileNotFoundError(
            f"{corpus.title} is not here, and no checksum of it is known, so it is not downloaded: "
            f"{_other_ways(name)}"
        )
    content = target.with_name(f".filling-{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(root / f"{name}-{target.name}.lock", corpus.title):
            _sweep(root, content)
            if target.exists():  # another process was faster
                return
            archives = [_download(url, digest, name) for url, digest in downloads.items()]
            try:
                content.mkdir()
                for archive in archives:
                    unpack(archive, content)
                content.rename(target)
            except ValueError:  # verified, and yet no archive to be trusted
                _remove(archives)
                raise
            finally:
                shutil.rmtree(content, ignore_errors=True)
            _remove(archives)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(
                error.errno,
                f"the disk of {root} is full, so {corpus.title} is not complete. Make room and call "
                "again: what was downloaded is kept. Or set XDG_CACHE_HOME to a folder on a larger disk",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise PermissionError(
                error.errno,
                f"the cache {root} cannot be written: set XDG_CACHE_HOME to a folder that can, or "
                f"{_other_ways(name)}",
            ) from error
        raise


@contextmanager
def _alone(lock: Path, title: str) -> Iterator[None]:
    """Hold a lock; say so when another process has it."""
    from filelock import FileLock, Timeout

    holder = FileLock(lock)
    try:
        holder.acquire(timeout=0)
    except Timeout:
        print(f"another process is fetching {title}: waiting for it", file=sys.stderr)
        holder.acquire()
    try:
        yield
    finally:
        holder.release()


def _sweep(root: Path, content: Path) -> None:
    """Remove what a killed process left: half an unpacked corpus, downloads that are no longer wanted."""
    shutil.rmtree(content, ignore_errors=True)
    wanted = {
        sha256
        for name, corpus in REGISTRY.items()
        for part in corpus.parts or [""]
        for sha256 in corpus.downloads(part).values()
        if not _target(name, part).exists()
    }
    for path in root.glob("unfinished/*"):
        if path.name not in wanted:
            shutil.rmtree(path, ignore_errors=True)


def _remove(archives: list[Path]) -> None:
    """Remove downloads and the folders that were made for them."""
    for archive in archives:
        shutil.rmtree(archive.parent)
    if not any(archives[0].parents[1].iterdir()):
        archives[0].parents[1].rmdir()


def _download(url: str, sha256: str, name: str) -> Path:
    """The verified file, at unfinished/<sha256>/<its name>; an earlier call may have left it there."""
    import pooch
    import requests

    path = cache_folder() / "unfinished" / sha256 / url.rsplit("/", 1)[-1]
    if path.exists():
        return path
    part = path.with_name(path.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        _resume(url, part)
    except requests.RequestException as error:
        raise ConnectionError(
            f"{url} could not be downloaded ({error}). Check the connection and call again: the "
            f"download goes on where it stopped. Without a network: {_other_ways(name)}"
        ) from error
    if pooch.file_hash(part) != sha256:
        _remove([part])
        raise ValueError(
            f"the checksum of {url} is not the one on record, sha256 {sha256}: the file was damaged "
            f"on the way, or replaced by another. It was removed; call again. If it happens again: "
            f"{_other_ways(name)}"
        )
    return part.rename(path)


def _resume(url: str, path: Path) -> None:
    """Download `url` to `path`, keeping what an earlier attempt left there."""
    import requests
    from tqdm import tqdm

    have = path.stat().st_size if path.exists() else 0
    asked = {"Accept-Encoding": "identity"}  # the bytes that the checksum is of
    asked |= {"Range": f"bytes={have}-"} if have else {}
    with requests.get(url, headers=asked, stream=True, timeout=(10, 60)) as response:
        if response.history and not response.url.startswith("https://"):
            raise requests.RequestException(f"redirected to {response.url}, which is not https")
        if have and response.status_code == 416:  # nothing left to send: the checksum will tell
            return
        response.raise_for_status()
        if response.status_code != 206:  # the server sends the whole file again
            have = 0
        # some servers call every .gz an encoding
        response.raw.headers.pop("Content-Encoding", None)
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        label = url.rsplit("/", 1)[-1]
        with (
            path.open("ab" if have else "wb") as output,
            tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=label) as bar,
        ):
            for chunk in response.iter_content(1 << 16):
                output.write(chunk)
                bar.update(len(chunk))


# -- archives ------------------------------------------------------------------------------------


def unpack(archive: Path, folder: Path) -> None:
    """Write the regular files of a zip, tar.gz or tar.bz2 below `folder`; links are left out.

    A file of any other kind is copied there.

    Raises ValueError: the archive is damaged, or a name in it leads out of `folder`.
    """
    if not archive.name.endswith((".zip", ".tar.gz", ".tar.bz2")):
        shutil.copyfile(archive, folder / archive.name)
        return
    try:
        for name, stream in _members(archive):
            # A name is judged as both POSIX and Windows would read it.
            steps = PurePosixPath(name.replace("\\", "/"))
            if steps.is_absolute() or ".." in steps.parts or ":" in name:
                raise ValueError(
                    f"{archive.name} holds a file called {name!r}, which leads out of the folder "
                    "it is unpacked in. Nothing was kept of it; do not use this archive"
                )
            path = folder / steps
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                raise ValueError(f"{archive.name} holds {name!r} twice; do not use this archive")
            with path.open("xb") as output:
                shutil.copyfileobj(stream, output)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # not the archive's fault: the disk is full, say
        raise ValueError(
            f"{archive.name} is damaged or cut off ({error}). Nothing was kept of it; call again to "
            "download it afresh"
        ) from error


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and content of each regular file."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as bundle:
            for info in bundle.infolist():
                if not info.is_dir() and not stat.S_ISLNK(info.external_attr >> 16):
                    with bundle.open(info) as stream:
                        yield info.filename, stream
    else:
        # "r|" reads front to back once: seeking in a compressed archive decompresses it again
        with tarfile.open(archive, f"r|{archive.suffix[1:]}") as bundle:
            for info in bundle:
                if info.isfile():
                    yield info.name, bundle.extractfile(info)
