"""The trainer: EMA, schedule, exact resumption, SIGKILL, damaged files, two processes as one."""

import itertools
import math
import os
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from minigen import weights
from minigen.checkpoint import random_state
from minigen.distillation import DivergenceMonitor
from minigen.distributions import GaussianHead
from minigen.train import (
    Ema,
    TrainConfig,
    Trainer,
    compile_bodies,
    learning_rate,
)
from minigen.wavenet import WaveNet

CONFIG = TrainConfig(steps=30, rate=1e-2, warmup=5, every=7, average=0.25)


class Regression(nn.Module):
    """A small objective whose network counts its batches."""

    dropout = 0.0

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        drop = nn.Dropout(self.dropout)
        self.model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), drop, nn.Linear(8, 1))
        self.model.register_buffer("count", torch.zeros((), dtype=torch.long))

    def forward(self, batch):
        self.model.count += 1
        loss = (self.model(batch["x"]) - batch["y"]).square().mean()
        return loss, {"error": loss.item() ** 0.5}


class Lucky(Regression):
    """Draws from every global generator at every step."""

    dropout = 0.2

    def __init__(self) -> None:
        super().__init__()
        random.seed(0)
        np.random.seed(0)

    def forward(self, batch):
        loss, metrics = super().forward(batch)
        return loss * (1 + 0.1 * (random.random() + np.random.normal())), metrics


class Rival(Lucky):
    """A discriminator learns beside the network, and the network from it."""

    def __init__(self) -> None:
        super().__init__()
        self.discriminator = nn.Linear(1, 1)

    def forward(self, batch):
        loss, metrics = super().forward(batch)
        made = self.model(batch["x"])
        own = (self.discriminator(made.detach()) - batch["y"]).square().mean()
        told = (made * self.discriminator.weight.detach()).square().mean()
        return loss + own + 0.1 * told, metrics


def batches(step, shard=0, shards=1, size=8):
    x = torch.randn(size, 3, generator=torch.Generator().manual_seed(step))
    return {"x": x[shard::shards], "y": x.sum(1, keepdim=True)[shard::shards]}


def state(trainer):
    return {name: value.clone() for name, value in trainer.learners.state_dict().items()}


def test_ema_equals_its_closed_form_from_any_start():
    """s_n = Σ d^(n-k) w_k / Σ d^(n-k); neither the swapped form nor one with a share of the start."""
    for start in (0.0, -100.0, 7.0):
        net, decay, history = nn.Linear(1, 1, bias=False), 0.9, [0.5 * k for k in range(1, 21)]
        nn.init.constant_(net.weight, start)
        net.register_buffer("count", torch.zeros((), dtype=torch.long))
        ema = Ema(net, decay)
        for value in history:
            nn.init.constant_(net.weight, value)
            net.count += 3
            ema.update(net)
        share = [decay ** (20 - k) for k in range(1, 21)]
        want = sum(d * w for d, w in zip(share, history, strict=True)) / sum(share)
        assert abs(ema.shadow["weight"].item() - want) < 1e-5
        assert ema.shadow["count"] == 60  # a counter is taken over, not averaged


def test_the_average_of_one_step_is_what_the_step_made(tmp_path):
    trainer = Trainer(Regression(), batches, TrainConfig(20, warmup=1, average=0.25), tmp_path)
    before = state(trainer)
    trainer.run(until=1)
    kept, _ = weights.load(trainer.checkpoint)
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(kept[f"ema.{name}"], value) and torch.equal(kept[f"model.{name}"], value)
        assert (before[f"model.{name}"] != value).any()


def test_the_average_is_over_a_share_of_the_run():
    assert TrainConfig(steps=1000).decay == pytest.approx(1 - 1 / 50)
    assert TrainConfig(steps=1000, average=0.2).decay == pytest.approx(1 - 1 / 200)
    assert TrainConfig(steps=10).decay == 0  # the last weights themselves
    for bad in (0.5, 1.0, -0.1, math.nan):
        with pytest.raises(ValueError, match="average is the part of the run"):
            TrainConfig(steps=10, average=bad)


