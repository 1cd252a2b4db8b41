// A normalizing flow under the pointer: a grid over its noise, and what becomes of it, coupling by coupling.

teachlibLive.draw("warping", async ({ place, run, constants, say }) => {
  const { element, palette } = teachlibLive;
  const { grid, fine, reach, extent, around, couplings, data } = constants;
  const SIZE = 300; // of a plane, in CSS pixels
  const RADIUS = 0.25; // of the circle around the pointer, in z
  const PAUSE = 350; // milliseconds between two stages that are played
  const density = Math.min(2, window.devicePixelRatio || 1);
  const failing = teachlibLive.failing(say);
  const HELP = "Move the circle with the pointer or the arrow keys; Shift makes small steps.";
  const at = [1.2, 0.6]; // the pointer, in z
  let stage = couplings;
  let playing = false;
  let whole = null; // the grid at all stages
  let near = null; // the circle at all stages

  const row = element("div", place, { className: "row" });
  const noise = plane("Noise z", { role: "application", "aria-label": `Noise. ${HELP}` });
  noise.canvas.tabIndex = 0;
  const points = plane("", { role: "img", "aria-label": "What becomes of the grid and the circle" });
  const controls = element("div", place, { className: "controls" });
  const play = teachlibLive.button(controls, "Play", () => (playing ? pause() : start()));
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
    textContent: `Small dots: data. The grid is straight in z; where its lines come close, probability is gathered, where they part, it is thinned. ${HELP}`,
  });

  function plane(title, attributes) {
    const panel = element("figure", row);
    const caption = element("figcaption", panel, { textContent: title });
    const canvas = element("canvas", panel, { width: SIZE * density, height: SIZE * density, className: "field" }, attributes);
    canvas.getContext("2d").scale(density, density);
    return { caption, canvas, ink: canvas.getContext("2d") };
  }

  const toCanvas = (value, half) => ((value / half + 1) / 2) * SIZE;

  function lines(ink, places, half) {
    ink.beginPath();
    for (let n = 0; n < grid.length; n++) {
      const to = [toCanvas(places[2 * n], half), toCanvas(-places[2 * n + 1], half)];
      if (n % fine) ink.lineTo(...to);
      else ink.moveTo(...to);
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

  function draw() {
    for (const [{ ink, canvas }, number, half] of [
      [noise, 0, extent],
      [points, stage, extent],
    ]) {
      ink.clearRect(0, 0, SIZE, SIZE);
      ink.lineWidth = 0.7;
      ink.strokeStyle = palette[0];
      lines(ink, part(whole, number), half);
      if (number === couplings) {
        ink.fillStyle = teachlibLive.ink(canvas);
        for (const [x, y] of data) ink.fillRect(toCanvas(x, half) - 0.75, toCanvas(-y, half) - 0.75, 1.5, 1.5);
      }
      circle(ink, part(near, number), half);
    }
    points.caption.textContent = stage === couplings ? "Data x" : `After ${stage} of ${couplings} couplings`;
    slider.put(stage);
    const [x, y] = part(near, couplings);
    const stretched = Math.exp(near.log_stretch[0]);
    const written = (value) => value.toFixed(2).replace("-", "−");
    const factor = stretched >= 1 ? `${stretched.toPrecision(2)} times as large` : `${(1 / stretched).toPrecision(2)} times smaller`;
    say(`z = (${at.map(written).join(", ")}) becomes x = (${written(x)}, ${written(y)}). Around it areas become ${factor}, and log p(x) = log N(z) ${stretched >= 1 ? "−" : "+"} ${Math.abs(near.log_stretch[0]).toFixed(2)}.`);
  }

  const update = teachlibLive.latest(async () => {
    whole ??= await run("grid", { z: grid.flat() });
    const circled = Array.from({ length: around }, (_, n) => {
      const angle = (2 * Math.PI * n) / around;
      return [at[0] + RADIUS * Math.cos(angle), at[1] + RADIUS * Math.sin(angle)];
    });
    near = await run("near", { z: [...at, ...circled.flat()] });
    draw();
  }, failing);

  function go(wanted) {
    stage = wanted;
    draw();
  }

  async function start() {
    playing = true;
    play.textContent = "Pause";
    if (stage === couplings) go(0);
    while (playing && stage < couplings && !place.hidden) {
      await new Promise((done) => setTimeout(done, PAUSE));
      if (playing) go(stage + 1);
    }
    pause();
  }

  function pause() {
    playing = false;
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
