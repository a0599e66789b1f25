"""The voices: batches, recipes, shipped weights, what they say and what they refuse to say."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from minigen import audio, data, weights
from minigen.audio import pitch
from minigen.distillation import DistillationLoss
from minigen.speech import evaluation, voice
from minigen.speech.evaluation import recognised, spoken_digits_of

ROOT = Path(__file__).parents[2]
TOY = {
    "data": {"batch": 4, "frames": 12, "dither": 0.001, "seed": 0},
    "run": {"steps": 4, "every": 2, "warmup": 1},
}


def small_recipe(kind: str) -> dict:
    recipe = voice.read_recipe(ROOT / f"training/digits-cpu-{kind}.toml", kind.split("-")[0])
    recipe = {**recipe, **TOY, "model": dict(recipe["model"], layers=2, residual=4)}
    if kind == "student":
        recipe["model"]["flows"] = 2
    return recipe


@pytest.fixture(scope="module")
def batches():
    clips = [clip for clip in data.spoken_digits() if "_t1.0_" in clip.name]
    return voice.DigitBatches(clips, batch=4, frames=20, dither=0.0)


def test_batches_are_a_function_of_the_step(batches):
    a, b, c = batches(3), batches(3), batches(4)
    for name in a:
        assert torch.equal(a[name], b[name])
    assert not torch.equal(a["audio"], c["audio"])
    halves = batches(3, 0, 2), batches(3, 1, 2)
    for name in a:
        assert torch.equal(torch.stack([halves[i % 2][name][i // 2] for i in range(4)]), a[name])
    with pytest.raises(ValueError, match="cannot be shared"):
        batches(0, 0, 3)


def test_audio_and_features_stay_together(batches):
    """Loud frames are voiced ones: a shift of the features by 100 ms would break the match."""
    levels, voiced = [], []
    for step in range(20):
        batch = batches(step)
        levels.append(batch["audio"].reshape(4, 20, -1).square().mean(-1).flatten())
        voiced.append(batch["frames"][:, -2].flatten())
    level, voicing = torch.cat(levels).sqrt(), torch.cat(voiced)
    assert level[voicing > 0].mean() > 5 * level[voicing == 0].mean()


def test_held_out_clips_are_never_trained_on():
    train, kept = voice.held_out()
    assert len(kept) == 30 and len(train) == 330
    assert {(c.text, c.speaker) for c in kept} == {(c.text, c.speaker) for c in train}
    assert not {c.name for c in kept} & {c.name for c in train}


def test_weighted_likelihood_has_the_same_optimum():
    """β = ½ moves no optimum: at the true (mean, scale) the expected gradient is zero for both."""
    torch.manual_seed(0)
    scale = torch.rand(1, 1, 400_000).double() + 0.1
    x = 0.3 + scale * torch.randn(1, 1, 400_000).double()
    for beta in (0.0, 0.5):
        mean = torch.full((), 0.3, dtype=torch.float64, requires_grad=True)
        extra = torch.zeros((), dtype=torch.float64, requires_grad=True)
        log_scale = scale.log() + extra
        nll = 0.5 * ((x - mean) / log_scale.exp()) ** 2 + log_scale
        weight = torch.exp(2 * beta * log_scale).detach()
        ((weight * nll).sum() / weight.sum()).backward()
        assert abs(mean.grad) < 0.02 and abs(extra.grad) < 0.02


@pytest.mark.parametrize("kind", ["teacher-1", "student"])
def test_recipes_train_at_toy_size_resume_and_export(tmp_path, kind):
    recipe = small_recipe(kind)
    if kind == "student":
        teacher = small_recipe("teacher-1")
        teacher["model"]["cond_channels"] = recipe["model"]["cond_channels"]
        voice.train(teacher, tmp_path / "teacher")
        recipe["teacher"] = str(tmp_path / "teacher" / "checkpoint.safetensors")
    voice.train(recipe, tmp_path / "run", until=2)
    watched = voice.train(recipe, tmp_path / "run", resume=True)
    assert np.isfinite(watched["loss"])
    voice.export(tmp_path / "run" / "checkpoint.safetensors", tmp_path / "out.safetensors")
    (stage,) = json.loads((tmp_path / "out.json").read_text())["stages"]
    assert stage["recipe"] == recipe and stage["step"] == 4 and stage["minutes"] >= 0
    assert stage["curve"]["step"][-1] == 4
    assert np.isclose(stage["curve"]["loss"][-1], watched["loss"], rtol=1e-3)
    loaded = voice.load(recipe["kind"], tmp_path / "out.safetensors")
    cond = voice.conditioning_for(loaded, [voice.conditioning.plan("one", "awb")], "awb")
    assert np.isfinite(voice.say(loaded, cond[..., :400])).all()
    other = "student" if recipe["kind"] == "teacher" else "teacher"
    with pytest.raises(ValueError, match=f"does not hold a {other}"):
        voice.load(other, tmp_path / "out.safetensors")


@pytest.mark.parametrize(
    "path",
    [
        p
        for name in ("digits", "allison")
        for p in sorted((ROOT / "training").glob(f"{name}-*.toml"))
    ],
    ids=lambda p: p.stem,
)
def test_every_recipe_can_be_read_and_built(path):
    kind = "student" if "student" in path.stem else "teacher"
    recipe = voice.read_recipe(path, kind)
    assert ("corpus" in recipe) == path.stem.startswith("allison")
    spec = voice.DIGITS
    if "corpus" in recipe:
        spec = voice.VoiceSpec(("pau", "aa"), recipe["corpus"]["rate"], ("allison",))
    assert voice.VOICES[kind].build(recipe["model"], spec).spec == spec
    assert voice.TrainConfig(**recipe["run"]).steps > 0


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A corpus in place of allison: digits at 16 kHz with another name, and a table of their phones."""
    words = [clip for clip in data.spoken_digits("rms") if "_p1.0" in clip.name]
    clips = []
    for clip in words:
        x = np.clip(audio.resample(clip.audio, 8000, 16_000), -1, 1).astype(np.float32)
        bare = dataclasses.replace(clip, audio=x, rate=16_000, phones=None, f0=None)
        clips.append(dataclasses.replace(bare, speaker="somebody"))
    data.save_phones(tmp_path / "times.tsv", {clip.name: clip.phones for clip in words})
    monkeypatch.setattr(data, "allison", lambda limit=None: clips[:limit])
    corpus = {"name": "allison", "rate": 8000, "phones": str(tmp_path / "times.tsv")}
    return corpus, words


