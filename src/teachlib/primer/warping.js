// A normalizing flow under the pointer: a grid over its noise, and what becomes of it, coupling by coupling.

teachlibLive.draw("warping", async ({ place, run, constants, say }) => {
  const { element, palette } = teachlibLive;
  const { grid, fine, reach, extent, around, couplings, data } = constants;
  const SIZE = 300; // of a plane, in CSS pixels
  const RADIUS = 0.12; // of the circle around the pointer, in z
  const STEP = 0.01; // in z, of the differences that slopes are taken from
  const GAP = 24; // CSS pixels between two points of a line: it is not drawn where it would only be guessed
  const PAUSE = 350; // milliseconds between two stages that are played
  const density = Math.min(2, window.devicePixelRatio || 1);
  const failing = teachlibLive.failing(say);
  const HELP = "Move the circle with the pointer or the arrow keys; Shift makes small steps.";
  const at = [0.92, 0.31]; // the pointer, in z: between two spots
  let stage = couplings;
  let turn = 0; // of playing: another one ends it
  let whole = null; // the grid at all stages
  let near = null; // the circle at all stages

  const row = element("div", place, { className: "row" });
  const noise = plane("Noise z", { role: "application", "aria-label": `Noise. ${HELP}` });
  noise.canvas.tabIndex = 0;
  const points = plane("", { role: "img", "aria-label": "What becomes of the grid and the circle" });
  const controls = element("div", place, { className: "controls" });
  const play = teachlibLive.button(controls, "Play", () => (play.textContent === "Pause" ? pause() : start()));
  const slider = teachlibLive.slider(
    controls,
    "couplings, from noise to data ",
    { min: 0, max: couplings, step: 1, value: couplings },
    (value) => {
      pause();
      go(value);
    },
    (value) => ` ${value}`,
  );
  element("p", place, {
    className: "note",
    textContent: `Small dots: data. The grid is straight in z; where its lines come close, probability is gathered, where they part, it is thinned. Lines are left out where the map tears them wider than can be followed. ${HELP}`,
  });

  function plane(title, attributes) {
    const panel = element("figure", row);
    const caption = element("figcaption", panel, { textContent: title });
    const canvas = element("canvas", panel, { width: SIZE * density, height: SIZE * density, className: "field pointed" }, attributes);
    canvas.getContext("2d").scale(density, density);
    return { caption, canvas, ink: canvas.getContext("2d") };
  }

  const toCanvas = (value, half) => ((value / half + 1) / 2) * SIZE;

  function lines(ink, places, half) {
    ink.beginPath();
    let before = null;
    for (let n = 0; n < grid.length; n++) {
      const to = [toCanvas(places[2 * n], half), toCanvas(-places[2 * n + 1], half)];
      if (n % fine && Math.hypot(to[0] - before[0], to[1] - before[1]) < GAP) ink.lineTo(...to);
      else ink.moveTo(...to);
      before = to;
    }
    ink.stroke();
  }

  function circle(ink, places, half) {
    ink.fillStyle = palette[1];
    ink.beginPath();
    for (let n = 1; n <= around; n++) ink.lineTo(toCanvas(places[2 * n], half), toCanvas(-places[2 * n + 1], half));
    ink.closePath();
    ink.globalAlpha = 0.6;
    ink.fill();
    ink.globalAlpha = 1;
    ink.beginPath();
    ink.arc(toCanvas(places[0], half), toCanvas(-places[1], half), 2.5, 0, 2 * Math.PI);
    ink.fill();
  }

  const part = ({ stages }, number) => stages.subarray((number * stages.length) / (couplings + 1), ((number + 1) * stages.length) / (couplings + 1));

  // How far the flow stretches a short way in z at the pointer, in the direction where it does so most, and across.
  function stretches() {
    const x = part(near, couplings);
    const slope = (n, k) => (x[2 * n + k] - x[2 * (n + 1) + k]) / (2 * STEP);
    const first = around + 1;
    const squares = [0, 1].flatMap((k) => [slope(first, k) ** 2, slope(first + 2, k) ** 2]).reduce((a, b) => a + b);
    const area = Math.exp(near.log_stretch[0]); // the product of both; the sum of their squares is that of all slopes
    const most = Math.sqrt((squares + Math.sqrt(Math.max(0, squares ** 2 - 4 * area ** 2))) / 2);
    return [most, area / most];
  }

  function draw() {
    if (!whole || !near) return;
    for (const [{ ink, canvas }, number, half] of [
      [noise, 0, extent],
      [points, stage, extent],
    ]) {
      ink.clearRect(0, 0, SIZE, SIZE);
      ink.lineWidth = 0.8;
      ink.strokeStyle = palette[5];
      lines(ink, part(whole, number), half);
      if (number === couplings) {
        ink.fillStyle = teachlibLive.ink(canvas);
        for (const [x, y] of data) ink.fillRect(toCanvas(x, half) - 0.75, toCanvas(-y, half) - 0.75, 1.5, 1.5);
      }
      circle(ink, part(near, number), half);
    }
    points.caption.textContent = stage === couplings ? "Data x" : `After ${stage} of ${couplings} couplings`;
    slider.put(stage);
    const written = (values) => `(${Array.from(values, (value) => teachlibLive.number(value)).join(", ")})`;
    const [most, across] = stretches();
    const log = near.log_stretch[0];
    say(
      stage < couplings
        ? `After ${stage} of ${couplings} couplings z = ${written(at)} is at ${written(part(near, stage).subarray(0, 2))}.`
        : `z = ${written(at)} becomes x = ${written(part(near, couplings).subarray(0, 2))}. There ways are stretched × ${teachlibLive.number(most)} in one direction and × ${teachlibLive.number(across)} across it, and log p(x) = log N(z) ${log >= 0 ? "−" : "+"} ${Math.abs(log).toFixed(2)}.`,
    );
  }

  const update = teachlibLive.latest(async () => {
    whole ??= await run("grid", { z: grid.flat() });
    const circled = Array.from({ length: around }, (_, n) => {
      const angle = (2 * Math.PI * n) / around;
      return [at[0] + RADIUS * Math.cos(angle), at[1] + RADIUS * Math.sin(angle)];
    });
    const beside = [[STEP, 0], [-STEP, 0], [0, STEP], [0, -STEP]].map((step) => at.map((value, k) => value + step[k]));
    near = await run("near", { z: [at, ...circled, ...beside].flat() });
    draw();
  }, failing);

  function go(wanted) {
    stage = wanted;
    draw();
  }

  async function start() {
    const mine = ++turn;
    play.textContent = "Pause";
    if (stage === couplings) go(0);
    while (stage < couplings && !place.hidden) {
      await new Promise((done) => setTimeout(done, PAUSE));
      if (mine !== turn) return;
      go(stage + 1);
    }
    pause();
  }

  function pause() {
    turn++;
    play.textContent = "Play";
  }

  function moveTo(x, y) {
    [x, y].forEach((value, k) => (at[k] = Math.max(-reach, Math.min(reach, value))));
    update();
  }

  const follow = (event) => {
    const box = noise.canvas.getBoundingClientRect();
    const inZ = (pixel, length) => ((2 * pixel) / length - 1) * extent;
    moveTo(inZ(event.clientX - box.left, box.width), -inZ(event.clientY - box.top, box.height));
  };
  noise.canvas.addEventListener("pointermove", follow);
  noise.canvas.addEventListener("pointerdown", follow);
  noise.canvas.addEventListener("keydown", (event) => {
    if (teachlibLive.shortcut(event)) return;
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const length = event.shiftKey ? 0.02 : 0.2;
    moveTo(...at.map((value, k) => value + length * step[k]));
  });
  teachlibLive.themed(draw);
  await update();
  failing.ready = true;
});
