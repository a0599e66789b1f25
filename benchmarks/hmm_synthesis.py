"""HMM synthesis in figures: how many digits an independent recogniser understands, and speed.

    python benchmarks/hmm_synthesis.py

Voice and recogniser learn from the same recordings, all but one tempo and pitch of every word; the
words that are judged are made by the voice, at drawn paces and pitches.
"""

import time

import numpy as np

from minigen import data
from minigen.audio.source_filter import copy_synthesis
from minigen.metrics import DigitRecogniser, log_mel_distance, std_ratio
from minigen.speech.hmm_synthesis import HMMSynthesizer

HELD_OUT = "_t1.2_p1.0"
VARIANTS = {
    "as it is": {},
    "without differences": {"dynamic": False},
    "global variance": {"global_variance": True},
    "noise only": {"buzz": 0.0},
}


def main(per_word: int = 10) -> None:
    clips = data.spoken_digits()
    known = [clip for clip in clips if not clip.name.endswith(HELD_OUT)]
    held_out = [clip for clip in clips if clip.name.endswith(HELD_OUT)]
    start = time.perf_counter()
    voice = HMMSynthesizer.fit(known)
    print(f"fit on {len(known)} clips took {time.perf_counter() - start:.2f} s")
    recogniser = DigitRecogniser(known)

    copies = [copy_synthesis(clip) for clip in held_out]
    distance = [
        log_mel_distance(x, c.audio[: len(x)], c.rate)
        for x, c in zip(copies, held_out, strict=True)
    ]
    ratio = [std_ratio(x, c.audio) for x, c in zip(copies, held_out, strict=True)]
    for name, made in (("recordings", [c.audio for c in held_out]), ("analysed, vocoded", copies)):
        right = sum(recogniser(x) == clip.text for x, clip in zip(made, held_out, strict=True))
        print(f"{name:>20}: {right} of {len(held_out)} held-out words recognised")
    print(f"{'':>20}  log-mel {np.mean(distance):.2f} dB, std ratio {np.median(ratio):.2f}")

    for name, options in VARIANTS.items():
        rng, right, count, seconds, sound = np.random.default_rng(0), 0, 0, 0.0, 0.0
        levels = []
        for turn in range(per_word):
            for index, word in enumerate(data.DIGIT_WORDS):
                speaker = data.SPEAKERS[(turn + index) % 3]
                pace, pitch = rng.uniform(0.85, 1.2), rng.uniform(0.9, 1.1)
                start = time.perf_counter()
                x = voice.speak(word, speaker, pace, pitch, seed=turn, **options)
                seconds += time.perf_counter() - start
                sound += len(x) / voice.rate
                right += recogniser(x) == word
                count += 1
                recorded = [c.audio.std() for c in known if (c.speaker, c.text) == (speaker, word)]
                levels.append(x.std() / np.mean(recorded))
        print(
            f"{name:>20}: {right} of {count} words recognised, std ratio {np.median(levels):.2f}, "
            f"{sound / seconds:.0f} times real time"
        )


if __name__ == "__main__":
    main()
