"""Make the embedded corpus `minigen/data/spoken_digits_corpus` with flite.

    python tools/make_spoken_digits.py [--out DIR]

Needs Debian's packages `flite` (its shared libraries, version 2.2) and the Python packages numpy,
scipy and soundfile. It talks to the library itself, not to the command line, because only the
library tells the F0 that the synthesiser used. The result is the same on every run.
"""

from __future__ import annotations

import argparse
import ctypes as c
import json
from pathlib import Path

import numpy as np
import soundfile as sf
from scipy.signal import resample_poly

SPEAKERS = ("slt", "rms", "awb")
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
STRETCHES = (0.85, 1.0, 1.2, 1.45)  # duration relative to the voice's own
SHIFTS = (0.85, 1.0, 1.15)  # F0 relative to the voice's own
RATE = 8_000  # Hz; flite speaks at 16 kHz
HOP = 80  # samples at 8 kHz: one frame is 10 ms
PAUSE = 6  # frames of silence kept on each side of the word
RMS = 0.08  # of each speaker's recordings taken together
DEFAULT_OUT = Path(__file__).parents[1] / "minigen" / "data" / "spoken_digits_corpus"


class _Track(c.Structure):
    _fields_ = [
        ("type", c.c_char_p),
        ("num_frames", c.c_int),
        ("num_channels", c.c_int),
        ("times", c.POINTER(c.c_float)),
        ("frames", c.POINTER(c.POINTER(c.c_float))),
    ]


class _Wave(c.Structure):
    _fields_ = [
        ("type", c.c_char_p),
        ("sample_rate", c.c_int),
        ("num_samples", c.c_int),
        ("num_channels", c.c_int),
        ("samples", c.POINTER(c.c_short)),
    ]


class _Voice(c.Structure):
    _fields_ = [("name", c.c_char_p), ("features", c.c_void_p)]


class _Utterance(c.Structure):
    _fields_ = [("features", c.c_void_p)]


class Flite:
    """The few functions of libflite that the corpus needs."""

    def __init__(self) -> None:
        try:
            self.lib = c.CDLL("libflite.so.1", mode=c.RTLD_GLOBAL)
            for name in ("cmulex", "usenglish"):
                c.CDLL(f"libflite_{name}.so.1", mode=c.RTLD_GLOBAL)
        except OSError as error:
            raise SystemExit(
                f"flite's libraries are missing ({error}): apt install flite"
            ) from None
        p, s, f = c.c_void_p, c.c_char_p, c.c_float
        for name, result, arguments in (
            ("flite_synth_text", p, [s, p]),
            ("utt_wave", c.POINTER(_Wave), [p]),
            ("feat_set_float", None, [p, s, f]),
            ("feat_val", p, [p, s]),
            ("val_track", c.POINTER(_Track), [p]),
            ("delete_utterance", None, [p]),
            ("utt_relation", p, [p, s]),
            ("relation_head", p, [p]),
            ("item_next", p, [p]),
            ("item_feat_string", s, [p, s]),
            ("item_feat_float", f, [p, s]),
        ):
            function = getattr(self.lib, name)
            function.restype, function.argtypes = result, arguments
        self.lib.flite_init()

    def voice(self, name: str) -> int:
        library = c.CDLL(f"libflite_cmu_us_{name}.so.1", mode=c.RTLD_GLOBAL)
        register = getattr(library, f"register_cmu_us_{name}")
        register.restype, register.argtypes = c.c_void_p, [c.c_char_p]
        return register(None)

    def speak(self, voice: int, text: str, stretch: float, shift: float):
        """-> samples at 16 kHz (T,), [(phone, end_s)], F0 in Hz for each 5 ms frame (N,)."""
        lib = self.lib
        features = c.cast(voice, c.POINTER(_Voice)).contents.features
        lib.feat_set_float(features, b"duration_stretch", stretch)
        lib.feat_set_float(features, b"f0_shift", shift)
        utterance = lib.flite_synth_text(text.encode(), voice)
        wave = lib.utt_wave(utterance).contents
        assert wave.sample_rate == 2 * RATE, wave.sample_rate
        samples = np.ctypeslib.as_array(wave.samples, (wave.num_samples,)) / 32768.0
        values = c.cast(utterance, c.POINTER(_Utterance)).contents.features
        track = lib.val_track(lib.feat_val(values, b"param_track")).contents
        f0 = np.array([track.frames[i][0] for i in range(track.num_frames)])
        phones, item = [], lib.relation_head(lib.utt_relation(utterance, b"Segment"))
        while item:
            name = lib.item_feat_string(item, b"name").decode()
            phones.append((name, lib.item_feat_float(item, b"end")))
            item = lib.item_next(item)
        lib.delete_utterance(utterance)
        return samples, phones, f0


def clip(samples: np.ndarray, phones: list, f0: np.ndarray) -> dict:
    """Cut the pauses short, on a frame boundary, and go down to 8 kHz."""
    ends = [end for _, end in phones]
    first = max(0, round(ends[0] / 0.01) - PAUSE)  # in frames of 10 ms
    last = min(round(ends[-2] / 0.01) + PAUSE, len(f0) // 2)
    audio = resample_poly(samples, 1, 2)[first * HOP : last * HOP]
    start, times = 0.0, []
    for name, end in phones:
        end = min(max(end - first * 0.01, 0.0), (last - first) * 0.01)
        times.append((name, round(start, 4), round(end, 4)))
        start = end
    return {"audio": audio, "phones": times, "f0": f0[::2][first:last]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    flite, manifest = Flite(), {"rate": RATE, "hop": HOP, "clips": []}
    for speaker in SPEAKERS:
        voice = flite.voice(speaker)
        clips = []
        for word in WORDS:
            for stretch in STRETCHES:
                for shift in SHIFTS:
                    made = clip(*flite.speak(voice, word + ".", stretch, shift))
                    clips.append({"word": word, "stretch": stretch, "shift": shift, **made})
        audio = np.concatenate([made["audio"] for made in clips])
        gain = RMS / np.sqrt(np.mean(audio**2))
        peak = gain * np.abs(audio).max()
        assert peak < 1, f"{speaker} would clip at {peak:.3f}"
        sf.write(out / f"{speaker}.flac", gain * audio, RATE, subtype="PCM_16", compression_level=1)
        start = 0
        for made in clips:
            length = len(made.pop("audio"))
            made["f0"] = [round(float(value), 1) for value in made["f0"]]
            manifest["clips"].append({"speaker": speaker, "start": start, "length": length, **made})
            start += length
        print(f"{speaker}: {len(clips)} clips, {start / RATE:.1f} s, peak {peak:.2f}")
    rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in manifest.pop("clips"))
    head = json.dumps(manifest)[:-1]
    (out / "manifest.json").write_text(f'{head}, "clips": [\n{rows}\n]}}\n', encoding="utf-8")
    size = sum(path.stat().st_size for path in out.iterdir())
    print(f"{out}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
