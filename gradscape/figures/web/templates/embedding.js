const content = JSON.parse(document.getElementById("data").textContent);
const {classes, labels, panels, steps, sheet} = content;
const MOST_SHOWN = 300, MARGIN = 14, REACH = 14;
const HINT = "Point at an image to see it, click to keep it, drag a lasso around several.";
const outlines = classes.map(one => new Path2D(one.outline));
const shown = classes.map(() => true);
const byId = id => document.getElementById(id);
let selected = new Set(), hovered = -1, lasso = null;

// Of a fixed but mixed order, so that no class covers the others.
const order = labels.map((_, index) => index)
  .sort((one, other) => (one * 2654435761 % 4294967296) - (other * 2654435761 % 4294967296));

function element(kind, text, properties = {}) {
  const made = document.createElement(kind);
  if (text !== undefined) made.textContent = text;
  return Object.assign(made, properties);
}

// In the dark a color is mixed with white, and black becomes that of the letters.
const darkness = matchMedia("(prefers-color-scheme: dark)");
const paper = () => getComputedStyle(document.body).backgroundColor, ink = () => getComputedStyle(document.body).color;
function tint(color) {
  if (!darkness.matches) return color;
  if (color === "#000000") return ink();
  const parts = [1, 3, 5].map(at => parseInt(color.slice(at, at + 2), 16));
  return `rgb(${parts.map(part => Math.round(.6 * part + .4 * 255)).join(" ")})`;
}

function swatch(one) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg"), path = document.createElementNS(space, "path");
  const look = {viewBox: "-1.3 -1.3 2.6 2.6", width: 12, height: 12, "aria-hidden": true};
  for (const [name, value] of Object.entries(look)) svg.setAttribute(name, value);
  path.setAttribute("d", one.outline);
  const paint = () => path.setAttribute(one.filled ? "fill" : "stroke", tint(one.color));
  paint();
  darkness.addEventListener("change", paint);
  if (!one.filled) path.setAttribute("stroke-width", .45);
  svg.append(path);
  return svg;
}

// One value for all thumbnails: the URL is long.
if (sheet) document.documentElement.style.setProperty("--sheet", `url(${sheet.url})`);

function thumbnail(index, size) {
  const made = element("span");
  made.className = "thumbnail";
  made.dataset.image = index;
  const column = index % sheet.columns, row = Math.floor(index / sheet.columns);
  const rows = Math.ceil(labels.length / sheet.columns);
  Object.assign(made.style, {
    width: size + "px", height: size + "px",
    backgroundSize: sheet.columns * size + "px " + rows * size + "px",
    backgroundPosition: -column * size + "px " + -row * size + "px",
  });
  return made;
}

const views = panels.map(panel => {
  const figure = element("figure"), canvas = element("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", panel.title + ": " + panel.quality.join(", "));
  figure.append(element("h2", panel.title), canvas, saveButtons(panel));
  byId("panels").append(figure);
  const view = {canvas, points: panel.points};
  canvas.addEventListener("pointermove", event => move(view, event));
  canvas.addEventListener("pointerdown", event => start(view, event));
  canvas.addEventListener("pointerup", event => finish(view, event));
  canvas.addEventListener("pointercancel", () => { lasso = null; draw(); });
  canvas.addEventListener("pointerleave", () => { if (!lasso) hover(-1); });
  return view;
});

// Buttons that save a panel: all classes that are switched on, in the colors of paper.
function saveButtons(panel) {
  const made = element("div", "save ", {className: "downloads"}), name = fileName("embedding", panel.title);
  for (const format of ["png", "svg", "csv"]) {
    const button = element("button", format, {type: "button"});
    button.onclick = () => format === "csv" ? saveAs(`${name}.csv`, csvOf(numbersOf(panel)), "text/csv")
      : saveDrawing(name, format, drawingOf(panel));
    made.append(button);
  }
  return made;
}

const numbersOf = panel => [["image", "class", "x", "y"], ...labels.map((label, index) =>
  [index, classes[label].name, panel.points[2 * index], steps - panel.points[2 * index + 1]])];

