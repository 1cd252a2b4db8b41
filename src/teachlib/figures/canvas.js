// A picture to paint on, and beside it what the kernel answers. Anywidget calls `render` for each view.

const STYLE = `
.teachlib-brush { display: flex; flex-wrap: wrap; gap: .5rem 1rem; color: inherit; }
.teachlib-brush canvas { touch-action: none; cursor: crosshair; max-width: 100%; }
.teachlib-brush canvas:focus-visible { outline: 3px solid #D55E00; outline-offset: 2px; }
.teachlib-brush img { image-rendering: pixelated; max-width: 100%; }
.teachlib-brush .controls { flex-basis: 100%; display: flex; flex-wrap: wrap; gap: .3rem 1rem; align-items: center; }
.teachlib-brush output { flex-basis: 100%; min-height: 1.5em; }`;
const HELP = "Paint with mouse, finger or pen; or by keys: arrows move, space paints, Delete erases.";
const SIDE = 256; // of the shorter side, in CSS pixels
const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function element(name, parent, properties = {}) {
  const made = Object.assign(document.createElement(name), properties);
  parent.append(made);
  return made;
}

function build(el, model, zoom) {
  const [height, width] = model.get("shape");
  el.dataset.lmSuppressShortcuts = "true"; // JupyterLab would take arrows and space for itself
  element("style", el, { textContent: STYLE });
  const root = element("div", el, { className: "teachlib-brush" });
  const canvas = element("canvas", root, { width: width * zoom, height: height * zoom, tabIndex: 0 });
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", `${model.get("label")}. ${HELP}`);
  const answer = element("img", root, { width: width * zoom, height: height * zoom, alt: model.get("alt") });
  const controls = element("div", root, { className: "controls" });
  const sized = element("label", controls, { textContent: "Brush " });
  const radius = element("input", sized, { type: "range", min: 0, max: Math.ceil(width / 8), value: Math.round(width / 16) });
  const erased = element("label", controls);
  const erases = element("input", erased, { type: "checkbox" });
  erased.append(" Erase");
  const clear = element("button", controls, { type: "button", textContent: "Clear" });
  const said = element("output", root);
  return { canvas, answer, radius, erases, clear, said };
}

function render({ model, el }) {
  const [height, width] = model.get("shape");
  const zoom = Math.max(1, Math.round(SIDE / Math.min(height, width)));
  const { canvas, answer, radius, erases, clear, said } = build(el, model, zoom);
  const ink = canvas.getContext("2d");
  const photograph = new Image();
  let marks = [];
  let at = [height >> 1, width >> 1]; // where the keys' brush is: row, column
  let last = null; // of a stroke of the pointer

  function draw() {
    ink.imageSmoothingEnabled = false;
    ink.clearRect(0, 0, canvas.width, canvas.height);
    ink.drawImage(photograph, 0, 0, canvas.width, canvas.height);
    ink.fillStyle = "rgba(213, 94, 0, .7)";
    marks.forEach((marked, n) => marked && ink.fillRect((n % width) * zoom, Math.floor(n / width) * zoom, zoom, zoom));
    const reach = +radius.value;
    ink.strokeStyle = "#0072B2";
    ink.lineWidth = 2;
    ink.strokeRect((at[1] - reach) * zoom, (at[0] - reach) * zoom, (2 * reach + 1) * zoom, (2 * reach + 1) * zoom);
  }

  function dab([row, column], marked) {
    const reach = +radius.value;
    for (let y = Math.max(0, row - reach); y <= Math.min(height - 1, row + reach); y++)
      for (let x = Math.max(0, column - reach); x <= Math.min(width - 1, column + reach); x++)
        if ((y - row) ** 2 + (x - column) ** 2 <= (reach + 0.5) ** 2) marks[y * width + x] = marked;
  }

  function stroke(from, to, marked) {
    const steps = Math.max(Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1]), 1);
    for (let n = 0; n <= steps; n++)
      dab([0, 1].map((axis) => Math.round(from[axis] + (n / steps) * (to[axis] - from[axis]))), marked);
    at = to;
    draw();
  }

  function send() {
    model.set("marks", marks.map((marked) => (marked ? "1" : "0")).join(""));
    model.save_changes();
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    const share = [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width];
    return [height, width].map((side, axis) => Math.min(side - 1, Math.max(0, Math.floor(share[axis] * side))));
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault(); // neither selects nor scrolls
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    last = place(event);
    stroke(last, last, !erases.checked);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    const next = place(event);
    stroke(last, next, !erases.checked);
    last = next;
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, () => {
      if (last) send();
      last = null;
    });

  const painting = (key) => key === " " || key === "Delete" || key === "Backspace";
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in ARROWS || painting(event.key))) return;
    event.preventDefault();
    event.stopPropagation();
    const from = at;
    const way = ARROWS[event.key] ?? [0, 0];
    at = [height, width].map((side, axis) => Math.min(side - 1, Math.max(0, from[axis] + way[axis])));
    if (painting(event.key)) stroke(at, at, event.key === " " && !erases.checked);
    draw();
  });
  canvas.addEventListener("keyup", (event) => painting(event.key) && send());
  radius.addEventListener("input", draw);
  clear.addEventListener("click", () => {
    marks.fill(false);
    draw();
    send();
  });

  function read() {
    marks = Array.from(model.get("marks"), (mark) => mark === "1");
    draw();
  }
  function show() {
    answer.src = model.get("made");
    said.value = model.get("said");
  }
  photograph.addEventListener("load", draw);
  photograph.src = model.get("picture");
  model.on("change:marks", read);
  model.on("change:made change:said", show);
  read();
  show();
  return () => {
    model.off("change:marks", read);
    model.off("change:made change:said", show);
  };
}

export default { render };
