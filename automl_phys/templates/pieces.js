// What the scripts of a page share. Texts go into elements as textContent only.
"use strict";
const pieces = (() => {
  const THIN_SPACE = "\u202f", SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const BESIDE = 14;                                // CSS pixels from a point to the box that tells of it

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  function element(tag, properties = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties))
      if (name === "role" || name.startsWith("aria-")) made.setAttribute(name, value); else made[name] = value;
    made.append(...children);
    return made;
  }

  // A number as the tables write it: digits in groups of three from five on, powers of ten for the very small and large.
  function written(value) {
    if (value === null || Number.isNaN(value)) return "–";
    if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
    const size = Math.abs(value);
    const [mantissa, power] = (size && (size < 1e-4 || size >= 1e15) ? value.toExponential() : String(value)).split("e");
    const [whole, fraction] = mantissa.replace("-", "").split(".");
    const grouped = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, THIN_SPACE) : whole;
    const raised = power && ` × 10${power.replace("+", "").replace("-", "⁻").replace(/\d/g, digit => SUPERSCRIPTS[digit])}`;
    return (value < 0 ? "−" : "") + grouped + (fraction ? `.${fraction}` : "") + (raised ?? "");
  }

  const number = value => written(Number(value.toPrecision(4)));

  // Puts a box that tells of a point beside it, within the plot that both are in; places and sizes in CSS pixels.
  function beside(tip, at, size) {
    const right = at.px + BESIDE + tip.offsetWidth > size.width;
    tip.style.left = `${Math.max(0, right ? at.px - BESIDE - tip.offsetWidth : at.px + BESIDE)}px`;
    tip.style.top = `${clamp(at.py - tip.offsetHeight / 2, 0, Math.max(0, size.height - tip.offsetHeight))}px`;
  }

  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(one => { one.open = true; }));
  return { clamp, element, written, number, beside };
})();
