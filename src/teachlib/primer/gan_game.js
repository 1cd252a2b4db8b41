// A GAN of points in the plane, trained in the page: both networks, their gradients and Adam are written by hand.

(() => {
  "use strict";
  const sigmoid = (x) => 1 / (1 + Math.exp(-x));
  const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

  function affine({ weight, bias, inputs, outputs }, x) {
    const count = x.length / inputs;
    const y = new Float64Array(count * outputs);
    for (let n = 0; n < count; n++)
      for (let o = 0; o < outputs; o++) {
        const row = o * inputs;
        const column = n * inputs;
        let sum = bias[o];
        for (let i = 0; i < inputs; i++) sum += weight[row + i] * x[column + i];
        y[n * outputs + o] = sum;
      }
    return y;
  }

  // The way back through `affine`: slopes by its weights are added to what is there, those by its input are given.
  function transposed({ weight, inputs, outputs, adam }, x, slopes) {
    const count = x.length / inputs;
    const before = new Float64Array(x.length);
    const [ofWeight, ofBias] = adam.map((each) => each.slopes);
    for (let n = 0; n < count; n++)
      for (let o = 0; o < outputs; o++) {
        const row = o * inputs;
        const column = n * inputs;
        const slope = slopes[n * outputs + o];
        ofBias[o] += slope;
        for (let i = 0; i < inputs; i++) {
          ofWeight[row + i] += slope * x[column + i];
          before[column + i] += slope * weight[row + i];
        }
      }
    return before;
  }

  // Linear layers with SiLU between them, and their Adam. Vectors of a batch stand one after the other.
  class Network {
    constructor(layers, betas, epsilon = 1e-8) {
      const like = (values) => new Float64Array(values.length);
      this.layers = layers.map((layer) => {
        const [weight, bias] = [Float64Array.from(layer.weight), Float64Array.from(layer.bias)];
        const adam = [weight, bias].map((values) => ({ values, slopes: like(values), first: like(values), second: like(values) }));
        return { weight, bias, inputs: weight.length / bias.length, outputs: bias.length, adam };
      });
      Object.assign(this, { betas, epsilon, steps: 0 });
    }

    // What comes out, and what went into each layer and came out of it: backward needs both.
    forward(input) {
      const trace = [];
      let x = input;
      for (const layer of this.layers) {
        const linear = affine(layer, x);
        const open = layer === this.layers.at(-1) ? null : linear.map(sigmoid); // SiLU: x σ(x)
        trace.push({ x, linear, open });
        x = open ? linear.map((value, k) => value * open[k]) : linear;
      }
      return { output: x, trace };
    }

    // From a loss's slopes by the outputs to those by the inputs; those by the weights are added up on the way.
    backward(trace, slopes) {
      for (let depth = trace.length - 1; depth >= 0; depth--) {
        const { x, linear, open } = trace[depth];
        if (open) slopes = slopes.map((slope, k) => slope * open[k] * (1 + linear[k] * (1 - open[k])));
        slopes = transposed(this.layers[depth], x, slopes);
      }
      return slopes;
    }

    forget() {
      for (const { adam } of this.layers) for (const { slopes } of adam) slopes.fill(0);
    }

    // Adam (Kingma and Ba, 2015) with the slopes that were added up.
    step(rate) {
      const [one, two] = this.betas;
      this.steps++;
      const [bias1, bias2] = [1 - one ** this.steps, Math.sqrt(1 - two ** this.steps)];
      for (const { adam } of this.layers)
        for (const { values, slopes, first, second } of adam)
          for (let k = 0; k < values.length; k++) {
            first[k] = one * first[k] + (1 - one) * slopes[k];
            second[k] = two * second[k] + (1 - two) * slopes[k] ** 2;
            values[k] -= ((rate / bias1) * first[k]) / (Math.sqrt(second[k]) / bias2 + this.epsilon);
          }
      this.forget();
    }
  }

  // The game of both: `learn` is one update of each and gives their losses, as teachlib.primer.Game's updates do.
  teachlibLive.gan = ({ generator, discriminator, betas }) => {
    const [maker, judge] = [generator, discriminator].map((layers) => new Network(layers, betas));
    // By which the generator's loss falls or rises with a sample's logit.
    const slope = (logit, saturating) => -sigmoid(saturating ? logit : -logit);

    function learn(real, z, { rates, saturating = false }) {
      const count = real.length / 2;
      const made = maker.forward(z);
      const [ofReal, ofMade] = [judge.forward(real), judge.forward(made.output)];
      const judged = mean(ofReal.output.map((logit) => softplus(-logit))) + mean(ofMade.output.map(softplus));
      judge.backward(ofReal.trace, ofReal.output.map((logit) => -sigmoid(-logit) / count));
      judge.backward(ofMade.trace, ofMade.output.map((logit) => sigmoid(logit) / count));
      judge.step(rates.discriminator);
      const again = judge.forward(made.output); // against the better judge
      const fooled = mean(again.output.map(saturating ? (logit) => -softplus(logit) : (logit) => softplus(-logit)));
      const slopes = judge.backward(again.trace, again.output.map((logit) => slope(logit, saturating) / count));
      judge.forget(); // its part of them is not its own to follow
      maker.backward(made.trace, slopes);
      maker.step(rates.generator);
      return { discriminator: judged, generator: fooled };
    }

    // Where the generator's loss pulls each point.
    function pulls(points, saturating) {
      const { output, trace } = judge.forward(points);
      const slopes = judge.backward(trace, output.map((logit) => slope(logit, saturating)));
      judge.forget();
      return slopes.map((value) => -value);
    }
    const generate = (z) => maker.forward(z).output;
    const probability = (points) => judge.forward(points).output.map(sigmoid);
    return { learn, pulls, generate, probability };
  };
})();

