"""Does memory grow with the length of a text? A student speaks for ten minutes, piece by piece.

    python benchmarks/streaming.py [--minutes 10] [--voice allison]

Prints the process's peak memory after half a minute and at the end, the time to the first piece, and how much
faster than real time the pieces come.
"""

import argparse
import resource
import time

from minigen.speech import synthesis, voice

TEXTS = {
    "digits": "3 1 4 1 5 9 2 6 5 3 ",
    "allison": "Your message has been saved. To hear it again, press 1; to go on, press #. ",
}


def megabytes() -> float:
    """Peak of what the process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Speak, count, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--voice", choices=TEXTS, default="digits")
    given = parser.parse_args()
    wanted, samples, early, first = 60 * given.minutes * voice.RATE, 0, None, None
    text = TEXTS[given.voice] * round(15 * given.minutes)
    begin = time.perf_counter()
    for piece in synthesis.stream(text, voice=given.voice):
        samples += len(piece)
        first = first or time.perf_counter() - begin
        if early is None and samples > 30 * voice.RATE:
            early = megabytes()
        if samples >= wanted:
            break
    took, seconds = time.perf_counter() - begin, samples / voice.RATE
    print(f"{seconds:.0f} s of sound in {took:.0f} s: {seconds / took:.1f} times real time")
    print(f"first piece after {first:.2f} s")
    print(f"peak memory after 30 s of sound {early:.0f} MB, at the end {megabytes():.0f} MB")


if __name__ == "__main__":
    main()
