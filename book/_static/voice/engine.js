/* What speaks in a reader's browser: the student's arithmetic and the plans, for a Web Worker.

   The page makes the worker from this function's text, so that it also runs from file://. The heavy part
   is book/voice/kernel.c; everything here follows the library, function by function. */
window.minigenEngine = function minigenEngine() {
  "use strict";
  const BLOCK = 480; // samples that go through all layers before the next ones do

  // ---------------------------------------------------------------- arithmetic
  const range = (n) => [...Array(n).keys()];
  const clip = (x, low, high) => Math.min(Math.max(x, low), high);
  /** Half to even, as Python rounds. */
  const rint = (x) => (x % 1 === 0.5 || x % 1 === -0.5 ? 2 * Math.round(x / 2) : Math.round(x));
  /** The line through (xs, ys), at x; constant beyond its ends. numpy.interp. */
  function interp(x, xs, ys) {
    if (x <= xs[0]) return ys[0];
    const last = xs.length - 1;
    if (x >= xs[last]) return ys[last];
    let [low, high] = [0, last];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (xs[middle] <= x) low = middle;
      else high = middle;
    }
    return ys[low] + ((ys[high] - ys[low]) / (xs[high] - xs[low])) * (x - xs[low]);
  }
  const rows = (count, length) => range(count).map(() => new Float32Array(length));

  /** Standard normal noise of a seed: mulberry32, Box and Muller. */
  function normal(count, seed) {
    let state = seed >>> 0;
    const uniform = () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    return Float32Array.from({ length: count }, () =>
      Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()));
  }

  // ---------------------------------------------------------------- weights
  function decoded(text) {
    const characters = atob(text);
    const bytes = new Uint8Array(characters.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
    return bytes;
  }
  /** {name: {shape, data}} of a pack, in single precision. */
  function read(pack) {
    const bytes = decoded(pack.data).buffer;
    const half = new Float32Array(65536);
    for (let code = 0; code < 65536; code++) {
      const [exponent, fraction] = [(code >> 10) & 31, code & 1023];
      half[code] = (code & 0x8000 ? -1 : 1) *
        (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction);
    }
    const found = {};
    for (const [name, [type, shape, start, end]] of Object.entries(pack.tensors)) {
      const part = bytes.slice(start, end);
      const data = new Float32Array(shape.reduce((count, size) => count * size, 1));
      const steps = type === "I8" ? new Float32Array(part, 0, shape[0]) : null;
      const codes = steps ? new Int8Array(part, 4 * shape[0]) : type === "F16" ? new Uint16Array(part) : new Float32Array(part);
      const width = data.length / shape[0];
      for (let i = 0; i < data.length; i++)
        data[i] = steps ? codes[i] * steps[Math.floor(i / width)] : type === "F16" ? half[codes[i]] : codes[i];
      found[name] = { shape, data };
    }
    return found;
  }

  // ---------------------------------------------------------------- the kernel's memory
  let kernel = null;
  let top = 0;
  let floats = null;
  /** Start the first of the modules that this browser can run. */
  async function start(binaries) {
    const modules = binaries.map(decoded);
    kernel = (await WebAssembly.instantiate(modules.find((module) => WebAssembly.validate(module)))).instance.exports;
    top = (kernel.__heap_base.value + 15) & ~15;
  }
  /** Room for so many floats -> its address in bytes. It is given back by setting `top` again. */
  function room(count) {
    const address = top;
    top = (top + 4 * count + 15) & ~15;
    const missing = top + 65536 - kernel.memory.buffer.byteLength;
    if (missing > 0) kernel.memory.grow(Math.ceil(missing / 65536));
    if (!floats || floats.buffer !== kernel.memory.buffer) floats = new Float32Array(kernel.memory.buffer);
    return address;
  }
  function put(values) {
    const address = room(values.length);
    floats.set(values, address >> 2);
    return address;
  }
  const view = (address, count) => floats.subarray(address >> 2, (address >> 2) + count);
  /** Rows `order` of value(row, k), K of them each, in groups of four: what the kernel calls packed. */
  function packed(order, K, value) {
    const filled = [...order, ...Array((4 - (order.length % 4)) % 4).fill(null)];
    const out = new Float32Array(filled.length * K);
    filled.forEach((row, i) => {
      for (let k = 0; row !== null && k < K; k++) out[(i - (i % 4)) * K + 4 * k + (i % 4)] = value(row, k);
    });
    return put(out);
  }
  const padded = (values, count) => put(Float32Array.from({ length: count }, (_, i) => values[i] ?? 0));

  /** A convolution over frames, from {weight, bias}: in (K rows of N) -> out rows; the kernel does a tap at a time. */
  function convolution(tensors, name, dilation = 1) {
    const { shape: [O, K, taps], data } = tensors[`${name}.weight`];
    const each = range(taps).map((j) => packed(range(O), K, (o, k) => data[(o * K + k) * taps + j]));
    const bias = padded(tensors[`${name}.bias`].data, O + 3);
    return (input, N) => {
      const before = top;
      const [reach, stride] = [dilation * (taps - 1) / 2, (N + 7) & ~7];
      const [wide, out] = [stride + 2 * reach, room(((O + 3) & ~3) * stride)];
      const from = room(K * wide + 8);
      view(from, K * wide).fill(0);
      input.forEach((row, k) => floats.set(row, (from >> 2) + k * wide + reach));
      each.forEach((w, j) => kernel.affine(w, bias, O, K, from + 4 * j * dilation, wide, out, stride, stride, j > 0));
      const result = range(O).map((o) => view(out + 4 * o * stride, N).slice());
      top = before;
      return result;
    };
  }

  // ---------------------------------------------------------------- chapter 9: conditioning
  function upsampler(tensors) {
    const name = "upsampler.";
    const first = convolution(tensors, `${name}input_projection`);
    const second = convolution(tensors, `${name}output_projection`);
    const who = tensors[`${name}speaker_embedding.weight`];
    const hidden = who.shape[1];
    /** Frame features (F rows of N) -> rows of conditioning, still one value a frame. */
    return (frames, speaker, N) => {
      const h = first(frames, N).map((row, c) => row.map((v) => Math.tanh(v + who.data[speaker * hidden + c])));
      return second(h, N).map((row) => row.map(Math.tanh));
    };
  }

  /** The phase of the fundamental at every sample: 2 pi sum of F0 / rate. */
  function phase(f0, rate, centred) {
    const hop = rate / 100;
    const voiced = range(f0.length).filter((n) => f0[n] > 0);
    const out = new Float64Array(f0.length * hop);
    if (!voiced.length) return out;
    const heights = voiced.map((n) => f0[n]);
    let sum = 0;
    for (let t = 0; t < out.length; t++) {
      sum += interp((t + 0.5 * centred) / hop - 0.5 * centred, voiced, heights);
      out[t] = 2 * Math.PI * sum / rate;
    }
    return out;
  }

  /** cos and sin of the phase, of twice and of four times it, and pulses if asked for, faded where unvoiced. */
  function phaseFeatures(phi, f0, pulses) {
    const [T, hop] = [phi.length, phi.length / f0.length];
    const out = rows(pulses ? 7 : 6, T);
    const index = range(f0.length);
    const voiced = f0.map((hz) => +(hz > 0));
    const slowest = 2 * Math.PI * 40 / (100 * hop);
    for (let t = 0; t < T; t++) {
      const voicing = interp((t + 0.5) / hop - 0.5, index, voiced);
      [1, 2, 4].forEach((k, i) => {
        out[i][t] = voicing * Math.cos(k * phi[t]);
        out[3 + i][t] = voicing * Math.sin(k * phi[t]);
      });
      if (!pulses) continue;
      const [a, b] = [Math.max(t - 1, 0), Math.min(t + 1, T - 1)];
      const step = Math.max((phi[b] - phi[a]) / (b - a), slowest);
      const d = ((phi[t] + Math.PI) % (2 * Math.PI) - Math.PI) / step;
      out[6][t] = voicing * Math.exp(-0.5 * (d / 0.8) ** 2) * Math.sqrt(2 * Math.PI / step / (0.8 * Math.sqrt(Math.PI)));
    }
    return out;
  }
  const pitchRows = (f0) => [f0.map((hz) => +(hz > 0)), f0.map((hz) => (hz > 0 ? Math.log(hz / 130) : 0))];

  /** [[phone, start, end]] and F0 -> rows of frame features. */
  function frameFeatures(times, f0, inventory) {
    const [P, N] = [inventory.length, f0.length];
    const out = rows(3 * P + 3, N);
    const code = (i) => inventory.indexOf(times[i]?.[0] ?? "pau");
    let i = 0;
    for (let n = 0; n < N; n++) {
      const centre = (n + 0.5) * 0.01;
      while (i < times.length - 1 && times[i][2] < centre) i++;
      const [, from, to] = times[i];
      [i, i - 1, i + 1].forEach((k, block) => { out[block * P + code(k)][n] = 1; });
      const place = clip((centre - from) / Math.max(to - from, 1e-3), 0, 1);
      out[3 * P][n] = place;
      out[3 * P + 1][n] = 1 - place;
      out[3 * P + 2][n] = Math.log(Math.max(to - from, 1e-3) / 0.1);
    }
    return [...out, ...pitchRows(f0).map((row) => Float32Array.from(row))];
  }

  // ---------------------------------------------------------------- chapter 14: the student
  /** Inverse autoregressive flows, read from their tensors -> (conditioning, phase, noise) -> samples. */
  function student(tensors) {
    const has = (name) => `student.flows.${name}` in tensors;
    const tensor = (name) => tensors[`student.flows.${name}`];
    const F = tensors["upsampler.output_projection.weight"].shape[0]; // rows of conditioning that are not phase
    const flows = range(64).filter((k) => has(`${k}.skip.weight`)).map((k) => {
      const entry = tensor(`${k}.input_projection.weight`).data;
      const linear = tensor(`${k}.linear`)?.data ?? [];
      const skip = tensor(`${k}.skip.weight`);
      const [R, S] = [entry.length, skip.shape[0]];
      const layers = range(64).filter((l) => has(`${k}.layers.${l}.conv.weight`)).map((l) => {
        const at = (what) => tensor(`${k}.layers.${l}.${what}`);
        const [conv, bias, cond] = [at("conv.weight").data, at("conv.bias").data, at("cond.weight")];
        const [C, residual] = [cond.shape[1], at("residual.weight")?.data];
        const order = range(R / 2).flatMap((g) => [2 * g, 2 * g + 1, R + 2 * g, R + 2 * g + 1]);
        const wide = 2 * R + C - F;
        const weights = packed(order, wide, (row, i) => i < 2 * R
          ? conv[(row * R + (i % R)) * 2 + (i < R ? 0 : 1)]
          : cond.data[row * C + F + i - 2 * R]);
        const outward = packed(range(S), R, (s, c) => skip.data[s * skip.shape[1] + l * R + c]);
        let next = 0;
        if (residual) {
          next = packed(range(R), R, (o, i) => residual[o * R + i]);
          put(at("residual.bias").data); // right behind, where the kernel looks for it
        }
        const frames = packed(order, F, (row, i) => cond.data[row * C + i]);
        const framesBias = put(Float32Array.from(order, (row) => bias[row]));
        return { weights, outward, next, past: 2 ** l, frames, framesBias, P: C - F };
      });
      const matrix = (name, O, K) => packed(range(O), K, (o, i) => tensor(name).data[o * K + i]);
      return {
        R, S, layers,
        past: Math.max(1, linear.length),
        entry: packed(range(R), 1, (o) => entry[o] * inputScale(k)),
        entryBias: put(tensor(`${k}.input_projection.bias`).data),
        skipBias: put(tensor(`${k}.skip.bias`).data),
        hidden: matrix(`${k}.hidden.weight`, S, S),
        hiddenBias: put(tensor(`${k}.hidden.bias`).data),
        head: matrix(`${k}.output_projection.weight`, 2, S),
        headBias: padded(tensor(`${k}.output_projection.bias`).data, 4),
        taps: linear.length,
        linear: packed([0], linear.length, (_, i) => linear[i]),
      };
    });
    function inputScale(k) { return tensors.input_scale.data[k]; }

    /** c: F rows of N frames, wave: P rows of T, noise: T -> T samples. hop: samples in a frame. */
    return (c, wave, noise, hop) => {
      const before = top;
      const [N, T] = [c[0].length, noise.length];
      const phases = put(new Float32Array(wave.length * T + 8));
      wave.forEach((row, p) => floats.set(row, (phases >> 2) + p * T));
      const stride = (N + 7) & ~7;
      const [given, made] = [room(F * stride), room(2 * Math.max(...flows.map((flow) => flow.R)) * stride)];
      c.forEach((row, f) => floats.set(row, (given >> 2) + f * stride));
      const most = Math.max(...flows.map((flow) => flow.S));
      const [skip, hidden, head, moved] = [room(most * BLOCK), room(most * BLOCK), room(4 * BLOCK), room(BLOCK)];
      const states = flows.map(({ R, past, layers }) => ({
        x: put(new Float32Array(past + BLOCK)),
        layers: layers.map((layer) => {
          const values = new Float32Array(N * 2 * R);
          kernel.affine(layer.frames, layer.framesBias, 2 * R, F, given, stride, made, stride, stride, 0);
          const found = view(made, 2 * R * stride);
          for (let i = 0; i < 2 * R; i++) for (let n = 0; n < N; n++) values[n * 2 * R + i] = found[i * stride + n];
          return { cond: put(values), h: put(new Float32Array(R * (layer.past + BLOCK))), stride: layer.past + BLOCK };
        }),
      }));
      const out = new Float32Array(T);
      for (let start = 0; start < T; start += BLOCK) {
        const n = Math.min(BLOCK, T - start);
        let block = noise.subarray(start, start + n);
        flows.forEach((flow, k) => {
          const { R, S, past } = flow;
          const { x, layers } = states[k];
          view(x + 4 * past, n).set(block);
          view(moved, n).set(block);
          kernel.affine(flow.entry, flow.entryBias, R, 1, x + 4 * (past - 1), 0,
            layers[0].h + 4 * flow.layers[0].past, layers[0].stride, n, 0);
          kernel.affine(0, flow.skipBias, S, 0, 0, 0, skip, BLOCK, n, 0);
          flow.layers.forEach((layer, l) => {
            const { cond, h, stride } = layers[l];
            const after = layers[l + 1];
            const to = after ? after.h + 4 * flow.layers[l + 1].past : 0;
            kernel.gated(layer.weights, R, h + 4 * layer.past, stride, layer.past, phases + 4 * start, layer.P, T,
              cond, N, start, hop, layer.outward, skip, BLOCK, S, layer.next, to, after ? after.stride : 0, n);
          });
          kernel.affine(0, 0, S, 0, 0, 0, skip, BLOCK, n, 3);
          kernel.affine(flow.hidden, flow.hiddenBias, S, S, skip, BLOCK, hidden, BLOCK, n, 2);
          kernel.affine(flow.head, flow.headBias, 4, S, hidden, BLOCK, head, BLOCK, n, 0);
          kernel.affine(flow.linear, 0, 4, flow.taps, x + 4 * (past - 1), -1, head, BLOCK, n, 1);
          kernel.shift_and_scale(moved, head, head + 4 * BLOCK, n);
          view(x, past + n).copyWithin(0, n);
          layers.forEach(({ h, stride }, l) => {
            const d = flow.layers[l].past;
            for (let r = 0; r < R; r++) view(h + 4 * r * stride, stride).copyWithin(0, n, n + d);
          });
          block = view(moved, n);
        });
        out.set(block, start);
      }
      top = before;
      return out;
    };
  }

  // ---------------------------------------------------------------- the digits
  /** How a speaker says a word on average -> [[phone, start, end]], F0 of each frame. conditioning.plan. */
  function planDigit({ phones, durations, log_f0, voicing }, pace, pitch) {
    let end = 0;
    const times = phones.map((name, i) => [name, end, (end += durations[i] / pace)]);
    const places = times.flatMap(([, from, to]) => [0.1, 0.3, 0.5, 0.7, 0.9].map((k) => from + (to - from) * k));
    const f0 = range(rint(end / 0.01)).map((n) => {
      const centre = (n + 0.5) * 0.01;
      return interp(centre, places, voicing) < 0.5 ? 0 : pitch * Math.exp(interp(centre, places, log_f0));
    });
    return [times, f0];
  }

  function digits(pack) {
    const tensors = read(pack);
    const [up, flow] = [upsampler(tensors), student(tensors)];
    const words = pack.words;
    return {
      rate: pack.rate,
      /** Text -> what is said, what cannot be, and the plan's features. */
      plan({ text, speaker, pace, pitch }) {
        const found = text.toLowerCase().match(/\p{L}+|[0-9]|[^\s.,;:!?-]/gu) ?? [];
        const named = found.map((token) => (/^[0-9]$/.test(token) ? words[+token] : token));
        const said = named.filter((word) => words.includes(word));
        const parts = said.map((word) => planDigit(pack.plans[speaker][word], pace, pitch));
        return { said, guessed: [], unknown: named.filter((word) => !words.includes(word)), parts };
      },
      speak({ parts }, { speaker, temperature }, noise) {
        const each = parts.map(([times, f0]) => [
          frameFeatures(times, f0, pack.phones),
          phaseFeatures(phase(f0, pack.rate, 0), f0, false),
        ]);
        const [frames, wave] = [0, 1].map((which) => joined(each.map((pair) => pair[which])));
        const c = up(frames, pack.speakers.indexOf(speaker), frames[0].length);
        return flow(c, wave, noise(wave[0].length).map((v) => temperature * v), pack.rate / 100);
      },
    };
  }
  /** Rows of several parts, one after the other. */
  function joined(parts) {
    return parts[0].map((_, r) => {
      const out = new Float32Array(parts.reduce((sum, part) => sum + part[r].length, 0));
      let at = 0;
      parts.forEach((part) => { out.set(part[r], at); at += part[r].length; });
      return out;
    });
  }

  // ---------------------------------------------------------------- text and prosody, speech/prosody.py
  const SILENCE = "pau";
  const TEENS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(" ");
  const TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split(" ");
  /** A whole number below a million -> words. */
  function spelled(n) {
    if (n < 20) return [TEENS[n]];
    if (n < 100) return [TENS[Math.floor(n / 10) - 2], ...(n % 10 ? spelled(n % 10) : [])];
    const unit = n < 1000 ? 100 : 1000;
    return [...spelled(Math.floor(n / unit)), unit === 100 ? "hundred" : "thousand", ...(n % unit ? spelled(n % unit) : [])];
  }

  /** Words -> phones: a lexicon, and rules for the words that it has not. */
  function reader({ lexicon, weak, rules, letters, near, vowels }) {
    const classes = (c) => c.replaceAll("C", "[^aeiou]").replaceAll("V", "[aeiouy]");
    const compiled = rules.split(/[;\n]/).filter((rule) => rule.trim()).map((rule) => {
      const [context, phones] = rule.split(">");
      const [left, middle, right] = context.trim().split(/\s+/);
      const before = left === "." ? /(?:)/ : left === "^" ? null : new RegExp(`(?:${classes(left)})$`);
      return { middle, before, after: new RegExp(right === "." ? "" : `^(?:${classes(right)})`), phones: phones.split(" ").filter(Boolean) };
    });
    const spell = (word) => [...word].flatMap((letter) => (letters[letter] ?? "").split(" ").filter(Boolean));
    function guess(word) {
      const out = [];
      for (let place = 0; place < word.length;) {
        const rule = compiled.find(({ middle, before, after }) => word.startsWith(middle, place)
          && (before ? before.test(word.slice(Math.max(0, place - 2), place)) : place === 0)
          && after.test(word.slice(place + middle.length)));
        out.push(...rule.phones);
        place += rule.middle.length;
      }
      return out.some((phone) => vowels.includes(phone)) ? out : spell(word);
    }
    /** -> sentences of phones, the words, those that the rules guessed, and what cannot be read at all. */
    return (text) => {
      const [sentences, said, guessed, unknown] = [[], [], [], []];
      let row = []; // [word, its phones]
      const close = () => {
        while (row.at(-1)?.[0] === "") row.pop();
        const before = (next) => !next || !next[0] || vowels.includes(next[1][0]); // a vowel or a pause
        const phones = row.flatMap(([word, usual], i) => weak[word]?.[+before(row[i + 1])].split(" ") ?? usual);
        if (row.length) sentences.push([SILENCE, ...phones.map((phone) => near[phone] ?? phone), SILENCE]);
        row = [];
      };
      const plain = text.replace(/[’‘]/g, "'").toLowerCase();
      for (const token of plain.match(/[a-z]+(?:'[a-z]+)*|\d+(?:,\d{3})*|[.!?…]+|[,;:()"“”—–]|[^\s-]/g) ?? []) {
        if (/^[.!?…]/.test(token)) { close(); continue; }
        if (/^[,;:()"“”—–]/.test(token)) {
          if (row.length && row.at(-1)[0]) row.push(["", [SILENCE]]);
          continue;
        }
        const figures = token.replaceAll(",", "");
        const words = !/^\d/.test(token) ? [token]
          : figures.length > 6 ? [...figures].map((d) => TEENS[+d]) : spelled(+figures);
        for (const word of words) {
          let phones = lexicon[word]?.split(" ");
          if (!phones && /^[a-z']+$/.test(word)) {
            phones = guess(word.replaceAll("'", ""));
            guessed.push(word);
          }
          if (!phones?.length) { unknown.push(word); continue; }
          said.push(word);
          row.push([word, phones]);
        }
      }
      close();
      sentences.slice(0, -1).forEach((phones) => phones.push(SILENCE, SILENCE)); // 0.4 s before the next
      return { sentences, said, guessed, unknown };
    };
  }

  /** Durations and F0 of phones: the mean in the most specific context that was seen often enough. */
  function prosody({ durations, offset, voicing, level, manner, vowels }) {
    const mean = (table, keys) => table[keys.find((key) => key in table)];
    function contexts(phones) {
      return phones.map((phone, i) => {
        const [before, after] = [phones[i - 1] ?? SILENCE, phones[i + 1] ?? SILENCE];
        let place = i === 0 ? "start" : i === phones.length - 1 ? "end" : "inside";
        if (phone !== SILENCE) {
          const end = phones.indexOf(SILENCE, i);
          const rest = phones.slice(i + 1, end < 0 ? phones.length : end);
          const late = rest.length || vowels.includes(phone) ? "late" : "end";
          place = `${before === SILENCE ? "first" : ""} ${rest.some((p) => vowels.includes(p)) ? "" : late}`;
        }
        const [left, right] = [manner[before] ?? before, manner[after] ?? after];
        return [...[`${before} ${after}`, `(${left} ${right})`, `(${right})`].map((near) => `${phone} ${near} ${place}`),
          `${phone} ${place}`, phone, ""];
      });
    }
    const centres = range(level[0].length).map((k) => (k + 0.5) / level[0].length);

    /** phones -> [[phone, start, end]], F0 of each frame in Hz. */
    return (phones, pace, pitch) => {
      const described = contexts(phones);
      let now = 0;
      const times = phones.map((phone, i) => [phone, now, (now += Math.exp(mean(durations, described[i])) / pace)]);
      const speech = phones.map((phone) => phone !== SILENCE);
      let number = -1;
      const phrase = speech.map((spoken, i) => (number += +(spoken && !speech[i - 1])));
      const parts = range(number + 1).map((index) => {
        const inside = times.filter((_, i) => speech[i] && phrase[i] === index);
        return [inside[0][1], inside.at(-1)[2]];
      });
      let i = 0;
      const frames = range(Math.max(1, rint(now / 0.01))).map((n) => {
        const centre = (n + 0.5) * 0.01;
        while (i < times.length - 1 && times[i][2] < centre) i++;
        const within = (centre - times[i][1]) / Math.max(times[i][2] - times[i][1], 1e-3);
        const third = clip(Math.trunc(3 * within), 0, 2);
        const keys = [...[1, 3, 4].map((k) => `${described[i][k]} @${third}`), ""];
        const index = Math.max(phrase[i], 0);
        const [first, until] = parts[index];
        const kind = number === 0 ? 0 : index === 0 ? 1 : index === number ? 3 : 2;
        const place = clip((centre - first) / Math.max(until - first, 1e-3), 0, 1);
        return { offset: mean(offset, keys), voiced: mean(voicing, keys) > 0.5, level: interp(place, centres, level[kind]) };
      });
      const at = (n) => frames[clip(n, 0, frames.length - 1)].offset;
      return [times, frames.map(({ voiced, level: height }, n) => {
        if (!voiced) return 0;
        const smooth = [1, 2, 3, 2, 1].reduce((sum, weight, k) => sum + weight * at(n + k - 2), 0) / 9;
        return pitch * Math.exp(height + smooth);
      })];
    };
  }

  // ---------------------------------------------------------------- mel bands
  const toMel = (hz) => 2595 * Math.log10(1 + hz / 700);
  const toHz = (mel) => 700 * (10 ** (mel / 2595) - 1);
  function melBank(rate, frame, mels) {
    const points = range(mels + 2).map((i) => toHz(toMel(rate / 2) * i / (mels + 1)));
    return range(mels).map((m) => range(frame / 2 + 1).map((k) => {
      const hz = k * rate / frame;
      const [low, middle, high] = points.slice(m, m + 3);
      return Math.max(0, Math.min((hz - low) / (middle - low), (high - hz) / (high - middle)));
    }));
  }
  const total = (values) => values.reduce((sum, v) => sum + v, 0);

  /** What the harmonics of F0 alone do to each mel band: acoustic_model.harmonic_bands. */
  function harmonics(rate, mels) {
    const [frame, size] = [4 * Math.trunc(rate * 8 / 1000), 256];
    const bank = melBank(rate, frame, mels);
    const sums = bank.map(total);
    const log = range(size).map((i) => Math.log(50) + Math.log(10) * i / (size - 1));
    const cos = Float64Array.from({ length: frame }, (_, j) => Math.cos(2 * Math.PI * j / frame));
    const sin = Float64Array.from({ length: frame }, (_, j) => Math.sin(2 * Math.PI * j / frame));
    const table = new Map();
    function row(index) {
      if (table.has(index)) return table.get(index);
      const hz = Math.exp(log[index]);
      const count = Math.trunc(rate / 2 / hz);
      const x = range(frame).map((j) => {
        const half = Math.PI * hz / rate * (j - frame / 2);
        const wave = j === frame / 2 ? count : Math.sin((2 * count + 1) * half) / (2 * Math.sin(half)) - 0.5;
        return wave * (0.5 - 0.5 * Math.cos(2 * Math.PI * j / (frame - 1)));
      });
      const magnitude = range(frame / 2 + 1).map((k) => {
        let [a, b] = [0, 0];
        for (let j = 0; j < frame; j++) { a += x[j] * cos[j * k % frame]; b += x[j] * sin[j * k % frame]; }
        return Math.hypot(a, b);
      });
      const bands = bank.map((weights, m) => {
        let sum = 0;
        weights.forEach((w, k) => { sum += w * magnitude[k]; });
        return Math.log(Math.max(sum, 1e-3) / sums[m]);
      });
      const mean = total(bands) / mels;
      table.set(index, bands.map((v) => Math.fround(v - mean)));
      return table.get(index);
    }
    return (f0) => {
      const out = rows(mels, f0.length);
      f0.forEach((hz, n) => {
        if (hz <= 0) return;
        const wanted = Math.log(Math.max(hz, 1));
        let best = 0;
        log.forEach((height, i) => { if (Math.abs(wanted - height) < Math.abs(wanted - log[best])) best = i; });
        row(best).forEach((v, m) => { out[m][n] = v; });
      });
      return out;
    };
  }

  /** The error function, within 1.2e-7 (Numerical Recipes). */
  function erf(x) {
    const t = 1 / (1 + 0.5 * Math.abs(x));
    const series = [-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277];
    const left = t * Math.exp(-x * x + series.reduceRight((sum, c) => sum * t + c, 0));
    return x >= 0 ? 1 - left : left - 1;
  }

  /** Phones, times and F0 -> log-mel bands: acoustic_model.AcousticModel. */
  function acousticModel(tensors, { phones, dilations }, rate, mels) {
    const first = convolution(tensors, "input_projection");
    const blocks = dilations.map((dilation, i) => ({
      scale: tensors[`blocks.${i}.0.weight`].data,
      shift: tensors[`blocks.${i}.0.bias`].data,
      wide: convolution(tensors, `blocks.${i}.1`, dilation),
      narrow: convolution(tensors, `blocks.${i}.4`),
    }));
    const last = convolution(tensors, "output_projection");
    const bands = harmonics(rate, mels);
    return (times, f0) => {
      const N = f0.length;
      const harmonic = bands(f0);
      let h = first([...frameFeatures(times, f0, phones), ...harmonic], N);
      for (const { scale, shift, wide, narrow } of blocks) {
        const mean = total(h.map(total)) / (N * h.length);
        const deviation = Math.sqrt(total(h.map((row) => row.reduce((sum, v) => sum + (v - mean) ** 2, 0))) / (N * h.length) + 1e-5);
        const level = h.map((row, c) => row.map((v) => (v - mean) / deviation * scale[c] + shift[c]));
        const inner = wide(level, N).map((row) => row.map((v) => 0.5 * v * (1 + erf(v * Math.SQRT1_2))));
        const more = narrow(inner, N);
        h = h.map((row, c) => row.map((v, n) => v + more[c][n]));
      }
      return last(h, N).map((row, m) =>
        row.map((v, n) => v * tensors.spread.data[m] + tensors.mean.data[m] + harmonic[m][n]));
    };
  }

  // ---------------------------------------------------------------- chapter 13: linear prediction
  const SUBFRAMES = 4;
  /** Where each bin lies between the centres of bands: [the band below, how far to the next]. */
  function toBins(rate, frame, mels) {
    const edge = (m) => toMel(rate / 2) * (m + 1) / (mels + 1);
    return range(frame / 2 + 1).map((k) => {
      const at = clip((toMel(k * rate / frame) - edge(0)) / (edge(1) - edge(0)), 0, mels - 1);
      const low = Math.min(Math.floor(at), mels - 2);
      return [low, at - low];
    });
  }
  /** Log-mel bands (M rows of N) -> predictors {a: K numbers, gain} of N * SUBFRAMES short frames. */
  function predictors(mel, rate, order, noise, scale) {
    const [mels, N] = [mel.length, mel[0].length];
    const frame = 4 * rint(0.032 * rate / 4);
    const bins = frame / 2 + 1;
    const logs = melBank(rate, frame, mels).map((weights) => Math.log(total(weights)));
    const within = toBins(rate, frame, mels);
    const window = range(order + 1).map((k) => Math.exp(-0.5 * (2 * Math.PI * 40 / rate * k) ** 2) * (k ? 1 : 1.0001));
    const waves = range(order + 1).map((k) => Float64Array.from({ length: bins }, (_, j) =>
      Math.cos(2 * Math.PI * k * j / frame) * (j === 0 || j === frame / 2 ? 1 : 2) / frame * window[k]));
    const level = Math.log(4 / Math.PI / (0.375 * frame));
    return range(N * SUBFRAMES).map((s) => {
      const at = clip((s + 0.5) / SUBFRAMES - 0.5, 0, N - 1);
      const n = Math.min(Math.floor(at), Math.max(N - 2, 0));
      const next = Math.min(n + 1, N - 1);
      const mean = mel.map((row, m) => row[n] + (at - n) * (row[next] - row[n]) - logs[m]);
      const power = within.map(([low, part]) =>
        Math.exp(2 * (mean[low] + part * (mean[low + 1] - mean[low])) + level) + noise ** 2);
      const r = waves.map((wave) => {
        let sum = 0;
        for (let j = 0; j < bins; j++) sum += wave[j] * power[j];
        return sum;
      });
      let [a, error] = [[], r[0]];
      for (let m = 0; m < order; m++) { // Levinson
        const k = (r[m + 1] - a.reduce((sum, v, i) => sum + v * r[m - i], 0)) / error;
        a = [...a.map((v, i) => v - k * a[m - 1 - i]), k];
        error *= 1 - k * k;
      }
      return { a, gain: scale * Math.sqrt(error) };
    });
  }

  /** x[t] = gain e[t] + sum of a_k x[t - k]. */
  function allPole(e, filters) {
    const hop = e.length / filters.length;
    const order = filters[0].a.length;
    const x = new Float64Array(order + e.length);
    filters.forEach(({ a, gain }, s) => {
      for (let t = s * hop; t < (s + 1) * hop; t++) {
        let sum = gain * e[t];
        for (let k = 0; k < order; k++) sum += a[k] * x[order + t - 1 - k];
        x[order + t] = sum;
      }
    });
    return Float32Array.from(x.subarray(order));
  }

  // ---------------------------------------------------------------- chapter 14: speech/band_correction.py
  /** -> a function: samples, and the log-mel bands (M rows of N) that they should have -> samples nearer to them. */
  function correction(rate, mels) {
    const [hop, frame] = [rate / 100, 4 * rint(0.032 * rate / 4)];
    const [bins, before] = [frame / 2 + 1, (frame - hop) / 2];
    const [bank, within] = [melBank(rate, frame, mels), toBins(rate, frame, mels)];
    const angle = (k) => 2 * Math.PI * k / frame;
    const window = range(frame).map((i) => 0.5 - 0.5 * Math.cos(angle(i)));
    const wave = (row, i) => (row < bins ? Math.cos(angle(row * i)) : -Math.sin(angle((row - bins) * i)));
    const sides = (row) => (row % bins % (bins - 1) ? 2 : 1) / frame;
    const product = (O, K, value) => convolution({
      "w.weight": { shape: [O, K, 1], data: Float32Array.from({ length: O * K }, (_, at) => value(Math.floor(at / K), at % K)) },
      "w.bias": { data: new Float32Array(O) },
    }, "w");
    const analysis = product(2 * bins, frame, (row, i) => window[i] * wave(row, i));
    const synthesis = product(frame, 2 * bins, (i, row) => window[i] * wave(row, i) * sides(row));
    return (x, mel) => {
      const N = mel[0].length;
      const at = (t) => x[t - before] ?? 0;
      const parts = analysis(range(frame).map((i) => Float32Array.from({ length: N }, (_, n) => at(n * hop + i))), N);
      for (let n = 0; n < N; n++) {
        const magnitude = range(bins).map((k) => Math.sqrt(parts[k][n] ** 2 + parts[bins + k][n] ** 2 + 1e-12));
        const missing = bank.map((weights, m) => {
          const has = Math.log(weights.reduce((sum, v, k) => sum + v * magnitude[k], 0));
          return clip(Math.max(mel[m][n], -6) - Math.max(has, -6), -1.4, 1.4);
        });
        within.forEach(([low, part], k) => {
          const gain = Math.exp(missing[low] + part * (missing[low + 1] - missing[low]));
          parts[k][n] *= gain;
          parts[bins + k][n] *= gain;
        });
      }
      const [sum, weight] = [0, 0].map(() => new Float64Array(x.length + 2 * before));
      synthesis(parts, N).forEach((row, i) => row.forEach((v, n) => {
        sum[n * hop + i] += v;
        weight[n * hop + i] += window[i] ** 2;
      }));
      return Float32Array.from(x, (_, t) => sum[t + before] / weight[t + before]);
    };
  }

  /** The voice of any sentence: text, prosody, mel bands, excitation, filter, correction. speech/synthesis.py. */
  function allison(pack) {
    const { rate, mels, order, noise: dither } = pack;
    const tensors = read(pack);
    const [up, flow] = [upsampler(tensors), student(tensors)];
    const bands = acousticModel(tensors, pack.acoustic, rate, mels);
    const [text, timed, corrected] = [reader(pack), prosody(pack), correction(rate, mels)];
    return {
      rate,
      plan(request) {
        const { sentences, ...found } = text(request.text);
        return { ...found, sentences, parts: sentences.map((phones) => timed(phones, request.pace, request.pitch)) };
      },
      speak({ parts }, { temperature }, noise) {
        const each = parts.map(([times, f0]) => [
          [...bands(times, f0).map((row) => row.map((v) => (Math.max(v, -6) + 6) / 3 - 1)), ...pitchRows(f0).map((row) => Float32Array.from(row))],
          phaseFeatures(phase(f0, rate, 1), f0, true),
        ]);
        const [frames, wave] = [0, 1].map((which) => joined(each.map((pair) => pair[which])));
        const c = up(frames, 0, frames[0].length);
        const e = flow(c, wave, noise(wave[0].length).map((v) => temperature * v), rate / 100);
        const mel = frames.slice(0, mels).map((row) => row.map((v) => (v + 1) * 3 - 6));
        const x = allPole(e, predictors(mel, rate, order, dither, tensors.scale.data[0]));
        return corrected(x, mel);
      },
    };
  }

  // ---------------------------------------------------------------- messages
  const kinds = { digits, allison };
  let voice = null;
  self.onmessage = async ({ data: message }) => {
    try {
      if (message.pack) {
        await start(message.pack.kernels);
        voice = kinds[message.pack.kind](message.pack);
        self.postMessage({ ready: true, rate: voice.rate });
        return;
      }
      const began = performance.now();
      const plan = voice.plan(message);
      const { said, guessed, unknown } = plan;
      let audio = new Float32Array(0);
      if (plan.parts.length) {
        audio = voice.speak(plan, message, (count) => message.noise ?? normal(count, message.seed));
        audio.forEach((v, t) => { audio[t] = clip(v, -1, 1); });
      }
      const seconds = (performance.now() - began) / 1000;
      self.postMessage({ audio, rate: voice.rate, seconds, said, guessed, unknown }, [audio.buffer]);
    } catch (error) {
      self.postMessage({ error: String(error.stack ?? error) });
    }
  };
};
