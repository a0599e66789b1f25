"""How the classifiers that judge sounds in this book take noise: held-out recordings with white noise added.

    python benchmarks/judges.py

A classifier that loses its way at a level that nobody would mind measures hiss, not speech. Writes minigen/results/judges.json,
where each has its score on clean recordings, with noise from 40 to 0 dB below the recording, and by chance. Run from
the repository's root; takes about a minute of one core.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from minigen import results
from minigen.audio import speech_features
from minigen.data import Utterance
from minigen.gaussian import Gaussian
from minigen.metrics import DigitRecogniser
from minigen.speech.conversion_measures import SpeakerClassifier
from minigen.speech.corpus import held_out

SNR = (40, 30, 20, 10, 0)  # dB


class PhoneClassifier:
    """Which phone is it? A Gaussian for the features of each phone's frames, fitted on recordings.

    A frame goes to the phone with the largest log prior + log density. Noise costs it more than an ear:
    a recording with white noise 30 dB below it loses a quarter of its frames.

    Args:
        clips: with phone times, all at one rate. Phones of fewer than 200 frames are left out.
    """

    def __init__(self, clips: Sequence[Utterance]) -> None:
        found = defaultdict(list)
        for clip in clips:
            features, names = self._frames(clip.audio, clip.rate, clip.phones)
            for name in set(names):
                found[name].append(features[names == name])
        self.names = sorted(name for name, parts in found.items() if sum(map(len, parts)) >= 200)
        rows = [np.concatenate(found[name]) for name in self.names]
        self.gaussians = [Gaussian.fit(x, shrinkage=0.02) for x in rows]
        share = np.array([len(x) for x in rows], float)
        self.prior = np.log(share / share.sum())

    def __repr__(self) -> str:
        return f"PhoneClassifier({len(self.names)} phones: {' '.join(self.names)})"

    @staticmethod
    def _frames(x: np.ndarray, rate: int, times: Sequence) -> tuple[np.ndarray, np.ndarray]:
        faint = np.random.default_rng(0).normal(0, 1e-3, len(x))  # so that silences are alike
        features = speech_features(np.asarray(x, float) + faint, rate, 0.01)  # (N, 39)
        features = features - np.median(features[:, :1])  # a level for the whole clip
        ends = np.array([end for _, _, end in times])
        at = np.minimum(np.searchsorted(ends, np.arange(len(features)) * 0.01), len(times) - 1)
        return features, np.array([name for name, _, _ in times])[at]

    def __call__(self, x: np.ndarray, rate: int, times: Sequence) -> float:
        """The share of the frames of speech, pauses left out, that get the phone that the plan has."""
        features, names = self._frames(x, rate, times)
        scores = [g.log_prob(features) + p for g, p in zip(self.gaussians, self.prior, strict=True)]
        best = np.array(self.names)[np.argmax(scores, axis=0)]
        speech = names != "pau"
        return float(np.mean(best[speech] == names[speech]))


def noisy(clip: Utterance, snr: float, seed: int = 0) -> np.ndarray:
    """A clip with white noise `snr` dB below its power."""
    noise = np.random.default_rng(seed).normal(size=len(clip.audio))
    return clip.audio + 10 ** (-snr / 20) * clip.audio.std() * noise


def curve(score: Callable[[Utterance, np.ndarray], float], clips: list[Utterance]) -> dict:
    """{"clean": %, "40 dB": %, …} of a judge that says how right a sound is that should be like a clip."""
    row = {"clean": [score(clip, clip.audio) for clip in clips]}
    row |= {f"{snr} dB": [score(clip, noisy(clip, snr)) for clip in clips] for snr in SNR}
    return {name: 100 * float(np.mean(scores)) for name, scores in row.items()}


def main() -> None:
    """See the top of this file."""
    learn, kept = held_out()
    recognise, who, phone = DigitRecogniser(learn), SpeakerClassifier(learn), PhoneClassifier(learn)
    seconds = Counter()
    for clip in kept:
        for name, start, end in clip.phones:
            seconds[name] += end - start
    del seconds["pau"]
    rows = {
        "DigitRecogniser": curve(lambda clip, x: recognise(x) == clip.text, kept)
        | {"chance": 100 / 10},
        "SpeakerClassifier": curve(lambda clip, x: who(x) == clip.speaker, kept)
        | {"chance": 100 / 3},
        "PhoneClassifier": curve(lambda clip, x: phone(x, clip.rate, clip.phones), kept)
        | {"chance": 100 * max(seconds.values()) / seconds.total()},
    }
    table = {
        "command": "python benchmarks/judges.py",
        "data": f"{len(kept)} held-out clips of spoken_digits; every judge is fitted to the other {len(learn)}",
        "unit": "% right",
        "noise": "white, so many dB below the clip's power, one seed",
        "rows": rows,
    }
    results.write("judges", table)
    print(results.as_text(rows))


if __name__ == "__main__":
    main()