def test_a_corpus_is_resampled_cut_to_frames_and_given_its_pitch(recorded):
    corpus, words = recorded
    for rate in (8000, 12_000):
        clips = voice.read_corpus(corpus | {"rate": rate})
        assert len(clips) == len(words)
        off = []
        for clip, word in zip(clips, words, strict=True):
            assert clip.rate == rate and len(clip.audio) == len(clip.f0) * (rate // 100)
            assert abs(len(clip.f0) - len(word.f0)) <= 1
            assert [name for name, _, _ in clip.phones] == [name for name, _, _ in word.phones]
            assert np.allclose([p[2] for p in clip.phones], [p[2] for p in word.phones], atol=0.011)
            n = min(len(clip.f0), len(word.f0))
            both = (clip.f0[:n] > 0) & (word.f0[:n] > 0)
            off.append(np.abs(clip.f0[:n][both] / word.f0[:n][both] - 1))
        assert np.median(np.concatenate(off)) < 0.02
    assert len(voice.read_corpus(corpus | {"limit": 3})) == 3
    with pytest.raises(FileNotFoundError, match="minigen align allison --out nowhere.tsv"):
        voice.read_corpus(corpus | {"phones": "nowhere.tsv"})


def test_a_voice_of_another_corpus_trains_resumes_and_remembers_its_phones(recorded, tmp_path):
    corpus, _ = recorded
    recipe = small_recipe("teacher-1") | {"corpus": corpus | {"rate": 12_000}}
    voice.train(recipe, tmp_path / "run", until=2)
    watched = voice.train(recipe, tmp_path / "run", resume=True)
    assert np.isfinite(watched["loss"])
    voice.export(tmp_path / "run" / "checkpoint.safetensors", tmp_path / "out.safetensors")
    loaded = voice.load("teacher", tmp_path / "out.safetensors")
    spec = loaded.spec
    assert spec.rate == 12_000 and spec.hop == 120 and spec.speakers == ("somebody",)
    assert spec.phones[0] == "pau" and set(spec.phones) == set(voice.DIGITS.phones)
    times, f0 = voice.conditioning.plan("one", "awb")
    cond = voice.conditioning_for(loaded, [(times, f0)], "somebody")
    assert cond.shape == (1, recipe["model"]["cond_channels"], 120 * len(f0))
    assert np.isfinite(voice.say(loaded, cond[..., :400])).all()
    with pytest.raises(ValueError, match="no speaker 'slt': choose one of somebody"):
        voice.conditioning_for(loaded, [(times, f0)], "slt")
    student = small_recipe("student") | {"teacher": str(tmp_path / "out.safetensors")}
    student["model"]["cond_channels"] = recipe["model"]["cond_channels"]
    with pytest.raises(ValueError, match="trained on another corpus"):
        voice.train(student, tmp_path / "student")
    with pytest.raises(ValueError, match="voice of the digits"):
        evaluation.speech_table(weights.path("digits_teacher"))


def test_sentences_are_kept_away_by_their_text():
    clip = data.example()
    texts = [f"Sentence number {word} is here" for word in range(300)] + ["three", "one two three"]
    clips = [dataclasses.replace(clip, text=text) for text in texts]
    long = np.zeros(9 * 8000, np.float32)
    clips += [dataclasses.replace(c, audio=long, phones=None, f0=None) for c in clips[:300]]
    clips += [dataclasses.replace(c, text=c.text.upper() + "!") for c in clips[:300]]
    train, kept = voice.held_out(clips, "allison")
    assert len(train) + len(kept) == len(clips) and 30 <= len(kept) <= 90
    assert all(len(c.text.split()) >= 4 and c.duration <= 8 for c in kept)
    plain = lambda part: {c.text.lower().strip("!") for c in part if c.duration <= 8}
    assert not plain(kept) & plain(train)  # the same words lie on one side


def test_a_student_at_16_khz_has_longer_frames_and_says_what_will_not_do(recorded, tmp_path):
    """The losses' frames follow the voice's rate; what cannot work is said before the first step."""
    corpus = recorded[0] | {"rate": 16_000, "limit": 8}
    few = {"data": TOY["data"] | {"frames": 8}, "corpus": corpus}  # 1,280 samples
    teacher, student = small_recipe("teacher-1") | few, small_recipe("student") | few
    voice.train(teacher, tmp_path / "teacher")
    student["teacher"] = str(tmp_path / "teacher" / "checkpoint.safetensors")
    watched = voice.train(student, tmp_path / "student")
    assert all(np.isfinite(value) for value in watched.values()) and watched["stft"] > 0
    made = voice.load("student", tmp_path / "student" / "checkpoint.safetensors")
    loss = DistillationLoss(made, voice.load("teacher", student["teacher"]).wavenet)
    assert made.spec.rate == 16_000 and loss.longest == 1024

    def refused(message: str, frames: int = 8, **objective) -> None:
        bad = {**student, "objective": student["objective"] | objective}
        bad["data"] = student["data"] | {"frames": frames}
        with pytest.raises(ValueError, match=message):
            voice.train(bad, tmp_path / "refused")
        assert not (tmp_path / "refused").exists()

    refused("crop of 6 frames is 960 samples, fewer than the 1024 .*raise frames", frames=6)
    refused("crop of 3 frames is 480 samples, fewer than the 512 ", frames=3, stft=0.0)
    refused("at 8000 Hz, and this voice has 16000 Hz: set perceptual = 0", perceptual=0.5)
    off = {"stft": 0.0, "power": 0.0}  # nothing needs a frame, so nothing is refused, or watched
    short = {**student, "objective": student["objective"] | off}
    short["data"] = student["data"] | {"frames": 3}
    assert "stft" not in voice.train(short, tmp_path / "short")


def test_clips_are_chosen_by_length_if_asked():
    clips = data.spoken_digits("slt")[:2]
    short, long = clips[0], clips[1]
    tripled = dataclasses.replace(
        long,
        audio=np.tile(long.audio, 3) * 0 + 0.5,
        f0=np.tile(long.f0, 3),
        phones=[(p, a, b) for p, a, b in long.phones],
    )
    spec = dataclasses.replace(voice.DIGITS, speakers=("slt",))
    share = len(tripled.f0) / (len(tripled.f0) + len(short.f0))
    for by_length, expected in ((False, 0.5), (True, share)):
        batches = voice.DigitBatches([short, tripled], 1, 1, 0.0, by_length=by_length, spec=spec)
        seen = [batches.item(step, 0)[0].mean() == 0.5 for step in range(500)]
        assert abs(np.mean(seen) - expected) < 0.08


def test_crops_hold_the_features_of_their_own_samples():
    """Frame by frame: audio, frame features and phase of a crop come from one place of one clip."""
    clip = data.spoken_digits("slt", "seven")[0]
    spec = dataclasses.replace(voice.DIGITS, speakers=("slt",))
    batches = voice.DigitBatches([clip], batch=1, frames=10, dither=0.0, spec=spec)
    frames, phase = voice.conditioning.features(clip)
    hop, n = spec.hop, frames.shape[1]
    alone = voice.as_batch(clip)
    assert np.array_equal(alone["frames"][0], frames) and np.array_equal(alone["phase"][0], phase)
    assert np.array_equal(alone["audio"][0, 0], clip.audio)
    whole = np.tile(clip.audio, 2)
    for step in range(20):
        x, f, p, _, _ = batches.item(step, 0)
        (first,) = [k for k in range(n) if np.array_equal(whole[k * hop : (k + 10) * hop], x[0])]
        at = np.arange(first, first + 10) % n
        assert np.array_equal(f, frames[:, at])
        assert np.array_equal(p, phase.reshape(6, n, hop)[:, at].reshape(6, -1))


def test_conditioning_that_comes_a_frame_late_or_early_costs_likelihood():
    """The shipped teacher predicts kept-away recordings best with features in time."""
    teacher, kept = voice.load("teacher"), voice.held_out()[1]
    nll = {shift: [] for shift in (-1, 0, 1)}
    for clip in kept[::5]:
        for shift, found in nll.items():
            batch = voice.as_batch(clip, 0.0005)
            batch["frames"] = batch["frames"].roll(shift, -1)
            batch["phase"] = batch["phase"].roll(shift * voice.DIGITS.hop, -1)
            found.append(
                -teacher.wavenet.head.log_prob(teacher(batch), batch["audio"]).mean().item()
            )
    early, right, late = (np.mean(nll[shift]) for shift in (-1, 0, 1))
    assert late > right + 0.1 and early > right + 0.1


@pytest.mark.parametrize(
    "change, message",
    [
        ({"name": "alison"}, r"\[corpus\]: no corpus 'alison': choose spoken_digits, allison"),
        ({"rate": None}, r"\[corpus\] lacks rate"),
        ({"rate": 8050}, "multiple of 100 Hz"),
        ({"phones": None}, "lacks phones: the table of times"),
        ({"speakers": "slt"}, "speakers is a list of names"),
        ({"tempo": 2}, r"\[corpus\] has 'tempo', which is unknown"),
        ({"name": "spoken_digits", "rate": 16_000}, "the digits are at 8000 Hz"),
        (None, r"\[corpus\] is a table, not 3"),
    ],
)
def test_bad_corpora_name_what_is_wrong(tmp_path, change, message):
    text = (ROOT / "training/allison-cpu-teacher.toml").read_text()
    head, tail = text.split("[corpus]")
    rest = tail[tail.index("[model]") :]
    corpus = {"name": "allison", "rate": 8000, "phones": "x.tsv"}
    if change is None:
        text = f"corpus = 3\n{head}{rest}"
    else:
        lines = [f"{k} = {json.dumps(v)}" for k, v in (corpus | change).items() if v is not None]
        text = f"{head}[corpus]\n" + "\n".join(lines) + f"\n{rest}"
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises((ValueError, TypeError), match=message):
        voice.read_recipe(tmp_path / "bad.toml", "teacher")


def test_recipes_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"training/digits-\*\.toml"):
        voice.read_recipe(tmp_path / "none.toml", "teacher")
    with pytest.raises(ValueError, match="for a student, not for a teacher"):
        voice.read_recipe(ROOT / "training/digits-cpu-student.toml", "teacher")
    bad = tmp_path / "bad.toml"
    bad.write_text("kind = ")
    with pytest.raises(ValueError, match="not TOML"):
        voice.read_recipe(bad, "teacher")
    bad.write_text('kind = "teacher"')
    with pytest.raises(ValueError, match="lacks data"):
        voice.read_recipe(bad, "teacher")