def test_learning_rate_rises_and_falls():
    rates = [learning_rate(step, CONFIG) for step in range(31)]
    assert max(rates) == CONFIG.rate and rates.index(max(rates)) == 4
    assert all(a > b for a, b in itertools.pairwise(rates[5:]))
    assert rates[30] == pytest.approx(CONFIG.rate * CONFIG.final)
    shares = [(1 + math.cos(math.pi * k / 4)) / 2 for k in range(5)]  # a cosine, from step 5 to 405
    config = TrainConfig(steps=405, rate=1.0, warmup=5, final=0.2)
    got = [learning_rate(5 + 100 * k, config) for k in range(5)]
    assert got == pytest.approx([0.2 + 0.8 * share for share in shares])


@pytest.mark.parametrize(
    ("objective", "parts"), [(Lucky, (11,)), (Lucky, (1, 2, 29)), (Rival, (13, 99))]
)
def test_training_n_plus_m_steps_equals_n_save_load_m(tmp_path, objective, parts):
    """Bit for bit, with dropout, with draws of numpy and random, and with a discriminator."""
    whole = Trainer(objective(), batches, CONFIG, tmp_path / "whole")
    begun = state(whole)
    whole.run()
    for until in (*parts, None):
        part = Trainer(objective(), batches, CONFIG, tmp_path / "parts")
        part.run(resume=True, until=until)
    assert part.step == whole.step == whole.model.state_dict()["count"] == 30
    for name, value in state(whole).items():
        assert torch.equal(value, state(part)[name]), name
        assert not torch.equal(value, begun[name]), name
    for name, value in whole.ema.shadow.items():  # of the model alone
        assert torch.equal(value, part.ema.shadow[name]), name


def changed(name):
    """(config, batches, recipe, objective) of a run, of which one is not as it was."""
    recipe = {"kind": "test", "run": {"steps": 30, "every": 7}, "data": {"seed": 0}}
    config, data, objective = CONFIG, batches, Regression
    if name == "rate":
        config = replace(CONFIG, rate=2e-2)
    elif name == "data.seed":
        recipe["data"]["seed"] = 1
    elif name == "other data":
        data = lambda step, shard, shards: batches(step + 1000, shard, shards)
    elif name == "another frozen network":
        objective = lambda: Frozen(2.0)
    elif name == "another model":
        objective = Wide
    elif name == "steps and every":
        config, recipe["run"] = replace(CONFIG, steps=12, every=5), {"steps": 12, "every": 5}
    return config, data, recipe, objective


class Frozen(Regression):
    """Leans on a network that does not learn, as a student on its teacher."""

    def __init__(self, value=1.0) -> None:
        super().__init__()
        self.teacher = nn.Linear(1, 1).requires_grad_(False)
        nn.init.constant_(self.teacher.weight, value)


class Wide(Regression):
    def __init__(self) -> None:
        super().__init__()
        self.model.append(nn.Linear(1, 1))


@pytest.mark.parametrize(
    "name", ["rate", "data.seed", "other data", "another frozen network", "another model"]
)
def test_a_run_is_resumed_as_it_was_begun(tmp_path, name):
    config, data, recipe, objective = changed(None)
    objective = (lambda: Frozen(1.0)) if "frozen" in name else objective
    Trainer(objective(), data, config, tmp_path, recipe).run(until=3)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    config, data, recipe, objective = changed(name)
    with pytest.raises(ValueError, match=name.split()[-1]) as caught:
        Trainer(objective(), data, config, tmp_path, recipe).run(resume=True)
    assert "\n" not in str(caught.value) and "steps and every may change" in str(caught.value)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def test_steps_and_every_may_change_at_a_resume(tmp_path):
    for name, until in ((None, 3), ("steps and every", None)):
        config, data, recipe, objective = changed(name)
        trainer = Trainer(objective(), data, config, tmp_path, recipe)
        trainer.run(resume=True, until=until)
    assert trainer.step == 12


def test_two_runs_in_one_folder_are_refused(tmp_path):
    found = []

    def meanwhile(step, shard, shards):
        if step == 2:
            with pytest.raises(BlockingIOError, match="another run writes into") as caught:
                Trainer(Regression(), batches, CONFIG, tmp_path).run(resume=True)
            found.append(caught)
        return batches(step, shard, shards)

    Trainer(Regression(), meanwhile, CONFIG, tmp_path).run(until=5)
    assert len(found) == 1
    Trainer(Regression(), batches, CONFIG, tmp_path).run(resume=True)  # the lock is gone


