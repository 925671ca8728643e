/* Prevalence: 200 patches, some of them abnormal; what an accuracy says beside always answering with the larger class. */
(function () {
  "use strict";
  const { html, svg, drawing, slider, live, mount, percent } = window.Widgets;
  const N = 200;

  /* Whole numbers of patches for three shares. */
  function count(prevalence, sensitivity, specificity) {
    const abnormal = Math.round(N * prevalence);
    const tp = Math.round(abnormal * sensitivity);
    const tn = Math.round((N - abnormal) * specificity);
    return { tp, fn: abnormal - tp, tn, fp: N - abnormal - tn };
  }

  function measures({ tp, fn, tn, fp }) {
    const share = (a, b) => (b ? a / b : null);
    const sensitivity = share(tp, tp + fn);
    const specificity = share(tn, tn + fp);
    return {
      accuracy: (tp + tn) / N, larger: Math.max(tp + fn, tn + fp) / N, precision: share(tp, tp + fp),
      balanced: sensitivity === null || specificity === null ? null : (sensitivity + specificity) / 2,
    };
  }

  function build(host) {
    const state = { prevalence: 0.3, sensitivity: 0.7, specificity: 0.8 };
    const dots = drawing(400, 166, "", { role: "img" });
    const table = html("table", {});
    const said = live();

    function show() {
      const counts = count(state.prevalence, state.sensitivity, state.specificity);
      const found = measures(counts);
      dots.replaceChildren();
      const kinds = ["tp", "fn", "fp", "tn"].flatMap((kind) => new Array(counts[kind]).fill(kind));
      kinds.forEach((kind, i) => dots.append(svg("circle", {
        cx: 10 + 20 * Math.floor(i / 10), cy: 9 + 16 * (i % 10), r: 6, class: `w-${kind}`,
      })));
      const words = (value) => (value === null ? "undefined" : value.toFixed(3));
      const rows = [["accuracy", found.accuracy], ["always the larger class", found.larger],
        ["balanced accuracy", found.balanced], ["“abnormal” is right (precision)", found.precision]];
      table.replaceChildren(html("tbody", {}, rows.map(([name, value]) =>
        html("tr", {}, [html("th", { scope: "row" }, name), html("td", {}, words(value))]))));
      const above = found.accuracy - found.larger;
      said.textContent = `${counts.tp} of ${counts.tp + counts.fn} abnormal patches found, ${counts.fp} false alarms. ` +
        (above > 0 ? `The accuracy is ${above.toFixed(3)} above always answering with the larger class.`
          : above === 0 ? "The accuracy is that of always answering with the larger class."
            : `The accuracy is ${(-above).toFixed(3)} below always answering with the larger class.`);
      dots.setAttribute("aria-label", `200 patches. ${said.textContent}`);
    }

    const control = (name, key, max) => slider(name, { min: 0, max, step: 0.01, value: state[key], words: percent },
      (value) => { state[key] = value; show(); });
    host.append(control("Abnormal", "prevalence", 0.7), control("Sensitivity", "sensitivity", 1),
      control("Specificity", "specificity", 1),
      html("p", { class: "w-key" }, [html("span", { class: "w-dot-tp" }), " abnormal, found ",
        html("span", { class: "w-dot-fn" }), " abnormal, missed ", html("span", { class: "w-dot-fp" }), " false alarm ",
        html("span", { class: "w-dot-tn" }), " normal"]),
      dots, said, table);
    show();
  }

  window.Widgets.prevalence = { count, measures };
  mount("prevalence", build);
})();
