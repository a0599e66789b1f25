"""Sound piece by piece: the same samples as in one pass, and memory that does not grow."""

import itertools
import tracemalloc

import numpy as np
import pytest
import torch
from torch import nn

from minigen import conditioning
from minigen.parallel_wavenet import Student
from minigen.speech import stream, synthesis, voice

WORDS = ["three", "one", "four", "one", "five", "nine", "two", "six"]


@pytest.mark.parametrize("kernel, taps", [(2, 0), (3, 40)])
@pytest.mark.parametrize("sizes", [[30] * 10, [1, 299], [7, 200, 3, 90], [300]])
def test_pieces_of_a_student_are_its_one_pass(kernel, taps, sizes):
    torch.manual_seed(0)
    student = Student(
        3, 3, 4, kernel=kernel, lpc_order=taps, cond_channels=2, log_scale=-1.0
    ).double()
    for weight in student.parameters():
        nn.init.normal_(weight, std=0.3)
    noise, cond = torch.randn(2, 1, 300).double(), torch.randn(2, 2, 300).double()
    pairs = zip(noise.split(sizes, -1), cond.split(sizes, -1), strict=True)
    pieces = list(stream.student_pieces(student, pairs))
    assert [piece.shape[-1] for piece in pieces] == sizes
    with torch.no_grad():
        want = student(noise, cond)[0]
    assert torch.allclose(torch.cat(pieces, -1), want, atol=1e-10)


def test_the_receptive_field_is_what_it_takes_and_no_less(monkeypatch):
    """x[t] depends on noise exactly `receptive_field` before t; a window one sample short is heard."""
    torch.manual_seed(1)
    student = Student(2, 3, 8, log_scale=-1.0).double()
    for weight in student.parameters():
        nn.init.normal_(weight, std=0.5)
    field, noise = student.receptive_field, torch.randn(1, 1, 60).double().requires_grad_()
    (gradient,) = torch.autograd.grad(student(noise)[0][0, 0, 50], noise)
    assert field == 2 * 8 and gradient[0, 0, 50 - field] != 0
    assert (gradient[0, 0, : 50 - field] == 0).all()
    together = lambda: torch.cat(
        list(stream.student_pieces(student, ((part, None) for part in noise.split(10, -1)))), -1
    )
    with torch.no_grad():
        want = student(noise)[0]
    assert (together() - want).abs().max() < 1e-12
    monkeypatch.setattr(Student, "receptive_field", field - 1)
    assert (together() - want).abs().max() > 1e-9


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
        synthesis.stream(text, "awb", seed=3, pace=1.1, pitch=0.9, temperature=0.8, chunk=chunk)
    )
    whole = synthesis.speak(text, "awb", seed=3, pace=1.1, pitch=0.9, temperature=0.8).audio
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


def test_windows_stay_as_long_as_they_are(monkeypatch):
    """The student never hears more than a piece and its receptive field, whatever came before."""
    model, longest = voice.load("student"), []
    forward = Student.forward

    def noted(self, z, cond=None):
        longest.append(z.shape[-1])
        return forward(self, z, cond)

    monkeypatch.setattr(Student, "forward", noted)
    parts = [conditioning.plan(word, "slt") for word in WORDS]
    list(stream.pieces(model, parts, "slt", torch.Generator().manual_seed(0)))
    assert len(longest) > 5 and max(longest) == 48 * 80 + model.student.receptive_field


def test_errors_come_at_the_call():
    with pytest.raises(ValueError, match="cannot say 'hello'"):
        synthesis.stream("hello")
    with pytest.raises(ValueError, match="is a teacher: use speak"):
        synthesis.stream("one", model="teacher")
    with pytest.raises(ValueError, match="multiple of 16, not 10"):
        synthesis.stream("one", chunk=10)
    with pytest.raises(ValueError, match="from 0.5 to 2"):
        synthesis.stream("one", pace=3)
    with pytest.raises(ValueError, match="no speaker 'bob'"):
        synthesis.stream("one", "bob")
