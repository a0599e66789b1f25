"""Speech as codes and back in another voice: what is seen, what learns, and the bars, measured afresh."""

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.fft import idct
from scipy.signal import lfilter

from minigen import audio, code_prior, data, vq, weights
from minigen.distributions import GaussianHead
from minigen.metrics import DigitRecogniser, mel_cepstral_distortion
from minigen.speech import conversion
from minigen.speech import conversion_measures as measures
from minigen.speech import conversion_training as training
from minigen.train import TrainConfig, Trainer
from minigen.wavenet import WaveNet

ROOT = Path(__file__).parents[2]
LEARN, KEPT = training.corpus("spoken_digits")
SPEAKERS = ("slt", "rms", "awb")


def small(seed: int = 0) -> conversion.SpeechVQVAE:
    """An untrained model whose layers all do something, with a WaveNet that looks back 7 samples."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = WaveNet(GaussianHead(-5.0), 4, 4, layers=2, cycles=2, cond_channels=9)
        torch.nn.init.normal_(net.output_projection.weight, std=0.1)
        model = conversion.SpeechVQVAE(
            SPEAKERS, net, codebook_size=8, embedding_dim=4, encoder=6, hidden=6
        )
    model.log_f0.copy_(torch.tensor([[5.0, 0.1], [4.4, 0.1], [4.7, 0.2]]))
    return model


def some(count: int = 6) -> tuple[list[conversion.Features], list[int]]:
    """Features of a few clips of every speaker, and their speakers."""
    clips = [c for who in SPEAKERS for c in [c for c in LEARN if c.speaker == who][:count]]
    return [conversion.hear(c.audio, c.f0) for c in clips], [
        SPEAKERS.index(c.speaker) for c in clips
    ]


# ---------------------------------------------------------------- what is seen of a waveform


def test_the_encoder_hears_neither_level_nor_the_clips_mean():
    clip = LEARN[0]
    one, half = (conversion.hear(gain * clip.audio, clip.f0) for gain in (1.0, 0.5))
    assert np.allclose(one.heard, half.heard, atol=1e-3)
    assert not np.allclose(one.spectrum[0], half.spectrum[0], atol=1)  # the level is there
    # a fixed filter moves the mean spectrum; of that the encoder hears little
    filtered = np.convolve(clip.audio, [1.0, 0.5])[: len(clip.audio)] / 1.5
    other = conversion.hear(filtered, clip.f0)
    loud = one.spectrum[0] > np.median(one.spectrum[0])
    moved = np.abs(other.spectrum - one.spectrum)[:13, loud].mean()
    assert np.abs(other.heard - one.heard)[:, loud].mean() < 0.35 * moved


def test_frames_are_centred_where_f0_is():
    """A click at (n + ½) · 10 ms is loudest in frame n, and alike in its neighbours."""
    x = np.zeros(8000)
    for n in (20, 51, 70):
        x[n * 80 + 40] = 0.5
    level = conversion.hear(x, np.zeros(100)).spectrum[0]
    for n in (20, 51, 70):
        before, here, after = level[n - 1 : n + 2]
        assert here > max(before, after) + 1 and before == pytest.approx(after, abs=0.1)


def test_features_are_whole_codes_long():
    for length in (1600, 1601, 1759, 1760):
        got = conversion.hear(np.random.default_rng(0).normal(0, 0.1, length), np.full(21, 100.0))
        frames = 2 * -(-length // 160)
        assert got.heard.shape == (13, frames) and got.spectrum.shape == (25, frames)
        assert got.f0.shape == (frames,)
        assert got.audio.shape == (80 * frames,) and got.phase.shape == (6, 80 * frames)


def test_f0_gets_the_wanted_moments():
    f0 = np.array([0.0, 100, 110, 120, 0, 130])
    made = conversion.convert_f0(f0, np.log(200), 0.15)
    assert np.array_equal(made == 0, f0 == 0)
    assert conversion.log_f0_moments(made) == pytest.approx((np.log(200), 0.15))
    logs = np.log(f0[f0 > 0])
    wanted = np.log(200) + 0.15 * (logs - logs.mean()) / logs.std()
    assert np.allclose(np.log(made[made > 0]), wanted)
    silent = np.zeros(4)
    assert np.array_equal(conversion.convert_f0(silent, 5.0, 0.1), silent)
    flat = conversion.convert_f0(np.array([100.0, 100.01]), np.log(200), 0.3)  # no wild stretch
    assert np.allclose(flat, 200, rtol=1e-3)


# ---------------------------------------------------------------- another vocal tract


def resonance(hz: float, width: float = 120.0) -> np.ndarray:
    """Magnitudes of 129 frequencies with one peak, (129, 1)."""
    f = np.linspace(0, 4000, 129)
    return np.exp(-0.5 * ((f - hz) / width) ** 2)[:, None]


@pytest.mark.parametrize("stretch", [0.8, 0.9, 1.1, 1.25])
def test_a_peak_moves_by_the_factor_and_keeps_its_height(stretch):
    f = np.linspace(0, 4000, 129)
    for hz in (400, 800, 1500, 2000):
        moved = conversion.stretch_frequencies(resonance(hz), stretch)[:, 0]
        assert f @ moved / moved.sum() == pytest.approx(stretch * hz, abs=2)
        assert moved.max() == pytest.approx(1, abs=0.03)
    # the ends stay, the order stays: what rises still rises
    line = conversion.stretch_frequencies(f[:, None], stretch)[:, 0]
    assert line[0] == 0 and line[-1] == pytest.approx(4000) and (np.diff(line) > 0).all()
    back = conversion.stretch_frequencies(line[:, None], 1 / stretch)[:, 0]
    assert np.allclose(back, f, atol=5)


def vowels(*resonances: float) -> conversion.Features:
    """Half a second of pulses through each resonance in turn."""
    pulses, r = np.zeros(4000), np.exp(-np.pi * 150 / 8000)  # 150 Hz wide
    pulses[::80] = 1.0
    made = [
        lfilter([1], [1, -2 * r * np.cos(2 * np.pi * hz / 8000), r * r], pulses)
        for hz in resonances
    ]
    made = np.concatenate([x / x.std() for x in made])
    return conversion.hear(0.05 * made, np.full(len(made) // 80, 100.0))


def test_the_envelope_of_a_vowel_moves_by_the_factor():
    """Pulses through a resonance at 1,000 Hz: stretched, they are heard as through one at 1,150 Hz."""
    one, wanted = vowels(1000), vowels(1150)
    got, _ = conversion._cepstrum(one.audio, 1.15)
    envelopes = [
        idct(np.pad(c[:25, 10:40], ((0, 7), (0, 0))), axis=0, norm="ortho").mean(1)
        for c in (one.spectrum, got, wanted.spectrum)
    ]
    before, after, right = (int(e.argmax()) for e in envelopes)
    assert before < after and abs(after - right) <= 1


def test_stretched_vowels_are_heard_as_those_of_a_shorter_tract():
    one, higher = vowels(800, 1600), vowels(1.15 * 800, 1.15 * 1600)
    to_higher = lambda stretch: np.abs(
        conversion.hear_stretched(one, stretch)[1:] - higher.heard[1:]
    ).mean()
    away, same, near = map(to_higher, (1 / 1.15, 1.0, 1.15))
    assert near < 0.6 * same < 0.6 * away


def test_no_stretch_leaves_what_is_heard():
    for clip in LEARN[::50]:
        features = conversion.hear(clip.audio, clip.f0)
        assert np.array_equal(conversion.hear_stretched(features, 1.0), features.heard)
        other = conversion.hear_stretched(features, 1.15)
        assert other.shape == features.heard.shape and other.dtype == np.float32
        assert np.abs(other - features.heard).mean() > 0.1
    x = np.random.default_rng(0).random((129, 3))
    assert conversion.stretch_frequencies(x, 1.0) is x


def test_batches_let_the_encoder_alone_hear_another_tract():
    kinds = {"batch": 4, "frames": 30, "seed": 3}
    features, speakers = some(1)
    plain = training.SpeechBatches(features, speakers, **kinds)
    off = training.SpeechBatches(features, speakers, **kinds, stretch=1.0)
    on = training.SpeechBatches(features, speakers, **kinds, stretch=1.2)
    seen = set()
    for step in range(12):
        for name, value in plain(step).items():
            assert torch.equal(value, off(step)[name])
            assert torch.equal(value, on(step)[name]) == (name != "heard")
        for index in range(4):
            item, without = on.item(step, index), plain.item(step, index)
            clip = features[speakers.index(int(item["speaker"]))]
            pieces = clip.heard.shape[1]
            start = next(
                n
                for n in range(0, pieces, 2)
                if np.array_equal(np.tile(clip.heard, 3)[:, n : n + 30], without["heard"])
            )
            for power in np.linspace(-1, 1, 9):
                heard = np.tile(conversion.hear_stretched(clip, 1.2**power), 3)
                if np.array_equal(heard[:, start : start + 30], item["heard"]):
                    seen.add(round(power, 2))
                    break
            else:
                raise AssertionError("no factor gives what the encoder heard")
    assert len(seen) == 9  # all factors come up
    shards = [on(5, shard, 2)["heard"] for shard in range(2)]
    assert torch.equal(torch.stack(shards, 1).flatten(0, 1), on(5)["heard"])


# ---------------------------------------------------------------- the model


def test_a_code_sees_ten_frames_around_its_own_two():
    model = small()
    for n in (0, 7, 14):
        heard = torch.randn(1, 13, 30, generator=torch.Generator().manual_seed(0))
        heard.requires_grad_()
        (gradient,) = torch.autograd.grad(model.encoder(heard)[0, :, n].sum(), heard)
        seen = gradient.abs().sum((0, 1)).nonzero().flatten().tolist()
        assert seen[0] >= max(0, 2 * n - 4) and seen[-1] <= min(29, 2 * n + 5)
        if n == 7:
            assert seen[-1] - seen[0] + 1 >= 8  # ReLUs may shut a path at the rim


def test_decoding_repeats_and_depends_on_speaker_codes_and_pitch():
    model = small().eval()
    codes, f0 = torch.arange(8), np.full(16, 120.0)
    one = model.decode(codes, f0, "slt", seed=1)
    assert one.shape == (8 * 160,) and one.dtype == np.float32
    assert np.array_equal(one, model.decode(codes, f0, "slt", seed=1))
    for other in (
        model.decode(codes, f0, "rms", seed=1),
        model.decode(codes.flip(0), f0, "slt", seed=1),
        model.decode(codes, 1.3 * f0, "slt", seed=1),
        model.decode(codes, f0, "slt", seed=2),
    ):
        assert not np.array_equal(one, other)
    assert np.allclose(one, model.decode(codes, f0, "slt", seed=1, backend="naive"), atol=1e-4)


def test_codes_of_a_waveform_are_those_of_its_features():
    model, clip = small().eval(), KEPT[0]
    features = conversion.hear(clip.audio)
    codes = model.codes_of(clip.audio)
    assert torch.equal(codes, model.codes_of(features))
    quantized = model.quantize(torch.from_numpy(features.heard)[None])
    assert torch.equal(codes, quantized.codes[0])
    params, _ = model(training.SpeechBatches(*some(), batch=2, frames=20)(0))
    assert params.shape == (2, 2, 1600)


def test_a_melody_is_at_the_speakers_pitch():
    model = small().eval()
    with torch.no_grad():
        model.melody[-1].bias.copy_(torch.tensor([5.0, 5.0, 0.0, 0.0]))  # voiced; no shape
        model.melody[-1].weight.zero_()
    assert np.allclose(model.melody_of(torch.arange(4), "rms"), np.exp(4.4), rtol=1e-5)
    with torch.no_grad():
        model.melody[-1].bias.copy_(torch.tensor([5.0, -5.0, 1.0, 0.0]))  # every second frame
    got = model.melody_of(torch.arange(4), "awb")
    assert np.allclose(got[::2], np.exp(4.7 + 0.2), rtol=1e-5) and (got[1::2] == 0).all()


# ---------------------------------------------------------------- training


def test_batches_depend_on_seed_step_and_place_alone():
    batches = training.SpeechBatches(*some(), batch=4, frames=30, seed=3)
    whole, again = batches(5), batches(5)
    for name, value in whole.items():
        assert torch.equal(value, again[name])
        shards = [batches(5, shard, 2)[name] for shard in range(2)]
        assert torch.equal(torch.stack(shards, 1).flatten(0, 1), value)
    assert not torch.equal(whole["audio"], batches(6)["audio"])
    assert whole["heard"].shape == (4, 13, 30) and whole["phase"].shape == (4, 6, 2400)
    assert whole["pitch"].shape == (4, 2, 30) and whole["shifts"].shape == (4, 15)


def test_a_crops_rows_belong_together():
    """Every row of a crop of one clip alone is cut at the same place, at a whole code."""
    features, speakers = some(1)
    batches = training.SpeechBatches(features, speakers, batch=1, frames=20, dither=0.0)
    item = batches.item(0, 0)
    clip = features[speakers.index(int(item["speaker"]))]
    heard = np.concatenate([clip.heard] * 3, axis=1)
    (start,) = [
        n
        for n in range(0, clip.heard.shape[1], 2)
        if np.array_equal(heard[:, n : n + 20], item["heard"])
    ]
    for name, hop in (("audio", 80), ("spectrum", 1), ("phase", 80)):
        long = np.concatenate([getattr(clip, name)] * 3, axis=-1)
        assert np.array_equal(np.squeeze(item[name]), long[..., start * hop : (start + 20) * hop])


def gradients(**weights) -> dict[str, torch.Tensor]:
    frozen = weights.pop("frozen", False)
    model = small().train()
    model.quantizer.initialised.fill_(True)
    model.frozen = frozen
    batch = training.SpeechBatches(*some(), batch=3, frames=20)(0)
    loss, watched = training.ConversionLoss(model, **weights)(batch)
    loss.backward()
    assert all(np.isfinite(value) for value in watched.values())
    return {
        name: torch.zeros_like(w) if w.grad is None else w.grad
        for name, w in model.named_parameters()
    }


def test_every_part_of_the_loss_reaches_what_it_should():
    nothing = {"waveform": 0.0, "spectrum": 0.0, "commitment": 0.0, "speaker": 0.0}
    reached = lambda g, part: any(v.abs().sum() > 0 for n, v in g.items() if n.startswith(part))
    assert not reached(gradients(**nothing), "encoder.")
    for name in nothing:
        got = gradients(**nothing | {name: 1.0})
        assert reached(got, "encoder."), name
        assert reached(got, "wavenet.") == (name == "waveform")
        assert reached(got, "critic.") and reached(got, "melody.")  # those learn in any case
    frozen = gradients(frozen=True)
    assert not any(reached(frozen, part) for part in training.LEARNED_FIRST)
    assert reached(frozen, "wavenet.") and reached(frozen, "conditioner.")


def test_the_critics_gradient_arrives_reversed():
    z = torch.randn(2, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad((training._Reverse.apply(z, 0.3) ** 2).sum(), z)
    assert torch.allclose(gradient, -0.3 * 2 * z.detach())
    plain = {"waveform": 0.0, "spectrum": 0.0, "commitment": 0.0}
    one, two = gradients(**plain, speaker=1.0), gradients(**plain, speaker=2.0)
    name = "encoder.0.weight"
    assert torch.allclose(two[name], 2 * one[name]) and one[name].abs().sum() > 0
    assert torch.equal(one["critic.net.0.weight"], two["critic.net.0.weight"])


def test_blur_moves_the_decoders_vectors_by_about_a_code_and_leaves_the_codes():
    model = small().train()
    model.quantizer.initialised.fill_(True)
    model.frozen = True
    batch = training.SpeechBatches(*some(), batch=3, frames=20, jitter=0.0, dim=4)(0)
    seen = []
    model.conditioner.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    for blur in (0.0, 0.5):
        training.ConversionLoss(model, waveform=0.0, blur=blur)(batch)
    book = model.quantizer.codebook
    gaps = [sorted(torch.dist(a, b).item() for b in book)[1] for a in book]  # [0] is to itself
    median = sorted(gaps)[(len(gaps) - 1) // 2]  # the lower of the middle two, as torch has it
    assert torch.allclose(seen[1] - seen[0], 0.5 * median * batch["noise"] / 2, atol=1e-5)
    assert torch.equal(seen[0], model.quantizer.embed(model.encode(batch["heard"])))


def test_frozen_codes_stay(tmp_path):
    model = small()
    model.quantizer.initialised.fill_(True)
    model.frozen = True
    before = {k: v.clone() for k, v in model.state_dict().items() if k.startswith("quantizer")}
    batches = training.SpeechBatches(*some(), batch=2, frames=20)
    config = TrainConfig(steps=3, rate=1e-2, every=3)
    Trainer(training.ConversionLoss(model), batches, config, tmp_path).run()
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in before.items())


@pytest.mark.parametrize("stretch", [1.0, 1.2])
def test_a_run_resumes_exactly(tmp_path, stretch):
    batches = training.SpeechBatches(*some(), batch=2, frames=20, stretch=stretch)
    config = TrainConfig(steps=8, rate=1e-2, every=4)

    def run(folder, until=None, resume=False):
        model = small()
        Trainer(training.ConversionLoss(model), batches, config, folder).run(resume, until)
        return model.state_dict()

    whole = run(tmp_path / "whole")
    run(tmp_path / "parts", until=3)
    parts = run(tmp_path / "parts", resume=True)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_recipe_goes_on_from_a_model(tmp_path):
    """A step so small that nothing moves: the model is the one that it started from, scales and all."""
    recipe = tomllib.loads((ROOT / "training" / "vq_digits_voice_2.toml").read_text())
    recipe["model_from"] = str(weights.path("vq_spoken_digits"))
    del recipe["codes"]  # their averages would move in one step
    recipe["voice"]["run"] = {"steps": 1, "rate": 1e-12}
    recipe["voice"]["data"] |= {"batch": 1, "frames": 20, "stretch": 1.0}
    went_on = training.train(recipe, tmp_path).state_dict()
    for name, value in conversion.load()[0].state_dict().items():
        assert torch.allclose(went_on[name], value, atol=1e-6), name


def test_the_melodys_error_by_hand():
    pitch = torch.tensor([[[1.0, 1, 0, 1], [0.1, 0.3, 0, 0.2]]])  # voiced; log F0
    right = torch.tensor([-1.0, 1.0, 7.0, 0.0]) * 0.1 / np.sqrt(0.02 / 3)
    guess = torch.stack([torch.tensor([20.0, 20, -20, 20]), right])  # (2, N)
    folded = guess.unflatten(1, (2, 2)).transpose(1, 2).flatten(0, 1)[None]  # (1, 4, N/2)
    assert training._melody_error(folded, pitch) < 1e-6
    assert training._melody_error(-folded, pitch) > 10


def test_recipes_build_what_ships():
    for file in ("vq_digits_gpu", "vq_fsdd_gpu", "vq_digits_voice"):  # they do not ship, but fit
        recipe = tomllib.loads((ROOT / "training" / f"{file}.toml").read_text())
        conversion.SpeechVQVAE.build(recipe)
        for stage in set(training.STAGES) & set(recipe):
            training.SpeechBatches(*some(1), **recipe[stage]["data"])
            training.ConversionLoss(small(), **recipe[stage]["objective"])
            TrainConfig(**recipe[stage]["run"])
    for name, file in (("spoken_digits", "vq_digits_voice_2"), ("fsdd", "vq_fsdd_voice")):
        recipe = tomllib.loads((ROOT / "training" / f"{file}.toml").read_text())
        assert recipe["corpus"] == name
        built = conversion.SpeechVQVAE.build(recipe)
        built.critic = None  # not shipped
        model, card = conversion.load(name)
        assert built.speakers == model.speakers
        assert card["weights"] == sum(w.numel() for w in built.parameters())
        assert card["recipe"] == recipe


# ---------------------------------------------------------------- measures


def test_pairs_are_the_same_word_and_variant():
    made = measures.pairs(KEPT)
    assert len(made) == 60
    assert all(
        p.source.text == p.target.text and p.source.speaker != p.target.speaker for p in made
    )
    assert not {p.target.name for p in made} & {c.name for c in LEARN}
    with pytest.raises(ValueError, match="different speakers"):
        measures.pairs([KEPT[0]])


def test_the_judge_knows_speakers_and_not_levels():
    judge = measures.SpeakerJudge(LEARN)
    assert judge.accuracy(KEPT) >= 0.95
    assert all(judge(0.5 * clip.audio) == clip.speaker for clip in KEPT[::4])


def test_the_probe_by_hand():
    clip = lambda name, phones: data.Utterance(
        np.zeros(1280, np.float32), 8000, "x", "s", phones=phones, name=name
    )
    learn = [clip("a", [("pau", 0, 0.04), ("s", 0.04, 0.10), ("n", 0.10, 0.16)])]
    kept = [clip("b", [("pau", 0, 0.04), ("s", 0.04, 0.08), ("n", 0.08, 0.16)])]
    codes = {
        "a": torch.tensor([0, 0, 1, 1, 1, 2, 2, 2]),
        "b": torch.tensor([0, 0, 1, 1, 1, 2, 3, 2]),
    }
    got = measures.probe(codes, learn, kept)
    assert got["accuracy"] == pytest.approx(6 / 8)  # one n by code 1, one by the unknown code 3
    assert got["chance"] == pytest.approx(2 / 8)  # s, most frequent in training
    assert got["accuracy without pauses"] == pytest.approx(4 / 6)
    assert got["chance without pauses"] == pytest.approx(2 / 6)
    same = measures.probe({**codes, "b": torch.tensor([0, 0, 1, 1, 2, 2, 2, 2])}, learn, kept)
    p = np.array([2, 2, 4]) / 8
    assert same["mutual information"] == pytest.approx(-(p * np.log2(p)).sum())


def test_the_shipped_codes_know_phones():
    model, card = conversion.load()
    codes = {c.name: model.codes_of(conversion.hear(c.audio, c.f0)) for c in LEARN + KEPT}
    got = measures.probe(codes, LEARN, KEPT)
    for name, value in got.items():
        assert value == pytest.approx(card["codes against phones"][name], abs=0.01), name
    assert got["accuracy"] > 3 * got["chance"]
    assert vq.usage([codes[c.name] for c in LEARN], 128).used >= 120


def test_the_shipped_prior_beats_unigram_and_bigram():
    model, _ = conversion.load()
    prior, card = conversion.load_prior()
    codes = {c.name: model.codes_of(conversion.hear(c.audio, c.f0)) for c in LEARN + KEPT}
    learn, kept = ([codes[c.name] for c in part] for part in (LEARN, KEPT))
    words = torch.tensor([conversion.DIGIT_WORDS.index(c.text) for c in KEPT])
    nats = {order: code_prior.ngram_nats(order, learn, kept, 128) for order in (1, 2)}
    alone, told = prior.nats(kept).item(), prior.nats(kept, words).item()
    assert told < alone < nats[2] - 0.2 < nats[1] - 0.4
    written = card["nats a symbol, held out"]
    assert alone == pytest.approx(written["prior"], abs=0.01)
    assert nats[2] == pytest.approx(written["bigram"], abs=0.01)


def test_converted_words_are_nearer_sound_like_the_target_and_stay_words():
    """A third of the held-out pairs, afresh. The card has all of them with five seeds of the noise."""
    model, card = conversion.load()
    rows = measures.table(model, LEARN, KEPT, measures.pairs(KEPT)[::3])
    bars = {"mcd lower by %": 25, "target %": 90, "recognised %": 85}
    for column, bar in bars.items():
        assert card["conversion, held out"]["converted"][column] >= bar, column
        assert rows["converted"][column] >= bar - 5 * (column != "mcd lower by %"), column
    assert rows["source"]["target %"] <= 5 and rows["recording"]["recognised %"] >= 95
    assert card["speaker judge's accuracy on held-out recordings %"] >= 95
    assert len(card["converted, with each noise seed"]) == 5


def test_a_word_is_carried_over_and_the_voice_is_not():
    """One conversion through the public function, with F0 tracked from the sound."""
    clip = next(c for c in KEPT if c.text == "seven" and c.speaker == "slt")
    target = next(c for c in KEPT if c.text == "seven" and c.speaker == "rms")
    made = conversion.convert(clip.audio, "rms")
    assert len(made.audio) == len(clip.audio) and np.abs(made.audio).max() <= 1
    before = mel_cepstral_distortion(clip.audio, target.audio, 8000)
    assert mel_cepstral_distortion(made.audio, target.audio, 8000) < 0.8 * before
    assert measures.SpeakerJudge(LEARN)(made.audio) == "rms"
    assert DigitRecogniser(LEARN)(made.audio) == "seven"
    mean, _ = conversion.log_f0_moments(made.f0)
    assert mean == pytest.approx(conversion.load()[0].log_f0[1, 0].item(), abs=1e-5)
    kept = conversion.convert(clip.audio, "rms", keep_pitch=True)
    assert conversion.log_f0_moments(kept.f0)[0] > mean + 0.3  # hers


def test_new_utterances_are_words_of_the_speaker():
    recognise, judge = DigitRecogniser(LEARN[::2]), measures.SpeakerJudge(LEARN)
    made = [(w, conversion.utter("rms", w, seed=1)) for w in conversion.DIGIT_WORDS]
    assert np.mean([recognise(m.audio) == word for word, m in made]) >= 0.7
    assert np.mean([judge(m.audio) == "rms" for _, m in made]) >= 0.8
    a, b = (conversion.utter("slt", seed=seed) for seed in (0, 1))
    assert not torch.equal(a.codes, b.codes) and 5 <= len(a.codes) <= 100


# ---------------------------------------------------------------- the command, and errors


def run(*arguments, cwd):
    command = [sys.executable, "-m", "minigen.cli", *map(str, arguments)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "NO_COLOR": "1"}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_the_command_converts_any_wav(tmp_path):
    clip = data.example()
    x = audio.resample(clip.audio, 8000, 44100)
    import soundfile

    soundfile.write(tmp_path / "in.wav", np.stack([x, 0.5 * x], axis=1), 44100)  # stereo
    done = run("convert", "in.wav", "--to", "rms", "--out", "out.wav", cwd=tmp_path)
    assert done.returncode == 0 and "in the voice of rms" in done.stdout, done.stderr
    made, rate = audio.load(tmp_path / "out.wav")
    assert rate == 8000 and abs(len(made) - len(clip.audio)) <= 1
    assert measures.SpeakerJudge(LEARN)(made) == "rms"
    for arguments, message in (
        (("in.wav", "--to", "hal"), "no speaker 'hal'"),
        (("in.wav", "--to", "rms", "--model", "x"), "no model 'x'"),
        (("none.wav", "--to", "rms"), "no file none.wav"),
    ):
        done = run("convert", *arguments, cwd=tmp_path)
        assert done.returncode == 2 and message in done.stderr


def test_errors_say_what_is_wrong():
    model = small().eval()
    for call, message in (
        (lambda: conversion.hear(np.zeros(100)), "no speech"),
        (lambda: conversion.hear(np.zeros(8000)), "no speech"),
        (lambda: conversion.hear(np.zeros((2, 8000))), "(T,)"),
        (lambda: conversion.hear(np.full(8000, np.nan)), "finite"),
        (lambda: model.quantize(torch.zeros(1, 13, 5)), "N even"),
        (lambda: conversion.stretch_frequencies(np.ones((129, 2)), 0.0), "a factor of 2"),
        (lambda: model.decode(torch.arange(4), np.zeros(7), "slt"), "values of F0"),
        (lambda: model.decode(torch.arange(4), np.zeros(8), "hal"), "slt, rms, awb"),
        (lambda: conversion.load("x"), "spoken_digits or fsdd"),
        (lambda: conversion.load(str(weights.path("vq_prior"))), "holds no voices"),
        (lambda: conversion.utter("slt", "eleven"), "choose one of zero"),
        (lambda: training.corpus("x"), "spoken_digits or fsdd"),
        (lambda: training.SpeechBatches(*some(), batch=1, frames=3), "even"),
        (lambda: training.SpeechBatches(some()[0], [0] * 17 + [2], 1, 4), "every speaker"),
        (lambda: measures.SpeakerJudge(LEARN[:2]), "at least two"),
    ):
        with pytest.raises(ValueError) as caught:
            call()
        assert message in str(caught.value), caught.value