@pytest.mark.parametrize("kind", ["teacher", "student"])
def test_shipped_weights_are_small_and_say_how_they_came_about(kind):
    path = weights.path(f"digits_{kind}")
    assert path.stat().st_size <= 2e6
    tensors, notes = weights.load(path)
    assert notes["recipe"]["kind"] == kind and notes["step"] > 0
    assert all(torch.isfinite(value).all() for value in tensors.values())
    *_, last = voice.card(kind)["stages"]
    assert last["recipe"] == notes["recipe"] and last["step"] == notes["step"]
    assert last["minutes"] > 1 and last["curve"]["loss"][-1] < last["curve"]["loss"][0]


def test_student_speaks_intelligibly_and_at_the_right_level():
    """A few digits, recognised by a recogniser that is not the model: most of them."""
    right, count, _ = recognised(spoken_digits_of(voice.load("student"), per_word=2))
    assert right >= 0.8 * count
    spoken = voice.speak("seven", "slt")
    recorded = [clip.audio for clip in data.spoken_digits("slt", "seven")]
    level = np.mean([x.std() for x in recorded])
    assert 0.7 < spoken.audio.std() / level < 1.3


def test_speak_is_reproducible_and_follows_its_arguments():
    a, b = voice.speak("3 1"), voice.speak("three one")
    assert np.array_equal(a.audio, b.audio) and a.rate == 8000 and a.audio.dtype == np.float32
    assert not np.array_equal(a.audio, voice.speak("3 1", seed=1).audio)
    assert len(voice.speak("3 1", pace=2.0).audio) < 0.6 * len(a.audio)
    assert len(voice.speak("3 1", speaker="awb").audio) != len(a.audio)
    for call, message in (
        (lambda: voice.speak("hello"), "cannot say 'hello'"),
        (lambda: voice.speak("one", speaker="bob"), "no speaker 'bob'.*slt, rms, awb"),
        (lambda: voice.load("teecher"), "no model 'teecher'"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def run(*arguments, cwd):
    command = [sys.executable, "-m", "minigen.cli", *map(str, arguments)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "NO_COLOR": "1"}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_command_speaks(tmp_path):
    done = run("speak", "three one four", "--speaker", "slt", "--out", "pi.wav", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "times real time" in done.stdout
    x, rate = audio.load(tmp_path / "pi.wav")
    assert rate == 8000 and 0.9 < len(x) / rate < 3 and x.std() > 0.02


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["speak", "hello"], "cannot say 'hello'"),
        (["speak", "one", "--speaker", "bob"], "no speaker 'bob'"),
        (["speak", "one", "--out", "nowhere/a.wav"], "no folder nowhere"),
        (["speak", "one", "--out", "a.wav"], "cannot write a.wav"),
        (["speak", "one", "--model", "no.safetensors"], "give a file of weights of a student"),
        (["evaluate", "--per-word", "0"], "must be at least 1"),
        (["train", "teacher", "--config", "no.toml", "--out", "x"], "no recipe no.toml"),
        (["export", "no.safetensors", "x"], "no file no.safetensors"),
    ],
)
def test_command_says_errors_in_one_line(tmp_path, arguments, message):
    (tmp_path / "a.wav").mkdir()  # a folder where a file is to be written
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and message in done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "kind, change, message",
    [
        ("student", {"tempo": 1}, "has 'tempo', which is unknown"),
        ("student", {"model": {"flow": 2}}, r"\[model\] has 'flow', which is unknown.*flows"),
        ("student", {"data": {"hop": 2}}, r"\[data\] has 'hop'"),
        ("student", {"objective": {"gamma": 2}}, r"\[objective\] has 'gamma'.*penalty"),
        ("student", {"run": {"epochs": 2}}, r"\[run\] has 'epochs'.*steps"),
        ("student", {"teacher": None}, "lacks teacher"),
        ("student", {"teacher": 3}, "teacher is the path of a file, not 3"),
        ("teacher-1", {"teacher": "x"}, "has 'teacher', which is unknown"),
        ("teacher-1", {"seed": -1}, "seed must be at least 0, not -1"),
        ("teacher-1", {"model": {"min_log_scale": None}}, r"\[model\] lacks min_log_scale"),
        ("teacher-1", {"model": {"hidden": None}}, r"\[model\] lacks hidden"),
        ("teacher-1", {"data": {"dither": None}}, r"\[data\] lacks dither"),
        ("teacher-1", {"run": {"steps": None}}, r"\[run\] lacks steps"),
        ("teacher-1", {"run": {"steps": -5}}, r"\[run\]: steps must be at least 1, not -5"),
        ("teacher-1", {"run": {"steps": "many"}}, "steps is of type int, not 'many'"),
        ("teacher-1", {"run": {"bf16": 1}}, "bf16 is of type bool, not 1"),
        ("teacher-1", {"run": {"rate": -0.1}}, r"\[run\]: rate must be above 0"),
        ("teacher-1", {"run": {"rate": float("nan")}}, "rate must be finite"),
        ("teacher-1", {"model": {"layers": 0}}, "layers must be at least 1, not 0"),
        ("teacher-1", {"data": 3}, r"\[data\] is a table, not 3"),
    ],
)
def test_bad_recipes_name_what_is_wrong(tmp_path, kind, change, message):
    path = ROOT / f"training/digits-cpu-{kind}.toml"
    recipe = voice.read_recipe(path, kind.split("-")[0])
    for name, value in change.items():
        recipe[name] = {**recipe[name], **value} if isinstance(value, dict) else value
    lines = [f"{k} = {json.dumps(v)}" for k, v in recipe.items() if not isinstance(v, dict | None)]
    for name, table in recipe.items():
        if isinstance(table, dict):
            lines += [
                f"[{name}]",
                *(f"{k} = {json.dumps(v)}" for k, v in table.items() if v is not None),
            ]
    bad = tmp_path / "bad.toml"
    bad.write_text("\n".join(lines).replace("NaN", "nan"))
    with pytest.raises((ValueError, TypeError), match=message):
        voice.read_recipe(bad, recipe["kind"])


