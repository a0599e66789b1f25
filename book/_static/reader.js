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
      const frame = document.createElement("div"), line = document.createElement("i");
      frame.className = "minigen-picture";
      line.hidden = true;
      picture.replaceWith(frame);
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

  function switchTo(group, n) {
    const now = group.find((c) => !c.audio.paused), next = group[n];
    const at = now ? now.audio.currentTime : 0;
    if (now && now !== next) now.audio.pause();
    const start = () => {
      next.audio.currentTime = Math.min(at, Math.max(0, next.audio.duration - 0.02));
      next.audio.play();
    };
    if (next === now) { next.audio.currentTime = 0; return; }
    if (next.audio.readyState) start();
    else {
      next.audio.addEventListener("loadedmetadata", start, { once: true });
      next.audio.load();
    }
  }

  function compare(group) {
    const bar = document.createElement("div"), levels = group.map((c) => parseFloat(c.audio.dataset.rms) || 0);
    bar.className = "minigen-compare";
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "Compare the clips of this section");
    const lowest = Math.min(...levels.filter((v) => v > 0));
    const title = document.createElement("span");
    title.textContent = "Compare, from the same instant (keys 1 to " + group.length + "):";
    bar.append(title);
    group.forEach((c, n) => {
      if (levels[n]) c.audio.volume = Math.max(0.05, Math.min(1, lowest / levels[n]));
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = (n + 1) + " · " + c.name + (c.length ? " (" + seconds(c.length) + ")" : "");
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => switchTo(group, n));
      bar.append(button);
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

  function sections() {
    const groups = new Map();
    for (const figure of document.querySelectorAll("figure.minigen-audio")) {
      if (!figure.querySelector("audio")) continue;
      const section = figure.closest("section");
      groups.set(section, [...(groups.get(section) || []), clip(figure)]);
    }
    for (const group of groups.values()) {
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
    const end = document.querySelector("article.bd-article")?.lastElementChild;
    if (!here || !end || !("IntersectionObserver" in window)) return;
    const last = document.querySelector(".prev-next-area") || end;
    new IntersectionObserver((seen, observer) => {
      if (!seen.some((s) => s.isIntersecting) || scrollY < 200) return;
      try { localStorage.setItem(KEY, JSON.stringify({ ...stored(), [here]: 1 })); } catch { /* private */ }
      observer.disconnect();
    }).observe(last);
  }

  const start = () => { sections(); progress(); };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
