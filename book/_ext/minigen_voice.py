"""The voice that speaks in a page: its weights, tables and kernel, as scripts of the built site.

A page asks for a voice by `<figure class="minigen-voice" data-voice="NAME">`. It then loads voice/voice.js, and
that loads the rest when a reader presses Speak. A script works from file:// too, where nothing may be fetched.
Needs neither torch nor the library: it reads the safetensors files that ship.
"""

from __future__ import annotations

import base64
import json
import struct
import tomllib
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

__all__ = ["KERNELS", "VOICES", "eighths", "halves", "pack", "setup", "write"]

ROOT = Path(__file__).resolve().parents[2]
PARTS = ROOT / "book" / "voice"
VOICES = ("digits", "allison")
KERNELS = ("kernel_fma.wasm", "kernel.wasm")  # the fastest first; not every browser runs it
WEIGHTS = ROOT / "minigen" / "weights"


def halves(path: Path) -> tuple[dict[str, list], bytes, dict]:
    """A safetensors file -> {name: [type, shape, start, end]}, the bytes that this is about, its notes.

    Single precision becomes half: twice as fast to load, and no difference that is heard.
    """
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    notes = json.loads(header.pop("__metadata__")["notes"])
    table, out = {}, bytearray()
    for name, entry in sorted(header.items()):
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        values = content[start:end]
        if entry["dtype"] == "F32":
            count = len(values) // 4
            values = struct.pack(f"<{count}e", *struct.unpack(f"<{count}f", values))
        elif entry["dtype"] != "F16":
            raise ValueError(f"{path}: {name} is {entry['dtype']}, and the page reads F32 and F16")
        table[name] = ["F16", entry["shape"], len(out), len(out) + len(values)]
        out += values
    return table, bytes(out), notes


def eighths(table: dict[str, list], data: bytes) -> tuple[dict[str, list], bytes]:
    """What `halves` returned -> the same with its convolutions in 8 bits: half the size again.

    Each output row has a step of its own, in single precision; the steps come before the rows.
    """
    small, out = {}, bytearray()
    for name, (kind, shape, start, end) in table.items():
        values = data[start:end]
        if len(shape) == 3:
            numbers = struct.unpack(f"<{len(values) // 2}e", values)
            width = shape[1] * shape[2]
            rows = [numbers[i : i + width] for i in range(0, len(numbers), width)]
            steps = [max(map(abs, row), default=0.0) / 127 or 1.0 for row in rows]
            counts = [round(v / step) for row, step in zip(rows, steps, strict=True) for v in row]
            values = struct.pack(f"<{len(steps)}f{len(counts)}b", *steps, *counts)
            kind = "I8"
        small[name] = [kind, shape, len(out), len(out) + len(values)]
        out += values
    return small, bytes(out)


def _input_scales(model: dict) -> list[float]:
    """What each flow multiplies its input by: see `Student`."""
    share = model.get("log_scale", 0.0) / model["flows"]
    return [min(10.0, 2.718281828459045 ** (-k * share)) for k in range(model["flows"])]


def _with(table: dict, data: bytes, name: str, values: list[float]) -> bytes:
    """Add numbers in single precision to what `halves` returned."""
    data += b"\0" * (-len(data) % 4)
    table[name] = ["F32", [len(values)], len(data), len(data) + 4 * len(values)]
    return data + struct.pack(f"<{len(values)}f", *values)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def pack(voice: str) -> dict:
    """Everything that a voice needs to speak in a page."""
    own = {"digits": _digits, "allison": _allison}[voice]()
    kernels = [_text((PARTS / name).read_bytes()) for name in KERNELS]
    return {"kind": voice, "rate": 8000, "kernels": kernels, **own}


def _digits() -> dict:
    table, data, notes = halves(WEIGHTS / "digits_student.safetensors")
    data = _with(table, data, "input_scale", _input_scales(notes["recipe"]["model"]))
    plans = json.loads((PARTS / "digits.json").read_text(encoding="utf-8"))
    return {"tensors": table, "data": _text(data), **plans}


def _allison() -> dict:
    table, data, notes = halves(WEIGHTS / "waveform_student.safetensors")
    model = notes["recipe"]["model"]
    data = _with(table, data, "input_scale", _input_scales(model))
    more, bands, acoustic = halves(WEIGHTS / "allison_acoustic.safetensors")
    more, bands = eighths(more, bands)
    acoustic = acoustic["acoustic"]
    for name, (kind, shape, start, end) in more.items():
        table[name] = [kind, shape, len(data) + start, len(data) + end]
    known = json.loads((WEIGHTS / "allison_prosody.json").read_text(encoding="utf-8"))
    means = {
        name: {context: values[0] for context, values in known[name].items()}
        for name in ("offset", "voicing")
    }
    durations = {
        context: mean + 0.5 * std**2 for context, (mean, std, _) in known["durations"].items()
    }
    english = tomllib.loads((ROOT / "minigen/data/english.toml").read_text(encoding="utf-8"))
    return {
        "tensors": table,
        "data": _text(data + bands),
        "mels": model["mels"],
        "order": model["lpc_order"],
        "noise": model["noise"],
        "acoustic": {
            "phones": acoustic["phones"],
            "dilations": acoustic.get("dilations", [1, 2, 4, 1, 2, 4]),
        },
        "durations": durations,  # log of the mean duration
        **means,
        "level": known["level"],
        "rules": english["letter_to_sound"]["rules"],
        "letters": english["letters"],
        **json.loads((PARTS / "english.json").read_text(encoding="utf-8")),
    }


def write(folder: Path) -> None:
    """Write the pack of each voice as a script, NAME.js, into a folder."""
    for voice in VOICES:
        text = json.dumps(pack(voice), separators=(",", ":"), ensure_ascii=False)
        script = f"(window.minigenVoices ??= {{}}).{voice} = {text};\n"
        (folder / f"{voice}.js").write_text(script, encoding="utf-8")


def write_packs(app: Sphinx, error: Exception | None) -> None:
    """Write the packs beside the script that loads them."""
    folder = Path(app.outdir, "_static", "voice")
    if error is None and folder.is_dir():
        write(folder)


def load_where_asked(app: Sphinx, page: str, template: str, context: dict, doctree: Any) -> None:
    """Only pages that have a voice load its script."""
    if 'class="minigen-voice"' in context.get("body", ""):
        app.add_js_file("voice/voice.js", loading_method="defer")
        app.add_css_file("voice/voice.css")


def setup(app: Sphinx) -> dict[str, bool | str]:
    """Register with Sphinx."""
    app.connect("html-page-context", load_where_asked)
    app.connect("build-finished", write_packs)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
