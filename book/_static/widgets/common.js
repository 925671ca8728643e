/* What the widgets of the book share: making elements, controls that keyboards reach, chance with a seed, dragging.
   No library and no other host; plain scripts, so that pages work from a file. */
(function () {
  "use strict";
  if (window.Widgets) return; // another widget of the page has brought it

  function fill(node, attributes, children) {
    for (const [key, value] of Object.entries(attributes || {})) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value !== null && value !== undefined) node.setAttribute(key, value);
    }
    for (const child of [].concat(children === undefined ? [] : children)) node.append(child);
    return node;
  }

  /* An element of the page, and one of a drawing. */
  const html = (tag, attributes, children) => fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes, children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

  /* A drawing `width` x `height` units large, with words for who cannot see it. */
  function drawing(width, height, words, attributes) {
    return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": words, ...attributes });
  }

  let ids = 0;

  /* A slider with its name and value. `change` is called with each new number. */
  function slider(name, { min, max, step, value, words = String }, change) {
    const id = `w-${++ids}`;
    const shown = html("output", { for: id }, words(value));
    const input = html("input", { type: "range", id, min, max, step, value, "aria-valuetext": words(value) });
    input.addEventListener("input", () => {
      const number = Number(input.value);
      shown.textContent = words(number);
      input.setAttribute("aria-valuetext", words(number));
      change(number);
    });
    return html("div", { class: "w-control" }, [html("label", { for: id }, name), input, shown]);
  }

  /* One of several, as radio buttons: options are [value, words]. */
  function choice(name, options, value, change) {
    const group = `w-${++ids}`;
    return html("fieldset", { class: "w-choice" }, [html("legend", {}, name)].concat(options.map(([key, words]) => {
      const input = html("input", { type: "radio", name: group, value: key, onchange: () => change(key) });
      input.checked = key === value;
      return html("label", {}, [input, words]);
    })));
  }

  /* Yes or no. */
  function tick(name, value, change) {
    const input = html("input", { type: "checkbox", onchange: () => change(input.checked) });
    input.checked = value;
    return html("label", { class: "w-tick" }, [input, name]);
  }

  const button = (name, press) => html("button", { type: "button", onclick: press }, name);

  /* A line that screen readers read out when it changes. */
  const live = () => html("p", { class: "w-live", "aria-live": "polite" });

  /* Numbers from 0 to 1, the same for the same seed (mulberry32). */
  function chance(seed) {
    let state = seed >>> 0;
    return function () {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  /* A copy of a list in an order of chance. */
  function shuffled(list, random) {
    const copy = list.slice();
    for (let i = copy.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [copy[i], copy[j]] = [copy[j], copy[i]];
    }
    return copy;
  }

  /* Let a part of a drawing be dragged by mouse or finger: `move` gets the place in the drawing's own units. */
  function drag(node, picture, move) {
    const place = (event) => {
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(picture.getScreenCTM().inverse());
      move(at.x, at.y);
    };
    node.style.touchAction = "none";
    node.addEventListener("pointerdown", (event) => {
      if (node.setPointerCapture && event.isTrusted) node.setPointerCapture(event.pointerId);
      node.dragged = true;
      if (node.focus) node.focus({ preventScroll: true });
      event.preventDefault();
    });
    node.addEventListener("pointermove", (event) => node.dragged && place(event));
    for (const end of ["pointerup", "pointercancel"]) node.addEventListener(end, () => { node.dragged = false; });
  }

  /* Call `step(dx, dy)` for the arrow keys, ten times as far with Shift; y points up. */
  function arrows(node, step) {
    node.addEventListener("keydown", (event) => {
      const to = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!to) return;
      event.preventDefault();
      step(to[0] * (event.shiftKey ? 10 : 1), to[1] * (event.shiftKey ? 10 : 1));
    });
  }

  /* Build the widgets of a name, each in its place, and take away the still figure before it. */
  function mount(name, build) {
    const all = () => document.querySelectorAll(`[data-widget="${name}"]`).forEach((host) => {
      host.classList.add("widget");
      build(host);
      const still = host.previousElementSibling;
      if (host.hasAttribute("data-still") && still && still.querySelector("img")) still.hidden = true;
    });
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", all);
    else all();
  }

  const percent = (share) => `${Math.round(share * 100)} %`;

  window.Widgets = {
    html, svg, drawing, slider, choice, tick, button, live, chance, shuffled, drag, arrows, mount, percent,
  };
})();
