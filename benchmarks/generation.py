"""How fast the shipped voices make sound here: the teacher sample by sample, and the student at once.

    python benchmarks/generation.py

One after the other in one process, one sound at a time, medians of three rounds.
"""

import os
import platform
from statistics import median

import torch

from minigen import voice

ROUNDS = 3
ROWS = (
    ("teacher, naive", "teacher", "naive"),
    ("teacher, cached", "teacher", "numpy"),
    ("student", "student", "naive"),
)


def main() -> None:
    """Measure each row and print samples a second, as a multiple of real time and of the first."""
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {voice.RATE} Hz\n")
    print(f"{'':<17}{'samples/s':>12}{'× real time':>13}{'× naive':>10}")
    speeds = {name: [] for name, _, _ in ROWS}
    for _ in range(ROUNDS):
        for name, kind, backend in ROWS:
            speeds[name].append(voice.samples_per_second(kind, backend))
    naive = median(speeds["teacher, naive"])
    for name, values in speeds.items():
        speed = median(values)
        print(f"{name:<17}{speed:>12,.0f}{speed / voice.RATE:>13.2f}{speed / naive:>10.1f}")


if __name__ == "__main__":
    main()