def test_training_says_which_file_or_number_is_wrong(tmp_path):
    recipe = small_recipe("student")
    with pytest.raises(FileNotFoundError, match="no file nowhere.*the recipe's teacher"):
        voice.train({**recipe, "teacher": "nowhere"}, tmp_path / "a")
    with pytest.raises(FileNotFoundError, match="no file nowhere.*the recipe's start_from"):
        voice.train({**recipe, "start_from": "nowhere"}, tmp_path / "a")
    recipe["teacher"] = str(weights.path("digits_teacher"))
    narrow = {**recipe, "model": {**recipe["model"], "hidden": 5}}
    with pytest.raises(ValueError, match="hidden is 5.*whose hidden is 48"):
        voice.train(narrow, tmp_path / "a")
    with pytest.raises(ValueError, match="not those of this model"):
        start = str(weights.path("digits_student"))
        voice.train({**recipe, "start_from": start}, tmp_path / "a")
    teacher = small_recipe("teacher-1")
    with pytest.raises(ValueError, match="crop of 1 frames.*raise frames"):
        voice.train(
            {
                **teacher,
                "data": {**teacher["data"], "frames": 1},
                "model": {**teacher["model"], "layers": 7},
            },
            tmp_path / "a",
        )
    with pytest.raises(ValueError, match="until is a step"):
        voice.train(teacher, tmp_path / "a", until=-1)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="is a file"):
        voice.train(teacher, tmp_path / "file")
    voice.train(teacher, tmp_path / "run", until=2)
    wider = {**teacher, "model": {**teacher["model"], "residual": 8}}
    with pytest.raises(ValueError, match="of another model.*another --out"):
        voice.train(wider, tmp_path / "run", resume=True)


