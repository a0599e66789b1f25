"""A voice of your own: from a folder of recordings and their texts to one file that speaks.

    recordings -> checked -> aligned -> prosody, acoustic model, student of the waveform model -> measured -> file

Both networks begin with the weights that ship. Everything that takes time lies in the folder of the run, so that
the same call goes on where the last one stopped.
"""

import json
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from .. import audio, data, weights
from ..data import Utterance
from ..data.folder import faults_error
from ..train import TrainConfig, Trainer
from . import acoustic_model, own_voice_measures, recordings, waveform_model, waveform_training
from .acoustic_model import AcousticModel
from .acoustic_training import (
    AcousticCrops,
    AcousticLoss,
    bands_and_features,
    calibrate,
    with_phones,
)
from .alignment import align_corpus
from .corpus import ANYBODY, Crops, at_one_level, ready
from .prosody import Prosody
from .reader import Reader
from .voice_file import TextVoice, save

LEAST = 60.0  # seconds of speech
CLIP = 180.0  # seconds of training between two clips


@dataclass(frozen=True)
class Sizes:
    """How much a step takes on: batch and frames of the two networks. Smaller ones are for tests."""

    acoustic: tuple[int, int] = (20, 200)
    student: tuple[int, int] = (3, 56)
    least_seconds: float = LEAST


def read(
    folder: Path | str, reader: Reader, rate: int, skip_bad: bool = False, least: float = LEAST
) -> tuple[list[Utterance], dict[str, list[str]]]:
    """The recordings of a folder, checked -> those that will do, and what is wrong with the others.

    Raises:
        ValueError: names all that is wrong, unless `skip_bad`; or what is left is too little, or of several speakers.
    """
    clips = data.folder(folder)
    wrong = recordings.faults(clips, reader, rate)
    if wrong and not skip_bad:
        raise faults_error(folder, [f"{n}: {'; '.join(what)}" for n, what in wrong.items()])
    clips = [clip for clip in clips if clip.name not in wrong]
    speakers = sorted({clip.speaker for clip in clips})
    if len(speakers) > 1:
        raise ValueError(f"{folder} holds recordings of {', '.join(speakers)}: a voice is of one")
    seconds = sum(clip.duration for clip in clips)
    if seconds < least or len(clips) < 10:
        raise ValueError(
            f"{folder} holds {len(clips)} recordings that will do, {seconds:.0f} s: a voice needs ten "
            f"and {least:.0f} s at least, and is worth its while from ten minutes on"
        )
    return clips, wrong