teachlibLive.draw("gan-game", async ({ place, constants, say }) => {
  const { element, palette } = teachlibLive;
  const { sets, extent, latent, rate, betas, near } = constants;
  const SIZE = 320; // of the board, in CSS pixels
  const FIELD = 40; // cells a side in which the judge is asked
  const BATCH = 64;
  const [SHOWN, ARROWS] = [300, 40]; // samples, and those that show where they are pulled
  const BUSY = 12; // milliseconds of training between two frames
  const MOST = 2000; // points that a reader may draw; the oldest make room
  const BRUSH = 0.12; // deviation of the points that a stroke leaves
  const MARK = 15; // of the keys' mark: its step, in CSS pixels
  const CHART = 96;
  const density = Math.min(2, window.devicePixelRatio || 1);
  const TOLD = 250; // milliseconds between two counts
  const HELP = `Choose "my own points" and draw some by mouse, finger or pen; or by keys: arrows move a mark, Space drops a point there, Delete removes all.`;
  const own = "my own points";
  let [set, seed] = ["ring", 0];
  let turn = 0; // of playing: another one ends it
  let [found, good, counted] = [0, 0, -Infinity]; // shares, and when they were counted last
  let drawn = []; // the reader's points
  let settings = { rates: { discriminator: rate, generator: rate }, saturating: false };
  let game, random, step, losses, shownNoise;
  let mark = null; // of the keys, once they are used

  // ------------------------------------------------------------------------------------------------------- the elements

  const row = element("div", place, { className: "row" });
  const left = element("figure", row);
  element("figcaption", left, { textContent: "Blue: the judge says data; orange: generated" });
  const board = canvasOf(left, SIZE, "field", { role: "application", "aria-label": `The plane. ${HELP}` });
  board.tabIndex = 0;
  const right = element("figure", row);
  element("figcaption", right, { textContent: "Losses, green: judge, pink: generator; dashed: of two equal players" });
  const chart = canvasOf(right, SIZE, "chart", { role: "img", "aria-label": "Losses of both players" }, CHART);

  const controls = element("div", place, { className: "controls" });
  const play = teachlibLive.button(controls, "Play", () => (play.textContent === "Pause" ? pause() : start()));
  teachlibLive.button(controls, "One step", () => {
    pause();
    train();
    show();
  });
  teachlibLive.button(controls, "From the start", () => restart(seed));
  teachlibLive.button(controls, "Other weights", () => restart(seed + 1));
  const chooser = element("select", element("label", controls, { textContent: "data " }));
  for (const name of [...Object.keys(sets), own]) element("option", chooser, { textContent: name, value: name });
  const clear = teachlibLive.button(controls, "Remove my points", () => {
    drawn = [];
    restart(seed);
  });
  chooser.addEventListener("change", () => {
    set = chooser.value;
    clear.hidden = set !== own;
    board.classList.toggle("pointed", set === own); // elsewhere a finger scrolls the page
    restart(seed);
  });
  clear.hidden = true;
  const times = (value) => ` × ${(10 ** value).toFixed(2)}`;
  for (const [player, title] of [["discriminator", "judge's learning rate "], ["generator", "generator's learning rate "]])
    teachlibLive.slider(controls, title, { min: -1.5, max: 1, step: 0.1, value: 0 }, (value) => (settings.rates[player] = rate * 10 ** value), times);
  const label = element("label", controls);
  const saturating = element("input", label, { type: "checkbox" });
  label.append(" the saturating loss");
  saturating.addEventListener("change", () => {
    settings.saturating = saturating.checked;
    losses = []; // the other loss is on another scale
    show();
  });
  element("p", place, {
    className: "note",
    textContent: `Dots: data; points of your own stand for spots of deviation ${BRUSH}. Crosses: samples, and for some of them where the generator's loss pulls them, long pulls cut. Both networks have two layers of ${constants.generator[0].bias.length} units; a step is an update of each, on ${BATCH} samples. ${HELP}`,
  });

  function canvasOf(parent, width, className, attributes, height = width) {
    const made = element("canvas", parent, { width: width * density, height: height * density, className }, attributes);
    made.getContext("2d").scale(density, density);
    return made;
  }

  // ---------------------------------------------------------------------------------------------------------- the game

  // The same numbers after each start (mulberry32), or nobody could look twice.
  function chance(state) {
    const uniform = () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
    const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
    return { uniform, normal };
  }

  const normals = (count, source) => Float64Array.from({ length: count }, source.normal);
  const data = () => (set === own ? drawn : sets[set]);

  // As torch begins a linear layer: uniform within one over the root of its inputs.
  function fresh(layers, source) {
    return layers.map(({ weight, bias }) => {
      const reach = 1 / Math.sqrt(weight.length / bias.length);
      const draw = (values) => values.map(() => reach * (2 * source.uniform() - 1));
      return { weight: draw(weight), bias: draw(bias) };
    });
  }

  function restart(which) {
    seed = which;
    random = chance(seed + 1);
    const { generator, discriminator } = constants;
    const weights = seed ? [fresh(generator, random), fresh(discriminator, random)] : [generator, discriminator];
    game = teachlibLive.gan({ generator: weights[0], discriminator: weights[1], betas });
    [step, losses, counted] = [0, [], -Infinity];
    shownNoise = normals(SHOWN * latent, chance(7));
    show();
  }

  function batch() {
    const points = data();
    const spread = set === own ? BRUSH : 0;
    const real = new Float64Array(2 * BATCH);
    for (let n = 0; n < BATCH; n++) {
      const point = points[Math.floor(random.uniform() * points.length)];
      for (const k of [0, 1]) real[2 * n + k] = point[k] + (spread && spread * random.normal());
    }
    return real;
  }

  function train() {
    if (!data().length) return;
    const one = game.learn(batch(), normals(BATCH * latent, random), settings);
    step++;
    losses.push(one);
    if (losses.length > SIZE) losses.shift();
  }

  // ------------------------------------------------------------------------------------------------------- the pictures

  const toBoard = (value) => ((value / extent + 1) / 2) * SIZE;
  const toPlane = (pixel) => ((2 * pixel) / SIZE - 1) * extent;

  function drawField(ink) {
    const points = new Float64Array(2 * FIELD * FIELD);
    for (let n = 0; n < FIELD * FIELD; n++) {
      points[2 * n] = (((n % FIELD) + 0.5) / FIELD * 2 - 1) * extent;
      points[2 * n + 1] = (1 - ((Math.floor(n / FIELD) + 0.5) / FIELD) * 2) * extent;
    }
    const cell = SIZE / FIELD;
    game.probability(points).forEach((p, n) => {
      ink.fillStyle = p > 0.5 ? palette[0] : palette[1];
      ink.globalAlpha = 0.8 * Math.abs(p - 0.5);
      ink.fillRect((n % FIELD) * cell, Math.floor(n / FIELD) * cell, cell, cell);
    });
    ink.globalAlpha = 1;
  }

  function drawPoints(ink, samples) {
    ink.fillStyle = teachlibLive.ink(board);
    const dot = set === own ? 4 : 1.5;
    for (const [x, y] of data()) ink.fillRect(toBoard(x) - dot / 2, toBoard(-y) - dot / 2, dot, dot);
    ink.strokeStyle = palette[1];
    ink.lineWidth = 1.5;
    ink.beginPath();
    for (let n = 0; n < SHOWN; n++) {
      const [x, y] = [toBoard(samples[2 * n]), toBoard(-samples[2 * n + 1])];
      ink.moveTo(x - 2, y - 2);
      ink.lineTo(x + 2, y + 2);
      ink.moveTo(x - 2, y + 2);
      ink.lineTo(x + 2, y - 2);
    }
    ink.stroke();
    ink.strokeStyle = teachlibLive.ink(board);
    ink.lineWidth = 1;
    ink.beginPath();
    const pulls = game.pulls(samples.subarray(0, 2 * ARROWS), settings.saturating);
    const most = SIZE / 8; // a pull of one is as long
    for (let n = 0; n < ARROWS; n++) {
      const [x, y] = [toBoard(samples[2 * n]), toBoard(-samples[2 * n + 1])];
      const size = Math.hypot(pulls[2 * n], pulls[2 * n + 1]);
      const scale = (most * Math.min(1, size)) / (size || 1);
      arrow(ink, x, y, scale * pulls[2 * n], -scale * pulls[2 * n + 1]);
    }
    ink.stroke();
  }

  function arrow(ink, x, y, dx, dy) {
    const [head, angle] = [Math.min(5, Math.hypot(dx, dy) / 2), Math.atan2(dy, dx)];
    ink.moveTo(x, y);
    ink.lineTo(x + dx, y + dy);
    for (const side of [2.6, -2.6]) {
      ink.moveTo(x + dx, y + dy);
      ink.lineTo(x + dx + head * Math.cos(angle + side), y + dy + head * Math.sin(angle + side));
    }
  }

  function drawMark(ink) {
    if (!mark || document.activeElement !== board) return;
    ink.strokeStyle = palette[2];
    ink.lineWidth = 2;
    ink.strokeRect(mark[0] - 5, mark[1] - 5, 10, 10);
  }

  function drawChart() {
    const ink = chart.getContext("2d");
    ink.clearRect(0, 0, SIZE, CHART);
    const highest = Math.max(2, ...losses.map((one) => Math.max(one.discriminator, one.generator)));
    const lowest = Math.min(0, ...losses.map((one) => one.generator));
    const height = (value) => CHART - 4 - ((value - lowest) / (highest - lowest)) * (CHART - 8);
    const equal = { discriminator: Math.log(4), generator: settings.saturating ? -Math.log(2) : Math.log(2) };
    for (const [n, player] of ["discriminator", "generator"].entries()) {
      ink.strokeStyle = palette[2 + n];
      ink.setLineDash([4, 4]);
      ink.beginPath();
      ink.moveTo(0, height(equal[player]));
      ink.lineTo(SIZE, height(equal[player]));
      ink.stroke();
      ink.setLineDash([]);
      ink.beginPath();
      losses.forEach((one, at) => ink.lineTo(at, height(one[player])));
      ink.stroke();
    }
    ink.fillStyle = teachlibLive.ink(chart);
    ink.font = "12px sans-serif";
    ink.fillText(teachlibLive.number(highest, 1), 4, 14);
    ink.fillText(teachlibLive.number(lowest, 1), 4, CHART - 6);
  }

  // The two numbers that no loss tells: who of the data has a sample near, and who of the samples has data near.
  function count(samples) {
    if (performance.now() - counted < TOLD) return;
    const every = data();
    const points = every.filter((_, n) => n % Math.ceil(every.length / SHOWN) === 0); // enough to tell shares
    const close = (x, y) => (other) => (other[0] - x) ** 2 + (other[1] - y) ** 2 < near ** 2;
    const pairs = Array.from({ length: SHOWN }, (_, n) => [samples[2 * n], samples[2 * n + 1]]);
    found = Math.round((100 * points.filter(([x, y]) => pairs.some(close(x, y))).length) / points.length);
    good = Math.round((100 * pairs.filter(([x, y]) => every.some(close(x, y))).length) / SHOWN);
    counted = performance.now();
  }

  function show() {
    const ink = board.getContext("2d");
    ink.clearRect(0, 0, SIZE, SIZE);
    const samples = game.generate(shownNoise);
    drawField(ink);
    drawPoints(ink, samples);
    drawMark(ink);
    drawChart();
    if (!data().length) return say("There are no data yet: draw some.");
    const last = losses.at(-1);
    if (last && !Number.isFinite(last.discriminator + last.generator)) {
      pause();
      return say(`Step ${step}: the losses are no numbers any more. Smaller learning rates, and from the start.`);
    }
    count(samples);
    const outside = Array.from({ length: SHOWN }, (_, n) => Math.max(Math.abs(samples[2 * n]), Math.abs(samples[2 * n + 1]))).filter((far) => far > extent).length;
    const told = last ? `judge's loss ${teachlibLive.number(last.discriminator)}, generator's ${teachlibLive.number(last.generator)}; ` : "";
    const away = outside ? ` ${outside} of ${SHOWN} samples lie outside of the picture.` : "";
    say(`Step ${step}: ${told}${found} % of the data have a sample within ${near}, ${good} % of the samples have data within ${near}.${away}`);
  }

  // ------------------------------------------------------------------------------------------------------------ playing

  async function start() {
    const mine = ++turn;
    play.textContent = "Pause";
    while (data().length && !place.hidden && place.isConnected) {
      const until = performance.now() + BUSY;
      do train();
      while (performance.now() < until);
      show();
      await teachlibLive.painted();
      if (mine !== turn) return;
    }
    pause();
    show();
  }

  function pause() {
    turn++;
    counted = -Infinity; // what stands still is counted to the last step
    play.textContent = "Play";
  }

  function drop(x, y) {
    if (set !== own || Math.min(x, y) < 0 || Math.max(x, y) > SIZE) return;
    drawn.push([toPlane(x), -toPlane(y)]);
    if (drawn.length > MOST) drawn.shift();
  }

  let pointer = null;
  const at = (event) => {
    const box = board.getBoundingClientRect();
    return [((event.clientX - box.left) * SIZE) / box.width, ((event.clientY - box.top) * SIZE) / box.height];
  };
  board.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button !== 0 || set !== own) return;
    board.setPointerCapture(event.pointerId);
    pointer = event.pointerId;
    mark = null;
    drop(...at(event));
    show();
  });
  board.addEventListener("pointermove", (event) => {
    if (pointer !== event.pointerId) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    for (const move of moves.length ? moves : [event]) drop(...at(move));
    counted = -Infinity;
    show();
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"])
    board.addEventListener(end, (event) => {
      if (pointer === event.pointerId) pointer = null;
    });
  board.addEventListener("keydown", (event) => {
    if (teachlibLive.shortcut(event)) return;
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (move) mark = (mark ?? [SIZE / 2, SIZE / 2]).map((value, k) => Math.max(0, Math.min(SIZE, value + MARK * move[k])));
    else if (event.key === " ") drop(...(mark ??= [SIZE / 2, SIZE / 2]));
    else if ((event.key === "Delete" || event.key === "Backspace") && set === own) {
      drawn = [];
      restart(seed);
    } else return;
    event.preventDefault();
    counted = -Infinity;
    show();
    if (move) say(`The mark is at ${mark.map((value, k) => teachlibLive.number(k ? -toPlane(value) : toPlane(value), 1)).join(", ")}.`);
  });
  board.addEventListener("blur", show);
  teachlibLive.themed(show);
  restart(0);
});
