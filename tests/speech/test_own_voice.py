"""A voice of one's own at toy size: checked, trained, resumed, and all of it in one file."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minigen import audio, data, weights
from minigen.data import spoken_digits
from minigen.speech import acoustic_model, own_voice, synthesis, voice_file, waveform_model
from minigen.speech.acoustic_model import AcousticModel
from minigen.speech.acoustic_training import AcousticLoss
from minigen.speech.corpus import LOUD
from minigen.speech.own_voice import Sizes, make, split
from minigen.speech.reader import Reader
from minigen.train import TrainConfig, Trainer

TOY = Sizes(acoustic=(2, 40), student=(1, 30), least_seconds=5.0)


def write(root, lexicon=None):
    """Ten digits by one voice, two takes each, as a folder of recordings."""
    root.mkdir()
    clips = [c for c in spoken_digits("rms") if "_t1.0_" in c.name and "_p1.0" in c.name]
    rows = []
    for take in (1, 2):
        for clip in clips:
            x = clip.audio * (1.0 if take == 1 else 0.7)
            audio.save(root / f"{clip.text}{take}.flac", x, clip.rate)
            rows.append(f"{clip.text}{take}.flac,{clip.text},rms\n")
    (root / "metadata.csv").write_text("file,text,speaker\n" + "".join(rows), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = tmp_path_factory.mktemp("own")
    folder = write(place / "rms")
    said = []
    measured = make("rob", folder, place, 0.01, licence="CC0", report=said.append, sizes=TOY)
    return place, folder, said, measured


def test_it_ends_with_a_file_that_speaks_and_a_table(made):
    place, folder, said, measured = made
    spoken = synthesis.speak("seven two", voice=str(place / "rob.safetensors"))
    assert spoken.rate == 8000 and spoken.audio.std() > 0.01
    found = voice_file.load(place / "rob.safetensors")
    assert "recordings: CC0" in found.licence and found.made["recordings"] == 18
    f0 = found.prosody.plan("seven")[1]
    assert 80 < np.median(f0[f0 > 0]) < 150  # a man's: nothing of the shipped voice's pitch
    for row, cells in measured.items():
        least = 0 if row == "minutes" else 1e-9  # rounded, and this is a quick one
        assert all(np.isfinite(value) and value >= least for value in cells.values()), row
    assert any(row.startswith("listen: ") for row in said)
    clips = sorted(path.name for path in (place / "rob.run").glob("clip_*.wav"))
    assert clips[0].startswith("clip_acoustic") and clips[-1].startswith("clip_student")
    seconds = sum(clip.duration for clip in data.folder(folder))
    assert found.made["minutes"] == pytest.approx(seconds / 60)
    assert found.made["measured"].keys() == measured.keys()
    recipe, shipped = (
        weights.notes(file)["recipe"]
        for file in (place / "rob.run/student/checkpoint.safetensors", "waveform_student")
    )
    assert recipe["data"] == shipped["data"] | {"batch": 1, "frames": 30, "seed": 1}
    assert all(recipe[name] == shipped[name] for name in ("kind", "model", "objective"))
    assert recipe["run"] | {"rate": 5e-4, "warmup": 20, "average": 0.1} == recipe["run"]


def test_nothing_of_the_held_out_recordings_is_in_the_voice(made):
    """Its prosody has counted the phones of the training recordings, and no others."""
    place, folder, *_ = made
    clips = data.with_phones(data.folder(folder), place / "rob.run" / "phones.tsv")
    train, held = split(clips)
    known = voice_file.load(place / "rob.safetensors").prosody
    assert known.durations.model.counts[""] == sum(len(clip.phones) for clip in train)
    frames = sum(round(clip.duration * 100) for clip in train)
    assert abs(known.contour.voicing.counts[""] - frames) <= len(train) and held


def test_what_is_heard_and_kept_is_the_average_and_not_the_last_weights(tmp_path):
    torch.manual_seed(0)
    model = AcousticModel(["pau"], hidden=4, dilations=(1,))
    noise = lambda step, *_: {k: torch.randn(2, n, 20) for k, n in (("features", 40), ("mel", 32))}
    config = TrainConfig(20, rate=1e-2, warmup=1, average=0.25)
    trainer = Trainer(AcousticLoss(model), noise, config, tmp_path)
    trainer.run()
    made, raw = own_voice._averaged(trainer).state_dict(), model.state_dict()
    assert all(torch.equal(value, trainer.ema.shadow[name]) for name, value in made.items())
    assert any(not torch.allclose(value, raw[name], atol=1e-4) for name, value in made.items())


def test_the_same_call_goes_on_where_it_stopped(made, monkeypatch):
    """Nothing that was done is done again, and the file comes out as it was: the networks that were trained, which
    are measured beside the student that they began with."""
    place, folder, _, measured = made
    given, table = [], own_voice.own_voice_measures.table
    spy = lambda *them: given.extend(them) or table(*them)
    monkeypatch.setattr(own_voice.own_voice_measures, "table", spy)
    habits, usual = [], Reader.with_habits
    listen = lambda self, clips: habits.append(len(clips)) or usual(self, clips)
    monkeypatch.setattr(Reader, "with_habits", listen)
    levels, ready = [], own_voice.ready
    measure = lambda clip: levels.append(audio.speech_level(clip.audio, clip.rate))
    monkeypatch.setattr(own_voice, "ready", lambda c, rate: measure(c) or ready(c, rate))
    minutes, run = [], own_voice._train
    watch = lambda out, build, some, listen: minutes.append(some) or run(out, build, some, listen)
    monkeypatch.setattr(own_voice, "_train", watch)
    configs, trainer = [], own_voice.Trainer
    start = lambda loss, crops, config, out: (
        configs.append(config) or trainer(loss, crops, config, out)
    )
    monkeypatch.setattr(own_voice, "Trainer", start)
    before, _ = weights.load(place / "rob.safetensors")
    again = make("rob", folder, place, 0.01, licence="CC0", report=lambda stage: None, sizes=TOY)
    after, _ = weights.load(place / "rob.safetensors")
    assert all(np.array_equal(before[name], after[name]) for name in before)
    taken = (row["minutes"]["student"] for row in (again, measured))
    assert abs(np.subtract(*taken)) < 0.011  # rounded twice
    assert minutes == pytest.approx([0.5 * 0.01, 0.5 * 0.01])
    usual = (1.5e-3, 20, 0.1)  # of the acoustic model
    assert {(c.rate, c.warmup, c.average) for c in configs} == {usual}
    assert habits == [18] and levels == pytest.approx([LOUD] * 20, rel=0.01)
    bands = weights.load(place / "rob.run/acoustic/checkpoint.safetensors")[0]
    mean, spread = (bands[f"model.{name}"] for name in ("mean", "spread"))
    known = acoustic_model.load()
    assert (mean - known.mean).abs().max() > 0.1 and (spread - known.spread).abs().max() > 0.05
    plan = json.loads((place / "rob.run/student/plan.json").read_text(encoding="utf-8"))
    assert weights.notes(place / "rob.run/student/checkpoint.safetensors")["step"] == plan["steps"]
    for name in ("acoustic", "student"):
        kept, _ = weights.load(place / f"rob.run/{name}/checkpoint.safetensors")
        for key, value in ((k, v) for k, v in kept.items() if k.startswith("ema.")):
            value = value.half().float() if name == "acoustic" else value
            assert torch.equal(after[key.replace("ema.", f"{name}.")], value), key
    own, shipped = given[0].student.state_dict(), waveform_model.load("student").state_dict()
    assert all(torch.equal(own[name], after[f"student.{name}"]) for name in own)
    assert all(torch.equal(given[1].state_dict()[name], shipped[name]) for name in shipped)


def test_nothing_is_written_onto_the_weights_that_ship(made, monkeypatch):
    _, folder, *_ = made
    home = weights.path("waveform_student").parent
    with pytest.raises(ValueError, match="where the weights lie that ship"):
        make("rob", folder, home, 0.01, sizes=TOY)


def test_bad_recordings_are_named_at_once_or_left_out(tmp_path):
    folder = write(tmp_path / "rms")
    audio.save(folder / "one1.flac", np.zeros(8000), 8000)
    audio.save(folder / "two2.flac", np.ones(900) / 9, 8000)
    with pytest.raises(ValueError) as caught:
        own_voice.read(folder, Reader(), 8000, least=5)
    lines = [*caught.value.__notes__, str(caught.value)]
    assert (
        len(lines) == 2
        and "one1: too quiet" in lines[0]
        and "two2: 0.1 s are too short" in lines[1]
    )
    clips, wrong = own_voice.read(folder, Reader(), 8000, skip_bad=True, least=5)
    assert len(clips) == 18 and set(wrong) == {"one1", "two2"}
    with pytest.raises(ValueError, match="a voice needs ten and 60 s at least"):
        own_voice.read(folder, Reader(), 8000, skip_bad=True)
    with pytest.raises(ValueError, match="a voice needs ten and 60 s at least"):
        make("bob", folder, tmp_path, skip_bad=True, report=lambda stage: None)
    assert not (tmp_path / "bob.run").exists()


def test_too_few_too_short_or_by_several_speakers_is_refused(monkeypatch):
    """Ten recordings and the least of seconds will do."""
    word = dataclasses.replace(data.example(), phones=None, f0=None)
    monkeypatch.setattr(own_voice.recordings, "faults", lambda *_: {})

    def read(count, least, *more):
        clips = [dataclasses.replace(word, name=str(n)) for n in range(count)] + list(more)
        monkeypatch.setattr(data, "folder", lambda _: clips)
        return own_voice.read("mine", Reader(), 8000, least=least)

    assert len(read(10, 10 * word.duration)[0]) == 10
    for count, least in ((9, 1.0), (10, 10 * word.duration + 0.01)):
        with pytest.raises(ValueError, match=f"holds {count} recordings that will do, [56] s: a"):
            read(count, least)
    with pytest.raises(ValueError, match="mine holds recordings of rms, slt: a voice is of one"):
        read(10, 1.0, dataclasses.replace(word, name="x", speaker="rms"))


def test_how_many_steps_are_planned_and_how_often_a_clip_is_made(tmp_path, monkeypatch):
    """Once: by the seconds of a step, of which the quicker of two counts, and not the first."""
    ticks, gone = iter([0, 9, 0, 0.5, 0, 0.7] * 9), []

    class Trainer:
        device, checkpoint, seconds = torch.device("cpu"), tmp_path / "none", 0.0
        optimizer = SimpleNamespace(zero_grad=lambda: gone.append(1))

        def batches(self, step, shard, shards):
            return {"x": torch.ones(1, requires_grad=True)}

        def objective(self, batch):
            return batch["x"].sum(), {}

        def run(self, resume, until):
            raise KeyboardInterrupt

    asked, build = [], lambda *given: asked.append(given) or Trainer()
    monkeypatch.setattr(own_voice, "time", SimpleNamespace(process_time=lambda: next(ticks)))
    for minutes, name, plan in (
        (10, "long", (1200, 360)),
        (0.01, "short", (2, 2)),
        (1, "a", (120, 120)),
    ):
        work = tmp_path / name
        for planned in ([(1, 1), plan], [plan]):  # the second time it is known
            with pytest.raises(KeyboardInterrupt, match="the same command goes on from here"):
                own_voice._train(work, build, minutes, None)
            assert asked == planned
            asked.clear()
    assert len(gone) == 3


def test_phones_are_found_once_by_as_many_workers_as_asked(tmp_path, monkeypatch):
    asked, clip = [], dataclasses.replace(data.example(), phones=None)
    times = {clip.name: [("pau", 0.0, 0.1)]}
    align = lambda clips, scripts, **given: asked.append((scripts, given["workers"])) or (times, 0)
    monkeypatch.setattr(own_voice, "align_corpus", align)
    for _ in range(2):
        (found,) = own_voice._aligned([clip], Reader(), tmp_path, 7, lambda stage: None)
        assert found.phones == (("pau", 0.0, 0.1),)
    assert asked == [([Reader().transcribe("seven")], 7)]


def test_a_tenth_of_the_texts_is_held_out_on_one_side():
    clip = data.example()
    clips = [dataclasses.replace(clip, text=f"text {i // 2}", name=str(i)) for i in range(60)]
    train, held = split(clips)
    assert len(held) == 6 and len(train) == 54
    assert not {c.text for c in train} & {c.text for c in held}
    assert [c.name for c in split(clips[::-1])[1]] == [c.name for c in held[::-1]]
    many = [dataclasses.replace(clip, text=f"text {i}", name=str(i)) for i in range(250)]
    assert [len(split(many[:n])[1]) for n in (2, 19, 20, 250)] == [1, 1, 2, 20]


def test_another_language_speaks_by_its_lexicon(tmp_path, monkeypatch):
    """The digits as if they were a language whose phones nobody knows."""
    monkeypatch.setattr(own_voice.own_voice_measures, "table", lambda *_: {})
    folder = write(tmp_path / "rms")
    words = sorted({clip.text for clip in spoken_digits("rms")})
    from minigen.speech.pronunciation import pronunciations

    lines = [f"{word} {' '.join(p + '_' for p in pronunciations(word)[0])}" for word in words]
    (tmp_path / "words.txt").write_text("\n".join(lines), encoding="utf-8")
    make(
        "alien",
        folder,
        tmp_path,
        0.01,
        tmp_path / "words.txt",
        report=lambda stage: None,
        sizes=TOY,
    )
    file = str(tmp_path / "alien.safetensors")
    assert synthesis.speak("seven, two", voice=file).audio.std() > 0.01
    assert voice_file.load(file).licence.endswith("recordings: not stated")
    with pytest.raises(ValueError, match="no hello: add a line"):
        synthesis.speak("hello", voice=file)


@pytest.mark.parametrize(
    "done, runs", [(0, [4, 8, 10]), (3, [4, 8, 10]), (4, [8, 10]), (9, [10]), (10, [10])]
)
def test_a_clip_is_heard_at_every_multiple_and_at_the_end(tmp_path, monkeypatch, done, runs):
    """Of ten steps and a clip after every fourth; of a run that is done nothing is heard again."""
    plan = '{"steps": 10, "every": 4}'
    (tmp_path / "plan.json").write_text(plan, encoding="utf-8")
    file, seen, heard = tmp_path / "checkpoint.safetensors", [], []
    if done:
        weights.save(file, {"a": torch.zeros(1)}, {"step": done})
    trainer = SimpleNamespace(checkpoint=file, seconds=90.0)
    trainer.run = lambda resume, until: seen.append(until)
    monkeypatch.setattr(own_voice, "_averaged", lambda trainer: len(seen))
    build = lambda steps, every: trainer if (steps, every) == (10, 4) else None
    got = own_voice._train(tmp_path, build, 1.0, lambda net, step: heard.append(step))
    assert seen == runs and got == (len(runs), 1.5)
    assert heard == ([f"{step:06}" for step in runs] if done < 10 else [])
