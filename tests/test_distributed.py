"""Two processes are one: gradients of every objective, weights after a run, on a CPU by torchrun."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conversion_toy import small
from test_train import CONFIG, Regression, batches, environment, state
from test_vq import toy_run
from torch import nn

from minigen import distributed, weights
from minigen.distillation import DistillationLoss
from minigen.distributions import DiscretizedLogisticMixture, GaussianHead
from minigen.parallel_wavenet import Student
from minigen.speech.conversion_features import SPECTRUM
from minigen.speech.conversion_training import ConversionLoss
from minigen.speech.objectives import Likelihood
from minigen.speech.voice import TeacherVoice
from minigen.speech.waveform_model import (
    ExcitationLikelihood,
    ExcitationStudent,
    ExcitationTeacher,
)
from minigen.train import Trainer
from minigen.wavenet import WaveNet


def test_one_process_is_its_own_mean():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    assert distributed.mean_over_processes(x) is x
    whole, own = distributed.all_items(x)
    assert torch.equal(whole[own], x) and not whole.requires_grad


PAIR = """
import sys
sys.path.insert(0, {tests!r})
import torch
from minigen.train import Path, _accelerator, weights
from test_distributed import OBJECTIVES, gradients
from test_train import Regression, Trainer, CONFIG, batches
from test_vq import toy_run

Trainer(Regression(), batches, CONFIG, {out!r}).run(resume=True)
vq = toy_run({out!r} + "_vq", steps=6)
books = [torch.zeros(8, 3) for _ in range(2)]
torch.distributed.all_gather(books, vq.model.quantizer.codebook)
assert torch.equal(*books)
accelerator = _accelerator()
rank, world = accelerator.process_index, accelerator.num_processes
assert world == 2
found = {{}}
for name in OBJECTIVES:
    for key, value in gradients(name, accelerator.prepare, rank, world).items():
        found[f"{{name}}.{{key}}"] = value
if rank == 0:
    weights.save(Path({out!r}) / "gradients.safetensors", found, {{}})
