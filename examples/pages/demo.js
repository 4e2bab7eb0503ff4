// What both demos' pages share: a log, counters, and a plot on a canvas. No library.
"use strict";

const COLOURS = ["#3b6ea8", "#d95f02", "#1b9e77", "#b2439a", "#7a8c00", "#8c564b", "#e6ab02", "#666666"];
const LOG_LINES = 200;

// A panel of the page: <section class="card" id=NAME> with a log, a state, counters and a canvas, where it has them.
class Panel {
  constructor(id) {
    this.root = document.getElementById(id);
    this.counts = {};
  }
  find(selector) { return this.root.querySelector(selector); }
  on(name, action) { this.find(`[data-action=${name}]`).addEventListener("click", action); }
  say(text, kind = "") {
    const log = this.find(".log"), line = document.createElement("div");
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    line.className = kind;
    line.textContent = text;
    log.append(line);
    while (log.childElementCount > LOG_LINES) log.firstChild.remove();
    if (atEnd) log.scrollTop = log.scrollHeight;
  }
  state(text) {
    const state = this.find(".state");
    state.textContent = text;
    state.classList.toggle("open", text === "open");
    this.root.dataset.state = text;
  }
  set(name, value) {
    this.counts[name] = value;
    this.root.dataset[name] = value;
    const shown = this.find(`[data-count=${name}]`);
    if (shown) shown.textContent = typeof value === "number" ? value.toLocaleString("en") : value;
  }
  add(name, amount = 1) { this.set(name, (this.counts[name] ?? 0) + amount); }
}

// Lines over the latest points; one for each name that add() was given.
class Plot {
  constructor(canvas, { points = 120, from = null, to = null, unit = "" } = {}) {
    this.canvas = canvas;
    this.limits = { points, from, to, unit };
    this.series = new Map();
    this.waiting = false;
    new ResizeObserver(() => this.draw()).observe(canvas);
  }
  add(name, value) {
    if (!this.series.has(name)) this.series.set(name, []);
    const values = this.series.get(name);
    values.push(value);
    if (values.length > this.limits.points) values.shift();
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.draw(); });
  }
  draw() {
    const { canvas, series, limits } = this, scale = devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = width * scale;
    canvas.height = height * scale;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const all = [...series.values()].flat();
    if (!all.length) return;
    let low = limits.from ?? Math.min(...all), high = limits.to ?? Math.max(...all);
    if (high - low < 1e-9) { low -= 1; high += 1; }
    const x = (index) => 4 + (width - 70) * index / (limits.points - 1);
    const y = (value) => height - 16 - (height - 26) * (value - low) / (high - low);
    pen.font = "11px system-ui";
    pen.fillStyle = pen.strokeStyle = "#8888";
    for (const value of [low, (low + high) / 2, high]) {
      pen.beginPath(); pen.moveTo(4, y(value)); pen.lineTo(width - 64, y(value)); pen.stroke();
      pen.fillText(value.toLocaleString("en", { maximumSignificantDigits: 3 }) + limits.unit, width - 58, y(value) + 4);
    }
    let place = 6;
    [...series].forEach(([name, values], number) => {
      pen.strokeStyle = pen.fillStyle = COLOURS[number % COLOURS.length];
      pen.lineWidth = 1.5;
      pen.beginPath();
      values.forEach((value, index) => index ? pen.lineTo(x(index), y(value)) : pen.moveTo(x(index), y(value)));
      if (values.length === 1) pen.arc(x(0), y(values[0]), 2, 0, 7);
      pen.stroke();
      pen.fillText(name, place, height - 3);
      place += pen.measureText(name).width + 12;
    });
  }
}

// Calls back every second with how much was counted since.
function eachSecond(report) {
  let count = 0;
  setInterval(() => { report(count); count = 0; }, 1000);
  return (amount = 1) => { count += amount; };
}
