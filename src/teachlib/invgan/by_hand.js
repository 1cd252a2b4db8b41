// A reader's own digits: what the model infers of them, generates again, edits and mixes.

teachlibLive.draw("by-hand", async ({ place, run, constants, say }) => {
  const { element } = teachlibLive;
  const { directions, side } = constants;
  // Written beforehand, so that there is something to see: a seven and a zero.
  const BEGUN = [
    [[[80, 70], [200, 70], [150, 150], [120, 220]]],
    [[[150, 60], [105, 85], [90, 145], [110, 205], [150, 220], [185, 195], [195, 135], [180, 80], [150, 60]]],
  ];

  const failing = teachlibLive.failing(say);
  const row = element("div", place, { className: "row" });
  const digits = ["First digit", "Second digit"].map((title, n) => {
    const panel = element("figure", row);
    element("figcaption", panel, { textContent: title });
    const digit = { code: null, pixels: null, error: null, begun: BEGUN[n] };
    digit.infer = teachlibLive.latest(() => infer(digit), failing);
    digit.pad = teachlibLive.pad(panel, title, (pixels) => {
      digit.pixels = pixels;
      digit.infer();
    });
    digit.made = teachlibLive.frame(panel, side, `${title}, generated again`);
    teachlibLive.button(panel, "Clear", digit.pad.clear).setAttribute("aria-label", `Clear: ${title}`);
    return digit;
  });
  const panel = element("figure", row);
  element("figcaption", panel, { textContent: "Mixed and edited" });
  const mixed = teachlibLive.frame(panel, side, "The mixture of both digits, edited");
  mixed.classList.add("large");
  const controls = element("div", place, { className: "controls" });
  const changed = () => mix();
  const percent = (value) => ` ${Math.round(100 * value)} %`;
  const deviations = (value) => ` ${value.toFixed(1).replace("-", "−")} deviations`;
  const shares = {
    mixture: teachlibLive.slider(controls, "from first to second ", { min: 0, max: 1, step: 0.02, value: 0 }, changed, percent),
  };
  for (const name of Object.keys(directions))
    shares[name] = teachlibLive.slider(controls, `${name} `, { min: -3, max: 3, step: 0.1, value: 0 }, changed, deviations);
  element("p", place, { className: "note", textContent: digits[0].pad.help });

  async function infer(digit) {
    const { pixels } = digit;
    digit.code = pixels && Array.from((await run("inference", { x: pixels })).w);
    const again = digit.code ? (await run("generator", { w: digit.code })).x : new Float32Array(side * side);
    teachlibLive.picture(digit.made, again);
    digit.error = pixels && again.reduce((sum, value, n) => sum + 2 * Math.abs(value - pixels[n]), 0) / again.length;
    await mix();
  }

  const mix = teachlibLive.latest(async () => {
    const codes = digits.map(({ code }) => code);
    const [one, other] = [codes[0] ?? codes[1], codes[1] ?? codes[0]];
    if (!one) {
      teachlibLive.picture(mixed, new Float32Array(side * side));
      return say("Nothing is written yet.");
    }
    const share = +shares.mixture.value;
    const w = one.map((value, k) => {
      const moved = Object.entries(directions).reduce((sum, [name, step]) => sum + shares[name].value * step[k], 0);
      return (1 - share) * value + share * other[k] + moved;
    });
    teachlibLive.picture(mixed, (await run("generator", { w })).x);
    const errors = digits.filter(({ error }) => error !== null).map(({ error }) => error.toFixed(3));
    const what = errors.length > 1 ? `of both, generated again: ${errors.join(" and ")}` : `of the one digit, generated again: ${errors[0]}`;
    say(`Error ${what} (mean absolute, on −1 … 1).`);
  }, failing);

  digits.forEach(({ pad, begun }) => pad.write(begun));
  await Promise.all(digits.map(({ infer }) => infer()));
  failing.ready = true;
});
