"""What the package knows of the exercises, without the repository."""

import numpy as np
import pytest
import torch
from exercise_checks import checks_of

from minigen import checks
from minigen.checks import exercises


def test_every_check_of_every_chapter_is_known():
    known = [e.check for e in exercises.exercises().values()]
    names = [f"{m}.{name}" for m in checks.CHAPTERS for name in checks_of(getattr(checks, m))]
    assert sorted(known) == sorted(names)
    for e in exercises.exercises().values():
        assert e.find_check() is getattr(getattr(checks, e.module), e.check.split(".")[1])
        assert 1 <= e.difficulty <= 3 and 1 <= e.minutes <= 180 and e.answers and e.title


def test_an_answer_is_the_readers_where_it_passed(capsys):
    (right,) = exercises.reference("2.4")
    mine = lambda mean, cov, z: right(mean, cov, z)
    wrong = lambda mean, cov, z: right(mean, cov, z) + 1
    with pytest.raises(checks.CheckFailed):
        checks.gaussian.sampling(wrong)
    book = checks.answer("2.4")
    assert book is not wrong
    assert np.allclose(book(np.ones(2), np.eye(2), np.zeros((3, 2))), 1)
    checks.gaussian.sampling(mine)
    assert checks.answer("2.4") is mine
    with pytest.raises(checks.CheckFailed):
        checks.gaussian.sampling(wrong)
    assert checks.answer("2.4") is mine  # what passed once
    assert len(checks.answer("1.2")) == 2
    with pytest.raises(KeyError, match="2.99"):
        checks.answer("2.99")


def test_lists_that_passed_compute_as_arrays_do():
    """3.2 takes the answer to 3.1, a list here, apart."""
    (right,) = exercises.reference("3.1")
    checks.mixtures.log_sum_exp(lambda a: right(a).tolist())
    found = checks.answer("3.1")(np.zeros((2, 4)))
    assert isinstance(found, np.ndarray) and found[:, None].shape == (2, 1)
    (of_torch,) = exercises.reference("4.4")
    checks.change_of_variables.triangular_log_det(lambda J: of_torch(J).tolist())
    found = checks.answer("4.4")(torch.eye(2)[None].double())
    assert found.dtype == torch.float64 and found.shape == (1,)
