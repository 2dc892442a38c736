// Curves, histograms, bars and matrices whose values can be read. Each <figure class="readable"> holds its drawing and
// its data as JSON (curve_page.py); the drawing stays as it is, the reading lies over it. Pointer, touch or arrow keys.
"use strict";
(() => {
  const { clamp, element, written, beside } = pieces;
  const REACH = 0.03;                               // of the axes' length: how far from the place a value may be read
  const SAME = 1e-6;                                // of it: places that are one
  const MARGIN = 0.03;                              // of the drawing: how far outside of the axes a pointer is heard
  const MOST_ROWS = 12;
  const PAGE = 10;                                  // steps of the page keys

  // The share of an axis, 0 at its first end and 1 at the other, at which a value stands; NaN for none.
  function scale({ low, high, log }) {
    const of = log ? Math.log10 : value => value, from = of(low), length = of(high) - from;
    return value => value === null ? NaN : (of(value) - from) / length;
  }

  const around = ([left, top, right, bottom], x, y) =>
    x > left - MARGIN && x < right + MARGIN && y > top - MARGIN && y < bottom + MARGIN;

  // What lies over a figure. `read(x, y)` gives what there is at a place, in shares of the drawing, and `step(from,
  // dx, dy, far)` what is so many steps from there; both a reading: { at: [x, y], dots, lines, head, rows } or null.
  function overlay(figure, title, steps, read, step) {
    const svg = figure.querySelector("svg");
    const tip = element("div", { className: "tip", hidden: true }), marks = element("div", { className: "marks" });
    const said = element("p", { className: "unseen", "aria-live": "polite" });
    const plot = element("div", { className: "plot", tabIndex: 0, role: "group", "aria-label": `${title}: ${steps}` });
    let shown = null;
    svg.before(plot);
    plot.append(svg, marks, tip);
    plot.after(said);

    function hide() { shown = null; tip.hidden = true; marks.replaceChildren(); }

    function show(reading, aloud) {
      if (!reading) { hide(); return; }
      shown = reading;
      const drawn = [...reading.lines.map(sides => ["rule", sides]), ...reading.dots.map(([x, y]) => ["dot", [x, y, x, y]])];
      marks.replaceChildren(...drawn.map(([className, [left, top, right, bottom]]) => {
        const mark = element("i", { className });
        Object.assign(mark.style, { left: `${100 * left}%`, top: `${100 * top}%`, width: `${100 * (right - left)}%`,
          height: `${100 * (bottom - top)}%` });
        return mark;
      }));
      const rows = reading.rows.flatMap(({ colour, name, value }) => {
        const swatch = element("span", { className: "swatch" });
        swatch.style.background = colour ?? "none";
        return [element("dt", {}, ...(colour ? [swatch] : []), name), element("dd", {}, value)];
      });
      tip.replaceChildren(element("strong", {}, reading.head), element("dl", {}, ...rows));
      if (reading.left) tip.append(element("p", { className: "soft" }, `and ${reading.left} more`));
      tip.hidden = false;
      const size = { width: plot.clientWidth, height: plot.clientHeight };
      beside(tip, { px: reading.at[0] * size.width, py: reading.at[1] * size.height }, size);
      if (aloud) said.textContent = [reading.head, ...reading.rows.map(({ name, value }) => `${name} ${value}`)].join("; ");
    }

    const place = event => {
      const box = plot.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    };
    plot.addEventListener("pointermove", event => show(read(...place(event))));
    plot.addEventListener("pointerdown", event => show(read(...place(event)), true));
    plot.addEventListener("pointerleave", event => { if (event.pointerType === "mouse") hide(); });
    plot.addEventListener("blur", hide);
    plot.addEventListener("keydown", event => {
      const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1],
        PageUp: [-PAGE, 0], PageDown: [PAGE, 0], Home: [-Infinity, 0], End: [Infinity, 0] };
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Escape") { hide(); return; }
      if (!moves[event.key]) return;
      event.preventDefault();
      show(step(shown, ...moves[event.key]), true);
    });
  }

  function curves(figure, data) {
    const parts = data.parts.map(part => {
      const along = scale(part.along), up = scale(part.up);
      const series = part.series.map(one => {
        const [x, y] = [one.x, one.y].map(at => data.columns[at]);
        const [low, high] = [one.low, one.high].map(at => at === undefined ? null : data.columns[at]);
        const binned = x.length > y.length;
        const at = y.map((value, i) => Number.isNaN(up(value)) ? NaN :
          binned ? (along(x[i]) + along(x[i + 1])) / 2 : along(x[i]));
        return { ...one, x, y, low, high, at, binned };
      });
      return { ...part, along, up, series };
    });
    const leading = parts[0].series.some(one => !one.muted) ? parts[0].series.filter(one => !one.muted) : parts[0].series;
    const stops = leading.flatMap(one => one.at).filter(at => at >= -SAME && at <= 1 + SAME).sort((a, b) => a - b)
      .filter((at, i, all) => !i || at - all[i - 1] > SAME);
    const [left, top, right, bottom] = parts[0].box;

    // The place in the drawing of a share along x and a share up the axes of a part.
    const inDrawing = (box, along, up) => {
      const [x, y] = data.lying ? [up, along] : [along, up];
      return [box[0] + x * (box[2] - box[0]), box[3] - y * (box[3] - box[1])];
    };

    function nearest(one, share, up, aim) {
      let best = -1, least = Infinity;
      one.at.forEach((at, i) => {
        const away = Math.abs(at - share) + (Number.isNaN(aim) ? 0 : SAME * Math.abs(up(one.y[i]) - aim));
        if (away < least) { best = i; least = away; }
      });
      return best;
    }

    function text(value) {
      if (data.x.categories.length) return data.x.categories[value] ?? "";
      return written(value);
    }

    // A series at a share along the axis: where its value stands there and what it is; null where it has none.
    function told(one, part, share, aim) {
      let i = nearest(one, share, part.up, aim);
      if (one.binned) {
        i = one.at.findIndex((_, k) => {
          const ends = [part.along(one.x[k]), part.along(one.x[k + 1])];
          return share >= Math.min(...ends) && share <= Math.max(...ends) && !Number.isNaN(one.at[k]);
        });
        if (i < 0) return null;
      } else if (i < 0 || Math.abs(one.at[i] - share) > (data.x.categories.length ? SAME : REACH)) {
        return one.muted && one.style === "line" ? between(one, part, share) : null;
      }
      const ends = one.low && one.low[i] !== null && one.high[i] !== null && one.low[i] !== one.high[i];
      return { at: one.at[i], up: part.up(one.y[i]), x: one.binned ? `${text(one.x[i])} to ${text(one.x[i + 1])}` : text(one.x[i]),
        y: written(one.y[i]) + (ends ? ` (${written(one.low[i])} to ${written(one.high[i])})` : "") };
    }

    // A reference line is read where it is drawn, between its ends, too.
    function between(one, part, share) {
      const i = one.at.findIndex((at, k) => k && (at - share) * (one.at[k - 1] - share) <= 0 && at !== one.at[k - 1]);
      if (i < 1) return null;
      const ups = [part.up(one.y[i - 1]), part.up(one.y[i])];
      const up = ups[0] + (share - one.at[i - 1]) / (one.at[i] - one.at[i - 1]) * (ups[1] - ups[0]);
      const { low, high, log } = data.parts[parts.indexOf(part)].up;
      const value = log ? low * (high / low) ** up : low + up * (high - low);
      return { at: share, up, x: null, y: written(Number(value.toPrecision(3))) };
    }

    function at(share, aim = NaN) {
      let found = parts.flatMap((part, p) => part.series.map(one =>
        ({ one, part, p, told: told(one, part, share, p ? NaN : aim) })).filter(row => row.told));
      if (!found.length) return null;
      const all = found.length;
      if (all > MOST_ROWS) {                        // those nearest to the pointer, in the order of the legend
        const away = row => row.p || Number.isNaN(aim) ? 0 : Math.abs(row.told.up - aim);
        const kept = new Set([...found].sort((a, b) => away(a) - away(b)).slice(0, MOST_ROWS));
        found = found.filter(row => kept.has(row));
      }
      const first = found.find(row => row.told.x !== null)?.told.x ?? "", several = parts.length > 1;
      const dots = found.filter(({ told }) => told.up >= -SAME && told.up <= 1 + SAME)
        .map(({ part, told }) => inDrawing(part.box, told.at, told.up));
      const lines = parts.map(({ box }) => {
        const [[x0, y0], [x1, y1]] = [inDrawing(box, share, 1), inDrawing(box, share, 0)];
        return [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];
      });
      const middle = inDrawing(parts[0].box, share, Number.isNaN(aim) ? 0.6 : clamp(aim, 0, 1));
      return { at: middle, share, dots, lines, left: all - found.length,
        head: data.x.categories.length ? first : [data.x.label, first].filter(Boolean).join(": "),
        rows: found.map(({ one, part, told }) => ({
          colour: one.colour, name: several && part !== parts[0] ? `${one.name || part.label} (${part.label})` : one.name || part.label,
          value: told.x !== null && told.x !== first ? `${told.y} at ${told.x}` : told.y })) };
    }

    function read(x, y) {
      if (!parts.some(({ box }) => around(box, x, y)) || !stops.length) return null;
      const across = (x - left) / (right - left), height = (bottom - y) / (bottom - top);
      const [share, aim] = data.lying ? [height, across] : [across, height];
      const near = stops.reduce((best, stop) => Math.abs(stop - share) < Math.abs(best - share) ? stop : best);
      return at(near, aim);
    }

    function step(from, dx, dy) {
      if (!stops.length) return null;
      const by = dx || dy, place = from ? stops.findIndex(stop => Math.abs(stop - from.share) <= SAME) : -1;
      if (!from) return at(by < 0 && !Number.isFinite(by) || by > 0 && Number.isFinite(by) ? stops[0] : stops.at(-1));
      return at(stops[clamp(place + by, 0, stops.length - 1)]);
    }

    overlay(figure, data.title, "arrow keys read the values", read, step);
  }

  function matrix(figure, data) {
    const [left, top, right, bottom] = data.box, rows = data.matrix.length, columns = data.matrix[0].length;
    const named = (axis, k) => [axis.label, axis.categories[k] || k + 1].filter(one => one !== "").join(" ");

    function cell(row, column) {
      const [wide, tall] = [(right - left) / columns, (bottom - top) / rows];
      const [x, y] = [left + column * wide, top + row * tall], value = data.matrix[row][column];
      return { at: [x + wide, y + tall / 2], row, column, dots: [], lines: [[x, y, x + wide, y + tall]], left: 0,
        head: data.shade.categories[value] ?? [data.shade.label, written(value)].filter(Boolean).join(": "),
        rows: [{ name: "row", value: named(data.y, row) }, { name: "column", value: named(data.x, column) }] };
    }

    function read(x, y) {
      if (x < left || x >= right || y < top || y >= bottom) return null;
      return cell(Math.floor((y - top) / (bottom - top) * rows), Math.floor((x - left) / (right - left) * columns));
    }

    function step(from, dx, dy) {
      const { row, column } = from ?? { row: 0, column: dx > 0 ? -1 : 0 };
      return cell(clamp(row - dy, 0, rows - 1), clamp(column + dx, 0, columns - 1));
    }

    overlay(figure, data.title, "arrow keys read the cells", read, step);
  }

  for (const figure of document.querySelectorAll("figure.readable")) {
    const data = JSON.parse(figure.querySelector("script").textContent);
    (data.matrix ? matrix : curves)(figure, data);
  }
})();
