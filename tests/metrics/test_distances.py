"""Metrics on cases whose answer is known."""

import numpy as np
import pytest
import torch

from minigen import audio, data, metrics, spectral_losses
from minigen.audio import mel_cepstrum, mel_spectrogram, source_filter
from minigen.metrics import (
    cepstral_distortion,
    compare,
    distances,
    f0_error,
    f0_rmse,
    kl_divergence,
    log_mel_distance,
    log_spectral_distance,
    mel_cepstra,
    mel_cepstral_distortion,
    pitch_errors,
    real_time_factor,
    std_ratio,
    stft_distance,
    summarise,
    voicing_error,
    warped_distance,
)


def voiced(f0: np.ndarray, rate: int = 8000, hop: int = 80) -> np.ndarray:
    """Ten harmonics that follow F0 (Hz, one value a hop), silent where it is 0: (N · hop,)."""
    hz = np.repeat(f0, hop)
    phi = 2 * np.pi * np.cumsum(hz) / rate
    return 0.05 * (hz > 0) * sum(np.cos(k * phi) / k for k in range(1, 11))


def test_each_metric_says_what_it_cannot_hear():
    silent = {"mel_cepstra", "cepstral_distortion", "summarise"}
    for name, metric in vars(distances).items():
        own = getattr(metric, "__module__", None) == distances.__name__ and name[0] != "_"
        if own and name not in silent:  # those are parts of metrics
            assert "What it cannot hear: " in metric.__doc__, name


def test_std_ratio():
    x = np.random.default_rng(0).normal(size=1000)
    assert np.isclose(std_ratio(0.5 * x, x), 0.5)
    with pytest.raises(ValueError, match="constant"):
        std_ratio(x, np.zeros(10))


def test_log_mel_distance_of_a_gain_is_that_gain():
    x = np.random.default_rng(0).normal(0, 0.1, 16000)
    assert log_mel_distance(x, x, 8000) == 0
    assert np.isclose(log_mel_distance(x / 2, x, 8000), 20 * np.log10(2), atol=1e-6)
    with pytest.raises(ValueError, match="cut them alike"):
        log_mel_distance(x, x[1:], 8000)


def test_log_spectral_distance_of_known_cases():
    """A gain is that gain; a filter is the root mean square of its response; noises are 7.9 dB apart."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 0.1, (2, 80_000))
    assert log_spectral_distance(x, x, 8000) == 0
    gain = 20 * np.log10(2)
    assert np.isclose(log_spectral_distance(x / 2, x, 8000), gain, atol=1e-3)
    assert np.isclose(log_spectral_distance(2 * x, x, 8000), gain, atol=1e-3)
    taps = np.array([1.0, 0.5])  # short against the frame
    response = 20 * np.log10(np.abs(np.fft.rfft(taps, 256)))
    filtered = np.convolve(x, taps)[: len(x)]
    want = np.sqrt(np.mean(response**2))
    # at the ends of the sound and in the filter's dips, frames leak a little
    assert np.isclose(log_spectral_distance(filtered, x, 8000), want, rtol=0.03)
    # |X|² is exponential, 10 log10 of it has a standard deviation of 10/ln 10 · π/√6 = 5.57 dB
    want = np.sqrt(2) * 10 / np.log(10) * np.pi / np.sqrt(6)
    assert np.isclose(log_spectral_distance(x, y, 8000), want, rtol=0.02)


def test_log_spectral_distance_against_scipy():
    """The same formula over scipy's own STFT."""
    from scipy.signal import stft

    x, y = (data.spoken_digits("slt", word)[0].audio[:3000] for word in ("seven", "two"))
    spectra = []
    for wave in (x, y):
        padded = np.pad(np.asarray(wave, dtype=float), (128, 200))
        found = stft(padded, 8000, "hann", 256, 192, boundary=None, padded=False, scaling="psd")[2]
        scale = np.sqrt(8000 * np.sum(np.hanning(257)[:-1] ** 2))  # of scipy's "psd"
        spectra.append(20 * np.log10(np.maximum(np.abs(found[:, :48]) * scale, 1e-5)))
    floor = spectra[1].max() - 60
    a, b = (np.maximum(value, floor) for value in spectra)
    want = np.sqrt(((a - b) ** 2).mean(axis=0)).mean()
    assert np.isclose(log_spectral_distance(x, y, 8000), want, rtol=1e-6)


