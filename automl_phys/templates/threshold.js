// A threshold that can be moved. <div class="threshold"> holds what is written at each of many thresholds as JSON
// (sweep_page.py) and a table of a few, which stays for print and for readers without scripts.
"use strict";
(() => {
  const { element } = pieces;

  for (const place of document.querySelectorAll(".threshold")) {
    const data = JSON.parse(place.querySelector("script").textContent), last = data.values.length - 1;
    const slider = element("input", { type: "range", id: "threshold-slider", min: 0, max: last, step: 1 });
    const box = element("input", { type: "number", id: "threshold-value", step: "any" });
    const cell = (tag, text, more = {}) => element(tag, more, text);
    const row = (name, ...cells) => element("tr", {}, cell("th", name, { scope: "row" }), ...cells);
    const heads = names => element("thead", {}, element("tr", {}, ...names.map(name => cell("th", name, { scope: "col" }))));
    const table = (title, names, ...rows) => element("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": title },
      element("table", {}, element("caption", {}, title), heads(names), element("tbody", {}, ...rows)));

    const kinds = data.kinds.map(kind => ({ ...kind, cells: [cell("td"), cell("td"), cell("td"), cell("td")] }));
    const measured = data.measured.map(one => ({ ...one, cell: cell("td") }));
    const marks = data.marks.map(mark => element("button", { type: "button", onclick: () => show(mark.place) }, mark.name));
    const live = element("div", { className: "live" },
      element("div", { className: "tools" },
        element("label", { htmlFor: slider.id, className: "long" }, `Threshold on ${data.output} `, slider),
        element("label", { htmlFor: box.id }, "Value ", box)),
      element("div", { className: "tools", role: "group", "aria-label": "Thresholds of the report" }, ...marks),
      element("div", { className: "side-by-side" },
        table("At this threshold", ["metric", "value"], ...measured.map(one => row(one.name, one.cell))),
        table("What passes", ["true kind", "passes", "Σ w that pass", "fails", "Σ w that fail"],
          ...kinds.map(kind => row(kind.name, ...kind.cells)))),
      element("p", { className: "note" }, data.note));

    function show(at) {
      slider.value = at;
      box.value = data.values[at];
      const said = data.measured.slice(0, 2).map(one => `${one.name} ${one.texts[at]}`).join(", ");
      slider.setAttribute("aria-valuetext", `${data.thresholds[at]}: ${said}`);
      for (const { passes, fails, cells } of kinds)
        [...passes[at], ...fails[at]].forEach((text, k) => { cells[k].textContent = text; });
      for (const { texts, cell } of measured) cell.textContent = texts[at];
      marks.forEach((button, k) => button.setAttribute("aria-pressed", String(data.marks[k].place === at)));
    }

    slider.addEventListener("input", () => show(Number(slider.value)));
    box.addEventListener("change", () => {          // the nearest threshold there is
      const wanted = Number(box.value);
      if (box.value === "" || Number.isNaN(wanted)) { show(Number(slider.value)); return; }
      show(data.values.reduce((best, value, k) => Math.abs(value - wanted) < Math.abs(data.values[best] - wanted) ? k : best, 0));
    });
    place.querySelector("script").after(live);
    place.classList.add("alive");
    show(data.start);
  }
})();
