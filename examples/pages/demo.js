// What both demos' pages share: panels with buttons, counters and a log, and plots on canvases. An ES module; no library.

const COLOURS = ["#3b6ea8", "#d95f02", "#1b9e77", "#b2439a", "#7a8c00", "#8c564b", "#e6ab02", "#666666"];
const LOG_LINES = 200;

// A card of the page for the path /…/NAME, <section class="card" id=NAME>. What it counts is in its data attributes too.
// counters: their texts by their names; buttons: those of connect and disconnect; controls: HTML of more.
export class Panel {
  constructor(path, { counters, buttons = ["Connect", "Disconnect"], controls = "" }) {
    this.root = document.createElement("section");
    this.root.className = "card";
    this.root.id = path.split("/").pop();
    this.root.innerHTML = `
      <div class="row"><h2>${path}</h2>
        <button data-action="connect">${buttons[0]}</button><button data-action="disconnect">${buttons[1]}</button>
        <span class="state">closed</span></div>
      <div class="row">${controls}</div>
      <div class="counters">${Object.entries(counters).map(([name, text]) => `<span>${text}<b data-count="${name}">–</b></span>`).join("")}</div>
      <div class="plots"></div>
      <div class="log"></div>`;
    document.querySelector(".cards").append(this.root);
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
  plot(limits) {
    const canvas = document.createElement("canvas");
    this.find(".plots").append(canvas);
    return new Plot(canvas, limits);
  }
}

// Lines of as many points as `points` says, between `from` and `to` where they are given; one for each name.
class Plot {
  constructor(canvas, { points, from = null, to = null, unit = "" }) {
    this.canvas = canvas;
    this.limits = { points, from, to, unit };
    this.series = new Map();
    this.waiting = false;
    new ResizeObserver(() => this.draw()).observe(canvas);
  }
  add(name, value) {
    const values = this.series.get(name) ?? [];
    values.push(value);
    if (values.length > this.limits.points) values.shift();
    this.show(name, values);
  }
  show(name, values) {
    this.series.set(name, values);
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
    const all = [...series.values()].flatMap((values) => [...values]);
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
export function eachSecond(report) {
  let count = 0;
  setInterval(() => { report(count); count = 0; }, 1000);
  return (amount = 1) => { count += amount; };
}

// What to type in a shell.
export function recipes(...lines) {
  document.getElementById("recipes").textContent = lines.join("\n");
}
