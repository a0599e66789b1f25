"""Train the acoustic model of the recorded voice: phones, times and F0 -> mel bands.

    minigen align allison --out runs/allison.tsv
    python training/acoustic_model.py runs/allison.tsv --out runs/acoustic     ten minutes of one core (--minutes)

Learns from 531 clips of `data.allison`, holds out the 20 sentences of `held_out`. Writes
minigen/weights/allison_acoustic.safetensors, at half precision, and its card. Run from the repository's root.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from minigen import data, weights
from minigen.speech.acoustic_model import AcousticModel
from minigen.speech.acoustic_training import (
    AcousticCrops,
    AcousticLoss,
    bands_and_features,
    calibrate,
)
from minigen.speech.corpus import at_one_level, held_out, ready
from minigen.train import TrainConfig, Trainer

SHIPPED = weights.path("allison_acoustic")
RATE, MELS, HIDDEN, DROPOUT, STEPS_A_MINUTE = 8_000, 32, 160, 0.1, 90


@torch.no_grad()
def band_errors(model: AcousticModel, clips: list[dict[str, np.ndarray]]) -> dict[str, float]:
    """How far predicted bands are from recorded ones, and whether they move as much."""
    training = model.training
    model.eval()
    predict = lambda clip: model(torch.from_numpy(clip["features"])[None])[0]
    predicted = torch.cat([predict(clip) for clip in clips], 1)
    recorded = torch.cat([torch.from_numpy(clip["mel"]) for clip in clips], 1)
    model.train(training)
    error = predicted - recorded
    rms = 20 / np.log(10) * error.square().mean().sqrt().item()
    deviation = (predicted.std(1) / recorded.std(1)).mean().item()
    return {
        "absolute error, nepers": round(error.abs().mean().item(), 4),
        "root-mean-square error, dB": round(rms, 3),
        "deviation of bands, of that recorded": round(deviation, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("phones", type=Path, help="table of phone times")
    parser.add_argument("--out", type=Path, default=Path("runs/acoustic"), help="folder of the run")
    parser.add_argument("--minutes", type=float, default=10.0)
    args = parser.parse_args()
    torch.manual_seed(0)
    clips = [ready(at_one_level(clip), RATE) for clip in data.allison(phones=args.phones)]
    train, out = held_out(clips, "allison")
    inventory = ["pau", *sorted({n for clip in clips for n, _, _ in clip.phones} - {"pau"})]
    model = AcousticModel(inventory, RATE, MELS, HIDDEN, dropout=DROPOUT)
    train, out = ([bands_and_features(model, clip) for clip in part] for part in (train, out))
    calibrate(model, train)
    config = TrainConfig(
        steps=round(STEPS_A_MINUTE * args.minutes), rate=1.5e-3, warmup=50, every=50
    )
    trainer = Trainer(AcousticLoss(model), AcousticCrops(train), config, args.out)
    curve = []
    for until in range(50, config.steps + 50, 50):
        metrics = trainer.run(resume=True, until=until)
        curve.append({"step": trainer.step, "loss": metrics.get("loss")} | band_errors(model, out))
        print(curve[-1], flush=True)
    model.load_state_dict(trainer.ema.shadow)
    card = {
        "acoustic": model.sizes,
        "data": f"data.allison() with {args.phones.name}: {len(train)} clips, {len(out)} held out",
        "command": "python training/acoustic_model.py runs/allison.tsv",
        "minutes": round(trainer.seconds / 60, 1),
        "held out": band_errors(model, out),
    }
    weights.save(SHIPPED, {k: value.half() for k, value in model.state_dict().items()}, card)
    text = json.dumps(card | {"curve": curve}, indent=1)
    SHIPPED.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
