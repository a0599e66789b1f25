// For readers: clips of one section are compared on the spot, one sounds at a time, and the menu
// remembers, in this browser only, which chapters were read to their end.
(() => {
  "use strict";
  const seconds = (s) => (s < 9.95 ? s.toFixed(2) : s.toFixed(1)) + " s";

  function clip(figure) {
    const audio = figure.querySelector("audio"), picture = figure.querySelector("img");
    const length = parseFloat(audio.dataset.seconds) || 0;
    if (length) { // the browser's own player says 0:00 for less than a second
      const said = document.createElement("p");
      said.className = "minigen-length";
      said.textContent = seconds(length);
      audio.after(said);
    }
    if (picture && picture.dataset.axis) { // a line that moves over waveform and spectrogram
      const [left, right] = picture.dataset.axis.split(" ").map(Number);
      const scroll = document.createElement("div"), frame = document.createElement("div"), line = document.createElement("i");
      scroll.className = "minigen-scroll";
      frame.className = "minigen-picture";
      line.hidden = true;
      picture.replaceWith(scroll);
      scroll.append(frame);
      frame.append(picture, line);
      const draw = () => {
        line.hidden = !audio.currentTime;
        line.style.left = 100 * (left + (right - left) * audio.currentTime / (audio.duration || length)) + "%";
        if (!audio.paused) requestAnimationFrame(draw);
      };
      for (const event of ["play", "seeked", "ended", "timeupdate"]) audio.addEventListener(event, draw);
      frame.addEventListener("click", (e) => {
        const box = picture.getBoundingClientRect();
        const share = ((e.clientX - box.x) / box.width - left) / (right - left);
        const go = () => { audio.currentTime = Math.min(1, Math.max(0, share)) * audio.duration; };
        if (audio.readyState) go();
        else { audio.addEventListener("loadedmetadata", go, { once: true }); audio.load(); }
      });
    }
    return { figure, audio, length, name: figure.querySelector("figcaption strong").textContent };
  }

  function switchTo(group, n, from = null) {
    const now = group.find((c) => !c.audio.paused), next = group[n];
    const at = from ?? (now ? now.audio.currentTime : 0);
    if (now && now !== next) now.audio.pause();
    const start = () => {
      next.audio.currentTime = Math.min(at, Math.max(0, next.audio.duration - 0.02));
      next.audio.play();
    };
    if (next === now) { next.audio.currentTime = from ?? 0; return; }
    if (next.audio.readyState) start();
    else {
      next.audio.addEventListener("loadedmetadata", start, { once: true });
      next.audio.load();
    }
  }

  const NS = "http://www.w3.org/2000/svg", STEP = 0.02, WIDE = 1000, HIGH = 40;

  // The outline of a clip on the time axis of the longest one of its group.
  function lane(c, longest) {
    const box = document.createElement("div"), svg = document.createElementNS(NS, "svg");
    const path = document.createElementNS(NS, "path"), line = document.createElement("i");
    box.className = "minigen-lane";
    box.setAttribute("aria-hidden", "true");
    svg.setAttribute("viewBox", "0 0 " + WIDE + " " + HIGH);
    svg.setAttribute("preserveAspectRatio", "none");
    const step = WIDE * STEP / longest;
    const top = [...(c.audio.dataset.outline || "")].map((digit, n) =>
      [n * step, (HIGH / 2 - 1) * (0.03 + 0.97 * parseInt(digit, 36) / 35)]);
    const end = Math.min(WIDE, WIDE * c.length / longest);
    const at = (x, y) => Math.min(x, end).toFixed(1) + "," + y.toFixed(1);
    const along = (points, side) => points.map(([x, y]) =>
      side > 0 ? at(x, HIGH / 2 - y) + "L" + at(x + step, HIGH / 2 - y)
        : at(x + step, HIGH / 2 + y) + "L" + at(x, HIGH / 2 + y));
    if (top.length) path.setAttribute("d", "M" + [...along(top, 1), ...along([...top].reverse(), -1)].join("L") + "Z");
    line.hidden = true;
    svg.append(path);
    box.append(svg, line);
    return { box, line };
  }

  function compare(group) {
    const bar = document.createElement("div"), levels = group.map((c) => parseFloat(c.audio.dataset.rms) || 0);
    bar.className = "minigen-compare";
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "Compare the clips of this section");
    const lowest = Math.min(...levels.filter((v) => v > 0));
    const title = document.createElement("span");
    const longest = Math.max(...group.map((c) => c.length));
    const lanes = longest && group.every((c) => c.audio.dataset.outline) ? group.map((c) => lane(c, longest)) : [];
    title.textContent = "Compare, from the same instant (keys 1 to " + group.length + ")"
      + (lanes.length ? "; all on one time axis, 0 to " + seconds(longest) : "") + ":";
    bar.append(title);
    const place = () => {
      const now = group.find((c) => !c.audio.paused);
      group.forEach((c, n) => {
        if (!lanes[n]) return;
        lanes[n].line.hidden = !now || now.audio.currentTime > c.length;
        if (now) lanes[n].line.style.left = 100 * now.audio.currentTime / longest + "%";
      });
      if (now) requestAnimationFrame(place);
    };
    group.forEach((c, n) => {
      if (levels[n]) c.audio.volume = Math.max(0.05, Math.min(1, lowest / levels[n]));
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = (n + 1) + " · " + c.name + (c.length ? " (" + seconds(c.length) + ")" : "");
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => switchTo(group, n));
      bar.append(button);
      if (lanes[n]) {
        bar.append(lanes[n].box);
        lanes[n].box.addEventListener("click", (e) => {
          const box = lanes[n].box.getBoundingClientRect();
          switchTo(group, n, longest * (e.clientX - box.x) / box.width);
        });
      }
      c.audio.addEventListener("play", place);
      for (const event of ["play", "pause", "ended"]) c.audio.addEventListener(event, () => {
        button.setAttribute("aria-pressed", String(!c.audio.paused));
        c.figure.classList.toggle("sounding", !c.audio.paused);
      });
    });
    const note = document.createElement("span");
    note.textContent = "Louder clips are turned down to the level of the softest.";
    if (levels.some((v) => v > 1.12 * lowest)) bar.append(note);
    group[0].figure.before(bar);
    const keys = (e) => {
      const n = Number(e.key) - 1;
      if (e.ctrlKey || e.altKey || e.metaKey || !(n >= 0 && n < group.length)) return;
      e.preventDefault();
      switchTo(group, n);
    };
    for (const element of [bar, ...group.map((c) => c.figure)]) element.addEventListener("keydown", keys);
  }

  // A word beside a long row of them would be a dot on their time axis: clips of about one length are compared.
  function alike(group) {
    const parts = [];
    for (const c of group) {
      const part = parts.find((p) => p.every((o) => Math.max(o.length, c.length) <= 3 * Math.min(o.length, c.length)));
      if (part) part.push(c); else parts.push([c]);
    }
    return parts;
  }

  function sections() {
    const groups = new Map();
    for (const figure of document.querySelectorAll("figure.minigen-audio")) {
      if (!figure.querySelector("audio")) continue;
      const section = figure.closest("section");
      groups.set(section, [...(groups.get(section) || []), clip(figure)]);
    }
    for (const group of [...groups.values()].flatMap(alike)) {
      for (let k = 0; group.length > 1 && k < group.length; k += 9) {
        const part = group.slice(k, k + 9);
        if (part.length > 1) compare(part);
      }
    }
    document.addEventListener("play", (e) => {
      for (const other of document.querySelectorAll("audio")) if (other !== e.target) other.pause();
    }, true);
  }

  const KEY = "minigen-read";
  const stored = () => {
    try { return JSON.parse(localStorage.getItem(KEY)) || {}; } catch { return {}; }
  };
  function progress() {
    const here = (location.pathname.match(/((?:book|exercises)\/\d\d_\w+)\.html$/) || [])[1];
    for (const link of document.querySelectorAll(".bd-sidebar-primary a[href]")) {
      const name = (link.pathname.match(/((?:book|exercises)\/\d\d_\w+)\.html$/) || [])[1];
      if (!name || !stored()[name] || link.querySelector(".minigen-done")) continue;
      const mark = document.createElement("span");
      mark.className = "minigen-done";
      mark.textContent = " ✓";
      mark.title = "read to its end";
      link.append(mark);
    }
    if (/\/book\/(index\.html)?$/.test(location.pathname)) goOn();
    const end = document.querySelector("article.bd-article")?.lastElementChild;
    if (!here || !end || !("IntersectionObserver" in window)) return;
    const last = document.querySelector(".prev-next-area") || end;
    new IntersectionObserver((seen, observer) => {
      if (!seen.some((s) => s.isIntersecting) || scrollY < 200) return;
      try { localStorage.setItem(KEY, JSON.stringify({ ...stored(), [here]: 1 })); } catch { /* private */ }
      observer.disconnect();
    }).observe(last);
  }

  // On the first page: how much was read, and the next chapter.
  function goOn() {
    const chapters = [...document.querySelectorAll(".bd-sidebar-primary a[href]")]
      .filter((link) => /\/book\/\d\d_\w+\.html$/.test(link.pathname));
    const name = (link) => link.pathname.match(/(book\/\d\d_\w+)\.html$/)[1], done = stored();
    const read = chapters.filter((link) => done[name(link)]), next = chapters.find((link) => !done[name(link)]);
    const heading = document.querySelector("article.bd-article h1");
    if (!read.length || !heading) return;
    const line = document.createElement("p"), forget = document.createElement("button");
    line.className = "minigen-reading";
    line.append("You have read " + read.length + " of " + chapters.length + " chapters. ");
    if (next) {
      const link = document.createElement("a");
      link.href = next.href;
      link.textContent = "Go on with " + next.textContent.trim();
      line.append(link, ". ");
    }
    forget.type = "button";
    forget.textContent = "Forget this";
    forget.addEventListener("click", () => {
      try { localStorage.removeItem(KEY); } catch { /* private */ }
      line.remove();
      for (const mark of document.querySelectorAll(".minigen-done")) mark.remove();
    });
    line.append(forget);
    heading.after(line);
  }

  // What scrolls sideways, a picture on a phone, is reached with the keyboard.
  function reachable() {
    for (const e of document.querySelectorAll(".minigen-scroll, .cell_output .text_html, .cell_output .output")) {
      const scrolls = e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== "visible";
      if (scrolls) e.tabIndex = 0;
      else e.removeAttribute("tabindex");
      e.classList.toggle("minigen-wide", scrolls && e.querySelector(":scope > img") !== null);
    }
  }

  const start = () => {
    sections();
    progress();
    reachable();
    addEventListener("resize", reachable);
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
