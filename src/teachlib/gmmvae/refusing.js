// A reader's own digit: rebuilt, classified or refused by both distances, and attacked step by step.

teachlibLive.draw("refusing", async ({ place, run, constants, say }) => {
  const { element } = teachlibLive;
  const { side } = constants;
  const BEGUN = [[[80, 70], [200, 70], [150, 150], [120, 220]]]; // a seven
  const STEP = 0.02; // of the attack, in the range of a pixel
  const SIZE = 208; // of the plane of both ratios, in CSS pixels
  const [LEAST, MOST] = [-2, 2]; // powers of ten on its axes
  const density = Math.min(2, window.devicePixelRatio || 1);

  let written = null; // pixels as the pad gives them
  let shown = null; // the same, attacked
  let label = null; // that the attack leads away from
  let steps = 0;
  const path = []; // of both ratios

  const row = element("div", place, { className: "row" });
  const panel = (title) => {
    const made = element("figure", row);
    element("figcaption", made, { textContent: title });
    return made;
  };
  const own = panel("Your digit");
  const seen = panel("What the model sees");
  const given = teachlibLive.frame(seen, side, "What the model sees: your digit, centred, and attacked");
  const again = panel("Rebuilt");
  const rebuilt = teachlibLive.frame(again, side, "The digit, rebuilt by the model");
  const ratios = panel("Both ratios");
  const plane = element(
    "canvas",
    ratios,
    { width: SIZE * density, height: SIZE * density, className: "map" },
    { role: "img", "aria-label": "Latent ratio against pixel ratio on logarithmic axes; below one on both is accepted" },
  );
  const ink = plane.getContext("2d");

  const at = (ratio) => ((Math.log10(Math.max(ratio, 1e-9)) - LEAST) / (MOST - LEAST)) * SIZE;
  const inside = (pixel) => Math.max(4, Math.min(SIZE - 4, pixel));

  function drawPlane() {
    const colour = teachlibLive.ink(plane);
    ink.setTransform(density, 0, 0, density, 0, 0);
    ink.clearRect(0, 0, SIZE, SIZE);
    ink.fillStyle = "rgba(0, 158, 115, .25)"; // what is accepted
    ink.fillRect(0, SIZE - at(1), at(1), at(1));
    ink.fillStyle = colour;
    ink.font = "11px sans-serif";
    ink.fillText("accepted", at(1) - 54, SIZE - at(1) + 14);
    ink.fillText("code: ratio to its threshold →", 6, SIZE - 6);
    ink.save();
    ink.rotate(-Math.PI / 2);
    ink.fillText("pixels: ratio →", -SIZE + 24, 14);
    ink.restore();
    ink.strokeStyle = colour;
    ink.beginPath();
    path.forEach(([code, pixels], n) => ink[n ? "lineTo" : "moveTo"](inside(at(code)), inside(SIZE - at(pixels))));
    ink.stroke();
    const last = path.at(-1);
    if (!last) return;
    ink.fillStyle = "#D55E00";
    ink.beginPath();
    ink.arc(inside(at(last[0])), inside(SIZE - at(last[1])), 5, 0, 2 * Math.PI);
    ink.fill();
  }

  const judge = async () => {
    const empty = new Float32Array(side * side);
    teachlibLive.picture(given, shown ?? empty);
    if (!shown) {
      teachlibLive.picture(rebuilt, empty);
      path.length = 0;
      drawPlane();
      return say("Nothing is written yet.");
    }
    const found = await run("judge", { x: shown });
    const best = found.scores.indexOf(Math.max(...found.scores));
    label ??= best;
    path.push([found.latent[best], found.pixels[0]]);
    teachlibLive.picture(rebuilt, found.rebuilt);
    drawPlane();
    const [code, pixels] = path.at(-1);
    const verdict = code <= 1 && pixels <= 1 ? "accepted" : "refused";
    const moved = shown.reduce((most, value, n) => Math.max(most, Math.abs(value - written[n])), 0);
    say(
      `Taken for ${best}, ${verdict}: code at ${code.toFixed(2)} of its threshold, pixels at ${pixels.toFixed(2)}. ` +
        (steps ? `After ${steps} steps of the attack away from ${label}; no pixel has moved by more than ${moved.toFixed(2)}.` : ""),
    );
  };

  const failing = teachlibLive.failing(say);
  let turn = Promise.resolve(); // one thing after the other: strokes and steps
  const inTurn = (what) => (turn = turn.then(what).catch(failing));
  let latest = null; // what the pad has, which may be ahead of what is judged
  let version = 0; // of it: steps that were asked for before it changed are dropped

  // Begin with what is written now.
  function afresh() {
    const mine = ++version;
    inTurn(async () => {
      if (mine !== version) return;
      written = latest;
      [shown, label, steps] = [written && Float32Array.from(written), null, 0];
      path.length = 0;
      await judge();
    });
  }

  const pad = teachlibLive.pad(own, "Your digit", (pixels) => {
    latest = pixels;
    afresh();
  });
  teachlibLive.button(own, "Clear", pad.clear);

  function attack(count) {
    const mine = version;
    for (let n = 0; n < count; n++) inTurn(() => mine === version && step());
  }

  async function step() {
    if (!shown) return;
    const bound = +reach.value;
    const told = Float32Array.from({ length: 10 }, (_, n) => (n === label ? 1 : 0));
    const { gradient } = await run("ascent", { x: shown, label: told });
    shown = shown.map((value, n) => {
      const moved = value + STEP * Math.sign(gradient[n]);
      return Math.max(0, Math.min(1, Math.max(written[n] - bound, Math.min(written[n] + bound, moved))));
    });
    steps++;
    await judge();
    await teachlibLive.painted(); // so that the path is seen to grow
  }

  const controls = element("div", place, { className: "controls" });
  teachlibLive.button(controls, "A step of the attack", () => attack(1));
  teachlibLive.button(controls, "Ten steps", () => attack(10));
  teachlibLive.button(controls, "Back to what you wrote", afresh);
  const reach = teachlibLive.slider(
    controls,
    "a pixel may move by at most ",
    { min: 0.02, max: 0.5, step: 0.02, value: 0.2 },
    () => {},
    (value) => ` ${value.toFixed(2)}`,
  );
  element("p", place, { className: "note", textContent: pad.help });
  teachlibLive.themed(drawPlane);
  pad.write(BEGUN);
  await turn;
  failing.ready = true;
});
