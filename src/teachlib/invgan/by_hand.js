// A reader's own digits: what the model infers of them, generates again, edits and mixes.

teachlibLive.draw("by-hand", async ({ place, run, constants, say }) => {
  const { element } = teachlibLive;
  const { directions, side } = constants;
  // Written beforehand, so that there is something to see: a seven and a zero.
  const BEGUN = [
    [[[80, 70], [200, 70], [150, 150], [120, 220]]],
    [[[150, 60], [105, 85], [90, 145], [110, 205], [150, 220], [185, 195], [195, 135], [180, 80], [150, 60]]],
  ];

  const row = element("div", place, { className: "row" });
  const digits = ["First digit", "Second digit"].map((title, n) => {
    const panel = element("figure", row);
    element("figcaption", panel, { textContent: title });
    const digit = { code: null, pixels: null };
    digit.pad = teachlibLive.pad(panel, title, (pixels) => {
      digit.pixels = pixels;
      infer(digit);
    });
    digit.made = teachlibLive.frame(panel, side, `${title}, generated again`);
    teachlibLive.button(panel, "Clear", digit.pad.clear);
    digit.begun = BEGUN[n];
    return digit;
  });
  const panel = element("figure", row);
  element("figcaption", panel, { textContent: "Mixed and edited" });
  const mixed = teachlibLive.frame(panel, side, "The mixture of both digits, edited");
  mixed.classList.add("large");
  const controls = element("div", place, { className: "controls" });
  const shares = {
    mixture: teachlibLive.slider(controls, "from first to second ", { min: 0, max: 1, step: 0.02, value: 0 }, () => mix()),
  };
  for (const name of Object.keys(directions))
    shares[name] = teachlibLive.slider(controls, `${name} `, { min: -3, max: 3, step: 0.1, value: 0 }, () => mix());
  element("p", place, { className: "note", textContent: digits[0].pad.help });

  const infer = async (digit) => {
    digit.wanted = true;
    if (digit.busy) return;
    digit.busy = true;
    while (digit.wanted) {
      digit.wanted = false;
      digit.code = digit.pixels && Array.from((await run("inference", { x: digit.pixels })).w);
      const again = digit.code ? (await run("generator", { w: digit.code })).x : new Float32Array(side * side);
      teachlibLive.picture(digit.made, again);
      digit.error = digit.pixels && again.reduce((sum, value, n) => sum + 2 * Math.abs(value - digit.pixels[n]), 0) / again.length;
      await mix();
    }
    digit.busy = false;
  };

  const mix = teachlibLive.latest(async () => {
    const [one, other] = digits.map(({ code }) => code);
    if (!one && !other) return teachlibLive.picture(mixed, new Float32Array(side * side));
    const share = +shares.mixture.value;
    const w = (one ?? other).map((value, k) => {
      const moved = Object.entries(directions).reduce((sum, [name, step]) => sum + shares[name].value * step[k], 0);
      return (1 - share) * value + share * (other ?? one)[k] + moved;
    });
    teachlibLive.picture(mixed, (await run("generator", { w })).x);
    const errors = digits.map(({ error }) => (error ? error.toFixed(3) : "–")).join(" and ");
    say(`Error of both, generated again (mean absolute, on −1 … 1): ${errors}. Mixed: ${Math.round(100 * share)} % of the second.`);
  });

  digits.forEach(({ pad, begun }) => pad.write(begun));
  await Promise.all(digits.map(infer));
});