def test_log_spectral_distance_is_finite_on_silence_and_refuses_other_lengths():
    x = np.concatenate([np.zeros(4000), np.random.default_rng(0).normal(0, 0.1, 4000)])
    assert np.isfinite(log_spectral_distance(np.zeros(8000) + 1e-9, x, 8000))
    assert log_spectral_distance(x + 1e-6, x, 8000) < 0.1  # what is 60 dB down does not count
    with pytest.raises(ValueError, match="cut them alike"):
        log_spectral_distance(x[1:], x, 8000)
    with pytest.raises(ValueError, match="NaN"):
        log_spectral_distance(x * np.nan, x, 8000)


def test_stft_distance_is_the_loss_and_knows_a_gain():
    """Half the amplitude: spectral convergence ½, log magnitudes log 2 apart."""
    x = np.random.default_rng(0).normal(0, 0.3, 8000)
    assert stft_distance(x, x) < 1e-6
    assert np.isclose(stft_distance(x / 2, x), 0.5 + np.log(2), rtol=1e-3)
    y = torch.tensor(np.roll(x, 5))[None, None]
    loss = spectral_losses.MultiResolutionSTFTLoss()(y, torch.tensor(x)[None, None]).item()
    assert stft_distance(np.roll(x, 5), x) == loss
    other = spectral_losses.MultiResolutionSTFTLoss(16_000)(y, torch.tensor(x)[None, None]).item()
    assert stft_distance(np.roll(x, 5), x, 16_000) == other != loss
    with pytest.raises(ValueError, match="cut them alike"):
        stft_distance(x[1:], x)


def test_f0_rmse_of_known_contours():
    f0 = np.array([100.0, 0.0, 150.0, 220.0])
    assert f0_rmse(f0, f0) == 0
    assert np.isclose(f0_rmse(2 * f0, f0), 1200) and np.isclose(f0_rmse(f0, 2 * f0), 1200)
    assert np.isclose(f0_rmse(f0 * 2 ** (1 / 12), f0), 100)  # a semitone
    half = np.array([100.0, 90.0, 300.0, 0.0])  # voiced in both: 0 and 1200 cents
    assert np.isclose(f0_rmse(half, f0), 1200 / np.sqrt(2))
    assert np.isnan(f0_rmse([0.0, 1.0], [1.0, 0.0]))
    for wrong in ([100.0], [[100.0] * 4], [-1.0, 0, 0, 0], [np.nan, 0, 0, 0]):
        with pytest.raises(ValueError, match="contour"):
            f0_rmse(wrong, f0)


def test_voicing_error_counts_frames():
    f0 = np.array([100.0, 0.0, 150.0, 220.0])
    assert voicing_error(f0, 3 * f0) == 0
    assert voicing_error(f0 * 0, f0) == 0.75
    assert voicing_error([1.0, 1.0, 1.0, 0.0], f0) == 0.5


def test_pitch_doubled_is_an_octave():
    """Sounds with a known F0, through the tracker."""
    f0 = np.full(100, 120.0)
    low = voiced(f0)
    assert pitch_errors(low, low, 8000) == (0, 0, 0)
    for factor, want in ((2, 1200), (2 ** (-1 / 12), 100)):
        cents, gross, unvoiced = pitch_errors(voiced(factor * f0), low, 8000)
        assert np.isclose(cents, want, atol=2) and gross == (want > 600) and unvoiced == 0
    silenced = low.copy()
    silenced[:3200] = 0  # the first 40 of 100 frames
    assert np.isclose(pitch_errors(silenced, low, 8000)[2], 0.40, atol=0.03)
    noise = 0.05 * np.random.default_rng(0).normal(size=len(low))
    assert pitch_errors(noise, low, 8000)[2] > 0.7  # as a whisper
    with pytest.raises(ValueError, match="cut them alike"):
        pitch_errors(noise[1:], low, 8000)


def revoiced(clip, pitch: float = 1.0, tempo: float = 1.0) -> np.ndarray:
    """A vocoder says the clip again, its F0 times `pitch` (0: a whisper), each frame 1 / tempo as long."""
    spectra = mel_cepstrum(clip.audio, 8000).T
    log_f0, voiced = source_filter.continuous_log_f0(clip.f0, len(spectra))
    n = (np.arange(int(len(spectra) / tempo)) * tempo).astype(int)
    return source_filter.vocode(
        spectra[n], pitch * np.where(voiced > 0.5, np.exp(log_f0), 0)[n], 8000
    )


def test_pitch_at_another_tempo_needs_the_path():
    """A vocoder says one word twice: slower, and at a known interval."""
    own, other = revoiced(data.example()), revoiced(data.example(), 1.25, 0.8)
    assert len(other) > 1.2 * len(own)
    cents, _, unvoiced = pitch_errors(other, own, 8000, warp=True)
    assert np.isclose(cents, 1200 * np.log2(1.25), atol=20) and unvoiced < 0.03
    with pytest.raises(ValueError, match="cut them alike"):
        pitch_errors(other, own, 8000)


