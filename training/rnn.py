"""Train the two recurrent models that chapter 6 loads.

    python training/rnn.py characters    the book's prose, about half a minute on one core
    python training/rnn.py seven         the word "seven", voice slt, about three minutes

Each writes minigen/weights/rnn_NAME.safetensors (in half precision) and beside it a card, rnn_NAME.json:
the data, the settings, the command, the minutes and the result. Run from the repository's root.
"""

import math
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from common import fit, half, write_card
from torch import Tensor
from torch.nn.functional import cross_entropy

from minigen import audio, data, rnn, weights
from minigen.train import TrainConfig

Batches = Callable[[int, torch.Generator], dict[str, Tensor]]


def characters() -> Batches:
    """Random runs of 100 characters, 32 at a time."""
    train, test = data.book_text()
    text = rnn.Characters("".join(sorted(set(train + test)))).encode(train)

    def batches(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        first = torch.randint(len(text) - 100, (32, 1), generator=generator)
        x = text[first + torch.arange(100)]
        start = torch.full_like(x[:, :1], int(text.max()) + 1)
        return {"fed": torch.cat([start, x[:, :-1]], 1), "x": x, "first": torch.tensor(True)}

    return batches


def seven() -> Batches:
    """The eleven clips side by side, 512 samples at a time; the state is carried on."""
    clips = [c for c in data.spoken_digits("slt", "seven") if c.name != "seven_slt_t1.2_p1.0"]
    length = max(len(clip.audio) for clip in clips)
    parts = math.ceil(length / 512)

    def batches(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        # once more from the start, with fresh dither: silence is never exactly zero
        turn, part = divmod(step, parts)
        x = np.stack([np.pad(c.audio, (0, length - len(c.audio))) for c in clips])
        x = x + np.random.default_rng(turn).normal(0, 0.0005, x.shape)
        codes = torch.tensor(audio.mu_law_encode(x))
        fed = torch.cat([torch.full_like(codes[:, :1], 256), codes[:, :-1]], 1)
        here = slice(512 * part, 512 * (part + 1))
        return {"fed": fed[:, here], "x": codes[:, here], "first": torch.tensor(part == 0)}

    return batches


def held_out(name: str) -> Tensor:
    """What the model never trains on, (1, T)."""
    if name == "seven":
        clip = next(
            c for c in data.spoken_digits("slt", "seven") if c.name == "seven_slt_t1.2_p1.0"
        )
        return torch.tensor(audio.mu_law_encode(clip.audio))[None]
    train, test = data.book_text()
    return rnn.Characters("".join(sorted(set(train + test)))).encode(test)[None]


RUNS: dict[str, tuple[Callable, dict, dict]] = {
    "characters": (
        characters,
        {"vocab": 47, "hidden": 160, "embed": 32, "dropout": 0.4},
        {"steps": 1400, "rate": 5e-3},
    ),
    "seven": (
        seven,
        {"vocab": 256, "hidden": 160, "embed": 32, "dropout": 0.0},
        {"steps": 2500, "rate": 4e-3},
    ),
}


class Loss:
    """Mean nats of a chunk; the state goes on to the next one, without its gradient."""

    def __init__(self) -> None:
        self.state: tuple[Tensor, ...] = ()

    def __call__(self, model: rnn.RNNLM, batch: dict[str, Tensor]) -> Tensor:
        if batch["first"]:
            self.state = model.start(len(batch["fed"]))
        h, state = model.layer(model.embedding(batch["fed"]), self.state)
        self.state = tuple(part.detach() for part in state)
        logits = model.out(model.dropout(h))
        return cross_entropy(logits.flatten(0, 1), batch["x"].flatten())


def train(name: str) -> None:
    """Follow a run, write weights and card."""
    batches, sizes, run = RUNS[name]
    torch.manual_seed(0)  # dropout
    generator = torch.Generator().manual_seed(0)
    model = rnn.RNNLM(**sizes, cell="torch", generator=generator)
    begin = time.process_time()
    fit(model, Loss(), batches(), TrainConfig(run["steps"], rate=run["rate"], warmup=50))
    minutes = (time.process_time() - begin) / 60
    weights.save(f"rnn_{name}", half(model), {"model": sizes})
    x = held_out(name)
    with torch.no_grad():
        nats = -rnn.load(name).double().log_prob(x).item()
    card = {
        "data": characters.__doc__ if name == "characters" else seven.__doc__,
        "command": f"python training/rnn.py {name}",
        "model": sizes,
        "run": run,
        "processor minutes on one core": round(minutes, 1),
        "held out: bits a symbol": round(nats / x.shape[1] / math.log(2), 3),
    }
    write_card(f"rnn_{name}", card)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in RUNS:
        sys.exit(__doc__)
    train(sys.argv[1])
