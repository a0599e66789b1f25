"""Write what the voice in the pages is made of and cannot make itself: `python tools/voice.py`.

- book/voice/kernel.wasm and kernel_fma.wasm from kernel.c, by the C compiler in the package `ziglang`;
- book/voice/digits.json, how each speaker says each digit on average.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from minigen.conditioning import PHONES, mean_word
from minigen.data.spoken_digits import DIGIT_WORDS, SPEAKERS

__all__ = ["COMPILER", "KERNELS", "compile_kernel", "digits"]

ROOT = Path(__file__).resolve().parents[1]
PARTS = ROOT / "book" / "voice"
COMPILER = "0.17.1"  # of ziglang: another one may write other bytes
KERNELS = {"kernel.wasm": [], "kernel_fma.wasm": ["-mrelaxed-simd"]}
FLAGS = "-target wasm32-freestanding -O3 -msimd128 -nostdlib -Wl,--no-entry -Wl,--strip-all -Wl,--export=__heap_base"


def compile_kernel(folder: Path) -> None:
    """kernel.c -> the WebAssembly modules, into a folder."""
    for name, more in KERNELS.items():
        command = [sys.executable, "-m", "ziglang", "cc", *FLAGS.split(), *more]
        subprocess.run([*command, "-o", folder / name, PARTS / "kernel.c"], check=True)


def digits() -> dict:
    """What `conditioning.plan` starts from, for every speaker and word."""
    plans: dict[str, dict] = {speaker: {} for speaker in SPEAKERS}
    for speaker in SPEAKERS:
        for word in DIGIT_WORDS:
            phones, *means = mean_word(speaker, word)
            durations, log_f0, voicing = ([round(v, 9) for v in m.ravel().tolist()] for m in means)
            plans[speaker][word] = {
                "phones": phones,
                "durations": durations,
                "log_f0": log_f0,
                "voicing": voicing,
            }
    return {"phones": PHONES, "speakers": SPEAKERS, "words": DIGIT_WORDS, "plans": plans}


if __name__ == "__main__":
    compile_kernel(PARTS)
    (PARTS / "digits.json").write_text(json.dumps(digits(), separators=(",", ":")) + "\n", "utf-8")