def split(clips: Sequence[Utterance]) -> tuple[list[Utterance], list[Utterance]]:
    """-> clips to train on, clips held out: a tenth of the texts, one at least and twenty at most.

    Which they are depends on the texts alone, and a text that was recorded twice lies on one side.
    """
    texts = sorted({clip.text for clip in clips}, key=lambda text: zlib.crc32(text.encode()))
    out = set(texts[: min(20, max(1, len(texts) // 10))])
    return [c for c in clips if c.text not in out], [c for c in clips if c.text in out]


def make(
    name: str,
    folder: Path | str,
    out: Path | str,
    minutes: float = 60.0,
    lexicon: Path | str | None = None,
    licence: str = "",
    skip_bad: bool = False,
    workers: int = 2,
    report: Callable[[str], None] = print,
    sizes: Sizes | None = None,
) -> dict[str, dict[str, float]]:
    """Make a voice, `out`/`name`.safetensors -> what was measured of it.

    Args:
        minutes: of training, on one core or on a GPU; reading and alignment come on top.
        lexicon: words and phones. Phones that English does not have make it a voice of another language.
        licence: a line on the recordings, kept in the file.
        skip_bad: leave out recordings that will not do, instead of stopping.
        report: is called with each stage.
    """
    sizes = sizes or Sizes()
    work, start = Path(out) / f"{name}.run", time.perf_counter()
    if weights.is_shipped(work):
        raise ValueError(f"{out} is where the weights lie that ship: choose another folder")
    student = waveform_model.load("student")
    rate, reader = student.spec.rate, Reader.from_file(lexicon)
    report(f"checking the recordings in {folder}")
    clips, wrong = read(folder, reader, rate, skip_bad, sizes.least_seconds)
    total = sum(clip.duration for clip in clips) / 60
    report(f"{len(clips)} recordings, {total:.1f} minutes; {len(wrong)} left out")
    work.mkdir(parents=True, exist_ok=True)
    clips = _aligned(clips, reader, work, workers, report)
    report("level, sampling rate and pitch of each")
    clips = [ready(at_one_level(clip), rate) for clip in clips]
    train, held = split(clips)
    taken = {"reading and alignment": round((time.perf_counter() - start) / 60, 2)}
    text = held[0].text

    def clip_of(acoustic: AcousticModel, net, step: str) -> None:
        spoken = TextVoice(name, reader, prosody, acoustic, net, {})
        path = work / f"clip_{step}.wav"
        audio.save(path, spoken.synthesize(text), rate)
        report(f"listen: {path}")

    each = minutes / 2  # of the two networks
    report(f"acoustic model, {each:.1f} minutes")
    known = acoustic_model.load()
    heard = {phone for clip in clips for phone, _, _ in clip.phones}
    first = known.phones if reader.english else ("pau",)
    phones = [*first, *sorted(heard - set(first))]
    prosody = replace(Prosody.fit(train), inventory=tuple(phones))
    torch.manual_seed(0)
    model = with_phones(known, phones)
    pairs = [bands_and_features(model, clip) for clip in train]
    calibrate(model, pairs)
    crops = AcousticCrops(pairs, *sizes.acoustic)
    config = lambda steps, every: TrainConfig(steps, 1.5e-3, warmup=20, average=0.1, every=every)
    trainer = lambda *run: Trainer(AcousticLoss(model), crops, config(*run), work / "acoustic")
    listen = lambda net, step: clip_of(net, student, f"acoustic_{step}")
    model, taken["acoustic model"] = _train(work / "acoustic", trainer, each, listen)
    report(f"student, {each:.1f} minutes")
    recipe = _recipe(sizes)
    bare = [replace(clip, speaker=ANYBODY) for clip in train]
    bare = Crops(bare, **recipe["data"], spec=student.spec)

    def student_trainer(steps: int, every: int) -> Trainer:
        run = {"steps": steps, "every": every, "rate": 5e-4, "warmup": 20, "average": 0.1}
        return waveform_training.trainer(recipe | {"run": run}, bare, work / "student")

    listen = lambda net, step: clip_of(model, net, f"student_{step}")
    net, taken["student"] = _train(work / "student", student_trainer, each, listen)
    source = licence or "not stated"
    note = f"begun with weights of minigen under CC BY-SA 4.0; recordings: {source}"
    reader = reader.with_habits(train)
    voice = TextVoice(name, reader, prosody, model, net, recipe["model"], note)
    report("measuring")
    measured = own_voice_measures.table(voice, student, train, held) | {"minutes": taken}
    voice = replace(voice, made={"recordings": len(train), "minutes": total, "measured": measured})
    save(voice, Path(out) / f"{name}.safetensors")
    return measured


def _recipe(sizes: Sizes) -> dict:
    """Of a student that begins with the weights of the one that ships, and learns from its teacher."""
    shipped = weights.notes("waveform_student")["recipe"]
    batch, frames = sizes.student
    return {
        "kind": "waveform student",
        "seed": 0,
        "teacher": "waveform_teacher",
        "init_from": "waveform_student",
        "model": shipped["model"],
        "data": shipped["data"] | {"batch": batch, "frames": frames, "seed": 1},
        "objective": shipped["objective"],
    }


def _aligned(
    clips: list[Utterance], reader: Reader, work: Path, workers: int, report: Callable[[str], None]
) -> list[Utterance]:
    """With the times of their phones, which are found once."""
    table = work / "phones.tsv"
    if not table.is_file():
        report("finding the times of the phones")
        scripts = [reader.transcribe(clip.text) for clip in clips]
        times, _ = align_corpus(clips, scripts, workers=workers, progress=True)
        data.save_phones(table, times)
    return data.with_phones(clips, table)


def _train(
    out: Path,
    build: Callable[[int, int], Trainer],
    minutes: float,
    listen: Callable[[torch.nn.Module, str], None],
) -> tuple[torch.nn.Module, float]:
    """Train for some minutes, with a clip every `CLIP` seconds -> the averaged network, minutes taken.

    How many steps that is, is measured before the first one and then stands in `plan.json`.
    """
    if not (out / "plan.json").is_file():
        seconds = _seconds_per_step(build(1, 1))
        steps = max(2, round(60 * minutes / seconds))
        every = max(1, min(steps, round(CLIP / seconds)))
        out.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"steps": steps, "every": every})
        (out / "plan.json").write_text(text + "\n", encoding="utf-8")
    steps, every = json.loads((out / "plan.json").read_text(encoding="utf-8")).values()
    trainer = build(steps, every)
    done = weights.notes(trainer.checkpoint)["step"] if trainer.checkpoint.exists() else 0
    net = None
    for until in (*range(done + every - done % every, steps, every), steps):
        try:
            trainer.run(resume=True, until=until)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("stopped: the same command goes on from here") from None
        net = _averaged(trainer)
        if done < steps:
            listen(net, f"{until:06}")
    return net, round(trainer.seconds / 60, 2)


def _seconds_per_step(trainer: Trainer) -> float:
    """Of a step, the quicker of two: processor time, so that other programs do not count; on a GPU the clock's."""
    clock = time.process_time if trainer.device.type == "cpu" else time.perf_counter
    found = []
    for step in range(3):
        batch = {k: v.to(trainer.device) for k, v in trainer.batches(step, 0, 1).items()}
        begin = clock()
        trainer.objective(batch)[0].backward()
        found.append(clock() - begin)
    trainer.optimizer.zero_grad()
    return max(min(found[1:]), 1e-3)


def _averaged(trainer: Trainer) -> torch.nn.Module:
    """A copy of the network, with the average of its weights, on the CPU."""
    state = {name: value.cpu().clone() for name, value in trainer.ema.shadow.items()}
    model = trainer.model
    if isinstance(model, AcousticModel):
        return acoustic_model.build(state, model.sizes)
    return waveform_model.build("student", state, trainer.recipe["model"])
