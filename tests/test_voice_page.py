"""The voice that speaks in the pages: what it is made of, its samples against the library's, and its controls."""

from __future__ import annotations

import base64
import copy
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import voice as tool

from minigen import conditioning, weights
from minigen.flows.linear_prediction import Predictor
from minigen.speech import acoustic_model, synthesis, voice, voice_file, waveform_model
from minigen.speech.band_correction import correct
from minigen.speech.phones import nearest
from minigen.speech.pronunciation import pronunciations

ROOT = Path(__file__).parents[1]
STATIC = ROOT / "book" / "_static"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="needs chromium")

_spec = importlib.util.spec_from_file_location(
    "minigen_voice", ROOT / "book" / "_ext" / "minigen_voice.py"
)
extension = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(extension)


# ---------------------------------------------------------------- what it is made of


def test_the_table_of_digits_is_the_corpus_one():
    stored = json.loads((tool.PARTS / "digits.json").read_text("utf-8"))
    fresh = json.loads(json.dumps(tool.digits()))
    assert stored.keys() == fresh.keys()
    for speaker, words in fresh["plans"].items():
        for word, plan in words.items():
            kept = stored["plans"][speaker][word]
            assert kept["phones"] == plan["phones"]
            for name in ("durations", "log_f0", "voicing"):
                np.testing.assert_allclose(kept[name], plan[name], atol=2e-9)
    assert [stored[k] for k in ("phones", "speakers", "words")] == [
        fresh[k] for k in ("phones", "speakers", "words")
    ]


def test_the_dictionary_is_the_library_s():
    stored = json.loads((tool.PARTS / "english.json").read_text("utf-8"))
    voice = voice_file.find("allison")
    assert len(stored["lexicon"]) > 2000
    for word, phones in stored["lexicon"].items():
        first = pronunciations(word, voice.reader.lexicon)[0]
        assert phones.split() == [nearest(p, voice.prosody.inventory) for p in first], word
    fresh = tool.english()  # the pages' words of today
    both = fresh["lexicon"].keys() & stored["lexicon"].keys()
    assert len(both) > 2000 and all(fresh["lexicon"][w] == stored["lexicon"][w] for w in both)
    assert {k: v for k, v in fresh.items() if k != "lexicon"} == {
        k: v for k, v in stored.items() if k != "lexicon"
    }


def test_the_examples_are_in_the_dictionary():
    stored = json.loads((tool.PARTS / "english.json").read_text("utf-8"))
    script = (STATIC / "voice" / "voice.js").read_text("utf-8")
    examples = re.findall(r'"([A-Z][^"]+\.)"', script)
    assert len(examples) >= 5
    assert set(re.findall("[a-z]+", " ".join(examples).lower())) <= stored["lexicon"].keys()


def test_the_kernels_are_their_source(tmp_path):
    try:
        found = importlib.metadata.version("ziglang")
    except importlib.metadata.PackageNotFoundError:
        found = None
    if found != tool.COMPILER:
        pytest.skip(f"needs ziglang {tool.COMPILER}: pip install it after a change of kernel.c")
    tool.compile_kernel(tmp_path)
    for name in tool.KERNELS:
        assert (tmp_path / name).read_bytes() == (tool.PARTS / name).read_bytes(), name


@cache
def _packed(name: str) -> dict[str, torch.Tensor]:
    """The weights of a voice as its page has them, read without the page's own code."""
    pack = extension.pack(name)
    data = base64.b64decode(pack["data"])
    found = {}
    for key, (kind, shape, start, end) in pack["tensors"].items():
        part = data[start:end]
        if kind == "I8":
            steps = np.frombuffer(part[: 4 * shape[0]], "<f4").reshape(-1, 1, 1)
            values = np.frombuffer(part[4 * shape[0] :], "i1").reshape(shape) * steps
        else:
            values = np.frombuffer(part, {"F16": "<f2", "F32": "<f4"}[kind]).reshape(shape)
        found[key] = torch.tensor(values.astype("f4"))
    return found


def _with(net: torch.nn.Module, name: str) -> torch.nn.Module:
    """A network with the weights of the page."""
    net, known = copy.deepcopy(net), _packed(name)
    net.load_state_dict({key: known[key] for key in net.state_dict()})
    return net


@pytest.mark.parametrize(
    ("name", "files"),
    [("digits", ["digits_student"]), ("allison", ["waveform_student", "allison_acoustic"])],
)
def test_a_pack_holds_the_weights(name, files):
    found = dict(_packed(name))
    found.pop("input_scale")
    true = {key: value for file in files for key, value in weights.load(file)[0].items()}
    assert found.keys() == true.keys()
    for key, value in true.items():
        step = value.abs().flatten(1).amax(1) / 127 if value.ndim == 3 else value.abs()
        error = (found[key] - value).abs()
        error = error.flatten(1).amax(1) if value.ndim == 3 else error
        assert (error <= 0.51 * step + 1e-7).all(), key
    if name == "digits":
        assert all(torch.equal(found[key], value.half().float()) for key, value in true.items())


