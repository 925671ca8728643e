/* Bootstrap by woman against by crop: fifteen women with eight crops each, and how much a score varies if women, or
   crops, are drawn again. */
(function () {
  "use strict";
  const { html, svg, drawing, button, live, chance, mount } = window.Widgets;

  /* How many of her eight crops are right, for each woman; invented, and alike within a woman. */
  const RIGHT = [8, 8, 7, 8, 0, 8, 8, 1, 8, 6, 8, 0, 8, 7, 5];
  const VIEWS = 8;
  const CROPS = RIGHT.flatMap((n) => Array.from({ length: VIEWS }, (_, i) => (i < n ? 1 : 0)));
  const BINS = 40;

  /* The share of right crops when women, or crops, are drawn with replacement. */
  function draw(by, random) {
    const from = by === "woman" ? RIGHT : CROPS;
    let sum = 0;
    for (let i = 0; i < from.length; i++) sum += from[Math.floor(random() * from.length)];
    return sum / CROPS.length;
  }

  /* The middle 95 % of a list of numbers. */
  function middle(values) {
    const sorted = values.slice().sort((a, b) => a - b);
    return [0.025, 0.975].map((share) => {
      const at = share * (sorted.length - 1);
      const low = Math.floor(at);
      return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
    });
  }

  function build(host) {
    const kinds = [["woman", "women drawn"], ["crop", "crops drawn"]];
    const random = chance(1);
    let drawn = { woman: [], crop: [] };
    const picture = drawing(400, 250, "", { role: "img" });
    const said = live();
    const x = (share) => 10 + 380 * share;

    function more(n) {
      for (const [kind] of kinds) for (let i = 0; i < n; i++) drawn[kind].push(draw(kind, random));
      show();
    }

    function show() {
      picture.replaceChildren();
      const words = [];
      kinds.forEach(([kind, name], k) => {
        const floor = 100 + 118 * k;
        const bins = new Array(BINS).fill(0);
        drawn[kind].forEach((value) => { bins[Math.min(BINS - 1, Math.floor(value * BINS))]++; });
        const high = Math.max(...bins, 1);
        picture.append(svg("path", { d: `M10 ${floor}H390`, class: "w-line" }));
        bins.forEach((n, i) => n && picture.append(svg("rect", {
          x: x(i / BINS) + 0.5, y: floor - (70 * n) / high, width: 380 / BINS - 1, height: (70 * n) / high,
          class: k ? "w-ours" : "w-you",
        })));
        const [low, top] = middle(drawn[kind]);
        picture.append(
          svg("path", { d: `M${x(low)} ${floor + 6}H${x(top)}`, class: "w-interval" }),
          svg("text", { x: 10, y: floor - 74 }, `${name}: 0.75 [${low.toFixed(2)}, ${top.toFixed(2)}]`),
        );
        words.push(`with ${name} from ${low.toFixed(2)} to ${top.toFixed(2)}`);
      });
      picture.append(svg("text", { x: 10, y: 244, class: "w-small" }, "0"),
        svg("text", { x: 390, y: 244, class: "w-small", "text-anchor": "end" }, "1"),
        svg("text", { x: 200, y: 244, "text-anchor": "middle" }, "share of right crops"));
      said.textContent = `${drawn.woman.length} draws: 95 % of them lie ${words.join(", and ")}.`;
      picture.setAttribute("aria-label", said.textContent);
    }

    host.append(
      html("p", {}, `Right crops of eight, by woman: ${RIGHT.join(", ")}. Together 90 of 120, or 0.75.`),
      picture, said,
      html("div", { class: "w-controls" }, [button("Draw once more", () => more(1)), button("Draw 200 more", () => more(200)),
        button("Begin again", () => { drawn = { woman: [], crop: [] }; more(1); })]));
    more(200);
  }

  window.Widgets.bootstrap = { draw, middle, RIGHT, VIEWS };
  mount("bootstrap", build);
})();
