"""The one registry of what the book can fetch: where from, how it is verified, whose it is.

A loader asks `locate` for the folder of its corpus. It looks, in this order, in

1. `$MINIGEN_DATA/<name>`, where you put files that you have already;
2. the Debian package of the corpus, where there is one and it is installed;
3. the cache (`cache_folder()`), filled by earlier calls;

and else downloads into the cache: over https, with a progress bar, resuming where an earlier call
was cut off, and verified by SHA-256 (pooch). Archives are unpacked into a temporary folder that is
renamed when it is complete, so the cache never holds half a corpus.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

__all__ = ["REGISTRY", "Corpus", "Remote", "cache_folder", "locate", "unpack"]


@dataclass(frozen=True)
class Remote:
    """One file to download.

    Args:
        url: https address.
        sha256: of the file, 64 hexadecimal digits.
        size: in bytes, where it is known: for the message only.
    """

    url: str
    sha256: str
    size: int | None = None

    def __post_init__(self) -> None:
        if not self.url.startswith("https://"):
            raise ValueError(f"{self.url!r} is not an https address; downloads use nothing else")
        if not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise ValueError(f"{self.sha256!r} is not a SHA-256: 64 lower-case hexadecimal digits")

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Corpus:
    """One corpus: what it is, whose it is, and where its files come from.

    Args:
        title: what it is called.
        licence: on what terms it may be used.
        credit: whom to name.
        page: where to read about it.
        marker: for each part, a file that is present when the part is. A corpus that comes in one
            piece has the one part "".
        parts: for each part, the files to download; none where no checksum is known.
        package: for each part, the Debian packages that hold it too.
    """

    title: str
    licence: str
    credit: str
    page: str
    marker: dict[str, str]
    parts: dict[str, tuple[Remote, ...]] = field(default_factory=dict)
    package: dict[str, str] = field(default_factory=dict)


# Every checksum below was either computed from the file itself or is published where the comment
# says. A file for which neither holds is not in this table: it is never downloaded.

# SHA-256 in the signed source index of Debian's package asterisk-core-sounds 1.6.1-1, whose
# orig-*-g722 archives are these files.
_ALLISON = {
    "en": ("59891033e764d9dffc5ccdd78e845a1c8ea6bed0b434128bb0199c63ef591770", 10_756_090),
    "es": ("3c474f73cc4f65478b3cf05ab0c5da19c8ce408699f61491f6aafba450cb540a", 13_175_419),
    "fr": ("7ff3ca96bbb295a6458e6eb1ff92690d9a5d0db0b4ddfa2c488237e4d251efbe", 10_975_670),
    "it": ("44a7fd7b067ff7f71df7fec31f9a8c960e13d35ca30c31878913c4020bfc00b6", 10_191_350),
    "ru": ("fde2a071b811a081219138693d6813d122d91c2c3423936274b110b97645b61b", 10_635_740),
}

# SHA-256 in torchaudio.datasets.cmuarctic (_CHECKSUMS).
_ARCTIC = {
    "aew": "645cb33c0f0b2ce41384fdd8d3db2c3f5fc15c1e688baeb74d2e08cab18ab406",
    "ahw": "024664adeb892809d646a3efd043625b46b5bfa3e6189b3500b2d0d59dfab06c",
    "aup": "2c55bc3050caa996758869126ad10cf42e1441212111db034b3a45189c18b6fc",
    "awb": "d74a950c9739a65f7bfc4dfa6187f2730fa03de5b8eb3f2da97a51b74df64d3c",
    "axb": "dd65c3d2907d1ee52f86e44f578319159e60f4bf722a9142be01161d84e330ff",
    "bdl": "26b91aaf48b2799b2956792b4632c2f926cd0542f402b5452d5adecb60942904",
    "clb": "3f16dc3f3b97955ea22623efb33b444341013fc660677b2e170efdcc959fa7c6",
    "eey": "8a0ee4e5acbd4b2f61a4fb947c1730ab3adcc9dc50b195981d99391d29928e8a",
    "fem": "3fcff629412b57233589cdb058f730594a62c4f3a75c20de14afe06621ef45e2",
    "gka": "dc82e7967cbd5eddbed33074b0699128dbd4482b41711916d58103707e38c67f",
    "jmk": "3a37c0e1dfc91e734fdbc88b562d9e2ebca621772402cdc693bbc9b09b211d73",
    "ksp": "8029cafce8296f9bed3022c44ef1e7953332b6bf6943c14b929f468122532717",
    "ljm": "b23993765cbf2b9e7bbc3c85b6c56eaf292ac81ee4bb887b638a24d104f921a0",
    "lnh": "4faf34d71aa7112813252fb20c5433e2fdd9a9de55a00701ffcbf05f24a5991a",
    "rms": "c6dc11235629c58441c071a7ba8a2d067903dfefbaabc4056d87da35b72ecda4",
    "rxr": "1fa4271c393e5998d200e56c102ff46fcfea169aaa2148ad9e9469616fbfdd9b",
    "slp": "54345ed55e45c23d419e9a823eef427f1cc93c83a710735ec667d068c916abf1",
    "slt": "7c173297916acf3cc7fcab2713be4c60b27312316765a90934651d367226b4ea",
}

# SHA-256 of the files on this mirror, as several independent projects publish it. (Copies that were
# compressed at another time have other checksums and the same contents.)
_MNIST = {
    "train-images-idx3-ubyte.gz": (
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        9_912_422,
    ),
    "train-labels-idx1-ubyte.gz": (
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        28_881,
    ),
    "t10k-images-idx3-ubyte.gz": (
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        1_648_877,
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        4_542,
    ),
}

_ASTERISK = "https://downloads.asterisk.org/pub/telephony/sounds/releases"

REGISTRY: dict[str, Corpus] = {
    "allison": Corpus(
        title="Asterisk core sounds 1.6.1",
        licence="CC BY-SA 3.0 (en, es, fr), CC BY 3.0 (it, ru)",
        credit="Allison Smith (en, es), June Wallack (fr), Carlo Flora (it), ivrvoice.ru (ru)",
        page="https://www.asterisksounds.org",
        marker={language: f"core-sounds-{language}.txt" for language in _ALLISON},
        parts={
            language: (
                Remote(f"{_ASTERISK}/asterisk-core-sounds-{language}-g722-1.6.1.tar.gz", *known),
            )
            for language, known in _ALLISON.items()
        },
        package={
            language: f"asterisk-core-sounds-{language} asterisk-core-sounds-{language}-g722"
            for language in _ALLISON
        },
    ),
    "fsdd": Corpus(
        title="Free Spoken Digit Dataset 1.0.10",
        licence="CC BY-SA 4.0",
        credit="Zohar Jackson and contributors",
        page="https://github.com/Jakobovski/free-spoken-digit-dataset",
        marker={"": "recordings"},
        # Computed: `git archive --prefix=free-spoken-digit-dataset-1.0.10/ v1.0.10 | gzip -cn`. The
        # same command gives, for v1.0.9, the SHA-256 that TensorFlow Datasets publishes, and as a
        # zip, for v1.0.10, one that is published too.
        parts={
            "": (
                Remote(
                    "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.tar.gz",
                    "feb479fad3a37883c3d21ed7f982281c2dd1c18d5aefd7e8a5d50f58023392aa",
                    15_602_882,
                ),
            )
        },
    ),
    "ljspeech": Corpus(
        title="LJ Speech 1.1",
        licence="public domain",
        credit="Keith Ito and Linda Johnson",
        page="https://keithito.com/LJ-Speech-Dataset/",
        marker={"": "metadata.csv"},
        # SHA-256 in torchaudio.datasets.LJSPEECH (_RELEASE_CONFIGS).
        parts={
            "": (
                Remote(
                    "https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2",
                    "be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5",
                    2_748_572_632,
                ),
            )
        },
    ),
    "vctk": Corpus(
        title="CSTR VCTK Corpus 0.92",
        licence="CC BY 4.0",
        credit="Junichi Yamagishi, Christophe Veaux and Kirsten MacDonald, University of Edinburgh",
        page="https://doi.org/10.7488/ds/2645",
        marker={"": "wav48_silence_trimmed"},
        # SHA-256 in torchaudio.datasets.VCTK_092 (_CHECKSUMS).
        parts={
            "": (
                Remote(
                    "https://datashare.ed.ac.uk/bitstream/handle/10283/3443/VCTK-Corpus-0.92.zip",
                    "f96258be9fdc2cbff6559541aae7ea4f59df3fcaf5cf963aae5ca647357e359c",
                    11_747_302_977,
                ),
            )
        },
    ),
    "cmu_arctic": Corpus(
        title="CMU ARCTIC",
        licence="free to use and redistribute, with its notice (BSD-like)",
        credit="John Kominek and Alan W Black, Carnegie Mellon University",
        page="http://www.festvox.org/cmu_arctic/",
        marker={speaker: f"cmu_us_{speaker}_arctic/etc/txt.done.data" for speaker in _ARCTIC},
        parts={
            speaker: (
                Remote(
                    f"https://www.festvox.org/cmu_arctic/packed/cmu_us_{speaker}_arctic.tar.bz2",
                    sha256,
                ),
            )
            for speaker, sha256 in _ARCTIC.items()
        },
    ),
    "festvox_ru": Corpus(
        title="festvox-ru (msu_ru_nsh)",
        licence="free to use and redistribute, with its notice (BSD-like)",
        credit="Nickolay V. Shmyrev",
        page="https://packages.debian.org/stable/festvox-ru",
        marker={"": "etc/txt.done.data"},
        package={"": "festvox-ru"},
    ),
    "mnist": Corpus(
        title="MNIST",
        licence="CC BY-SA 3.0",
        credit="Yann LeCun and Corinna Cortes",
        page="http://yann.lecun.com/exdb/mnist/",
        marker={"": "train-images-idx3-ubyte.gz"},
        parts={
            "": tuple(
                Remote(f"https://ossci-datasets.s3.amazonaws.com/mnist/{name}", *known)
                for name, known in _MNIST.items()
            )
        },
    ),
    "tinyshakespeare": Corpus(
        title="Tiny Shakespeare",
        licence="public domain",
        credit="William Shakespeare; excerpt by Andrej Karpathy",
        page="https://github.com/karpathy/char-rnn",
        marker={"": "input.txt"},
        # Computed from the file.
        parts={
            "": (
                Remote(
                    "https://raw.githubusercontent.com/karpathy/char-rnn/"
                    "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt",
                    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                    1_115_394,
                ),
            )
        },
    ),
}

_credited: set[str] = set()  # corpora whose licence this process has printed


def cache_folder() -> Path:
    """Where downloads are kept: the user's cache folder, as the operating system defines it."""
    import pooch

    return Path(pooch.os_cache("minigen"))


