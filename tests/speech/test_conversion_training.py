"""Training of voice conversion: crops, the parts of the loss, stages."""

import importlib.util
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from conversion_toy import small, some
from nets import seeded

from minigen import weights
from minigen.speech import conversion
from minigen.speech import conversion_features as features
from minigen.speech import conversion_training as training
from minigen.speech.conversion_model import SpeechVQVAE
from minigen.train import TrainConfig, Trainer

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "training"))  # vq_speech imports what the scripts share
SPEC = importlib.util.spec_from_file_location("vq_speech", ROOT / "training" / "vq_speech.py")
script = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(script)


def test_batches_let_the_encoder_alone_hear_another_tract():
    kinds = {"batch": 4, "frames": 30, "seed": 3}
    clips, speakers = some(1)
    plain = training.ConversionCrops(clips, speakers, **kinds)
    off = training.ConversionCrops(clips, speakers, **kinds, vtlp=1.0)
    on = training.ConversionCrops(clips, speakers, **kinds, vtlp=1.2)
    seen = set()
    for step in range(12):
        for name, value in plain(step).items():
            assert torch.equal(value, off(step)[name])
            assert torch.equal(value, on(step)[name]) == (name != "mfcc")
        for index in range(4):
            item, without = on.item(step, index), plain.item(step, index)
            clip = clips[speakers.index(int(item["speaker"]))]
            pieces = clip.mfcc.shape[1]
            start = next(
                n
                for n in range(0, pieces, 2)
                if np.array_equal(np.tile(clip.mfcc, 3)[:, n : n + 30], without["mfcc"])
            )
            for power in np.linspace(-1, 1, 9):
                mfcc = np.tile(features.warped_mfcc(clip, 1.2**power), 3)
                if np.array_equal(mfcc[:, start : start + 30], item["mfcc"]):
                    seen.add(round(power, 2))
                    break
            else:
                raise AssertionError("no factor gives what the encoder mfcc")
    assert len(seen) == 9  # all factors come up
    shards = [on(5, shard, 2)["mfcc"] for shard in range(2)]
    assert torch.equal(torch.stack(shards, 1).flatten(0, 1), on(5)["mfcc"])


def test_batches_depend_on_seed_step_and_place_alone():
    batches = training.ConversionCrops(*some(), batch=4, frames=30, seed=3)
    whole, again = batches(5), batches(5)
    for name, value in whole.items():
        assert torch.equal(value, again[name])
        shards = [batches(5, shard, 2)[name] for shard in range(2)]
        assert torch.equal(torch.stack(shards, 1).flatten(0, 1), value)
    assert not torch.equal(whole["audio"], batches(6)["audio"])
    assert whole["mfcc"].shape == (4, 13, 30) and whole["phase"].shape == (4, 6, 2400)
    assert whole["pitch"].shape == (4, 2, 30) and whole["shifts"].shape == (4, 15)


def test_a_crops_rows_belong_together():
    """Every row of a crop of one clip alone is cut at the same place, at a whole code."""
    features, speakers = some(1)
    batches = training.ConversionCrops(features, speakers, batch=1, frames=20, dither=0.0)
    item = batches.item(0, 0)
    clip = features[speakers.index(int(item["speaker"]))]
    mfcc = np.concatenate([clip.mfcc] * 3, axis=1)
    (start,) = [
        n
        for n in range(0, clip.mfcc.shape[1], 2)
        if np.array_equal(mfcc[:, n : n + 20], item["mfcc"])
    ]
    for name, hop in (("audio", 80), ("spectrum", 1), ("phase", 80)):
        long = np.concatenate([getattr(clip, name)] * 3, axis=-1)
        assert np.array_equal(np.squeeze(item[name]), long[..., start * hop : (start + 20) * hop])


def gradients(**weights) -> dict[str, torch.Tensor]:
    frozen = weights.pop("frozen", False)
    model = small().train()
    model.quantizer.initialised.fill_(True)
    model.frozen = frozen
    batch = training.ConversionCrops(*some(), batch=3, frames=20)(0)
    loss, metrics = training.ConversionLoss(model, **weights)(batch)
    loss.backward()
    assert all(np.isfinite(value) for value in metrics.values())
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
        # those learn in any case
        assert reached(got, "adversary.") and reached(got, "f0_predictor.")
    frozen = gradients(frozen=True)
    assert not any(reached(frozen, part) for part in script.LEARNED_FIRST)
    assert reached(frozen, "wavenet.") and reached(frozen, "conditioner.")