def test_ctrl_c_ends_the_step_saves_and_says_how_to_go_on(tmp_path):
    def interrupted(step, shard, shards):
        if step == 9:
            os.kill(os.getpid(), signal.SIGINT)
        return batches(step, shard, shards)

    whole = Trainer(Lucky(), batches, CONFIG, tmp_path / "whole")
    whole.run()
    with pytest.raises(KeyboardInterrupt, match="holds step 10; --resume"):
        Trainer(Lucky(), interrupted, CONFIG, tmp_path / "parts").run()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    part = Trainer(Lucky(), batches, CONFIG, tmp_path / "parts")
    part.run(resume=True)
    assert all(torch.equal(v, state(part)[k]) for k, v in state(whole).items())


def test_a_run_that_ends_while_its_monitor_is_not_calm_keeps_the_checkpoint_before(tmp_path):
    story = lambda step: {"kl": 1.0 if step < 60 else 90.0}
    objective = Watched(story, spike=50)
    trainer = Trainer(objective, batches, TrainConfig(steps=70, every=20), tmp_path)
    trainer.run()
    assert weights.load(trainer.checkpoint)[1]["step"] == 60


def test_a_checkpoint_waits_until_its_monitor_is_calm_and_no_longer(tmp_path, monkeypatch):
    story = lambda step: {"kl": 90.0 if 58 <= step < 63 else 1.0}
    trainer = Trainer(Watched(story, spike=50), batches, TrainConfig(steps=90, every=20), tmp_path)
    stored, save = [], trainer.save
    monkeypatch.setattr(trainer, "save", lambda: stored.append(trainer.step) or save())
    trainer.run()
    assert stored == [20, 40, 64, 80, 90]  # 60 was due


def test_minutes_are_those_of_all_steps(tmp_path, monkeypatch):
    """By a clock that nobody sets, on which every step takes half a minute."""
    ticks = itertools.count(0, 30)
    monkeypatch.setattr("minigen.train.time", SimpleNamespace(monotonic=lambda: next(ticks)))
    for until in (5, 10):
        trainer = Trainer(Regression(), batches, CONFIG, tmp_path)
        trainer.run(resume=True, until=until)
        assert weights.load(trainer.checkpoint)[1]["minutes"] == until / 2


def test_each_process_gets_its_own_random_state_back(tmp_path):
    trainer = Trainer(Lucky(), batches, CONFIG, tmp_path)
    trainer.run(until=3)
    tensors, notes = weights.load(trainer.checkpoint)
    torch.manual_seed(9)
    notes["random"] = [*notes["random"], random_state(torch.device("cpu"))]
    weights.save(trainer.checkpoint, tensors, notes)
    trainer.accelerator = SimpleNamespace(process_index=1)  # as in the second of two
    want = torch.rand(3)
    trainer.load()
    assert torch.equal(torch.rand(3), want)


def test_curves_keep_the_point_at_the_checkpoint(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for until in (20, 40):
        config = TrainConfig(steps=40, every=20)
        Trainer(Regression(), batches, config, tmp_path).run(resume=True, until=until)
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in events.Scalars("loss")] == [20, 40]


def test_the_second_of_two_processes_writes_no_curves_and_no_weights(tmp_path, monkeypatch):
    trainer = Trainer(Regression(), batches, TrainConfig(steps=20), tmp_path)
    second = property(lambda accelerator: False)
    monkeypatch.setattr(type(trainer.accelerator), "is_main_process", second)
    trainer.run()
    assert trainer.step == 20
    assert not [path for path in tmp_path.rglob("*") if path.name[0] != "."]


def test_two_trainings_in_one_process_may_differ_in_precision(tmp_path):
    for bf16 in (False, True, False):
        config = TrainConfig(steps=2, bf16=bf16)
        Trainer(Regression(), batches, config, tmp_path / f"{bf16}").run(resume=True)


