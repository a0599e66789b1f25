"""The loaders of recorded speech, each on real files and on damaged ones."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from minigen import data
from minigen.data import fetch, speech
from minigen.data.fetch import REGISTRY

FAKE_HOST = "https://corpus.example"


@pytest.fixture(scope="session")
def fsdd_files(tmp_path_factory, shared):
    """The real recordings, unpacked once."""
    folder = tmp_path_factory.mktemp("fsdd")
    fetch.unpack(shared("fsdd.tar.gz"), folder)
    return folder / "fsdd"


@pytest.fixture(scope="session")
def ljspeech_files(tmp_path_factory, shared):
    folder = tmp_path_factory.mktemp("ljspeech")
    fetch.unpack(shared("ljspeech-sample.tar.gz"), folder)
    return folder / "LJSpeech-1.1"


@pytest.mark.parametrize("ending", ["txt", "txt.gz"])
def test_of_a_table_of_prompts_what_is_spoken_is_read(tmp_path, ending):
    """Not remarks, nor what stands in brackets of any kind; white space is one blank."""
    text = "\ufeff; a remark\n\n a/b : One  (two) [three]\t<four> five: six\nbeep: [a beep]\n"
    content, file = text.encode(), tmp_path / f"prompts.{ending}"
    file.write_bytes(gzip.compress(content) if ending == "txt.gz" else content)
    assert speech._read_prompts(file) == {"a/b": "One five: six", "beep": ""}


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


def test_fsdd_real_archive_through_the_registry(server, shared, cache, monkeypatch):
    content = shared("fsdd.tar.gz").read_bytes()
    server.files["/fsdd.tar.gz"] = content
    files = {f"{FAKE_HOST}/fsdd.tar.gz": hashlib.sha256(content).hexdigest()}
    monkeypatch.setitem(REGISTRY, "fsdd", replace(REGISTRY["fsdd"], files=files))
    server.cut_at = 5_000_000
    with pytest.raises(ConnectionError):
        data.fsdd(limit=1)
    assert not (cache / "fsdd" / "all").exists()
    server.cut_at = None
    assert len(data.fsdd(limit=7)) == 7
    assert len(list((cache / "fsdd/all/fsdd/recordings").iterdir())) == 3000


def test_fsdd_damaged(place, write_wav):
    recordings = place("fsdd") / "recordings"
    write_wav(recordings / "7_theo_0.wav", 8000)
    assert data.fsdd()[0].text == "seven"
    write_wav(recordings / "8_theo_0.wav", 16000)
    with pytest.raises(ValueError, match="8_theo_0.wav is at 16000 Hz.*8000 Hz.*resample"):
        data.fsdd()
    (recordings / "8_theo_0.wav").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match="8_theo_0.wav is damaged.*remove its folder"):
        data.fsdd()
    (recordings / "8_theo_0.wav").rename(recordings / "eight.wav")
    with pytest.raises(ValueError, match="eight.wav is not called <digit>"):
        data.fsdd()


def test_of_two_texts_of_ljspeech_the_one_that_is_spoken_is_taken(place, write_wav):
    root = place("ljspeech")
    write_wav(root / "wavs" / "LJ1.wav", 22_050)
    (root / "metadata.csv").write_text("LJ1|In 1476.|In fourteen seventy-six.\n")
    assert [clip.text for clip in data.ljspeech()] == ["In fourteen seventy-six."]


def test_ljspeech_real(ljspeech_files, place):
    shutil.copytree(ljspeech_files, place("ljspeech") / "LJSpeech-1.1")
    with pytest.warns(UserWarning, match="24 of 32 recordings .* have no transcript"):
        clips = data.ljspeech()
    assert len(clips) == 8 and {clip.rate for clip in clips} == {22050}
    assert clips[0].name == "LJ001-0001" and clips[0].text.startswith("Printing, in the only sense")
    assert all(clip.text and 0.1 < np.abs(clip.audio).max() <= 1 for clip in clips)


@pytest.mark.filterwarnings("ignore:.*have no transcript")
def test_ljspeech_real_damaged(ljspeech_files, place, write_wav):
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


def vctk_folder(root: Path, write_wav, spoken: int = 3) -> Path:
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


def test_vctk(place, write_wav):
    root = vctk_folder(place("vctk"), write_wav)
    clips = data.vctk("p225", limit=2)
    assert [clip.name for clip in clips] == ["p225_001_mic1", "p225_002_mic1"]
    assert clips[1].text == "Please call Stella 2." and clips[0].rate == 48000
    assert data.vctk("p225", microphone=2)[2].name == "p225_003_mic2"
    with pytest.raises(ValueError, match="no speaker in vctk 'p999': choose one of p225, p315"):
        data.vctk("p999")
    with pytest.raises(ValueError, match="microphone is 3"):
        data.vctk(microphone=3)
    with pytest.raises(FileNotFoundError, match="no transcribed recordings of p315"):
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


def arctic_folder(root: Path, write_wav) -> Path:
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


def test_cmu_arctic(place, write_wav):
    root = arctic_folder(place("cmu_arctic"), write_wav)
    clips = data.cmu_arctic("slt")
    assert [clip.text for clip in clips] == [
        "Author of the danger trail, Philip Steels, etc.",
        'Not at this particular case, "Tom".',
    ]
    assert clips[0].phones is None and clips[0].speaker == "slt"
    (root / "lab").mkdir()
    label = root / "lab/arctic_a0001.lab"
    label.write_text("#\n0.02 125 pau\n0.1 125 ao\n")
    phones = (("pau", 0.0, 0.02), ("ao", 0.02, 0.1))
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


def test_festvox_ru_real(debian):
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


def test_festvox_ru_real_copy_damaged(place, debian):
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


SOUNDS, PACKAGE = speech._ASTERISK_SOUNDS, "asterisk-core-sounds-en-g722"


def test_allison_real(debian):
    pytest.importorskip("av", reason="PyAV is not installed: G.722 cannot be decoded")
    debian(SOUNDS, PACKAGE)
    clips = data.allison()
    assert len(clips) == 551  # with a transcript, speech only
    assert sum(clip.duration for clip in clips) / 60 == pytest.approx(24.26, abs=0.01)
    assert {(clip.rate, clip.speaker) for clip in clips} == {(16000, "allison")}
    for clip in clips:
        assert clip.text and not set("[]<>") & set(clip.text), clip
        assert not clip.name.startswith("silence/") and clip.name not in speech._TONES
        assert np.abs(clip.audio).max() > 0.02, clip
    assert {c.name: c.text for c in clips}["digits/7"] == "seven"
    first = [clip.name for clip in data.allison(limit=3)]
    assert first == ["activated", "added", "agent-alreadyon"]


def asterisk_copy(source: Path, folder: Path) -> Path:
    """A few real prompts in the upstream archive's layout."""
    texts = speech._ASTERISK_TEXTS / "core-sounds-en.txt.gz"
    for name in ("activated", "beep", "digits/7", "silence/1", "spy-iax2"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / f"{name}.g722", folder / f"{name}.g722")
    (folder / "core-sounds-en.txt").write_bytes(gzip.decompress(texts.read_bytes()))
    return folder