function drawingOf(panel) {
  const side = 1000, margin = 40, radius = Math.max(4, Math.min(9, side / 14 / Math.pow(labels.length, .3)));
  const copy = document.createElementNS(PLACE, "svg");
  copy.setAttribute("xmlns", PLACE);
  copy.setAttribute("width", side);
  shape(copy, "rect", {width: "100%", height: "100%", fill: "#ffffff"});
  for (const index of order) {
    if (!shown[labels[index]]) continue;
    const [x, y] = [0, 1].map(at => margin + panel.points[2 * index + at] / steps * (side - 2 * margin));
    paintMark(copy, classes[labels[index]], x, y, radius);
  }
  return withClasses({copy, width: side, height: side}, classes.filter((_, number) => shown[number]));
}

const spot = (view, index) => {
  const scale = (view.canvas.clientWidth - 2 * MARGIN) / steps;
  return [MARGIN + view.points[2 * index] * scale, MARGIN + view.points[2 * index + 1] * scale];
};
const within = (view, event) => {
  const box = view.canvas.getBoundingClientRect();
  return [event.clientX - box.left - view.canvas.clientLeft, event.clientY - box.top - view.canvas.clientTop];
};

function mark(context, x, y, number, radius) {
  const one = classes[number];
  context.save();
  context.translate(x, y);
  context.scale(radius, radius);
  if (one.filled) {
    context.fillStyle = tint(one.color);
    context.fill(outlines[number]);
    context.lineWidth = .8 / radius;
    context.strokeStyle = paper();
  } else {
    context.lineWidth = 1.6 / radius;
    context.strokeStyle = tint(one.color);
  }
  context.stroke(outlines[number]);
  context.restore();
}

function ring(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.lineWidth = 2;
  context.strokeStyle = ink();
  context.stroke();
}

function draw() {
  const density = window.devicePixelRatio || 1;
  for (const view of views) {
    const side = view.canvas.clientWidth, context = view.canvas.getContext("2d");
    if (view.canvas.width !== Math.round(side * density))
      view.canvas.width = view.canvas.height = Math.round(side * density);
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, side, side);
    const radius = Math.max(2.5, Math.min(6, side / 14 / Math.pow(labels.length, .3)));
    for (const chosen of [false, true]) {
      context.globalAlpha = chosen || !selected.size ? 1 : .15;
      for (const index of order)
        if (shown[labels[index]] && selected.has(index) === chosen)
          mark(context, ...spot(view, index), labels[index], radius);
    }
    context.globalAlpha = 1;
    if (hovered >= 0) ring(context, ...spot(view, hovered), radius + 4);
    if (lasso && lasso.view === view) outline(context, lasso.path);
  }
}

function outline(context, path) {
  context.beginPath();
  path.forEach(([x, y]) => context.lineTo(x, y));
  context.closePath();
  context.fillStyle = "#0072b21a";
  context.fill();
  context.lineWidth = 1;
  context.strokeStyle = "#0072b2";
  context.stroke();
}

function nearest(view, [x, y]) {
  let best = -1, least = REACH * REACH;
  for (let index = 0; index < labels.length; index++) {
    if (!shown[labels[index]]) continue;
    const [left, top] = spot(view, index), distance = (left - x) ** 2 + (top - y) ** 2;
    if (distance < least) { least = distance; best = index; }
  }
  return best;
}

function hover(index, event) {
  const card = byId("card"), changed = index !== hovered;
  hovered = index;
  card.style.display = index < 0 ? "none" : "block";
  if (index >= 0 && changed)
    card.replaceChildren(...(sheet ? [thumbnail(index, 96)] : []), describe(index));
  if (index >= 0) {
    const right = event.clientX + 16 + card.offsetWidth < document.documentElement.clientWidth;
    const below = event.clientY + 16 + card.offsetHeight < document.documentElement.clientHeight;
    card.style.left = Math.max(0, right ? event.clientX + 16 : event.clientX - 16 - card.offsetWidth) + "px";
    card.style.top = Math.max(0, below ? event.clientY + 16 : event.clientY - 16 - card.offsetHeight) + "px";
  }
  if (changed) draw();
}