def test_learns_and_writes_curves(tmp_path):
    config = TrainConfig(steps=300, rate=2e-2, warmup=5, average=0.25)
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
    with pytest.raises(FloatingPointError, match="nan at step 9.*checkpoint.* holds step 7"):
        trainer.run()
    assert weights.load(trainer.checkpoint)[1]["step"] == 7


class Watched(Regression):
    """What a distillation watches, as the test wants it, and a monitor."""

    def __init__(self, story, **limits) -> None:
        super().__init__()
        self.story, self.seen, self.monitor = story, 0, DivergenceMonitor(**limits)

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
    with pytest.raises(
        FloatingPointError, match=f"{cause}.*at step 67: .* holds step 62"
    ) as caught:
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
    monitor = DivergenceMonitor(spike=120)
    causes = [monitor.check(step, {"kl": 1.0 if step < 50 else 30.0}) for step in range(170)]
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


def test_half_precision_is_for_the_body_only(tmp_path):
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


def environment():
    root = str(Path(__file__).parents[1])
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def test_a_full_disk_is_one_line_and_the_checkpoint_before_stays(tmp_path, monkeypatch):
    trainer = Trainer(Regression(), batches, CONFIG, tmp_path)
    trainer.run(until=7)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"step 14 cannot .*No space left.* holds step 7") as caught:
        Trainer(Regression(), batches, CONFIG, tmp_path).run(resume=True)
    assert "\n" not in str(caught.value)
    assert weights.notes(trainer.checkpoint)["step"] == 7


PLACES = {
    "before the first step": "step = lambda s: die()",
    "in a step": "step = lambda s: die() if s == at else None",
    "before writing": "minigen.weights.save = lambda *given: die()",
    "in the middle of writing": "os.fsync = lambda file: die()",
    "before the new file takes the place of the old": "os.replace = lambda *names: die()",
    "after it": "replace = os.replace; os.replace = lambda *names: die(replace(*names))",
}
KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import torch.utils.tensorboard  # whatever a run imports is imported once, before the first fork
import minigen.train
from accelerate import Accelerator
from test_train import CONFIG, PLACES, Lucky, Trainer, batches, weights

Accelerator()
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)

def run(place, at):
    names = {{"os": os, "minigen": minigen, "die": die, "at": at, "step": lambda s: None}}
    exec(place, names)

    def noted(step, shard, shards):
        names["step"](step)
        return batches(step, shard, shards)

    Trainer(Lucky(), noted, CONFIG, {out!r}).run(resume=True)

for index, (name, place) in enumerate(PLACES.items()):
    if not (pid := os.fork()):
        run(place, 9 + 4 * index)
        os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1]), name
    print(weights.load(minigen.train.Path({out!r}) / "checkpoint.safetensors")[1]["step"])
"""


@pytest.mark.slow
def test_sigkill_at_every_place_loses_only_the_steps_since_the_last_checkpoint(tmp_path):
    """Killed in start-up, in a step, and in each phase of writing: the end is that of a run left alone."""
    out = tmp_path / "killed"
    Trainer(Lucky(), batches, CONFIG, out).run(until=7)
    script = KILLED.format(tests=str(Path(__file__).parent), out=str(out))
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["7", "7", "7", "7", "7", "14"]
    whole = Trainer(Lucky(), batches, CONFIG, tmp_path / "whole")
    rest = Trainer(Lucky(), batches, CONFIG, out)
    whole.run()
    rest.run(resume=True)
    for name, value in state(whole).items():
        assert torch.equal(state(rest)[name], value), name
    assert not [path for path in out.iterdir() if path.name.startswith(".checkpoint")]


def test_adams_moments_are_those_of_its_constants(tmp_path):
    """After one step the averages hold a tenth of the gradient and a hundredth of its square."""
    config = replace(CONFIG, clip=1e9)
    trainer = Trainer(Regression(), batches, config, tmp_path)
    trainer.run(until=1)
    state = trainer.optimizer.state_dict()["state"][0]
    assert torch.allclose(state["exp_avg"].square(), state["exp_avg_sq"], rtol=1e-4)  # 0.1² = 0.01
    assert trainer.optimizer.param_groups[0]["betas"] == (0.9, 0.99)
