"""How the classifiers that judge sounds in this book take noise: held-out recordings with white noise added.

    python benchmarks/judges.py

A classifier that loses its way at a level that nobody would mind measures hiss, not speech. Writes minigen/results/judges.json,
where each has its score on clean recordings, with noise from 40 to 0 dB below the recording, and by chance. Run from
the repository's root; takes about a minute of one core.
"""

from collections import Counter
from collections.abc import Callable

import numpy as np

from minigen import results
from minigen.data import Utterance
from minigen.metrics import DigitRecogniser, PhoneClassifier
from minigen.speech.conversion_measures import SpeakerClassifier
from minigen.speech.corpus import held_out

SNR = (40, 30, 20, 10, 0)  # dB


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
