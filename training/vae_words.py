"""Train the VAE of spoken words, find its directions of tempo, pitch and voice, and measure them by ear.

    python training/vae_words.py          about a minute on one core

330 clips of spoken_digits to learn from; the 30 at 1.2 times the voice's own duration and at its own pitch are
held out. For each of them and each direction, seven points along the direction are rendered to sound, by pulses and filters
and by the vocoder's student, and the quantity is measured on the sound: duration, median F0, and how close the mean spectrum is to the
mean over the target speaker's recordings of the word. Writes minigen/weights/vae_words.safetensors. Run from the repository's root.
"""

import json
import time

import numpy as np
import torch
from common import fit, half, rows
from scipy.stats import spearmanr

from minigen import data, vae, weights
from minigen.data import Utterance
from minigen.speech import corpus, word_vae
from minigen.train import TrainConfig

MODEL = {"latent_dim": 16, "hidden": [128]}
RUN = {"steps": 6000, "batch": 64, "rate": 2e-3, "seed": 0}
STEPS = np.linspace(-1, 1, 7)
EXTENT = {"tempo": 0.35, "pitch": 0.2, "voice": 1.0, "accent": 1.0}  # stretch, factor, speakers
SPEAKERS = {"voice": ("slt", "rms"), "accent": ("rms", "awb")}  # from, to


def tempo_and_pitch(clip: Utterance) -> tuple[float, float]:
    """What the name of a clip of `spoken_digits` says: its stretch of time and its factor of pitch."""
    _, _, stretch, shift = clip.name.split("_")
    return float(stretch[1:]), float(shift[1:])


def spectral_mean(clips: list[Utterance]) -> np.ndarray:
    """The mean of `word_vae.measure(…).spectrum` over recordings, (24,): where a speaker's sound lies on average."""
    return np.mean([word_vae.measure(clip.audio).spectrum for clip in clips], axis=0)


def direction(latents: torch.Tensor, attribute: list[float]) -> torch.Tensor:
    """The latent direction that goes with an attribute: Cov(z, a) / Var(a), (N, L) and (N,) -> (L,).

    One step along it is the mean change of z when a grows by 1: the slope of z's regression on a.
    """
    a = torch.as_tensor(attribute, dtype=latents.dtype)
    if latents.ndim != 2 or a.shape != latents.shape[:1] or a.var() == 0:
        raise ValueError(
            f"latents (N, L) need N attributes that differ, not {tuple(latents.shape)} and "
            f"{tuple(a.shape)}"
        )
    a = a - a.mean()
    return a @ (latents - latents.mean(0)) / a.square().sum()


def train() -> tuple[word_vae.WordVAE, dict]:
    """-> the averaged model and the nats a held-out word."""
    learn, test = corpus.held_out(data.spoken_digits())
    x = torch.tensor(np.stack([word_vae.vector(c) for c in learn])).float()
    y = torch.tensor(np.stack([word_vae.vector(c) for c in test])).float()
    generator = torch.Generator().manual_seed(RUN["seed"])
    model = word_vae.WordVAE(**MODEL, generator=generator)
    seen, unseen = model.standardise(x), model.inward(y)
    torch.manual_seed(RUN["seed"])  # the noise of z
    fit(
        model,
        lambda model, batch: -vae.elbo(model, batch["x"]).mean(),
        lambda step, generator: {"x": rows(seen, RUN["batch"], generator)},
        TrainConfig(RUN["steps"], rate=RUN["rate"], clip=100.0),
    )
    model.requires_grad_(False)
    nats = {
        name: round(vae.elbo(model, part, 50, generator=generator).mean().item(), 1)
        for name, part in (("train", seen), ("held out", unseen))
    }
    nats["active units"] = int(vae.active_units(model, seen).sum())
    return model, nats


def directions(model: word_vae.WordVAE) -> dict[str, torch.Tensor]:
    """Latent directions (L,) from training clips: of tempo, of pitch, and from speaker to speaker."""
    learn, _ = corpus.held_out(data.spoken_digits())
    z = model.latents(learn)
    tempo, shift = zip(*(tempo_and_pitch(c) for c in learn), strict=True)
    found = {"tempo": direction(z, tempo), "pitch": direction(z, shift)}
    for name, pair in SPEAKERS.items():
        two = [i for i, c in enumerate(learn) if c.speaker in pair]
        found[name] = direction(z[two], [float(learn[i].speaker == pair[1]) for i in two])
    return found


def measure(model: word_vae.WordVAE, found: dict[str, torch.Tensor], by: str = "pulses") -> dict:
    """Spearman correlation of the place on the direction with what is measured on the sound."""
    learn, test = corpus.held_out(data.spoken_digits())
    results = {}
    for name, way in found.items():
        here, there = SPEAKERS.get(name, (None, None))
        scores = []
        for clip, z in zip(test, model.latents(test), strict=True):
            if here not in (None, clip.speaker):
                continue
            # from one speaker all the way to the other
            places = 0.5 * (1 + STEPS) if here else STEPS
            his = [c for c in learn if c.speaker == there and c.text == clip.text]
            target = spectral_mean(his) if here else 0.0
            values = []
            for step in places:
                word = model.word(z + float(step) * EXTENT[name] * way)
                heard = word_vae.measure(word_vae.synthesize(word, by=by))
                closer = -float(np.linalg.norm(heard.spectrum - target))
                values.append({"tempo": heard.duration, "pitch": heard.f0}.get(name, closer))
            scores.append(float(spearmanr(places, values)[0]))
        results[name] = {
            "median": round(float(np.median(scores)), 3),
            "mean": round(float(np.mean(scores)), 3),
            "least": round(min(scores), 3),
            "words": len(scores),
            "words with 0.8 or more": int(np.sum(np.array(scores) >= 0.8)),
        }
    return results


def main() -> None:
    """Train, measure, write."""
    begin = time.process_time()
    model, nats = train()
    found = directions(model)
    card = {
        "data": "spoken_digits, 330 clips; 30 held out (1.2 times the duration, own pitch)",
        "command": "python training/vae_words.py",
        "model": MODEL,
        "run": RUN,
        "elbo": nats,
        "directions": {name: [round(v, 4) for v in way.tolist()] for name, way in found.items()},
        "spearman": measure(model, found),
        "spearman, by the student": measure(model, found, "student"),
    }
    card["processor seconds on one core"] = round(time.process_time() - begin)
    weights.save("vae_words", half(model), card)
    print(json.dumps({k: v for k, v in card.items() if k != "directions"}, indent=1))


if __name__ == "__main__":
    main()