def test_export_refuses_before_it_writes(tmp_path):
    file = weights.path("digits_student")
    with pytest.raises(ValueError, match="ends in .safetensors"):
        voice.export(file, tmp_path / "card.json")
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(file.read_bytes())
    with pytest.raises(ValueError, match="no TensorBoard events"):
        voice.export(copy, tmp_path / "new" / "out.safetensors")
    with pytest.raises(ValueError, match="no checkpoint of a teacher or a student"):
        voice.export(weights.path("rnn_characters"), tmp_path / "out.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["copy.safetensors"]


def test_speak_takes_a_file_of_weights(tmp_path):
    path = str(weights.path("digits_student"))
    assert np.array_equal(voice.speak("one", model=path).audio, voice.speak("one").audio)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(Path(path).read_bytes()[:20_000])
    for model, message in (
        (
            str(weights.path("digits_teacher")),
            "does not hold a student but a teacher",
        ),
        (str(weights.path("rnn_characters")), "a model of another chapter"),
        (str(cut), "cut off, damaged"),
        ("teecher", "no model 'teecher': choose teacher or student, or give a file"),
    ):
        with pytest.raises(ValueError, match=message):
            voice.speak("one", model=model)
    for temperature in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="0 or more"):
            voice.speak("one", temperature=temperature)


