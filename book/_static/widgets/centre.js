/* Off the centre: a box in the middle of the cut, of the lesion's own size, and a lesion that can be dragged. */
(function () {
  "use strict";
  const { svg, drawing, slider, live, drag, arrows, mount, percent } = window.Widgets;
  const CUT = 256;

  /* The overlap of two squares of side a, off by dx and dy. */
  function overlap(a, dx, dy) {
    const shared = Math.max(0, a - Math.abs(dx)) * Math.max(0, a - Math.abs(dy));
    return shared / (2 * a * a - shared);
  }

  /* Of all places on whole pixels where a lesion of side a fits: the share that the box in the middle hits. */
  function share(a) {
    let hits = 0;
    for (let x = 0; x <= CUT - a; x++)
      for (let y = 0; y <= CUT - a; y++)
        if (overlap(a, x - (CUT - a) / 2, y - (CUT - a) / 2) >= 0.5) hits++;
    return hits / (CUT - a + 1) ** 2;
  }

  function build(host) {
    const state = { side: 100, x: 32, y: 0 }; // the lesion's middle, from the cut's, in pixels
    const cut = drawing(400, 272, "A cut with a box in its middle and a lesion to drag");
    const said = live();
    const at = (v) => 136 + v;
    const region = svg("path", { class: "w-region" });
    const box = svg("rect", { class: "w-box" });
    const circle = svg("circle", {});
    const cross = svg("path", { d: "M-6 0H6M0-6V6", class: "w-line" });
    const lesion = svg("g", { tabindex: 0, role: "slider", class: "w-handle w-is-true", "aria-label": "Lesion",
      "aria-valuemin": -118, "aria-valuemax": 118 }, [circle, cross]);
    cut.append(svg("g", { transform: "translate(64 0)" }, [
      svg("rect", { x: 8, y: 8, width: CUT, height: CUT, class: "w-frame" }), lesion, region, box,
    ]));

    function put(x, y) {
      const most = (CUT - state.side) / 2;
      state.x = Math.round(Math.min(most, Math.max(-most, x)));
      state.y = Math.round(Math.min(most, Math.max(-most, y)));
      show();
    }

    function show() {
      const { side, x, y } = state;
      box.setAttribute("x", at(-side / 2));
      box.setAttribute("y", at(-side / 2));
      box.setAttribute("width", side);
      box.setAttribute("height", side);
      circle.setAttribute("r", side / 2);
      lesion.setAttribute("transform", `translate(${at(x)} ${at(y)})`);
      let edge = ""; // where (a - |x|)(a - |y|) = 2/3 a^2
      for (let i = 0; i <= 80; i++) {
        const angle = (i / 80) * 4;
        const quarter = Math.floor(angle) % 4;
        const u = ((angle - Math.floor(angle)) * side) / 3;
        const v = side - (2 * side * side) / (3 * (side - u));
        const [px, py] = [[u, -v], [v, u], [-u, v], [-v, -u]][quarter];
        edge += `${i ? "L" : "M"}${at(px).toFixed(2)} ${at(py).toFixed(2)}`;
      }
      region.setAttribute("d", `${edge}Z`);
      const value = overlap(side, x, y);
      const hit = value >= 0.5;
      lesion.setAttribute("class", `w-handle ${hit ? "w-is-true" : "w-is-false"}`);
      lesion.setAttribute("aria-valuenow", x);
      lesion.setAttribute("aria-valuetext", `off by ${x} and ${-y}, IoU ${value.toFixed(2)}, ${hit ? "hit" : "no hit"}`);
      const all = share(side);
      said.textContent = `Off by ${Math.abs(x)} and ${Math.abs(y)} pixels: IoU ${value.toFixed(2)}, ${hit ? "a hit" : "no hit"}. ` +
        `Of all places where the lesion fits, the box hits ${all < 0.1 ? `${(100 * all).toFixed(1)} %` : percent(all)}.`;
    }

    drag(lesion, cut, (x, y) => put(x - 200, y - 136));
    arrows(lesion, (dx, dy) => put(state.x + dx, state.y - dy));
    host.append(cut, slider("Lesion's side", { min: 20, max: 220, step: 4, value: state.side, words: (v) => `${v} pixels` },
      (side) => { state.side = side; put(state.x, state.y); }), said);
    show();
  }

  window.Widgets.centre = { overlap, share };
  mount("centre", build);
})();
