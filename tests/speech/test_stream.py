"""Sound piece by piece: the same samples as in one pass, and memory that does not grow."""

import itertools
import tracemalloc

import numpy as np
import pytest
import torch

from minigen import conditioning
from minigen.speech import stream, synthesis, voice

WORDS = ["three", "one", "four", "one", "five", "nine", "two", "six"]


@pytest.mark.parametrize("chunk", [16, 48, 1600])
def test_conditioning_pieces_are_the_whole(chunk):
    model = voice.load("student")
    parts = [conditioning.plan(word, "rms") for word in WORDS]
    pieces = list(stream.conditioning_pieces(model, parts, "rms", chunk))
    assert all(piece.shape[-1] == 80 * chunk for piece in pieces[:-1])
    got, want = torch.cat(pieces, -1), synthesis.conditioning_for(model, parts, "rms")
    # interpolation rounds the place of a frame to float32: the further on, the coarser, in one pass
    assert got.shape == want.shape and torch.allclose(got, want, atol=1e-4)
    assert list(stream.conditioning_pieces(model, [], "rms", chunk)) == []


@pytest.mark.parametrize("chunk", [16, 48])
def test_stream_says_what_speak_says(chunk):
    text = " ".join(WORDS)
    pieces = list(
        synthesis.stream(
            text, "awb", seed=3, pace=1.1, pitch=0.9, temperature=0.8, chunk=chunk, voice="digits"
        )
    )
    whole = synthesis.speak(
        text, "awb", seed=3, pace=1.1, pitch=0.9, temperature=0.8, voice="digits"
    ).audio
    assert all(len(piece) == 80 * chunk and piece.dtype == np.float32 for piece in pieces[:-1])
    together = np.concatenate(pieces)
    assert together.shape == whole.shape and np.abs(together - whole).max() < 1e-5


def test_the_first_piece_needs_the_first_words_only():
    """Parts are planned when they are needed: an endless text begins to sound at once."""
    model, read = voice.load("student"), []

    def endless():
        for index in itertools.count():
            read.append(index)
            yield conditioning.plan(WORDS[index % len(WORDS)], "slt")

    sound = stream.pieces(model, endless(), "slt", torch.Generator().manual_seed(0))
    assert len(next(sound)) == 48 * 80 and len(read) <= 3


def test_memory_does_not_grow_with_the_text():
    """Ten times the text, the same peak of what Python and NumPy hold (what torch holds goes with it)."""
    model = voice.load("student")

    def peak(words: int) -> tuple[int, int]:
        parts = (conditioning.plan(WORDS[i % len(WORDS)], "slt") for i in range(words))
        samples, held = 0, 0
        for piece in stream.pieces(model, parts, "slt", torch.Generator().manual_seed(0)):
            samples += len(piece)
            held = max(held, tracemalloc.get_traced_memory()[0])
        return samples, held

    peak(3)  # caches are filled
    tracemalloc.start()
    try:
        (short, first), (long, second) = peak(2), peak(20)
    finally:
        tracemalloc.stop()
    assert long > 9 * short and second < 1.3 * first + 100_000


def test_errors_come_at_the_call():
    with pytest.raises(ValueError, match="cannot say 'hello'"):
        synthesis.stream("hello", voice="digits")
    with pytest.raises(ValueError, match="is a teacher: use speak"):
        synthesis.stream("one", model="teacher", voice="digits")
    with pytest.raises(ValueError, match="multiple of 16, not 10"):
        synthesis.stream("one", chunk=10, voice="digits")
    with pytest.raises(ValueError, match="from 0.5 to 2"):
        synthesis.stream("one", pace=3, voice="digits")
    with pytest.raises(ValueError, match="no speaker 'bob'"):
        synthesis.stream("one", "bob", voice="digits")
