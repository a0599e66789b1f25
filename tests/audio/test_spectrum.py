"""minigen.audio: µ-law, spectra and back, rates, files, and the player on the page."""

from __future__ import annotations

import base64
import io
import itertools
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile as sf
from scipy import signal

from minigen import audio, data


def noise(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, length)


def tone(hz: float, rate: int, seconds: float = 1.0, amplitude: float = 0.5) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)


# ---------------------------------------------------------------- autocorrelation


def test_autocorrelation_equals_numpy():
    x = noise(500) + 0.3
    centred = x - x.mean()
    full = np.correlate(centred, centred, "full")[499:]
    assert np.allclose(audio.autocorrelation(x, 499), full / full[0], atol=1e-12)


def test_autocorrelation_of_a_process_whose_own_is_known():
    """x_t = a x_{t-1} + noise has r_k = a^k."""
    x = signal.lfilter([1], [1, -0.8], np.random.default_rng(0).normal(size=200_000))
    assert np.allclose(audio.autocorrelation(x, 6), 0.8 ** np.arange(7), atol=0.02)


@pytest.mark.parametrize("scale", [1e-200, 1e-9, 1.0, 1e6])
def test_autocorrelation_does_not_depend_on_units(scale):
    x = noise(60)
    assert np.allclose(audio.autocorrelation(scale * x, 9), audio.autocorrelation(x, 9), rtol=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1, -1 / 3, 1e-9, 12345.6789])
@pytest.mark.parametrize("n", [5, 10, 100, 12_345])
def test_a_constant_has_no_autocorrelation_whatever_rounding_makes_of_its_mean(value, n):
    with pytest.raises(ValueError, match="constant"):
        audio.autocorrelation(np.full(n, value), 3)


def test_autocorrelation_finds_the_period():
    r = audio.autocorrelation(tone(100, 8000), 200)
    assert 40 + np.argmax(r[40:120]) == 80


# ---------------------------------------------------------------- µ-law


@pytest.mark.parametrize("levels", [2, 3, 4, 5, 16, 100, 255, 256, 257, 1024, 65_536, 2**20])
def test_every_code_survives_the_round_trip(levels):
    codes = np.arange(levels)
    x = audio.mu_law_decode(codes, levels)
    assert np.array_equal(audio.mu_law_encode(x, levels), codes)
    assert np.allclose([x[0], x[-1]], [-1, 1], rtol=1e-12) and (np.diff(x) > 0).all()
    assert np.abs(x).max() <= 1  # not even by rounding: `listen` would refuse it


@pytest.mark.parametrize("levels", [2, 16, 255, 256, 65_536])
def test_mu_law_is_the_formula_and_takes_the_nearest_code(levels):
    x = np.concatenate([noise(500), noise(500, 1) / 100, [-1.0, 1.0]])
    mu = levels - 1
    y = np.sign(x) * np.log(1 + mu * np.abs(x)) / np.log(1 + mu)  # (T,), the definition
    codes = audio.mu_law_encode(x, levels)
    assert np.abs(codes - (y + 1) * mu / 2).max() <= 0.5 + 1e-9
    assert codes.dtype == np.int64 and codes.min() == 0 and codes.max() == mu


