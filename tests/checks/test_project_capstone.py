"""The checks of project F: the solutions pass, blanks fail, wrong answers are named."""

import re
import zlib

import numpy as np
import pytest
from exercise_checks import ExerciseChecks, changed

from minigen import metrics
from minigen.audio.source_filter import vocode
from minigen.checks import project_capstone as checks
from minigen.checks.exercises import reference

NUMBERS = {"split": "F.1", "report": "F.2", "voice": "F.3"}
SOLUTIONS = {name: reference(number) for name, number in NUMBERS.items()}


def but(name, old, new):
    return changed(NUMBERS[name], (old, new))


def by_chance(clips, share):
    order = np.random.default_rng(0).permutation(len(clips))
    cut = round(share * len(clips))
    return [clips[k] for k in order[cut:]], [clips[k] for k in order[:cut]]


def last_words(clips, share):
    words = sorted({c.text for c in clips})
    out = words[-round(share * len(words)) :]
    return [c for c in clips if c.text not in out], [c for c in clips if c.text in out]


def one_speaker(clips, share):
    return [c for c in clips if c.speaker != "awb"], [c for c in clips if c.speaker == "awb"]


def of_one_speaker(clips, share):
    out = lambda c: c.speaker == "slt" and c.text in ("zero", "one", "two", "three")
    return [c for c in clips if not out(c)], [c for c in clips if out(c)]


def by_place(clips, share):
    """Speakers and words numbered as they come."""
    speakers, words = (
        list(dict.fromkeys(getattr(c, k) for c in clips)) for k in ("speaker", "text")
    )
    out = lambda c: (words.index(c.text) + speakers.index(c.speaker)) % round(1 / share) == 0
    return [c for c in clips if not out(c)], [c for c in clips if out(c)]


def by_hash(key, listed=sorted):
    """Words numbered by their hash, or as a set has them."""

    def answer(clips, share):
        speakers, words = sorted({c.speaker for c in clips}), listed({c.text for c in clips})
        out = lambda c: (key(words, c.text) + speakers.index(c.speaker)) % round(1 / share) == 0
        return [c for c in clips if not out(c)], [c for c in clips if out(c)]

    return answer


def lost(clips, share):
    train, out = SOLUTIONS["split"][0](clips, share)
    return train[1:], out


def pooled(rows, clips, seeds, floor):
    """The spread over clips and seeds."""
    muted, table = [checks.muted(c) for c in clips], {}
    for name, make in {**rows, "floor": floor}.items():
        found = [
            metrics.compare([make(g, s)], [c.audio], 8000)
            for s in seeds
            for g, c in zip(clips if name == "floor" else muted, clips, strict=True)
        ]
        values = {m: [row[m] for row in found] for m in checks.MEASURES}
        of = SOLUTIONS["report"][0](rows, clips, seeds, floor)[name]
        table[name] = {m: (of[m][0], np.std(v, ddof=1)) for m, v in values.items()}
    return table


def flat(train):
    return lambda clip, seed: vocode(np.zeros((2 * len(clip.f0), 25)), np.repeat(clip.f0, 2), 8000)


def a_neighbour(train):
    """The word by another speaker."""

    def make(clip, seed):
        return next(c.audio for c in train if c.text == clip.text and "_t1.0_p1.0" in c.name)

    return make


MISTAKES = [
    ("split", by_chance, "is in both parts, in different clips"),
    ("split", last_words, "no clip of the word"),
    ("split", one_speaker, "no clip of the speaker 'awb'"),
    ("split", of_one_speaker, "every speaker needs words there"),
    ("split", by_place, "in another order are divided otherwise"),
    ("split", by_hash(lambda words, word: hash("of " + word)), "each|started again|no clip of|share|every speaker"),
    ("split", by_hash(list.index, list), "started again"),
    ("split", by_hash(list.index, lambda words: sorted(words, key=hash)), "started again"),
    ("split", lost, "must hold each clip once"),
    ("split", but("split", "round(1 / share)", "2"), "of the clips were asked for"),
    ("report", but("report", "else muted", "else clips"), "mute the clip first"),
    ("report", but("report", 'clips if name == "floor" else muted', "muted"), "is the floor muted"),
    ("report", but("report", "make(clip, seed)", "make(clip, 0)"), "no spread"),
    ("report", but("report", ", ddof=1", ""), r"ddof=1"),
    ("report", but("report", "np.std(values", "np.var(values"), "take its root"),
    ("report", but("report", "np.zeros_like(clip.audio)", "np.zeros_like(clip.audio), f0=None"), "expected a mean"),
    ("report", pooled, "the luck of the noise"),
    ("report", but("report", '{**rows, "floor": floor}', "rows"), "The floor is a row"),
    ("report", but("report", "np.mean(values)", "np.median(values)"), "the median over the seeds"),
    ("report", but("report", '"log_mel", ', ""), "expected mcd, log_mel, std_ratio"),
    ("voice", flat, "follow the phones"),
    ("voice", a_neighbour, "s of sound, but|cents"),
    ("voice", but("voice", "np.repeat(clip.f0, 2)", "0 * np.repeat(clip.f0, 2)"), "cents"),
    ("voice", but("voice", "np.repeat(clip.f0, 2)", "1.3 * np.repeat(clip.f0, 2)"), "cents in the"),
    ("voice", but("voice", "2 * len(clip.f0)", "len(clip.f0)"), "10 ms|frames of cepstra"),
    ("voice", but("voice", "return vocode(", "return 0.1 * vocode("), "times as loud"),
    ("voice", lambda train: np.zeros(3), "return a function"),
    ("voice", lambda train: lambda clip, seed: clip.audio, "cents|dB"),
]  # fmt: skip


class TestProjectF(ExerciseChecks):
    checks, solutions, mistakes = checks, SOLUTIONS, MISTAKES

    def number(self, name):
        return NUMBERS[name]


def test_a_voice_has_no_recordings():
    """Neither the corpus nor weights that learned from it can be asked for."""
    from minigen import data

    def looks_up(train):
        known = {c.name: c.audio for c in data.spoken_digits()}
        return lambda clip, seed: known[clip.name]

    with pytest.raises(checks.CheckFailed, match=re.escape("spoken_digits")):
        checks.voice(looks_up)


def test_words_numbered_by_a_checksum_are_no_chance():
    words = lambda words: sorted(words, key=lambda word: zlib.crc32(word.encode()))
    checks.split(by_hash(list.index, words))


def test_another_style_of_voice_passes(capsys):
    """Chapter 3's synthesiser is not needed, and two pieces a phone do as well as four."""
    checks.voice(but("voice", "int(4 *", "int(3 *"))
    assert "is solved" in capsys.readouterr().out
    clip = checks.folds()[0][1][0]
    assert not checks.muted(clip).audio.any() and clip.audio.any()


def test_the_median_over_clips_is_not_their_mean():
    """What compare says of all clips together is not the mean of what it says of each."""
    name = "values = [run[measure] for run in runs]  # one a seed"
    change = (
        "values = [np.mean([metrics.compare([x], [r], 8000)[measure] for x, r in zip(xs, real)])"
        " for xs in made]"
    )
    with pytest.raises(checks.CheckFailed, match="of std_ratio .* takes the median"):
        checks.report(but("report", name, change))
