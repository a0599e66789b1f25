"""Measured tables that ship with the package: figures as they came out of the commands named in them."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def path(name: str) -> Path:
    """Where the table `name` lies: minigen/results/`name`.json, or with its own ending a clip beside it."""
    return Path(__file__).parent / (name if Path(name).suffix else f"{name}.json")


def read(name: str) -> Any:
    """What the table `name` holds.

    >>> sorted(read("speed"))[0]
    'command'
    """
    return json.loads(path(name).read_text(encoding="utf-8"))


def write(place: str | Path, table: Any) -> None:
    """Write a table whole or not at all, floats rounded to four digits, NaN as null.

    `place` is the name of a table that ships, or a path.
    """
    from ..audio import write_whole

    text = json.dumps(_rounded(table), indent=1, ensure_ascii=False)
    with write_whole(path(place) if isinstance(place, str) else place) as file:
        file.write_text(text + "\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    return value


def as_text(
    rows: Mapping[str, Mapping[str, Any]], columns: Sequence[str] | Mapping[str, str] | None = None
) -> str:
    """A table {row: {column: value}} as lines of text; a dash where there is no value.

    `columns` picks and orders the columns, as a mapping it gives their titles; by default those of all rows.

    >>> print(as_text({"student": {"mcd": 3.14159, "pesq": None}, "box": {"mcd": 120.4}}))
               mcd   pesq
    student   3.14      –
    box        120      –
    """
    names = list(columns or dict.fromkeys(name for row in rows.values() for name in row))
    titles = columns if isinstance(columns, Mapping) else {name: name for name in names}
    lines = [[""] + [titles[name] for name in names]]
    lines += [[row] + [_short(cells.get(name)) for name in names] for row, cells in rows.items()]
    first, *widths = (max(5, *map(len, column)) for column in zip(*lines, strict=True))
    return "\n".join(
        f"{row:{first}}" + "".join(f"{c:>{w + 1}}" for c, w in zip(cells, widths, strict=True))
        for row, *cells in lines
    )


def _short(value: float | str | None) -> str:
    if isinstance(value, str):
        return value
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return str(float(value))
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
