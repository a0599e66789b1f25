"""`minigen voice new`: a voice of your own from a folder of recordings."""

import re
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from . import Lexicon, one_thread

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make a voice of your own.")


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Of the voice; it becomes NAME.safetensors.")],
    folder: Annotated[
        Path, typer.Option("--from", help="Folder of recordings with a metadata.csv: file, text.")
    ],
    minutes: Annotated[
        float, typer.Option(min=0.01, max=10_000, help="Of training; the rest comes on top.")
    ] = 60.0,
    lexicon: Lexicon = None,
    licence: Annotated[str, typer.Option(help="Of the recordings; kept in the file.")] = "",
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out bad recordings.")] = False,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Threads that align.")] = 2,
) -> None:
    """Check recordings, find their phones, train prosody and both networks, measure, write one file.

    What was done so far lies in NAME.run: the same command goes on from there.
    """
    from .. import results
    from ..speech import own_voice

    if not re.fullmatch(r"\w[\w-]*", name) or name in ("digits", "allison"):
        raise ValueError(f"{name!r:.80} cannot name a new voice: take letters, digits, - and _")
    file = Path(f"{name}.safetensors")
    if file.exists():
        raise FileExistsError(f"{file} exists: choose another name, or move it away")
    one_thread()
    options = (lexicon, licence, skip_bad, workers, partial(typer.echo, err=True))
    measured = own_voice.make(name, folder, Path(), minutes, *options)
    typer.echo(results.as_text({row: cells for row, cells in measured.items() if row != "minutes"}))
    taken = ", ".join(f"{what} {value:g}" for what, value in measured["minutes"].items())
    typer.echo(f"minutes: {taken}")
    typer.echo(f'{file}: {file.stat().st_size / 1e6:.1f} MB; minigen speak "…" --voice {name}')
