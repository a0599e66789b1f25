"""Commands that are more than a call, and the options that several share. `minigen.cli` puts them together."""

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option(help="Sound file to write: .wav, .flac, .ogg or .mp3.")]
Temperature = Annotated[
    float, typer.Option(min=0, max=100, help="Scale of the noise: 0 is none, 1 as trained.")
]
Lexicon = Annotated[Path | None, typer.Option(help="File of words and their phones, one a line.")]
SkipUnknown = Annotated[bool, typer.Option("--skip-unknown", help="Leave out what has no reading.")]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of the noise.")]


def one_thread() -> None:
    """Let PyTorch use one thread."""
    import torch

    torch.set_num_threads(1)  # whatever OMP_NUM_THREADS says


def progress(pieces, rate: int, what: str):
    """The pieces, with a line on the screen after two seconds."""
    from tqdm import tqdm

    bar = tqdm(desc=what, unit="s", delay=2, leave=False, bar_format="{desc}: {n:.0f} s of sound")
    with bar:
        for piece in pieces:
            yield piece
            bar.update(len(piece[0] if isinstance(piece, tuple) else piece) / rate)
