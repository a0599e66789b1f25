"""The flow of linear prediction, held to autograd, to scipy and to what it is for."""

import math

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from minigen import audio, data
from minigen.conditioning import mel_bands
from minigen.flows.linear_prediction import (
    SUBFRAMES,
    LinearPrediction,
    Predictor,
    levinson,
    predictor_from_mel,
)
from minigen.timeseries import levinson_durbin

FLOW = LinearPrediction()


def predictor(batch: int, frames: int, order: int, seed: int = 0) -> Predictor:
    """Random stable predictors: Levinson of random positive spectra."""
    rng = torch.Generator().manual_seed(seed)
    power = torch.randn(batch, frames, 33, generator=rng, dtype=torch.float64).mul(1.5).exp()
    a, error = levinson(torch.fft.irfft(power, 64)[..., : order + 1])
    return Predictor(a.transpose(1, 2).contiguous(), error.sqrt())


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("batch", "frames", "hop", "order"), [(1, 1, 12, 1), (2, 4, 5, 3), (3, 6, 4, 9)]
)
def test_inverse_undoes_forward_and_the_log_determinants_are_autograds(batch, frames, hop, order):
    context = predictor(batch, frames, order)
    e = noise(batch, 1, frames * hop)
    x, up = FLOW.inverse(e, context)
    back, down = FLOW(x, context)
    torch.testing.assert_close(back, e)
    for b in range(batch):
        one = Predictor(context.coefficients[b : b + 1], context.gain[b : b + 1])
        for direction, value, log_det in ((FLOW.forward, x, down), (FLOW.inverse, e, up)):
            jacobian = torch.autograd.functional.jacobian(
                lambda v, f=direction, c=one: f(v.view(1, 1, -1), c)[0].flatten(),
                value[b].flatten(),
            )
            assert jacobian.triu(1).abs().max() == 0
            assert math.isclose(
                torch.linalg.slogdet(jacobian)[1].item(), log_det[b].item(), rel_tol=1e-9
            )


