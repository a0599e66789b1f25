"""The waveform model: its parts fit together, its pieces are the whole, and what ships makes sound like its input."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from minigen import conditioning, data
from minigen.audio import to_level
from minigen.distillation import DistillationLoss
from minigen.metrics import log_mel_distance
from minigen.speech import waveform_model
from minigen.speech.corpus import LOUD, Crops, as_batch, held_out
from minigen.speech.waveform_model import (
    ExcitationLikelihood,
    ExcitationStudent,
    ExcitationTeacher,
)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def clip():
    found = data.spoken_digits("slt", "seven")[0]
    return replace(found, speaker=waveform_model.ANYBODY)


SMALL = {"residual": 6, "skip": 6, "layers": 4, "cycles": 1, "hidden": 8}


def small_teacher() -> ExcitationTeacher:
    teacher = ExcitationTeacher(**SMALL)
    torch.nn.init.normal_(teacher.wavenet.output_projection.weight, std=0.1)
    return teacher


def small_student() -> ExcitationStudent:
    student = ExcitationStudent(flows=2, layers=3, residual=6, hidden=8)
    for flow in student.student.flows:
        torch.nn.init.normal_(flow.output_projection.weight, std=0.1)
    return student


def test_the_conditioning_does_not_know_the_phase_of_the_recording(clip):
    teacher = small_teacher()
    upside_down = replace(clip, audio=-clip.audio)
    first, second = (as_batch(c, 0.0, teacher.spec) for c in (clip, upside_down))
    for name in ("frames", "phase"):
        torch.testing.assert_close(first[name], second[name], atol=1e-4, rtol=1e-4)
    assert first["phase"].shape[1] == teacher.spec.phase_features == 7


def test_log_prob_is_that_of_each_sample_given_its_past(clip):
    """Σ_t log N(x[t]; Σ_k a_k x[t-k] + g mean[t], g scale[t]): the change of variables, written out."""
    teacher = small_teacher().double()
    batch = {
        k: v.double() if v.is_floating_point() else v
        for k, v in as_batch(clip, 5e-4, teacher.spec).items()
    }
    params, _, _ = teacher(batch)
    mean, log_scale = teacher.wavenet.head.split(params)
    a, g = teacher.predictor(batch)
    hop = clip.audio.size // g.shape[1]
    g = g.repeat_interleave(hop, 1)
    x = batch["audio"][:, 0]
    past = torch.nn.functional.pad(x, (16, 0))
    predicted = sum(
        a[:, k - 1].repeat_interleave(hop, 1) * past[:, 16 - k : past.shape[1] - k]
        for k in range(1, 17)
    )
    density = torch.distributions.Normal(predicted + g * mean[:, 0], g * log_scale[:, 0].exp())
    torch.testing.assert_close(teacher.log_prob(batch), density.log_prob(x).sum(1))


def test_calibration_makes_the_median_that_of_a_normal(clip):
    teacher = small_teacher()
    batch = as_batch(clip, 5e-4, teacher.spec)
    scale = teacher.calibrate([batch])
    # from the start again
    assert scale == teacher.scale == pytest.approx(teacher.calibrate([batch]))
    assert abs(teacher.excitation(batch)[0].abs().median().item() - 0.6745) < 1e-3


@pytest.mark.parametrize("chunk", [16, 48])
def test_pieces_are_the_whole(clip, chunk):
    student = small_student()
    mel = conditioning.mel_bands(clip.audio, 8000, 32)
    parts = [(mel, clip.f0), (mel[:, :37], clip.f0[:37])]
    frames, phase = (
        np.concatenate(f, -1)
        for f in zip(*(conditioning.planned_features(*p, student.spec) for p in parts), strict=True)
    )
    batch = student._batch(*(torch.from_numpy(rows)[None] for rows in (frames, phase)))
    z = torch.randn(1, 1, phase.shape[1], generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        at_once = student.sound(student.student(z, student.conditioning(batch))[0], batch)[
            0, 0
        ].clamp(-1, 1)
    pieces = list(student.pieces(parts, torch.Generator().manual_seed(3), chunk=chunk))
    assert {len(piece) for piece in pieces[:-1]} == {80 * chunk}
    np.testing.assert_allclose(np.concatenate(pieces), at_once.numpy(), atol=1e-5)


def test_the_spectral_losses_reach_the_flows_through_the_filter(clip):
    teacher, student = small_teacher(), small_student()
    batches = Crops([clip] * 2, 2, 30, 5e-4, spec=student.spec)
    loss = DistillationLoss(student, teacher.wavenet, kl=0.0, penalty=0.0)
    value, metrics = loss(batches(0))
    value.backward()
    assert all(flow.output_projection.weight.grad.abs().sum() > 0 for flow in student.student.flows)
    batch = batches(0)
    e = student.student(batch["noise"], student.conditioning(batch))[0]
    assert metrics["std_ratio"] == pytest.approx(
        (student.sound(e, batch).std() / batch["audio"].std()).item()
    )


def test_a_few_steps_raise_the_likelihood(clip):
    teacher = small_teacher()
    batches = Crops([clip], 2, 40, 5e-4, spec=teacher.spec)
    teacher.calibrate(batches(step) for step in range(3))
    objective = ExcitationLikelihood(teacher)
    before = objective(batches(99))[1]["nll"]
    optimizer = torch.optim.Adam(teacher.parameters(), 1e-2)
    for step in range(12):
        optimizer.zero_grad()
        objective(batches(step))[0].backward()
        optimizer.step()
    assert objective(batches(99))[1]["nll"] < before - 0.02


def test_the_nats_that_are_logged_are_those_of_the_sound(clip):
    """Not of the excitation: its unit is a few per cent of the sound's."""
    teacher = small_teacher()
    batch = as_batch(clip, 5e-4, teacher.spec)
    nats = -teacher.log_prob(batch).item() / batch["audio"].shape[-1]
    loss, metrics = ExcitationLikelihood(teacher)(batch)
    assert metrics["nll"] == pytest.approx(nats, abs=0.1) and abs(loss.item() - nats) > 1
    assert metrics["log_scale"] == pytest.approx(teacher(batch)[0][:, 1].mean().item())


