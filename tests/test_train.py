"""The trainer: EMA, schedule, exact resumption, SIGKILL, damaged files, two processes as one."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from torch import nn

from minigen import weights
from minigen.distillation import Guard
from minigen.distributions import GaussianHead
from minigen.train import (
    Ema,
    TrainConfig,
    Trainer,
    compile_bodies,
    learning_rate,
)
from minigen.wavenet import WaveNet

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


def state(trainer):
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
    for name, value in state(whole).items():
        assert torch.equal(value, parts.model.state_dict()[name]), name
        assert torch.equal(whole.ema.shadow[name], parts.ema.shadow[name]), name


def test_learns_and_writes_curves(tmp_path):
    config = TrainConfig(steps=300, rate=2e-2, warmup=5, decay=0.9)
    watched = Trainer(Regression(), batches, config, tmp_path, {"name": "test"}).run()
    assert watched["error"] < 0.3
    assert list(tmp_path.glob("events.*"))
    _, notes = weights.load(tmp_path / "checkpoint.safetensors")
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
    assert weights.load(trainer.checkpoint)[1]["step"] == 7  # the last good one stays


class Watched(Regression):
    """What a distillation watches, as the test wants it, and a guard."""

    def __init__(self, story, **limits) -> None:
        super().__init__()
        self.story, self.seen, self.guard = story, 0, Guard(**limits)

    def forward(self, batch):
        loss, watched = super().forward(batch)
        self.seen += 1
        return loss, {**watched, **self.story(self.seen - 1)}


FAULTS = {
    "KL of 30 nats": lambda step: {"kl": 30.0 if step >= 63 else 1.0 + 0.1 * (step % 3)},
    "the student whispers": lambda step: {"std_ratio": 0.01 if step >= 63 else 0.9},
    "far too loud": lambda step: {"std_ratio": 40.0 if step >= 63 else 0.9},
    "at the teacher's floor": lambda step: {"at_floor": 1.0 if step >= 63 else 0.2},
}


@pytest.mark.parametrize("cause", FAULTS)
def test_a_lasting_fault_stops_the_run_with_its_cause_and_keeps_the_last_good_checkpoint(
    tmp_path, cause
):
    """The fault begins at step 63 and is named five steps later: what is kept is from before it began."""
    config = TrainConfig(steps=100, rate=1e-2, every=2)
    objective = Watched(FAULTS[cause], spike=5, patience=5, grace=20)
    trainer = Trainer(objective, batches, config, tmp_path)
    with pytest.raises(FloatingPointError, match=f"{cause}.*at step 67: the last good") as caught:
        trainer.run()
    assert "\n" not in str(caught.value)
    assert weights.load(trainer.checkpoint)[1]["step"] == 62  # 64 and 66 were due, too


@pytest.mark.parametrize(
    "story",
    [
        lambda step: {"kl": 500.0 if step % 20 == 10 else 1.0},  # single samples that cost much
        lambda step: {"kl": 100.0 / (1 + step)},  # a hard start
        lambda step: {"std_ratio": 0.01 if step < 20 or step % 4 else 1.0},  # silent start, gaps
        lambda step: {"at_floor": 0.9},
        lambda step: {},
    ],
)
def test_a_passing_fault_stops_nothing(tmp_path, story):
    objective = Watched(story, spike=5, patience=5, grace=20)
    Trainer(objective, batches, TrainConfig(steps=100, every=7), tmp_path).run()


def test_an_explosion_does_not_become_the_usual_thing():
    """Values that are too high do not enter the median, however many there are."""
    guard = Guard(spike=120)
    causes = [guard.check(step, {"kl": 1.0 if step < 50 else 30.0}) for step in range(170)]
    assert causes[:-1] == [None] * 169 and "running median of 1," in causes[-1]


def test_gradient_that_is_not_finite_spoils_no_weight(tmp_path):
    class Edge(Regression):
        def forward(self, batch):
            loss, watched = super().forward(batch)
            if batch["x"].shape[0] == 4:  # √ at zero: a finite loss whose gradient is infinite
                loss = (
                    loss + (self.model[0].bias - self.model[0].bias.detach()).square().sum().sqrt()
                )
            return loss, watched

    def edge(step, shard, shards):
        return batches(step, size=4 if step == 13 else 8)

    trainer = Trainer(Edge(), edge, TrainConfig(steps=30, every=7), tmp_path)
    with pytest.raises(FloatingPointError, match="norm of the gradient is nan at step 13"):
        trainer.run()
    assert all(torch.isfinite(value).all() for value in trainer.model.state_dict().values())


@pytest.fixture
def another_precision():
    """Accelerate allows one precision a process: forget the one that other tests chose."""
    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()


def test_half_precision_is_for_the_body_only(tmp_path, another_precision):
    """Under bf16 the convolutions run in bfloat16; parameters, head and loss in float32."""
    seen = {}

    class Nll(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = WaveNet(GaussianHead(), 4, 4, layers=2, cycles=1, lpc_order=2)
            note = lambda name: lambda module, given, out: seen.update({name: out.dtype})
            self.model.layers[0].conv.register_forward_hook(note("body"))
            self.model.output_projection.register_forward_hook(note("head"))

        def forward(self, batch):
            loss = -self.model.log_prob(batch["x"][None].mT[:, :1]).mean()
            seen["loss"] = loss.dtype
            return loss, {}

    config = TrainConfig(steps=2, bf16=True)
    trainer = Trainer(Nll(), batches, config, tmp_path)
    trainer.run()
    assert seen == {"body": torch.bfloat16, "head": torch.float32, "loss": torch.float32}
    assert all(weight.dtype == torch.float32 for weight in trainer.model.parameters())
    saved, _ = weights.load(trainer.checkpoint)
    assert {v.dtype for k, v in saved.items() if not k.startswith("adam.")} == {torch.float32}


def test_clipping_scales_a_long_gradient_down(tmp_path):
    """With plain gradient descent a step is as long as the clip says, whatever the gradient."""
    trainer = Trainer(Regression(), batches, TrainConfig(steps=5, clip=1e-3), tmp_path)
    trainer.optimizer = trainer.accelerator.prepare(
        torch.optim.SGD(trainer.model.parameters(), 1.0)
    )
    before = torch.cat([w.detach().flatten().clone() for w in trainer.model.parameters()])
    watched = trainer._one_step()
    after = torch.cat([w.detach().flatten() for w in trainer.model.parameters()])
    assert watched["gradient"] > 0.01  # its length before it was clipped
    rate = learning_rate(0, trainer.config)
    assert torch.allclose((after - before).norm(), torch.tensor(1e-3 * rate), rtol=1e-2)


def test_compile_changes_speed_and_not_results(tmp_path):
    """The same weights with and without, under the same names; skipped where torch finds no compiler."""
    try:
        compile_bodies(Regression())
    except OSError as error:
        pytest.skip(str(error))
    found = []
    for compiled in (False, True):
        config = TrainConfig(steps=4, rate=1e-2, warmup=1, compile=compiled)
        trainer = Trainer(Regression(), batches, config, tmp_path / str(compiled))
        trainer.run()
        assert (trainer.model._compiled_call_impl is not None) == compiled
        found.append(weights.load(trainer.checkpoint)[0])
    assert set(found[0]) == set(found[1])
    for name, value in found[0].items():
        assert torch.allclose(value.float(), found[1][name].float(), atol=1e-5), name


def test_compile_without_a_compiler_is_a_clear_error(tmp_path, monkeypatch):
    def broken(function):
        raise RuntimeError("InvalidCxxCompiler: no working C++ compiler\nand much more")

    monkeypatch.setattr("torch.compile", broken)
    with pytest.raises(OSError, match=r"g\+\+ or clang.*no working C\+\+ compiler$"):
        Trainer(Regression(), batches, TrainConfig(steps=2, compile=True), tmp_path)


@pytest.mark.parametrize("damage", ["truncate", "garbage", "empty"])
def test_damaged_checkpoint_is_a_clear_error(tmp_path, damage):
    trainer = Trainer(Regression(), batches, CONFIG, tmp_path)
    trainer.run(until=3)
    content = trainer.checkpoint.read_bytes()
    new = {"truncate": content[: len(content) // 2], "garbage": b"x" * 200, "empty": b""}[damage]
    trainer.checkpoint.write_bytes(new)
    with pytest.raises(ValueError, match="damaged"):
        Trainer(Regression(), batches, CONFIG, tmp_path).run(resume=True)


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


KILLS = int(os.environ.get("MINIGEN_KILLS", "8"))  # 50 for the long run: see CONTRIBUTING.md
NURSERY = """
import os, random, signal, sys, time
sys.path.insert(0, {tests!r})
import torch.utils.tensorboard  # whatever a run imports is imported once, before the first fork
from accelerate import Accelerator
from minigen import weights
from minigen.train import Path
from test_train import Regression, Trainer, TrainConfig, batches