def _noise(n: int) -> torch.Tensor:
    return torch.randn(1, 1, n, generator=torch.Generator().manual_seed(0))


def _digits(net: voice.StudentVoice, text: str, speaker: str, pace: float, pitch: float, z: float):
    """-> the noise that it takes and the sound that the library makes of it."""
    parts = [conditioning.plan(w, speaker, pace, pitch) for w in conditioning.words_of(text)]
    cond = synthesis.conditioning_for(net, parts, speaker)
    noise = _noise(cond.shape[-1])
    with torch.no_grad():
        x = net.student(z * noise, cond)[0]
    return noise.numpy().ravel(), x.clamp(-1, 1).numpy().ravel()


def _sentence(text: str, pace: float, pitch: float, z: float):
    """-> the noise that it takes and the sound that the library makes of it, its filter in double precision."""
    net = _with(waveform_model.load(), "allison")
    bands = _with(acoustic_model.load(), "allison")
    spoken = voice_file.find("allison")
    prosody, frames, phase = spoken.prosody, [], []
    for phones in spoken.sentences(text):
        times, f0 = prosody.plan(phones=phones, pace=pace, pitch=pitch)
        features = conditioning.planned_features(bands.predict(times, f0), f0, net.spec)
        frames.append(features[0])
        phase.append(features[1])
    batch = {"frames": np.concatenate(frames, 1), "phase": np.concatenate(phase, 1)}
    batch = {name: torch.from_numpy(rows)[None] for name, rows in batch.items()}
    c = net.conditioning(batch | {"speaker": torch.zeros(1, dtype=torch.long)})
    noise = _noise(c.shape[-1])
    with torch.no_grad():
        e = net.student(z * noise, c)[0].double()
        a, g = net.predictor({"frames": batch["frames"].double()})
        x = net.flow.inverse(e, Predictor(a, g))[0]
        x = correct(x, net.bands(batch["frames"].double()), 8000)
    return noise.numpy().ravel(), x.clamp(-1, 1).float().numpy().ravel()


def test_small_weights_are_not_heard():
    """Halves leave an error 40 dB below the digits; 8 bits move the bands by far less than the model errs, 3.9 dB."""
    true = voice.load("student")
    _, exact = _digits(true, "three one four", "slt", 1, 1, 1)
    _, rounded = _digits(_with(true, "digits"), "three one four", "slt", 1, 1, 1)
    assert 10 * np.log10((exact**2).mean() / ((exact - rounded) ** 2).mean()) > 40
    true = acoustic_model.load()
    times, f0 = voice_file.find("allison").prosody.plan(
        "The train to the coast leaves in twenty minutes."
    )
    error = _with(true, "allison").predict(times, f0) - true.predict(times, f0)
    assert np.abs(error).mean() < 0.03  # nepers


# ---------------------------------------------------------------- in a browser

FIGURE = """<!doctype html><html lang="en" data-theme="light"><title>voice</title><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="custom.css">
<link rel="stylesheet" href="voice/voice.css"><body class="bd-content"><main><h1>Voice</h1>
<figure class="minigen-voice" data-voice="NAME"><figcaption>A voice</figcaption></figure></main>
<script defer src="voice/voice.js"></script>"""

ASK = """async ([name, kernel, request, noise]) => {
  const decoded = (text) => Float32Array.from(
    new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer));
  const load = (file) => new Promise((done) => {
    const script = document.createElement('script');
    script.onload = done;
    script.src = 'voice/' + file;
    document.head.append(script);
  });
  await load(name + '.js');
  const pack = window.minigenVoices[name];
  pack.kernels = [pack.kernels[kernel]];
  const ask = await window.minigenVoice(name);
  const made = await ask({...request, noise: decoded(noise)});
  const bytes = new Uint8Array(made.audio.buffer);
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return {...made, audio: btoa(text)};
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder with the scripts and the page of each voice."""
    folder = tmp_path_factory.mktemp("voice")
    shutil.copytree(STATIC / "voice", folder / "voice")
    shutil.copy(STATIC / "custom.css", folder)
    extension.write(folder / "voice")
    for name in extension.VOICES:
        (folder / f"{name}.html").write_text(FIGURE.replace("NAME", name), "utf-8")
    return folder