def test_kl_divergence_of_two_gaussians():
    x = np.random.default_rng(0).normal(0.5, 1.0, 200_000)  # q = N(½, 1), p = N(0, 4)
    log_q = -0.5 * (x - 0.5) ** 2
    log_p = -0.5 * (x / 2) ** 2 - np.log(2)
    want = np.log(2) + (1 + 0.25) / 8 - 0.5
    kl, error = kl_divergence(log_q, log_p)
    assert abs(kl - want) < 4 * error < 0.01
    many = [
        kl_divergence(*pair)
        for pair in zip(*(np.split(v, 1000) for v in (log_q, log_p)), strict=True)
    ]
    assert np.isclose(np.std([m for m, _ in many]), np.mean([e for _, e in many]), rtol=0.1)
    assert kl_divergence(log_q, log_q) == (0, 0)
    assert kl_divergence(np.zeros(3), np.array([0, -np.inf, 0]))[0] == np.inf
    with pytest.raises(ValueError, match="made by q"):
        kl_divergence(np.array([0, -np.inf]), np.zeros(2))
    for wrong in (np.array([0, np.nan]), np.array([0, np.inf])):
        with pytest.raises(ValueError, match="made by q"):
            kl_divergence(wrong, np.zeros(2))
    with pytest.raises(ValueError, match="made by q"):
        kl_divergence(np.zeros(2), np.array([0, np.nan]))
    for shapes in ((1, 1), (2, 3), ((2, 2), (2, 2))):
        with pytest.raises(ValueError, match="one value a draw"):
            kl_divergence(*map(np.zeros, shapes))


def test_one_word_of_ten_costs_log_ten():
    """The docstring's example: q says one of ten equally likely things, exactly as p does."""
    assert np.isclose(kl_divergence(np.zeros(5), np.full(5, np.log(0.1)))[0], np.log(10))


def test_real_time_factor_by_a_clock_of_our_own():
    now, calls = [0.0], []

    def speak():
        calls.append(1)
        now[0] += [9.0, 1.0, 4.0, 2.0][len(calls) - 1]  # the first call compiles
        return torch.zeros(1, 16000)

    assert real_time_factor(speak, 8000, clock=lambda: now[0]) == 1.0  # median 2 s for 2 s
    assert len(calls) == 4
    with pytest.raises(ValueError, match="no samples"):
        real_time_factor(lambda: np.zeros(0), 8000)
    for wrong in ({"times": 0, "rate": 8000}, {"rate": 0}, {"rate": -1}):
        with pytest.raises(ValueError, match="times >= 1 and a positive rate"):
            real_time_factor(speak, **wrong)


def sentence() -> np.ndarray:
    """Several words of one voice, 8 kHz."""
    return np.concatenate([clip.audio for clip in data.spoken_digits("slt")[5::12]])


def test_stoi_is_its_package_with_the_arguments_in_place():
    import pystoi

    x = sentence()
    noisy = x + np.random.default_rng(0).normal(0, 0.05, len(x))
    assert metrics.stoi(noisy, x, 8000) == pystoi.stoi(x, noisy, 8000)  # recorded first
    assert metrics.stoi(noisy, x, 8000) != pystoi.stoi(noisy, x, 8000)
    assert np.isclose(metrics.stoi(x, x, 8000), 1) and metrics.stoi(0.1 * x, x, 8000) > 0.999
    noise = np.random.default_rng(1).normal(0, 0.1, len(x))
    assert metrics.stoi(noise, x, 8000) < 0.5  # noise keeps some envelope by chance
    assert metrics.stoi(noisy, x, 8000) > 0.7
    with pytest.raises(ValueError, match="join several words"):
        metrics.stoi(x[:2000], x[:2000], 8000)


def test_pesq_is_its_package_with_the_arguments_in_place():
    pesq = pytest.importorskip(
        "pesq", reason="no package pesq here (it needs a C compiler): PESQ was NOT tested"
    )
    x = sentence()
    noisy = x + np.random.default_rng(0).normal(0, 0.02, len(x))
    assert metrics.pesq(noisy, x, 8000) == pesq.pesq(8000, x, noisy, "nb")
    wide = audio.resample(x, 8000, 16000), audio.resample(noisy, 8000, 16000)
    assert metrics.pesq(wide[1], wide[0], 16000) == pesq.pesq(16000, *wide, "wb")
    assert metrics.pesq(x, x, 8000) > 4.5
    assert metrics.pesq(noisy, x, 8000) < 3.5
    click = np.eye(1, 8000)[0]
    for wrong in (0 * click, click):
        with pytest.raises(ValueError, match="cannot judge"):
            metrics.pesq(wrong, wrong, 8000)