def test_allison_real_upstream_layout_and_damage(place, debian):
    pytest.importorskip("av", reason="PyAV is not installed: G.722 cannot be decoded")
    root = asterisk_copy(debian(SOUNDS, PACKAGE), place("allison") / "en")
    (root / "._activated.g722").write_bytes(b"Mac OS X")
    clips = data.allison()
    assert {clip.name: clip.text for clip in clips} == {
        "activated": "Activated.",
        "digits/7": "seven",
        "spy-iax2": "IAX",  # the remark in brackets is not spoken
    }
    (root / "activated.g722").write_bytes(b"")
    with pytest.raises(ValueError, match="activated.g722 is empty or damaged.*remove its folder"):
        data.allison()
    transcripts = root / "core-sounds-en.txt"
    transcripts.write_text("; nothing here\n")
    with pytest.raises(FileNotFoundError, match="no recording in .* has a transcript"):
        data.allison()
    transcripts.unlink()
    with pytest.raises(FileNotFoundError, match="does not hold core-sounds-en.txt"):
        data.allison()


def test_allison_without_documentation_names_the_fix(monkeypatch, tmp_path, debian):
    debian(SOUNDS, PACKAGE)
    monkeypatch.setattr(speech, "_ASTERISK_TEXTS", tmp_path / "asterisk-core-sounds-en")
    with pytest.raises(FileNotFoundError, match="--reinstall asterisk-core-sounds-en"):
        data.allison()


# -- every loader --------------------------------------------------------------------------------

LOADERS = {
    "allison": data.allison,
    "fsdd": data.fsdd,
    "ljspeech": data.ljspeech,
    "vctk": data.vctk,
    "cmu_arctic": data.cmu_arctic,
    "festvox_ru": data.festvox_ru,
}


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("limit", [0, -3, 2.5, True])
def test_an_impossible_limit_is_refused_before_anything_is_fetched(name, limit, server):
    with pytest.raises(ValueError, match=f"limit is {limit}; it must be an int >= 1"):
        LOADERS[name](limit=limit)
    assert server.asked == []


def test_an_unknown_speaker_or_word_is_refused_before_anything_is_fetched(server):
    for ask in (
        lambda: data.fsdd(speaker="slt"),
        lambda: data.fsdd(word="ten"),
        lambda: data.cmu_arctic("alan"),
    ):
        with pytest.raises(ValueError, match="choose one of"):
            ask()
    assert server.asked == []


@pytest.mark.parametrize("name", LOADERS)
def test_empty_folders_are_an_error_that_says_what_to_do(name, place):
    """The marker is there, and nothing else: no loader returns an empty list."""
    root = place(name)
    marker = root / REGISTRY[name].marker.format(part="slt")
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch() if marker.suffix else marker.mkdir()
    with pytest.raises((FileNotFoundError, ValueError)) as caught:
        LOADERS[name]()
    said = str(caught.value)
    assert "\n" not in said and ("call again" in said or "choose one of" in said)


def test_companions_that_macos_makes_are_not_read(place, write_wav):
    """`._name` beside each file, binary, with the same ending."""
    vctk_folder(place("vctk"), write_wav)
    arctic_folder(place("cmu_arctic"), write_wav)
    write_wav(place("fsdd") / "recordings/7_theo_0.wav", 8000)
    root = place("ljspeech")
    write_wav(root / "wavs/a.wav", 22050)
    (root / "metadata.csv").write_text("a|One.|One.\n", encoding="utf-8")
    before = [LOADERS[name]() for name in ("vctk", "cmu_arctic", "fsdd", "ljspeech")]
    for path in [p for p in root.parent.rglob("*") if p.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\x05\x16\x07\xff\xfe")
    after = [LOADERS[name]() for name in ("vctk", "cmu_arctic", "fsdd", "ljspeech")]
    assert [[c.name for c in clips] for clips in after] == [
        [c.name for c in clips] for clips in before
    ]
    (root / "metadata.csv").write_bytes(b"a|\xff\xfe|One.\n")
    with pytest.raises(ValueError, match="metadata.csv is not text in UTF-8"):
        data.ljspeech()
