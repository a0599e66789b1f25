"""Recorded speech: one loader a corpus, each returns a list of `Utterance`.

Where the files come from is `minigen.data.fetch`'s business; here they are read and checked. A
recording without a transcript is left out, and a warning says how many were, but of `allison`. A loader
raises what `minigen.data.fetch.locate` does, FileNotFoundError where a recording is missing, and ValueError
where one is damaged or has another rate than its corpus.
"""

import gzip
import re
import warnings
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path

import soundfile as sf

from . import g722
from .fetch import REGISTRY, choose, locate
from .labels import with_phones
from .spoken_digits import DIGIT_WORDS
from .utterance import Utterance

_AFRESH = "remove its folder and call again, so that it is unpacked afresh"

# Where Debian's packages put the Asterisk recordings, their transcripts, and the Russian voice.
_ASTERISK_SOUNDS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
_ASTERISK_TEXTS = Path("/usr/share/doc/asterisk-core-sounds-en")
_FESTVOX_RU = Path("/usr/share/festival/voices/russian/msu_ru_nsh_clunits")

_NOT_SPEECH = re.compile(r"\[[^]]*\]|\([^)]*\)|<[^>]*>")
_TONES = {"beep", "beeperr", "tt-monkeys"}  # sounds that are described without brackets
_FSDD_SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")


def allison(limit: int | None = None, phones: Path | str | None = None) -> list[Utterance]:
    """Telephone prompts read by Allison Smith, 24 minutes at 16,000 Hz: the Asterisk core sounds.

    The recordings are G.722, which the package `av` decodes. Tones, silence and notes in brackets are
    not speech; what holds nothing else is left out.

    Args:
        limit: read only this many clips, the first by name.
        phones: a table of phone times, as `minigen align allison` makes; clips that it does not name
            are left out.

    Raises ImportError: `av` is not installed. FileNotFoundError, ConnectionError, ValueError: see
    `minigen.data.fetch.locate`; and where transcripts are missing or a file is damaged.
    """
    _check_limit(limit)
    installed = _ASTERISK_SOUNDS if any(_ASTERISK_SOUNDS.glob("*.g722")) else None
    root = locate("allison", installed=installed)
    transcripts = root / "core-sounds-en.txt"
    if root == installed and not transcripts.is_file():  # the Debian package keeps them elsewhere
        transcripts = _ASTERISK_TEXTS / f"{transcripts.name}.gz"
        if not transcripts.is_file():
            raise FileNotFoundError(
                f"the transcripts {transcripts} are missing: some systems drop documentation. "
                f"`sudo apt-get install --reinstall {_ASTERISK_TEXTS.name}` with documentation "
                "allowed, or place the upstream archive, unpacked, in $MINIGEN_DATA/allison"
            )
    read = _read_prompts(transcripts).items()
    texts = {name: text for name, text in read if name not in _TONES and text}
    named = lambda path: path.relative_to(root).with_suffix("").as_posix()
    paths = {named(path): path for path in _files(root, "**/*.g722")}
    # No warning here: which prompts hold no speech is known, and every release has a few strays.
    names = sorted(texts.keys() & paths.keys())[:limit]
    if not names:
        raise FileNotFoundError(f"no recording in {root} has a transcript: {_AFRESH}")
    waves = g722.decode([paths[name] for name in names])
    clips = [
        Utterance(wave, g722.RATE, texts[name], "allison", name=name)
        for name, wave in zip(names, waves, strict=True)
    ]
    return clips if phones is None else with_phones(clips, phones)


