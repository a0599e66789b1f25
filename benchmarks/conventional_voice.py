"""The conventional voice in figures: how many digits an independent recogniser understands, and speed.

    python benchmarks/conventional_voice.py

Voice and recogniser learn from the same recordings, all but one tempo and pitch of every word; the
words that are judged are made by the voice, at drawn paces and pitches.
"""

import time

import numpy as np

from minigen import data
from minigen.audio import mel_cepstrum
from minigen.metrics import DigitRecogniser, log_mel_distance, std_ratio
from minigen.speech.hmm_synthesis import StatisticalVoice, continuous_log_f0, vocode

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
    kept = [clip for clip in clips if clip.name.endswith(HELD_OUT)]
    start = time.perf_counter()
    voice = StatisticalVoice.fit(known)
    print(f"fit on {len(known)} clips took {time.perf_counter() - start:.2f} s")
    recogniser = DigitRecogniser(known)

    copies = []
    for clip in kept:
        cepstrum = mel_cepstrum(clip.audio, clip.rate).T
        log_f0, voicing = continuous_log_f0(clip.f0, len(cepstrum))
        f0 = np.where(voicing > 0.5, np.exp(log_f0), 0)
        copies.append(vocode(cepstrum, f0, clip.rate)[: len(clip.audio)])
    distance = [
        log_mel_distance(x, c.audio[: len(x)], c.rate) for x, c in zip(copies, kept, strict=True)
    ]
    ratio = [std_ratio(x, c.audio) for x, c in zip(copies, kept, strict=True)]
    for name, said in (("recordings", [c.audio for c in kept]), ("analysed, vocoded", copies)):
        right = sum(recogniser(x) == clip.text for x, clip in zip(said, kept, strict=True))
        print(f"{name:>20}: {right} of {len(kept)} held-out words recognised")
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
