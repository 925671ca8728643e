/* The FROC handle: drag the false marks a film and read what each detector finds. */
(function () {
  "use strict";
  const { html, svg, drawing, live, drag, arrows, mount } = window.Widgets;
  const LESIONS = 119, FILMS = 318;
  /* Detector -> thousandths of the lesions found at 1/8, 2^(1/6)/8, ... 8 false marks a film, from the records. */
  const FOUND = [
    ["where lesions of training women lie", [19,21,23,26,30,33,37,42,47,53,59,66,75,84,94,105,118,133,147,160,178,194,211,234,246,250,253,261,269,272,276,276,282,284,284,284,284]],
    ["SSD256 by windows, from random weights", [0,0,0,0,0,0,0,0,8,8,8,8,8,8,8,8,8,17,17,17,25,34,34,34,42,42,50,59,59,67,84,92,118,143,143,160,185]],
    ["SSD256 by windows, from weights trained on phantoms", [0,0,0,0,0,0,0,0,0,17,17,17,17,17,25,25,42,42,50,50,59,59,84,84,101,126,151,185,193,210,235,252,277,294,319,336,378]],
    ["the brightest blob", [17,17,19,20,24,24,24,26,34,38,42,45,49,56,59,65,67,74,84,92,119,148,165,181,200,210,224,252,298,346,388,429,473,518,562,600,617]],
    ["brighter than its rings (AFUM)", [52,59,66,76,88,94,97,100,110,127,140,151,163,176,193,218,230,243,275,311,348,370,392,413,425,436,445,445,449,461,488,516,533,548,586,618,646]],
    ["round and bright (Laplacian of Gaussian)", [151,151,168,175,176,227,244,260,275,300,316,336,345,353,378,403,407,416,429,437,457,482,513,529,538,542,583,605,630,630,630,639,664,672,689,714,714]],
    ["features by hand, linear model", [83,84,91,101,107,124,131,143,159,178,188,203,213,233,250,269,280,299,319,361,388,414,453,477,514,525,542,567,572,590,615,642,671,684,692,709,719]],
    ["ImageNet's maps, linear model", [338,345,348,365,383,397,415,432,462,480,499,537,558,576,589,609,620,655,674,700,721,732,749,760,768,780,782,783,783,785,787,790,790,792,793,797,800]],
    ["ImageNet's maps, both breasts, calcifications apart", [338,358,376,395,409,427,449,469,485,506,529,545,576,598,618,635,646,672,691,714,730,747,751,760,776,789,802,808,811,815,817,817,818,821,824,828,834]],
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
