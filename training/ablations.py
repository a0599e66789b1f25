"""What each part of the student's loss is for: train a small student without it, and measure what comes out.

    python training/ablations.py [--minutes 33] [--only NAME …]

Each run distils the shipped digit teacher into 4 flows of 7 layers of 16 channels, from the same weights, on the
same batches, for the same number of steps; one thing differs. All are run three times, each time from other
weights and on other batches. After each, its row is written to minigen/results/ablations.json, and of the first
of the three a second of its speech to minigen/results/ablations/. Runs that are there already are left alone,
and a run that was interrupted goes on from its checkpoint in runs/ablations/.
Run from the repository's root.
"""

import argparse
import json
import os
import re
import time
from itertools import product
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from minigen import audio, results, weights
from minigen.distillation import DistillationLoss
from minigen.parallel_wavenet import Student
from minigen.spectral_losses import MultiResolutionSTFTLoss
from minigen.speech import corpus, evaluation, synthesis, voice
from minigen.train import TrainConfig, Trainer

ROOT = Path(__file__).resolve().parent.parent
TABLE = results.path("ablations")
CLIPS = TABLE.with_suffix("")
MODEL = {"flows": 4, "layers": 7, "residual": 16, "kernel": 2, "lpc_order": 16, "log_scale": -6.0}
DATA = {"batch": 4, "frames": 40, "dither": 0.0005, "seed": 2}
SEEDS = (0, 1, 2)  # of the weights; each goes with batches of its own
FULL = {"penalty": 4.0, "stft": 1.0, "power": 1.0, "beta": 0.5}
RUN = {"steps": 650, "rate": 2.5e-3, "warmup": 50, "average": 0.077, "bf16": True, "every": 100}
SPECTRAL_OFF = {"stft": 0.0, "power": 0.0}

# name: (what is different, changes of the objective, changes of the model), the most telling first
RUNS = {
    "full": ("nothing", {}, {}),
    "kl_alone": ("KL alone", {"penalty": 0.0, **SPECTRAL_OFF}, {}),
    "no_kl": ("no KL, no penalty: spectra only", {"kl": 0.0, "penalty": 0.0}, {}),
    "sees_present": ("mean and scale see z[t]", {}, {}),
    "no_power": ("no power loss", {"power": 0.0}, {}),
    "no_stft": ("no STFT loss", {"stft": 0.0}, {}),
    "no_penalty": ("no penalty", {"penalty": 0.0}, {}),
    "scale_0": ("log-scale 0 at the start", {}, {"log_scale": 0.0}),
    "no_window": ("STFT loss without a window", {"window": False}, {}),
    "perceptual": ("with the perceptual loss", {"perceptual": 1.0}, {}),
    "contrastive": ("with the contrastive loss", {"contrastive": 0.3}, {}),
}


class SeesPresent(Student):
    """The broken flow: the shift by one sample is undone, so that m[t] and s[t] read z[t]."""

    def forward(self, z, cond=None):
        mean, log_scale, x = torch.zeros_like(z), torch.zeros_like(z), z
        for flow in self.flows:
            m, s = flow(F.pad(x[..., 1:], (0, 1)), cond).chunk(2, dim=1)
            x = x * torch.exp(s) + m
            mean, log_scale = mean * torch.exp(s) + m, log_scale + s
        return x, mean, log_scale


def make(name: str, teacher: voice.TeacherVoice, seed: int = 0) -> voice.StudentVoice:
    """The untrained student of one run."""
    torch.manual_seed(seed)
    kind = SeesPresent if name == "sees_present" else Student
    student = kind(cond_channels=teacher.wavenet.cond_channels, **MODEL | RUNS[name][2])
    return voice.StudentVoice(teacher.upsampler, student)


def entropies(student: Student, cond: torch.Tensor) -> tuple[float, float]:
    """Nats a sample: what the student says, log scale_t + ½ log 2πe, and what is true, with log|dx_t/dz_t|.

    The Jacobian is triangular, so its log-determinant is the sum over its diagonal; 40 places of it are taken.
    """
    z = torch.randn(1, 1, cond.shape[-1], generator=torch.Generator().manual_seed(1))
    z.requires_grad_()
    x, _, log_scale = student(z, cond)
    places = torch.linspace(600, cond.shape[-1] - 1, 40).long().tolist()
    slopes = [torch.autograd.grad(x[0, 0, t], z, retain_graph=True)[0][0, 0, t] for t in places]
    true = torch.stack(slopes).abs().log().mean().item()
    constant = 0.5 * np.log(2 * np.pi * np.e)
    return log_scale[0, 0, places].mean().item() + constant, true + constant