def test_gradients_reach_everything_in_both_directions():
    a, g = (value.requires_grad_() for value in predictor(2, 3, 4))
    x, past = noise(2, 1, 12).requires_grad_(), noise(2, 4, seed=2).requires_grad_()
    for direction in (FLOW.forward, FLOW.inverse):
        assert torch.autograd.gradcheck(
            lambda x, a, g, p, f=direction: f(x, Predictor(a, g), p), (x, a, g, past)
        )
        grads = []
        for dtype in (torch.float64, torch.float32):
            given = [value.detach().to(dtype).requires_grad_() for value in (x, a, g, past)]
            made = direction(given[0], Predictor(*given[1:3]), given[3])[0]
            assert made.dtype == dtype
            grads.append(torch.autograd.grad(made.square().sum(), given))
        for exact, short in zip(*grads, strict=True):
            assert short.dtype == torch.float32
            torch.testing.assert_close(short.double(), exact, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("direction", [FLOW.forward, FLOW.inverse])
def test_pieces_are_the_whole(direction):
    context = predictor(2, 10, 6)
    value = noise(2, 1, 80)
    whole = direction(value, context)[0]
    x = whole if direction == FLOW.inverse else value
    past, pieces = None, []
    for first, last in ((0, 3), (3, 4), (4, 10)):
        part = Predictor(context.coefficients[..., first:last], context.gain[:, first:last])
        pieces.append(direction(value[..., 8 * first : 8 * last], part, past)[0])
        past = x[:, 0, 8 * last - 6 : 8 * last]
    torch.testing.assert_close(torch.cat(pieces, -1), whole)


def test_one_frame_is_an_ordinary_filter():
    a, g = predictor(1, 1, 5)
    e = noise(1, 1, 200)
    x = FLOW.inverse(e, Predictor(a, g))[0]
    denominator = np.concatenate([[1.0], -a[0, :, 0].numpy()])
    np.testing.assert_allclose(
        x[0, 0], lfilter(g[0].numpy(), denominator, e[0, 0].numpy()), rtol=1e-9
    )


def test_levinson_is_that_of_chapter_5():
    spectra = np.exp(np.random.default_rng(0).normal(size=(4, 17)))
    r = np.fft.irfft(spectra)[:, :8]
    a, error = levinson(torch.from_numpy(r))
    for row, mine, left in zip(r, a, error, strict=True):
        found = levinson_durbin(row)
        np.testing.assert_allclose(mine, found.coefficients, rtol=1e-9)
        assert math.isclose(left, found.variances[-1], rel_tol=1e-9)


def filtered_noise(gain: float = 1.0, rate: int = 8000) -> tuple[np.ndarray, np.ndarray]:
    e = np.random.default_rng(0).normal(size=4 * rate)
    poles = np.array([0.95 * np.exp(0.5j), 0.9 * np.exp(1.4j)])
    return gain * e, lfilter([1.0], np.poly([*poles, *poles.conj()]).real, gain * e)


def whitened(x: np.ndarray, rate: int, **options) -> torch.Tensor:
    mel = torch.from_numpy(mel_bands(x, rate, 32))[None]
    return FLOW(torch.from_numpy(x)[None, None], predictor_from_mel(mel, rate, **options))[0]


@pytest.mark.parametrize("gain", [0.01, 1.0])
def test_the_mel_spectrum_of_filtered_noise_gives_the_noise_back(gain):
    e, x = filtered_noise(gain)
    found = whitened(x, 8000, noise=0.0)[0, 0, 400:-400].numpy() * gain
    assert 0.85 < found.std() / e.std() < 1.2
    assert np.corrcoef(found, e[400:-400])[0, 1] > 0.93


def test_a_predictor_is_the_autocorrelation_method_on_the_bands_spectrum():
    """Written out in NumPy, a short frame at a time: bands over time, bins, lags smeared by 40 Hz."""
    mel, rate, n_fft = np.random.default_rng(0).normal(-4, 1, (2, 32, 5)), 8000, 256
    centres = np.linspace(0, audio.hz_to_mel(4000), 34)[1:-1]
    bins = audio.hz_to_mel(np.arange(129) * rate / n_fft)
    loud = mel - np.log(audio.mel_filterbank(rate, n_fft, 32).sum(1))[:, None]
    window = np.exp(-0.5 * (2 * np.pi * 40 * np.arange(17) / rate) ** 2)
    window[0] = 1.0001
    a, gain = predictor_from_mel(torch.from_numpy(mel), rate)
    louder = predictor_from_mel(torch.from_numpy(mel), rate, order=3, noise=0.1, scale=2.0)
    assert a.shape == (2, 16, 5 * SUBFRAMES)
    for b, s in np.ndindex(2, 20):
        bands = [np.interp((s + 0.5) / 4, np.arange(5) + 0.5, row) for row in loud[b]]
        # of Gaussian noise
        amplitude = np.exp(np.interp(bins, centres, bands)) / np.sqrt(np.pi / 4)
        power = amplitude**2 / (n_fft * 3 / 8)  # the mean square of a Hann window
        r, noisy = (np.fft.irfft(power + v**2)[:17] * window for v in (5e-4, 0.1))
        for (mine, size), want, scale in (
            ((a[b, :, s], gain[b, s]), levinson_durbin(r), 1),
            ((louder[0][b, :, s], louder[1][b, s]), levinson_durbin(noisy[:4]), 2),
        ):
            np.testing.assert_allclose(mine, want.coefficients, rtol=1e-7, atol=1e-9)
            assert math.isclose(size, scale * math.sqrt(want.variances[-1]), rel_tol=1e-9)


def test_silence_with_dither_is_white_noise_of_scale_one():
    x = 5e-4 * np.random.default_rng(0).normal(size=8000)
    quiet = torch.full((1, 32, 100), -20.0, dtype=torch.float64)
    e = FLOW(torch.from_numpy(x)[None, None], predictor_from_mel(quiet, 8000, noise=5e-4))[0]
    assert 0.97 < e.std() < 1.03


def test_speech_becomes_an_excitation_of_even_scale_and_flat_spectrum():
    clip = data.example()
    x = clip.audio[: len(clip.audio) // 80 * 80] + 5e-4 * np.random.default_rng(0).normal(
        size=len(clip.audio) // 80 * 80
    )
    e = whitened(x, 8000)[0, 0].numpy()
    frames = e[: len(e) // 80 * 80].reshape(-1, 80).std(1)
    loud = x[: len(x) // 80 * 80].reshape(-1, 80).std(1)
    assert np.log(frames).std() < 0.4 * np.log(loud).std()
    flatness = [
        np.mean(np.log(p)) - np.log(np.mean(p))
        for p in (np.abs(audio.stft(v, 256, 80)).mean(1) ** 2 for v in (x, e))
    ]
    assert flatness[1] > -0.5 > flatness[0] + 0.5


def test_a_loud_vowel_next_to_silence_stays_bounded():
    """The predictors of a tone and of silence in turn: the filter is stable and so is the switching."""
    tone = (
        0.5
        * np.sin(2 * np.pi * 440 * np.arange(80 * 200) / 8000)
        * (np.arange(80 * 200) // 800 % 2)
    )
    mel = torch.from_numpy(mel_bands(tone, 8000, 32))[None]
    context = predictor_from_mel(mel, 8000)
    assert context.gain.shape == (1, 200 * SUBFRAMES)
    x = FLOW.inverse(noise(1, 1, 80 * 200), context)[0]
    assert x.abs().max() < 20 * np.abs(tone).max()


def test_wrong_shapes_are_named():
    context = predictor(2, 4, 3)
    with pytest.raises(ValueError, match="multiple of 4"):
        FLOW(noise(2, 1, 18), context)
    for shape in ((2, 16), (3, 1, 16), (2, 2, 16)):
        for direction in (FLOW.forward, FLOW.inverse):
            with pytest.raises(ValueError, match=r"shape \(2, 1, T\), T a multiple of 4"):
                direction(noise(*shape), context)
    with pytest.raises(ValueError, match="gains"):
        FLOW(noise(2, 1, 16), Predictor(context.coefficients, context.gain[:, :3]))
