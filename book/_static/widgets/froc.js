/* The FROC handle: drag the false marks a film and read what each detector finds. */
(function () {
  "use strict";
  const { html, svg, drawing, live, drag, arrows, mount } = window.Widgets;
  const LESIONS = 119, FILMS = 318;
  /* Detector -> thousandths of the lesions found at 1/8, 2^(1/3)/8, ... 8 false marks a film, from the records. */
  const FOUND = [
    ["where lesions of training women lie", [19,23,30,37,47,59,75,94,118,147,178,211,246,253,269,276,282,284,284]],
    ["SSD256 by windows, from random weights", [0,0,0,0,8,8,8,8,8,17,25,34,42,50,59,84,118,143,185]],
    ["the brightest blob", [17,19,24,24,34,42,49,59,67,84,119,165,200,224,298,388,473,562,617]],
    ["brighter than its rings (AFUM)", [52,66,88,97,110,140,163,193,230,275,348,392,425,445,449,488,533,586,646]],
    ["round and bright (Laplacian of Gaussian)", [151,168,176,244,275,316,345,378,407,429,457,513,538,583,630,630,664,689,714]],
    ["features by hand, linear model", [83,91,107,131,159,188,213,250,280,319,388,453,514,542,572,615,671,692,719]],
    ["ImageNet's maps, linear model", [338,348,383,415,462,499,558,589,620,674,721,749,768,782,783,787,790,793,800]],
    ["ImageNet's maps, both breasts, calcifications apart", [338,376,409,449,485,529,576,618,646,691,730,751,776,802,811,817,818,824,834]],
  ];
  const LOW = -3, HIGH = 3, LAST = FOUND[0][1].length - 1;

  /* The share that a detector finds at 2^power false marks a film, on a straight line between two of its points. */
  function share(points, power) {
    const at = ((power - LOW) / (HIGH - LOW)) * LAST;
    const left = Math.min(LAST - 1, Math.floor(at));
    return (points[left] + (at - left) * (points[left + 1] - points[left])) / 1000;
  }

  const marks = (power) => (power < 0 ? (2 ** power).toFixed(2) : (2 ** power).toFixed(1));

  function build(host) {
    const state = { power: 0, chosen: FOUND.length - 1 };
    const right = (power) => 34 + (356 * (power - LOW)) / (HIGH - LOW);
    const down = (y) => 206 - 196 * y;
    const picture = drawing(400, 240, "Share of lesions found against false marks a film, one curve for each detector");
    for (const y of [0, 0.25, 0.5, 0.75, 1]) picture.append(
      svg("path", { d: `M34 ${down(y)}H390`, class: "w-grid-line" }),
      svg("text", { x: 28, y: down(y) + 4, "text-anchor": "end", class: "w-small" }, y));
    for (const [power, words] of [[-3, "1/8"], [-2, "1/4"], [-1, "1/2"], [0, "1"], [1, "2"], [2, "4"], [3, "8"]])
      picture.append(svg("text", { x: right(power), y: 220, "text-anchor": "middle", class: "w-small" }, words));
    picture.append(svg("text", { x: 212, y: 236, "text-anchor": "middle" }, "false marks a film"));
    const lines = FOUND.map(([, points]) => svg("path", { d: points.map((y, i) =>
      `${i ? "L" : "M"}${right(LOW + ((HIGH - LOW) * i) / LAST).toFixed(1)} ${down(y / 1000).toFixed(1)}`).join("") }));
    const dots = FOUND.map(() => svg("circle", { r: 3.5, class: "w-dot" }));
    const handle = svg("g", { tabindex: 0, role: "slider", class: "w-handle w-is-true", "aria-label": "False marks a film",
      "aria-valuemin": 1 / 8, "aria-valuemax": 8 }, [
      svg("path", { d: "M0 10V206", class: "w-threshold" }), svg("circle", { cy: 10, r: 8 })]);
    picture.append(...lines, ...dots, handle);
    const said = live();
    const table = html("table", {});

    function show() {
      const { power, chosen } = state;
      handle.setAttribute("transform", `translate(${right(power)} 0)`);
      handle.setAttribute("aria-valuenow", marks(power));
      const shares = FOUND.map(([, points]) => share(points, power));
      lines.forEach((line, i) => line.setAttribute("class", i === chosen ? "w-stairs" : "w-zigzag"));
      dots.forEach((dot, i) => {
        dot.setAttribute("cx", right(power));
        dot.setAttribute("cy", down(shares[i]));
      });
      table.replaceChildren(html("caption", {}, `At ${marks(power)} false marks a film`), html("tbody", {},
        FOUND.map(([name], i) => [i, name]).reverse().map(([i, name]) => html("tr", i === chosen ? { class: "w-is-chosen" } : {}, [
          html("th", { scope: "row" }, name), html("td", {}, shares[i].toFixed(2)),
          html("td", {}, `${Math.round(shares[i] * LESIONS)} of ${LESIONS}`)]))));
      said.textContent = `${Math.round(2 ** power * FILMS)} false marks on ${FILMS} films: ` +
        `${FOUND[chosen][0]}, ${Math.round(shares[chosen] * LESIONS)} of ${LESIONS} lesions found.`;
    }

    function put(power) {
      state.power = Math.min(HIGH, Math.max(LOW, Math.round(power * 30) / 30));
      show();
    }
    drag(handle, picture, (x) => put(LOW + ((x - 34) / 356) * (HIGH - LOW)));
    arrows(handle, (dx, dy) => put(state.power + (dx + dy) / 30));
    const select = html("select", { id: "w-froc", onchange: () => { state.chosen = Number(select.value); show(); } },
      FOUND.map(([name], i) => html("option", i === state.chosen ? { value: i, selected: "" } : { value: i }, name)));
    host.append(html("div", { class: "w-control" }, [html("label", { for: "w-froc" }, "Detector"), select]),
      picture, said, table);
    show();
  }

  window.Widgets.froc = { share, FOUND };
  mount("froc", build);
})();