def test_the_recorded_voice_ships_small_with_its_card_and_figures():
    path = weights.path("allison_teacher")
    assert path.stat().st_size <= 2e6
    loaded, recipe = voice.load("teacher", voice="allison"), voice.recipe_of("teacher", path)
    assert loaded.spec == voice.spec_of(recipe) and loaded.spec.speakers == ("allison",)
    prosody = voice.prosody_of("allison")
    assert set(prosody.inventory) == set(loaded.spec.phones) and prosody.speaker == "allison"
    card = voice.card("teacher", "allison")
    last = card["stages"][-1]
    assert last["recipe"] == recipe and last["minutes"] > 1
    nats, sentences = card["measured"]["nats"], card["measured"]["sentences"]
    assert nats["trained"] < nats["step 0"] - 1 and nats["trained"] < nats["AR(16)"] - 1
    assert set(evaluation.WAYS) < set(sentences)
    told = card["measured"]["prosody"]
    assert told["durations, nats a phone"] > told["without context"] + 0.3
    assert told["voicing right %"] > told["always the usual %"] + 10
    assert told["F0 rms error %"] < told["the speaker's mean %"]
    for way in evaluation.WAYS:
        row = sentences[way]
        assert row["warped dB"] < sentences["another sentence"]["warped dB"]
        assert row["voicing %"] > 85 and row["F0 error %"] < 5 and 0.5 < row["std ratio"] < 1.5
    pupil = card["measured"]["student"]
    for way in evaluation.WAYS:
        assert pupil[way]["warped dB"] < sentences["another sentence"]["warped dB"]
        assert pupil[way]["MCD dB"] < sentences["another sentence"]["warped dB"]
        assert 0.8 < pupil[way]["std ratio"] < 1.2 and pupil[way]["F0 error %"] < 5