def test_mu_law_known_values():
    """By hand for µ = 255: y(1/255) = log 2 / log 256 = 1/8, so code 127.5 + 127.5 / 8 = 143.4."""
    assert audio.mu_law_encode([1 / 255, -1 / 255, 0.0]).tolist() == [143, 112, 128]
    assert np.isclose(audio.mu_law_decode([255 // 2 + 1])[0], np.expm1(np.log(256) / 255) / 255)


def test_mu_law_silence_of_an_odd_number_of_levels_is_exact():
    assert audio.mu_law_decode(audio.mu_law_encode([0.0], 255), 255)[0] == 0


def test_mu_law_clips_and_keeps_shape():
    assert audio.mu_law_encode([-7.0, 7.0]).tolist() == [0, 255]
    assert audio.mu_law_encode(noise(12).reshape(2, 1, 6)).shape == (2, 1, 6)
    assert audio.mu_law_encode(np.zeros(3, dtype=np.float32)).tolist() == [128] * 3


# ---------------------------------------------------------------- STFT and back

FRAMES = [(512, 128), (256, 64), (256, 128), (64, 17), (16, 1), (2, 1)]


@pytest.mark.parametrize("n_fft, hop", FRAMES)
@pytest.mark.parametrize("length", [1, 2, 63, 1000, 1024])
def test_stft_and_back_is_exact(n_fft, hop, length):
    x = noise(length)
    spectrum = audio.stft(x, n_fft, hop)
    assert spectrum.shape == (n_fft // 2 + 1, 1 + -(-length // hop))
    assert np.abs(audio.istft(spectrum, hop, length) - x).max() < 1e-12


def test_stft_equals_its_sum():
    n_fft, hop = 16, 5
    x = noise(60)
    spectrum = audio.stft(x, n_fft, hop)
    window = np.sin(np.pi * np.arange(n_fft) / n_fft) ** 2  # Hann
    for n in range(spectrum.shape[1]):
        for f in range(spectrum.shape[0]):
            total = 0
            for k in range(n_fft):
                t = n * hop + k - n_fft // 2
                if 0 <= t < len(x):
                    total += window[k] * x[t] * np.exp(-2j * np.pi * f * k / n_fft)
            assert abs(total - spectrum[f, n]) < 1e-12


def test_stft_equals_scipy():
    x = noise(1000)
    _, _, want = signal.stft(x, window="hann", nperseg=256, noverlap=192, boundary="zeros")
    want = want * signal.get_window("hann", 256).sum()  # scipy divides by it
    assert np.allclose(audio.stft(x, 256, 64), want, atol=1e-12)


def test_istft_is_the_nearest_waveform():
    """Any other waveform has an STFT that lies farther from the one wanted."""
    rng = np.random.default_rng(0)
    wanted = rng.normal(size=(9, 11)) + 1j * rng.normal(size=(9, 11))
    wanted[[0, -1]] = wanted[[0, -1]].real  # as for every real waveform
    twice = np.array([1] + [2] * 7 + [1])[:, None]  # bins that stand for two of the full transform

    def distance(x):
        return np.sum(twice * np.abs(audio.stft(x, 16, 4) - wanted) ** 2)

    best = audio.istft(wanted, 4)
    for _ in range(20):
        assert distance(best + 0.01 * rng.normal(size=best.shape)) > distance(best)


# ---------------------------------------------------------------- mel


def test_mel_scale_there_and_back():
    hz = np.linspace(0, 12_000, 50)
    assert np.allclose(audio.mel_to_hz(audio.hz_to_mel(hz)), hz)
    assert np.isclose(audio.hz_to_mel(700), 2595 * np.log10(2))


@pytest.mark.parametrize("limits", [(0.0, None), (80.0, 3500.0)])
def test_mel_filterbank_by_hand(limits):
    """Triangle m has its corners at points m, m + 1, m + 2, equally spaced in mel."""
    rate, n_fft, n_mels = 8000, 512, 20
    fmin, fmax = limits[0], limits[1] or rate / 2
    low, high = (2595 * np.log10(1 + f / 700) for f in (fmin, fmax))
    corner = [
        700 * (10 ** ((low + (high - low) * i / (n_mels + 1)) / 2595) - 1)
        for i in range(n_mels + 2)
    ]
    bank = audio.mel_filterbank(rate, n_fft, n_mels, *limits)
    assert bank.shape == (n_mels, 257)
    for m in range(n_mels):
        a, b, c = corner[m : m + 3]
        for f in range(257):
            hz = f * rate / n_fft
            want = (hz - a) / (b - a) if a < hz <= b else (c - hz) / (c - b) if b < hz < c else 0
            assert abs(bank[m, f] - want) < 1e-12
    assert (bank.sum(1) > 0).all()


def test_mel_spectrogram_and_mfcc():
    x = tone(1000, 8000)
    mel = audio.mel_spectrogram(x, 8000, n_fft=256, hop=80, n_mels=24)
    plain = audio.mel_spectrogram(x, 8000, n_fft=256, hop=80, n_mels=24, log=False)
    assert mel.shape == (24, 101) and np.allclose(mel, np.log(np.maximum(plain, 1e-5)))
    centres = audio.mel_to_hz(np.linspace(0, audio.hz_to_mel(4000), 26))[1:-1]
    assert mel[:, 50].argmax() == np.abs(centres - 1000).argmin()
    coefficients = audio.mfcc(x, 8000)
    basis = np.cos(np.pi * np.outer(np.arange(13), np.arange(24) + 0.5) / 24) * np.sqrt(2 / 24)
    basis[0] /= np.sqrt(2)
    assert np.allclose(coefficients, basis @ mel)
    assert np.isfinite(audio.mel_spectrogram(np.zeros(900), 8000)).all()


# ---------------------------------------------------------------- Griffin–Lim


def test_griffin_lim_comes_nearer_with_every_iteration():
    x = data.example().audio.astype(float)
    magnitude = np.abs(audio.stft(x, 256, 64))
    length = (magnitude.shape[1] - 1) * 64
    twice = np.r_[1, np.full(127, 2), 1][:, None]

    def error(iterations):
        y = audio.griffin_lim(magnitude, 64, iterations, length=length)
        off = np.abs(audio.stft(y, 256, 64)) - magnitude
        return np.sqrt(np.sum(twice * off**2) / np.sum(twice * magnitude**2))

    errors = [error(n) for n in (0, 1, 2, 3, 5, 10, 20, 40)]
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(errors))
    assert errors[-1] < 0.3 * errors[0]


def test_griffin_lim_repeats_with_its_seed():
    magnitude = np.abs(audio.stft(noise(400), 64, 16))
    one, same, other = (audio.griffin_lim(magnitude, 16, 2, seed=s) for s in (1, 1, 2))
    assert np.array_equal(one, same) and not np.allclose(one, other)
    assert len(audio.griffin_lim(magnitude, 16, 2, length=400)) == 400


# ---------------------------------------------------------------- rates


@pytest.mark.parametrize("rate, new", [(16_000, 8_000), (22_050, 8_000), (8_000, 44_100)])
def test_resample_equals_scipy(rate, new):
    x = noise(2000)
    common = np.gcd(rate, new)
    want = signal.resample_poly(x, new // common, rate // common)
    assert np.allclose(audio.resample(x, rate, new), want)
    assert len(want) == -(-2000 * new // rate)


@pytest.mark.parametrize("rate, new", [(16_000, 8_000), (8_000, 22_050), (44_100, 8_000)])
def test_resample_keeps_a_tone(rate, new):
    got, want = audio.resample(tone(440, rate), rate, new), tone(440, new)
    assert np.abs(got - want)[200:-200].max() < 2e-3


def test_resample_silences_what_the_new_rate_cannot_hold():
    y = audio.resample(tone(3000, 16_000), 16_000, 4_000)
    assert np.abs(y[100:-100]).max() < 2e-3  # folded it would be a tone of 1000 Hz


def test_resample_keeps_dtype_and_never_hands_back_its_argument():
    x = noise(100).astype(np.float32)
    same = audio.resample(x, 8000, 8000)
    assert same is not x and np.array_equal(same, x) and not np.shares_memory(same, x)
    assert audio.resample(x, 8000, 4000).dtype == np.float32


# ---------------------------------------------------------------- files


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
    path.write_text("words")
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


def test_save_refuses_and_leaves_nothing(tmp_path):
    for name, x, rate, error, message in (
        ("a.mp3", noise(9), 8000, ValueError, "end in .wav or .flac"),
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


# ---------------------------------------------------------------- the player


class Page(HTMLParser):
    """The tags of a piece of HTML with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: dict[str, dict[str, str | None]] = {}
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = dict(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_listen_makes_an_accessible_player():
    x = tone(440, 8000, 0.3)
    label, said = 'a "tone" <of> 440 Hz & more', "“la” <la>"
    page = Page(audio.listen(x, 8000, label, said)._repr_html_())
    assert next(iter(page.tags)) == "figure" and "figcaption" in page.tags
    player = page.tags["audio"]
    assert "controls" in player and player["aria-label"] == label  # escaped and read back
    assert "autoplay" not in player
    assert label in page.text and f"Transcript: “{said}”" in page.text
    assert label in page.tags["img"]["alt"]
    assert page.tags["img"]["src"].startswith("data:image/png;base64,iVBOR")
    kind, content = player["src"].split(",")
    assert kind == "data:audio/wav;base64"
    stream = io.BytesIO(base64.b64decode(content))
    assert sf.info(stream).subtype == "PCM_16"
    stream.seek(0)
    y, rate = sf.read(stream)
    assert rate == 8000 and np.abs(y - x).max() < 2 / 32768


def test_listen_without_words_has_no_transcript():
    assert "Transcript" not in audio.listen(noise(900), 8000, "noise")._repr_html_()


def test_listen_says_its_level_in_a_terminal():
    shown = repr(audio.listen(np.array([0.5, -0.5] * 400), 8000, "a buzz", "bzz"))
    assert shown == 'a buzz: "bzz" 0.10 s at 8000 Hz, RMS 0.5000, peak 0.500'


@pytest.mark.parametrize("length", [1, 2, 3, 100])
def test_listen_draws_the_shortest_clips_and_silence(length):
    assert "<audio" in audio.listen(np.zeros(length), 8000, "hush")._repr_html_()


def test_listen_holds_a_clip_of_twelve_seconds_and_no_longer():
    assert len(audio.listen(np.zeros(36_000), 3000, "hush").wav()) == 44 + 2 * 36_000
    with pytest.raises(ValueError, match="12.1 s .* 12 s .*cut it, or write a file"):
        audio.listen(np.zeros(36_300), 3000, "hush")


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: audio.autocorrelation(noise(5), 5), ValueError, "5 samples have lags 0 … 4"),
        (lambda: audio.autocorrelation(np.ones(5), 2), ValueError, "constant"),
        (lambda: audio.mu_law_encode([0.0], 1), ValueError, "at least 2 levels"),
        (lambda: audio.mu_law_encode([0.0], 2.5), TypeError, "whole number"),
        (lambda: audio.mu_law_encode([np.nan]), ValueError, "NaN"),
        (lambda: audio.mu_law_encode(np.array([3000], np.int16)), TypeError, "x / 32768"),
        (lambda: audio.mu_law_decode([0.5]), TypeError, "integers, not float64"),
        (lambda: audio.mu_law_decode([256]), ValueError, "0 … 255"),
        (lambda: audio.mu_law_decode([-1]), ValueError, "0 … 255"),
        (lambda: audio.stft(noise(90), 15, 4), ValueError, "n_fft must be even"),
        (lambda: audio.stft(noise(90), 16, 9), ValueError, "hop at most"),
        (lambda: audio.stft(noise(90), 16.0, 4), TypeError, "n_fft must be a whole number"),
        (lambda: audio.stft(np.zeros((1, 90))), ValueError, r"x\[0\]"),
        (lambda: audio.stft([]), ValueError, "T > 0"),
        (lambda: audio.istft(np.zeros(9)), ValueError, r"\(F, N\)"),
        (lambda: audio.istft(np.full((9, 5), np.nan), 4), ValueError, "NaN"),
        (lambda: audio.istft(np.zeros((9, 5)), 4, 17), ValueError, "1 … 16 samples, not 17"),
        (lambda: audio.mel_filterbank(8000, 64, 40), ValueError, "fall between two STFT bins"),
        (lambda: audio.mel_filterbank(8000, 512, 20, 0.0, 5000.0), ValueError, "fmax <= rate / 2"),
        (lambda: audio.mfcc(noise(900), 8000, n_mfcc=30), ValueError, "1 … n_mels = 24"),
        (lambda: audio.griffin_lim(-np.ones((9, 5)), 4), ValueError, "not negative"),
        (lambda: audio.griffin_lim(np.ones((9, 5)), 4, -1), ValueError, "iterations is -1"),
        (lambda: audio.resample(noise(9), 8000, 0), ValueError, "new_rate must be positive"),
        (lambda: audio.resample(noise(9), 8000.5, 4000), TypeError, "rate must be a whole number"),
        (lambda: audio.listen(noise(9), 8000, "  "), ValueError, "needs a label"),
        (lambda: audio.listen(noise(9), 8000, "a", None), TypeError, "strings"),
        (lambda: audio.listen(noise(9), 2000, "a"), ValueError, "below 3000 Hz.*audio.resample"),
        (lambda: audio.listen(noise(9) * 2, 8000, "a"), ValueError, "peak 1.* would clip"),
        (lambda: audio.listen(np.array([np.inf]), 8000, "a"), ValueError, "infinite"),
        (lambda: audio.listen(np.zeros(9, int), 8000, "a"), TypeError, "x / 32768"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_needs_no_torch():
    """audio, plot, data, gaussian and this chapter's checks: none of them imports torch."""
    script = (
        "import sys\n"
        "from minigen import audio, checks, data, gaussian\n"
        "from minigen.notebook import plot\n"
        "_ = checks.sound\n"
        "audio.listen(data.example().audio, 8000, 'a')._repr_html_()\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
