"""The shipped student as an ONNX file: how fast onnxruntime makes sound on two cores, against PyTorch.

    python benchmarks/onnx_runtime.py [--seconds 2] [--threads 2]

Exports the student, checks that both make the same samples, and prints medians of rounds, taken in turn: seconds of
sound for a second of computing, at batch 1, from features to samples.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime
import torch

from minigen import conditioning, onnx, streaming, voice


def main() -> None:
    """Export, compare, measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    model = voice.load("student")
    n = round(100 * given.seconds)
    parts = [streaming.features(conditioning.plan(w, "slt"), model.spec) for w in ("seven",) * n]
    frames, phase = (np.concatenate(part, 1) for part in zip(*parts, strict=True))
    frames, phase = frames[None, :, :n], phase[None, :, : 80 * n]
    noise = torch.randn(1, 1, 80 * n, generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "student.onnx"
        begin = time.perf_counter()
        onnx.export(model, path)
        took = time.perf_counter() - begin
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = given.threads
        session = onnxruntime.InferenceSession(str(path), options)
        size = path.stat().st_size
    torch.set_num_threads(given.threads)
    arrays = (noise.numpy(), frames, np.zeros(1, dtype=np.int64), phase)
    named = dict(zip(onnx.INPUTS, arrays, strict=True))
    tensors = [torch.from_numpy(value) for value in arrays]
    graph = onnx.Graph(model)

    def by_torch() -> np.ndarray:
        with torch.no_grad():
            return graph(*tensors).numpy()

    ways = {"onnxruntime": lambda: session.run(None, named)[0], "PyTorch": by_torch}
    results = {name: way() for name, way in ways.items()}
    error = np.abs(results["onnxruntime"] - results["PyTorch"]).max()
    print(f"exported in {took:.1f} s, {size / 1e6:.2f} MB; largest difference {error:.1e}")
    assert error < 1e-4
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(given.rounds):
        for name, way in ways.items():
            begin = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - begin)
    print(f"{given.seconds} s of sound at 8 kHz, batch 1, {given.threads} threads")
    for name, values in times.items():
        print(f"  {name:12} {given.seconds / median(values):6.1f} times real time")


if __name__ == "__main__":
    main()
