// Boxes to drag: three painters put a circle, a triangle and a square into them, one after the other.

teachlibLive.draw("boxes", async ({ place, run, constants, say }) => {
  const { element, palette } = teachlibLive;
  const { objects, side } = constants;
  const ZOOM = 10; // canvas pixels to a pixel of the picture
  const SIZES = [8, 16]; // of a box in pixels, as in training
  const failing = teachlibLive.failing(say);
  const HELP =
    "Drag a box, or its lower right corner. By keys: 1, 2 and 3 choose an object, arrows move its box, plus and minus change its size.";
  const state = {
    boxes: [[3, 4, 13, 14], [16, 2, 29, 14], [11, 18, 23, 30]], // left, top, right, bottom in pixels
    there: objects.map(() => true),
    order: objects.map((_, n) => n),
    z: Float32Array.from(constants.z),
    chosen: 0,
  };

  const row = element("div", place, { className: "row" });
  const frame = element("figure", row);
  element("figcaption", frame, { textContent: "Boxes and picture" });
  const board = element(
    "canvas",
    frame,
    { width: side * ZOOM, height: side * ZOOM, tabIndex: 0, className: "board" },
    { role: "application", "aria-label": `Boxes for ${objects.join(", ")}. ${HELP}` },
  );
  const steps = objects.map((_, n) => {
    const panel = element("figure", row);
    const title = element("figcaption", panel);
    return { title, canvas: teachlibLive.frame(panel, side, `The picture after step ${n + 1}`) };
  });
  const ink = board.getContext("2d");
  const picture = element("canvas", null, { width: side, height: side });

  const controls = element("div", place, { className: "controls" });
  const chooser = element("select", element("label", controls, { textContent: "object " }));
  objects.forEach((kind, n) => element("option", chooser, { textContent: kind, value: n }));
  chooser.addEventListener("change", () => {
    state.chosen = +chooser.value;
    update();
  });
  objects.forEach((kind, n) => {
    const label = element("label", controls);
    const box = element("input", label, { type: "checkbox", checked: true });
    label.append(` ${kind} there`);
    box.addEventListener("change", () => {
      state.there[n] = box.checked;
      update();
    });
  });
  teachlibLive.button(controls, "Another order", () => {
    state.order.push(state.order.shift());
    update();
  });
  teachlibLive.button(controls, "Other noise", () => {
    state.z = state.z.map(
      () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()),
    );
    update();
  });
  element("p", place, {
    className: "note",
    textContent: `${HELP} Boxes are as large as in training, ${SIZES.join(" to ")} pixels.`,
  });

  const conditions = () => state.boxes.flatMap((box, n) => (state.there[n] ? [1, ...box] : [0, 0, 0, 0, 0]));

  function drawBoard() {
    ink.imageSmoothingEnabled = false;
    ink.drawImage(picture, 0, 0, board.width, board.height);
    state.boxes.forEach(([left, top, right, bottom], n) => {
      ink.strokeStyle = ["#E69F00", "#56B4E9", "#FFFFFF"][n];
      ink.lineWidth = n === state.chosen ? 4 : 2;
      ink.setLineDash(state.there[n] ? [] : [6, 6]);
      ink.strokeRect(left * ZOOM, top * ZOOM, (right - left) * ZOOM, (bottom - top) * ZOOM);
      ink.fillStyle = ink.strokeStyle;
      ink.fillRect(right * ZOOM - 8, bottom * ZOOM - 8, 8, 8);
      ink.font = "13px sans-serif";
      ink.fillText(objects[n], left * ZOOM + 4, top * ZOOM + 14);
    });
    ink.setLineDash([]);
  }

  const update = teachlibLive.latest(async () => {
    chooser.value = state.chosen;
    drawBoard();
    const asked = conditions();
    let now = new Float32Array(3 * side * side);
    for (const [n, which] of state.order.entries()) {
      now = (await run(objects[which], { picture: now, conditions: asked, z: state.z })).x;
      teachlibLive.picture(steps[n].canvas, now, 3);
      steps[n].title.textContent = `${n + 1}: ${objects[which]}`;
    }
    teachlibLive.picture(picture, now, 3);
    drawBoard();
    const [left, top, right, bottom] = state.boxes[state.chosen].map((value) => value.toFixed(0));
    say(`${objects[state.chosen]}: from ${left}, ${top} to ${right}, ${bottom} of ${side} pixels. Order: ${state.order.map((n) => objects[n]).join(", ")}.`);
  }, failing);

  function moved(n, [left, top, right, bottom], dx, dy) {
    const x = Math.max(-left, Math.min(side - right, dx));
    const y = Math.max(-top, Math.min(side - bottom, dy));
    state.boxes[n] = [left + x, top + y, right + x, bottom + y];
  }

  // Circles and squares are as high as wide; a triangle's box depends on how it is turned.
  function sized(n, width, height) {
    const [left, top] = state.boxes[n];
    const most = [side - left, side - top].map((value) => Math.min(SIZES[1], value));
    let size = [width, height].map((value, k) => Math.min(most[k], Math.max(SIZES[0], value)));
    if (objects[n] !== "triangle") size = size.fill(Math.min(...most, Math.max(...size)));
    state.boxes[n] = [left, top, left + size[0], top + size[1]];
  }

  let drag = null;
  const pixel = (event) => {
    const box = board.getBoundingClientRect();
    return [((event.clientX - box.left) * side) / box.width, ((event.clientY - box.top) * side) / box.height];
  };
  board.addEventListener("pointerdown", (event) => {
    const [x, y] = pixel(event);
    const hit = state.boxes
      .map(([left, top, right, bottom], n) => ({ n, inside: x >= left - 1 && x <= right + 1 && y >= top - 1 && y <= bottom + 1, corner: Math.hypot(x - right, y - bottom) < 2.5, far: Math.hypot(x - (left + right) / 2, y - (top + bottom) / 2) }))
      .filter(({ inside, corner }) => inside || corner)
      .sort((a, b) => b.corner - a.corner || a.far - b.far)[0];
    if (!hit || !event.isPrimary || event.button !== 0) return;
    board.setPointerCapture(event.pointerId);
    state.chosen = hit.n;
    drag = { corner: hit.corner, from: [x, y], box: [...state.boxes[hit.n]], pointer: event.pointerId };
    update();
  });
  board.addEventListener("pointermove", (event) => {
    if (drag?.pointer !== event.pointerId) return;
    const [x, y] = pixel(event);
    if (drag.corner) sized(state.chosen, x - drag.box[0], y - drag.box[1]);
    else moved(state.chosen, drag.box, x - drag.from[0], y - drag.from[1]);
    update();
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"])
    board.addEventListener(end, (event) => {
      if (drag?.pointer === event.pointerId) drag = null;
    });
  board.addEventListener("keydown", (event) => {
    if (teachlibLive.shortcut(event)) return;
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const grows = { "+": 1, "=": 1, "-": -1 }[event.key];
    const [left, top, right, bottom] = state.boxes[state.chosen];
    if (step) moved(state.chosen, state.boxes[state.chosen], ...step);
    else if (grows) sized(state.chosen, right - left + grows, bottom - top + grows);
    else if (["1", "2", "3"].includes(event.key)) state.chosen = event.key - 1;
    else return;
    event.preventDefault();
    update();
  });
  await update();
  failing.ready = true;
});
