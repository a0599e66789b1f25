"""All rows of the scoreboard of chapter 15, measured on the thirty held-out words.

    python benchmarks/scoreboard.py                     measure, print, write minigen/results/scoreboard.json
    python benchmarks/scoreboard.py student "µ-law"     measure and print these rows only

Needs the packages of the extra `judges`.
"""

from __future__ import annotations

import argparse

import torch

from minigen import results
from minigen.speech.scoreboard import ROWS, measure_row

UNITS = {
    "recognised": "of 30",
    "mcd": "dB",
    "lsd": "dB",
    "log_mel": "dB",
    "stft": "",
    "f0": "cents",
    "voicing": "%",
    "std_ratio": "",
    "stoi": "",
    "pesq": "1 … 4.6",
}


def main(names: list[str]) -> None:
    rows = {}
    for name in names or [row.name for row in ROWS]:
        rows[name] = measure_row(name)
        print(results.as_text({name: rows[name]}), flush=True)
    if names:
        return
    card = {
        "command": "python benchmarks/scoreboard.py",
        "data": "the 30 clips of spoken_digits that corpus.held_out holds out",
        "torch": torch.__version__,
        "units": UNITS,
        "what": {row.name: {"chapter": row.chapter, "given": row.note} for row in ROWS},
        "rows": {name: {key: row[key] for key in UNITS} for name, row in rows.items()},
    }
    results.write("scoreboard", card)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="rows, by default all")
    main(parser.parse_args().names)
