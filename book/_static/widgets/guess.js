/* Guess and keep: fields for the guesses of a chapter, kept in this browser alone; later on the page, the guesses beside
   what the paper states and what we found. */
(function () {
  "use strict";
  const { html, svg, drawing, choice, button, live, mount, guesses } = window.Widgets;
  const CHANGED = "mammolib-guess";

  const key = (chapter) => `mammolib-guess-${chapter}`;

  /* The guesses of a chapter by number of the question. A browser that keeps nothing keeps them for this visit. */
  const visit = {};
  function kept(chapter) {
    try { return JSON.parse(localStorage.getItem(key(chapter))) || visit[chapter] || {}; }
    catch (error) { return visit[chapter] || {}; }
  }
  function keep(chapter, all) {
    visit[chapter] = all;
    try { localStorage.setItem(key(chapter), JSON.stringify(all)); } catch (error) { /* for this visit */ }
    document.dispatchEvent(new CustomEvent(CHANGED, { detail: chapter }));
  }

  /* A question as a named thing, from the list of `guesses`. */
  function question(row) {
    if (Array.isArray(row[1])) return { words: row[0], options: row[1], ours: row[2], paper: row[3] };
    const [words, low, high, ours, paper, unit, axis] = row;
    return { words, low, high, ours, paper, unit: unit || "", log: axis === "log" };
  }

  /* Where a value lies between the ends of its axis, from 0 to 1. */
  function place(q, value) {
    const at = q.log ? Math.log(Math.max(value, q.low) / q.low) / Math.log(q.high / q.low)
      : (value - q.low) / (q.high - q.low);
    return Math.min(1, Math.max(0, at));
  }

  /* Whether a guess is right: the same answer, or within a tenth of the axis. */
  const near = (q, value) => (q.options ? value === q.ours : Math.abs(place(q, value) - place(q, q.ours)) <= 0.1);

  const shown = (q, value) => (typeof value === "number" ? value.toLocaleString("en") : value) +
    (q.unit ? ` ${q.unit}` : "");

  function form(host) {
    const chapter = host.dataset.chapter;
    const told = live();
    const save = (number, value) => {
      const all = { ...kept(chapter) };
      if (value === null) delete all[number];
      else all[number] = value;
      keep(chapter, all);
      told.textContent = "Kept in this browser. The answers come near the end of the chapter.";
    };
    host.append(html("p", { class: "w-title" }, "Your guesses"));
    guesses[chapter].map(question).forEach((q, number) => {
      const value = kept(chapter)[number];
      if (q.options) {
        host.append(choice(q.words, q.options.map((o) => [o, o]), value, (to) => save(number, to)));
        return;
      }
      const id = `guess-${chapter}-${number}`;
      const field = html("input", { type: "number", id, min: q.low, max: q.high, step: "any", inputmode: "decimal" });
      if (value !== undefined) field.value = value;
      field.addEventListener("change", () => save(number, field.value === "" ? null : Number(field.value)));
      host.append(html("p", { class: "w-field" }, [html("label", { for: id }, q.words), field, q.unit]));
    });
    host.append(told);
  }

  function axis(q, value) {
    const x = (v) => 10 + 380 * place(q, v);
    const words = `${q.words}: ${value === undefined ? "no guess" : `your guess ${shown(q, value)}`}, ` +
      `${q.paper === null ? "" : `the paper ${shown(q, q.paper)}, `}ours ${shown(q, q.ours)}`;
    const picture = drawing(400, 38, words, { role: "img" });
    picture.append(
      svg("path", { d: "M10 18H390M10 14v8M390 14v8", class: "w-line" }),
      svg("text", { x: 10, y: 36, class: "w-small" }, shown(q, q.low)),
      svg("text", { x: 390, y: 36, class: "w-small", "text-anchor": "end" }, shown(q, q.high)),
      svg("circle", { cx: x(q.ours), cy: 18, r: 6, class: "w-ours" }),
    );
    if (q.paper !== null) picture.append(svg("path", { d: `M${x(q.paper)} 9l9 9-9 9-9-9Z`, class: "w-paper" }));
    if (value !== undefined) picture.append(svg("path", { d: `M${x(value)} 20l-7 13h14Z`, class: "w-you" }));
    return picture;
  }

  function answers(host) {
    const chapter = host.dataset.chapter;
    const list = html("div", {});
    const told = live();
    function show() {
      const all = kept(chapter);
      const questions = guesses[chapter].map(question);
      list.replaceChildren(...questions.map((q, number) => {
        const value = all[number];
        const parts = [html("span", { class: "w-you-word" }, value === undefined ? "no guess" : `you: ${shown(q, value)}`)];
        if (q.paper !== null) parts.push(html("span", { class: "w-paper-word" }, `the paper: ${shown(q, q.paper)}`));
        parts.push(html("span", { class: "w-ours-word" }, `ours: ${shown(q, q.ours)}`));
        return html("div", { class: "w-answer" }, [html("p", {}, [html("strong", {}, q.words), ...parts])]
          .concat(q.options ? [] : [axis(q, value)]));
      }));
      const made = questions.filter((q, number) => all[number] !== undefined).length;
      const right = questions.filter((q, number) => all[number] !== undefined && near(q, all[number])).length;
      told.textContent = made ? `${right} of your ${made} guesses right or near.`
        : "You have not guessed yet: the fields are under “Guess first”.";
    }
    document.addEventListener(CHANGED, (event) => event.detail === chapter && show());
    host.append(list, told, button("Forget my guesses", () => keep(chapter, {})));
    show();
  }

  window.Widgets.guess = { question, place, near };
  mount("guess", form);
  mount("guesses", answers);
})();