def measure(model: voice.StudentVoice, teacher: voice.TeacherVoice) -> dict[str, float]:
    """On held-out clips: densities, spectra, loudness; and how many of 30 digits are recognised."""
    kept, spectral = corpus.held_out()[1], MultiResolutionSTFTLoss()
    kl, entropy = evaluation.student_kl(model, teacher)
    mel, ratio = evaluation.against_recordings(model)
    stft = []
    for clip in kept:
        batch = corpus.as_batch(clip)
        wave = torch.from_numpy(synthesis.sample(model, model.conditioning(batch)))[:, None]
        stft.append(spectral(wave, batch["audio"]).item())
    right, count, _ = evaluation.recognised(evaluation.synthesize_digits(model, per_word=3))
    said, true = entropies(model.student, model.conditioning(corpus.as_batch(kept[0]))[..., :2400])
    return {
        "kl": round(kl, 3),
        "cross_entropy": round(kl + entropy, 3),
        "entropy": round(entropy, 3),
        "std_ratio": round(ratio, 3),
        "log_mel_db": round(mel, 2),
        "stft": round(float(np.mean(stft)), 3),
        "recognised": right,
        "of": count,
        "entropy_said": round(said, 3),
        "entropy_true": round(true, 3),
    }


def one(name: str, seed: int, runs: Path, steps: int) -> dict:
    """Train (or go on with) one run -> its row of the table, and with the first seed its clip."""
    begin = time.process_time()
    teacher = voice.load("teacher")
    model = make(name, teacher, seed)
    objective = DistillationLoss(model, teacher.wavenet, **FULL | RUNS[name][1])
    batches = corpus.Crops(corpus.held_out()[0], **DATA | {"seed": DATA["seed"] + seed})
    config = TrainConfig(**RUN | {"steps": steps})
    folder = runs / (f"{name}_{seed}" if seed else name)
    trainer = Trainer(objective, batches, config, folder, {"ablation": name, "seed": seed})
    stopped = None
    try:
        trainer.run(resume=True)
    except FloatingPointError as error:
        stopped = re.match(r".* at step \d+", str(error))[0]
    done = 0
    if trainer.checkpoint.exists():
        tensors, notes = weights.load(trainer.checkpoint)
        done = notes["step"]
        averaged = {k.removeprefix("ema."): v for k, v in tensors.items() if k.startswith("ema.")}
        model.load_state_dict(averaged)
    model.eval().requires_grad_(False)
    trained = time.process_time() - begin
    row = {"what": RUNS[name][0], "objective": FULL | RUNS[name][1], "steps": done}
    row |= {"stopped": stopped} if stopped else {}
    row |= measure(model, teacher)
    if not seed:
        clip = next(c for c in corpus.held_out()[1] if (c.text, c.speaker) == ("seven", "slt"))
        wave = synthesis.sample(model, model.conditioning(corpus.as_batch(clip)))[0]
        CLIPS.mkdir(parents=True, exist_ok=True)
        rate = model.spec.rate
        audio.save(CLIPS / f"{name}.flac", np.clip(wave[:rate], -1, 1), rate)
    return row | {"processor_seconds": round(trained)}


def main() -> None:
    """Run what is missing, in order of importance, and write the table after each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=33, help="begin no run after so many")
    parser.add_argument("--only", nargs="*", choices=RUNS, default=list(RUNS))
    parser.add_argument("--steps", type=int, default=RUN["steps"])
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "ablations")
    parser.add_argument("--table", type=Path, default=TABLE)
    given = parser.parse_args()
    begin, longest = time.monotonic(), 0.0
    table = json.loads(given.table.read_text(encoding="utf-8")) if given.table.exists() else {}
    fixed = {
        "command": "python training/ablations.py",
        "data": "spoken_digits, 330 clips; measured on 30 held out",
        "teacher": "digits_teacher.safetensors",
        "model": MODEL,
        "batches": DATA,
        "run": RUN | {"steps": given.steps},
    }
    if table.get("run", fixed["run"]) != fixed["run"]:
        raise SystemExit(f"{given.table} is of runs with other settings: remove it to begin anew")
    rows = {0: table.get("runs", {})}
    rows |= {k: table.get("other_seeds", {}).get(str(k), {}) for k in SEEDS[1:]}
    for seed, name in product(SEEDS, given.only):
        if name in rows[seed]:
            continue
        if time.monotonic() - begin + longest > 60 * given.minutes:
            print(f"time is up before {name}, seed {seed}: call again to go on", flush=True)
            break
        started = time.monotonic()
        rows[seed][name] = one(name, seed, given.runs, given.steps)
        longest = max(longest, time.monotonic() - started)
        ordered = {k: {key: rows[k][key] for key in RUNS if key in rows[k]} for k in SEEDS}
        tables = {"runs": ordered.pop(0), "other_seeds": ordered}
        temporary = given.table.with_name(f".{given.table.name}.{os.getpid()}")
        temporary.write_text(json.dumps({**fixed, **tables}, indent=1) + "\n", encoding="utf-8")
        os.replace(temporary, given.table)
        print(name, seed, json.dumps(rows[seed][name]), flush=True)


if __name__ == "__main__":
    main()