Accelerator()
out, log = {out!r}, os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

def noted(step, shard, shards):
    os.write(log, b"%d\\n" % step)  # this step begins: whatever was due before it has been written
    time.sleep(0.01)
    return batches(step, shard, shards)

def child():
    config = TrainConfig(steps={steps}, rate=1e-2, warmup=5, every={every}, decay=0.9)
    try:
        Trainer(Regression(), noted, config, out).run(resume=True)
    except BaseException as error:
        os.write(log, repr(error).encode())
        os._exit(1)
    os._exit(0)

dice = random.Random(0)
for kill in range({kills}):
    os.write(log, b"run\\n")
    size = os.path.getsize({log!r})
    if not (pid := os.fork()):
        child()
    if dice.random() < 0.25:
        time.sleep(dice.uniform(0, 0.4))  # in start-up, perhaps
    else:
        while os.path.getsize({log!r}) == size:  # its first step
            time.sleep(0.001)
        time.sleep(dice.uniform(0, 0.15))
    os.kill(pid, signal.SIGKILL)
    if not os.WIFSIGNALED(os.waitpid(pid, 0)[1]):
        sys.exit("it ended before it could be killed: raise steps")
    file = Path({out!r}) / "checkpoint.safetensors"
    if file.exists():
        os.write(log, b"saved %d\\n" % weights.load(file)[1]["step"])
