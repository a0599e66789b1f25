"""Train the two recurrent models that chapter 6 loads.

    python training/rnn.py characters    the book's prose, about half a minute on one core
    python training/rnn.py seven         the word "seven", voice slt, about three minutes

Each writes minigen/weights/rnn_NAME.safetensors (in half precision) and beside it a card, rnn_NAME.json:
the data, the settings, the command, the minutes and the result. Run from the repository's root.
"""

import copy
import json
import math
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from minigen import audio, data, rnn, weights

Chunk = tuple[Tensor, Tensor, bool]  # fed (B, T), to predict (B, T), is this the start?


def characters(steps: int) -> Iterator[Chunk]:
    """Random runs of 100 characters, 32 at a time."""
    train, test = data.book_text()
    text = rnn.Characters("".join(sorted(set(train + test)))).encode(train)
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        first = torch.randint(len(text) - 100, (32, 1), generator=generator)
        x = text[first + torch.arange(100)]
        start = torch.full_like(x[:, :1], int(text.max()) + 1)
        yield torch.cat([start, x[:, :-1]], 1), x, True


def seven(steps: int) -> Iterator[Chunk]:
    """The eleven clips side by side, 512 samples at a time; the state is carried on."""
    clips = [c for c in data.spoken_digits("slt", "seven") if c.name != "seven_slt_t1.2_p1.0"]
    length = max(len(clip.audio) for clip in clips)
    rng = np.random.default_rng(0)
    for step in range(steps):
        at = step * 512 % (512 * math.ceil(length / 512))
        if at == 0:  # once more from the start, with fresh dither: silence is never exactly zero
            x = np.stack([np.pad(c.audio, (0, length - len(c.audio))) for c in clips])
            x = x + rng.normal(0, 0.0005, x.shape)
            codes = torch.tensor(audio.mu_law_encode(x))
            fed = torch.cat([torch.full_like(codes[:, :1], 256), codes[:, :-1]], 1)
        yield fed[:, at : at + 512], codes[:, at : at + 512], at == 0


def held_out(name: str) -> Tensor:
    """What the model never trains on, (1, T)."""
    if name == "seven":
        clip = next(
            c for c in data.spoken_digits("slt", "seven") if c.name == "seven_slt_t1.2_p1.0"
        )
        return torch.tensor(audio.mu_law_encode(clip.audio))[None]
    train, test = data.book_text()
    return rnn.Characters("".join(sorted(set(train + test)))).encode(test)[None]


RUNS: dict[str, tuple[Callable[[int], Iterator[Chunk]], dict, dict]] = {
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


def train(name: str) -> None:
    """Follow a run: AdamW, a rise and half a cosine, clipping, averaged weights."""
    chunks, sizes, run = RUNS[name]
    steps, rate = run["steps"], run["rate"]
    torch.manual_seed(0)  # dropout
    generator = torch.Generator().manual_seed(0)
    model = rnn.RNNLM(**sizes, cell="torch", generator=generator)
    average = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    begin, state = time.process_time(), model.start(1)
    for step, (fed, wanted, first) in enumerate(chunks(steps)):
        for group in optimizer.param_groups:
            falling = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps))
            group["lr"] = rate * falling * min(1, (step + 1) / 50)
        state = model.start(len(fed)) if first else tuple(part.detach() for part in state)
        h, state = model.layer(model.embedding(fed), state)
        logits = model.out(model.dropout(h))
        loss = cross_entropy(logits.flatten(0, 1), wanted.flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            for mean, weight in zip(average.parameters(), model.parameters(), strict=True):
                mean.mul_(0.99).add_(weight, alpha=0.01)
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}: {loss.item() / math.log(2):.3f} bits a symbol", flush=True)
    minutes = (time.process_time() - begin) / 60
    half = {key: value.half() for key, value in average.state_dict().items()}
    weights.save(f"rnn_{name}", half, {"model": sizes})
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
    weights.path(f"rnn_{name}").with_suffix(".json").write_text(
        json.dumps(card, indent=1) + "\n", encoding="utf-8"
    )
    print(json.dumps(card, indent=1))


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in RUNS:
        sys.exit(__doc__)
    train(sys.argv[1])
