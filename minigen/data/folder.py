"""Recordings of your own: a folder of sound files and a table of what is said in them."""

import csv
from collections.abc import Sequence
from pathlib import Path

from ..audio import load
from .utterance import Utterance

TABLE = "metadata.csv"
ENDINGS = (".wav", ".flac", ".mp3", ".ogg")


def folder(path: Path | str) -> list[Utterance]:
    """A folder of sound files with a table `metadata.csv` -> utterances, in the table's order.

    A row of the table is `file, text` or `file, text, speaker`; a first row `file,text,speaker` is a heading.
    Rows as LJ Speech has them, `name|text` or `name|text|text that is read`, will do as well. A file may
    stand in the folder or in its folder `wavs`, and its ending may be left out. Without a third column
    the speaker is called after the folder.

    Raises FileNotFoundError: there is no such folder, or no table in it. ValueError: names every row and file
    that is wrong, one a line, in the error's notes.
    """
    root = Path(path)
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}")
    if not (root / TABLE).is_file():
        raise FileNotFoundError(
            f"{root} has no {TABLE}: write one row for each recording, with its file and its text"
        )
    try:
        text = (root / TABLE).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{root / TABLE} is not text in UTF-8: {error}") from error
    clips, faults, seen = [], [], set()
    for number, row in _rows(text):
        file = _find(root, row[0])
        name = file.relative_to(root).with_suffix("").as_posix() if file else row[0]
        if len(row) != 3:
            faults.append(f"{TABLE}, line {number}: {len(row)} columns, not file, text[, speaker]")
        elif not row[1].strip():
            faults.append(f"{name}: no text")
        elif file is None:
            faults.append(f"{name}: there is no such sound file")
        elif name in seen:
            faults.append(f"{name}: is in the table twice")
        else:
            seen.add(name)
            try:
                x, rate = load(file)
                speaker = row[2].strip() or root.resolve().name
                clips.append(Utterance(x, rate, row[1].strip(), speaker, name=name))
            except ValueError as error:
                faults.append(f"{name}: {error}")
    if faults:
        raise faults_error(root, faults)
    if not clips:
        raise ValueError(f"{root / TABLE} has no rows")
    return clips


def _rows(text: str) -> list[tuple[int, list[str]]]:
    """-> line number, [file, text, speaker] or what else the line has."""
    lines = text.splitlines()
    if "|" in (lines or [""])[0]:  # as LJ Speech: no quotes, and the last text is what is read
        split = [(n, line.split("|")) for n, line in enumerate(lines, 1) if line.strip()]
        return [(n, [row[0], row[-1], ""] if len(row) in (2, 3) else row) for n, row in split]
    found, reader = [], csv.reader(lines, skipinitialspace=True)
    for row in reader:
        if any(cell.strip() for cell in row):
            found.append((reader.line_num, row if len(row) != 2 else [*row, ""]))
    heading = found and [cell.strip().lower() for cell in found[0][1][:2]] == ["file", "text"]
    return found[1:] if heading else found


def _find(root: Path, name: str) -> Path | None:
    places = [root / name, root / "wavs" / name]
    files = [place.with_name(place.name + ending) for place in places for ending in ("", *ENDINGS)]
    return next((file for file in files if name.strip() and file.is_file()), None)


def faults_error(where: Path | str, faults: Sequence[str]) -> ValueError:
    """An error that holds all faults, one a line: the last is the message, those before are its notes."""
    count = f" ({len(faults)} faults in all)" if len(faults) > 1 else ""
    error = ValueError(f"{where}: {faults[-1]}{count}")
    for fault in faults[:-1]:
        error.add_note(f"{where}: {fault}")
    return error
