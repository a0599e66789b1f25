/* Diagrams that move. A page asks for one by <figure class="minigen-diagram" data-diagram="NAME">
   with its description in the <figcaption>. Nothing moves by itself: readers step, slide or press
   Play; under "reduced motion" there is no Play. Print shows the last step as a still. */
(() => {
  "use strict";
  const NS = "http://www.w3.org/2000/svg";
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  // ---------------------------------------------------------------- drawing
  function make(name, attributes = {}, parent = null, text = null) {
    const svg = ["svg", "g", "path", "line", "circle", "rect", "text", "tspan", "defs", "marker"];
    const node = svg.includes(name) ? document.createElementNS(NS, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== null) node.textContent = text;
    if (parent) parent.append(node);
    return node;
  }

  /** A pen for one SVG: every method takes coordinates in pixels and the class that gives the colour. */
  function pen(svg) {
    const put = (name, attributes, text) => make(name, attributes, svg, text);
    return {
      line: (x1, y1, x2, y2, c = "") => put("line", { x1, y1, x2, y2, class: `stroke ${c}` }),
      arrow(x1, y1, x2, y2, c = "") {
        const length = Math.hypot(x2 - x1, y2 - y1) || 1;
        const [ux, uy] = [(x2 - x1) / length, (y2 - y1) / length];
        put("line", { x1, y1, x2: x2 - 5 * ux, y2: y2 - 5 * uy, class: `stroke ${c}` });
        const [bx, by] = [x2 - 7 * ux, y2 - 7 * uy];
        put("path", {
          d: `M${x2},${y2}L${bx - 3.5 * uy},${by + 3.5 * ux}L${bx + 3.5 * uy},${by - 3.5 * ux}Z`,
          class: `fill ${c}`,
        });
      },
      dot: (cx, cy, r, c = "") => put("circle", { cx, cy, r, class: `dot ${c}` }),
      box: (x, y, width, height, c = "") => put("rect", { x, y, width, height, rx: 4, class: `box ${c}` }),
      text: (x, y, what, c = "", anchor = "middle") =>
        put("text", { x, y, class: c, "text-anchor": anchor, "dominant-baseline": "middle" }, what),
      curve: (points, c = "") =>
        put("path", { d: points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join(""), class: `stroke ${c}` }),
      area: (points, c = "") =>
        put("path", { d: points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join("") + "Z", class: `area ${c}` }),
      labelled(x, y, width, height, what, c = "") {
        this.box(x, y, width, height, c);
        what.split("\n").forEach((row, i, rows) =>
          this.text(x + width / 2, y + height / 2 + 15 * (i - (rows.length - 1) / 2), row, "small"));
      },
    };
  }

  const range = (n) => [...Array(n).keys()];
  const normal = (x, m = 0, s = 1) => Math.exp(-0.5 * ((x - m) / s) ** 2) / (s * Math.sqrt(2 * Math.PI));
  const fixed = (x, digits = 2) => x.toFixed(digits).replace("-", "−");

  // ---------------------------------------------------------------- sound
  let context = null;
  let sounding = null;
  function play(samples, rate) {
    context ??= new AudioContext();
    sounding?.stop();
    const buffer = context.createBuffer(1, samples.length, rate);
    buffer.copyToChannel(Float32Array.from(samples, (v) => Math.max(-1, Math.min(1, v))), 0);
    sounding = new AudioBufferSourceNode(context, { buffer });
    sounding.connect(context.destination);
    sounding.start();
  }
  /** The word of chapter 1, from word.js: 16-bit samples at 8 kHz. */
  function word() {
    const bytes = Uint8Array.from(atob(window.minigenWord ?? ""), (c) => c.charCodeAt(0));
    return Float32Array.from(new Int16Array(bytes.buffer), (v) => v / 32768);
  }

  // ---------------------------------------------------------------- the diagrams
  // Each: height(W), draw(pen, W, state) -> what to say; steps and inputs are optional.
  const diagrams = {};

  diagrams.wavenet = {
    inputs: { mode: { label: "Way", choices: ["one at a time", "all at once (training)", "one at a time, cached"] } },
    steps: 16,
    height: () => 250,
    draw(p, W, { step, mode }) {
      const [T, L] = [16, 4];
      const [dx, dy] = [(W - 60) / (T - 1), 46];
      const [X, Y] = [(t) => 45 + t * dx, (l) => 210 - l * dy];
      const lit = new Map();
      const read = new Set();
      const visit = (l, t) => {
        if (t < 0 || lit.has(`${l},${t}`)) return;
        lit.set(`${l},${t}`, true);
        if (l > 0) [t, t - 2 ** (l - 1)].forEach((s) => visit(l - 1, s));
      };
      let now = 0;
      let total = 0;
      if (mode === 0) {
        for (let t = 0; t <= step; t++) {
          lit.clear();
          visit(L, t);
          now = [...lit.keys()].filter((k) => k[0] !== "0").length;
          total += now;
        }
      } else if (mode === 1) {
        const layers = Math.min(L, Math.floor(step / 3));
        range(layers + 1).forEach((l) => range(T).forEach((t) => lit.set(`${l},${t}`, true)));
        now = T;
        total = T * layers;
      } else {
        range(L + 1).forEach((l) => {
          lit.set(`${l},${step}`, true);
          if (l > 0 && step >= 2 ** (l - 1)) read.add(`${l - 1},${step - 2 ** (l - 1)}`);
        });
        now = L;
        total = L * (step + 1);
      }
      range(L).forEach((k) => range(T).forEach((t) => [t, t - 2 ** k].forEach((s) => {
        if (s < 0) return;
        const on = lit.has(`${k + 1},${t}`) && (lit.has(`${k},${s}`) || read.has(`${k},${s}`));
        p.line(X(s), Y(k), X(t), Y(k + 1), on ? "c1" : "faint");
      })));
      range(L + 1).forEach((l) => {
        p.text(4, Y(l), l === 0 ? "x" : `d=${2 ** (l - 1)}`, "small", "start");
        range(T).forEach((t) => {
          const key = `${l},${t}`;
          p.dot(X(t), Y(l), 5, lit.has(key) ? (l === L ? "c2" : "c1") : read.has(key) ? "ring" : "faint");
        });
      });
      if (mode !== 1 && step + 1 < T) p.arrow(X(step), Y(L) - 9, X(step + 1), Y(0) + 14, "c2 dashed");
      p.text(W / 2, 240, "time →", "small");
      return mode === 1
        ? `All ${T} outputs from the known samples, layer by layer: ${Math.min(L, Math.floor(step / 3))} of ${L} layers done, nothing waits for a sample.`
        : `Sample ${step + 1}: ${now} units computed now, ${total} since the start.` +
          (mode === 2 ? " The rings hold what earlier samples left; only one column is new." : " Each sample computes its whole tree again.");
    },
  };

  diagrams.gated = {
    steps: 6,
    height: () => 300,
    draw(p, W, { step }) {
      const c = W / 2;
      const w = Math.min(120, W / 3.2);
      const on = (k) => (step >= k ? "c1" : "faint");
      p.labelled(c - w / 2, 252, w, 34, "h  (B, R, T)", on(0));
      p.arrow(c, 252, c, 226, on(1));
      p.labelled(c - w * 0.75, 192, w * 1.5, 34, "dilated conv, K taps", on(1));
      p.arrow(c - w / 2, 192, c - w / 2, 166, on(2));
      p.arrow(c + w / 2, 192, c + w / 2, 166, on(2));
      p.labelled(c - w / 2 - w / 2.4, 134, w / 1.2, 32, "tanh  f", on(2));
      p.labelled(c + w / 2 - w / 2.4, 134, w / 1.2, 32, "sigm  g", on(2));
      p.arrow(c - w / 2, 134, c - 8, 106, on(3));
      p.arrow(c + w / 2, 134, c + 8, 106, on(3));
      p.labelled(c - 16, 82, 32, 26, "×", on(3));
      p.arrow(c, 82, c, 62, on(5));
      p.arrow(c + 16, 95, W - 48, 95, on(4));
      p.text(W - 22, 95, "skip", "small");
      p.labelled(c - w / 2, 30, w, 32, "1 × 1", on(5));
      p.arrow(c, 30, c, 12, on(5));
      p.curve([[c - w / 2, 269], [18, 269], [18, 8], [c - 12, 8]], step >= 5 ? "c2" : "faint");
      p.text(c + 4, 8, "(h + ·) / √2", "small", "start");
      return ["The layer's input: R channels at every time step.",
        "One convolution looks at h[t] and at h[t − d]; it never looks ahead. Conditioning is added here.",
        "Its 2R channels are split into two halves: a signal, squashed by tanh, and a gate between 0 and 1.",
        "The gate multiplies the signal: it decides what passes at each time step.",
        "The activation goes to the output, past all later layers: the skip path, which has a matrix for each layer.",
        "A 1 × 1 convolution, another matrix, mixes its channels, and what comes out is added to the layer's input: the residual path, divided by √2."][step];
    },
  };

  diagrams.orders = {
    inputs: { mode: { label: "Compute", choices: ["a sample", "the density of a given x"] } },
    steps: 5,
    height: (W) => (W < 560 ? 440 : 250),
    draw(p, W, { step, mode }) {
      const names = ["AR", "MAF", "IAF", "coupling"];
      const two = W < 560;
      const width = W / (two ? 2 : 4);
      const T = 4;
      const done = [];
      names.forEach((name, i) => {
        const x0 = (two ? i % 2 : i) * width;
        const y0 = two && i > 1 ? 220 : 0;
        const X = (t) => x0 + width * (0.18 + (0.64 * t) / (T - 1));
        const [top, bottom] = [y0 + 60, y0 + 170];
        p.text(x0 + width / 2, y0 + 18, name, "");
        p.text(x0 + 8, top, "z", "small");
        p.text(x0 + 8, bottom, "x", "small");
        const sequential = name === "coupling" ? false : (name === "IAF") === (mode === 1);
        const from = mode === 0 ? top : bottom;
        const known = name === "IAF" ? "z" : "x"; // whose past the functions read
        const ready = (t) => (sequential ? step > t : step > 0);
        range(T).forEach((t) => {
          range(T).forEach((s) => {
            const reads = name === "coupling" ? s < T / 2 && t >= T / 2 : s < t;
            if (!reads) return;
            const [ys, yt] = name === "coupling" ? [from, mode === 0 ? bottom : top]
              : known === "x" ? [bottom, mode === 0 ? bottom : top] : [top, mode === 0 ? bottom : top];
            if (ys === yt) p.curve([[X(s), ys], [(X(s) + X(t)) / 2, ys + (ys === bottom ? 26 : -26) * Math.min(1, 0.5 + 0.25 * (t - s))], [X(t), yt]], ready(t) ? "c1" : "faint");
            else p.line(X(s), ys, X(t), yt, ready(t) ? "c1" : "faint");
          });
          p.arrow(X(t), from + (mode === 0 ? 6 : -6), X(t), (mode === 0 ? bottom - 6 : top + 6), ready(t) ? "c1" : "faint");
          p.dot(X(t), from, 6, "c1");
          p.dot(X(t), mode === 0 ? bottom : top, 6, ready(t) ? "c2" : "faint");
        });
        const needs = sequential ? T : 1;
        p.text(x0 + width / 2, y0 + 205, `${Math.min(step, needs)} of ${needs} ${needs > 1 ? "steps" : "pass"}`, "small");
        done.push(`${name} ${sequential ? "waits for each number in turn" : "is done in one pass"}`);
      });
      return `${mode === 0 ? "From noise to sound" : "From sound to noise"}: ${done.join("; ")}.`;
    },
  };

  diagrams.distillation = {
    steps: 7,
    height: () => 290,
    draw(p, W, { step }) {
      const w = Math.min(130, W * 0.28);
      const [a, b, c] = [10, W / 2 - w / 2, W - w - 10];
      const f = (k) => (step >= k && step < 4 ? "c1" : step >= 4 ? "faint2" : "faint");
      const g = (k) => (step >= k ? "c2" : "none");
      p.labelled(a, 226, w, 40, "noise z", f(0));
      p.arrow(a + w / 2, 226, a + w / 2, 172, f(1));
      p.labelled(a, 122, w, 50, "student\n(learns)", f(1));
      p.arrow(a + w, 147, b, 147, f(1));
      p.labelled(b, 122, w, 50, "sound x", f(1));
      p.arrow(b + w, 147, c, 147, f(2));
      p.labelled(c, 122, w, 50, "teacher\n(frozen)", f(2));
      p.arrow(c + w / 2, 122, c + w / 2, 66, f(3));
      p.labelled(b, 22, W - b - 10, 44, "KL:  q(x[t] | z) against p(x[t] | x)", f(3));
      p.curve([[a + w / 2, 122], [a + w / 2, 44], [b, 44]], f(3));
      p.arrow(b + w / 2, 172, b + w / 2, 222, f(3));
      p.labelled(b, 222, W - b - 10, 48, "spectra of x against\na recording's", f(3));
      if (step >= 4) {
        p.arrow(b, 54, a + w / 2 + 12, 54, g(4));
        p.arrow(a + w / 2 + 12, 56, a + w / 2 + 12, 120, g(4));
        p.arrow(c + w / 2 + 10, 68, c + w / 2 + 10, 120, g(5));
        p.arrow(c, 158, b + w, 158, g(5));
        p.arrow(b, 158, a + w, 158, g(5));
        p.arrow(b + w / 2 + 12, 220, b + w / 2 + 12, 174, g(6));
      }
      return ["White noise, all of it at once.",
        "The student turns it into sound in one pass, and says for every sample which mean and scale it had, given the noise before.",
        "The teacher reads the finished sound, also in one pass: its own mean and scale for every sample, given the sound before.",
        "Two normal densities for each sample: their divergence has a formula. Beside it, spectra are compared with a recording's.",
        "Backwards: the divergence pulls at the student's means and scales directly …",
        "… and through the frozen teacher: its weights stay, but what it expects depends on x, and x is the student's.",
        "The spectral losses reach the student through x alone."][step];
    },
  };

  diagrams.trellis = {
    steps: 7,
    inputs: { mode: { label: "Recursion", choices: ["forward: sum", "Viterbi: maximum"] } },
    height: () => 240,
    draw(p, W, { step, mode }) {
      const a = [[0.7, 0.3, 0], [0, 0.6, 0.4], [0.1, 0, 0.9]];
      const b = [[0.6, 0.2, 0.1], [0.5, 0.4, 0.1], [0.2, 0.6, 0.2], [0.1, 0.5, 0.3], [0.1, 0.2, 0.7], [0.1, 0.1, 0.6]];
      const N = b.length;
      const [X, Y] = [(n) => 50 + (n * (W - 80)) / (N - 1), (j) => 40 + 70 * j];
      const value = [b[0].map((v, j) => v * [0.8, 0.1, 0.1][j])];
      const from = [[]];
      for (let n = 1; n < N; n++) {
        const terms = range(3).map((j) => range(3).map((i) => value[n - 1][i] * a[i][j]));
        from.push(terms.map((t) => t.indexOf(Math.max(...t))));
        value.push(terms.map((t, j) => b[n][j] * (mode ? Math.max(...t) : t.reduce((u, v) => u + v))));
      }
      const best = new Set();
      if (mode && step === N) {
        let j = value[N - 1].indexOf(Math.max(...value[N - 1]));
        for (let n = N - 1; n > 0; n--) { best.add(`${n},${from[n][j]},${j}`); j = from[n][j]; }
      }
      for (let n = 1; n < N; n++) range(3).forEach((i) => range(3).forEach((j) => {
        if (!a[i][j]) return;
        const used = mode ? n < step + 1 && from[n][j] === i : n < step + 1;
        p.line(X(n - 1), Y(i), X(n), Y(j), best.has(`${n},${i},${j}`) ? "c2 thick" : n === step && used ? "c1" : used ? "faint2" : "faint");
      }));
      range(N).forEach((n) => range(3).forEach((j) => {
        const known = n <= step;
        const most = Math.max(...value[n]);
        p.dot(X(n), Y(j), 6 + (known ? (12 * value[n][j]) / most : 0), known ? (n === step ? "c2" : "c1") : "faint");
        if (known) p.text(X(n), Y(j) + 27, value[n][j].toExponential(0).replace("e-", "·10⁻").replace(/⁻(\d)/, (_, d) => "⁻" + "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]), "small");
      }));
      range(3).forEach((j) => p.text(14, Y(j), `${j + 1}`, "small"));
      return step < N ? `Frame ${step + 1}: each state collects ${mode ? "its best predecessor" : "all ways that lead to it"} and multiplies by how well it explains the frame.`
        : mode ? "Walk back from the best end along the remembered places: the most probable path." : `The density of all six frames is the sum of the last column, ${value[N - 1].reduce((u, v) => u + v).toExponential(2)}.`;
    },
  };

  diagrams.embound = {
    steps: 9,
    height: () => 260,
    draw(p, W, { step }) {
      const data = [-2.1, -1.4, -0.3, 0.2, 0.4, 1.9, 2.4, 2.8, 3.1, 3.6];
      const weight = (x, m) => { const [u, v] = [normal(x, m, 0.8), normal(x, -0.5, 1.2)]; return [u, v]; };
      const like = (m) => data.reduce((s, x) => { const [u, v] = weight(x, m); return s + Math.log(0.5 * u + 0.5 * v); }, 0);
      const resp = (m) => data.map((x) => { const [u, v] = weight(x, m); return u / (u + v); });
      const bound = (m, r) => data.reduce((s, x, i) => {
        const [u, v] = weight(x, m);
        const q = Math.min(1 - 1e-12, Math.max(1e-12, r[i]));
        return s + q * Math.log((0.5 * u) / q) + (1 - q) * Math.log((0.5 * v) / (1 - q));
      }, 0);
      let m = -2.6;
      let r = resp(m);
      for (let k = 1; k <= step; k++) {
        if (k % 2) m = data.reduce((s, x, i) => s + r[i] * x, 0) / r.reduce((s, v) => s + v, 0);
        else r = resp(m);
      }
      const [X, Y] = [(v) => 40 + ((v + 4) * (W - 60)) / 9, (v) => 20 + ((-16 - v) * 200) / 26];
      const grid = range(181).map((i) => -4 + i / 20);
      const inside = (points) => points.filter(([, y]) => y < 225 && y > 0);
      p.curve(inside(grid.map((v) => [X(v), Y(like(v))])), "c1");
      p.curve(inside(grid.map((v) => [X(v), Y(bound(v, r))])), "c2 dashed");
      p.line(40, 230, W - 20, 230);
      p.text(W / 2, 247, "mean of one component", "small");
      p.dot(X(m), Y(like(m)), 5, "c1");
      p.dot(X(m), Y(bound(m, r)), 5, "c2");
      p.text(W - 24, 16, "log-likelihood (line) and bound (dashed)", "small", "end");
      return step % 2 === 0 ? `E step: the bound is moved up until it touches the log-likelihood at ${fixed(m)}.`
        : `M step: walk to the top of the bound, ${fixed(m)}; the log-likelihood there is at least as high: ${fixed(like(m))}.`;
    },
  };

  diagrams.warp1d = {
    inputs: { bend: { label: "Bend", min: 0, max: 3, step: 0.1, value: 1.5 }, tilt: { label: "Shift", min: -1.5, max: 1.5, step: 0.1, value: 0.5 } },
    height: () => 280,
    draw(p, W, { bend, tilt }) {
      const f = (x) => 0.8 * x + bend * Math.tanh(1.5 * (x - tilt));
      const slope = (x) => 0.8 + (1.5 * bend) / Math.cosh(1.5 * (x - tilt)) ** 2;
      const [x0, y0, w, h] = [95, 24, W - 115, 160];
      const [X, Y] = [(v) => x0 + ((v + 3) * w) / 6, (v) => y0 + ((4 - v) * h) / 8];
      const grid = range(241).map((i) => -3 + i / 40);
      p.curve(grid.map((v) => [X(v), Y(f(v))]).filter(([, y]) => y >= y0 && y <= y0 + h), "c1");
      p.curve(range(161).map((i) => -4 + i / 20).map((z) => [x0 - 12 - 150 * normal(z), Y(z)]), "c2");
      const most = Math.max(1, ...grid.map((v) => normal(f(v)) * slope(v)));
      p.area([[X(-3), 262], ...grid.map((v) => [X(v), 262 - (66 * normal(f(v)) * slope(v)) / most]), [X(3), 262]], "c3");
      range(9).forEach((i) => {
        const z = -2 + i / 2;
        let [low, high] = [-9, 9];
        for (let k = 0; k < 40; k++) { const mid = (low + high) / 2; if (f(mid) < z) low = mid; else high = mid; }
        if (Math.abs(low) < 3) p.curve([[x0 - 12, Y(z)], [X(low), Y(z)], [X(low), 262]], "faint2 thin");
      });
      p.text(30, 10, "density of z", "small", "start");
      p.text(W - 8, 272, "density of x", "small", "end");
      return `Steepest slope ${fixed(slope(tilt), 1)} at x = ${fixed(tilt, 1)}: equal steps of z become short steps of x there, so the density of x is high.`;
    },
  };

  diagrams.ellipse = {
    inputs: { rho: { label: "Correlation", min: -0.95, max: 0.95, step: 0.05, value: 0.8 }, given: { label: "Known value", min: -2.5, max: 2.5, step: 0.1, value: 1.2 } },
    height: () => 270,
    draw(p, W, { rho, given }) {
      const size = Math.min(240, W * 0.55);
      const [cx, cy, k] = [size / 2 + 10, 135, size / 6.4];
      const [major, minor] = [Math.sqrt(1 + Math.abs(rho)), Math.sqrt(1 - Math.abs(rho))];
      const turn = rho >= 0 ? Math.PI / 4 : -Math.PI / 4;
      [1, 2].forEach((s) => p.curve(range(65).map((i) => {
        const t = (i * Math.PI) / 32;
        const [u, v] = [s * major * Math.cos(t), s * minor * Math.sin(t)];
        return [cx + k * (u * Math.cos(turn) - v * Math.sin(turn)), cy - k * (u * Math.sin(turn) + v * Math.cos(turn))];
      }), "c1"));
      p.arrow(cx, cy, cx + k * 2 * major * Math.cos(turn), cy - k * 2 * major * Math.sin(turn), "c3");
      p.arrow(cx, cy, cx - k * 2 * minor * Math.sin(turn), cy - k * 2 * minor * Math.cos(turn), "c3");
      const x = cx + k * given;
      p.line(x, cy - 3.1 * k, x, cy + 3.1 * k, "c2");
      const [mean, std] = [rho * given, Math.sqrt(1 - rho * rho)];
      p.line(x, cy - k * (mean + 2 * std), x, cy - k * (mean - 2 * std), "c2 thick");
      p.dot(x, cy - k * mean, 4, "c2");
      const base = size + 40;
      const wide = W - base - 16;
      const slice = (m, s) => range(121).map((i) => -3 + i / 20).map((v) => [base + Math.min(wide, (wide * normal(v, m, s)) / 1.4), cy - k * v]);
      p.curve(slice(0, 1), "faint2");
      p.curve(slice(mean, std), "c2");
      p.text(cx, 262, "the known number →", "small");
      p.text(base + wide / 2, 12, "density of the other", "small");
      return `Knowing ${fixed(given, 1)}, the other number has mean ${fixed(mean)} and standard deviation ${fixed(std)}, instead of 0 and 1. Arrows: eigenvectors, two standard deviations long (${fixed(2 * major)}, ${fixed(2 * minor)}).`;
    },
  };

  diagrams.ringing = {
    inputs: { rho: { label: "Radius", min: 0.9, max: 1.005, step: 0.005, value: 0.98 }, hertz: { label: "Frequency, Hz", min: 100, max: 2000, step: 20, value: 440 } },
    buttons: { Hear: ({ rho, hertz }) => { const bell = ring(rho, hertz, 8000); const top = Math.max(...bell.map(Math.abs)); play(bell.map((v) => (0.4 * v) / top), 8000); } },
    height: () => 230,
    draw(p, W, { rho, hertz }) {
      const r = Math.min(85, W / 6);
      const [cx, cy] = [r + 20, 115];
      const left = 2 * r + 50;
      p.curve(range(65).map((i) => [cx + r * Math.cos((i * Math.PI) / 32), cy + r * Math.sin((i * Math.PI) / 32)]), "faint2");
      p.line(cx - r - 12, cy, cx + r + 12, cy, "faint");
      p.line(cx, cy - r - 12, cx, cy + r + 12, "faint");
      const w = (2 * Math.PI * hertz) / 8000;
      [1, -1].forEach((s) => p.dot(cx + r * rho * Math.cos(w), cy - s * r * rho * Math.sin(w), 6, rho < 1 ? "c1" : "c2"));
      const bell = ring(rho, hertz, 400);
      const top = Math.max(1e-9, ...bell.map(Math.abs));
      p.curve(bell.map((v, t) => [left + (t * (W - left - 15)) / 400, cy - (80 * v) / top]), rho < 1 ? "c1" : "c2");
      p.text((W + left) / 2, 222, "50 ms after one strike", "small");
      return rho < 1 ? `Each step multiplies by ${fixed(rho, 3)}: half of the sound is gone after ${Math.round((1000 * Math.log(0.5)) / Math.log(rho) / 8000)} ms.`
        : "On or outside the circle nothing fades: not stable.";
    },
  };
  function ring(rho, hertz, n) {
    const [a, b] = [2 * rho * Math.cos((2 * Math.PI * hertz) / 8000), -rho * rho];
    const x = [1, a];
    for (let t = 2; t < n; t++) x.push(a * x[t - 1] + b * x[t - 2]);
    return x;
  }

  diagrams.kalman = {
    steps: 13,
    height: () => 240,
    draw(p, W, { step }) {
      const seen = [1120, 1160, 963, 1210, 1160, 1160];
      const [H, Q] = [15099, 1469];
      let [a, P] = [1000, 40000];
      let stage = "prior";
      let t = 0;
      for (let k = 0; k < step; k++) {
        if (k % 2 === 0) { const K = P / (P + H); [a, P, stage] = [a + K * (seen[t] - a), P * (1 - K), "posterior"]; }
        else if (t + 1 < seen.length) { t += 1; P += Q; stage = "prior"; }
      }
      const X = (v) => 20 + ((v - 600) * (W - 40)) / 900;
      const bell = (m, v, c) => p.curve(range(181).map((i) => 600 + 5 * i).map((u) => [X(u), 195 - 28000 * normal(u, m, Math.sqrt(v))]), c);
      p.line(20, 196, W - 20, 196);
      [700, 900, 1100, 1300].forEach((v) => p.text(X(v), 210, v, "small"));
      if (stage === "posterior" || step % 2 === 0) bell(seen[t], H, "c3 dashed");
      bell(a, P, stage === "posterior" ? "c2" : "c1");
      p.dot(X(seen[t]), 196, 5, "c3");
      p.text(W / 2, 230, `year ${1871 + t}: flow ${seen[t]}`, "small");
      return stage === "prior" ? `Before the flow of ${1871 + t} is used: the level is believed to be ${Math.round(a)} ± ${Math.round(Math.sqrt(P))}${t ? ", wider than before, since it may have moved" : ""}. Dashed: what the measurement alone would say.`
        : `Prior times measurement, normalised: ${Math.round(a)} ± ${Math.round(Math.sqrt(P))}. Narrower than both.`;
    },
  };

  const compress = (x, levels) => Math.sign(x) * Math.log1p((levels - 1) * Math.abs(x)) / Math.log(levels);
  const expand = (y, levels) => (Math.sign(y) * (levels ** Math.abs(y) - 1)) / (levels - 1);
  const store = (x, levels, law) => {
    const y = law ? compress(x, levels) : x;
    const q = (Math.round(((y + 1) / 2) * (levels - 1)) / (levels - 1)) * 2 - 1;
    return law ? expand(q, levels) : q;
  };
  diagrams.quantise = {
    inputs: { bits: { label: "Bits", min: 2, max: 12, step: 1, value: 4 }, law: { label: "Steps", choices: ["equal", "µ-law"] }, softer: { label: "Softer by, dB", min: 0, max: 40, step: 4, value: 0 } },
    buttons: {
      Hear({ bits, law, softer }) { const g = 10 ** (-softer / 20); play([...word()].map((v) => store(v * g, 2 ** bits, law) / g), 8000); },
      "Hear the original": () => play(word(), 8000),
    },
    height: () => 220,
    draw(p, W, { bits, law, softer }) {
      const g = 10 ** (-softer / 20);
      const x = [...word()].map((v) => v * g);
      const y = x.map((v) => store(v, 2 ** bits, law));
      const piece = range(160).map((i) => 1560 + i);
      const top = Math.max(...piece.map((i) => Math.abs(x[i])), 1e-6) * 1.3;
      const [X, Y] = [(i) => 10 + ((i - 1560) * (W - 20)) / 160, (v) => 105 - (90 * Math.max(-1.1, Math.min(1.1, v / top)))];
      p.line(10, 105, W - 10, 105, "faint");
      p.curve(piece.flatMap((i) => [[X(i), Y(y[i])], [X(i + 1), Y(y[i])]]), "c2");
      p.curve(piece.map((i) => [X(i + 0.5), Y(x[i])]), "c1");
      const power = (v) => v.reduce((s, u) => s + u * u, 0);
      const snr = 10 * Math.log10(power(x) / Math.max(1e-20, power(x.map((v, i) => v - y[i]))));
      p.text(W / 2, 212, "20 ms of the vowel", "small");
      return `${2 ** bits} levels, ${law ? "µ-law" : "equal steps"}: signal-to-noise ratio of the word ${fixed(snr, 1)} dB.`;
    },
  };

  function levinson(r, order) {
    let [a, e] = [[], r[0]];
    for (let m = 0; m < order; m++) {
      const k = (r[m + 1] - a.reduce((s, v, i) => s + v * r[m - i], 0)) / e;
      a = [...a.map((v, i) => v - k * a[m - 1 - i]), k];
      e *= 1 - k * k;
    }
    return [a, e];
  }
  diagrams.lpc = {
    inputs: { order: { label: "Order", min: 0, max: 40, step: 1, value: 10 } },
    buttons: { "Hear what is left": ({ order }) => {
      const x = word();
      const r = range(order + 1).map((k) => x.reduce((s, v, t) => s + (t >= k ? v * x[t - k] : 0), 0));
      const [a] = levinson(r, order);
      const left = [...x].map((v, t) => v - a.reduce((s, c, i) => s + (t > i ? c * x[t - 1 - i] : 0), 0));
      const level = (y) => Math.sqrt(y.reduce((s, v) => s + v * v, 0) / y.length);
      play(left.map((v) => (v * level(x)) / Math.max(1e-9, level(left))), 8000);
    } },
    height: () => 240,
    draw(p, W, { order }) {
      const x = word();
      const frame = range(240).map((i) => (x[1520 + i] ?? 0) * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / 239)));
      const r = range(order + 1).map((k) => frame.reduce((s, v, i) => s + (i >= k ? v * frame[i - k] : 0), 0));
      r[0] = r[0] * 1.00001 + 1e-9;
      const [a, e] = levinson(r, order);
      const db = (re, im) => 10 * Math.log10(re * re + im * im + 1e-9);
      const [X, Y] = [(hz) => 40 + (hz * (W - 55)) / 4000, (v) => 20 + ((25 - v) * 180) / 80];
      const hz = range(200).map((i) => i * 20);
      p.curve(hz.map((f) => {
        let [re, im] = [0, 0];
        frame.forEach((v, i) => { re += v * Math.cos((2 * Math.PI * f * i) / 8000); im -= v * Math.sin((2 * Math.PI * f * i) / 8000); });
        return [X(f), Math.min(205, Y(db(re, im)))];
      }), "faint2 thin");
      p.curve(hz.map((f) => {
        let [re, im] = [1, 0];
        a.forEach((c, i) => { re -= c * Math.cos((2 * Math.PI * f * (i + 1)) / 8000); im += c * Math.sin((2 * Math.PI * f * (i + 1)) / 8000); });
        return [X(f), Math.min(205, Y(10 * Math.log10(e) - db(re, im)))];
      }), "c1");
      [0, 1000, 2000, 3000].forEach((f) => p.text(X(f), 220, `${f / 1000} kHz`, "small"));
      return `${order} coefficients leave ${fixed((100 * e) / r[0], 2)} % of the frame's power unexplained${order > 30 ? ": now single harmonics are followed, not the mouth" : ""}.`;
    },
  };

  diagrams.rnn = {
    steps: 6,
    height: () => 210,
    draw(p, W, { step }) {
      const T = 5;
      const X = (t) => 40 + (t * (W - 90)) / (T - 1);
      const symbols = "seven".split("");
      range(T).forEach((t) => {
        const on = t < step ? "c1" : "faint";
        p.labelled(X(t) - 18, 92, 36, 30, `h${"₁₂₃₄₅"[t]}`, on);
        p.arrow(X(t), 160, X(t), 124, on);
        p.text(X(t), 172, t ? symbols[t - 1] : "start", "small");
        p.arrow(X(t), 92, X(t), 58, on);
        p.text(X(t), 46, `p(${symbols[t]} | …)`, "small");
        if (t + 1 < T) p.arrow(X(t) + 18, 107, X(t + 1) - 18, 107, t + 1 < step ? "c1" : "faint");
        if (t + 1 < T && t < step - 1) p.curve([[X(t) + 20, 46], [(X(t) + X(t + 1)) / 2, 46], [(X(t) + X(t + 1)) / 2, 190], [X(t + 1), 190], [X(t + 1), 180]], "c2 dashed");
      });
      return step === 0 ? "The same cell at every step; only its state is handed on."
        : step <= T ? `Step ${step}: the state holds ${step === 1 ? "nothing yet" : `"${symbols.slice(0, step - 1).join("")}"`}; it gives a distribution of the next symbol, which is fed back.`
        : "In training all symbols are known: the dashed lines carry the true ones (teacher forcing).";
    },
  };

  diagrams.made = {
    inputs: { output: { label: "Output", min: 1, max: 5, step: 1, value: 4 }, choice: { label: "Choice of degrees", min: 1, max: 8, step: 1, value: 1 } },
    height: () => 240,
    draw(p, W, { output, choice }) {
      const D = 5;
      const hidden = range(7).map((i) => 1 + ((i + choice * i * i + choice) % (D - 1)));
      const X = (i, n) => 30 + ((i + 0.5) * (W - 60)) / n;
      const used = hidden.map((m) => m < output);
      const seen = range(D).map((j) => hidden.some((m, k) => used[k] && j + 1 <= m));
      hidden.forEach((m, k) => range(D).forEach((j) => { if (j + 1 <= m) p.line(X(j, D), 200, X(k, 7), 120, used[k] ? "c1" : "faint"); }));
      hidden.forEach((m, k) => range(D).forEach((d) => { if (m < d + 1) p.line(X(k, 7), 120, X(d, D), 40, d + 1 === output ? "c2" : "faint"); }));
      range(D).forEach((j) => { p.dot(X(j, D), 200, 9, seen[j] ? "c1" : "faint"); p.text(X(j, D), 224, `x${"₁₂₃₄₅"[j]}`, "small"); });
      hidden.forEach((m, k) => { p.dot(X(k, 7), 120, 10, used[k] ? "c1" : "faint"); p.text(X(k, 7), 120, m, "small on"); });
      range(D).forEach((d) => { p.dot(X(d, D), 40, 9, d + 1 === output ? "c2" : "faint"); p.text(X(d, D), 16, `p(x${"₁₂₃₄₅"[d]} | ·)`, "small"); });
      const names = range(D).filter((j) => seen[j]).map((j) => `x${"₁₂₃₄₅"[j]}`);
      return `Output ${output} sees ${names.join(", ") || "nothing"}: only hidden units of a degree below ${output} reach it, and they see only inputs up to their degree.`;
    },
  };

  diagrams.alignment = {
    steps: 8,
    height: () => 250,
    draw(p, W, { step }) {
      const T = 8;
      const X = (t) => 70 + (t * (W - 90)) / (T - 1);
      ["x[t−1]", "θ[t]", "x[t]"].forEach((s, i) => p.text(4, [140, 90, 40][i], s, "small", "start"));
      p.text(4, 190, "c[t]", "small", "start");
      p.text(4, 228, "frames", "small", "start");
      range(T).forEach((t) => {
        const on = t === step ? "c1" : t < step ? "faint2" : "faint";
        p.arrow(X(t), 132, X(t), 98, on);
        p.arrow(X(t), 82, X(t), 48, t === step ? "c2" : on);
        p.dot(X(t), 140, 6, t <= step ? "c1" : "faint");
        p.dot(X(t), 90, 6, on);
        p.dot(X(t), 40, 6, t === step ? "c2" : on);
        p.curve([[X(t), 184], [X(t) - 9, 150], [X(t) - 6, 96]], on);
        p.dot(X(t), 190, 5, t === step ? "c3" : "faint2");
        if (t > 0) p.line(X(t - 1), 40, X(t), 140, t === step ? "c2" : "faint");
      });
      range(2).forEach((n) => p.box(X(4 * n) - 10, 218, X(4 * n + 3) - X(4 * n) + 20, 20, Math.floor(step / 4) === n ? "c3" : "faint"));
      return `Time step ${step + 1}: the parameters of x[${step + 1}] come from ${step ? `the samples up to x[${step}]` : "no sample at all"} and from the conditioning of this very moment, spread from frame ${Math.floor(step / 4) + 1}.`;
    },
  };

  diagrams.voronoi = {
    inputs: { x: { label: "z, across", min: -2, max: 2, step: 0.1, value: 0.5 }, y: { label: "z, up", min: -2, max: 2, step: 0.1, value: 0.6 } },
    height: () => 300,
    draw(p, W, { x, y }) {
      const codes = [[-1.2, 1.1], [0.2, 1.4], [1.3, 0.9], [-0.4, 0.2], [0.9, -0.3], [-1.4, -0.6], [0.1, -1.3], [1.5, -1.4]];
      const k = Math.min(W - 40, 280) / 4.2;
      const [X, Y] = [(v) => W / 2 + k * v, (v) => 148 - k * v];
      codes.forEach((c, i) => {
        let cell = [[-2, -2], [2, -2], [2, 2], [-2, 2]];
        codes.forEach((d, j) => {
          if (i === j) return;
          const side = ([u, v]) => (u - (c[0] + d[0]) / 2) * (d[0] - c[0]) + (v - (c[1] + d[1]) / 2) * (d[1] - c[1]);
          cell = cell.flatMap((q, n) => {
            const r = cell[(n + 1) % cell.length];
            const [s, t] = [side(q), side(r)];
            const cut = [q[0] + ((r[0] - q[0]) * s) / (s - t), q[1] + ((r[1] - q[1]) * s) / (s - t)];
            return s <= 0 ? (t > 0 ? [q, cut] : [q]) : t <= 0 ? [cut] : [];
          });
        });
        const near = codes.every((d) => (c[0] - x) ** 2 + (c[1] - y) ** 2 <= (d[0] - x) ** 2 + (d[1] - y) ** 2);
        p.area(cell.map(([u, v]) => [X(u), Y(v)]), near ? "c1 cell" : "cell");
        p.dot(X(c[0]), Y(c[1]), 5, near ? "c1" : "faint2");
        if (near) {
          p.line(X(x), Y(y), X(c[0]), Y(c[1]), "faint2");
          const g = [0.55, -0.35];
          p.arrow(X(c[0]), Y(c[1]), X(c[0] + g[0]), Y(c[1] + g[1]), "c2");
          p.arrow(X(x), Y(y), X(x + g[0]), Y(y + g[1]), "c2 dashed");
        }
      });
      p.dot(X(x), Y(y), 6, "c3");
      return "The decoder gets the code, and its gradient is taken there; the encoder is given the same arrow at z. Cross a border and the code jumps.";
    },
  };

  diagrams.warp2d = {
    inputs: { layers: { label: "Layers", min: 0, max: 6, step: 1, value: 0 } },
    height: () => 300,
    draw(p, W, { layers }) {
      const couplings = [
        ([u, v]) => [u, v * Math.exp(0.35 * Math.sin(u)) + 0.9 * Math.cos(1.1 * u) - 0.4],
        ([u, v]) => [u * Math.exp(-0.3 * Math.tanh(v)) + 0.5 * Math.tanh(1.5 * v), v],
        ([u, v]) => [u, 0.8 * v + 0.5 * Math.tanh(2 * u)],
        ([u, v]) => [u + 0.6 * Math.sin(1.4 * v), v],
        ([u, v]) => [u, v * Math.exp(-0.25 * Math.cos(u)) - 0.3 * u],
        ([u, v]) => [1.1 * u - 0.4 * v * v + 0.3, v],
      ];
      const map = (q) => couplings.slice(0, layers).reduce((r, f) => f(r), q);
      const k = Math.min(W / 7, 45);
      const [X, Y] = [(u) => W / 2 + k * u, (v) => 150 - k * v];
      const at = (q) => { const [u, v] = map(q); return [X(u), Y(v)]; };
      range(11).forEach((i) => {
        const s = -2.5 + i / 2;
        p.curve(range(61).map((j) => at([s, -2.5 + j / 12])), "c1 thin");
        p.curve(range(61).map((j) => at([-2.5 + j / 12, s])), "c3 thin");
      });
      let seed = 7;
      const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
      range(260).forEach(() => {
        const [r, t] = [Math.sqrt(-2 * Math.log(random())), 2 * Math.PI * random()];
        const [u, v] = at([r * Math.cos(t), r * Math.sin(t)]);
        p.dot(u, v, 1.8, "c2");
      });
      return layers ? `After ${layers} coupling${layers > 1 ? "s" : ""}: ${layers % 2 ? "the last one moved points up and down, by functions of where they are across" : "the last one moved points across, by functions of how high they are"}.` : "Normal noise and a square grid. Add layers.";
    },
  };

  diagrams.vae = {
    steps: 5,
    inputs: { epsilon: { label: "Noise ε", min: -2, max: 2, step: 0.1, value: 0.8 } },
    height: () => 220,
    draw(p, W, { step, epsilon }) {
      const w = Math.min(90, W / 6.5);
      const X = (i) => 8 + (i * (W - 16 - w)) / 4;
      const on = (k) => (step >= k ? "c1" : "faint");
      [["x", 0], ["encoder", 1], ["z", 2], ["decoder", 3], ["p(x | z)", 4]].forEach(([s, i]) => p.labelled(X(i), 40, w, 36, s, on(i === 0 ? 0 : i)));
      range(4).forEach((i) => p.arrow(X(i) + w, 58, X(i + 1), 58, on(i + 1)));
      const [c, k] = [X(2) + w / 2, Math.min(28, W / 22)];
      const [mu, sigma] = [0.7, 0.5];
      const bell = (m, s, cls) => p.curve(range(121).map((i) => -3 + i / 20).map((v) => [c + k * v, 180 - 60 * normal(v, m, s)]), cls);
      bell(0, 1, "faint2 dashed");
      if (step >= 1) bell(mu, sigma, "c1");
      const z = mu + sigma * epsilon;
      p.dot(c + k * z, 180, 5, step >= 2 ? "c2" : "faint2"); // there before its step, for who moves ε first
      if (step >= 2) p.line(c, 78, c + k * z, 174, "faint2");
      p.text(c, 200, "prior (dashed) and guess", "small");
      const kl = 0.5 * (mu * mu + sigma * sigma - 1) - Math.log(sigma);
      return ["An example x.", "The encoder guesses the cause: a mean and a scale for each entry of z.",
        `A draw: z = µ + σ ε = ${fixed(mu + sigma * epsilon)}. Move ε: z moves smoothly, so the gradient passes.`,
        "The decoder turns the cause into the parameters of a density of x.",
        `The bound: how well x is explained, less what the guess costs against the prior, here ${fixed(kl)} nats.`][step];
    },
  };

  diagrams.sampling = {
    inputs: { hertz: { label: "Tone, Hz", min: 200, max: 7800, step: 100, value: 2700 }, half: { label: "Samples per second", choices: ["4,000", "8,000"] } },
    buttons: {
      "Hear the tone": ({ hertz }) => play(tone(hertz), 24000),
      "Hear what the samples say": ({ hertz, half }) => play(tone(folded(hertz, half ? 8000 : 4000)), 24000),
    },
    height: () => 220,
    draw(p, W, { hertz, half }) {
      const rate = half ? 8000 : 4000;
      const heard = folded(hertz, rate);
      const [X, Y] = [(ms) => 15 + (ms * (W - 30)) / 3, (v) => 100 - 75 * v];
      const wave = (f) => range(601).map((i) => [X(i / 200), Y(Math.cos((2 * Math.PI * f * i) / 200000))]);
      p.line(10, 100, W - 10, 100, "faint");
      p.curve(wave(hertz), "c1 thin");
      if (heard !== hertz) p.curve(wave(heard), "c2 dashed");
      range(Math.floor((3 * rate) / 1000) + 1).forEach((t) => p.dot(X((1000 * t) / rate), Y(Math.cos((2 * Math.PI * hertz * t) / rate)), 4, "c2"));
      p.text(W / 2, 205, "3 ms; dashed: the lowest tone through the dots", "small");
      return heard === hertz ? `${hertz} Hz is not above half of ${rate}: no lower tone has these samples.`
        : `${hertz} Hz is above half of ${rate}. A tone of ${heard} Hz has the same samples, and that one is heard.`;
    },
  };
  const folded = (hertz, rate) => Math.min(hertz % rate, rate - (hertz % rate));
  const tone = (hertz) => range(16000).map((t) => 0.3 * Math.cos((2 * Math.PI * hertz * t) / 24000) * Math.min(1, t / 800, (16000 - t) / 800));

  diagrams.area = {
    inputs: Object.fromEntries([["a", 1.2], ["b", 0.5], ["c", 0.3], ["d", 0.9]].map(([label, value]) =>
      [label, { label, min: -1.5, max: 1.5, step: 0.1, value }])),
    height: () => 260,
    draw(p, W, { a, b, c, d }) {
      const k = Math.min(40, W / 8);
      const at = (u, v) => [W / 2 + k * (a * u + b * v), 130 - k * (c * u + d * v)];
      const det = a * d - b * c;
      p.line(W / 2 - 3 * k, 130, W / 2 + 3 * k, 130, "faint");
      p.line(W / 2, 10, W / 2, 250, "faint");
      p.curve([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]].map(([u, v]) => [W / 2 + k * u, 130 - k * v]), "faint2 dashed");
      p.area([at(0, 0), at(1, 0), at(1, 1), at(0, 1)], det < 0 ? "c3" : "c1");
      range(5).forEach((i) => {
        p.line(...at(i / 4, 0), ...at(i / 4, 1), "faint2 thin");
        p.line(...at(0, i / 4), ...at(1, i / 4), "faint2 thin");
      });
      p.arrow(...at(0, 0), ...at(1, 0), "c2");
      p.arrow(...at(0, 0), ...at(0, 1), "c1");
      return `The unit square (dashed) becomes an area of ad − bc = ${fixed(det)}: a density in it is ${Math.abs(det) < 0.005 ? "not defined, for the square is flat" : `${fixed(1 / Math.abs(det))} times as high`}${det <= -0.005 ? ". The square is turned over" : ""}.`;
    },
  };

  // The word "seven" in three voices, by the mean of its latent vector: its two largest directions (tests/test_diagrams.py).
  const sevens = [
    [[-3.40, -1.19], [-3.75, -2.43], [-2.95, -2.28], [-3.83, -0.90], [-4.08, -2.20], [-3.22, -2.06], [-3.90, -0.82], [-4.14, -2.27], [-3.11, -2.06], [-3.98, -1.50], [-4.10, -2.83], [-3.27, -2.60]],
    [[-0.56, 3.52], [-0.70, 3.44], [-0.58, 3.50], [-0.53, 3.18], [-0.59, 3.16], [-0.67, 3.09], [0.09, 3.54], [-0.02, 3.63], [-0.07, 3.59], [0.05, 3.67], [-0.01, 3.70], [0.00, 3.68]],
    [[3.73, -1.24], [3.74, -1.26], [3.61, -1.49], [4.64, -0.70], [3.95, -1.50], [4.32, -1.27], [4.12, -1.47], [3.78, -1.84], [4.08, -1.83], [4.04, -1.75], [3.74, -1.94], [3.58, -2.23]],
  ];
  const places = [
    ["Quick and low, the first voice", -3.40, -1.19, "A recording."],
    ["Slow and high, the last voice", 3.58, -2.23, "A recording: another voice lies far away."],
    ["A held-out word, encoded and decoded", -4.14, -2.27, "From here the arrows start."],
    ["The tempo knob turned to slow", -4.13, -2.27, "Tempo lies in other directions: in this plane nothing moves, and the sound is longer."],
    ["The pitch knob turned up", -4.08, -2.62, "A short way, in the direction in which the voice's own clips differ in pitch."],
    ["Her word, moved all the way to the second speaker", -2.36, -0.71, "The step that is right for the average word: part of the way for this one."],
  ];
  diagrams.latent = {
    steps: places.length,
    buttons: { "Hear it": ({ step }) => [...document.querySelectorAll("figure.minigen-audio")]
      .find((f) => f.querySelector("figcaption strong")?.textContent === places[step][0])?.querySelector("audio").play() },
    height: () => 300,
    draw(p, W, { step }) {
      const k = Math.min((W - 40) / 11, 36);
      const [X, Y] = [(v) => W / 2 + k * v, (v) => 165 - k * v];
      sevens.forEach((voice, i) => {
        voice.forEach(([u, v]) => p.dot(X(u), Y(v), 3, `c${i + 1}`));
        p.text(X([-3.6, -0.3, 4][i]), Y([0, 2.5, -0.1][i]), ["first voice", "second voice", "third voice"][i], "small");
      });
      const [name, u, v, why] = places[step];
      if (step > 3) p.arrow(X(places[2][1]), Y(places[2][2]), X(u), Y(v), "c2");
      p.dot(X(u), Y(v), 7, "ring");
      return `${name}. ${why}`;
    },
  };

  // ---------------------------------------------------------------- one figure
  function build(figure, number) {
    const name = figure.dataset.diagram;
    const diagram = diagrams[name];
    if (!diagram) throw new Error(`no diagram called ${name}`);
    const caption = figure.querySelector("figcaption");
    caption.id ||= `minigen-diagram-${number}`;
    const svg = make("svg", { role: "img", "aria-labelledby": caption.id });
    const says = make("p", { class: "says", "aria-live": "polite" });
    const controls = make("div", { class: "controls" });
    figure.prepend(svg, controls, says);
    const state = { step: 0 };
    let timer = null;
    const draw = () => {
      const W = Math.max(280, Math.min(720, figure.clientWidth - 24));
      const H = diagram.height(W);
      svg.setAttribute("viewBox", `0 0 ${W} ${H}`);
      svg.setAttribute("width", W);
      svg.setAttribute("height", H);
      svg.replaceChildren();
      says.textContent = diagram.draw(pen(svg), W, state);
    };
    const button = (label, action) => {
      const node = make("button", { type: "button" }, controls, label);
      node.addEventListener("click", action);
      return node;
    };
    if (diagram.steps) {
      const stop = () => { clearInterval(timer); timer = null; if (playing) playing.textContent = "Play"; };
      const go = (step) => { state.step = step; draw(); if (step === diagram.steps - 1) stop(); };
      const playing = still.matches ? null : button("Play", () => {
        if (timer) return stop();
        if (state.step === diagram.steps - 1) go(0);
        playing.textContent = "Pause";
        timer = setInterval(() => go(state.step + 1), 1100);
      });
      button("Back", () => { stop(); go(Math.max(0, state.step - 1)); });
      button("Step", () => { stop(); go((state.step + 1) % diagram.steps); });
    }
    for (const [key, input] of Object.entries(diagram.inputs ?? {})) {
      const label = make("label", {}, controls, `${input.label} `);
      if (input.choices) {
        const select = make("select", {}, label);
        input.choices.forEach((choice, i) => make("option", { value: i }, select, choice));
        state[key] = 0;
        select.addEventListener("change", () => { state[key] = Number(select.value); state.step = 0; draw(); });
      } else {
        const { min, max, step, value } = input;
        const slider = make("input", { type: "range", min, max, step, value }, label);
        const shown = make("output", {}, label, value);
        state[key] = value;
        slider.addEventListener("input", () => { state[key] = Number(slider.value); shown.textContent = slider.value; draw(); });
      }
    }
    for (const [label, action] of Object.entries(diagram.buttons ?? {})) button(label, () => action(state));
    new ResizeObserver(draw).observe(figure);
    addEventListener("beforeprint", () => { if (diagram.steps) state.step = diagram.steps - 1; draw(); });
    draw();
  }

  const start = () => document.querySelectorAll("figure.minigen-diagram").forEach(build);
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
