"""Chapter 15: dynamic time warping, for two sounds that do not take the same time."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist

from ..compiled import compiled


def dtw(a: ArrayLike, b: ArrayLike) -> float:
    """Dynamic time warping: the distance of two sequences (F, N), (F, M) along the best path, per frame of either.

        D[i, j] = |a_i - b_j| + min(D[i-1, j-1], D[i-1, j], D[i, j-1]),   result D[N, M] / (N + M)

    References: Sakoe and Chiba, Dynamic Programming Algorithm Optimization for Spoken Word Recognition, 1978.

    >>> a = np.array([[0.0, 1.0, 2.0]])
    >>> dtw(a, np.repeat(a, 3, axis=1)), dtw(a, a + 1) > 0  # tempo does not count, pitch does
    (0.0, True)
    """
    cost = _costs(a, b)
    return float(_totals(cost)[-1, -1] / sum(cost.shape))


def warping_path(a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Which frame of b belongs to which of a: the cheapest path through all |a_i - b_j|.

    Both sequences are walked from first to last, one frame of either or of both at a time.

    Args: a: (F, N). b: (F, M).

    Returns indices into a and into b, both (K,), max(N, M) <= K < N + M.

    >>> warping_path([[0.0, 1.0, 2.0]], [[0.0, 0.0, 1.0, 2.0]])
    (array([0, 0, 1, 2]), array([0, 1, 2, 3]))
    """
    path = _trace(_totals(_costs(a, b)))
    return path[:, 0], path[:, 1]


def _costs(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """|a_i - b_j|, (N, M)."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.ndim != 2 or b.ndim != 2 or len(a) != len(b) or 0 in a.shape + b.shape:
        raise ValueError(f"sequences have shapes (F, N) and (F, M), not {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("sequences have NaN or infinite values")
    return cdist(a.T, b.T)


@compiled
def _totals(cost: np.ndarray) -> np.ndarray:  # pragma: no cover (compiled)
    """D of `dtw`, with a border of infinity: (N + 1, M + 1)."""
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(n):
        for j in range(m):
            best = min(total[i, j], total[i, j + 1], total[i + 1, j])
            total[i + 1, j + 1] = cost[i, j] + best
    return total


@compiled
def _trace(total: np.ndarray) -> np.ndarray:  # pragma: no cover (compiled)
    i, j = total.shape[0] - 2, total.shape[1] - 2
    k = i + j + 1
    path = np.empty((k, 2), dtype=np.int64)
    while True:
        k -= 1
        path[k] = i, j
        if i == 0 and j == 0:
            return path[k:]
        both, up, left = total[i, j], total[i, j + 1], total[i + 1, j]
        if both <= up and both <= left:
            i, j = i - 1, j - 1
        elif up <= left:
            i -= 1
        else:
            j -= 1
