"""Training: one loop for every model, on one device or on several, resumable at any step.

An *objective* is a module whose `forward(batch)` returns (loss, {name: number to watch}) and whose
`.model` is the network to train. It may have `.bodies`, the modules worth compiling (by default the
model), and a `.guard` (see `minigen.distillation`) that names a fault before it costs hours. *Batches* is a function of (step, shard, shards): which data a step
sees depends on nothing else, so a run that stops and resumes, or runs on two processes, sees what an
uninterrupted run on one process would.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from tqdm import tqdm

from . import weights

__all__ = [
    "Ema",
    "TrainConfig",
    "Trainer",
    "compile_bodies",
    "learning_rate",
]

Batches = Callable[[int, int, int], dict[str, Tensor]]


@dataclass(frozen=True)
class TrainConfig:
    """What a run needs besides the model and the data.

    Args:
        steps: in all, resumed or not.
        rate: the largest learning rate; it rises over `warmup` steps and falls along a cosine.
        final: the last learning rate, as a part of the largest.
        clip: the largest norm of the gradient; longer ones are scaled down to it.
        decay: of the exponential moving average of the weights.
        bf16: run the network's body in bfloat16. Weights, heads and losses stay in float32.
        compile: let torch.compile turn the bodies into machine code, which takes minutes at the start.
        every: steps between checkpoints.
    """

    steps: int
    rate: float = 1e-3
    warmup: int = 100
    final: float = 0.02
    clip: float = 1.0
    decay: float = 0.999
    bf16: bool = False
    compile: bool = False
    every: int = 500

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("every", 1), ("warmup", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
        for name in ("rate", "clip"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        if not 0 <= self.final <= 1:
            raise ValueError(f"final is a part, from 0 to 1, not {self.final}")
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must lie in [0, 1), not {self.decay}")


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
    """Exponential moving average of weights: shadow ← decay · shadow + (1 - decay) · weight.

    After n steps from shadow s_0: s_n = decay^n s_0 + (1 - decay) Σ_k decay^(n-k) w_k.

    >>> net = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.zeros_(net.weight)
    >>> ema = Ema(net, decay=0.9)
    >>> _ = nn.init.ones_(net.weight)
    >>> ema.update(net)
    >>> round(ema.shadow["weight"].item(), 6)  # 0.9 · 0 + 0.1 · 1
    0.1
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay must lie in [0, 1), not {decay}")
        self.decay = decay
        self.shadow = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.shadow[name].mul_(self.decay).add_(value, alpha=1 - self.decay)
            else:
                self.shadow[name].copy_(value)


def compile_bodies(objective: nn.Module, device: torch.device | str = "cpu") -> None:
    """torch.compile each of the objective's bodies where it is; names of weights stay as they are.

    Raises OSError where there is no working compiler, before any step is made.
    """
    try:
        torch.compile(lambda x: torch.sin(x) + 1)(torch.zeros(64, device=device))
    except (
        Exception
    ) as error:  # dynamo, inductor, triton and the compiler raise classes of their own
        raise OSError(
            "compile = true needs a compiler for torch.compile: g++ or clang++ (set CXX to another) on "
            f"a CPU, and Triton on a GPU. It said: {str(error).strip().splitlines()[0]}"
        ) from error
    for body in getattr(objective, "bodies", [objective.model]):
        body.compile()


