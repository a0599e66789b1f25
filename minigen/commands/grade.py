"""`minigen grade`: what each exercise of students' notebooks came to."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated

import typer


def grade(
    places: Annotated[
        list[Path], typer.Argument(metavar="NOTEBOOK...", help="Notebooks, or folders of them.")
    ],
    out: Annotated[Path | None, typer.Option(help="Table to write, .csv.")] = None,
    seconds: Annotated[
        float, typer.Option(min=1, max=86_400, help="That one exercise may take.")
    ] = 60.0,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Notebooks at a time.")] = 1,
) -> None:
    """Check the exercises of students' notebooks: passed, failed and why, blank, timed out.

    The checks are the package's own, whatever the notebook's cells say. Each notebook runs in a process of
    its own, as you: do not grade on a machine what you would not run there.
    """
    from tqdm import tqdm

    from .. import audio
    from ..checks import grading

    if out is not None:
        if out.suffix != ".csv":
            raise ValueError(f"{out}: the table is a .csv")
        audio.check_writable(out)
    notebooks = grading.find_notebooks(places)
    with ThreadPoolExecutor(workers) as pool:
        done = pool.map(partial(grading.grade, seconds=seconds), notebooks)
        table = list(tqdm(done, "grading", len(notebooks), delay=2))
    typer.echo(grading.as_text(table))
    if out is not None:
        with audio.write_whole(out) as file:
            file.write_text(grading.as_csv(table), encoding="utf-8-sig")
        typer.echo(f"\n{out}: {sum(map(len, table))} exercises of {len(notebooks)} notebooks")
