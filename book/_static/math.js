// Formulas: those on the first screen first, the others behind them in small portions, so that the
// page answers meanwhile. MathJax's own menu (enlarge, copy, explore) is fetched when it is asked for.
(() => {
  const FIRST = 12, PORTION = 40;
  const pause = () => new Promise((done) => setTimeout(done));

  async function typeset() {
    const all = [...document.querySelectorAll(".math")];
    const seen = all.filter((e) => {
      const box = e.getBoundingClientRect();
      return box.bottom > 0 && box.top < innerHeight;
    }).slice(0, FIRST);
    const later = all.filter((e) => !seen.includes(e));
    const portions = [seen.length ? seen : later.splice(0, FIRST)];
    while (later.length) portions.push(later.splice(0, PORTION));
    for (const portion of portions) {
      await MathJax.typesetPromise(portion);
      reachable(portion);
      await pause();
    }
  }

  // A formula that may be wider than a phone is reached, and scrolled, with the keyboard.
  const reachable = (elements) => elements.forEach((e) => e
    .querySelectorAll('mjx-container[display="true"]').forEach((m) => { m.tabIndex = 0; }));

  let menu = null; // a promise, once somebody asked
  async function withMenu(container) {
    const place = [...document.querySelectorAll("mjx-container")].indexOf(container);
    // its parts are in this file: the menu shall not ask for them again
    MathJax.loader.preLoad("core", "input/tex", "output/chtml", "a11y/assistive-mml");
    menu ||= MathJax.loader.load("ui/menu").then(() => {
      MathJax.startup.document.removeFromDocument(true);
      MathJax.startup.getComponents();
      return MathJax.typesetPromise([...document.querySelectorAll(".math")]);
    });
    await menu;
    return document.querySelectorAll("mjx-container")[place];
  }

  async function ask(event) {
    const container = event.target.closest?.("mjx-container");
    if (!container || menu) return; // once it is there, the menu listens for itself
    if (event.type === "keydown" && event.key !== " ") return;
    event.preventDefault();
    const box = container.getBoundingClientRect();
    const { clientX = box.x, clientY = box.y } = event;
    const again = await withMenu(container);
    again.focus();
    again.dispatchEvent(new MouseEvent("contextmenu", { clientX, clientY, bubbles: true }));
  }
  document.addEventListener("contextmenu", ask);
  document.addEventListener("keydown", ask);

  window.MathJax = {
    loader: { load: [] },
    startup: { pageReady: typeset },
  };
})();