os.write(log, b"run\\n")
if not (pid := os.fork()):
    child()
sys.exit(os.waitpid(pid, 0)[1])
"""


@pytest.mark.slow
def test_sigkill_at_random_moments_loses_only_the_steps_since_the_last_checkpoint(tmp_path):
    """Killed at 8 moments that fall anywhere, in start-up, in a step, in the middle of writing.

    Each time the checkpoint can be read and is the last that was due; at the end the weights are those of a
    run that nobody disturbed. MINIGEN_KILLS=50 kills 50 times.
    """
    steps, every, log = 16 * KILLS + 20, 3, tmp_path / "log"
    path = tmp_path / "nursery.py"
    tests, out = str(Path(__file__).parent), tmp_path / "killed"
    numbers = {"steps": steps, "every": every, "kills": KILLS}
    path.write_text(NURSERY.format(tests=tests, out=str(out), log=str(log), **numbers))
    done = subprocess.run(
        [sys.executable, str(path)], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.stderr[-2000:], log.read_text()[-500:])
    begun, kept, kills = None, 0, 0
    for line in log.read_text().splitlines():
        if line == "run":
            begun = None
        elif line.startswith("saved"):
            saved, kills = int(line.split()[1]), kills + 1
            assert saved >= kept, "a later checkpoint was lost"
            if (
                begun is not None
            ):  # step `begun` had begun, so every checkpoint due before it was there
                assert begun - every < saved <= begun + 1, (begun, saved)
            kept = saved
        else:
            if begun is None:
                assert int(line) == kept, "a run must begin where the checkpoint ends"
            begun = int(line)
    assert KILLS / 2 <= kills <= KILLS and begun == steps - 1
    config = TrainConfig(steps=steps, rate=1e-2, warmup=5, every=every, decay=0.9)
    whole = Trainer(Regression(), batches, config, tmp_path / "whole")
    whole.run()
    got, notes = weights.load(out / "checkpoint.safetensors")
    assert notes["step"] == steps
    for name, value in state(whole).items():
        assert torch.equal(got[f"model.{name}"], value), name


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
    got, _ = weights.load(tmp_path / "two" / "checkpoint.safetensors")
    for name, value in state(one).items():
        assert torch.allclose(got[f"model.{name}"], value, atol=1e-5), name