function describe(index) {
  return element("div", classes[labels[index]].name + ", image " + index);
}

function start(view, event) {
  if (event.button) return;
  const path = [within(view, event)];
  if (byId("lasso").ariaPressed === "true" && event.isPrimary) {
    view.canvas.setPointerCapture(event.pointerId);
    lasso = {view, path};
  }
}

function move(view, event) {
  if (lasso) {
    hover(-1);
    lasso.path.push(within(view, event));
    draw();
  } else {
    hover(nearest(view, within(view, event)), event);
  }
}

function finish(view, event) {
  const path = lasso ? lasso.path : [within(view, event)];
  lasso = null;
  const [x, y] = path[0], long = path.some(([left, top]) => Math.hypot(left - x, top - y) > 5);
  if (long) {
    select(order.filter(index => shown[labels[index]] && inside(path, spot(view, index))));
  } else {
    const index = nearest(view, path[0]);
    select(index < 0 ? [] : [index]);
    if (index >= 0) hover(index, event);
  }
}

// Even-odd rule: a ray to the right crosses the outline an odd number of times.
function inside(path, [x, y]) {
  let odd = false;
  for (let here = 0, before = path.length - 1; here < path.length; before = here++) {
    const [left, top] = path[here], [right, bottom] = path[before];
    if ((top > y) !== (bottom > y) && x < (right - left) * (y - top) / (bottom - top) + left) odd = !odd;
  }
  return odd;
}

function select(indices) {
  selected = new Set(indices);
  const sorted = [...selected].sort((one, other) => labels[one] - labels[other] || one - other);
  const counts = classes.map(() => 0);
  sorted.forEach(index => counts[labels[index]]++);
  const more = sorted.length > MOST_SHOWN ? ", the first " + MOST_SHOWN + " shown" : "";
  byId("selected").textContent = sorted.length ? sorted.length + " selected" + more : HINT;
  byId("counts").replaceChildren(...classes.flatMap((one, number) => {
    if (!counts[number]) return [];
    const item = element("li");
    item.append(swatch(one), " " + one.name + ": " + counts[number]);
    return [item];
  }));
  byId("images").replaceChildren(...sorted.slice(0, MOST_SHOWN).map(index => {
    const item = element("div");
    item.append(...(sheet ? [thumbnail(index, 64)] : []), describe(index));
    return item;
  }));
  draw();
}

const toggles = classes.map((one, number) => {
  const button = element("button");
  button.type = "button";
  button.append(swatch(one), element("span", one.name));
  button.onclick = () => show(shown.map((now, other) => other === number ? !now : now));
  byId("classes").append(button);
  return button;
});
function show(wanted) {
  wanted.forEach((one, number) => {
    shown[number] = one;
    toggles[number].setAttribute("aria-pressed", one);
  });
  select([...selected].filter(index => shown[labels[index]]));
}
function arm(wanted) {
  byId("lasso").setAttribute("aria-pressed", wanted);
  views.forEach(view => view.canvas.classList.toggle("drawing", wanted));
}
byId("lasso").onclick = () => arm(byId("lasso").ariaPressed !== "true");
byId("clear").onclick = () => select([]);
function search() {
  const wanted = byId("search").value.trim().toLowerCase();
  const has = classes.map(one => one.name.toLowerCase().includes(wanted));
  has.forEach((one, number) => { toggles[number].hidden = !one; });
  byId("found").textContent = wanted ? has.filter(Boolean).length + " of " + classes.length + " classes" : "";
  show(has);
}
byId("search").oninput = search;
byId("all").onclick = () => {
  byId("search").value = "";
  search();
};
byId("none").onclick = () => show(classes.map(() => false));
window.addEventListener("keydown", event => { if (event.key === "Escape") { lasso = null; select([]); } });
new ResizeObserver(draw).observe(byId("panels"));
darkness.addEventListener("change", draw);
// On a screen for fingers a drag scrolls until the lasso is asked for.
arm(!window.matchMedia("(pointer: coarse)").matches);
show(shown);
