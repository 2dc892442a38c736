// Tables that can be sorted by any column and, with data-rows, filtered. Each is in a <div class="tabular">; cells that
// hold a number carry it as data-order (table_order.py). data-choose names columns whose values a select offers.
"use strict";
(() => {
  const { element } = pieces;
  const EMPTY = new Set(["", "–"]);

  document.querySelectorAll(".tabular").forEach((place, which) => {
    const heads = [...place.querySelectorAll("thead th")], body = place.querySelector("tbody");
    const rows = [...body.rows], names = heads.map(head => head.textContent);
    const text = (row, k) => row.cells[k].textContent.trim();
    const none = (row, k) => EMPTY.has(text(row, k));

    function order(k, sign) {
      const numbers = rows.every(row => none(row, k) || row.cells[k].dataset.order !== undefined);
      const compare = numbers ? (a, b) => a.cells[k].dataset.order - b.cells[k].dataset.order :
        (a, b) => text(a, k).localeCompare(text(b, k), "en", { numeric: true });
      return [...rows].sort((a, b) => none(a, k) - none(b, k) || (none(a, k) ? 0 : sign * compare(a, b)));
    }

    heads.forEach((head, k) => {
      const button = element("button", { type: "button", title: "Sort" }, names[k]);
      button.addEventListener("click", () => {
        const now = { ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")] ?? "ascending";
        heads.forEach(one => one.removeAttribute("aria-sort"));
        if (now !== "none") head.setAttribute("aria-sort", now);
        body.append(...now === "none" ? rows : order(k, now === "ascending" ? 1 : -1));
      });
      head.replaceChildren(button);
    });

    const noun = place.dataset.rows;
    if (!noun) return;
    const search = element("input", { type: "search", id: `filter-${which}` });
    const selects = names.flatMap((name, k) => place.dataset.choose.split("|").includes(name) ? [{ name, k }] : [])
      .map(({ name, k }) => {
        const values = [...new Set(rows.map(row => text(row, k)))].sort();
        const select = element("select", { id: `filter-${which}-${k}` },
          element("option", { value: "" }, "all"), ...values.map(value => element("option", { value }, value)));
        return { name, k, select };
      });
    const count = element("p", { className: "note", role: "status" });

    function filter() {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) {
        const all = row.textContent.toLowerCase();
        row.hidden = !(words.every(word => all.includes(word)) &&
          selects.every(({ k, select }) => !select.value || text(row, k) === select.value));
      }
      const shown = rows.filter(row => !row.hidden).length;
      count.textContent = `${shown} of ${rows.length} ${noun} shown`;
    }

    const label = (control, name) => element("label", { htmlFor: control.id }, `${name} `, control);
    place.prepend(element("div", { className: "live tools" }, label(search, "Filter"),
      ...selects.map(({ name, select }) => label(select, name))), count);
    search.addEventListener("input", filter);
    selects.forEach(({ select }) => select.addEventListener("change", filter));
    filter();
  });
})();
