"""Mixtures beside scikit-learn and Viterbi beside hmmlearn, run in turn in one process.

    OMP_NUM_THREADS=1 python benchmarks/densities.py

20,000 frames in 13 dimensions. The time of an EM step is that of twenty more steps from the same start,
divided by twenty; of each pair of runs the fastest of five counts.
"""

import time
import warnings

import numpy as np
from hmmlearn import hmm as hmmlearn
from sklearn.mixture import GaussianMixture as Sklearn

from minigen.hmm import GaussianHMM
from minigen.mixture import COVARIANCES, GaussianMixture

N, D, K = 20_000, 13, 8


def fastest(*functions, repeats: int = 5) -> list[float]:
    """The shortest time of each, the functions taking turns."""
    times = [[] for _ in functions]
    for _ in range(repeats):
        for function, own in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            own.append(time.perf_counter() - start)
    return [min(own) for own in times]


def report(what: str, ours: float, peer: float, name: str) -> None:
    print(f"{what:32s} {1e3 * ours:9.2f} ms, {name} {1e3 * peer:9.2f} ms, ratio {ours / peer:.2f}")


def main() -> None:
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    centres = 3 * rng.normal(size=(K, D))[rng.integers(K, size=N)]
    x = rng.normal(size=(N, D)) @ rng.normal(size=(D, D)) + centres
    for kind in COVARIANCES:
        peer = Sklearn(K, covariance_type=kind, max_iter=1, random_state=0).fit(x)
        start = GaussianMixture.from_parameters(
            peer.weights_, peer.means_, peer.covariances_, covariance=kind
        )

        def ours(steps, kind=kind, start=start):
            GaussianMixture(K, kind, max_iter=steps, tol=1e-30).fit(x, init_from=start)

        def theirs(steps, kind=kind, peer=peer):
            Sklearn(
                K,
                covariance_type=kind,
                max_iter=steps,
                tol=1e-30,
                weights_init=peer.weights_,
                means_init=peer.means_,
                precisions_init=peer.precisions_,
                init_params="random_from_data",
            ).fit(x)

        long, long_peer, short, short_peer = fastest(
            lambda: ours(21), lambda: theirs(21), lambda: ours(1), lambda: theirs(1)
        )
        report(
            f"EM step, {kind}", (long - short) / 20, (long_peer - short_peer) / 20, "scikit-learn"
        )
    for kind in COVARIANCES:
        report(
            f"fit with every default, {kind}",
            *fastest(
                lambda kind=kind: GaussianMixture(K, kind).fit(x),
                lambda kind=kind: Sklearn(K, covariance_type=kind, random_state=0).fit(x),
                repeats=3,
            ),
            "scikit-learn",
        )
    for s in (5, 16, 64):
        peer = hmmlearn.GaussianHMM(s, "diag", n_iter=2, random_state=0).fit(x[:4000])
        variances = np.array([np.diag(cov) for cov in peer.covars_])
        parameters = peer.startprob_, peer.transmat_, peer.means_, variances
        model = GaussianHMM.from_parameters(*parameters, covariance="diag")
        assert np.array_equal(model.viterbi(x)[0], peer.predict(x))
        times = fastest(lambda: model.viterbi(x), lambda: peer.decode(x))  # noqa: B023
        report(f"Viterbi, {s} states", *times, "hmmlearn")


if __name__ == "__main__":
    main()
