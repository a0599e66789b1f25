"""The trainer: EMA, schedule, exact resumption, SIGKILL, damaged files, two processes as one."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from minigen.train import (
    Ema,
    TrainConfig,
    Trainer,
    learning_rate,
    load_tensors,
    save_tensors,
)

CONFIG = TrainConfig(steps=30, rate=1e-2, warmup=5, every=7, decay=0.9)


class Regression(nn.Module):
    """A small objective with a network that has a buffer, too."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
        self.model.register_buffer("count", torch.zeros((), dtype=torch.long))

    def forward(self, batch):
        loss = (self.model(batch["x"]) - batch["y"]).square().mean()
        return loss, {"error": loss.item() ** 0.5}


def batches(step, shard=0, shards=1, size=8):
    x = torch.randn(size, 3, generator=torch.Generator().manual_seed(step))
    return {"x": x[shard::shards], "y": x.sum(1, keepdim=True)[shard::shards]}


def weights(trainer):
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def test_ema_equals_its_closed_form():
    """s_n = d^n s_0 + (1-d) Σ_k d^(n-k) w_k; the swapped form fails."""
    net, decay, history = nn.Linear(1, 1, bias=False), 0.9, []
    start = net.weight.item()
    ema = Ema(net, decay)
    for k in range(1, 21):
        nn.init.constant_(net.weight, k * 0.5)
        history.append(k * 0.5)
        ema.update(net)
    n = len(history)
    want = decay**n * start + (1 - decay) * sum(
        decay ** (n - k) * w for k, w in enumerate(history, 1)
    )
    swapped = start
    for w in history:
        swapped = decay * w + (1 - decay) * swapped
    got = ema.shadow["weight"].item()
    assert abs(got - want) < 1e-5 and abs(got - swapped) > 0.5


def test_learning_rate_rises_and_falls():
    rates = [learning_rate(step, CONFIG) for step in range(31)]
    assert max(rates) == CONFIG.rate and rates.index(max(rates)) == 4
    assert all(a > b for a, b in itertools.pairwise(rates[5:]))
    assert rates[30] == pytest.approx(CONFIG.rate * CONFIG.final)


def test_training_n_plus_m_steps_equals_n_save_load_m(tmp_path):
    whole = Trainer(Regression(), batches, CONFIG, tmp_path / "whole")
    whole.run()
    Trainer(Regression(), batches, CONFIG, tmp_path / "parts").run(until=11)
    parts = Trainer(Regression(), batches, CONFIG, tmp_path / "parts")
    parts.run(resume=True)
    assert parts.step == whole.step == 30
    for name, value in weights(whole).items():
        assert torch.equal(value, parts.model.state_dict()[name]), name
        assert torch.equal(whole.ema.shadow[name], parts.ema.shadow[name]), name


def test_learns_and_writes_curves(tmp_path):
    config = TrainConfig(steps=300, rate=2e-2, warmup=5, decay=0.9)
    watched = Trainer(Regression(), batches, config, tmp_path, {"name": "test"}).run()
    assert watched["error"] < 0.3
    assert list(tmp_path.glob("events.*"))
    _, notes = load_tensors(tmp_path / "checkpoint.safetensors")
    assert notes["step"] == 300 and notes["recipe"] == {"name": "test"}


def test_refuses_to_overwrite_a_run(tmp_path):
    Trainer(Regression(), batches, CONFIG, tmp_path).run(until=3)
    with pytest.raises(FileExistsError, match="--resume"):
        Trainer(Regression(), batches, CONFIG, tmp_path).run()


def test_not_finite_stops_with_the_cause(tmp_path):
    def bad(step, shard, shards):
        batch = batches(step)
        if step == 9:
            batch["x"][0, 0] = float("nan")
        return batch

    trainer = Trainer(Regression(), bad, CONFIG, tmp_path)
    with pytest.raises(FloatingPointError, match="nan at step 9.*checkpoint"):
        trainer.run()
    assert load_tensors(trainer.checkpoint)[1]["step"] == 7  # the last good one stays


