"""Training: the loop behind all networks that ship, on one device or on several, resumable at any step.

An *objective* is a module whose `forward(batch)` returns (loss, {name: number to log}) and whose
`.model` is the network to train. It may have `.bodies`, the modules worth compiling (by default the
model), a `.monitor` (see `minigen.distillation`), which stops a run that has gone wrong, and a
`.discriminator`, which learns beside the model and is not averaged (see `minigen.speech.adversarial`).
*Batches* is a function of (step, shard, shards): which data a step sees depends on nothing else, so a
run that stops and resumes, or runs on two processes, sees what an uninterrupted run on one would. It
may have a `.fingerprint`, a tensor of numbers by which other data are recognised at a resume.
"""

import math
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor, nn
from tqdm import tqdm

from . import weights
from .checkpoint import MAY_CHANGE, alone_in, changes, ctrl_c_waits, random_state, set_random_state

Batches = Callable[[int, int, int], dict[str, Tensor]]


@dataclass(frozen=True)
class TrainConfig:
    """What a run needs besides the model and the data.

    Args:
        steps: in all, resumed or not.
        rate: the largest learning rate; it rises over `warmup` steps and falls along a cosine.
        final: the last learning rate, as a part of the largest.
        clip: the largest norm of the gradient; longer ones are scaled down to it.
        average: the horizon of the moving average of the weights, as a part of the run. The average
            of most of a run is another, quieter network than its last weights.
        bf16: run the network's body in bfloat16. Weights, heads and losses stay in float32.
        compile: let torch.compile turn the bodies into machine code, which takes minutes at the start.
        every: steps between checkpoints.
    """

    steps: int
    rate: float = 1e-3
    warmup: int = 100
    final: float = 0.02
    clip: float = 1.0
    average: float = 0.05
    bf16: bool = False
    compile: bool = False
    every: int = 500

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("every", 1), ("warmup", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
        for name in ("rate", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0 and finite, not {getattr(self, name)}")
        if not 0 <= self.final <= 1:
            raise ValueError(f"final is a part, from 0 to 1, not {self.final}")
        if not 0 <= self.average <= 0.25:
            raise ValueError(f"average is the part of the run, from 0 to 0.25, not {self.average}")

    @property
    def decay(self) -> float:
        """Of the moving average: 1 - 1 / horizon in steps."""
        return 1 - 1 / max(1.0, self.average * self.steps)


def learning_rate(step: int, config: TrainConfig) -> float:
    """Linear rise over `warmup` steps, then half a cosine down to `final` · `rate`.

    >>> config = TrainConfig(steps=100, rate=1.0, warmup=10, final=0.0)
    >>> learning_rate(0, config), learning_rate(9, config), learning_rate(100, config)
    (0.1, 1.0, 0.0)
    """
    if step < config.warmup:
        return config.rate * (step + 1) / config.warmup
    done = min(1.0, (step - config.warmup) / max(1, config.steps - config.warmup))
    return config.rate * (config.final + (1 - config.final) * 0.5 * (1 + math.cos(math.pi * done)))


class Ema:
    """Exponential moving average of weights, without a share of where they started.

        s_n = Σ_k decay^(n-k) w_k / Σ_k decay^(n-k),   k = 1 … n

    Whole numbers (counters) are taken over as they are.

    >>> net = nn.Linear(1, 1, bias=False)
    >>> ema = Ema(net, decay=0.5)
    >>> for value in (3.0, 6.0):
    ...     _ = nn.init.constant_(net.weight, value)
    ...     ema.update(net)
    >>> round(ema.shadow["weight"].item(), 6)  # (½ · 3 + 6) / (½ + 1)
    5.0
    """

    @weights.takes_networks
    def __init__(self, model: nn.Module, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay must lie in [0, 1), not {decay}")
        self.decay, self.count = decay, 0
        self.shadow = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.count += 1
        part = (1 - self.decay) / (1 - self.decay**self.count)
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.shadow[name].lerp_(value, part)
            else:
                self.shadow[name].copy_(value)


@weights.takes_networks
def compile_bodies(objective: nn.Module, device: torch.device | str = "cpu") -> None:
    """torch.compile each of the objective's bodies where it is; names of weights stay as they are.

    Raises OSError where there is no working compiler, before any step is made.
    """
    try:
        torch.compile(lambda x: torch.sin(x) + 1)(torch.zeros(64, device=device))
    except Exception as error:  # dynamo, inductor and triton raise classes of their own
        raise OSError(
            "compile = true needs a compiler for torch.compile: g++ or clang++ (set CXX to another) on "
            f"a CPU, and Triton on a GPU. It said: {str(error).strip().splitlines()[0]}"
        ) from error
    for body in getattr(objective, "bodies", [objective.model]):
        body.compile()


def _accelerator() -> Accelerator:
    """Of this process. Several processes without a GPU each share the work on the CPU."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    on_cpu = processes > 1 and not torch.cuda.is_available()
    accelerator = Accelerator(mixed_precision="no", cpu=on_cpu)
    if accelerator.num_processes != processes:
        raise RuntimeError(
            f"{processes} processes were started, but {accelerator.num_processes} would train: start "
            "them by torchrun or accelerate launch"
        )
    return accelerator


class Trainer:
    """Adam, a cosine, clipping, EMA, TensorBoard, and checkpoints that survive SIGKILL.

    Args:
        objective: see the top of this file. batches: likewise. config: of the run.
        out: folder for `checkpoint.safetensors` and TensorBoard's events. One run at a time.
        recipe: kept in the checkpoint, so that a file of weights says how it came about.

    A run stops with its cause in one line when the loss or the gradient is not finite or the objective's
    monitor says so; while the monitor is not calm, no checkpoint is written. Ctrl-C ends a run after its
    step, with a checkpoint.

    `run(resume=True)` continues from the checkpoint in `out` if there is one: of the same recipe and data, but
    for `MAY_CHANGE`. Under `torchrun` or `accelerate launch` every process takes its share of each batch and
    gradients are averaged.
    """

    @weights.takes_networks
    def __init__(
        self,
        objective: nn.Module,
        batches: Batches,
        config: TrainConfig,
        out: Path | str,
        recipe: dict | None = None,
    ) -> None:
        self.config, self.batches, self.out, self.recipe = config, batches, Path(out), recipe or {}
        self.checkpoint, self.accelerator = self.out / "checkpoint.safetensors", _accelerator()
        self.device = self.accelerator.device
        self.model, self.monitor = objective.model, getattr(objective, "monitor", None)
        if config.compile:
            compile_bodies(objective, self.device)
        frozen = [v.detach().double() for v in objective.parameters() if not v.requires_grad]
        self.frozen = torch.stack([*(v.square().mean() for v in frozen), torch.ones(()).double()])
        self.learners = nn.ModuleDict({"model": self.model})
        if hasattr(objective, "discriminator"):
            self.learners["discriminator"] = objective.discriminator
        learned = [weight for weight in self.learners.parameters() if weight.requires_grad]
        optimizer = torch.optim.Adam(learned, lr=config.rate, betas=(0.9, 0.99))
        self.objective, self.optimizer = self.accelerator.prepare(objective, optimizer)
        self.ema, self.step, self.seconds = Ema(self.model, config.decay), 0, 0.0
        no_bf16 = self.device.type == "cuda" and not torch.cuda.is_bf16_supported(False)
        self.half = config.bf16 and self.device.type in ("cpu", "cuda") and not no_bf16

    def run(self, resume: bool = False, until: int | None = None) -> dict[str, float]:
        """Train to `config.steps`, or stop early at `until`. -> the metrics of the last step."""
        if until is not None and until < 1:
            raise ValueError(f"until is a step, at least 1, not {until}")
        if weights.is_shipped(self.out):
            raise ValueError(f"{self.out} holds the weights that ship: choose another --out")
        if self.out.exists() and not self.out.is_dir():
            raise NotADirectoryError(f"{self.out} is a file: checkpoints go into a folder")
        if self.checkpoint.exists() and not resume:
            raise FileExistsError(
                f"{self.checkpoint} exists: resume that run with --resume, or choose another --out"
            )
        self.out.mkdir(parents=True, exist_ok=True)
        if not os.access(self.out, os.W_OK):
            raise PermissionError(f"{self.out} cannot be written to: choose another --out")
        with alone_in(self.out, self.checkpoint, self.accelerator.is_main_process):
            if self.checkpoint.exists():
                self.load()
            return self._loop(min(until or self.config.steps, self.config.steps))

    def _loop(self, last: int) -> dict[str, float]:
        main, metrics = self.accelerator.is_main_process, {}
        due = False  # a checkpoint that waits for the monitor to be calm
        writer = self._writer() if main else None
        every = 1 if sys.stderr.isatty() else 5  # seconds; a file keeps every line
        bar = tqdm(total=last, initial=self.step, disable=not main, mininterval=every)
        self.objective.train()
        try:
            with ctrl_c_waits() as asked:
                while self.step < last:
                    start = time.monotonic()
                    metrics = self._one_step(asked)
                    self.seconds += time.monotonic() - start
                    bar.update()
                    stop = metrics.pop("interrupted") > 0
                    if writer and (self.step % 20 == 0 or self.step == last or stop):
                        bar.set_postfix({k: f"{v:.3f}" for k, v in metrics.items()}, refresh=False)
                        for name, value in metrics.items():
                            writer.add_scalar(name, value, self.step)
                    due = due or stop or self.step == last or self.step % self.config.every == 0
                    if due and (self.monitor is None or self.monitor.calm):
                        self.save()
                        due = False
                    if stop:
                        raise KeyboardInterrupt(f"stopped: {self._where()}; --resume goes on there")
        finally:
            bar.close()
            if writer:
                writer.close()
        if due and main:
            tqdm.write(f"the last step is not stored, as its metrics diverge: {self._where()}")
        self.accelerator.wait_for_everyone()
        return metrics

    def _writer(self):  # -> SummaryWriter
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ModuleNotFoundError(
                "training draws its curves with TensorBoard, which is not here: "
                'pip install "tensorboard>=2.14"'
            ) from error
        return SummaryWriter(self.out, purge_step=self.step + 1 if self.step else None)

    def _one_step(self, asked: list | tuple = ()) -> dict[str, float]:
        own = (self.accelerator.process_index, self.accelerator.num_processes)
        batch = self.batches(self.step, *own)
        batch = {name: value.to(self.device) for name, value in batch.items()}
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.config)
        self.optimizer.zero_grad()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            loss, metrics = self.objective(batch)
        asked = float(bool(asked))
        metrics = self._of_all({"loss": loss.detach(), **metrics, "interrupted": asked})
        if not math.isfinite(metrics["loss"]):
            self._stop(f"the loss is {metrics['loss']}")
        if cause := self.monitor and self.monitor.check(self.step, metrics):
            self._stop(cause)
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(self.learners.parameters(), self.config.clip)
        if not math.isfinite(float(norm)):  # one step with it would spoil every weight
            self._stop(f"the norm of the gradient is {float(norm)}")
        self.optimizer.step()
        self.ema.update(self.model)
        self.step += 1
        return metrics | {"gradient": float(norm)}

    def _of_all(self, metrics: dict[str, Tensor | float]) -> dict[str, float]:
        """The metrics' means over all processes, so that all of them decide alike."""
        values = [float(value) for value in metrics.values()]
        if self.accelerator.num_processes > 1:
            row = torch.tensor([values], device=self.device)
            values = self.accelerator.gather(row).mean(0).tolist()
        return dict(zip(metrics, values, strict=True))

    def _where(self) -> str:
        if not self.checkpoint.exists():
            return f"there is no checkpoint in {self.out} yet"
        return f"{self.checkpoint} holds step {weights.notes(self.checkpoint)['step']}"

    def _stop(self, cause: str) -> NoReturn:
        raise FloatingPointError(
            f"{cause} at step {self.step}: {self._where()}; begin again elsewhere, with a lower rate or a "
            "tighter clip"
        )

    def _fingerprint(self) -> Tensor:
        """Numbers by which other data and other frozen networks are noticed."""
        data = getattr(self.batches, "fingerprint", None)
        if data is None:
            data = torch.stack([v.double().square().mean() for v in self.batches(0, 0, 1).values()])
        return torch.cat([data.double(), self.frozen])

    def save(self) -> None:
        """Write all that a resumed run needs: weights, average, Adam's moments, step, random state."""
        random_states = gather_object([random_state(self.device)])
        if not self.accelerator.is_main_process:
            return
        tensors = self.learners.state_dict()  # model.…, discriminator.…
        tensors |= {f"ema.{k}": v for k, v in self.ema.shadow.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": value for name, value in state.items()}
        notes = {
            "step": self.step,
            "minutes": round(self.seconds / 60, 3),
            "run": asdict(self.config),
            "recipe": self.recipe,
            "device": str(self.device),
            "torch": torch.__version__,
            "fingerprint": self._fingerprint().tolist(),
            "monitor": None if self.monitor is None else self.monitor.state(),
            "random": random_states,
        }
        before = self._where()
        try:
            weights.save(self.checkpoint, tensors, notes)
        except OSError as error:
            raise OSError(
                f"step {self.step} cannot be stored ({error.strerror or error}): {before}; make room, or "
                "see to the rights of the folder, and go on with --resume"
            ) from error

    def _fits(self, tensors: dict[str, Tensor], notes: dict) -> None:
        """Raise ValueError unless the checkpoint is of this model, recipe and data."""
        mine = {k: v.shape for k, v in self.learners.state_dict().items()}
        theirs = {k: v.shape for k, v in tensors.items() if not k.startswith(("ema.", "adam."))}
        changed = changes(
            {k: notes.get(k, {}) for k in ("run", "recipe")},
            {"run": asdict(self.config), "recipe": self.recipe},
        )
        old, new = torch.tensor(notes.get("fingerprint", [])).double(), self._fingerprint()
        if mine != theirs:
            cause = "is of another model"
        elif changed:
            cause = f"was made by another recipe ({', '.join(changed[:3])})"
        elif old.shape != new.shape or not torch.allclose(old, new, rtol=1e-4):
            cause = "was made from other data or by another frozen network"
        else:
            return
        raise ValueError(
            f"{self.checkpoint} {cause}: resume it as it was begun (only {' and '.join(MAY_CHANGE)} may "
            "change), or choose another --out"
        )

    def load(self) -> None:
        """Take everything back from `checkpoint`."""
        tensors, notes = weights.load(self.checkpoint)
        self._fits(tensors, notes)
        self.step, self.seconds = notes["step"], 60 * notes["minutes"]
        parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
        for name, value in tensors.items():
            part, rest = name.split(".", 1)
            parts[part][rest] = value
        for name, learner in self.learners.items():
            learner.load_state_dict(parts[name])
        for name, value in parts["ema"].items():
            self.ema.shadow[name].copy_(value)
        self.ema.count = self.step
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in parts["adam"].items():
            index, key = name.split(".")
            state.setdefault(int(index), {})[key] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        if self.monitor:
            self.monitor.restore(notes["monitor"])
        if self.accelerator.process_index < len(notes["random"]):
            set_random_state(notes["random"][self.accelerator.process_index], self.device)