def _ask(browser, site: Path, name: str, kernel: int, request: dict, noise: np.ndarray) -> dict:
    """The answer of the voice in the page to a request with given noise."""
    page = browser.new_page()
    try:
        page.goto((site / f"{name}.html").as_uri())
        text = base64.b64encode(noise.astype("<f4").tobytes()).decode()
        made = page.evaluate(ASK, [name, kernel, request, text])
    finally:
        page.close()
    return made | {"audio": np.frombuffer(base64.b64decode(made["audio"]), "<f4")}


@pytest.mark.browser
@needs_chromium
@pytest.mark.parametrize("kernel", range(len(extension.KERNELS)), ids=extension.KERNELS)
@pytest.mark.parametrize(
    ("text", "speaker", "pace", "pitch", "temperature"),
    [
        ("three, 1 four", "slt", 1, 1, 1),
        ("7 two zero", "rms", 1.3, 0.85, 0.7),
        ("859", "awb", 0.7, 1.2, 1),
    ],
)
def test_digits_are_the_library_s(browser, site, kernel, text, speaker, pace, pitch, temperature):
    net = _with(voice.load("student"), "digits")
    noise, wanted = _digits(net, text, speaker, pace, pitch, temperature)
    request = {"speaker": speaker, "pace": pace, "pitch": pitch, "temperature": temperature}
    made = _ask(browser, site, "digits", kernel, request | {"text": text}, noise)
    assert made["said"] == conditioning.words_of(text)
    assert made["unknown"] == []
    assert len(made["audio"]) == len(wanted)
    assert np.abs(made["audio"] - wanted).max() < 1e-5


@pytest.mark.browser
@needs_chromium
@pytest.mark.parametrize(
    ("text", "pace", "pitch", "temperature"),
    [
        ("The train to the coast leaves in 25 minutes.", 1, 1, 1),
        ("We walked, slowly, along the river. It was dark!", 1.2, 0.9, 0.8),
    ],
)
def test_sentences_are_the_library_s(browser, site, text, pace, pitch, temperature):
    """Text, prosody, mel bands, excitation, filter and correction, from the same noise."""
    noise, wanted = _sentence(text, pace, pitch, temperature)
    request = {"pace": pace, "pitch": pitch, "temperature": temperature, "text": text}
    made = _ask(browser, site, "allison", 0, request, noise)
    assert made["unknown"] == []
    assert len(made["audio"]) == len(wanted)
    assert np.abs(made["audio"] - wanted).max() < 1e-5


@pytest.mark.browser
@needs_chromium
@pytest.mark.parametrize("name", extension.VOICES)
def test_a_reader_types_and_hears(browser, site, name):
    """By keyboard alone, from a file, on a phone in the dark; nothing is loaded before."""
    page = browser.new_page(viewport={"width": 390, "height": 800}, reduced_motion="reduce")
    page.set_default_timeout(600_000)  # a machine may have other work
    errors, asked = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / f"{name}.html").as_uri())
    page.wait_for_selector("figure[data-built]")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert not [url for url in asked if url.endswith(("engine.js", f"{name}.js"))]

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.type") == "text"
    page.keyboard.press("Control+A")
    page.keyboard.type("two qqxx one")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('audio').duration > 0.5")
    says = page.inner_text(".says")
    assert "“qqxx”" in says
    assert "real time" in says
    assert "two" in page.get_attribute("canvas", "aria-label")
    drawn = page.evaluate(
        "new Set(document.querySelector('canvas').getContext('2d').getImageData(60, 80, 200, 100).data).size"
    )
    assert drawn > 50, "the spectrogram has many colours"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    first = page.get_attribute("audio", "src")

    for _ in range(8):  # on to the button, past the sliders
        page.keyboard.press("Tab")
        kind = page.evaluate("document.activeElement.type")
        if kind == "range":
            page.keyboard.press("ArrowRight")
        if kind == "submit":
            break
    assert page.eval_on_selector_all("output", "l => l.map((o) => o.textContent)") == ["1.05"] * 3
    page.keyboard.press("Enter")
    page.wait_for_function(f"document.querySelector('audio').src !== {json.dumps(first)}")
    page.fill("input[type=text]", "  ")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.says').textContent.includes('Nothing to say')")
    assert errors == []
    page.close()


@pytest.mark.browser
@needs_chromium
@pytest.mark.parametrize("name", extension.VOICES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser, site, name, theme):
    from axe_playwright_python.sync_playwright import Axe

    page = browser.new_page()
    page.goto((site / f"{name}.html").as_uri())
    page.wait_for_selector("figure[data-built]")
    page.evaluate("t => { document.documentElement.dataset.theme = t }", theme)
    found = Axe().run(page, options={"resultTypes": ["violations"], "preload": False}).response
    page.close()
    bad = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
    assert bad == []
