/* Which default boxes match: a lesion to drag, and the default boxes of SSD256 that answer for it. */
(function () {
  "use strict";
  const { html, svg, drawing, slider, live, drag, arrows, mount } = window.Widgets;
  const MAPS = [32, 16, 8, 4, 2, 1];
  const SCALES = [0.1, 0.2, 0.37, 0.54, 0.71, 0.88, 1.05];
  const FOUR = [2, 1 / 2];
  const SIX = [2, 1 / 2, 3, 1 / 3];
  const RATIOS = [FOUR, SIX, SIX, SIX, FOUR, FOUR];
  const SIZE = 256;

  /* All default boxes in the order of the network's output: [map, left, top, right, bottom] in pixels. */
  const BOXES = MAPS.flatMap((cells, map) => {
    const s = SCALES[map];
    const extra = Math.sqrt(s * SCALES[map + 1]);
    const shapes = [[s, s], [extra, extra]].concat(RATIOS[map].map((r) => [s * Math.sqrt(r), s / Math.sqrt(r)]));
    const boxes = [];
    for (let row = 0; row < cells; row++)
      for (let column = 0; column < cells; column++)
        for (const [w, h] of shapes) {
          const x = (column + 0.5) / cells;
          const y = (row + 0.5) / cells;
          boxes.push([map, ...[x - w / 2, y - h / 2, x + w / 2, y + h / 2].map((v) => SIZE * v)]);
        }
    return boxes;
  });

  function iou(a, b) {
    const w = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
    const h = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
    const shared = Math.max(0, w) * Math.max(0, h);
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared);
  }

  /* The numbers of the boxes that answer for a lesion: the best one, and all with an IoU of at least 0.5. */
  function matched(lesion) {
    const overlap = BOXES.map((box) => iou(lesion, box.slice(1)));
    const best = overlap.indexOf(Math.max(...overlap));
    return { best, high: overlap[best], rows: BOXES.map((_, i) => i).filter((i) => i === best || overlap[i] >= 0.5) };
  }

  function build(host) {
    const state = { x: 128, y: 128, side: 60 };
    const picture = drawing(400, 272, "The network's window with a lesion to drag and the boxes that match it");
    const group = svg("g", { transform: "translate(72 8)" });
    const drawn = svg("g", {});
    const circle = svg("circle", {});
    const lesion = svg("g", { tabindex: 0, role: "slider", class: "w-handle w-is-true", "aria-label": "Lesion",
      "aria-valuemin": 0, "aria-valuemax": SIZE }, [circle]);
    group.append(svg("rect", { width: SIZE, height: SIZE, class: "w-frame" }), drawn, lesion);
    picture.append(group);
    const table = html("table", {});
    const said = live();

    function put(x, y) {
      const half = state.side / 2;
      state.x = Math.round(Math.min(SIZE - half, Math.max(half, x)));
      state.y = Math.round(Math.min(SIZE - half, Math.max(half, y)));
      show();
    }

    function show() {
      const { x, y, side } = state;
      const { best, high, rows } = matched([x - side / 2, y - side / 2, x + side / 2, y + side / 2]);
      circle.setAttribute("r", side / 2);
      lesion.setAttribute("transform", `translate(${x} ${y})`);
      lesion.setAttribute("aria-valuenow", x);
      drawn.replaceChildren(...rows.map((i) => {
        const [, left, top, right, bottom] = BOXES[i];
        return svg("rect", { x: left, y: top, width: right - left, height: bottom - top,
          class: i === best ? "w-box w-best" : "w-box" });
      }));
      said.textContent = `${rows.length} of ${BOXES.length} default boxes answer for this lesion; the best has an IoU of ` +
        `${high.toFixed(2)}${high < 0.5 ? ", and answers only since it is the best" : ""}.`;
      lesion.setAttribute("aria-valuetext", `at ${x}, ${y}: ${said.textContent}`);
      const by = MAPS.map((_, map) => rows.filter((i) => BOXES[i][0] === map).length);
      table.replaceChildren(html("tbody", {}, [
        html("tr", {}, [html("th", { scope: "row" }, "side of map")].concat(MAPS.map((m) => html("td", {}, String(m))))),
        html("tr", {}, [html("th", { scope: "row" }, "matches")].concat(by.map((n) => html("td", {}, String(n))))),
      ]));
    }

    drag(lesion, picture, (x, y) => put(x - 72, y - 8));
    arrows(lesion, (dx, dy) => put(state.x + dx, state.y - dy));
    host.append(picture, slider("Lesion's side", { min: 8, max: 200, step: 4, value: state.side, words: (v) => `${v} pixels` },
      (side) => { state.side = side; put(state.x, state.y); }), said, table);
    show();
  }

  window.Widgets.defaults = { BOXES, matched };
  mount("defaults", build);
})();
