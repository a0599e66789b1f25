"""What a voice learns from: held-out clips, clips made ready, crops."""

import dataclasses
import inspect

import numpy as np
import pytest
import torch

from minigen import audio, conditioning, data
from minigen.speech import corpus, voice
from minigen.speech.conversion_features import Features, extract
from minigen.speech.conversion_training import ConversionCrops


@pytest.fixture(scope="module")
def batches():
    clips = [clip for clip in data.spoken_digits() if "_t1.0_" in clip.name]
    return corpus.Crops(clips, batch=4, frames=20, dither=0.0)


def test_batches_are_a_function_of_the_step(batches):
    a, b, c = batches(3), batches(3), batches(4)
    for name in a:
        assert torch.equal(a[name], b[name])
    assert not torch.equal(a["audio"], c["audio"])
    halves = batches(3, 0, 2), batches(3, 1, 2)
    for name in a:
        assert torch.equal(torch.stack([halves[i % 2][name][i // 2] for i in range(4)]), a[name])
    with pytest.raises(ValueError, match="cannot be shared"):
        batches(0, 0, 3)


def test_audio_and_features_stay_together(batches):
    """Loud frames are voiced ones: a shift of the features by 100 ms would break the match."""
    levels, voiced = [], []
    for step in range(20):
        batch = batches(step)
        levels.append(batch["audio"].reshape(4, 20, -1).square().mean(-1).flatten())
        voiced.append(batch["frames"][:, -2].flatten())
    level, voicing = torch.cat(levels).sqrt(), torch.cat(voiced)
    assert level[voicing > 0].mean() > 5 * level[voicing == 0].mean()


def test_held_out_clips_are_never_trained_on():
    train, kept = corpus.held_out()
    assert len(kept) == 30 and len(train) == 330
    assert {(c.text, c.speaker) for c in kept} == {(c.text, c.speaker) for c in train}
    assert not {c.name for c in kept} & {c.name for c in train}


def test_a_corpus_is_resampled_cut_to_frames_and_given_its_pitch(monkeypatch):
    words = [clip for clip in data.spoken_digits("rms") if "_p1.0" in clip.name]
    high = [np.clip(audio.resample(clip.audio, 8000, 16_000), -1, 1) for clip in words]
    clips = [
        dataclasses.replace(clip, audio=x, rate=16_000, phones=None, f0=None)
        for clip, x in zip(words, high, strict=True)
    ]
    monkeypatch.setattr(data, "allison", lambda: clips)
    for rate in (8000, 12_000):
        off = []
        for clip, word in zip(corpus.read("allison", rate), words, strict=True):
            assert clip.rate == rate and len(clip.audio) == len(clip.f0) * (rate // 100)
            assert abs(len(clip.f0) - len(word.f0)) <= 1 and clip.speaker == corpus.ANYBODY
            n = min(len(clip.f0), len(word.f0))
            both = (clip.f0[:n] > 0) & (word.f0[:n] > 0)
            off.append(np.abs(clip.f0[:n][both] / word.f0[:n][both] - 1))
        assert np.median(np.concatenate(off)) < 0.02


def test_phones_keep_their_times_at_another_rate():
    word = data.example()
    clip = corpus.ready(word, 12_000)
    assert [name for name, _, _ in clip.phones] == [name for name, _, _ in word.phones]
    assert np.allclose([p[2] for p in clip.phones], [p[2] for p in word.phones], atol=0.011)
    part = dataclasses.replace(word, audio=word.audio[:2030], f0=None, phones=None)
    spans = [("ah", 0.0, 0.1), ("b", 0.1, 0.25), ("s", 0.25, 0.25375)]  # 25 frames and a rest
    part = corpus.ready(dataclasses.replace(part, phones=spans), 8000)
    assert [name for name, _, _ in part.phones] == ["ah", "b"]  # none lasts no time
    long = dataclasses.replace(word, phones=[("s", 0.0, word.duration + 0.04)])
    for rate in (8000, 12_000):  # none is longer than the sound
        clip = corpus.ready(long, rate)
        assert clip.phones[0][2] == len(clip.audio) / rate


def test_sentences_are_held_out_by_their_text():
    clip = data.example()
    texts = [f"Sentence number {word} is here" for word in range(300)] + ["three", "one two three"]
    clips = [dataclasses.replace(clip, text=text) for text in texts]
    long = np.zeros(9 * 8000, np.float32)
    clips += [dataclasses.replace(c, audio=long, phones=None, f0=None) for c in clips[:300]]
    clips += [dataclasses.replace(c, text=c.text.upper() + "!") for c in clips[:300]]
    train, kept = corpus.held_out(clips, "allison")
    assert len(train) + len(kept) == len(clips) and 30 <= len(kept) <= 90
    assert all(len(c.text.split()) >= 4 and c.duration <= 8 for c in kept)
    plain = lambda part: {c.text.lower().strip("!") for c in part if c.duration <= 8}
    assert not plain(kept) & plain(train)  # the same words lie on one side


def test_of_fsdd_the_first_five_of_each_word_and_speaker_are_held_out():
    clips = [dataclasses.replace(data.example(), name=f"7_jackson_{k}") for k in range(50)]
    assert corpus.held_out(clips, "fsdd") == (clips[5:], clips[:5])


@pytest.mark.parametrize("gain", [0.1, 0.5])
def test_a_clip_is_brought_to_one_level(gain):
    clip = data.example()
    quiet = dataclasses.replace(clip, audio=gain * clip.audio)
    loud = corpus.at_one_level(quiet).audio
    assert audio.speech_level(loud, 8000) == pytest.approx(corpus.LOUD, rel=0.02)
    assert loud.dtype == np.float32


@pytest.mark.parametrize("bad", [{"batch": 0}, {"frames": 0}, {"dither": -1}, {"dither": np.inf}])
def test_crops_that_cannot_be(bad):
    with pytest.raises(ValueError, match="Crops needs"):
        corpus.Crops(data.spoken_digits()[:1], **{"batch": 1, "frames": 1, "dither": 0.0} | bad)


def test_clips_are_chosen_by_length_if_asked():
    clips = data.spoken_digits("slt")[:2]
    short, long = clips[0], clips[1]
    tripled = dataclasses.replace(
        long,
        audio=np.tile(long.audio, 3) * 0 + 0.5,
        f0=np.tile(long.f0, 3),
        phones=[(p, a, b) for p, a, b in long.phones],
    )
    spec = dataclasses.replace(conditioning.DIGITS, speakers=("slt",))
    share = len(tripled.f0) / (len(tripled.f0) + len(short.f0))
    for by_length, expected in ((False, 0.5), (True, share)):
        batches = corpus.Crops([short, tripled], 1, 1, 0.0, by_length=by_length, spec=spec)
        seen = [batches.item(step, 0)["audio"].mean() == 0.5 for step in range(500)]
        assert abs(np.mean(seen) - expected) < 0.08


def test_crops_hold_the_features_of_their_own_samples():
    """Frame by frame: audio, frame features and phase of a crop come from one place of one clip."""
    clip = data.spoken_digits("slt", "seven")[0]
    spec = dataclasses.replace(conditioning.DIGITS, speakers=("slt",))
    batches = corpus.Crops([clip], batch=1, frames=10, dither=0.0, spec=spec)
    frames, phase = conditioning.features(clip)
    hop, n = spec.hop, frames.shape[1]
    alone = corpus.as_batch(clip)
    assert np.array_equal(alone["frames"][0], frames) and np.array_equal(alone["phase"][0], phase)
    assert np.array_equal(alone["audio"][0, 0], clip.audio)
    whole = np.tile(clip.audio, 2)
    for step in range(20):
        crop = batches.item(step, 0)
        x, f, p = crop["audio"], crop["frames"], crop["phase"]
        (first,) = [k for k in range(n) if np.array_equal(whole[k * hop : (k + 10) * hop], x[0])]
        at = np.arange(first, first + 10) % n
        assert np.array_equal(f, frames[:, at])
        assert np.array_equal(p, phase.reshape(6, n, hop)[:, at].reshape(6, -1))


def test_conditioning_that_comes_a_frame_late_or_early_costs_likelihood():
    """The shipped teacher predicts held-out recordings best with features in time."""
    teacher, kept = voice.load("teacher"), corpus.held_out()[1]
    nll = {shift: [] for shift in (-1, 0, 1)}
    for clip in kept[::5]:
        for shift, found in nll.items():
            batch = corpus.as_batch(clip, 0.0005)
            batch["frames"] = batch["frames"].roll(shift, -1)
            batch["phase"] = batch["phase"].roll(shift * conditioning.DIGITS.hop, -1)
            found.append(
                -teacher.wavenet.head.log_prob(teacher(batch), batch["audio"]).mean().item()
            )
    early, right, late = (np.mean(nll[shift]) for shift in (-1, 0, 1))
    assert late > right + 0.1 and early > right + 0.1


def test_items_steps_and_seeds_differ_and_the_same_repeat(batches):
    clips = [clip for pool in ("slt",) for clip in data.spoken_digits(pool)[:4]]
    spec = dataclasses.replace(conditioning.DIGITS, speakers=("slt",))
    make = lambda **more: corpus.Crops(clips, 2, 5, 0.01, **more, spec=spec)
    draws = [
        make(seed=seed).item(step, index) for seed in (0, 1) for step in (0, 1) for index in (0, 1)
    ]
    for name in ("audio", "noise"):
        assert len({draw[name].tobytes() for draw in draws}) == 8
    assert np.array_equal(make(seed=1).item(1, 1)["audio"], draws[-1]["audio"])


def test_minutes_are_a_share_from_all_over_the_corpus():
    minutes = sum(clip.duration for clip in data.spoken_digits()) / 60
    some = corpus.read("spoken_digits", 8000, minutes=1)
    assert len(some) == int(np.ceil(360 / minutes))
    assert len({clip.name.split("_")[1] for clip in some}) == 3


def test_other_data_have_another_fingerprint():
    clips = data.spoken_digits("slt")[:6]
    spec = dataclasses.replace(conditioning.DIGITS, speakers=("slt",))
    print_of = lambda clips, **more: corpus.Crops(clips, 2, 5, 0.0, spec=spec, **more).fingerprint
    first, own = clips[0], print_of(clips)
    louder = dataclasses.replace(first, audio=(0.99 * first.audio).astype(np.float32))
    phones = [("s" if p == "z" else p, a, b) for p, a, b in first.phones]
    for other in (
        [louder, *clips[1:]],
        clips[:5],
        [dataclasses.replace(first, phones=phones), *clips[1:]],
    ):
        found = print_of(other)
        assert found.shape != own.shape or not torch.allclose(found, own, rtol=1e-4)
    assert torch.equal(print_of(clips, seed=4), own)


def test_no_speaker_said_a_held_out_word_in_training():
    clips, seen = data.spoken_digits(), set()
    said = lambda some: {(clip.speaker, clip.text) for clip in some}
    for fold in range(5):
        learn, out = corpus.held_out_speaker_words(clips, fold)
        assert len(learn) + len(out) == len(clips) and not said(learn) & said(out)
        assert {clip.text for clip in learn} == {clip.text for clip in clips}  # others say it
        assert not seen & said(out)
        seen |= said(out)
    assert len(seen) == 30
    with pytest.raises(ValueError, match="folds 0 to 4"):
        corpus.held_out_speaker_words(clips, 5)


@pytest.mark.parametrize("dither", [0.0, 0.003, 0.02])
def test_dither_has_the_deviation_that_it_says(dither):
    """In silence nothing else is left: of crops, of whole clips, of what conversion learns from."""
    clip = data.example()
    silent = dataclasses.replace(clip, audio=np.zeros_like(clip.audio))
    spec = dataclasses.replace(conditioning.DIGITS, speakers=(clip.speaker,))
    seen = Features(
        *(value * (name != "audio") for name, value in extract(clip.audio)._asdict().items())
    )
    for found in (
        corpus.Crops([silent], 8, 20, dither, spec=spec)(0),
        corpus.as_batch(silent, dither, spec),
        ConversionCrops([seen], [0], 8, 20, dither=dither)(0),
    ):
        assert found["audio"].std().item() == pytest.approx(dither, rel=0.05)


def test_every_voice_is_conditioned_on_one_level():
    """The networks that ship know no other; `audio.to_level` brings to it unless another is asked for."""
    usual = inspect.signature(audio.to_level).parameters["level"].default
    assert corpus.LOUD == usual == 0.15


@pytest.mark.parametrize("grid", [1, 4, 7])
def test_crops_begin_on_the_grid_and_go_on_in_the_next_clip(grid):
    rows = [np.arange(n) + 1000 * k for k, n in enumerate((28, 56))]
    pool = [{"a": row[None], "b": np.repeat(row, 3)[None]} for row in rows]
    sampler, rng, begins = (
        corpus.CropSampler([pool], 20, grid=grid),
        np.random.default_rng(0),
        set(),
    )
    for _ in range(1000):
        _, crop = sampler(rng)
        a = crop["a"][0]
        assert np.array_equal(crop["b"][0], np.repeat(a, 3)) and len(a) == 20
        jumps = np.flatnonzero(np.diff(a) != 1)
        assert all(a[j] in (27, 1055) and a[j + 1] in (0, 1000) for j in jumps)
        begins.add(int(a[0]))
    assert begins == {v for row in rows for v in row[::grid].tolist()}


def test_a_clip_that_will_not_do_is_named():
    clip = dataclasses.replace(data.example(), name="mine", phones=None, f0=None)
    with pytest.raises(ValueError, match="mine is shorter than a frame of 10 ms"):
        corpus.ready(dataclasses.replace(clip, audio=clip.audio[:79]), 8000)
    with pytest.raises(ValueError, match="mine: .*no speech"):
        corpus.at_one_level(dataclasses.replace(clip, audio=np.zeros(8000, np.float32)))
    with pytest.raises(ValueError, match="no corpus 'nothing'"):
        corpus.read("nothing", 8000)
    with pytest.raises(ValueError, match="clips of every speaker"):
        corpus.CropSampler([[{"a": np.zeros(9)}], []], 3)
