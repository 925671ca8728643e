/* Ranking and staircase: eight boxes on seven images, six of which hold a lesion. A box has a confidence and an offset;
   the verdicts, the precision-recall curve and four definitions of average precision follow. */
(function () {
  "use strict";
  const { html, svg, drawing, slider, button, live, drag, arrows, mount } = window.Widgets;

  /* The chapter's set: [image, confidence, pixels to the right]. Lesions are 20 pixels wide, on images 0 to 5. */
  const BOXES = [[0, 0.95, 2], [1, 0.9, 3], [2, 0.85, 10], [3, 0.8, 4], [1, 0.7, 1], [6, 0.6, 0], [2, 0.55, 6], [4, 0.3, 12]];
  const LESIONS = 6;
  const SIDE = 20;
  const POINTS = { paper: 20, voc2007: 11, voc2010: null, coco: 101 };
  const NAMES = { paper: "the paper, 20 points", voc2007: "VOC 2007, 11 points", voc2010: "VOC 2010, all points",
    coco: "COCO, 101 points" };

  /* The overlap of a box that is off by `s` with its lesion; nothing on the image without one. */
  const iou = (image, s) => (image >= LESIONS || s >= SIDE ? 0 : (SIDE - s) / (SIDE + s));

  /* The numbers of the boxes by confidence, of equal ones the lower image first; and which are true. */
  function judge(boxes) {
    const order = boxes.map((_, i) => i)
      .sort((i, j) => boxes[j][1] - boxes[i][1] || boxes[i][0] - boxes[j][0] || i - j);
    const found = new Set();
    const verdict = order.map((i) => {
      const [image, , off] = boxes[i];
      const hit = iou(image, off) >= 0.5 && !found.has(image);
      if (hit) found.add(image);
      return hit;
    });
    let true_ = 0;
    const curve = verdict.map((hit, rank) => {
      if (hit) true_++;
      return { recall: true_ / LESIONS, precision: true_ / (rank + 1), found: true_ };
    });
    return { order, verdict, curve };
  }

  /* The highest precision at this recall or more, for each row of the curve. */
  function envelope(curve) {
    let best = 0;
    return curve.map((row) => row.precision).reverse().map((p) => { best = Math.max(best, p); return best; }).reverse();
  }

  /* The mean height of the staircase in one definition: a stair counts for the recall points that it reaches. */
  function averagePrecision({ verdict, curve }, definition) {
    const points = POINTS[definition];
    const high = envelope(curve);
    let before = 0;
    let sum = 0;
    verdict.forEach((hit, rank) => {
      if (!hit) return;
      const { found, recall } = curve[rank];
      let reached = found / LESIONS;
      if (definition === "coco") { // compares floating-point numbers, as its program does
        reached = 0;
        for (let j = 0; j < points; j++) if ((j === 100 ? 1 : j * 0.01) <= recall) reached++;
      } else if (points) reached = Math.floor((found * (points - 1)) / LESIONS) + 1;
      sum += high[rank] * (reached - before);
      before = reached;
    });
    return sum / (points || 1);
  }

  function build(host) {
    let boxes = BOXES.map((box) => box.slice());
    let threshold = 0.5;
    const places = drawing(400, 190, "Eight boxes by confidence and by how far they are off; drag them");
    const plot = drawing(400, 190, "", { role: "img" });
    const table = html("table", {});
    const said = live();

    const x = (confidence) => 34 + 356 * (1 - confidence); // the most confident first
    const y = (off) => 150 - 8.5 * off;
    const line = svg("path", { class: "w-threshold" });
    places.append(
      svg("path", { d: "M34 6V158H392", class: "w-line" }),
      svg("path", { d: `M34 ${y(20 / 3)}H392`, class: "w-half" }),
      svg("text", { x: 390, y: y(20 / 3) - 4, class: "w-small", "text-anchor": "end" }, "IoU 0.5"),
      svg("text", { x: 34, y: 172, class: "w-small" }, "1"),
      svg("text", { x: 390, y: 172, class: "w-small", "text-anchor": "end" }, "0"),
      svg("text", { x: 212, y: 184, "text-anchor": "middle" }, "confidence"),
      svg("text", { x: 12, y: 84, "text-anchor": "middle", transform: "rotate(-90 12 84)" }, "pixels off"),
      line,
    );
    const handles = boxes.map((box, i) => {
      const disc = svg("circle", { r: 11 });
      const handle = svg("g", { tabindex: 0, role: "slider", "aria-valuemin": 0, "aria-valuemax": 1, class: "w-handle" },
        [disc, svg("text", { y: 4, "text-anchor": "middle" }, String(box[0]))]);
      const put = (confidence, off) => {
        boxes[i][1] = Math.round(100 * Math.min(1, Math.max(0, confidence))) / 100;
        boxes[i][2] = Math.round(Math.min(16, Math.max(0, off)));
        show(i);
      };
      drag(handle, places, (px, py) => put(1 - (px - 34) / 356, (150 - py) / 8.5));
      arrows(handle, (dx, dy) => put(boxes[i][1] - dx / 100, boxes[i][2] + dy));
      places.append(handle);
      return handle;
    });

    function show(moved) {
      const judged = judge(boxes);
      const { order, verdict, curve } = judged;
      order.forEach((i, rank) => {
        const [image, confidence, off] = boxes[i];
        const words = verdict[rank] ? "true" : "false";
        handles[i].setAttribute("transform", `translate(${x(confidence)} ${y(off)})`);
        handles[i].setAttribute("class", `w-handle w-is-${words}${confidence < threshold ? " w-below" : ""}`);
        handles[i].setAttribute("aria-valuenow", confidence);
        handles[i].setAttribute("aria-label", `Box on image ${image}`);
        handles[i].setAttribute("aria-valuetext", `confidence ${confidence.toFixed(2)}, off by ${off}, ${words}`);
        if (moved === i)
          said.textContent = `Box on image ${image}: confidence ${confidence.toFixed(2)}, rank ${rank + 1}, ` +
            `IoU ${iou(image, off).toFixed(2)}, ${words}.`;
      });
      line.setAttribute("d", `M${x(threshold)} 6V158`);

      const px = (recall) => 34 + 356 * recall;
      const py = (precision) => 150 - 140 * precision;
      const high = envelope(curve);
      let stairs = `M${px(0)} ${py(high[0])}`;
      curve.forEach((row, i) => { stairs += `V${py(high[i])}H${px(row.recall)}`; });
      stairs += `V${py(0)}`;
      const zigzag = "M" + curve.map((row) => `${px(row.recall)} ${py(row.precision)}`).join("L");
      const shown = boxes.filter((box) => box[1] >= threshold).length;
      const at = shown ? curve[shown - 1] : { recall: 0, precision: 1, found: 0 };
      plot.replaceChildren(
        svg("path", { d: "M34 6V150H392", class: "w-line" }),
        svg("text", { x: 30, y: 14, class: "w-small", "text-anchor": "end" }, "1"),
        svg("text", { x: 34, y: 164, class: "w-small" }, "0"),
        svg("text", { x: 390, y: 164, class: "w-small", "text-anchor": "end" }, "1"),
        svg("text", { x: 212, y: 180, "text-anchor": "middle" }, "recall"),
        svg("text", { x: 12, y: 80, "text-anchor": "middle", transform: "rotate(-90 12 80)" }, "precision"),
        svg("path", { d: stairs, class: "w-stairs" }),
        svg("path", { d: zigzag, class: "w-zigzag" }),
        ...curve.map((row) => svg("circle", { cx: px(row.recall), cy: py(row.precision), r: 3, class: "w-dot" })),
        ...(shown ? [svg("circle", { cx: px(at.recall), cy: py(at.precision), r: 7, class: "w-ring" })] : []),
      );
      const words = `At ${threshold.toFixed(2)}: ${shown} boxes shown, ${at.found} true; recall ${at.found} of 6` +
        (shown ? `, precision ${at.precision.toFixed(3)}.` : ".");
      plot.setAttribute("aria-label", `Precision and recall. ${words}`);
      if (moved === undefined) said.textContent = words;
      table.replaceChildren(html("caption", {}, "Average precision"), html("tbody", {}, Object.keys(POINTS).map((name) =>
        html("tr", {}, [html("th", { scope: "row" }, NAMES[name]),
          html("td", {}, averagePrecision(judged, name).toFixed(4))]))));
    }

    host.append(places, plot,
      slider("Threshold", { min: 0, max: 1, step: 0.01, value: threshold, words: (v) => v.toFixed(2) }, (value) => {
        threshold = value;
        show();
      }),
      said, table,
      button("As in the chapter", () => { boxes = BOXES.map((box) => box.slice()); show(); }));
    show();
  }

  window.Widgets.ranking = { judge, averagePrecision, BOXES };
  mount("ranking", build);
})();
