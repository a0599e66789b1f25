"""minigen.audio.files: what is read is whole, what is written is whole or not there."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from minigen import audio
from minigen.audio import files


def noise(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, length)


def tone(hz: float, rate: int, seconds: float = 1.0, amplitude: float = 0.5) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)


@pytest.mark.parametrize("ending", [".wav", ".flac", ".WAV"])
def test_save_and_load(tmp_path, ending):
    x = noise(1000)
    audio.save(tmp_path / f"a{ending}", x, 8000)
    y, rate = audio.load(tmp_path / f"a{ending}")
    assert rate == 8000 and y.dtype == np.float32 and y.shape == (1000,)
    assert np.abs(y - x).max() < 2 / 32768
    assert sf.info(tmp_path / f"a{ending}").subtype == "PCM_16"


def test_save_clips_and_does_not_wrap(tmp_path):
    audio.save(tmp_path / "a.wav", np.array([2.0, -2.0, 1.0, -1.0]), 8000)
    assert np.abs(audio.load(tmp_path / "a.wav")[0] - [1, -1, 1, -1]).max() < 1e-4


def test_load_averages_channels_and_resamples(tmp_path):
    left, right = tone(440, 16_000), tone(880, 16_000)
    sf.write(tmp_path / "a.wav", np.stack([left, right], 1), 16_000, subtype="FLOAT")
    x, rate = audio.load(tmp_path / "a.wav")
    assert rate == 16_000 and np.allclose(x, (left + right) / 2, atol=1e-6)
    y, rate = audio.load(tmp_path / "a.wav", rate=8000)
    assert rate == 8000 and len(y) == 8000
    assert np.allclose(y, audio.resample(x, 16_000, 8000))


def test_load_stays_in_range_when_the_filter_rings(tmp_path):
    square = np.sign(tone(500, 16_000)) + 0.0
    audio.save(tmp_path / "a.wav", square, 16_000)
    assert np.abs(audio.resample(square, 16_000, 8000)).max() > 1
    assert np.abs(audio.load(tmp_path / "a.wav", 8000)[0]).max() <= 1


def test_load_refuses_what_is_not_sound(tmp_path):
    path = tmp_path / "a.wav"
    with pytest.raises(FileNotFoundError, match="no file .*a.wav"):
        audio.load(path)
    path.write_text("words", encoding="utf-8")
    with pytest.raises(ValueError, match="cannot be read as sound.*convert it"):
        audio.load(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="cannot be read as sound"):
        audio.load(path)
    sf.write(path, np.zeros(0), 8000)
    with pytest.raises(ValueError, match="holds no samples"):
        audio.load(path)
    sf.write(path, np.array([0.1, np.nan]), 8000, subtype="FLOAT")
    with pytest.raises(ValueError, match="NaN.*16-bit"):
        audio.load(path)
    audio.save(path, noise(10), 8000)
    with pytest.raises(ValueError, match="rate must be positive, not -8000"):
        audio.load(path, rate=-8000)


@pytest.mark.parametrize("ending", [".ogg", ".mp3"])
def test_small_files_sound_alike(tmp_path, ending):
    x = np.sin(np.arange(200_000) / 9) * np.hanning(200_000)  # more than is handed on at once
    for rate in (8000, 16_000, 22_050):
        audio.save(tmp_path / f"a{ending}", x, rate)
        y, found = audio.load(tmp_path / f"a{ending}")
        assert found == rate and y.shape == x.shape
        assert np.sqrt(np.mean((y - x) ** 2)) < 0.05
        assert (tmp_path / f"a{ending}").stat().st_size < 200_000


def test_save_refuses_and_leaves_nothing(tmp_path):
    for name, x, rate, error, message in (
        ("a.m4a", noise(9), 8000, ValueError, "end in .wav, .flac, .ogg or .mp3"),
        ("no/a.wav", noise(9), 8000, FileNotFoundError, "no folder"),
        ("a.wav", noise(9), 0, ValueError, "rate must be positive, not 0"),
        ("a.wav", noise(9), 8000.5, TypeError, "rate must be a whole number, not 8000.5"),
        ("a.wav", np.array([np.nan]), 8000, ValueError, "NaN"),
        ("a.wav", np.zeros(9, dtype=np.int16), 8000, TypeError, "int16.*x / 32768"),
        ("a.wav", np.zeros((2, 9)), 8000, ValueError, r"\(T,\).*\(2, 9\)"),
    ):
        with pytest.raises(error, match=message):
            audio.save(tmp_path / name, x, rate)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------- cut off, or not

KINDS = [
    *(("wav", kind, sub) for kind in ("WAV", "WAVEX", "RF64") for sub in ("PCM_16", "FLOAT", "ULAW")),
    *((kind.lower(), kind, sub) for kind in ("AIFF", "AU", "W64", "CAF") for sub in ("PCM_16", "FLOAT")),
    ("flac", "FLAC", "PCM_16"),
    ("ogg", "OGG", "VORBIS"),
    ("mp3", "MP3", "MPEG_LAYER_III"),
    ("wav", "WAV", "MS_ADPCM"),
]  # fmt: skip


@pytest.mark.parametrize("ending, kind, subtype", KINDS)
def test_what_is_cut_off_is_refused_in_every_format(tmp_path, ending, kind, subtype):
    x = noise(24_000)
    path = tmp_path / f"a.{ending}"
    sf.write(path, x, 8000, format=kind, subtype=subtype)
    whole = path.read_bytes()
    assert abs(len(audio.load(path)[0]) - len(x)) < 1200  # a codec's frame
    for length in (
        0,
        1,
        30,
        len(whole) // 3,
        len(whole) // 2,
        len(whole) * 9 // 10,
        len(whole) - 3,
    ):
        path.write_bytes(whole[:length])
        for read in (audio.load, lambda path: list(audio.blocks(path, 8000, seconds=1))):
            with pytest.raises(
                ValueError, match=r"^\S+ (is cut off|cannot be read|is of a format)"
            ):
                read(path)


@pytest.mark.parametrize("rates", [(8000, 8000), (11_025, 8000), (8000, 16_000)])
def test_blocks_are_the_whole(tmp_path, rates):
    """Also where a file ends with a block, or a second after one, and in files that cannot be searched."""
    own, rate = rates
    for ending in (".wav", ".flac", ".mp3"):
        for length in (1, own // 2, 2 * own, 3 * own, 5 * own + 17):
            audio.save(tmp_path / f"a{ending}", 0.1 * noise(length), own)
            whole, _ = audio.load(tmp_path / f"a{ending}", rate)
            parts = list(audio.blocks(tmp_path / f"a{ending}", rate, seconds=2))
            assert all(len(part) == 2 * rate for part in parts[:-1])
            x = np.concatenate(parts)
            assert x.shape == whole.shape and np.abs(x - whole).max() < 1e-3
    sf.write(tmp_path / "b.wav", 0.1 * noise(6 * own).reshape(-1, 2), own)  # unlike channels
    whole, _ = audio.load(tmp_path / "b.wav", rate)
    assert np.allclose(
        np.concatenate(list(audio.blocks(tmp_path / "b.wav", rate))), whole, atol=1e-3
    )


def test_blocks_refuse_what_load_refuses(tmp_path):
    path = tmp_path / "a.wav"
    with pytest.raises(FileNotFoundError, match="there is no file"):
        next(audio.blocks(path, 8000))
    path.write_text("a text")
    with pytest.raises(ValueError, match="cannot be read as sound"):
        next(audio.blocks(path, 8000))
    sf.write(path, np.zeros(0), 8000)
    with pytest.raises(ValueError, match="holds no samples"):
        next(audio.blocks(path, 8000))
    sf.write(path, np.array([0.1, np.nan]), 8000, subtype="FLOAT")
    with pytest.raises(ValueError, match="NaN"):
        next(audio.blocks(path, 8000))


def test_an_mp3_without_a_header_of_its_length_is_walked(tmp_path):
    path = tmp_path / "a.mp3"
    sf.write(
        path, noise(24_000), 8000, format="MP3", bitrate_mode="CONSTANT", compression_level=0.5
    )
    whole = path.read_bytes()
    bare = whole[whole.index(whole[:2], 4) :]  # from the second frame on: no Xing, no Info
    assert b"Info" in whole and b"Info" not in bare and b"Xing" not in bare
    path.write_bytes(b"ID3\x04\0\0\0\0\2\x0a" + bytes(2 * 128 + 10) + bare)
    assert len(audio.load(path)[0]) > 20_000
    path.write_bytes(b"ID3\x04\0\0\0\0\2\x0a" + bytes(2 * 128 + 10) + bare[:-30])
    with pytest.raises(ValueError, match="cut off"):
        audio.load(path)
    for rate in (
        16_000,
        22_050,
        32_000,
        44_100,
        48_000,
    ):  # of MPEG 2 and 1, whose frames are longer
        sf.write(
            path, noise(rate), rate, format="MP3", bitrate_mode="CONSTANT", compression_level=0.5
        )
        whole = path.read_bytes()
        bare = whole[whole.index(whole[:2], 4) :]
        path.write_bytes(bare)
        assert abs(len(audio.load(path)[0]) - rate) < 3000
        path.write_bytes(bare[:-3])
        with pytest.raises(ValueError, match="cut off"):
            audio.load(path)
    for rate in (8000, 44_100):
        sf.write(path, noise(3 * rate), rate, format="MP3", bitrate_mode="VARIABLE")
        whole = path.read_bytes()
        # of which libsndfile would read a half
        path.write_bytes(whole[whole.index(whole[:2], 4) :])
        with pytest.raises(ValueError, match="convert it to WAV"):
            audio.load(path)


def test_a_stream_that_never_knew_its_length_is_read(tmp_path):
    """A WAV written to a pipe states the largest length."""
    path = tmp_path / "a.wav"
    audio.save(path, noise(100), 8000)
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff" * 4
    path.write_bytes(content)
    assert len(audio.load(path)[0]) == 100


def test_a_format_whose_end_cannot_be_told_is_refused(tmp_path):
    sf.write(tmp_path / "a.paf", noise(100), 8000, format="PAF", subtype="PCM_16")
    with pytest.raises(ValueError, match="format that minigen does not read: convert it to WAV"):
        audio.load(tmp_path / "a.paf")
    with pytest.raises(FileNotFoundError, match="no file"):
        audio.load(tmp_path)  # a folder


# ---------------------------------------------------------------- whole or not at all


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path, name):
    audio.save(tmp_path / name, noise(100), 8000)
    old = (tmp_path / name).read_bytes()
    with pytest.raises(KeyboardInterrupt), audio.open_to_write(tmp_path / name, 8000) as write:
        write(noise(5000))
        raise KeyboardInterrupt
    with (
        pytest.raises(ValueError, match="infinite"),
        audio.open_to_write(tmp_path / name, 8000) as write,
    ):
        write(noise(5000))
        write(np.array([np.inf]))
    assert (tmp_path / name).read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_a_full_disk_leaves_the_old_file(tmp_path, name):
    """A limit on the size of files stands for the disk."""
    audio.save(tmp_path / name, noise(100), 8000)
    old = (tmp_path / name).read_bytes()
    resource = pytest.importorskip("resource", reason="no limits on this system")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(OSError, match="cannot write .*disk"):
            audio.save(tmp_path / name, noise(200_000), 8000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / name).read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_output_is_judged_before_the_work(tmp_path):
    assert audio.check_output(str(tmp_path / "a.WAV")) == tmp_path / "a.WAV"
    (tmp_path / "b.wav").mkdir()
    for name, error, message in (
        ("a.m4a", ValueError, "end in .wav, .flac, .ogg or .mp3"),
        ("a", ValueError, "end in .wav, .flac, .ogg or .mp3"),
        ("no/a.wav", FileNotFoundError, "no folder"),
        ("b.wav", IsADirectoryError, "is a folder"),
    ):
        with pytest.raises(error, match=message):
            audio.check_output(tmp_path / name)
    assert audio.check_writable(tmp_path / "a.tsv") == tmp_path / "a.tsv"
    for name, error in (("no/a.tsv", FileNotFoundError), ("b.wav", IsADirectoryError)):
        with pytest.raises(error):
            audio.check_writable(tmp_path / name)


def test_a_link_stays_one_and_what_it_leads_to_is_written(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "a.wav").symlink_to(tmp_path / "far" / "b.wav")
    for length in (10, 20):
        audio.save(tmp_path / "a.wav", noise(length), 8000)
        assert (tmp_path / "a.wav").is_symlink()
        assert len(audio.load(tmp_path / "far" / "b.wav")[0]) == length
    (tmp_path / "c.wav").symlink_to(tmp_path / "nowhere" / "c.wav")
    with pytest.raises(FileNotFoundError, match="no folder .*nowhere"):
        audio.check_output(tmp_path / "c.wav")


def test_a_file_that_is_write_protected_is_not_replaced(tmp_path, monkeypatch):
    """Its folder would allow it. (Who runs this may be root, who may write everywhere.)"""
    path, before = tmp_path / "a.wav", files.os.access
    audio.save(path, noise(10), 8000)
    monkeypatch.setattr(files.os, "access", lambda p, how: Path(p) != path and before(p, how))
    for write in (
        lambda: audio.check_output(path),
        lambda: audio.save(path, noise(20), 8000),
        lambda: files.write_whole(path).__enter__(),
    ):
        with pytest.raises(PermissionError, match="a.wav is write-protected"):
            write()
    assert len(audio.load(path)[0]) == 10 and list(tmp_path.iterdir()) == [path]
    monkeypatch.setattr(
        files.os, "access", lambda p, how: (Path(p), how) != (tmp_path, files.os.W_OK)
    )
    with pytest.raises(PermissionError, match="the folder .* cannot be written"):
        audio.check_output(tmp_path / "b.wav")


@pytest.mark.parametrize("rate", [1, 99, 2**31 - 1])
def test_a_rate_that_no_sound_has_is_refused(tmp_path, rate):
    """A header's number: at 1 Hz a clip would be resampled to hours, beyond all memory."""
    path = tmp_path / "a.wav"
    audio.save(path, noise(800), 8000)
    content = bytearray(path.read_bytes())
    content[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(content)
    for read in (lambda: audio.load(path, 8000), lambda: next(audio.blocks(path, 8000))):
        with pytest.raises(
            ValueError, match=f"a.wav is damaged: it states {rate} samples a second"
        ):
            read()


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_two_streams_in_a_row_are_not_taken_for_the_first(tmp_path, subtype):
    path = tmp_path / "a.ogg"
    sf.write(path, noise(16_000), 16_000, format="OGG", subtype=subtype)
    assert len(audio.load(path)[0]) == 16_000
    path.write_bytes(2 * path.read_bytes())
    for read in (audio.load, lambda path: list(audio.blocks(path, 8000, seconds=1))):
        with pytest.raises(ValueError, match="a.ogg holds more than one stream"):
            read(path)


def test_a_rate_that_a_format_has_not_is_said(tmp_path):
    for name, rate in (("a.mp3", 12_345), ("a.flac", 1_000_000)):
        with pytest.raises(ValueError, match=rf"{name}: .*sample rate"):
            audio.save(tmp_path / name, noise(100), rate)
    assert not list(tmp_path.iterdir())


def test_a_name_may_have_any_bytes(tmp_path):
    path = tmp_path / "na\udce9me.wav"
    try:
        path.touch()
    except (OSError, UnicodeError):
        pytest.skip("names have to be Unicode here")
    audio.save(path, noise(100), 8000)
    assert len(audio.load(path)[0]) == 100
