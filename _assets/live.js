// Models that run in this page. Nothing of them is loaded before the reader asks, and nothing leaves the page.
//
// The book puts `<div class="teachlib-demo" data-demo="NAME" data-bytes="N">still figure</div>` where a demo can run.
// `live/runtime-N.js` (ONNX Runtime, in parts) and `live/NAME.js` (models, constants, and the script that draws) are
// classic scripts, so that they load from a disk, too. A script is registered by
//
//     teachlibLive.draw("NAME", async ({ place, run, constants, say }) => { … });
//
// with the element to fill; `run(model, {input: numbers})`, which gives {output: Float32Array}; the constants of the
// demo; and a function that puts a line below the demo, where screen readers hear it.

(() => {
  "use strict";
  const home = new URL("live/", document.currentScript.src).href;
  const PARTS = 8; // of the runtime, so that progress can be shown from a disk, too
  const version = new URL(document.currentScript.src).search; // so that a cache gives no older book's files
  const demos = {};
  const parts = [];
  const loads = new Map(); // file → promise: each is loaded once, whatever is asked for again

  const live = {
    part: (number, text) => (parts[number] = text),
    give: (name, given) => (demos[name] = { ...demos[name], ...given }),
    draw: (name, script) => (demos[name] = { ...demos[name], script }),
  };
  window.teachlibLive = live;

  live.element = (tag, parent, properties = {}, attributes = {}) => {
    const made = Object.assign(document.createElement(tag), properties);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    parent?.append(made);
    return made;
  };

  // ---------------------------------------------------------------------------------------------------------- loading

  function load(file) {
    if (!loads.has(file))
      loads.set(
        file,
        new Promise((done, failed) => {
          const script = live.element("script", null, { src: home + file + version, async: false });
          script.onload = done;
          script.onerror = () => {
            loads.delete(file);
            script.remove();
            failed(new Error(`${file} could not be loaded`));
          };
          document.head.append(script);
        }),
      );
    return loads.get(file);
  }

  async function unpacked(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  let engine = null;

  async function started() {
    const { binary, glue } = JSON.parse(parts.join(""));
    parts.length = 0; // megabytes that nobody needs twice
    const address = async (text, type) => URL.createObjectURL(new Blob([await unpacked(text)], { type }));
    const wasm = await address(binary, "application/wasm");
    ort.env.wasm.numThreads = 1; // more would need headers that not every host sends
    ort.env.wasm.wasmPaths = { mjs: await address(glue, "text/javascript"), wasm };
    return ort;
  }

  function running(onnx) {
    let last = Promise.resolve(); // a session runs one input at a time
    return (inputs) => {
      const next = last.then(async () => {
        const session = await onnx.session;
        const feeds = {};
        for (const [name, shape] of Object.entries(onnx.inputs)) {
          const values = Float32Array.from(inputs[name]);
          const count = shape.reduce((a, b) => a * b, 1);
          if (values.length !== count) throw new Error(`${name} has ${values.length} numbers; expected ${count}`);
          feeds[name] = new ort.Tensor("float32", values, shape);
        }
        const outputs = await session.run(feeds);
        return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, tensor.data]));
      });
      last = next.catch(() => {});
      return next;
    };
  }

  async function models(name, tell) {
    const files = Array.from({ length: PARTS }, (_, n) => `runtime-${n}.js`);
    const wanted = ["engine.js", ...(engine ? [] : files), `${name}.js`];
    let come = 0;
    const all = wanted.map((file) => load(file).then(() => tell(++come / (wanted.length + 1))));
    await Promise.all(all);
    engine ??= started();
    await engine;
    const run = {};
    for (const [key, model] of Object.entries(demos[name].models)) {
      const session = unpacked(model.onnx).then((bytes) =>
        ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] }),
      );
      await session;
      run[key] = running({ ...model, session });
    }
    return (model, inputs) => run[model](inputs);
  }

  // ------------------------------------------------------------------------------------------------------- in the page

  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

  function offer(box) {
    const name = box.dataset.demo;
    const still = box.firstElementChild;
    const bar = live.element("p", box, { className: "offer" });
    const button = live.element("button", bar, { type: "button", textContent: "Run the models here" });
    const note = live.element("span", bar, { className: "note" });
    const progress = live.element("progress", bar, { max: 1, value: 0, hidden: true }, { "aria-label": "Loading" });
    const place = live.element("div", box, { className: "place", hidden: true });
    const said = live.element("output", box, { className: "said" }, { "aria-live": "polite" });
    const words = `loads ${megabytes(box.dataset.bytes)} once for all such figures; they run in this page, and nothing is sent`;
    note.textContent = words;
    let ready = false;

    function show(running) {
      still.hidden = running;
      place.hidden = said.hidden = !running;
      button.textContent = running ? "Show the still figure" : "Run the models here";
      note.hidden = running;
    }

    async function start() {
      if (ready) return show(place.hidden);
      button.disabled = true;
      progress.hidden = false;
      note.textContent = "loading …";
      try {
        const run = await models(name, (share) => (progress.value = share));
        const { script, constants } = demos[name];
        place.hidden = false; // a script may measure it
        await script({ place, run, constants, say: (text) => (said.textContent = text) });
        ready = true;
        show(true);
        (place.querySelector("[tabindex],input,button") ?? button).focus({ preventScroll: true });
        box.dataset.state = "running";
      } catch (error) {
        place.replaceChildren();
        place.hidden = true;
        still.hidden = false;
        note.textContent = `The models could not be run (${error.message ?? error}); the still figure stays.`;
        box.dataset.state = "failed";
      }
      progress.hidden = true;
      button.disabled = false;
    }
    said.hidden = true;
    button.addEventListener("click", start);
  }

  // ----------------------------------------------------------------------------------------------- what scripts draw by

  // The colours of the book's figures (teachlib.figures.style), and the page's own ink.
  live.palette = ["#0072B2", "#D55E00", "#009E73", "#B8608F", "#A67C00", "#2B93CC"];
  live.ink = (element) => getComputedStyle(element).color;

  // Numbers in [0, 1], channel by channel, into a canvas of that many pixels.
  live.picture = (canvas, values, channels = 1) => {
    const { width, height } = canvas;
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    const area = width * height;
    for (let n = 0; n < area; n++) {
      for (let c = 0; c < 3; c++) image.data[4 * n + c] = 255 * values[n + (channels === 3 ? c * area : 0)];
      image.data[4 * n + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  };

  live.frame = (parent, side, label) =>
    live.element("canvas", parent, { width: side, height: side, className: "pixels" }, { role: "img", "aria-label": label });

  // Calls that come faster than they are answered: the last one counts.
  live.latest = (answer) => {
    let waiting = null;
    let busy = false;
    return async function ask(...given) {
      waiting = given;
      if (busy) return;
      busy = true;
      while (waiting) {
        const now = waiting;
        waiting = null;
        await new Promise(requestAnimationFrame);
        await answer(...now);
      }
      busy = false;
    };
  };

  live.slider = (parent, label, { min, max, step, value }, changed) => {
    const box = live.element("label", parent, { textContent: label });
    const input = live.element("input", box, { type: "range", min, max, step, value });
    input.addEventListener("input", () => changed(+input.value));
    return input;
  };

  live.button = (parent, text, pressed) => {
    const made = live.element("button", parent, { type: "button", textContent: text });
    made.addEventListener("click", pressed);
    return made;
  };

  // ------------------------------------------------------------------------------------------------------- handwriting

  // A pad to write a digit on, by pointer or by keys; `changed` is called with its pixels as MNIST has them.
  live.pad = (parent, label, changed) => {
    const SIDE = 280; // of the paper, in its own pixels
    const PEN = 22; // about as thick as MNIST's strokes
    const STEP = 8;
    const HELP = "Write with mouse, finger or pen; or by keys: arrows move, Space puts the pen down and up, Delete clears.";
    const paper = live.element(
      "canvas",
      parent,
      { width: SIDE, height: SIDE, tabIndex: 0, className: "paper" },
      { role: "application", "aria-label": `${label}. ${HELP}` },
    );
    const ink = paper.getContext("2d", { willReadFrequently: true });
    const strokes = []; // each a list of points
    let pen = null; // the stroke that is being written
    let at = [SIDE / 2, SIDE / 2]; // of the keys' pen

    function trace() {
      ink.lineWidth = PEN;
      ink.lineCap = ink.lineJoin = "round";
      ink.strokeStyle = "#fff";
      for (const stroke of strokes) {
        ink.beginPath();
        ink.moveTo(...stroke[0]);
        stroke.forEach((point) => ink.lineTo(...point));
        ink.stroke();
      }
    }

    function draw() {
      ink.fillStyle = "#000";
      ink.fillRect(0, 0, SIDE, SIDE);
      trace();
      const written = live.centred(ink, SIDE);
      if (document.activeElement === paper && paper.matches(":focus-visible")) {
        ink.strokeStyle = pen ? "#D55E00" : "#2B93CC";
        ink.lineWidth = 2;
        ink.strokeRect(at[0] - PEN / 2, at[1] - PEN / 2, PEN, PEN);
      }
      changed(written);
    }

    function clear() {
      strokes.length = 0;
      pen = null;
      draw();
    }

    const place = (event) => {
      const box = paper.getBoundingClientRect();
      return [((event.clientX - box.left) * SIDE) / box.width, ((event.clientY - box.top) * SIDE) / box.height];
    };
    paper.addEventListener("pointerdown", (event) => {
      paper.setPointerCapture(event.pointerId);
      strokes.push((pen = [place(event)]));
      draw();
    });
    paper.addEventListener("pointermove", (event) => {
      if (!pen || !event.buttons) return;
      pen.push(place(event));
      draw();
    });
    paper.addEventListener("pointerup", () => (pen = null));
    paper.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (step) {
        at = at.map((value, k) => Math.max(0, Math.min(SIDE, value + step[k] * STEP)));
        pen?.push([...at]);
      } else if (event.key === " ") {
        if (pen) pen = null;
        else strokes.push((pen = [[...at]]));
      } else if (event.key === "Delete" || event.key === "Backspace") clear();
      else return;
      event.preventDefault();
      draw();
    });
    paper.addEventListener("focus", draw);
    paper.addEventListener("blur", draw);
    const write = (lines) => {
      strokes.splice(0, strokes.length, ...lines);
      draw();
    };
    return { clear, write, help: HELP };
  };

  // Ink as MNIST has it: the digit 20 pixels long, its mass in the middle, 32 pixels a side; null for an empty paper.
  live.centred = (ink, side) => {
    const [SIZE, LONG] = [32, 20];
    const { data } = ink.getImageData(0, 0, side, side);
    let [left, right, top, bottom] = [side, -1, side, -1];
    for (let n = 0; n < side * side; n++)
      if (data[4 * n] > 40) {
        const [x, y] = [n % side, Math.floor(n / side)];
        [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
      }
    if (right < 0) return null;
    const [width, height] = [right - left + 1, bottom - top + 1];
    const scale = LONG / Math.max(width, height);
    const small = live.element("canvas", null, { width: SIZE, height: SIZE });
    const pen = small.getContext("2d", { willReadFrequently: true });
    pen.imageSmoothingQuality = "high";

    function drawn(x, y) {
      pen.fillStyle = "#000";
      pen.fillRect(0, 0, SIZE, SIZE);
      pen.drawImage(ink.canvas, left, top, width, height, x, y, width * scale, height * scale);
      const pixels = pen.getImageData(0, 0, SIZE, SIZE).data;
      return Float32Array.from({ length: SIZE * SIZE }, (_, n) => pixels[4 * n] / 255);
    }

    const corner = [(SIZE - width * scale) / 2, (SIZE - height * scale) / 2];
    const first = drawn(...corner);
    let [mass, x, y] = [0, 0, 0];
    first.forEach((value, n) => {
      mass += value;
      x += value * (n % SIZE);
      y += value * Math.floor(n / SIZE);
    });
    const middle = (SIZE - 1) / 2;
    return drawn(corner[0] + middle - x / mass, corner[1] + middle - y / mass);
  };

  const boxes = () => document.querySelectorAll(".teachlib-demo[data-bytes]").forEach(offer);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", boxes);
  else boxes();
})();