def _read_prompts(path: Path) -> dict[str, str]:
    """`name: text` a line, `;` before a remark."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    texts = {}
    for line in content.decode("utf-8-sig").splitlines():
        if line.strip() and not line.startswith(";"):
            name, _, text = line.partition(":")
            texts[name.strip()] = " ".join(_NOT_SPEECH.sub(" ", text).split())
    return texts


def fsdd(
    speaker: str | None = None, word: str | None = None, limit: int | None = None
) -> list[Utterance]:
    """The Free Spoken Digit Dataset: ten digits by six speakers, 50 times each, at 8,000 Hz.

    Args:
        speaker: "george", "jackson", "lucas", "nicolas", "theo" or "yweweler"; by default all.
        word: "zero" to "nine", as in `spoken_digits`; by default all. limit: read only this many clips.
    """
    _check_limit(limit)
    if speaker is not None:
        choose(dict.fromkeys(_FSDD_SPEAKERS), speaker, "speaker in fsdd")
    if word is not None:
        choose(dict.fromkeys(DIGIT_WORDS), word, "word in fsdd")
    root = locate("fsdd") / "recordings"
    clips = []
    for path in _files(root, "*.wav"):
        match = re.fullmatch(r"(\d)_([a-z]+)_(\d+)", path.stem)
        if not match:
            raise ValueError(f"{path} is not called <digit>_<speaker>_<number>.wav: {_AFRESH}")
        digit, name, number = match.groups()
        if speaker in (None, name) and word in (None, DIGIT_WORDS[int(digit)]):
            clips.append((DIGIT_WORDS[int(digit)], name, int(number), path))
    if not clips:
        raise FileNotFoundError(f"{root} holds no such recordings: {_AFRESH}")
    return [_read(path, 8_000, text, name) for text, name, _, path in sorted(clips)[:limit]]


def ljspeech(limit: int | None = None) -> list[Utterance]:
    """LJ Speech: one woman reads 13,100 passages of non-fiction, 24 hours, at 22,050 Hz.

    All of it takes 7.6 GB of memory: give a `limit`. The text is the normalised one: numbers and
    abbreviations are spelled out.

    Args: limit: read only this many clips, the first by name.

    References: K. Ito and L. Johnson, The LJ Speech Dataset, 2017.
    """
    _check_limit(limit)
    root = locate("ljspeech")
    texts = {}
    for line in _text(root / "metadata.csv").splitlines():
        fields = line.split("|")
        if len(fields) != 3:
            raise ValueError(f"metadata.csv has the line {line!r}, not name|text|text: {_AFRESH}")
        texts[fields[0]] = fields[2]
    names = _paired(texts, root / "wavs", ".wav", limit)
    return [_read(root / "wavs" / f"{n}.wav", 22_050, texts[n], "lj") for n in names]


def vctk(speaker: str = "p225", microphone: int = 1, limit: int | None = None) -> list[Utterance]:
    """VCTK 0.92: 110 speakers of English in many accents, about 400 sentences each, at 48,000 Hz.

    One speaker at a time; all of them are 11.7 GB to download.

    Args:
        speaker: "p225" and so on; an unknown one makes an error that lists them all.
        microphone: 1 or 2. limit: read only this many clips, the first by name.

    References: J. Yamagishi, C. Veaux and K. MacDonald, CSTR VCTK Corpus (version 0.92), 2019.
    """
    _check_limit(limit)
    if microphone not in (1, 2):
        raise ValueError(f"microphone is {microphone!r}; it must be 1 or 2")
    root = locate("vctk")
    audio = root / "wav48_silence_trimmed"
    speakers = [path.name for path in _files(audio, "*") if path.is_dir()]
    choose(dict.fromkeys(speakers), speaker, "speaker in vctk")
    folder, ending = audio / speaker, f"_mic{microphone}.flac"
    texts = {path.stem: _text(path).strip() for path in _files(root / "txt" / speaker, "*.txt")}
    recorded = {name for name in texts if (folder / (name + ending)).is_file()}
    if not recorded:
        raise FileNotFoundError(
            f"{root} holds no transcribed recordings of {speaker} by microphone {microphone}. The "
            "corpus has no transcripts of p315 and no recordings of p280 by microphone 2: choose "
            f"another. For any other, {_AFRESH}"
        )
    if len(recorded) < len(texts):  # as the corpus comes, for p362
        count = len(texts) - len(recorded)
        warnings.warn(f"{count} transcripts of {speaker} have no recording: left out", stacklevel=2)
    names = _paired({name: texts[name] for name in recorded}, folder, ending, limit)
    return [_read(folder / (name + ending), 48_000, texts[name], speaker) for name in names]


def cmu_arctic(speaker: str = "slt", limit: int | None = None) -> list[Utterance]:
    """CMU ARCTIC: about 1,130 sentences, balanced for phones, by each of 18 speakers, at 16,000 Hz.

    `phones` are filled in where the archive of the speaker holds label files.

    Args:
        speaker: "slt", "bdl", "clb", "rms", "awb", "jmk", "ksp" and eleven more.
        limit: read only this many clips, the first by name.

    References: J. Kominek and A. W. Black, The CMU Arctic speech databases, 2004.
    """
    _check_limit(limit)
    choose(REGISTRY["cmu_arctic"].parts, speaker, "speaker in cmu_arctic")
    root = locate("cmu_arctic", speaker) / f"cmu_us_{speaker}_arctic"
    return _festvox(root, speaker, limit)


def festvox_ru(limit: int | None = None) -> list[Utterance]:
    """One man reads 620 Russian sentences, 99.5 minutes, at 16,000 Hz, with the times of phones.

    Read in place from the Debian package `festvox-ru`; never downloaded. In the texts, "+" stands
    before a vowel whose stress is marked.

    Args: limit: read only this many clips, the first by name.

    Raises FileNotFoundError: the package is not installed. ValueError: a recording is damaged or has another
    rate, or a label file is damaged.
    """
    _check_limit(limit)
    installed = _FESTVOX_RU if (_FESTVOX_RU / "etc/txt.done.data").is_file() else None
    return _festvox(locate("festvox_ru", installed=installed), "nsh", limit)


# -- what the loaders share ----------------------------------------------------------------------


def _check_limit(limit: int | None) -> None:
    """Refuse what cannot be a number of clips, before anything is fetched."""
    wrong = isinstance(limit, bool) or not isinstance(limit, Integral) or limit < 1
    if limit is not None and wrong:
        raise ValueError(f"limit is {limit!r}; it must be an int >= 1, or None for every clip")


def _files(folder: Path, pattern: str) -> list[Path]:
    """What matches, in order, without the hidden companions that macOS writes ("._name")."""
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8 ({error}): {_AFRESH}") from error


def _festvox(root: Path, speaker: str, limit: int | None) -> list[Utterance]:
    """The layout of festvox: etc/txt.done.data, wav/<name>.wav, lab/<name>.lab."""
    transcripts = root / "etc" / "txt.done.data"
    texts = {}
    for line in _text(transcripts).splitlines():
        match = re.fullmatch(r'\s*\(\s*(\S+)\s+"(.*)"\s*\)\s*', line)
        if match:
            texts[match[1]] = match[2].replace('\\"', '"')
        elif line.strip():
            raise ValueError(f'{transcripts} has the line {line!r}, not ( name "text" ): {_AFRESH}')
    clips = []
    for name in _paired(texts, root / "wav", ".wav", limit):
        label = root / "lab" / f"{name}.lab"
        phones = _read_labels(label) if label.is_file() else None
        clips.append(_read(root / "wav" / f"{name}.wav", 16_000, texts[name], speaker, phones))
    return clips


def _read_labels(path: Path) -> list[tuple[str, float, float]]:
    """Lines `end something phone` after a line `#`; a phone starts where the last one ended."""
    lines = _text(path).splitlines()
    phones, start = [], 0.0
    try:
        for line in lines[lines.index("#") + 1 :]:
            end, _, phone = line.split()
            phones.append((phone, start, float(end)))
            start = float(end)
    except ValueError as error:
        raise ValueError(f"{path} is not a label file ({error}): {_AFRESH}") from error
    return phones


def _paired(texts: dict[str, str], folder: Path, ending: str, limit: int | None) -> list[str]:
    """The names, in order, that have a transcript; each of them must have its recording."""
    recorded = {path.name.removesuffix(ending) for path in _files(folder, f"*{ending}")}
    missing = sorted(texts.keys() - recorded)
    if missing:
        raise FileNotFoundError(
            f"{folder} lacks {len(missing)} of {len(texts)} recordings, {missing[0]}{ending} for "
            f"one: {_AFRESH}"
        )
    if not texts:
        raise FileNotFoundError(f"no recording in {folder} has a transcript: {_AFRESH}")
    silent = len(recorded) - len(texts)
    if silent:
        which = f"{silent} of {len(recorded)} recordings in {folder}"
        warnings.warn(f"{which} have no transcript: left out", stacklevel=3)
    return sorted(texts)[:limit]


def _read(
    path: Path,
    rate: int,
    text: str,
    speaker: str,
    phones: Sequence[tuple[str, float, float]] | None = None,
) -> Utterance:
    try:
        with path.open("rb") as stream:
            audio, found = sf.read(stream, dtype="float32")
    except sf.LibsndfileError as error:
        raise ValueError(f"{path} is damaged ({error}): {_AFRESH}") from error
    if found != rate:
        raise ValueError(
            f"{path} is at {found} Hz; this corpus is at {rate} Hz: {_AFRESH}, and resample in memory"
        )
    audio.setflags(write=False)
    try:
        return Utterance(audio, rate, text, speaker, phones, name=path.stem)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
