"""Train the acoustic model of the recorded voice: phones, times and F0 -> mel bands.

    minigen align allison --out runs/allison.tsv
    python training/acoustic_model.py runs/allison.tsv          six minutes of one core (--minutes)

Learns from 531 clips of `data.allison`, holds out the 20 sentences of `held_out`. Writes
minigen/weights/allison_acoustic.safetensors, at half precision, and its card. Run from the repository's root.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from minigen import conditioning, data, weights
from minigen.speech.acoustic_model import AcousticModel, dissimilarity
from minigen.speech.corpus import Source, read_all
from minigen.train import Ema, TrainConfig, learning_rate

OUT = weights.path("allison_acoustic")
RATE, MELS, HIDDEN, DROPOUT, CONTRAST = 8_000, 32, 160, 0.1, 0.5
BATCH, FRAMES, STEPS_A_MINUTE = 20, 200, 110
Pair = tuple[Tensor, Tensor]  # features (F, N), log-mel bands (M, N)


def clips(table: Path) -> tuple[list, list]:
    """Clips at one level, with phones and sharpened F0: (to train on, held out)."""
    timed = {clip.name: clip.phones for clip in data.allison(phones=table)}
    train, out = (
        [
            replace(
                clip,
                phones=[
                    (n, a, min(b, clip.duration))
                    for n, a, b in timed[clip.name]
                    if a < clip.duration
                ],
                f0=conditioning.sharpened(clip.f0, RATE, clip.audio),
            )
            for clip in part
            if clip.name in timed
        ]
        for part in read_all(Source(rate=RATE, mels=MELS, name="allison"))
    )
    return train, out


def pairs(model: AcousticModel, found: list) -> list[Pair]:
    out = []
    for clip in found:
        mel = np.maximum(conditioning.mel_bands(clip.audio, RATE, MELS), conditioning.QUIET)
        features = model.features(clip.phones, clip.f0)
        out.append((torch.from_numpy(features), torch.from_numpy(mel).float()))
    return out


def batch(found: list[Pair], share: np.ndarray, rng: np.random.Generator) -> Pair:
    """Crops of FRAMES frames, every frame as often as another: (B, F, N), (B, M, N)."""
    xs, ys = [], []
    for first in rng.choice(len(found), BATCH, p=share):
        x, y = found[first]
        while x.shape[1] < FRAMES:
            more = found[rng.choice(len(found), p=share)]
            x, y = torch.cat([x, more[0]], 1), torch.cat([y, more[1]], 1)
        start = rng.integers(x.shape[1] - FRAMES + 1)
        xs.append(x[:, start : start + FRAMES])
        ys.append(y[:, start : start + FRAMES])
    return torch.stack(xs), torch.stack(ys)


@torch.no_grad()
def measured(model: AcousticModel, found: list[Pair]) -> dict[str, float]:
    model.eval()
    predicted = torch.cat([model(x[None])[0] for x, _ in found], 1)
    recorded = torch.cat([y for _, y in found], 1)
    model.train()
    error = predicted - recorded
    return {
        "absolute error, nepers": round(error.abs().mean().item(), 4),
        "root-mean-square error, dB": round(
            20 / np.log(10) * error.square().mean().sqrt().item(), 3
        ),
        "deviation of bands, of that recorded": round(
            (predicted.std(1) / recorded.std(1)).mean().item(), 3
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("phones", type=Path, help="table of phone times")
    parser.add_argument("--minutes", type=float, default=6.0)
    args = parser.parse_args()
    torch.manual_seed(0)
    train, out = clips(args.phones)
    inventory = ["pau", *sorted({n for c in train + out for n, _, _ in c.phones} - {"pau"})]
    shape = {"phones": inventory, "rate": RATE, "mels": MELS, "hidden": HIDDEN}
    model = AcousticModel(**shape, dropout=DROPOUT)
    train, out = pairs(model, train), pairs(model, out)
    envelope = torch.cat([y - x[-MELS:] for x, y in train], 1)
    model.mean.copy_(envelope.mean(1, keepdim=True))
    model.spread.copy_(envelope.std(1, keepdim=True))
    config = TrainConfig(steps=round(STEPS_A_MINUTE * args.minutes), rate=1.5e-3, warmup=50)
    optimizer = torch.optim.Adam(model.parameters(), config.rate, betas=(0.9, 0.98))
    share = np.array([x.shape[1] for x, _ in train], float)
    ema, rng, curve = Ema(model, 0.98), np.random.default_rng(0), []
    start = time.perf_counter()
    for step in range(config.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config)
        x, y = batch(train, share / share.sum(), rng)
        predicted = model(x)
        loss = (predicted - y).abs().mean() + CONTRAST * dissimilarity(predicted, y)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        ema.update(model)
        if (step + 1) % 50 == 0:
            curve.append({"step": step + 1, "loss": round(loss.item(), 4)} | measured(model, out))
            print(curve[-1], flush=True)
    model.load_state_dict(ema.shadow)
    card = {
        "acoustic": shape,
        "data": f"data.allison() with {args.phones.name}: {len(train)} clips, {len(out)} held out",
        "command": f"python training/acoustic_model.py {args.phones}",
        "minutes": round((time.perf_counter() - start) / 60, 1),
        "held out": measured(model, out),
    }
    weights.save(OUT, {name: value.half() for name, value in model.state_dict().items()}, card)
    text = json.dumps(card | {"curve": curve}, indent=1)
    OUT.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
