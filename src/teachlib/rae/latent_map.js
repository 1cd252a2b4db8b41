// One pointer over the codes of several models: what each decodes where the pointer stands.

teachlibLive.draw("latent-map", async ({ place, run, constants, say }) => {
  const { element, palette } = teachlibLive;
  const { maps, labels, side, reach: REACH } = constants; // REACH: deviations from the middle of a map to its edge
  const SIZE = 208; // of a map, in CSS pixels
  const HELP = "Move with the pointer or the arrow keys; Shift makes small steps.";
  const density = Math.min(2, window.devicePixelRatio || 1);
  const failing = teachlibLive.failing(say);
  const at = [0, 0]; // in deviations along both directions of most variance

  const row = element("div", place, { className: "row" });
  const panels = maps.map((map) => {
    const panel = element("figure", row);
    element("figcaption", panel, { textContent: map.title });
    const canvas = element(
      "canvas",
      panel,
      { width: SIZE * density, height: SIZE * density, tabIndex: 0, className: "map" },
      { role: "application", "aria-label": `Codes of ${map.title}. ${HELP}` },
    );
    const picture = teachlibLive.frame(panel, side, `What ${map.title} decodes`);
    return { ...map, canvas, picture, ink: canvas.getContext("2d") };
  });
  const controls = element("div", place, { className: "controls" });
  const held = element("label", controls);
  const nearest = element("input", held, { type: "checkbox" });
  held.append(" the other numbers of the code are those of the nearest test image, not the mean's");
  element("p", place, {
    className: "note",
    textContent: `Small digits: codes of ${labels.length} test images, in the two directions of most variance. Ellipses: the ten Gaussians fitted to the codes, at one deviation. ${HELP}`,
  });

  const toCanvas = (value) => ((value / REACH + 1) / 2) * SIZE;
  const toPlane = (pixel) => Math.max(-REACH, Math.min(REACH, ((2 * pixel) / SIZE - 1) * REACH));

  function drawMap({ ink, canvas, places, ellipses }) {
    ink.setTransform(density, 0, 0, density, 0, 0);
    ink.clearRect(0, 0, SIZE, SIZE);
    ink.font = "10px sans-serif";
    ink.textAlign = "center";
    ink.textBaseline = "middle";
    places.forEach(([u, v], n) => {
      ink.fillStyle = palette[labels[n] % palette.length];
      ink.fillText(labels[n], toCanvas(u), toCanvas(-v));
    });
    ink.strokeStyle = teachlibLive.ink(canvas);
    ink.lineWidth = 1;
    const scale = SIZE / (2 * REACH);
    for (const [u, v, long, short, angle] of ellipses) {
      ink.beginPath();
      ink.ellipse(toCanvas(u), toCanvas(-v), long * scale, short * scale, -angle, 0, 2 * Math.PI);
      ink.stroke();
    }
    ink.lineWidth = 2;
    ink.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      ink.moveTo(toCanvas(at[0]) + 4 * dx, toCanvas(-at[1]) + 4 * dy);
      ink.lineTo(toCanvas(at[0]) + 12 * dx, toCanvas(-at[1]) + 12 * dy);
    }
    ink.stroke();
  }

  function nearestOf({ places }) {
    const away = places.map(([u, v]) => (u - at[0]) ** 2 + (v - at[1]) ** 2);
    return away.indexOf(Math.min(...away));
  }

  // The code where the pointer stands: a point's own numbers, moved within the plane to where the pointer is.
  function codeOf(panel) {
    const base = nearest.checked ? nearestOf(panel) : null;
    const [from, origin] = base === null ? [panel.mean, [0, 0]] : [panel.codes[base], panel.places[base]];
    return from.map((value, d) => value + panel.axes.reduce((sum, axis, k) => sum + (at[k] - origin[k]) * axis[d], 0));
  }

  const update = teachlibLive.latest(async () => {
    panels.forEach(drawMap);
    const drawn = await Promise.all(panels.map((panel) => run(panel.model, { z: codeOf(panel) })));
    drawn.forEach(({ x }, n) => teachlibLive.picture(panels[n].picture, x));
    const near = panels.map((panel) => `${panel.title} ${labels[nearestOf(panel)]}`).join(", ");
    const where = at.map((value) => (Math.round(10 * value) / 10 + 0).toFixed(1).replace("-", "−"));
    say(`${where.join(" and ")} deviations from the mean; the nearest test image is of digit: ${near}.`);
  }, failing);

  for (const { canvas } of panels) {
    const follow = (event) => {
      const box = canvas.getBoundingClientRect();
      at[0] = toPlane(((event.clientX - box.left) * SIZE) / box.width);
      at[1] = -toPlane(((event.clientY - box.top) * SIZE) / box.height);
      update();
    };
    canvas.addEventListener("pointermove", follow);
    canvas.addEventListener("pointerdown", follow);
    canvas.addEventListener("keydown", (event) => {
      if (teachlibLive.shortcut(event)) return;
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!step) return;
      event.preventDefault();
      step.forEach((direction, k) => {
        at[k] = Math.max(-REACH, Math.min(REACH, at[k] + direction * (event.shiftKey ? 0.05 : 0.3)));
      });
      update();
    });
  }
  nearest.addEventListener("change", update);
  teachlibLive.themed(() => panels.forEach(drawMap));
  await update();
  failing.ready = true;
});