@pytest.mark.parametrize("build", [small_teacher, small_student])
def test_temperature_and_seed_are_those_of_the_noise(clip, build):
    model = build()
    mel = conditioning.mel_bands(clip.audio, 8000, 32)[:, :32]
    make = lambda **given: model.synthesize(mel, clip.f0[:32], **given)
    assert np.array_equal(make(seed=1), make(seed=1))
    assert np.abs(make(seed=1) - make(seed=2)).max() > 1e-3
    quiet, usual = make(seed=1, temperature=0.0), make(seed=1)
    assert np.array_equal(quiet, make(seed=2, temperature=0.0))
    assert quiet.std() < 0.5 * usual.std()
    assert usual.dtype == np.float32 and np.abs(make(temperature=1e3)).max() == 1


def test_a_teacher_makes_sound_sample_by_sample_by_any_backend(clip, monkeypatch):
    teacher, asked = small_teacher(), []
    mel = conditioning.mel_bands(clip.audio, 8000, 32)[:, :20]
    usual = waveform_model.generate
    watch = lambda *args, **options: asked.append(options["backend"]) or usual(*args, **options)
    monkeypatch.setattr(waveform_model, "generate", watch)
    made = [teacher.synthesize(mel, clip.f0[:20], backend=name) for name in ("numba", "numpy")]
    assert asked == ["numba", "numpy"] and made[0].shape == (1600,)
    assert np.isfinite(made[0]).all() and np.allclose(*made, atol=1e-3)


@pytest.mark.parametrize("kind", waveform_model.KINDS)
def test_the_usual_sizes_are_those_of_what_ships(clip, kind):
    """Its weights fit, and mean the same: conditioning, predictor, filter and floor of the scale."""
    shipped, usual = waveform_model.load(kind), waveform_model.KINDS[kind]()
    if kind == "student":  # as it begins, it passes the noise through
        z = torch.randn(1, 1, 800)
        assert torch.allclose(usual.student(z, torch.randn(1, 33, 800))[0], z, atol=1e-5)
    usual.load_state_dict(shipped.state_dict())
    batch = as_batch(clip, 5e-4, shipped.spec)
    assert usual.spec == shipped.spec
    found, want = (model.conditioning(batch) for model in (usual, shipped))
    assert torch.equal(found, want)
    assert torch.equal(usual.excitation(batch)[0], shipped.excitation(batch)[0])
    if kind == "teacher":
        assert torch.equal(usual.log_prob(batch), shipped.log_prob(batch))
        assert usual.wavenet.head.min_log_scale == shipped.wavenet.head.min_log_scale == -5


def test_wrong_names_are_named(tmp_path):
    for missing in ("pupil", tmp_path / "none.safetensors"):
        with pytest.raises(ValueError, match="choose student or teacher, or give a file"):
            waveform_model.load(missing)


def test_what_ships_makes_held_out_words_again():
    """Spectrum and loudness of the recording, though all that is left of it is 34 numbers a frame."""
    student, distances, ratios = waveform_model.load(), [], []
    for clip in held_out()[1][::10]:
        x = to_level(clip.audio, clip.rate, LOUD)
        batch = as_batch(replace(clip, audio=x, speaker=waveform_model.ANYBODY), spec=student.spec)
        noise = torch.randn(batch["audio"].shape, generator=torch.Generator().manual_seed(0))
        e = student.student(noise, student.conditioning(batch))[0]
        made = student.sound(e, batch)[0, 0].numpy()
        distances.append(log_mel_distance(made, x, clip.rate))
        ratios.append(made.std() / x.std())
    assert np.mean(distances) < 5.5
    assert 0.85 < np.median(ratios) < 1.15


def test_sizes_and_noise_are_as_asked(clip):
    plain, other = (
        ExcitationTeacher(**SMALL, **more) for more in ({}, {"kernel": 3, "noise": 0.05})
    )
    assert other.wavenet.receptive_field == 2 * plain.wavenet.receptive_field - 1
    assert ExcitationStudent(2, 3, 4, kernel=3).student.receptive_field > 1.5 * (
        ExcitationStudent(2, 3, 4).student.receptive_field
    )
    batch = as_batch(clip, 0.0, plain.spec)
    flat = [model.predictor(batch)[0].abs().mean() for model in (plain, other)]
    assert flat[1] < 0.9 * flat[0]  # more noise, less to predict


def test_the_nats_of_voiced_samples_are_of_those_where_voicing_is_at_full_strength(clip):
    teacher = small_teacher()
    batch = as_batch(clip, 5e-4, teacher.spec)
    params, e, _ = teacher(batch)
    first = teacher.wavenet.receptive_field
    nll = -teacher.wavenet.head.log_prob(params, e)[:, first:]
    voicing = batch["phase"][:, [0, 3], first:].norm(dim=1)  # cos and sin of one angle
    voiced = nll[voicing > 0.5**0.5].mean().item()
    loss, metrics = ExcitationLikelihood(teacher)(batch)
    assert metrics["voiced"] == pytest.approx(voiced, rel=1e-5)
    assert loss.item() == pytest.approx(nll.mean().item(), rel=1e-6)
    assert ((voicing > 0) & (voicing < 0.7)).any()