def locate(name: str, part: str = "", installed: Path | None = None) -> Path:
    """The folder that holds (a part of) a corpus; the first time, this may download it.

    Prints the licence and the credit of the corpus, once a process.

    Args:
        name: of the corpus, a key of `REGISTRY`.
        part: a language or a speaker, for a corpus that comes in several pieces.
        installed: where the operating system's package puts it, if that is there.

    Returns:
        A folder that contains the marker of the part.

    Raises:
        FileNotFoundError: `$MINIGEN_DATA/<name>` is there but holds something else; or the corpus
            is nowhere and cannot be downloaded.
        ConnectionError: the download failed; the next call resumes it.
        ValueError: a checksum does not match or an archive is damaged; or an unknown name or part.
    """
    corpus = _known(REGISTRY, name, "corpus")
    marker = _known(corpus.marker, part, f"part of {name}")
    placed = Path(os.environ["MINIGEN_DATA"], name) if os.environ.get("MINIGEN_DATA") else None
    if placed is not None and placed.exists():
        folder = _holding(placed, marker)
        if folder is None:
            raise FileNotFoundError(
                f"{placed} does not hold {marker}: unpack {corpus.title} there ({corpus.page}), "
                f"or rename the folder to have it fetched"
            )
    elif installed is not None:
        folder = installed
    else:
        target = cache_folder() / name / (part or "all")
        if not target.exists():
            if not corpus.parts:
                raise FileNotFoundError(
                    f"{corpus.title} is not here, and no checksum of it is known, so it is not "
                    f"downloaded: {_other_ways(name, part)}"
                )
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


