// Ten digits out of noise, one of each class: played, paused, rewound, and guided by the class.

teachlibLive.draw("reverse-diffusion", async ({ place, run, constants, say }) => {
  const { element } = teachlibLive;
  const { times, steps, signal, side } = constants;
  const area = side * side;
  const count = constants.start.length / area;
  const last = times.length - 1;
  const PAUSE = 40; // milliseconds between two frames that are played
  const failing = teachlibLive.failing(say);
  let noise = Float32Array.from(constants.start);
  let frames = [noise]; // x at each of the times so far
  let playing = false;
  let at = 0; // what is shown
  let target = 0; // what is asked for
  let guidance = 1;
  let version = 0; // of noise and guidance: steps that were begun before a change are forgotten

  const grid = element("div", place, { className: "digits" });
  const pictures = Array.from({ length: count }, (_, n) => teachlibLive.frame(grid, side, `Asked for a ${n}`));
  const controls = element("div", place, { className: "controls" });
  const play = teachlibLive.button(controls, "Play", () => (playing ? pause() : start()));
  const scrub = teachlibLive.slider(controls, "time, from noise to digits ", { min: 0, max: last, step: 1, value: 0 }, (value) => {
    pause();
    go(value);
  });
  const guide = (value) => {
    guidance = value;
    again();
  };
  teachlibLive.slider(controls, "guidance ", { min: 0, max: 4, step: 0.5, value: 1 }, guide, (value) => ` ${value}`);
  teachlibLive.button(controls, "Other noise", () => {
    noise = noise.map(normal);
    again();
  });
  element("p", place, {
    className: "note",
    textContent: `DDIM in ${last} of ${steps} steps: no noise is added on the way, so the same noise always ends in the same digits. Guidance 0 asks for no class, 1 as in training, more exaggerates what the class changes.`,
  });

  function normal() {
    return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  }

  // From one of the times to the next (Song, Meng and Ermon, 2021).
  async function stepped(x, n) {
    const { told, untold } = await run("denoiser", {
      x,
      time: Array(count).fill(times[n] / steps),
      labels: Array.from({ length: count }, (_, digit) => digit),
    });
    const [now, next] = [signal[n], signal[n + 1]];
    return x.map((value, k) => {
      const seen = untold[k] + guidance * (told[k] - untold[k]);
      const data = Math.max(-1, Math.min(1, (value - Math.sqrt(1 - now) * seen) / Math.sqrt(now)));
      const left = (value - Math.sqrt(now) * data) / Math.sqrt(1 - now); // the noise that leads from there to here
      return Math.sqrt(next) * data + Math.sqrt(1 - next) * left;
    });
  }

  function show() {
    const x = frames[at];
    pictures.forEach((canvas, n) => {
      const own = x.subarray(n * area, (n + 1) * area);
      teachlibLive.picture(canvas, own.map((value) => (value + 1) / 2));
    });
    scrub.value = at;
    scrub.setAttribute("aria-valuetext", `t = ${times[at]}`);
    say(`t = ${times[at]} of ${steps}: ${Math.round(100 * signal[at])} % of the variance is signal. Guidance ${guidance}.`);
  }

  // To the target; the times before it that were not visited yet are computed, and seen on the way.
  const work = teachlibLive.latest(async () => {
    while (at !== target || frames.length <= target) {
      const begun = version;
      if (frames.length > target) at = target;
      else {
        const next = await stepped(frames.at(-1), frames.length - 1);
        if (begun !== version) continue; // the noise or the guidance is another by now
        frames.push(next);
        at = frames.length - 1;
      }
      show();
      await teachlibLive.painted();
    }
  }, failing);

  function go(wanted) {
    target = wanted;
    return work();
  }

  async function start() {
    playing = true;
    play.textContent = "Pause";
    if (at === last) await go(0);
    while (playing && at < last && !place.hidden) {
      await go(at + 1);
      await new Promise((done) => setTimeout(done, PAUSE));
    }
    pause();
  }

  function pause() {
    playing = false;
    play.textContent = "Play";
  }

  // Other noise or another guidance: as far as before.
  function again() {
    version++;
    frames = [noise];
    at = 0;
    show();
    work();
  }

  show();
  failing.ready = true;
});
