/* Deal the cards: 24 lesions of 22 women in eight views each, dealt to training, validation and test. */
(function () {
  "use strict";
  const { html, svg, drawing, choice, tick, button, live, chance, shuffled, arrows, mount, percent } = window.Widgets;

  /* The woman of each lesion: the first two women have two lesions each. */
  const WOMAN = [0, 0, 1, 1].concat(Array.from({ length: 20 }, (_, i) => i + 2));
  const LESIONS = WOMAN.length;
  const VIEWS = 8 * LESIONS;
  const SHARES = [600 / 816, 100 / 816]; // the paper's training and validation
  const SIDES = ["training", "validation", "test"];

  /* The view that is this one's mirror image, left to right: views 0 to 3 are quarter turns, 4 to 7 the same, flipped. */
  const twin = (view) => (view < 4 ? 4 : 0) + ((view + 2) % 4);

  /* The side (0, 1, 2) of each view, row by row of lesions. A group that an edge would cut goes where more of it lies. */
  function deal(way, seed) {
    const of = (i) => (way === "random" ? i : way === "lesion" ? i >> 3 : WOMAN[i >> 3]);
    const views = Array.from({ length: VIEWS }, (_, i) => i);
    const side = new Array(VIEWS);
    let dealt = 0;
    for (const group of shuffled([...new Set(views.map(of))], chance(seed))) {
      const members = views.filter((i) => of(i) === group);
      const middle = dealt + members.length / 2;
      const to = middle < SHARES[0] * VIEWS ? 0 : middle < (SHARES[0] + SHARES[1]) * VIEWS ? 1 : 2;
      members.forEach((i) => { side[i] = to; });
      dealt += members.length;
    }
    return side;
  }

  /* Of the test views: how many have another view of their lesion in training, their mirror image, their woman. */
  function count(side) {
    const found = { training: 0, test: 0, sibling: 0, mirror: 0, woman: 0 };
    const trains = new Set();
    side.forEach((to, i) => { if (to === 0) trains.add(WOMAN[i >> 3]); });
    side.forEach((to, i) => {
      const first = i & ~7;
      if (to === 0) found.training++;
      if (to !== 2) return;
      found.test++;
      if (side.slice(first, first + 8).includes(0)) found.sibling++;
      if (side[first + twin(i & 7)] === 0) found.mirror++;
      if (trains.has(WOMAN[i >> 3])) found.woman++;
    });
    return found;
  }

  /* A lesion as a sign without symmetry, in one of its eight views, around (x, y). */
  function sign(view, x, y, size) {
    const turn = [[1, 0, 0, 1], [0, -1, 1, 0], [-1, 0, 0, -1], [0, 1, -1, 0]][view & 3];
    const [a, b, c, d] = view < 4 ? turn : [turn[0], -turn[1], turn[2], -turn[3]];
    const s = size / 10;
    return svg("path", {
      d: "M-2.4-3.4V3.4M-2.4-3.4H2.8M-2.4 0H1.2", class: "w-sign",
      transform: `matrix(${[a * s, b * s, c * s, d * s, x, y].join(" ")})`,
    });
  }

  function build(host) {
    const state = { way: "random", mirror: false, seed: 1, at: 0 };
    let side = [];
    const grid = drawing(400, 178, "", { tabindex: 0, class: "w-grid", role: "application" });
    const close = drawing(400, 74, "The eight views of the chosen lesion", { role: "img" });
    const counts = html("ul", { class: "w-counts" });
    const said = live();

    const x = (i) => 8 + Math.floor(i / 64) * 132 + (i & 7) * 15.6;
    const y = (i) => 8 + ((i >> 3) % 8) * 21;
    const tiles = Array.from({ length: VIEWS }, (_, i) => {
      const tile = svg("rect", { x: x(i), y: y(i), width: 13.4, height: 15, rx: 2, onclick: () => choose(i) });
      grid.append(tile);
      return tile;
    });
    for (const first of [0, 2]) // lesions of one woman
      grid.append(svg("path", { d: `M5 ${y(first * 8) + 3}H3V${y(first * 8 + 8) + 12}H5`, class: "w-line" }));
    const ring = svg("rect", { width: 17.4, height: 19, rx: 4, class: "w-ring" });
    const row = svg("rect", { width: 127, height: 20, rx: 4, class: "w-row" });
    grid.prepend(row);
    grid.append(ring);

    function choose(i) { state.at = i; show(); }

    function show() {
      const { at, mirror } = state;
      const first = at & ~7;
      const other = first + twin(at & 7);
      const shown = mirror && side[at] === 2 && side[other] === 0;
      tiles.forEach((tile, i) => {
        const leaks = side[i] === 2 && mirror && side[(i & ~7) + twin(i & 7)] === 0;
        tile.setAttribute("class", `w-tile w-${SIDES[side[i]]}${leaks ? " w-leaks" : ""}` +
          (side[at] === 2 && side[i] === 0 && i >> 3 === at >> 3 ? " w-lit" : ""));
      });
      ring.setAttribute("x", x(at) - 2);
      ring.setAttribute("y", y(at) - 2);
      row.setAttribute("x", x(first) - 2);
      row.setAttribute("y", y(first) - 2.5);
      close.replaceChildren();
      for (let v = 0; v < 8; v++) {
        const i = first + v;
        const marked = i === at || (side[at] === 2 && i === other);
        close.append(
          svg("rect", {
            x: 3 + v * 50, y: 3, width: 44, height: 44, rx: 4, onclick: () => choose(i),
            class: `w-tile w-${SIDES[side[i]]}${marked ? (i === at ? " w-chosen" : " w-twin") : ""}`,
          }),
          sign(v, 25 + v * 50, 25, 40),
          svg("text", { x: 25 + v * 50, y: 62, class: "w-small", "text-anchor": "middle" },
            ["trains", "validates", "tests"][side[i]]),
        );
        if (marked && i !== at)
          close.append(svg("text", { x: 25 + v * 50, y: 73, class: "w-small", "text-anchor": "middle" }, "mirror"));
      }
      const siblings = side.slice(first, first + 8).filter((s) => s === 0).length;
      said.textContent = `Lesion ${1 + (at >> 3)}, woman ${1 + WOMAN[at >> 3]}: view ${1 + (at & 7)} is in ${SIDES[side[at]]}. ` +
        (side[at] !== 2 ? `${siblings} of the lesion's eight views train.`
          : siblings === 0 ? "No other view of the lesion trains."
            : `${siblings} other views of the lesion train${side[other] !== 0 ? "" : ", its mirror image among them"}.` +
              (shown ? " With the mirror on, training shows exactly this picture." : ""));
    }

    function line(words, n, of) {
      return html("li", {}, [
        html("span", {}, words),
        html("span", { class: "w-bar", "aria-hidden": "true" },
          html("span", { style: `width:${(100 * n) / of}%` })),
        html("strong", {}, `${n} of ${of} (${percent(n / of)})`),
      ]);
    }

    function again() {
      side = deal(state.way, state.seed);
      state.at = side.indexOf(2);
      retell();
    }

    function retell() {
      const found = count(side);
      counts.replaceChildren(
        line("test views with another view of the lesion in training", found.sibling, found.test),
        line("test views that training shows, pixel by pixel", state.mirror ? found.mirror : 0, found.test),
        line("test views of a woman who also trains", found.woman, found.test),
      );
      grid.setAttribute("aria-label", `${LESIONS} lesions of 22 women in eight views each: ${found.training} views train, ` +
        `${found.test} test. Arrow keys choose a view.`);
      show();
    }

    arrows(grid, (dx, dy) => {
      const column = Math.floor(state.at / 64) * 8 + (state.at & 7) + dx;
      const down = ((state.at >> 3) % 8) - dy;
      if (column < 0 || column > 23 || down < 0 || down > 7) return;
      choose((column >> 3) * 64 + down * 8 + (column & 7));
    });

    host.append(
      html("div", { class: "w-controls" }, [
        choice("Deal", [["random", "at random"], ["lesion", "by lesion"], ["woman", "by woman"]], state.way, (way) => {
          state.way = way;
          again();
        }),
        tick("Mirror while training", state.mirror, (on) => { state.mirror = on; retell(); }),
        button("Deal again", () => { state.seed++; again(); }),
      ]),
      html("p", { class: "w-key" }, [
        html("span", { class: "w-swatch w-training" }), " trains ", html("span", { class: "w-swatch w-validation" }),
        " validates ", html("span", { class: "w-swatch w-test" }), " tests ",
        html("span", { class: "w-swatch w-test w-leaks" }), " tests, and training shows it (mirror on)",
      ]),
      grid, close, said, counts,
    );
    again();
  }

  window.Widgets.deal = { deal, count, twin, WOMAN };
  mount("deal", build);
})();
