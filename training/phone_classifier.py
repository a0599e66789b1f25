"""Train the phone classifier of the perceptual loss on the labels of spoken_digits.

    python training/phone_classifier.py          about a minute on one core

330 clips to learn from, 30 held out (one tempo and pitch of every word and speaker). Gains and the level of the
dither are drawn anew for each crop. Writes minigen/weights/phone_net.safetensors and its card. Run from the
repository's root.
"""

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from common import fit, write_card

from minigen import weights
from minigen.conditioning import PHONES
from minigen.perceptual import PhoneNet
from minigen.speech import corpus
from minigen.train import TrainConfig

OUT = weights.path("phone_net")
CHANNELS, DITHER = 48, 0.0005


def labels(frames: torch.Tensor, n: int) -> torch.Tensor:
    """One-hot phones of the corpus's frames (B, F, N') -> codes of the classifier's n frames, (B, n)."""
    return frames[:, : len(PHONES)].argmax(1)[:, 1 : n + 1]


def accuracy(net: PhoneNet, clips: list) -> dict[str, float]:
    """The part of frames named rightly: of all, and of those that are not silence."""
    right = count = spoken_right = spoken = 0
    for clip in clips:
        batch = corpus.as_batch(clip, DITHER)
        with torch.no_grad():
            scores = net(batch["audio"])[0]
        truth = labels(batch["frames"], scores.shape[-1])
        hit, loud = scores.argmax(1) == truth, truth != PHONES.index("pau")
        right, count = right + hit.sum().item(), count + hit.numel()
        spoken_right, spoken = spoken_right + hit[loud].sum().item(), spoken + loud.sum().item()
    return {"frames": round(right / count, 4), "frames of speech": round(spoken_right / spoken, 4)}


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    begin = time.process_time()
    clips, kept = corpus.held_out()
    crops = corpus.Crops(clips, batch=16, frames=50, dither=0.0, seed=3)
    torch.manual_seed(0)
    net = PhoneNet(CHANNELS)

    def batches(step: int, generator: torch.Generator) -> dict[str, torch.Tensor]:
        batch = crops(step)
        scale = torch.exp(0.5 * torch.randn(16, 1, 1, generator=generator))
        noise = DITHER * torch.exp(3 * torch.rand(16, 1, 1, generator=generator))  # up to 20 times
        x = scale * batch["audio"]
        return {
            "x": x + noise * torch.randn(x.shape, generator=generator),
            "frames": batch["frames"],
        }

    def loss(net: PhoneNet, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        scores, _ = net(batch["x"])
        return F.cross_entropy(scores, labels(batch["frames"], scores.shape[-1]))

    mel = net.log_mel(batches(0, torch.Generator().manual_seed(0))["x"])
    net.mean.copy_(mel.mean((0, 2))[:, None])
    net.std.copy_(mel.std((0, 2))[:, None])
    fit(net, loss, batches, TrainConfig(given.steps, rate=2e-3, clip=100.0))
    kept_away, seen = accuracy(net, kept), accuracy(net, clips[::10])
    card = {
        "data": "spoken_digits, 330 clips; 30 held out (1.2 times the duration, own pitch)",
        "command": "python training/phone_classifier.py",
        "channels": CHANNELS,
        "steps": given.steps,
        "accuracy": {"held out": kept_away["frames"], "training": seen["frames"]},
        "accuracy on speech": {
            "held out": kept_away["frames of speech"],
            "training": seen["frames of speech"],
        },
        "processor seconds on one core": round(time.process_time() - begin),
    }
    weights.save(given.out, net.state_dict(), card)
    write_card(given.out, card)


if __name__ == "__main__":
    main()
