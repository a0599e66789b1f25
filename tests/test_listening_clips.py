"""The clips of the blind test: what ships is what the command makes, and nothing gives a clip away."""

import json
from itertools import pairwise

import listening_clips
import numpy as np
import pytest
import soundfile as sf

from minigen import audio


@pytest.fixture(scope="module")
def shipped(pytestconfig):
    folder = pytestconfig.rootpath / "book" / "_static" / "audio" / "ab"
    text = (folder / "pairs.js").read_text(encoding="utf-8")
    return folder, json.loads(text.removeprefix("window.MINIGEN_AB = ").removesuffix(";\n"))


def test_clips_are_small_alike_and_all_there(shipped):
    folder, key = shipped
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 600_000
    assert {p.name for p in folder.glob("*.wav")} == {f for t in key["trials"] for f in t["files"]}
    assert [t["kinds"] for t in key["trials"]] == [
        list(p) for p in listening_clips.PAIRS for _ in range(10)
    ]
    for trial in key["trials"]:
        sounds = [sf.read(folder / name) for name in trial["files"]]
        (a, rate), (b, other) = sounds
        assert rate == other == 8000 and len(a) == len(b), trial  # length does not tell
        levels = [audio.speech_level(x, rate) for x in (a, b)]
        assert np.allclose(levels, listening_clips.LEVEL, rtol=0.02), trial  # nor does level
        assert max(abs(a).max(), abs(b).max()) < 0.995


def test_file_names_do_not_tell(shipped):
    """Sorted by name, recordings, teacher and student are mixed, and so are the words."""
    _, key = shipped
    kind = {f: k for t in key["trials"] for f, k in zip(t["files"], t["kinds"], strict=True)}
    in_order = [kind[name] for name in sorted(kind)]
    runs = 1 + sum(a != b for a, b in pairwise(in_order))
    assert len(in_order) == 30 and runs > 12  # 3 if they were sorted
    assert all(name.removesuffix(".wav").isdigit() for name in kind)


def test_the_command_makes_what_ships(shipped, tmp_path):
    """The key, byte for byte; recordings exactly; what networks say up to rounding."""
    folder, key = shipped
    assert listening_clips.write_clips(tmp_path) == key
    assert (tmp_path / "pairs.js").read_bytes() == (folder / "pairs.js").read_bytes()
    for trial in key["trials"]:
        for kind, name in zip(trial["kinds"], trial["files"], strict=True):
            new, old = (sf.read(place / name)[0] for place in (tmp_path, folder))
            if kind == "recording":
                assert np.abs(new - old).max() <= 2 / 32768
            else:
                assert np.corrcoef(new, old)[0, 1] > 0.99, (
                    f"{name} is not what the shipped {kind} says: python tools/listening_clips.py "
                    "book/_static/audio/ab"
                )
