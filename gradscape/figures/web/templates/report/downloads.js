// What a reader takes along: tables and curves as csv, drawings as svg, everything as png. All in light colors, for paper.
const DRAWN = ["display", "fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linecap",
  "stroke-linejoin", "opacity", "font-family", "font-size", "font-weight", "text-anchor"];
const DENSER = 3 /* dots of a png for one of the page */, PLACE = "http://www.w3.org/2000/svg", LONGEST_PART = 80;

function saveAs(name, content, kind) {
  const link = element("a", undefined, {href: URL.createObjectURL(new Blob([content], {type: kind})), download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const fileName = (...parts) => parts.map(part => part.normalize("NFKD").replace(/[^A-Za-z0-9+]+/g, "_").slice(0, LONGEST_PART))
  .join("_").replace(/_+/g, "_").replace(/^_|_$/g, "") || "gradscape";

const csvCell = cell => cell === null || cell === undefined ? "" : /[",\r\n]/.test(cell) ? `"${String(cell).replace(/"/g, '""')}"` : String(cell);
const csvOf = rows => rows.map(row => row.map(csvCell).join(",") + "\n").join("");

function inLight(act) {
  const root = document.documentElement, before = root.dataset.theme;
  root.dataset.theme = "light";
  try { return act(); } finally {
    if (before === undefined) delete root.dataset.theme;
    else root.dataset.theme = before;
  }
}

// A drawing that needs no style sheet, on white.
function standalone(svg) {
  const copy = svg.cloneNode(true), originals = [svg, ...svg.querySelectorAll("*")];
  inLight(() => [copy, ...copy.querySelectorAll("*")].forEach((one, at) => {
    const look = getComputedStyle(originals[at]);
    DRAWN.forEach(name => one.setAttribute(name, look.getPropertyValue(name)));
    one.removeAttribute("class");
  }));
  const {width, height} = svg.viewBox.baseVal, ground = document.createElementNS(PLACE, "rect");
  for (const [name, value] of Object.entries({width: "100%", height: "100%", fill: "#ffffff"})) ground.setAttribute(name, value);
  copy.prepend(ground);
  copy.setAttribute("xmlns", PLACE);
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  return {copy, width, height};
}

function shape(parent, kind, look) {
  const made = parent.appendChild(document.createElementNS(PLACE, kind));
  Object.entries(look).forEach(([key, value]) => made.setAttribute(key, value));
  return made;
}

const write = (parent, text, x, y, size) => {
  shape(parent, "text", {x, y, "font-size": size, "font-family": "sans-serif", fill: "#1c1b1a"}).textContent = text;
};

// A chart with what stands beside it on the page: its unit above, and the names of its curves below.
function withWords({copy, width, height}, unit, legend) {
  const entries = legend ? [...legend.children] : [], step = 16, top = 18;
  entries.forEach((entry, row) => {
    const y = height + step * row + 8, key = standalone(entry.querySelector("svg")).copy.querySelector("path");
    key.setAttribute("transform", `translate(10 ${y - 4})`);
    copy.append(key);
    write(copy, entry.textContent.trim(), 42, y + 4, 11);
  });
  write(copy, unit, 10, -5, 11);
  const tall = top + height + step * entries.length + (entries.length ? 6 : 0);
  copy.setAttribute("viewBox", `0 ${-top} ${width} ${tall}`);
  copy.querySelector("rect").setAttribute("y", -top);
  copy.setAttribute("height", tall);
  return {copy, width, height: tall};
}

// A drawing of marks with the names of the classes below it; each class has its name, color, outline (from -1 to 1) and whether it is filled.
function withClasses({copy, width, height}, classes) {
  const line = width / 33, longest = Math.max(...classes.map(one => one.name.length)) + 4;
  const across = Math.max(1, Math.min(5, Math.floor(width / (longest * line / 3)))), step = width / across;
  classes.forEach((one, number) => {
    const x = (number % across + .15) * step, y = height + (Math.floor(number / across) + .7) * line;
    paintMark(copy, one, x, y, line / 4);
    write(copy, one.name, x + line / 2, y + line / 5, line * .6);
  });
  const tall = height + Math.ceil(classes.length / across) * line + line / 2;
  copy.setAttribute("viewBox", `0 0 ${width} ${tall}`);
  copy.setAttribute("height", tall);
  return {copy, width, height: tall};
}

function paintMark(parent, {color, outline, filled}, x, y, radius) {
  const look = filled ? {fill: color, stroke: "#ffffff", "stroke-width": .16} : {fill: "none", stroke: color, "stroke-width": .5};
  shape(parent, "path", {...look, d: outline, transform: `translate(${x.toFixed(1)} ${y.toFixed(1)}) scale(${radius.toFixed(2)})`});
}

async function rastered({copy, width, height}) {
  const image = new Image(), scale = Math.max(DENSER, 1200 / width);
  image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(new XMLSerializer().serializeToString(copy));
  await image.decode();
  const canvas = element("canvas", undefined, {width: Math.round(width * scale), height: Math.round(height * scale)});
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

const saveCanvas = (name, canvas) => canvas.toBlob(blob => saveAs(name, blob, "image/png"));

async function saveDrawing(name, format, drawing) {
  if (format === "svg") saveAs(`${name}.svg`, new XMLSerializer().serializeToString(drawing.copy), "image/svg+xml");
  else saveCanvas(`${name}.png`, await rastered(drawing));
}

// Pictures with their words, each where it stands on the page.
function photographed(node) {
  const {left, top, width, height} = node.getBoundingClientRect(), margin = 12;
  const box = {left: left - margin, top: top - margin, width: width + 2 * margin, height: height + 2 * margin};
  const made = element("canvas", undefined, {width: Math.ceil(box.width * DENSER), height: Math.ceil(box.height * DENSER)});
  const context = made.getContext("2d");
  context.scale(DENSER, DENSER);
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, box.width, box.height);
  inLight(() => {
    node.querySelectorAll("canvas").forEach(canvas => {
      const at = canvas.getBoundingClientRect();
      if (!at.width || !canvas.width || !canvas.checkVisibility()) return;
      context.imageSmoothingEnabled = getComputedStyle(canvas).imageRendering !== "pixelated";
      context.drawImage(canvas, at.left - box.left, at.top - box.top, at.width, at.height);
    });
    const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) if (walker.currentNode.parentElement.checkVisibility()) writeWords(context, walker.currentNode, box);
  });
  return made;
}

function writeWords(context, text, box) {
  const look = getComputedStyle(text.parentElement), range = document.createRange();
  context.font = `${look.fontStyle} ${look.fontWeight} ${look.fontSize} ${look.fontFamily}`;
  context.fillStyle = look.color;
  context.textBaseline = "middle";
  for (const word of text.data.matchAll(/[^\s\u200b]+/g)) {
    range.setStart(text, word.index);
    range.setEnd(text, word.index + word[0].length);
    const at = range.getBoundingClientRect();
    if (at.width) context.fillText(word[0], at.left - box.left, at.top - box.top + at.height / 2);
  }
}

// What stands in a table; intervals and standard errors get columns of their own.
function tableRows(table) {
  const body = [...table.tBodies[0].rows].map(row => [...row.cells]), heads = [...table.tHead.rows[0].cells];
  const own = cell => {
    const copy = cell.cloneNode(true);
    copy.querySelectorAll(".range, sup").forEach(one => one.remove());
    return copy.textContent.replace(/\s+/g, " ").trim();
  };
  const ranged = heads.map((_, place) => body.some(row => row[place].querySelector(".range")));
  const spread = (cells, said) => cells.flatMap((cell, place) => ranged[place] ? [own(cell), said(cell)] : [own(cell)]);
  return [spread(heads, cell => own(cell) + ", interval"),
    ...body.map(row => spread(row, cell => { const range = cell.querySelector(".range"); return range ? range.textContent : ""; }))];
}

const savers = {
  table: (area, name) => saveAs(`${name}.csv`, csvOf(tableRows(area.querySelector("table"))), "text/csv"),
  chart: (area, name, format) => format === "csv" ? saveAs(`${name}.csv`, area.dataset.csv, "text/csv")
    : saveDrawing(name, format, withWords(standalone(area.querySelector("svg")), area.querySelector("figcaption").textContent, area.parentElement.nextElementSibling)),
  picture: (area, name) => saveCanvas(`${name}.png`, photographed(area.querySelector(".shot"))),
};

document.addEventListener("click", event => {
  const button = event.target.closest("[data-save]"), area = button && button.closest("[data-saved]");
  if (area) savers[area.dataset.saved](area, fileName(area.dataset.name), button.dataset.save);
});
