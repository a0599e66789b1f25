"""The ablations of the student's losses: the broken flow is broken, and the table says what the chapter says."""

import importlib.util
import json
from pathlib import Path

import pytest
import soundfile
import torch

from minigen.speech import voice

ROOT = Path(__file__).parents[1]
SPEC = importlib.util.spec_from_file_location("ablations", ROOT / "training" / "ablations.py")
ablations = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(ablations)


def small(kind, cond_channels=0):
    torch.manual_seed(0)
    student = kind(2, 3, 6, cond_channels=cond_channels, log_scale=-1.0).double()
    for weight in student.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return student


@pytest.mark.parametrize("kind, sees", [(ablations.Student, False), (ablations.SeesPresent, True)])
def test_only_the_broken_flow_sees_the_present_and_only_it_lies_about_its_entropy(kind, sees):
    student = small(kind)
    z = torch.randn(1, 1, 40).double().requires_grad_()
    x, mean, log_scale = student(z)
    assert torch.allclose(x, mean + log_scale.exp() * z)
    (slope,) = torch.autograd.grad(mean[0, 0, 30] + log_scale[0, 0, 30], z, retain_graph=True)
    assert (slope[0, 0, 30] != 0) == sees and (slope[0, 0, 31:] == 0).all()
    jacobian = torch.autograd.functional.jacobian(lambda z: student(z)[0].flatten(), z)[:, 0, 0]
    said, true = log_scale.mean(), torch.linalg.slogdet(jacobian)[1] / 40
    assert (abs(said - true) > 1e-3) == sees
    claimed, real = ablations.entropies(small(kind, 1).float(), torch.zeros(1, 1, 900))
    assert (abs(claimed - real) > 1e-3) == sees


def test_the_table_is_complete_and_its_clips_are_small():
    table = json.loads(ablations.TABLE.read_text())
    assert set(table["runs"]) <= set(ablations.RUNS) and "full" in table["runs"]
    for name, row in table["runs"].items():
        assert row["steps"] == table["run"]["steps"] or row["stopped"], name
        assert row["kl"] == pytest.approx(row["cross_entropy"] - row["entropy"], abs=2e-3)
        path = ablations.CLIPS / f"{name}.flac"
        x, rate = soundfile.read(path)
        assert path.stat().st_size <= 16_000 and rate == voice.RATE and 0.3 < len(x) / rate <= 1


def test_what_the_ablations_show():
    """The directions that the text relies on."""
    runs = json.loads(ablations.TABLE.read_text())["runs"]
    full, alone = runs["full"], runs["kl_alone"]
    assert alone["kl"] < full["kl"] and alone["std_ratio"] < 0.5 * full["std_ratio"]  # a whisper
    assert alone["stft"] > full["stft"] and alone["log_mel_db"] > full["log_mel_db"]
    assert runs["no_power"]["std_ratio"] < full["std_ratio"]
    assert runs["no_kl"]["kl"] > 5 * full["kl"]  # spectra alone: right colours, no density
    lies = {name: abs(row["entropy_said"] - row["entropy_true"]) for name, row in runs.items()}
    assert all((gap > 0.02) == (name == "sees_present") for name, gap in lies.items()), lies
