/* A voice in the page: typed text, spoken by the student on the reader's own machine. A page asks for one
   by <figure class="minigen-voice" data-voice="NAME"> with its description in the <figcaption>. Nothing is
   loaded before a reader presses Speak: then engine.js, and NAME.js with the weights. */
(() => {
  "use strict";
  const here = document.currentScript.src.replace(/[^/]*$/, "");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const VOICES = {
    digits: {
      text: "three one four",
      says: "Digits, as words or figures",
      speakers: { slt: "slt, a woman", rms: "rms, a man", awb: "awb, a Scottish man" },
      size: "0.5 MB",
    },
    allison: {
      text: "The train to the coast leaves in twenty minutes.",
      says: "A sentence",
      size: "1.7 MB",
      examples: [
        "The train to the coast leaves in twenty minutes.",
        "We walked along the river until it was dark.",
        "The weather will be cold and windy tomorrow.",
        "Nobody recorded this sentence, and nobody ever said it before.",
        "Each sample depends on the noise before it, and never on the noise after it.",
      ],
    },
  };

  // ---------------------------------------------------------------- the worker
  const scripts = new Map();
  function load(name) {
    if (!scripts.has(name)) {
      scripts.set(name, new Promise((done, failed) => {
        const script = document.createElement("script");
        script.onload = done;
        script.onerror = () => { scripts.delete(name); failed(new Error(`${name} cannot be loaded`)); };
        script.src = here + name;
        document.head.append(script);
      }));
    }
    return scripts.get(name);
  }
  /** A voice -> a function from a request to its answer. One worker a voice, made when first asked for. */
  const voices = new Map();
  function voice(name) {
    if (!voices.has(name)) {
      const made = Promise.all([load("engine.js"), load(`${name}.js`)]).then(async () => {
        const source = new Blob([`(${window.minigenEngine})()`], { type: "text/javascript" });
        const worker = new Worker(URL.createObjectURL(source));
        const ask = (request) => new Promise((done, failed) => {
          worker.onmessage = ({ data }) => (data.error ? failed(new Error(data.error)) : done(data));
          worker.onerror = (event) => failed(new Error(event.message));
          worker.postMessage(request);
        });
        await ask({ pack: window.minigenVoices[name] });
        delete window.minigenVoices[name];
        return ask;
      });
      made.catch(() => voices.delete(name));
      voices.set(name, made);
    }
    return voices.get(name);
  }
  window.minigenVoice = voice;

  // ---------------------------------------------------------------- sound and picture
  /** Samples -> the address of a WAV file, 16 bits. */
  function wav(audio, rate) {
    const bytes = new DataView(new ArrayBuffer(44 + 2 * audio.length));
    const ascii = (at, text) => [...text].forEach((c, i) => bytes.setUint8(at + i, c.charCodeAt(0)));
    ascii(0, "RIFF"); ascii(8, "WAVEfmt "); ascii(36, "data");
    [[4, 36 + 2 * audio.length], [16, 16], [24, rate], [28, 2 * rate], [40, 2 * audio.length]]
      .forEach(([at, value]) => bytes.setUint32(at, value, true));
    [[20, 1], [22, 1], [32, 2], [34, 16]].forEach(([at, value]) => bytes.setUint16(at, value, true));
    audio.forEach((v, t) => bytes.setInt16(44 + 2 * t, Math.round(32767 * v), true));
    return URL.createObjectURL(new Blob([bytes], { type: "audio/wav" }));
  }

  const FRAME = 256;
  const hann = Float64Array.from({ length: FRAME }, (_, t) => 0.5 - 0.5 * Math.cos(2 * Math.PI * (t + 0.5) / FRAME));
  /** The frame of samples around `centre` -> power of each frequency from 0 to half the rate, (129,). */
  function spectrum(audio, centre) {
    const re = Float64Array.from(hann, (w, t) => w * (audio[Math.round(centre) - FRAME / 2 + t] ?? 0));
    const im = new Float64Array(FRAME);
    for (let i = 1, j = 0; i < FRAME; i++) {
      let bit = FRAME >> 1;
      for (; j & bit; bit >>= 1) j ^= bit;
      j ^= bit;
      if (i < j) [re[i], re[j]] = [re[j], re[i]];
    }
    for (let half = 1; half < FRAME; half *= 2)
      for (let k = 0; k < half; k++) {
        const [c, s] = [Math.cos(Math.PI * k / half), -Math.sin(Math.PI * k / half)];
        for (let a = k; a < FRAME; a += 2 * half) {
          const b = a + half;
          const [x, y] = [re[b] * c - im[b] * s, re[b] * s + im[b] * c];
          re[b] = re[a] - x; im[b] = im[a] - y;
          re[a] += x; im[a] += y;
        }
      }
    return Float64Array.from({ length: FRAME / 2 + 1 }, (_, k) => re[k] ** 2 + im[k] ** 2);
  }
  const VIRIDIS = [[68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141], [39, 173, 129], [92, 200, 99], [170, 220, 50], [253, 231, 37]];
  function colour(level) {
    const at = Math.min(Math.max(level, 0), 1) * (VIRIDIS.length - 1);
    const k = Math.min(Math.floor(at), VIRIDIS.length - 2);
    return VIRIDIS[k].map((v, i) => v + (at - k) * (VIRIDIS[k + 1][i] - v));
  }

  /** Waveform above, spectrogram below; -> the place of a time in the picture, in CSS pixels. */
  function draw(canvas, audio, rate) {
    const sharp = window.devicePixelRatio || 1;
    const [W, wave, spec, left, foot] = [canvas.clientWidth, 70, 130, 44, 20];
    const H = wave + spec + foot + 8;
    canvas.style.height = `${H}px`;
    [canvas.width, canvas.height] = [Math.round(W * sharp), Math.round(H * sharp)];
    const pen = canvas.getContext("2d");
    pen.scale(sharp, sharp);
    const style = getComputedStyle(canvas);
    const ink = style.color;
    const [room, top] = [W - left - 4, wave + 8];
    pen.fillStyle = style.getPropertyValue("--minigen-1");
    const peak = Math.max(1e-3, audio.reduce((most, v) => Math.max(most, Math.abs(v)), 0));
    for (let x = 0; x < room; x++) {
      const part = audio.subarray(Math.floor(x * audio.length / room), Math.ceil((x + 1) * audio.length / room));
      const [low, high] = [Math.min(...part), Math.max(...part)].map((v) => wave / 2 * (1 - v / peak));
      pen.fillRect(left + x, high, 1, Math.max(1, low - high));
    }
    const columns = Math.max(1, Math.min(Math.round(room), Math.round(audio.length / 16)));
    const image = new ImageData(columns, FRAME / 2 + 1);
    const powers = Array.from({ length: columns }, (_, x) => spectrum(audio, (x + 0.5) * audio.length / columns));
    const most = powers.reduce((high, column) => column.reduce((a, b) => Math.max(a, b), high), 1e-12);
    powers.forEach((column, x) => column.forEach((power, k) => {
      const level = 1 + 10 * Math.log10(power / most + 1e-9) / 70; // 70 dB from dark to bright
      image.data.set([...colour(level), 255], 4 * ((FRAME / 2 - k) * columns + x));
    }));
    const sheet = document.createElement("canvas");
    [sheet.width, sheet.height] = [columns, FRAME / 2 + 1];
    sheet.getContext("2d").putImageData(image, 0, 0);
    pen.drawImage(sheet, left, top, room, spec);
    pen.fillStyle = ink;
    pen.font = "12px sans-serif";
    pen.textAlign = "right";
    [[0, spec - 2], [rate / 4000, spec / 2 + 4], [rate / 2000, 10]].forEach(([khz, y]) => pen.fillText(`${khz} kHz`, left - 4, top + y));
    const seconds = audio.length / rate;
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10].find((s) => room * s / seconds > 50) ?? 20;
    pen.textAlign = "center";
    for (let i = 0; i * step <= seconds; i++) {
      const x = left + room * i * step / seconds;
      pen.fillRect(x, top + spec, 1, 4);
      pen.fillText(`${+(i * step).toFixed(1)} s`, Math.min(Math.max(x, left + 8), W - 16), top + spec + 16);
    }
    return (time) => left + room * Math.min(time / seconds, 1);
  }

  // ---------------------------------------------------------------- the figure
  function make(name, attributes = {}, parent = null, text = null) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== null) node.textContent = text;
    parent?.append(node);
    return node;
  }

  let count = 0;
  function build(figure) {
    const name = figure.dataset.voice;
    const spec = VOICES[name];
    const form = make("form", { class: "controls" });
    figure.querySelector("figcaption").after(form);
    const labelled = (text, node, more = "") => {
      const label = make("label", { class: more }, form);
      make("span", {}, label, text);
      label.append(node);
      return node;
    };
    const text = labelled(spec.says, make("input", { type: "text", maxlength: 200, value: spec.text, autocomplete: "off", spellcheck: "false" }), "text");
    let speaker = null;
    if (spec.speakers) {
      speaker = labelled("Speaker", make("select"));
      for (const [value, shown] of Object.entries(spec.speakers)) make("option", { value }, speaker, shown);
    }
    if (spec.examples) {
      const examples = labelled("Or one of these", make("select"), "text");
      for (const sentence of spec.examples) make("option", {}, examples, sentence);
      examples.addEventListener("input", () => { text.value = examples.value; });
    }
    const slider = (what, low, high) => {
      const input = labelled(what, make("input", { type: "range", min: low, max: high, step: 0.05, value: 1 }));
      const shown = make("output", {}, input.parentNode, "1.00");
      input.addEventListener("input", () => { shown.textContent = (+input.value).toFixed(2); });
      return input;
    };
    const [pace, pitch, temperature] = [slider("Pace", 0.5, 2), slider("Pitch", 0.5, 2), slider("Temperature", 0, 1.5)];
    make("button", { type: "submit" }, form, "Speak");
    const says = make("p", { class: "says", role: "status" }, figure,
      `Runs in your browser; pressing Speak first loads the network, ${spec.size}.`);
    const picture = make("div", { class: "picture", hidden: "" }, figure);
    const canvas = make("canvas", { role: "img" }, picture);
    const head = make("div", { class: "head", hidden: "" }, picture);
    const sound = make("audio", { controls: "", hidden: "", "aria-label": "What the voice said" }, figure);

    let [seed, busy, shown, place] = [0, false, null, null];
    const redraw = () => { if (shown) place = draw(canvas, shown.audio, shown.rate); };
    function follow() {
      head.hidden = sound.paused;
      if (sound.paused) return;
      head.style.left = `${place(sound.currentTime)}px`;
      requestAnimationFrame(follow);
    }
    sound.addEventListener("play", () => {
      document.querySelectorAll("audio").forEach((other) => { if (other !== sound) other.pause(); });
      if (!still.matches) follow();
    });
    new ResizeObserver(redraw).observe(figure);
    new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });

    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (busy) return;
      busy = true;
      sound.pause();
      says.textContent = voices.has(name) ? "Computing …" : `Loading ${spec.size} …`;
      try {
        const ask = await voice(name);
        const made = await ask({
          text: text.value, speaker: speaker?.value ?? null, seed: ++seed,
          pace: +pace.value, pitch: +pitch.value, temperature: +temperature.value,
        });
        const named = (words) => [...new Set(words)].map((word) => `“${word}”`).join(", ");
        const trouble = (made.unknown.length ? `It cannot read ${named(made.unknown)}. ` : "") +
          (made.guessed.length ? `Not in its dictionary, guessed from the letters: ${named(made.guessed)}. ` : "");
        if (!made.audio.length) {
          says.textContent = `${trouble}Nothing to say: ${spec.says.toLowerCase()}, please.`;
          return;
        }
        shown = made;
        const seconds = made.audio.length / made.rate;
        says.textContent = `${trouble}${seconds.toFixed(2)} s of sound in ${made.seconds.toFixed(2)} s: ` +
          `${(seconds / made.seconds).toFixed(1)} × real time, real-time factor ${(made.seconds / seconds).toFixed(3)}.`;
        picture.hidden = sound.hidden = false;
        canvas.setAttribute("aria-label", `Waveform and spectrogram of “${made.said.join(" ")}”, ${seconds.toFixed(2)} seconds.`);
        sound.setAttribute("aria-label", `The voice says “${made.said.join(" ")}”`);
        redraw();
        if (sound.src) URL.revokeObjectURL(sound.src);
        sound.src = wav(made.audio, made.rate);
        sound.play().catch(() => {}); // where sound needs another press, the player is there
      } catch (error) {
        says.textContent = `The voice does not run here: ${error.message.split("\n")[0]}.`;
      } finally {
        busy = false;
      }
    });
    figure.dataset.built = ++count;
  }

  const start = () => document.querySelectorAll("figure.minigen-voice:not([data-built])").forEach(build);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
