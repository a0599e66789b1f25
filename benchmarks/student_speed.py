"""What a second of sound costs: a teacher, sample by sample, against its student, in one table.

    python benchmarks/student_speed.py                            measure, print, write minigen/results/speed.json
    python benchmarks/student_speed.py --only digits --rounds 1   a quick look, which writes nothing

Two sizes: the digit voice that ships, at 8 kHz, and networks of a useful size at 16 kHz (`LARGE`), with
weights as they are before training, since nobody has trained them: the time does not depend on the weights.

Every row is a process of its own. They wait for each other and take turns, so that each round meets the same
machine, and medians over rounds count. The naive teacher that a row is compared with has as many threads, or is
on the same GPU. Batch 1.
The teacher starts from the conditioning, its receptive field being full; the student from the features of text,
upsampling included. Memory is the peak of the row's process, and what it held of that before it first spoke,
which is mostly libraries. Rows for a GPU are measured where there is one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from minigen import results

ROOT = Path(__file__).parents[1]
FILE = results.path("speed")
SECONDS = 2  # of sound, that a student makes at a time
SIZES = {
    "digits": "the digit voice, 8 kHz",
    "16 kHz": "a teacher of 2 × 10 layers of 96 channels, a student of 4 flows of 10 layers of 64, 16 kHz, "
    "not trained (the time does not depend on the weights)",
}
LARGE = {
    "teacher": {"residual": 96, "skip": 128, "layers": 10, "cycles": 2, "min_log_scale": -7.2},
    "student": {"flows": 4, "layers": 10, "residual": 64, "log_scale": -5.0},
}
SHARED = {"kernel": 2, "cond_channels": 48, "lpc_order": 24, "hidden": 96}
# samples that a teacher makes at a time, for each size; on a GPU many, since the step is recorded anew each time
SAMPLES = {"naive": (20, 5), "numpy": (800, 400), "numba": (8000, 3000), "cuda_graph": (8000, 8000)}
CPU = (
    ("teacher, naive", 1),
    ("teacher, naive", 2),
    ("teacher, cached, numpy", 1),
    ("teacher, cached, numba", 1),
    ("student, PyTorch", 1),
    ("student, PyTorch", 2),
    ("student, onnxruntime", 1),
    ("student, onnxruntime", 2),
)
GPU = ("teacher, naive, GPU", "teacher, cached, cuda_graph, GPU", "student, PyTorch, GPU")
PAPER = {
    "teacher": 172,
    "student": 500_000,
    "rate": 24_000,
    "on": "a GPU",
    "key": "oord2017parallel",
}


# ---------------------------------------------------------------- in the process of a row


def peak() -> float:
    """Megabytes that this process has held at most so far."""
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage would count what its parent held before the row began
        line = next(
            ln for ln in status.read_text(encoding="utf-8").splitlines() if ln.startswith("VmHWM")
        )
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def networks(size: str) -> tuple:
    """-> (teacher, student) voices."""
    import torch

    from minigen.conditioning import VoiceSpec
    from minigen.speech import voice, voice_file

    if size == "digits":
        return voice.load("teacher"), voice.load("student")
    torch.manual_seed(0)
    spec = VoiceSpec(voice_file.find("allison").acoustic.phones, 16_000, ("allison",))
    made = (voice.KINDS[kind].build(spec, **SHARED | sizes) for kind, sizes in LARGE.items())
    return tuple(one.eval().requires_grad_(False) for one in made)


def prepare(size: str, folder: Path) -> None:
    """Write the student as ONNX, features to speak from, and the facts of both networks."""
    import torch

    from minigen.speech import onnx

    teacher, student = networks(size)
    n, hop, draw = 100 * SECONDS, student.spec.hop, torch.Generator().manual_seed(0)
    given = {
        "noise": torch.randn(1, 1, n * hop, generator=draw),
        "frames": torch.rand(1, student.spec.frame_features, n, generator=draw),
        "speaker": torch.zeros(1, dtype=torch.long),
        "phase": torch.rand(1, 6, n * hop, generator=draw) - 0.5,
    }
    np.savez(folder / f"{size}.npz", **{name: value.numpy() for name, value in given.items()})
    onnx.export(student, folder / f"{size}.onnx")
    count = lambda model: sum(weight.numel() for weight in model.parameters())
    facts = {
        "what": SIZES[size],
        "rate": student.spec.rate,
        "teacher_weights": count(teacher),
        "student_weights": count(student),
        "receptive_field": teacher.wavenet.receptive_field,
    }
    (folder / f"{size}.json").write_text(json.dumps(facts), encoding="utf-8")


def by_onnxruntime(size: str, threads: int, folder: Path) -> tuple[Callable, int]:
    """A student without PyTorch -> what makes sound once, and how many samples that are."""
    import onnxruntime

    given = dict(np.load(folder / f"{size}.npz"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        str(folder / f"{size}.onnx"), options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, given)[0], given["noise"].shape[-1]


def by_torch(row: str, size: str, threads: int, folder: Path) -> tuple[Callable, int]:
    """A row of PyTorch, numpy or numba -> what makes sound once, and how many samples that are."""
    import torch

    from minigen.generate import generate
    from minigen.speech import onnx

    torch.set_num_threads(threads)
    device = "cuda" if row.endswith("GPU") else "cpu"
    teacher, student = (model.to(device) for model in networks(size))
    given = {k: torch.from_numpy(v).to(device) for k, v in np.load(folder / f"{size}.npz").items()}
    if row.startswith("student"):
        graph = onnx.Graph(student)
        return lambda: graph(*given.values()).cpu(), given["noise"].shape[-1]
    cond, net = teacher.conditioning(given), teacher.wavenet
    way = next((name for name in SAMPLES if name in row), "naive")
    samples, field = SAMPLES[way][list(SIZES).index(size)], net.receptive_field
    if way == "naive":  # the receptive field is full, with silence

        def run():
            x = torch.zeros(1, 1, field + samples, device=device)
            for t in range(field, field + samples):
                part = slice(t - field, t + 1)
                x[..., t : t + 1] = net.head.sample(net(x[..., part], cond[..., part])[..., -1:])
            return x.cpu()

        return run, samples
    draw = torch.Generator(device).manual_seed(0)
    return lambda: generate(net, cond[..., :samples], backend=way, generator=draw).cpu(), samples


def speak(row: str, size: str, threads: int, folder: Path) -> None:
    """The process of a row: one turn for each line that comes in, memory at the end."""
    if "onnxruntime" in row:
        run, samples = by_onnxruntime(size, threads, folder)
        finish = lambda: None
    else:
        import torch

        torch.set_grad_enabled(False)
        run, samples = by_torch(row, size, threads, folder)
        finish = torch.cuda.synchronize if row.endswith("GPU") else lambda: None
    loaded = peak()
    run()  # compiled, and caches filled
    finish()
    print("ready", flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        run()
        finish()
        print((time.perf_counter() - begin) / samples, flush=True)
    memory = {"memory_mb": round(peak()), "loaded_mb": round(loaded)}
    if row.endswith("GPU"):
        memory["gpu_mb"] = round(torch.cuda.max_memory_allocated() / 2**20)
    print(json.dumps(memory), flush=True)


# ---------------------------------------------------------------- all rows


def call(*arguments: str, threads: int = 1, **options) -> subprocess.Popen:
    """This script again, with so many threads for whatever library it loads."""
    names = ("OMP", "MKL", "OPENBLAS", "NUMBA")
    limits = {f"{name}_NUM_THREADS": str(threads) for name in names}
    command = [sys.executable, str(Path(__file__).resolve()), *arguments]
    return subprocess.Popen(command, env=os.environ | limits, cwd=ROOT, text=True, **options)


def label(row: str, threads: int) -> str:
    """How a row is called in the table."""
    return row if row in GPU else f"{row}, {threads} thread{'s' * (threads > 1)}"


def measure(size: str, rows: list[tuple[str, int]], rounds: int, folder: Path) -> dict:
    """Facts of a size, and its "rows": {label: {samples_per_second, …, times_naive, memory_mb, loaded_mb}}.

    Among the rows must be the naive teacher of every number of threads, and on the GPU if others are.
    """
    if call("--prepare", size, "--folder", str(folder)).wait():
        raise SystemExit(f"{size}: the networks could not be made")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    waiting = {}
    for row, threads in rows:
        options = ["--row", row, "--size", size, "--threads", str(threads), "--folder", str(folder)]
        waiting[row, threads] = call(*options, threads=threads, **pipes)
        if waiting[row, threads].stdout.readline() != "ready\n":
            raise SystemExit(f"{size}, {row}: the row failed")
    times: dict[tuple, list[float]] = {each: [] for each in rows}
    for _ in range(rounds):
        for each, process in waiting.items():
            print("go", file=process.stdin, flush=True)
            times[each].append(float(process.stdout.readline()))
            time.sleep(0.1)  # threads that wait for work spin for a while
    facts, table = json.loads((folder / f"{size}.json").read_text(encoding="utf-8")), {}
    short = lambda value: float(f"{value:.4g}")
    for (row, threads), process in waiting.items():
        left, _ = process.communicate()
        mine = median(times[row, threads])
        naive = median(times[GPU[0] if row in GPU else CPU[0][0], threads])
        table[label(row, threads)] = {
            "threads": threads,
            "samples_per_second": short(1 / mine),
            "real_time_factor": short(mine * facts["rate"]),
            "times_real_time": short(1 / mine / facts["rate"]),
            "times_naive": short(naive / mine),
        } | json.loads(left)
    return facts | {"rows": table}


def as_text(facts: dict) -> str:
    """One size's table."""
    lines = [f"{facts['what']}, receptive field {facts['receptive_field']:,}"]
    lines.append(
        f"{'':34}{'samples/s':>11}{'× real time':>13}{'× naive':>9}{'peak MB':>9}{'loaded':>8}"
    )
    for name, row in facts["rows"].items():
        lines.append(
            f"{name:34}{row['samples_per_second']:>11,.0f}{row['times_real_time']:>13.3g}"
            f"{row['times_naive']:>9,.0f}{row['memory_mb']:>9}{row['loaded_mb']:>8}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=SIZES)
    parser.add_argument("--rounds", type=int, default=5)
    for name in ("--prepare", "--row", "--size", "--folder"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.prepare:
        return prepare(given.prepare, Path(given.folder))
    if given.row:
        return speak(given.row, given.size, given.threads, Path(given.folder))

    import onnxruntime
    import torch

    gpu = torch.cuda.is_available()
    rows = [*CPU, *((row, 1) for row in GPU if gpu)]
    sizes = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in [given.only] if given.only else SIZES:
            sizes[size] = measure(size, rows, given.rounds, Path(folder))
            print(as_text(sizes[size]))
            print("\n".join(f"{row:34} not measured: no GPU" for row in GPU if not gpu), flush=True)
    card = {
        "command": "python benchmarks/student_speed.py",
        "rounds": given.rounds,
        "seconds": SECONDS,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "gpu": torch.cuda.get_device_name() if gpu else None,
        "gpu_rows": list(GPU),
        "torch": torch.__version__,
        "onnxruntime": onnxruntime.__version__,
        "sizes": sizes,
        "paper": PAPER,
    }
    if not given.only:
        FILE.write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