def test_what_is_missing_is_said(monkeypatch):
    x = sentence()
    with pytest.raises(ValueError, match="8000 and 16000 Hz, not at 22050"):
        metrics.pesq(x, x, 22050)
    for name in ("pystoi", "pesq"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(ModuleNotFoundError, match="pip install pystoi"):
        metrics.stoi(x, x, 8000)
    with pytest.raises(ModuleNotFoundError, match="pip install pesq .*C compiler"):
        metrics.pesq(x, x, 8000)


def test_distortion_of_a_known_shift_is_exact():
    """Cepstra moved by one vector, read at another tempo: 10/ln 10 · √(2 Σ δ²), whatever the path."""
    rng = np.random.default_rng(0)
    c = 5 * rng.normal(size=(24, 30))
    shift = 0.05 * rng.normal(size=(24, 1))
    want = 10 / np.log(10) * np.sqrt(2 * np.sum(shift**2))
    assert np.isclose(cepstral_distortion(c, c + shift), want, rtol=1e-12)
    slow = np.repeat(c, 3, axis=1) + shift
    assert np.isclose(cepstral_distortion(c, slow), want, rtol=1e-12)
    assert np.isclose(cepstral_distortion(slow, c), want, rtol=1e-12)


def test_distortion_is_the_rms_difference_of_log_mel_spectra():
    """With all the cosines and one frame: the RMS in dB over the bands, the mean difference removed."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 0.1, (2, 8000))
    mel = [20 / np.log(10) * mel_spectrogram(x, 8000, 256, 40, n_mels=32)[:, 70] for x in (a, b)]
    difference = mel[0] - mel[1]
    c, d = (mel_cepstra(x, 8000, order=31)[:, 70:71] for x in (a, b))
    assert np.isclose(cepstral_distortion(c, d), difference.std(), rtol=1e-9)


def test_mel_cepstral_distortion_of_words():
    seven, other = (data.spoken_digits("slt", word)[0].audio for word in ("seven", "two"))
    assert mel_cepstral_distortion(seven, seven, 8000) == 0
    assert mel_cepstral_distortion(seven, 0.3 * seven.astype(float), 8000) < 1e-4  # float32
    same_word = data.spoken_digits("slt", "seven")[4].audio
    assert len(same_word) != len(seven)
    near, far = (mel_cepstral_distortion(seven, x, 8000) for x in (same_word, other))
    assert 0 < near < 0.6 * far
    assert np.isclose(far, mel_cepstral_distortion(other, seven, 8000))
    for order, bands in ((24, 32), (5, 20)):
        cut = [mel_cepstra(x, 8000, order, bands) for x in (seven, other)]
        assert len(cut[0]) == order and len(mel_cepstra(seven, 8000)) == 24
        found = mel_cepstral_distortion(seven, other, 8000, order, bands)
        assert found == cepstral_distortion(*cut) and (found == far) == (order == 24)
    with pytest.raises(ValueError, match="order"):
        mel_cepstral_distortion(seven, other, 8000, order=32)
    with pytest.raises(ValueError, match="waveform"):
        mel_cepstral_distortion(seven[None], other, 8000)


def test_another_pitch_costs_a_smooth_spectrum_more_than_no_voice_at_all():
    word = data.example()
    same, whisper, high = (
        mel_cepstral_distortion(revoiced(word, pitch), word.audio, 8000) for pitch in (1, 0, 1.25)
    )
    assert 1.3 * same < whisper and 1.3 * whisper < high


def test_f0_error_counts_octaves_apart():
    f0 = np.array([100.0, 0.0, 150.0, 220.0, 130.0])
    assert f0_error(f0, f0) == (0, 0)
    off = f0 * 2 ** (np.array([10, 0, -30, 1200, 5]) / 1200)
    median, gross = f0_error(off, f0)
    assert np.isclose(median, 20) and gross == 0.25
    assert f0_error(f0 * 2 ** (np.array([599, 0, -601, 601, -599]) / 1200), f0)[1] == 0.5
    assert np.isnan(f0_error([0.0, 1.0], [1.0, 0.0])).all()


def test_warped_distance_hears_level_and_not_tempo():
    clip = data.example()
    x, rate = clip.audio, clip.rate
    assert warped_distance(x, x, rate) < 1e-9
    louder = warped_distance(2 * x, x, rate)
    assert 2 < louder <= 20 * np.log10(2) + 1e-6  # up to 6.02 dB, less where the floor stands
    clicks = np.zeros(8000)
    clicks[::64] = 0.3  # every frame alike, every band above the floor
    assert abs(warped_distance(2 * clicks, clicks, 8000) - 20 * np.log10(2)) < 0.2
    slow, fast = (
        next(c for c in data.spoken_digits("rms", "seven") if f"_{t}_p1.0" in c.name)
        for t in ("t0.85", "t1.2")
    )
    other = data.spoken_digits("rms", "four")[0]
    warped = warped_distance(slow.audio, fast.audio, rate)
    assert warped < 0.6 * warped_distance(other.audio, fast.audio, rate)


def test_compare_is_the_mean_of_each_distance_and_the_median_ratio():
    clips = data.spoken_digits()[40:360:110]
    real = [clip.audio for clip in clips]
    same = compare(real, real, 8000)
    assert same.pop("std_ratio") == 1 and all(abs(v) < 1e-6 for v in same.values())
    made = [0.5 * real[0], real[1], np.r_[np.zeros(160), real[2]]]
    row = compare(made, real, 8000)
    cut = [made[0], made[1], made[2][: len(real[2])]]
    pairs = list(zip(cut, real, strict=True))
    frame_by_frame = {
        "mcd": mel_cepstral_distortion,
        "lsd": log_spectral_distance,
        "log_mel": log_mel_distance,
        "stft": stft_distance,
    }
    for name, distance in frame_by_frame.items():
        assert np.isclose(row[name], np.mean([distance(a, b, 8000) for a, b in pairs])), name
    assert np.isclose(row["std_ratio"], np.median([std_ratio(a, b) for a, b in pairs]))
    cents, gross, unvoiced = zip(*(pitch_errors(a, b, 8000) for a, b in pairs), strict=True)
    assert np.isclose(row["f0"], np.mean(cents)) and np.isclose(row["gross"], 100 * np.mean(gross))
    assert np.isclose(row["voicing"], 100 * np.mean(unvoiced))
    warped, pairs = compare(made, real, 8000, warp=True), list(zip(made, real, strict=True))
    assert warped["f0"] < row["f0"] and warped["log_mel"] == row["log_mel"]
    apart = [mel_cepstral_distortion(a, b, 8000) for a, b in pairs]  # of all of them
    assert np.isclose(warped["mcd"], np.mean(apart)) and warped["mcd"] != row["mcd"]
    assert np.isclose(warped["std_ratio"], np.median([std_ratio(a, b) for a, b in pairs]))


@pytest.mark.parametrize("distance", [log_mel_distance, warped_distance, log_spectral_distance])
def test_what_lies_60_db_below_the_recordings_peak_is_silence(distance):
    """However loud the other sound is: the recording's peak counts, not its own."""
    x = data.example().audio.astype(float)
    farthest = distance(0 * x, x, 8000)
    assert distance(1e-4 * x, x, 8000) == pytest.approx(farthest) and farthest < 60
    faint = 1e-4 * np.random.default_rng(0).normal(size=len(x))
    louder = lambda noise: distance(10 * x, x + noise, 8000)
    assert louder(faint) == pytest.approx(louder(0), rel=0.02)


def test_summarise_leaves_out_what_is_not_known():
    rows = [
        {"a": 1.0, "std ratio": 9.0},
        {"a": np.nan, "std ratio": 1.0},
        {"a": 2.0, "std ratio": 2.0},
    ]
    assert summarise(rows) == {"a": 1.5, "std ratio": 2.0}
    assert np.isnan(summarise([{"a": np.nan}])["a"])
    for wrong in ([], [{"a": 1.0}, {"b": 1.0}]):
        with pytest.raises(ValueError, match="same columns"):
            summarise(wrong)


def test_shares_of_frames_are_percentages_in_the_table():
    f0 = np.full(100, 120.0)
    low, silenced = voiced(f0), voiced(f0)
    silenced[:3200] = 0
    octave, gone = (compare([made], [low], 8000) for made in (voiced(2 * f0), silenced))
    assert octave["gross"] == 100 and octave["f0"] == pytest.approx(1200, abs=2)
    assert gone["voicing"] == pytest.approx(40, abs=3) and octave["voicing"] == gone["gross"] == 0


def test_the_noise_of_a_pause_60_db_below_the_loudest_band_moves_no_cepstrum():
    x = np.r_[data.example().audio.astype(float), np.zeros(4000)]
    noise = np.random.default_rng(0).normal(size=len(x))
    distance = lambda size: mel_cepstral_distortion(x + size * noise, x, 8000)
    assert distance(1e-5) < 0.05 and distance(1e-2) > 1
