// Scatters that can be moved about. Each <figure class="scatter"> holds its data as JSON (scatter_page.py) and a still
// drawing, which stays for print and for readers without scripts. Needs nothing else; texts go in as textContent only.
"use strict";
(() => {
  const NONE = 65535, LAST = 65534;                 // 16-bit codes: no value, the largest value
  const MARGIN = { left: 50, right: 10, top: 10, bottom: 44 };  // CSS pixels around the points
  const CELLS = 96;                                 // of the grid that finds the point under the pointer, each way
  const REACH = 14;                                 // CSS pixels from the pointer to a point that it means
  const DEEPEST = 200;                              // zoom, as a factor
  const NOISE_SIZE = 0.6, NOISE_NAME = "noise";
  const SLICE = { light: [0, 0.93], dark: [0.2, 1] };  // of the colour scale: what stands out from the paper

  const { clamp, element, number, beside } = pieces;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const rgb = hex => [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16));

  function decoded({ low, high, codes }) {
    const bytes = Uint8Array.from(atob(codes), letter => letter.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    return Float32Array.from({ length: bytes.length / 2 }, (_, i) => {
      const code = view.getUint16(2 * i, true);
      return code === NONE ? NaN : low + code * (high - low) / LAST;
    });
  }

  // Points sorted into cells of a grid, so that the nearest is found without looking at all.
  function gridOf(x, y, box) {
    const cell = (value, from, to) => clamp(Math.floor((value - from) / (to - from) * CELLS), 0, CELLS - 1);
    const column = value => cell(value, box.x0, box.x1), row = value => cell(value, box.y0, box.y1);
    const starts = new Uint32Array(CELLS * CELLS + 1), order = new Uint32Array(x.length);
    const cells = Uint16Array.from(x, (value, i) => row(y[i] || 0) * CELLS + column(value || 0));
    for (const at of cells) starts[at + 1]++;
    for (let at = 0; at < CELLS * CELLS; at++) starts[at + 1] += starts[at];
    const next = starts.slice();
    cells.forEach((at, i) => { order[next[at]++] = i; });
    return function* (x0, x1, y0, y1) {
      for (let r = row(y0); r <= row(y1); r++)
        yield* order.subarray(starts[r * CELLS + column(x0)], starts[r * CELLS + column(x1) + 1]);
    };
  }

  function ticks(from, to, most) {
    const rough = (to - from) / most, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find(factor => factor * power >= rough);
    const found = [];
    for (let k = Math.ceil(from / step); k * step <= to; k++) found.push(k * step);
    return found;
  }

  function open(figure) {
    const data = JSON.parse(figure.querySelector("script").textContent);
    const x = decoded(data.x.column), y = decoded(data.y.column), count = x.length;
    const home = { x0: data.x.from, x1: data.x.to, y0: data.y.from, y1: data.y.to };
    const near = gridOf(x, y, home), colourings = data.colourings.map(one => ({ ...one, values: decoded(one.column) }));
    let by = colourings[0], view = { ...home }, size = { width: 0, height: 0, ratio: 1 }, waiting = false;
    const hidden = new Set();                       // positions of categories; -1 is noise
    const classes = new Int32Array(count).fill(-1); // position of each point's colour; -1 is noise or no value

    const select = element("select", {}, ...colourings.map((one, i) => element("option", { value: i }, one.name)));
    const button = (text, title, onclick) => element("button", { type: "button", title, "aria-label": title, onclick }, text);
    const canvas = element("canvas", { tabIndex: 0, role: "img" });
    const tip = element("div", { className: "tip", hidden: true }), ring = element("div", { className: "ring", hidden: true });
    const legend = element("div", { className: "legend" });
    const live = element("div", { className: "live" },
      element("h3", {}, data.title),
      element("div", { className: "tools" }, element("label", {}, "Colour ", select),
        button("+", "Zoom in", () => zoom(1.5)), button("−", "Zoom out", () => zoom(1 / 1.5)), button("Reset", "Reset", reset)),
      element("div", { className: "plot" }, canvas, ring, tip), legend,
      element("p", { className: "note" },
        "Zoom, then drag to move. After a click the wheel, + − 0 and the arrow keys do the same. Point or tap to read values."));

    function colour() {
      hidden.clear();
      legend.replaceChildren();
      classes.fill(-1);
      canvas.setAttribute("aria-label", `${data.title}: ${count} points, coloured by ${by.name}`);
      if (by.categories) {
        by.values.forEach((value, i) => { if (value >= 0) classes[i] = value; });
        by.categories.forEach((one, k) => legend.append(entry(one.name, one.colour, one.count, k)));
        if (by.unassigned) legend.append(entry(NOISE_NAME, data.noise, by.unassigned, -1));
      } else {
        const last = data.scale.length - 1, share = value => clamp((value - by.from) / (by.to - by.from), 0, 1);
        by.values.forEach((value, i) => { if (!Number.isNaN(value)) classes[i] = Math.round(share(value) * last); });
        const bar = element("span", { className: "bar" });
        bar.style.background = `linear-gradient(to right, ${shades().join(",")})`;
        const below = by.values.some(value => value < by.from), above = by.values.some(value => value > by.to);
        legend.append(`${below ? "≤ " : ""}${number(by.from)}`, bar, `${above ? "≥ " : ""}${number(by.to)}`);
      }
      refresh();
    }

    function entry(name, colour, points, at) {
      const swatch = element("span", { className: "swatch" });
      swatch.style.background = colour;
      const onclick = event => {
        if (!hidden.delete(at)) hidden.add(at);
        event.currentTarget.setAttribute("aria-pressed", String(!hidden.has(at)));
        refresh();
      };
      return element("button", { type: "button", title: "Hide or show", "aria-pressed": "true", onclick },
        swatch, `${name} `, element("span", { className: "soft" }, points));
    }

    function shades() {
      if (by.categories) return by.categories.map(one => one.colour);
      const [from, to] = SLICE[dark.matches ? "dark" : "light"], last = data.scale.length - 1;
      return data.scale.map((_, k) => data.scale[Math.round((from + (to - from) * k / last) * last)]);
    }

    const inner = () => ({ width: size.width - MARGIN.left - MARGIN.right, height: size.height - MARGIN.top - MARGIN.bottom });
    const toX = value => MARGIN.left + (value - view.x0) / (view.x1 - view.x0) * inner().width;
    const toY = value => MARGIN.top + (view.y1 - value) / (view.y1 - view.y0) * inner().height;
    const fromX = at => view.x0 + (at - MARGIN.left) / inner().width * (view.x1 - view.x0);
    const fromY = at => view.y1 - (at - MARGIN.top) / inner().height * (view.y1 - view.y0);
    const depth = () => (home.x1 - home.x0) / (view.x1 - view.x0);

    function refresh() {
      hideTip();
      if (!waiting) requestAnimationFrame(() => { waiting = false; draw(); });
      waiting = true;
    }

    function draw() {
      const { width, height, ratio } = size, pen = canvas.getContext("2d");
      if (inner().width <= 0) return;
      const style = getComputedStyle(figure), of = name => style.getPropertyValue(name).trim();
      const [ink, soft, line, paper] = ["--ink", "--soft", "--line", "--paper"].map(of);
      pen.setTransform(1, 0, 0, 1, 0, 0);
      pen.fillStyle = paper;
      pen.fillRect(0, 0, canvas.width, canvas.height);
      const left = Math.round(MARGIN.left * ratio), top = Math.round(MARGIN.top * ratio);
      const area = pen.getImageData(left, top, Math.round(inner().width * ratio), Math.round(inner().height * ratio));
      stamp(area);
      pen.putImageData(area, left, top);
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      Object.assign(pen, { font: "12px system-ui, sans-serif", textAlign: "center", fillStyle: soft, strokeStyle: line, lineWidth: 1 });
      pen.strokeRect(MARGIN.left, MARGIN.top, inner().width, inner().height);
      for (const at of ticks(view.x0, view.x1, width / 90)) pen.fillText(number(at), toX(at), height - MARGIN.bottom + 16);
      pen.fillText(data.x.label, MARGIN.left + inner().width / 2, height - 8);
      pen.textAlign = "right";
      for (const at of ticks(view.y0, view.y1, height / 60)) pen.fillText(number(at), MARGIN.left - 6, toY(at) + 4);
      pen.save();
      pen.translate(13, MARGIN.top + inner().height / 2);
      pen.rotate(-Math.PI / 2);
      pen.textAlign = "center";
      pen.fillText(data.y.label, 0, 0);
      pen.restore();
      Object.assign(pen, { font: "600 13px system-ui, sans-serif", textAlign: "center", fillStyle: ink, strokeStyle: paper,
        lineWidth: 3, lineJoin: "round" });
      (by.categories ?? []).forEach((one, k) => {
        if (hidden.has(k) || !one.at || !within(...one.at)) return;
        pen.strokeText(one.mark, toX(one.at[0]), toY(one.at[1]) + 4);
        pen.fillText(one.mark, toX(one.at[0]), toY(one.at[1]) + 4);
      });
    }

    const within = (px, py) => px >= view.x0 && px <= view.x1 && py >= view.y0 && py <= view.y1;

    // Round dots with soft edges, blended into the pixels of the plot; noise first, so that it lies beneath.
    function stamp(area) {
      const { data: pixels, width, height } = area, paint = shades().map(rgb), grey = rgb(data.noise);
      const wide = width / (view.x1 - view.x0), tall = height / (view.y1 - view.y0);
      const radius = data.radius * clamp(depth(), 1, 81) ** 0.25 * size.ratio;
      for (const noise of [true, false]) {
        const reach = Math.max(noise ? radius * NOISE_SIZE : radius, 0.6) + 0.5;
        for (let i = 0; i < count; i++) {
          const k = classes[i];
          if (k < 0 !== noise || hidden.has(k) || !within(x[i], y[i])) continue;
          const cx = (x[i] - view.x0) * wide, cy = (view.y1 - y[i]) * tall, [red, green, blue] = noise ? grey : paint[k];
          const lastRow = Math.min(height - 1, cy + reach), lastColumn = Math.min(width - 1, cx + reach);
          for (let r = Math.max(0, Math.ceil(cy - reach)); r <= lastRow; r++)
            for (let c = Math.max(0, Math.ceil(cx - reach)); c <= lastColumn; c++) {
              const cover = Math.min(1, reach - Math.sqrt((c - cx) ** 2 + (r - cy) ** 2)) * data.opacity;
              if (cover <= 0) continue;
              const at = 4 * (r * width + c);
              pixels[at] += (red - pixels[at]) * cover;
              pixels[at + 1] += (green - pixels[at + 1]) * cover;
              pixels[at + 2] += (blue - pixels[at + 2]) * cover;
            }
        }
      }
    }

    function look(next) {
      view = next;
      canvas.style.touchAction = depth() > 1.001 ? "none" : "pan-y";  // the page scrolls on while nothing is zoomed
      refresh();
    }

    // The same view moved back to where there are points.
    function inside({ x0, x1, y0, y1 }) {
      const dx = Math.max(home.x0 - x0, 0) + Math.min(home.x1 - x1, 0);
      const dy = Math.max(home.y0 - y0, 0) + Math.min(home.y1 - y1, 0);
      return { x0: x0 + dx, x1: x1 + dx, y0: y0 + dy, y1: y1 + dy };
    }

    function reset() { look({ ...home }); }

    function zoom(factor, px = MARGIN.left + inner().width / 2, py = MARGIN.top + inner().height / 2) {
      const times = Math.min(depth() * factor, DEEPEST) / depth(), cx = fromX(px), cy = fromY(py);
      const x = value => cx + (value - cx) / times, y = value => cy + (value - cy) / times;
      if (depth() * times <= 1) reset();
      else look(inside({ x0: x(view.x0), x1: x(view.x1), y0: y(view.y0), y1: y(view.y1) }));
    }

    function pan(dx, dy) {
      const w = (view.x1 - view.x0) / inner().width * dx, h = (view.y1 - view.y0) / inner().height * dy;
      look(inside({ x0: view.x0 - w, x1: view.x1 - w, y0: view.y0 + h, y1: view.y1 + h }));
    }

    const fingers = new Map();                      // pointers that are down, by id: where they are
    let travelled = 0;
    const place = event => {
      const box = canvas.getBoundingClientRect();
      return { px: event.clientX - box.left, py: event.clientY - box.top };
    };
    const spread = () => { const [a, b] = [...fingers.values()]; return Math.hypot(a.px - b.px, a.py - b.py); };

    canvas.addEventListener("pointerdown", event => {
      canvas.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, place(event));
      travelled = 0;
    });
    canvas.addEventListener("pointermove", event => {
      const now = place(event), before = fingers.get(event.pointerId);
      if (!before) { show(now); return; }
      const apart = fingers.size === 2 ? spread() : 0;
      fingers.set(event.pointerId, now);
      travelled += Math.hypot(now.px - before.px, now.py - before.py);
      if (fingers.size === 2) zoom(spread() / (apart || 1), (now.px + before.px) / 2, (now.py + before.py) / 2);
      else if (depth() > 1 && travelled > 4) pan(now.px - before.px, now.py - before.py);
    });
    canvas.addEventListener("pointerup", event => { fingers.delete(event.pointerId); if (travelled <= 4) show(place(event)); });
    canvas.addEventListener("pointercancel", event => fingers.delete(event.pointerId));
    canvas.addEventListener("pointerleave", event => { if (event.pointerType === "mouse") hideTip(); });
    canvas.addEventListener("wheel", event => {     // a page that is scrolled past is not caught
      if (!event.ctrlKey && !event.metaKey && document.activeElement !== canvas) return;
      event.preventDefault();
      const { px, py } = place(event), lines = event.deltaMode ? 16 : 1;
      zoom(1.0015 ** (-event.deltaY * lines), px, py);
    }, { passive: false });
    canvas.addEventListener("keydown", event => {
      const acts = { "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5), "0": reset, Escape: hideTip,
        ArrowLeft: () => pan(40, 0), ArrowRight: () => pan(-40, 0), ArrowUp: () => pan(0, 40), ArrowDown: () => pan(0, -40) };
      if (!acts[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      acts[event.key]();
    });

    function hideTip() { tip.hidden = ring.hidden = true; }

    function show({ px, py }) {
      let best = -1, nearest = REACH;
      for (const i of near(fromX(px - REACH), fromX(px + REACH), fromY(py + REACH), fromY(py - REACH))) {
        if (hidden.has(classes[i])) continue;
        const away = Math.hypot(toX(x[i]) - px, toY(y[i]) - py);
        if (away < nearest && within(x[i], y[i])) { best = i; nearest = away; }
      }
      if (best < 0) { hideTip(); return; }
      const said = one => {
        const value = one.values[best];
        if (one.categories) return one.categories[value]?.name ?? NOISE_NAME;
        return Number.isNaN(value) ? "–" : number(value);
      };
      tip.replaceChildren(element("strong", {}, data.hover[best] ?? ""),
        element("dl", {}, ...colourings.flatMap(one => [element("dt", {}, one.name), element("dd", {}, said(one))])));
      tip.hidden = ring.hidden = false;
      const at = { px: toX(x[best]), py: toY(y[best]) };
      ring.style.translate = `${at.px}px ${at.py}px`;
      beside(tip, at, size);
    }

    select.addEventListener("change", () => { by = colourings[select.value]; colour(); });
    dark.addEventListener("change", () => by.categories ? refresh() : colour());
    new ResizeObserver(() => {
      size = { width: canvas.clientWidth, height: canvas.clientHeight, ratio: devicePixelRatio || 1 };
      canvas.width = Math.round(size.width * size.ratio);
      canvas.height = Math.round(size.height * size.ratio);
      hideTip();
      draw();
    }).observe(canvas);
    figure.querySelector("script").after(live);
    figure.classList.add("alive");
    colour();
  }

  document.querySelectorAll("figure.scatter").forEach(open);
})();
