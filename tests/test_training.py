"""The training scripts at toy size: they run, by the one loop, and keep the best of the averages."""

import importlib
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
import torch
from torch import nn

from minigen.train import TrainConfig

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
import common


def test_fit_learns_and_keeps_the_best_average():
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 50)[:, None]
    model, seen = nn.Linear(1, 1), []

    def error(model):
        seen.append(nn.functional.mse_loss(model(x), 3 * x).item())
        return seen[-1] if len(seen) < 4 else 1.0  # the last look is the worst

    best = common.fit(
        model,
        lambda model, batch: nn.functional.mse_loss(model(batch["x"]), 3 * batch["x"]),
        lambda step, generator: {"x": common.rows(x, 8, generator)},
        TrainConfig(40, rate=0.1, warmup=1, every=10),
        error,
    )
    assert best == {
        "validation": round(min(seen[:3]), 5),
        "step": 10 * (1 + seen.index(min(seen[:3]))),
    }
    assert nn.functional.mse_loss(model(x), 3 * x).item() == pytest.approx(min(seen[:3]))
    assert not model.training and seen[2] < 0.5 * seen[0]


@pytest.mark.parametrize("name", ["made_digits", "vae_digits", "vq_digits"])
def test_a_script_trains_for_a_few_steps(name, monkeypatch):
    script = importlib.import_module(name)
    monkeypatch.setitem(script.RUN, "steps", 4)
    monkeypatch.setattr(script, "EVERY", 2)
    if name == "made_digits":
        found = script.train(0)
    elif name == "vae_digits":
        found = script.train("planar", 0)[1]
    else:
        found = script.train(0, script.pictures())[1]
    assert found["step"] in (2, 4) and found["validation"] > 0


def test_the_notebook_for_a_gpu_is_its_source_and_asks_for_one():
    """It is not run here; its cells compile, and a change of the source is carried over: see its last line."""
    folder = Path(__file__).parents[1] / "training"
    source = jupytext.read(folder / "train_on_a_gpu.md")
    notebook = nbformat.read(folder / "train_on_a_gpu.ipynb", as_version=4)
    cells = lambda nb: [(cell.cell_type, cell.source) for cell in nb.cells]
    assert cells(notebook) == cells(source), "jupytext --to ipynb training/train_on_a_gpu.md"
    assert notebook.metadata["accelerator"] == "GPU"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            compile(cell.source, "cell", "exec")
            assert not cell.outputs
