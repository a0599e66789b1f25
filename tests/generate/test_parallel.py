"""A student piece by piece is its one pass, bit by bit of the past and no more than its own."""

import pytest
import torch
from torch import nn

from minigen.generate import ParallelStream
from minigen.parallel_wavenet import Student


def random_student(dtype=torch.float64, **sizes):
    torch.manual_seed(0)
    student = Student(**{"flows": 3, "layers": 3, "residual": 4, "log_scale": -1.0} | sizes).to(
        dtype
    )
    for weight in student.parameters():
        nn.init.normal_(weight, std=0.3)
    return student


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("sizes", [{}, {"kernel": 3, "lpc_order": 40}, {"layers": 1, "flows": 1}])
@pytest.mark.parametrize("channels", [0, 2])
@pytest.mark.parametrize("cut", [[300], [30] * 10, [1, 299], [7, 200, 3, 90], [1] * 20 + [280]])
def test_pieces_are_the_one_pass(cut, channels, sizes, dtype, tolerance):
    student = random_student(dtype, cond_channels=channels, **sizes)
    z = torch.randn(1, 1, 300, dtype=dtype)
    cond = torch.randn(1, channels, 300, dtype=dtype) if channels else None
    conds = cond.split(cut, -1) if channels else [None] * len(cut)
    stream = ParallelStream(student)
    pieces = [stream(*pair) for pair in zip(z.split(cut, -1), conds, strict=True)]
    assert [piece.shape[-1] for piece in pieces] == cut
    with torch.no_grad():
        want = student(z, cond)[0]
    assert want.std() > 0.1
    assert (torch.cat(pieces, -1) - want).abs().max() < tolerance * max(1, want.abs().max())


def test_what_a_stream_remembers_is_the_receptive_field():
    """Noise exactly `receptive_field` samples before is still heard in the next piece, earlier noise is not."""
    student = random_student(flows=2)
    field = student.receptive_field
    z = torch.randn(1, 1, 60).double()
    for at, heard in ((50 - field, True), (49 - field, False)):
        other = z.clone()
        other[..., at] += 1
        made = []
        for noise in (z, other):
            stream = ParallelStream(student)
            stream(noise[..., :50])
            made.append(stream(noise[..., 50:]))
        assert (made[0][..., 0] != made[1][..., 0]).item() == heard


@pytest.mark.parametrize("shape", [(1, 1, 0), (2, 1, 5), (1, 2, 5), (1, 5)])
def test_a_piece_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"\(1, 1, T\), T > 0"):
        ParallelStream(random_student(flows=1))(torch.zeros(shape).double())


def test_inputs_and_the_student_are_left_as_they_were():
    student = random_student(cond_channels=2)
    z, cond = torch.randn(1, 1, 40).double(), torch.randn(1, 2, 40).double()
    before = [value.clone() for value in (z, cond, *student.parameters())]
    stream = ParallelStream(student)
    first = stream(z, cond).clone()
    assert torch.equal(ParallelStream(student)(z, cond), first)
    for value, old in zip((z, cond, *student.parameters()), before, strict=True):
        assert torch.equal(value, old)