"""


def distillation(head, **weights):
    def build():
        torch.manual_seed(1)
        taught = WaveNet(head, 4, 4, layers=2, cycles=1, cond_channels=2)
        student = Student(flows=2, layers=2, residual=4, cond_channels=2, log_scale=-1.0)
        model = nn.Module()
        model.student, model.conditioning = student, lambda batch: batch["cond"]
        return DistillationLoss(model, taught, beta=0.5, **weights)

    return build


def likelihood():
    torch.manual_seed(1)
    return Likelihood(
        TeacherVoice(WaveNet(GaussianHead(), 4, 4, layers=2, cycles=1, cond_channels=8), 4), 0.5
    )


def conversion():
    """Its codes are placed by its first batch: by all of it."""
    return ConversionLoss(small(), latent_noise=0.5)


def excitation(kind):
    def build():
        torch.manual_seed(1)
        shared = {"mels": 8, "lpc_order": 4, "hidden": 4, "cond_channels": 9}
        teacher = ExcitationTeacher(4, 4, layers=2, cycles=1, **shared)
        if kind == "teacher":
            return ExcitationLikelihood(teacher)
        student = ExcitationStudent(flows=2, layers=2, residual=4, **shared)
        return DistillationLoss(student, teacher.wavenet, penalty=2.0)

    return build


OBJECTIVES = {  # and what its batch holds besides
    "likelihood": (likelihood, {}),
    "gaussian": (distillation(GaussianHead(), contrastive=0.3, margin=1e9), {}),
    "mixture": (
        distillation(DiscretizedLogisticMixture(2), contrastive=0.3, perceptual=0.1),
        {},
    ),
    "conversion": (conversion, {"noise": (4, 5)}),
    "excitation": (excitation("teacher"), {"frames": (10, 10), "phase": (7, 800)}),
    "excitation student": (excitation("student"), {"frames": (10, 10), "phase": (7, 800)}),
}


def gradients(name, prepare=lambda objective: objective, rank=0, world=1):
    """Of the objective's loss of one batch of four unequal items, of which this process has its share."""
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(shape, generator=generator)
    loud = torch.tensor([0.01, 0.1, 0.5, 0.02]).view(4, 1, 1)
    batch = {"audio": loud * draw(4, 1, 800), "noise": draw(4, 1, 800), "cond": draw(4, 2, 800)}
    batch |= {"frames": draw(4, 68, 10), "phase": draw(4, 6, 800), "speaker": torch.arange(4) % 3}
    batch |= {"mfcc": draw(4, 13, 10), "spectrum": draw(4, SPECTRUM, 10)}
    batch |= {"pitch": (draw(4, 2, 10) > 0).float(), "shifts": torch.zeros(4, 5, dtype=torch.long)}
    build, own = OBJECTIVES[name]
    batch |= {key: draw(4, *shape) for key, shape in own.items()}
    if name.startswith("excitation"):
        batch["speaker"] *= 0
    objective = build()
    for weight in objective.parameters():  # no two densities alike
        weight.data.add_(0.2 * draw(*weight.shape))
    objective = prepare(objective)
    model = getattr(objective, "module", objective).model
    loss, _ = objective({key: value[rank::world] for key, value in batch.items()})
    loss.backward()
    return {key: w.grad for key, w in model.named_parameters() if w.grad is not None}


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    """torchrun on a CPU shares the work: weights after ten steps, gradients of every objective, and codes:
    k-means, counts, sums and restarts are of the vectors of all processes."""
    out = tmp_path / "two"
    path = tmp_path / "pair.py"
    path.write_text(PAIR.format(tests=str(Path(__file__).parent), out=str(out)))
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *("--nproc_per_node=2", str(path)),
    ]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    one = Trainer(Regression(), batches, CONFIG, tmp_path / "one")
    one.run()
    got, _ = weights.load(out / "checkpoint.safetensors")
    for name, value in state(one).items():
        assert torch.allclose(got[name], value, atol=1e-5), name
    got, _ = weights.load(tmp_path / "two_vq" / "checkpoint.safetensors")
    for name, value in toy_run(tmp_path / "one_vq", steps=6).model.state_dict().items():
        assert torch.allclose(got[f"model.{name}"], value, atol=1e-4), name
    got, _ = weights.load(out / "gradients.safetensors")
    want = {f"{name}.{k}": v for name in OBJECTIVES for k, v in gradients(name).items()}
    assert got.keys() == want.keys() and len(got) > 40
    for name, value in want.items():
        assert torch.allclose(got[name], value, rtol=1e-3, atol=1e-5 * value.abs().max()), name


@pytest.mark.parametrize("world", [2, 3])
def test_all_items_are_the_whole_batch_and_ones_own_are_where_it_says(monkeypatch, world):
    """Process r of W has items r, r + W, …, as batches are shared out."""
    whole = torch.arange(12.0).view(6, 2)
    gathered = lambda parts, x: [part.copy_(whole[r::world]) for r, part in enumerate(parts)]
    monkeypatch.setattr(distributed, "_world", lambda: world)
    monkeypatch.setattr(distributed.dist, "all_gather", gathered)
    for rank in range(world):
        monkeypatch.setattr(distributed.dist, "get_rank", lambda rank=rank: rank)
        found, own = distributed.all_items(whole[rank::world])
        assert torch.equal(found, whole) and torch.equal(found[own], whole[rank::world])


def test_a_mean_over_processes_has_the_gradient_of_its_own_part(monkeypatch):
    """The other of two has 5: the mean of 3 and 5 is 4, and the trainer averages gradients."""
    monkeypatch.setattr(distributed, "_world", lambda: 2)
    monkeypatch.setattr(distributed.dist, "all_reduce", lambda x: x.add_(5.0))
    x = torch.tensor(3.0, requires_grad=True)
    mean = distributed.mean_over_processes(x)
    assert mean == 4 and torch.autograd.grad(mean**2, x)[0] == 8