def _known(table: dict, key: str, what: str):
    if key not in table:
        raise ValueError(f"no {what} {key!r}: choose one of {', '.join(table)}")
    return table[key]


def _holding(folder: Path, marker: str) -> Path | None:
    """`folder`, or the one folder below it, that contains `marker`: archives often add a level."""
    if (folder / marker).exists():
        return folder
    found = sorted(folder.glob(f"*/{marker}"))
    return found[0].parents[marker.count("/")] if found else None


def _other_ways(name: str, part: str) -> str:
    """What a person can do without a download."""
    corpus = REGISTRY[name]
    ways = [f"place its files in the folder $MINIGEN_DATA/{name} (see {corpus.page})"]
    if part in corpus.package:
        ways.append(f"on Debian or Ubuntu, `sudo apt-get install {corpus.package[part]}`")
    return "; or ".join(ways)


def _fill(target: Path, name: str, part: str) -> None:
    """Download and verify every file of a part, unpack what is an archive, then rename."""
    root = cache_folder()
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".filling-") as temporary:
        content = Path(temporary, "content")
        content.mkdir()
        for remote in REGISTRY[name].parts[part]:
            _fetch(remote, name, part, Path(temporary))
            archive = Path(temporary, remote.name)
            if archive.name.endswith((".zip", ".tar.gz", ".tar.bz2")):
                unpack(archive, content)
                archive.unlink()
            else:
                archive.rename(content / archive.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            content.rename(target)
        except OSError:
            if not target.exists():  # else another process was faster, and its copy is as good
                raise


def _fetch(remote: Remote, name: str, part: str, folder: Path) -> None:
    """Download `remote` into `folder` and verify it."""
    import pooch
    import requests

    ways = _other_ways(name, part)
    unfinished = cache_folder() / "unfinished" / f"{remote.sha256}.part"

    def download(url: str, output: str, _: object) -> None:
        _resume(url, unfinished)
        shutil.move(unfinished, output)

    try:
        pooch.retrieve(
            remote.url,
            known_hash=f"sha256:{remote.sha256}",
            fname=remote.name,
            path=folder,
            downloader=download,
        )
    except requests.RequestException as error:
        raise ConnectionError(
            f"{remote.url} could not be downloaded ({error}). Check the connection and call again: "
            f"the download goes on where it stopped. Without a network: {ways}"
        ) from error
    except ValueError as error:
        if "hash" not in str(error):
            raise
        raise ValueError(
            f"the checksum of {remote.url} is not the one on record, sha256 {remote.sha256}: the "
            f"file was damaged on the way, or replaced by another. It was removed; call again. If "
            f"it happens again: {ways}"
        ) from error


def _resume(url: str, path: Path) -> None:
    """Download `url` to `path`, keeping what an earlier attempt left there."""
    import requests
    from tqdm import tqdm

    path.parent.mkdir(parents=True, exist_ok=True)
    have = path.stat().st_size if path.exists() else 0
    asked = {"Range": f"bytes={have}-"} if have else {}
    with requests.get(url, headers=asked, stream=True, timeout=(10, 60)) as response:
        if response.history and not response.url.startswith("https://"):
            raise requests.RequestException(f"redirected to {response.url}, which is not https")
        if have and response.status_code == 416:  # nothing left to send: the checksum will tell
            return
        response.raise_for_status()
        if response.status_code != 206:  # the server sends the whole file again
            have = 0
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


def unpack(archive: Path, folder: Path) -> None:
    """Write the regular files of a zip, tar.gz or tar.bz2 below `folder`; links are left out.

    Raises:
        ValueError: the archive is damaged, or a name in it leads out of `folder`.
    """
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