@pytest.mark.parametrize("damage", ["truncate", "garbage", "empty"])
def test_damaged_checkpoint_is_a_clear_error(tmp_path, damage):
    trainer = Trainer(Regression(), batches, CONFIG, tmp_path)
    trainer.run(until=3)
    content = trainer.checkpoint.read_bytes()
    new = {"truncate": content[: len(content) // 2], "garbage": b"x" * 200, "empty": b""}[damage]
    trainer.checkpoint.write_bytes(new)
    with pytest.raises(ValueError, match="damaged"):
        Trainer(Regression(), batches, CONFIG, tmp_path).run(resume=True)


def test_saving_is_atomic(tmp_path, monkeypatch):
    """A crash in the middle of writing leaves the old file whole."""
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"x": torch.ones(3)}, {"step": 1})

    def crash(tensors, file, metadata):
        Path(file).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("minigen.train.save_file", crash)
    with pytest.raises(OSError, match="disk full"):
        save_tensors(path, {"x": torch.zeros(3)}, {"step": 2})
    tensors, notes = load_tensors(path)
    assert notes == {"step": 1} and tensors["x"].sum() == 3


SCRIPT = """
import sys, time
sys.path.insert(0, {tests!r})
from test_train import Regression, Trainer, TrainConfig, batches

def slow(step, shard, shards):
    time.sleep({pause})
    return batches(step, shard, shards)

config = TrainConfig(steps={steps}, rate=1e-2, warmup=5, every=1, decay=0.9)
Trainer(Regression(), slow, config, {out!r}).run(resume=True)
"""


def script(tmp_path, out, steps, pause=0.0):
    path = tmp_path / "run.py"
    tests = str(Path(__file__).parent)
    path.write_text(SCRIPT.format(tests=tests, out=str(out), steps=steps, pause=pause))
    return path


def environment():
    root = str(Path(__file__).parents[1])
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def test_sigkill_then_resume_equals_an_undisturbed_run(tmp_path):
    """Killed three times at moments of no choosing, the run ends with the same weights."""
    out, steps = tmp_path / "killed", 60
    command = [sys.executable, str(script(tmp_path, out, steps, pause=0.02))]
    for kill in range(3):
        process = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL)
        before = load_tensors(out / "checkpoint.safetensors")[1]["step"] if kill else 0
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:  # let it get at least five steps further
            time.sleep(0.005)
            file = out / "checkpoint.safetensors"
            if file.exists() and load_tensors(file)[1]["step"] >= before + 5:
                break
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"
    subprocess.run(command, env=environment(), check=True, stderr=subprocess.DEVNULL)
    whole = Trainer(
        Regression(),
        batches,
        TrainConfig(steps=steps, rate=1e-2, warmup=5, every=1, decay=0.9),
        tmp_path / "whole",
    )
    whole.run()
    got, notes = load_tensors(out / "checkpoint.safetensors")
    assert notes["step"] == steps
    for name, value in weights(whole).items():
        assert torch.allclose(got[f"model.{name}"], value, atol=1e-6), name


def test_two_processes_equal_one(tmp_path):
    """Gradients averaged over two gloo processes are the gradient of the whole batch."""
    path = script(tmp_path, tmp_path / "two", steps=10)
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *("--nproc_per_node=2", str(path)),
    ]
    cpu = {**environment(), "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(command, env=cpu, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    config = TrainConfig(steps=10, rate=1e-2, warmup=5, every=1, decay=0.9)
    one = Trainer(Regression(), batches, config, tmp_path / "one")
    one.run()
    got, _ = load_tensors(tmp_path / "two" / "checkpoint.safetensors")
    for name, value in weights(one).items():
        assert torch.allclose(got[f"model.{name}"], value, atol=1e-5), name
