// The search page shows of each page found what speaks of the words, rather than what stands around them: no code
// that is folded away (set-up, solutions), no TeX, no buttons. Loaded after Sphinx's searchtools.js, and there only.
(() => {
  "use strict";
  const APART = ".headerlink, script, style, svg, details.hide, details.sd-dropdown, .minigen-reading, .backrefs";
  const BLOCKS = "p, li, dt, dd, td, figcaption, h1, h2, h3, pre";
  const ROOM = 240;

  function blocks(page, anchor) {
    const parsed = new DOMParser().parseFromString(page, "text/html");
    let article = parsed.querySelector((anchor && ".bd-article " + anchor) || ".bd-article") || parsed.body;
    if (article.tagName === "DT") article = article.nextElementSibling; // of a word, what it means
    for (const e of article.querySelectorAll(APART)) e.remove();
    for (const e of article.querySelectorAll(".math")) {
      const tex = e.textContent.replace(/\\[()[\]]/g, "").trim();
      e.textContent = /[\\{}]/.test(tex) ? "…" : tex;
    }
    return [...article.querySelectorAll(BLOCKS)].filter((e) => !e.querySelector(BLOCKS))
      .map((e) => ({ prose: e.tagName !== "PRE", text: (e.closest("tr") || e).textContent.replace(/\s+/g, " ").trim() }));
  }

  function around(text, at) {
    const from = at < ROOM / 2 ? 0 : text.indexOf(" ", at - ROOM / 2) + 1;
    const end = from + ROOM >= text.length ? text.length : text.lastIndexOf(" ", from + ROOM);
    return (from ? "… " : "") + text.slice(from, end) + (end < text.length ? " …" : "");
  }

  Search.makeSearchSummary = (page, keywords, anchor) => {
    const asked = (new URLSearchParams(location.search).get("q") || "").toLowerCase().trim();
    const stems = [...keywords], typed = asked.split(/\s+/);
    const all = blocks(page, anchor);
    let best = { worth: -1 };
    for (const block of all) {
      const lower = block.text.toLowerCase(), within = (word) => lower.includes(word);
      const whole = lower.indexOf(asked), places = [...stems, ...typed].filter(within).map((word) => lower.indexOf(word));
      const exact = typed.filter((word) => (" " + lower.replace(/[^\p{L}\p{N}_]+/gu, " ") + " ").includes(" " + word + " "));
      const worth = Math.max(stems.filter(within).length, typed.filter(within).length) + 0.3 * exact.length
        + (whole >= 0 ? 1 : 0) + (block.prose ? 1.5 : 0) + (block.text.length > 60 ? 0.25 : 0);
      const at = whole >= 0 ? whole : Math.min(...places);
      if (places.length && worth > best.worth) best = { worth, at, text: block.text };
    }
    const opening = all.find((block) => block.prose && block.text.length > 60) || { text: "" };
    const summary = document.createElement("p");
    summary.className = "context";
    summary.textContent = best.worth < 0 ? around(opening.text, 0) : around(best.text, best.at);
    return summary;
  };
})();