class Trainer:
    """Adam, a cosine, clipping, EMA, TensorBoard, and checkpoints that survive SIGKILL.

    Args:
        objective: see the top of this file.
        batches: likewise.
        config: of the run.
        out: folder for `checkpoint.safetensors` and TensorBoard's events.
        recipe: kept in the checkpoint, so that a file of weights says how it came about.

    A run stops with its cause in one line when the loss or the gradient is not finite or the objective's guard
    says so. The checkpoint is then the last good one: none is written while the guard is not calm.

    `run(resume=True)` continues from the checkpoint in `out` if there is one. Under `torchrun` or
    `accelerate launch` every process takes its share of each batch and gradients are averaged.
    """

    def __init__(
        self,
        objective: nn.Module,
        batches: Batches,
        config: TrainConfig,
        out: Path | str,
        recipe: dict | None = None,
    ) -> None:
        self.config, self.batches, self.out, self.recipe = config, batches, Path(out), recipe or {}
        self.accelerator = Accelerator(mixed_precision="bf16" if config.bf16 else "no")
        self.model, self.guard = objective.model, getattr(objective, "guard", None)
        if config.compile:
            compile_bodies(objective, self.accelerator.device)
        learned = [weight for weight in self.model.parameters() if weight.requires_grad]
        optimizer = torch.optim.Adam(learned, lr=config.rate, betas=(0.9, 0.99))
        self.objective, self.optimizer = self.accelerator.prepare(objective, optimizer)
        self.ema, self.step = Ema(self.model, config.decay), 0

    @property
    def checkpoint(self) -> Path:
        return self.out / "checkpoint.safetensors"

    def run(self, resume: bool = False, until: int | None = None) -> dict[str, float]:
        """Train to `config.steps`, or stop early at `until`. -> what was watched at the last step."""
        if until is not None and until < 1:
            raise ValueError(f"until is a step, at least 1, not {until}")
        main = self.accelerator.is_main_process
        if self.out.exists() and not self.out.is_dir():
            raise NotADirectoryError(f"{self.out} is a file: checkpoints go into a folder")
        self.out.mkdir(parents=True, exist_ok=True)
        if self.checkpoint.exists():
            if not resume:
                raise FileExistsError(
                    f"{self.checkpoint} exists: resume that run with --resume, or choose another --out"
                )
            self.load()
        last = min(until or self.config.steps, self.config.steps)
        writer = self._writer() if main else None
        bar = tqdm(total=last, initial=self.step, disable=not main, mininterval=5)
        watched: dict[str, float] = {}
        due = False  # a checkpoint that waits for the guard to be calm
        self.objective.train()
        while self.step < last:
            watched = self._one_step()
            bar.update()
            if writer and (self.step % 20 == 0 or self.step == last):
                bar.set_postfix({k: f"{v:.3f}" for k, v in watched.items()}, refresh=False)
                for name, value in watched.items():
                    writer.add_scalar(name, value, self.step)
            due = due or self.step % self.config.every == 0
            if main and (self.step == last or (due and (self.guard is None or self.guard.calm))):
                self.save()
                due = False
        bar.close()
        if writer:
            writer.close()
        self.accelerator.wait_for_everyone()
        return watched

    def _writer(self):  # -> SummaryWriter
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ModuleNotFoundError(
                "training draws its curves with TensorBoard, which is not here: "
                'pip install "tensorboard>=2.14"'
            ) from error
        return SummaryWriter(self.out, purge_step=self.step)

    def _one_step(self) -> dict[str, float]:
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        batch = self.batches(self.step, rank, world)
        batch = {name: value.to(self.accelerator.device) for name, value in batch.items()}
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.config)
        self.optimizer.zero_grad()
        loss, watched = self.objective(batch)
        if not torch.isfinite(loss):
            self._stop(f"the loss is {loss.item()}")
        if cause := self.guard and self.guard.check(self.step, watched):
            self._stop(cause)
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip)
        if not math.isfinite(float(norm)):  # one step with it would spoil every weight
            self._stop(f"the norm of the gradient is {float(norm)}")
        self.optimizer.step()
        self.ema.update(self.model)
        self.step += 1
        return {"loss": loss.item(), **watched, "gradient": float(norm)}

    def _stop(self, cause: str) -> NoReturn:
        good = "the last good checkpoint is" if self.checkpoint.exists() else "there is no"
        raise FloatingPointError(
            f"{cause} at step {self.step}: {good} {self.checkpoint}; try a lower rate or a tighter clip"
        )

    def save(self) -> None:
        """Write weights, their average, Adam's moments and the step: all that a resumed run needs."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"ema.{k}": v for k, v in self.ema.shadow.items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": value for name, value in state.items()}
        where = {"device": str(self.accelerator.device), "torch": torch.__version__}
        notes = {"step": self.step, "run": asdict(self.config), "recipe": self.recipe, **where}
        weights.save(self.checkpoint, tensors, notes)

    def _fits(self, tensors: dict[str, Tensor]) -> None:
        """Raise ValueError unless these are the weights, by name and shape, that this run makes."""
        mine = {f"model.{k}": v.shape for k, v in self.model.state_dict().items()}
        theirs = {k: v.shape for k, v in tensors.items() if k.startswith("model.")}
        if mine != theirs:
            raise ValueError(
                f"{self.checkpoint} is of another model: resume with the recipe that it was made by, "
                "or choose another --out"
            )

    def load(self) -> None:
        """Take everything back from `checkpoint`."""
        tensors, notes = weights.load(self.checkpoint)
        self._fits(tensors)
        self.step = notes["step"]
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "ema": {}, "adam": {}}
        for name, value in tensors.items():
            part, rest = name.split(".", 1)
            parts[part][rest] = value
        self.model.load_state_dict(parts["model"])
        for name, value in parts["ema"].items():
            self.ema.shadow[name].copy_(value)
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in parts["adam"].items():
            index, key = name.split(".")
            state.setdefault(int(index), {})[key] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
