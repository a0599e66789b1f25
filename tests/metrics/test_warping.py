"""Dynamic time warping, against every path of small cases."""

import numpy as np
import pytest

from minigen.metrics import dtw, warping_path


def test_dtw_against_enumeration():
    """All paths of a small case, by recursion."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 4)), rng.normal(size=(2, 3))
    cost = np.linalg.norm(a.T[:, None] - b.T[None], axis=-1)

    def cheapest(i, j):
        if i == j == 0:
            return cost[0, 0]
        steps = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
        return cost[i, j] + min(cheapest(*s) for s in steps if min(s) >= 0)

    assert np.isclose(dtw(a, b), cheapest(3, 2) / 7)
    for wrong in (b[:1], b[0], b[:, :0]):
        for pair in ((a, wrong), (wrong, a)):
            with pytest.raises(ValueError, match=r"\(F, N\)"):
                dtw(*pair)


def test_the_path_is_the_cheapest_of_all():
    """All paths of a small case."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 4)), rng.normal(size=(2, 5))
    cost = np.linalg.norm(a.T[:, None] - b.T[None], axis=-1)

    def paths(i, j):
        if i == j == 0:
            return [[(0, 0)]]
        before = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
        return [p + [(i, j)] for s in before if min(s) >= 0 for p in paths(*s)]

    best = min(paths(3, 4), key=lambda path: sum(cost[step] for step in path))
    assert [tuple(map(int, step)) for step in zip(*warping_path(a, b), strict=True)] == best
    with pytest.raises(ValueError, match=r"\(F, N\)"):
        warping_path(a, b[:1])
    for pair in ((a, b * np.nan), (a + np.inf, b)):
        with pytest.raises(ValueError, match="NaN or infinite"):
            warping_path(*pair)
    i, j = warping_path(np.zeros((1, 3)), np.zeros((1, 3)))  # where all paths cost the same
    assert i.tolist() == j.tolist() == [0, 1, 2]