def test_the_critics_gradient_arrives_reversed():
    z = torch.randn(2, 3, requires_grad=True)
    (gradient,) = torch.autograd.grad((training.GradientReversal.apply(z, 0.3) ** 2).sum(), z)
    assert torch.allclose(gradient, -0.3 * 2 * z.detach())
    plain = {"waveform": 0.0, "spectrum": 0.0, "commitment": 0.0}
    one, two = gradients(**plain, speaker=1.0), gradients(**plain, speaker=2.0)
    name = "encoder.0.weight"
    assert torch.allclose(two[name], 2 * one[name]) and one[name].abs().sum() > 0
    assert torch.equal(one["adversary.net.0.weight"], two["adversary.net.0.weight"])


def test_blur_moves_the_decoders_vectors_by_about_a_code_and_leaves_the_codes():
    model = small().train()
    model.quantizer.initialised.fill_(True)
    model.frozen = True
    batch = training.ConversionCrops(*some(), batch=3, frames=20, jitter=0.0, dim=4)(0)
    seen = []
    model.conditioner.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    for latent_noise in (0.0, 0.5):
        training.ConversionLoss(model, waveform=0.0, latent_noise=latent_noise)(batch)
    book = model.quantizer.codebook
    gaps = [sorted(torch.dist(a, b).item() for b in book)[1] for a in book]  # [0] is to itself
    median = sorted(gaps)[(len(gaps) - 1) // 2]  # the lower of the middle two, as torch has it
    assert torch.allclose(seen[1] - seen[0], 0.5 * median * batch["noise"] / 2, atol=1e-5)
    assert torch.equal(seen[0], model.quantizer.embed(model.encode(batch["mfcc"])))


def test_frozen_codes_stay(tmp_path):
    model = small()
    model.quantizer.initialised.fill_(True)
    model.frozen = True
    before = {k: v.clone() for k, v in model.state_dict().items() if k.startswith("quantizer")}
    batches = training.ConversionCrops(*some(), batch=2, frames=20)
    config = TrainConfig(steps=3, rate=1e-2, every=3)
    Trainer(training.ConversionLoss(model), batches, config, tmp_path).run()
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in before.items())


@pytest.mark.parametrize("vtlp", [1.0, 1.2])
def test_a_run_resumes_exactly(tmp_path, vtlp):
    batches = training.ConversionCrops(*some(), batch=2, frames=20, vtlp=vtlp)
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
    recipe["voice"]["data"] |= {"batch": 1, "frames": 20, "vtlp": 1.0}
    went_on = script.train(recipe, tmp_path).state_dict()
    for name, value in conversion.load()[0].state_dict().items():
        assert torch.allclose(went_on[name], value, atol=1e-6), name


def test_the_melodys_error_by_hand():
    pitch = torch.tensor([[[1.0, 1, 0, 1], [0.1, 0.3, 0, 0.2]]])  # voiced; log F0
    right = torch.tensor([-1.0, 1.0, 7.0, 0.0]) * 0.1 / np.sqrt(0.02 / 3)
    guess = torch.stack([torch.tensor([20.0, 20, -20, 20]), right])  # (2, N)
    fold = lambda x: x.unflatten(1, (2, 2)).transpose(1, 2).flatten(0, 1)[None]  # (1, 4, N/2)
    assert training._f0_error(fold(guess), pitch) < 1e-6
    assert training._f0_error(-fold(guess), pitch) > 10
    # wrong by half a deviation, a tenth of whose square counts
    off = torch.stack([guess[0], right + 0.5])
    assert training._f0_error(fold(off), pitch).item() == pytest.approx(0.1 * 0.5**2, rel=1e-4)


def test_the_loss_is_the_weighted_sum_of_its_parts():
    clips, speakers = some(1)
    batch = training.ConversionCrops(clips, speakers, batch=2, frames=30, dim=4)(0)
    weights = {"waveform": 0.0, "spectrum": 0.7, "commitment": 3.0}
    loss, parts = training.ConversionLoss(small(), **weights)(batch)
    found = 0.7 * parts["spectrum"] + 3.0 * parts["commitment"] / 4  # per dimension
    assert parts["commitment"] > 1e-4
    assert loss.item() == pytest.approx(
        found + parts["adversary"] + parts["f0_predictor"], rel=1e-5
    )