def test_the_recorded_voice_has_a_student_that_learned_from_its_teacher():
    path = weights.path("allison_student")
    assert path.stat().st_size <= 2e6
    student, teacher = (
        voice.load("student", voice="allison"),
        voice.load("teacher", voice="allison"),
    )
    assert student.spec == teacher.spec
    assert voice.recipe_of("student", path)["teacher"].endswith("allison_teacher.safetensors")
    assert voice.card("student", "allison")["stages"][-1]["step"] == 5000
    for mine, theirs in zip(
        student.upsampler.parameters(), teacher.upsampler.parameters(), strict=True
    ):
        assert torch.allclose(mine, theirs, atol=1e-5)


@pytest.mark.parametrize("model", ["student", "teacher"])
def test_the_recorded_voice_says_any_sentence(model):
    spoken = voice.speak("Your password has been changed.", voice="allison", model=model)
    assert spoken.rate == 8000 and 1.5 < len(spoken.audio) / 8000 < 3.5
    assert 0.03 < spoken.audio.std() < 0.3 and np.abs(spoken.audio).max() <= 1
    # the sound has the pitch of the plan, and is silent where the plan is
    times, f0 = voice.prosody_of("allison").plan("Your password has been changed.")
    heard = pitch.f0(spoken.audio, 8000)[: len(f0)]
    both = (heard > 0) & (f0 > 0)
    assert np.mean((heard > 0) == (f0 > 0)) > 0.85
    assert np.median(np.abs(np.log(heard[both] / f0[both]))) < 0.05
    start = round(8000 * times[0][2])
    assert spoken.audio[: start // 2].std() < 0.1 * spoken.audio[start:].std()
    assert len(spoken.audio) > 1.5 * len(voice.speak("no", voice="allison", model=model).audio)


def test_the_recorded_teacher_speaks_by_any_loop():
    quick = {"voice": "allison", "pace": 2.0, "model": "teacher"}
    fast = voice.speak("No!", **quick)
    slow = voice.speak("no", **quick, backend="numpy")  # the same samples by the readable loop
    assert np.allclose(fast.audio[:1500], slow.audio[:1500], atol=1e-3)
    assert len(fast.audio) < 0.6 * len(voice.speak("no", voice="allison").audio)


def test_sentences_of_the_recorded_voice_come_piece_by_piece():
    text = "Thank you. Goodbye!"
    pieces = list(voice.stream(text, voice="allison", seed=2, pace=1.2, pitch=0.9))
    whole = voice.speak(text, voice="allison", seed=2, pace=1.2, pitch=0.9).audio
    together = np.concatenate(pieces)
    assert len(pieces) > 2 and together.shape == whole.shape
    assert np.abs(together - whole).max() < 1e-4 and whole.std() > 0.02
    alone = [voice.speak(part, voice="allison", pace=1.2) for part in ("Thank you.", "Goodbye!")]
    assert len(whole) == sum(len(part.audio) for part in alone)


def test_a_text_is_planned_sentence_by_sentence_and_refused_at_the_call(monkeypatch):
    planned, plan = [], voice.Prosody.plan
    spy = lambda self, **options: planned.append(options["phones"]) or plan(self, **options)
    monkeypatch.setattr(voice.Prosody, "plan", spy)
    text = "No. " * 3 + "Thank you for calling. " * 50
    sound = voice.stream(text, voice="allison")
    next(sound)
    assert 1 < len(planned) < 6
    for wrong, message in (("No. Yes. 5 中", "no reading for '中'"), ("?!", "nothing to read")):
        with pytest.raises(ValueError, match=message):
            voice.stream(wrong, voice="allison")
    with pytest.raises(ValueError, match="pace is a factor"):
        voice.stream("No.", voice="allison", pace=9)
    whole = voice.prosody_of("allison")
    poor = dataclasses.replace(whole, inventory=tuple(p for p in whole.inventory if p != "z"))
    monkeypatch.setattr(voice, "prosody_of", lambda *voice: poor)
    with pytest.raises(ValueError, match="has no phone 'z'"):
        voice.stream("No. A zoo.", voice="allison")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"text": "one", "voice": "alison"}, "no voice 'alison': choose one of digits, allison"),
        ({"text": "one", "voice": "allison", "speaker": "slt"}, "no speaker 'slt'.*allison"),
        ({"text": "5 中", "voice": "allison"}, "no reading for '中'"),
        ({"text": "...", "voice": "allison"}, "nothing to read"),
        ({"text": "hi", "voice": "allison", "pace": 9}, "pace is a factor"),
        ({"text": "hi", "voice": "allison", "temperature": -1}, "0 or more"),
        ({"text": "hi", "voice": "allison", "model": "none"}, "or give a file"),
    ],
)
def test_what_the_recorded_voice_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        voice.speak(**arguments)


def test_command_speaks_any_sentence(tmp_path):
    done = run("speak", "thank you", "--voice", "allison", "--out", "thanks.wav", cwd=tmp_path)
    assert done.returncode == 0 and "times real time" in done.stdout, done.stderr
    x, rate = audio.load(tmp_path / "thanks.wav")
    assert rate == 8000 and 0.4 < len(x) / rate < 2 and x.std() > 0.02
    for arguments, message in (
        (["speak", "5 中", "--voice", "allison"], "no reading for '中'"),
        (["speak", "hi", "--voice", "bob"], "no voice 'bob': choose one of digits, allison"),
        (["speak", "hi", "--voice", "allison", "--compare"], "of the digits, no other's"),
        (["evaluate", "--voice", "bob"], "no voice 'bob'"),
    ):
        done = run(*arguments, cwd=tmp_path)
        assert done.returncode == 2 and message in done.stderr
        assert "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) == 1


def test_spoken_is_a_record():
    spoken = voice.Spoken(np.zeros(8000, np.float32), 8000, 0.5)
    assert spoken.real_time_factor == 0.5
    assert dataclasses.is_dataclass(spoken)
