// A head by numbers: posed and shaded by exported graphs, rasterized here, and drawn by GIF as it is told.

teachlibLive.draw("by-sliders", async ({ place, run, constants, say }) => {
  const { element } = teachlibLive;
  const { knobs, faces, styles, side, finer } = constants;
  const SIZE = side * finer; // of what is rasterized
  const EDGE = 1e-9; // of a triangle: a pixel's centre on it belongs to both sides
  const failing = teachlibLive.failing(say);
  const HELP = "Drag a picture, or use the arrow keys on the last one, to turn the head.";
  const numbers = knobs.map(() => 0);
  let style = 0;

  const row = element("div", place, { className: "row abreast" });
  const [colours, normals, picture] = ["Colours", "Normals", "GIF"].map((title) => {
    const panel = element("figure", row);
    element("figcaption", panel, { textContent: title });
    const canvas = teachlibLive.frame(panel, side, title);
    canvas.classList.add("turned");
    return canvas;
  });
  const controls = element("div", place, { className: "controls" });
  const sliders = knobs.map(({ label, low, high }, n) => {
    const changed = (value) => {
      numbers[n] = value;
      update();
    };
    return teachlibLive.slider(controls, `${label} `, { min: low, max: high, step: inDegrees(n) ? 1 : 0.05, value: 0 }, changed, (value) => ` ${shown(n, value)}`);
  });
  teachlibLive.button(controls, "Another style", () => {
    style = (style + 1) % styles.length;
    update();
  });
  teachlibLive.button(controls, "From the start", () => {
    numbers.forEach((_, n) => turn(n, 0));
    style = 0;
  });
  element("p", place, { className: "note", textContent: `${HELP} The network hears ${side} × ${side} pixels of colours and of normals, and a style; nothing else. The middle of the eyes stays where it is, as in training, so that a head that turns moves aside.` });

  function inDegrees(n) {
    return knobs[n].label.includes("degrees");
  }

  function shown(n, value) {
    return teachlibLive.number(value, inDegrees(n) ? 0 : 2) + (inDegrees(n) ? "°" : "");
  }

  // The nearest triangle at every pixel's centre, of those that face the viewer: a z-buffer, as teachlib.gif.rasterizer.
  function rasterized(screen) {
    const face = new Float32Array(SIZE * SIZE).fill(-1);
    const weights = new Float32Array(3 * SIZE * SIZE);
    const depth = new Float64Array(SIZE * SIZE).fill(-Infinity);
    const column = (n) => ((screen[3 * n] + 1) * SIZE) / 2 - 0.5;
    const line = (n) => ((1 - screen[3 * n + 1]) * SIZE) / 2 - 0.5;
    for (let f = 0; f < faces.length / 3; f++) {
      const [a, b, c] = [faces[3 * f], faces[3 * f + 1], faces[3 * f + 2]];
      const [ax, ay, bx, by, cx, cy] = [column(a), line(a), column(b), line(b), column(c), line(c)];
      const area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
      if (!(area < 0)) continue; // lines go down: the front is negative
      const [left, right] = [Math.max(0, Math.ceil(Math.min(ax, bx, cx))), Math.min(SIZE - 1, Math.floor(Math.max(ax, bx, cx)))];
      const [top, bottom] = [Math.max(0, Math.ceil(Math.min(ay, by, cy))), Math.min(SIZE - 1, Math.floor(Math.max(ay, by, cy)))];
      for (let y = top; y <= bottom; y++)
        for (let x = left; x <= right; x++) {
          const first = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area;
          const second = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area;
          const third = 1 - first - second;
          if (first < -EDGE || second < -EDGE || third < -EDGE) continue;
          const near = first * screen[3 * a + 2] + second * screen[3 * b + 2] + third * screen[3 * c + 2];
          const pixel = y * SIZE + x;
          if (near <= depth[pixel]) continue;
          depth[pixel] = near;
          face[pixel] = f;
          weights.set([first, second, third], 3 * pixel);
        }
    }
    return { face, weights };
  }

  const update = teachlibLive.latest(async () => {
    const { screen, normals: ofVertices, skin, lights } = await run("rig", { numbers });
    const { rendering } = await run("shade", { ...rasterized(screen), normals: ofVertices, skin, lights });
    const { x } = await run("gif", { rendering, z: styles[style] });
    const bright = rendering.map((value) => (value + 1) / 2);
    teachlibLive.picture(colours, bright.subarray(0, bright.length / 2), 3);
    teachlibLive.picture(normals, bright.subarray(bright.length / 2), 3);
    teachlibLive.picture(picture, x, 3);
    const told = knobs.map(({ label }, n) => numbers[n] && `${label.split(",")[0]} ${shown(n, numbers[n])}`).filter(Boolean);
    say(`Style ${style + 1} of ${styles.length}. ${told.join(", ") || "All numbers are zero"}.`);
  }, failing);

  function turn(n, value) {
    numbers[n] = Math.max(knobs[n].low, Math.min(knobs[n].high, value));
    sliders[n].put(numbers[n]);
    update();
  }

  let drag = null;
  for (const canvas of [colours, normals, picture]) {
    canvas.addEventListener("pointerdown", (event) => {
      if (!event.isPrimary || event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      drag = { pointer: event.pointerId, from: [event.clientX, event.clientY], turned: numbers.slice(0, 2) };
    });
    canvas.addEventListener("pointermove", (event) => {
      if (drag?.pointer !== event.pointerId) return;
      turn(0, Math.round(drag.turned[0] + (event.clientX - drag.from[0]) / 2));
      turn(1, Math.round(drag.turned[1] + (event.clientY - drag.from[1]) / 4));
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"])
      canvas.addEventListener(end, (event) => {
        if (drag?.pointer === event.pointerId) drag = null;
      });
  }
  picture.tabIndex = 0;
  picture.setAttribute("role", "application");
  picture.setAttribute("aria-label", `GIF's picture. ${HELP}`);
  picture.addEventListener("keydown", (event) => {
    if (teachlibLive.shortcut(event)) return;
    const step = { ArrowLeft: [0, -5], ArrowRight: [0, 5], ArrowUp: [1, -2], ArrowDown: [1, 2] }[event.key];
    if (!step) return;
    event.preventDefault();
    turn(step[0], numbers[step[0]] + step[1]);
  });
  await update();
  failing.ready = true;
});