def test_recipes_build_what_ships():
    for file in ("vq_digits_gpu", "vq_fsdd_gpu", "vq_digits_voice"):  # they do not ship, but fit
        recipe = tomllib.loads((ROOT / "training" / f"{file}.toml").read_text())
        SpeechVQVAE.build(recipe)
        for stage in set(script.STAGES) & set(recipe):
            training.ConversionCrops(*some(1), **recipe[stage]["data"])
            training.ConversionLoss(small(), **recipe[stage]["objective"])
            TrainConfig(**recipe[stage]["run"])
    for name, file in (("spoken_digits", "vq_digits_voice_2"), ("fsdd", "vq_fsdd_voice")):
        recipe = tomllib.loads((ROOT / "training" / f"{file}.toml").read_text())
        assert recipe["corpus"] == name
        built = SpeechVQVAE.build(recipe)
        built.adversary = None  # not shipped
        model, card = conversion.load(name)
        assert built.speakers == model.speakers
        assert card["weights"] == sum(w.numel() for w in built.parameters())
        assert card["recipe"] == recipe


def test_jitter_replaces_codes_by_their_neighbours():
    seen, who = some(2)
    moved = lambda jitter: training.ConversionCrops(seen, who, 4, 40, jitter=jitter)(0)["shifts"]
    assert (moved(0.0) == 0).all()
    share = (moved(0.5) != 0).double().mean()
    assert 0.3 < share < 0.7


@pytest.mark.parametrize("beta", [0.0, 0.5])
@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_the_waveforms_part_is_the_weighted_likelihood(beta, weight):
    """Of frozen codes without jitter, and of a scale that differs from sample to sample."""
    model = small().train()
    model.frozen = True
    torch.nn.init.normal_(model.wavenet.output_projection.weight, std=2.0, generator=seeded())
    batch = training.ConversionCrops(*some(), batch=3, frames=20, jitter=0.0)(0)
    objective = training.ConversionLoss(model, weight, spectrum=0.0, beta=beta)
    loss, metrics = objective(batch)
    params, _ = model(batch)
    net = model.wavenet
    nll = -net.head.log_prob(params, batch["audio"])[:, net.receptive_field :]
    share = torch.exp(2 * beta * net.head.split(params)[1][:, 0, net.receptive_field :])
    assert metrics["nll"] == pytest.approx(nll.mean().item(), rel=1e-5)
    want = ((share * nll).sum() / share.sum()).item()
    assert loss.item() == pytest.approx(weight * want, rel=1e-5)
    assert abs(want - nll.mean().item()) > 1e-4 or beta == 0
    with pytest.raises(ValueError, match="speaker must be 0 or more"):
        training.ConversionLoss(model, speaker=-1.0)


@pytest.mark.parametrize("change", ["seed", "step", "index"])
def test_crops_of_another_seed_step_or_place_are_others(change):
    item = lambda seed=0, step=0, index=0: training.ConversionCrops(
        *some(), batch=2, frames=20, seed=seed
    ).item(step, index)
    usual, other = item(), item(**{change: 1})
    assert not np.array_equal(usual["audio"], other["audio"])
    assert not np.array_equal(usual["noise"], other["noise"])


def test_the_loss_of_the_spectrum_is_that_of_standardised_spectra_and_jittered_codes():
    """Another offset and another unit of the spectra change nothing; another code for a moment does."""
    seen, who = some()
    model = small().standardise(seen, who)
    batch = training.ConversionCrops(seen, who, batch=2, frames=20, jitter=0.5, dim=4)(0)
    error = lambda batch: training.ConversionLoss(model)(batch)[1]["spectrum"]
    usual, still = error(batch), error(batch | {"shifts": 0 * batch["shifts"]})
    assert batch["shifts"].any() and abs(usual - still) > 1e-6 * usual
    model.spectrum_mean.mul_(2).add_(2 * 3.0)
    model.spectrum_scale.mul_(2)
    moved = batch | {"spectrum": 2 * (batch["spectrum"] + 3.0)}
    assert error(moved) == pytest.approx(usual, rel=1e-4)
    assert abs(error(batch) - usual) > 1e-2 * usual
