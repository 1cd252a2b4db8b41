// Models that run in this page. Nothing of them is loaded before the reader asks, and nothing leaves the page.
//
// The book puts `<div class="teachlib-demo" data-demo="NAME">still figure</div>` where a demo can run, and says in it how many
// bytes are loaded (`data-bytes`), how many of them for all demos (`data-shared`; 0 where a demo needs no runtime), and
// which version of all files it is.
// `live/runtime-N.js` (ONNX Runtime, in parts) and `live/NAME.js` (models, constants, and the script that draws) are
// classic scripts, so that they load from a disk, too. A script is registered by
//
//     teachlibLive.draw("NAME", async ({ place, run, constants, say }) => { … });
//
// with the element to fill; `run(model, {input: numbers})`, which gives {output: Float32Array}; the constants of the
// demo; and a function that puts a line below the demo, which screen readers hear once it rests.

(() => {
  "use strict";
  const home = new URL("live/", document.currentScript.src).href;
  const PARTS = 8; // of the runtime, so that progress can be shown from a disk, too
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

  // The version is that of all files here: a cache gives no older book's.
  function load(file, version) {
    if (!loads.has(file))
      loads.set(
        file,
        new Promise((done, failed) => {
          const script = live.element("script", null, { src: `${home}${file}?v=${version}`, async: false });
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
    const address = async (text, type) => URL.createObjectURL(new Blob([await unpacked(text)], { type }));
    const wasm = await address(binary, "application/wasm");
    ort.env.wasm.numThreads = 1; // more would need headers that not every host sends
    ort.env.wasm.wasmPaths = { mjs: await address(glue, "text/javascript"), wasm };
    parts.length = 0; // megabytes that nobody needs twice
    return ort;
  }

  function running(shapes, session) {
    let last = Promise.resolve(); // a session runs one input at a time
    return (inputs) => {
      const next = last.then(async () => {
        const feeds = {};
        for (const [name, shape] of Object.entries(shapes)) {
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

  // A function that returns a vector of 16 zeros: WebAssembly's smallest module that needs SIMD.
  const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11];
  const able = () => "DecompressionStream" in window && window.WebAssembly?.validate(new Uint8Array(SIMD));

  async function models({ name, version, shared }, tell) {
    if (shared && !able()) throw new Error("this browser is older than they need");
    const files = ["engine.js", ...Array.from({ length: PARTS }, (_, n) => `runtime-${n}.js`)];
    const wanted = [...(engine || !shared ? [] : files), `${name}.js`];
    let come = 0;
    const all = wanted.map((file) => load(file, version).then(() => tell(++come / (wanted.length + 1))));
    await Promise.all(all);
    if (shared) engine ??= started().catch((error) => {
      engine = null;
      throw error;
    });
    await engine;
    const run = {};
    for (const [key, model] of Object.entries(demos[name].models)) {
      const session = await ort.InferenceSession.create(await unpacked(model.onnx), { executionProviders: ["wasm"] });
      run[key] = running(model.inputs, session);
    }
    return (model, inputs) => run[model](inputs);
  }

  // ------------------------------------------------------------------------------------------------------- in the page

  const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
  const REST = 700; // milliseconds without a new line until it is read aloud

  function offer(box) {
    const { demo: name, bytes, version } = box.dataset;
    const shared = +box.dataset.shared; // 0: a demo without the runtime
    const still = box.firstElementChild;
    const bar = live.element("p", box, { className: "offer" });
    const button = live.element("button", bar, { type: "button", textContent: "Run the models here" });
    const note = live.element("span", bar, { className: "note" }, { role: "status" });
    const progress = live.element("progress", bar, { max: 1, value: 0, hidden: true }, { "aria-label": "Loading" });
    const place = live.element("div", box, { className: "place", hidden: true });
    const said = live.element("p", box, { className: "said" });
    const aloud = live.element("p", box, { className: "aloud" }, { role: "status" });
    const once = shared ? `, ${megabytes(shared)} of them once for all such figures` : "";
    note.textContent = `loads ${megabytes(bytes)} MB${once}; they run in this page, and nothing is sent`;
    let [ready, loading, rest] = [false, false, null];

    function say(text) {
      said.textContent = text;
      clearTimeout(rest);
      rest = setTimeout(() => (aloud.textContent = text), REST);
    }

    function show(running) {
      still.hidden = running;
      place.hidden = said.hidden = !running;
      button.textContent = running ? "Show the still figure" : "Run the models here";
      note.hidden = running;
    }

    async function start(event) {
      if (loading) return;
      if (ready) return show(place.hidden);
      loading = true;
      button.setAttribute("aria-disabled", "true"); // disabled, it would lose the focus
      progress.hidden = false;
      note.textContent = "loading …";
      try {
        const run = await models({ name, version, shared }, (share) => (progress.value = share));
        const { script, constants } = demos[name];
        place.hidden = false; // a script may measure it
        await script({ place, run, constants, say });
        delete demos[name].models; // which are running now
        ready = true;
        show(true);
        const byKeys = event.detail === 0 && document.activeElement === button;
        if (byKeys) place.querySelector("[tabindex],input,button")?.focus({ preventScroll: true });
        box.dataset.state = "running";
      } catch (error) {
        place.replaceChildren();
        place.hidden = true;
        still.hidden = false;
        note.textContent = `The models could not be run (${error.message ?? error}); the still figure stays.`;
        box.dataset.state = "failed";
      }
      progress.hidden = true;
      loading = false;
      button.removeAttribute("aria-disabled");
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

  // Until the page was painted: computing has its only thread.
  live.painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));

  // What to do with an error: before a demo has run once, the page's still figure stays; later the reader is told.
  live.failing = (say) => {
    const failing = (error) => {
      if (!failing.ready) throw error;
      say(`That could not be computed (${error.message ?? error}); try it again.`);
    };
    failing.ready = false;
    return failing;
  };

  // Calls that come faster than they are answered: the last one counts. Each promise waits for it.
  live.latest = (answer, failing) => {
    let waiting = null;
    let running = null;
    return function ask(...given) {
      waiting = given;
      running ??= (async () => {
        try {
          while (waiting) {
            const now = waiting;
            waiting = null;
            await live.painted();
            await answer(...now);
          }
        } catch (error) {
          failing(error);
        } finally {
          waiting = running = null;
        }
      })();
      return running;
    };
  };

  // Redraw what has the page's ink, when the page turns dark or light.
  live.themed = (redraw) =>
    new MutationObserver(redraw).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });

  // A number as it is read: a proper minus, none before zero.
  live.number = (value, digits = 2) => {
    const text = value.toFixed(digits);
    return (+text === 0 ? text.replace("-", "") : text).replace("-", "−");
  };

  live.shortcut = (event) => event.ctrlKey || event.metaKey || event.altKey; // the browser's own

  // A slider; with `shown`, its value is written beside it, and read aloud so. `input.put` sets it and calls nobody.
  live.slider = (parent, label, { min, max, step, value }, changed, shown = null) => {
    const box = live.element("label", parent, { className: "slider", textContent: label });
    const input = live.element("input", box, { type: "range", min, max, step, value });
    const written = shown && live.element("span", box, {}, { "aria-hidden": true });
    const tell = () => {
      if (!shown) return;
      written.textContent = shown(+input.value);
      input.setAttribute("aria-valuetext", written.textContent.trim());
    };
    tell();
    input.put = (wanted) => {
      input.value = wanted;
      tell();
    };
    input.addEventListener("input", () => {
      tell();
      changed(+input.value);
    });
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
    let pointer = null; // that writes it; null: the keys
    let at = [SIDE / 2, SIDE / 2]; // of the keys' pen

    function trace() {
      ink.fillStyle = "#000";
      ink.fillRect(0, 0, SIDE, SIDE);
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
      trace();
      if (document.activeElement === paper && paper.matches(":focus-visible")) {
        ink.strokeStyle = pen ? "#D55E00" : "#2B93CC";
        ink.lineWidth = 2;
        ink.strokeRect(at[0] - PEN / 2, at[1] - PEN / 2, PEN, PEN);
      }
    }

    // New ink; what is drawn besides it is none.
    function inked() {
      trace();
      changed(live.centred(ink, SIDE));
      draw();
    }

    function clear() {
      strokes.length = 0;
      pen = pointer = null;
      inked();
    }

    const place = (event) => {
      const box = paper.getBoundingClientRect();
      return [((event.clientX - box.left) * SIDE) / box.width, ((event.clientY - box.top) * SIDE) / box.height];
    };
    paper.addEventListener("pointerdown", (event) => {
      if (!event.isPrimary || event.button !== 0) return;
      paper.setPointerCapture(event.pointerId);
      pointer = event.pointerId;
      strokes.push((pen = [place(event)]));
      inked();
    });
    paper.addEventListener("pointermove", (event) => {
      if (pointer !== event.pointerId || !pen) return;
      const moves = event.getCoalescedEvents?.() ?? [];
      for (const move of moves.length ? moves : [event]) pen.push(place(move));
      inked();
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"])
      paper.addEventListener(end, (event) => {
        if (pointer === event.pointerId) pen = pointer = null;
      });
    paper.addEventListener("keydown", (event) => {
      if (live.shortcut(event)) return;
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
      if (pen) inked();
      else draw(); // the pen's place alone
    });
    paper.addEventListener("focus", draw);
    paper.addEventListener("blur", draw);
    const write = (lines) => {
      strokes.splice(0, strokes.length, ...lines);
      inked();
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
