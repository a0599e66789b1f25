"""Phone times in a file of their own: tab-separated text that any program reads.

    # minigen phone times 1
    name<TAB>phone<TAB>start<TAB>end
    agent-pass<TAB>pau<TAB>0.0000<TAB>0.1325
    agent-pass<TAB>p<TAB>0.1325<TAB>0.2175

UTF-8, one row a phone, times in seconds from the start of the recording `name`, rows of a recording in
order and together. Lines that begin with "#" are remarks.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..audio import check_writable, write_whole
from .utterance import Utterance

_COLUMNS = ["name", "phone", "start", "end"]

Times = Sequence[tuple[str, float, float]]


def save_phones(path: Path | str, times: Mapping[str, Times]) -> None:
    """Write {name of the recording: [(phone, start_s, end_s)]}, to a tenth of a millisecond.

    Raises ValueError: an empty name or phone, or one with a tab or a line break, or a time that is none.
    FileNotFoundError: there is no folder to write into.
    """
    lines = ["# minigen phone times 1", "\t".join(_COLUMNS)]
    for name, phones in times.items():
        for phone, start, end in phones:
            for word in (name, phone):
                if not word or word != word.strip() or word[0] == "#" or set(word) & set("\t\r\n"):
                    raise ValueError(f"{word!r} cannot stand in a table: it is empty or has a tab")
            if not 0 <= start <= end < math.inf:
                raise ValueError(f"{phone!r} of {name!r} runs from {start} to {end} s")
            lines.append(f"{name}\t{phone}\t{start:.4f}\t{end:.4f}")
    with write_whole(check_writable(path)) as place:
        place.write_text("\n".join(lines) + "\n", encoding="utf-8")


def load_phones(path: Path | str) -> dict[str, list[tuple[str, float, float]]]:
    """Read what `save_phones` wrote.

    Raises FileNotFoundError: there is no such file. ValueError: it is not such a table; the message names the
    line.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: `minigen align` makes one")
    times: dict[str, list[tuple[str, float, float]]] = {}
    header, last = False, None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: {error}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        cells = line.split("\t")
        if not header:
            if cells != _COLUMNS:
                raise ValueError(
                    f"{path}, line {number}: the first row must be {', '.join(_COLUMNS)}"
                )
            header = True
            continue
        try:
            name, phone, start, end = cells[0], cells[1], float(cells[2]), float(cells[3])
            if len(cells) != 4 or not name or not phone:
                raise ValueError("a row has four cells")
        except (ValueError, IndexError) as error:
            raise ValueError(
                f"{path}, line {number}: {line!r} is not name, phone, start, end"
            ) from error
        if name in times and name != last:
            raise ValueError(f"{path}, line {number}: the rows of {name!r} are not together")
        rows = times.setdefault(name, [])
        if not (rows[-1][2] if rows else 0) - 1e-6 <= start <= end < math.inf:
            raise ValueError(f"{path}, line {number}: the times of {name!r} are not in order")
        rows.append((phone, start, end))
        last = name
    if not times:
        raise ValueError(f"{path} holds no phone times")
    return times


def with_phones(clips: Sequence[Utterance], path: Path | str) -> list[Utterance]:
    """The same clips, with `phones` from a table; those that the table does not name are left out.

    Raises ValueError: the table names none of the clips, or times that a clip cannot have.
    """
    times = load_phones(path)
    found = [replace(clip, phones=times[clip.name]) for clip in clips if clip.name in times]
    if not found:
        raise ValueError(f"{path} names none of these {len(clips)} clips: is it of another corpus?")
    return found
