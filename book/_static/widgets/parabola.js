/* Parabola: gradient descent with momentum on one weight, the loss k w^2 / 2 with k = 4, until it explodes. */
(function () {
  "use strict";
  const { svg, drawing, slider, live, mount } = window.Widgets;
  const K = 4;
  const STEPS = 30;

  /* The weight after each step: v <- m v - r k w, w <- w + v, from w = 1. */
  function descend(rate, momentum, steps) {
    let w = 1;
    let v = 0;
    const weights = [w];
    for (let i = 0; i < steps; i++) {
      v = momentum * v - rate * K * w;
      w += v;
      weights.push(w);
    }
    return weights;
  }

  /* By what a step multiplies in the long run: the larger eigenvalue of the step, z^2 - (1 - r k + m) z + m = 0. */
  function growth(rate, momentum) {
    const half = (1 - rate * K + momentum) / 2;
    const inside = half * half - momentum;
    return inside < 0 ? Math.sqrt(momentum) : Math.max(Math.abs(half + Math.sqrt(inside)), Math.abs(half - Math.sqrt(inside)));
  }

  const edge = (momentum) => (2 * (1 + momentum)) / K;

  function build(host) {
    const state = { rate: 0.4, momentum: 0, steps: 8 };
    const bowl = drawing(400, 180, "", { role: "img" });
    const losses = drawing(400, 160, "", { role: "img" });
    const said = live();

    const bx = (w) => 200 + 80 * w;
    const by = (w) => 168 - 14 * K * w * w / 2;
    const lx = (step) => 40 + (350 * step) / STEPS;
    const power = (loss) => Math.min(8, Math.max(-6, Math.log10(Math.max(loss, 1e-9))));
    const ly = (loss) => 72 - 8 * power(loss);

    function show() {
      const { rate, momentum, steps } = state;
      const weights = descend(rate, momentum, STEPS);
      const seen = weights.slice(0, steps + 1);
      const outside = seen.findIndex((w) => Math.abs(w) > 2.4);
      const inside = outside < 0 ? seen : seen.slice(0, outside);
      let curve = "M";
      for (let w = -2.4; w <= 2.41; w += 0.1) curve += `${bx(w).toFixed(1)} ${by(w).toFixed(1)} `;
      const path = "M" + inside.map((w) => `${bx(w)} ${by(w)}`).join("L") +
        (outside < 0 ? "" : `L${bx(2.5 * Math.sign(seen[outside]))} 2`);
      bowl.replaceChildren(
        svg("path", { d: curve, class: "w-bowl" }), svg("path", { d: path, class: "w-path" }),
        ...inside.map((w, i) => svg("circle", {
          cx: bx(w), cy: by(w), r: i === steps ? 7 : 4, class: i === steps ? "w-ours" : "w-you",
        })),
        ...(outside < 0 ? [] : [svg("text", { x: 200, y: 24, "text-anchor": "middle" }, `out of the picture at step ${outside}`)]),
      );
      const loss = weights.map((w) => (K * w * w) / 2);
      losses.replaceChildren(
        svg("path", { d: "M40 6V124H392", class: "w-line" }),
        svg("path", { d: `M40 ${ly(2)}H392`, class: "w-half" }),
        ...[8, 4, 0, -4].map((p) => svg("text", { x: 36, y: 76 - 8 * p, class: "w-small", "text-anchor": "end" }, `1e${p}`)),
        svg("text", { x: 216, y: 150, "text-anchor": "middle" }, "step"),
        svg("text", { x: 390, y: 138, class: "w-small", "text-anchor": "end" }, String(STEPS)),
        svg("text", { x: 46, y: 16 }, "loss, in powers of ten"),
        ...loss.map((value, i) => svg("circle", {
          cx: lx(i), cy: ly(value), r: i === steps ? 6 : 3, class: i === steps ? "w-ours" : "w-you",
        })),
      );
      const by_step = growth(rate, momentum);
      const how = Math.abs(by_step - 1) < 1e-9 ? "It stays on the edge." : by_step < 1 ? "It shrinks." : "It explodes.";
      said.textContent = `${how} Each step multiplies by ${by_step.toFixed(2)} in the long run. The edge lies at a rate of ` +
        `${edge(momentum).toFixed(2)}. After ${steps} steps the weight is ${Number(weights[steps].toPrecision(3))}.`;
      bowl.setAttribute("aria-label", `A parabola and the weight's steps on it. ${said.textContent}`);
      losses.setAttribute("aria-label", `The loss by steps. ${said.textContent}`);
    }

    const control = (name, key, min, max, step, digits) => slider(name,
      { min, max, step, value: state[key], words: (v) => v.toFixed(digits) }, (v) => { state[key] = v; show(); });
    host.append(control("Learning rate", "rate", 0.01, 1.2, 0.01, 2), control("Momentum", "momentum", 0, 0.95, 0.05, 2),
      control("Steps", "steps", 0, STEPS, 1, 0), said, bowl, losses);
    show();
  }

  window.Widgets.parabola = { descend, growth, edge };
  mount("parabola", build);
})();
