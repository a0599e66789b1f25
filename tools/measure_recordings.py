"""Measure how samples of real recorded speech depend on each other; keep `minigen/results/recorded_dependence.json`.

    python tools/measure_recordings.py [--check]

Reads each corpus where its loader finds it: `$MINIGEN_DATA`, a Debian package, the cache, or the
network (see the page on data in the book). `--check` compares with what is kept and writes nothing;
a corpus that is out of reach is named, and an error.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import numpy as np

from minigen import data, results
from minigen.data.recorded import Dependence

CORPORA: dict[str, Callable[[], list[data.Utterance]]] = {
    "fsdd": data.fsdd,
    "allison": data.allison,
    "festvox_ru": data.festvox_ru,
}


def as_json(found: dict[str, Dependence]) -> str:
    """The content of the file: four decimals, one corpus a line."""
    rows = []
    for name, f in found.items():
        row = {"clips": f.clips, "seconds": round(f.seconds, 1), "low": round(f.low, 4)}
        row |= {"high": round(f.high, 4), "mean": np.round(f.mean, 4).tolist()}
        rows.append(f'"{name}": {json.dumps(row)}')
    return "{\n" + ",\n".join(rows) + "\n}\n"


def differences(kept: dict[str, Dependence], found: dict[str, Dependence]) -> list[str]:
    """Where the two tell different things, by more than the last decimal kept."""
    wrong = [name for name in kept.keys() ^ found.keys()]
    for name in kept.keys() & found.keys():
        a, b = kept[name], found[name]
        same = a.clips == b.clips and abs(a.seconds - b.seconds) < 0.1
        near = np.allclose([*a.mean, a.low, a.high], [*b.mean, b.low, b.high], rtol=0, atol=2e-4)
        if not (same and near):
            wrong.append(name)
    return sorted(wrong)


def main() -> None:
    """Measure every corpus, print a row for each, write or compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with what is kept")
    check = parser.parse_args().check
    found = {name: data.measure_dependence(load()) for name, load in CORPORA.items()}
    print(f"{'corpus':12}{'clips':>7}{'minutes':>9}{'r_1':>7}{'from':>7}{'to':>7}")
    for name, f in found.items():
        print(f"{name:12}{f.clips:7}{f.seconds / 60:9.1f}{f.mean[1]:7.3f}{f.low:7.3f}{f.high:7.3f}")
    if not check:
        results.path("recorded_dependence").write_text(as_json(found), encoding="utf-8")
    elif wrong := differences(data.recorded_dependence(), found):
        raise SystemExit(f"the table that ships says otherwise of {', '.join(wrong)}")


if __name__ == "__main__":
    main()
