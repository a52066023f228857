const bytesOf = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
const colorTables = Object.fromEntries(Object.entries(content.colors).map(([name, text]) => [name, bytesOf(text)]));
const MISSING = 255, TOP = 254;
const shortNumber = value => String(Number(value.toPrecision(3)));

document.querySelectorAll(".gradient.inferno").forEach(bar => {
  const table = colorTables.inferno, stops = [];
  for (let step = 0; step < 256; step += 15) stops.push(`rgb(${table.slice(3 * step, 3 * step + 3).join(" ")})`);
  bar.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
});

async function loadSheet(sheet, count) {
  if (!sheet) return null;
  const image = new Image();
  image.src = sheet.url;
  await image.decode();
  return Array.from({length: count}, (_, number) => {
    const canvas = element("canvas", undefined, {width: sheet.width, height: sheet.height});
    const context = canvas.getContext("2d", {willReadFrequently: true});
    context.drawImage(image, 0, number * sheet.height, sheet.width, sheet.height, 0, 0, sheet.width, sheet.height);
    return canvas;
  });
}

function showPicture(canvas, picture) {
  canvas.hidden = !picture;
  if (!picture) return;
  canvas.width = picture.width;
  canvas.height = picture.height;
  canvas.classList.toggle("sharp", picture.width <= 64);
  canvas.getContext("2d").drawImage(picture, 0, 0);
}

// A map's values at the size of its image, bilinear between the middles of its pixels.
function enlarge(values, height, width, tall, wide) {
  const found = new Float32Array(tall * wide);
  for (let y = 0; y < tall; y++) {
    const down = Math.min(Math.max((y + .5) * height / tall - .5, 0), height - 1);
    const top = Math.floor(down), bottom = Math.min(top + 1, height - 1), low = down - top;
    for (let x = 0; x < wide; x++) {
      const right = Math.min(Math.max((x + .5) * width / wide - .5, 0), width - 1);
      const first = Math.floor(right), second = Math.min(first + 1, width - 1), share = right - first;
      const upper = values[top * width + first] * (1 - share) + values[top * width + second] * share;
      const lower = values[bottom * width + first] * (1 - share) + values[bottom * width + second] * share;
      found[y * wide + x] = upper * (1 - low) + lower * low;
    }
  }
  return found;
}

function heatmapValues(panel, number, scale, highest) {
  const map = panel.maps[number], bytes = bytesOf(map.bytes);
  const values = Float32Array.from(bytes, byte => map.low + byte / TOP * (map.high - map.low));
  const shared = scale === "shared", photo = Math.max(...panel.size);
  const shrink = Math.min(1, 224 / photo), [tall, wide] = panel.size.map(side => Math.round(side * shrink));
  const large = enlarge(values, map.height, map.width, tall, wide);
  const low = shared ? 0 : large.reduce((one, other) => Math.min(one, other), Infinity);
  const high = shared ? highest : large.reduce((one, other) => Math.max(one, other), -Infinity);
  return {tall, wide, values: large.map(value => (value - low) / (high > low ? high - low : 1))};
}

function paintHeatmap(canvas, panel, number, {style, scale, highest, picture}) {
  const {tall, wide, values} = heatmapValues(panel, number, scale, highest);
  canvas.width = wide;
  canvas.height = tall;
  canvas.classList.toggle("sharp", wide <= 64 && style !== "heatmap");
  const context = canvas.getContext("2d", {willReadFrequently: true}), fault = panel.faults[number];
  const pixels = context.createImageData(wide, tall), table = colorTables.inferno;
  if (picture) context.drawImage(picture, 0, 0, wide, tall);
  const below = picture && style !== "heatmap" ? context.getImageData(0, 0, wide, tall).data : null;
  for (let at = 0; at < values.length; at++) {
    const step = Math.round(Math.min(Math.max(values[at], 0), 1) * 255);
    const gray = below ? .299 * below[4 * at] + .587 * below[4 * at + 1] + .114 * below[4 * at + 2] : 0;
    for (let channel = 0; channel < 3; channel++) {
      let value = table[3 * step + channel];
      if (below && fault) value = gray;
      else if (below && style === "overlay") value = .5 * value + .5 * gray;
      else if (below && style === "masked") value = below[4 * at + channel] * step / 255;
      pixels.data[4 * at + channel] = value;
    }
    pixels.data[4 * at + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
}

// Names of networks and layers may be broken where a reader would.
const breakable = name => name.replace(/[_.]/g, "$&\u200b");

function heatmapTile(panel, number, settings) {
  const tile = element("div", undefined, {className: "tile"}), canvas = element("canvas");
  const fault = panel.faults[number], said = fault ? `${panel.said[number]}; not drawn: ${fault}` : panel.said[number];
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${panel.method} of ${panel.network} for ${settings.name}: ${said}`);
  paintHeatmap(canvas, panel, number, settings);
  tile.append(canvas, element("b", breakable(panel.network)), said);
  return tile;
}

document.querySelectorAll("[data-heatmaps]").forEach(async gallery => {
  const index = gallery.dataset.heatmaps, data = content.heatmaps[index], cards = gallery.querySelector(".cards");
  const choices = Object.fromEntries(["method", "style", "scale"].map(
    name => [name, onChoice(`heatmaps${index}-${name}`, () => draw())]));
  const select = gallery.querySelector("select");
  if (select) select.addEventListener("change", () => draw());
  const pictures = await loadSheet(data.pictures, data.names.length);

  function draw() {
    const [method, style, scale] = ["method", "style", "scale"].map(name => choices[name]());
    const panels = data.panels.filter(panel => panel.method === method);
    const highest = Math.max(...panels.flatMap(panel => panel.highest));
    const wanted = select ? select.value : "";
    gallery.querySelector(".of").textContent = scale === "shared" ? "largest value of the method, as" : "map's own";
    const tiles = panels.length + (pictures ? 1 : 0);
    cards.style.setProperty("--tiles", tiles);
    cards.style.setProperty("--card", Math.min(34, 6.2 * tiles) + "rem");
    cards.replaceChildren(...data.names.flatMap((name, number) => {
      const told = panels.filter(panel => !wanted || panel.classes[number] === wanted);
      if (!told.length) return [];
      const card = element("figure", undefined, {className: "card"});
      const row = element("div", undefined, {className: "tiles"});
      if (pictures) {
        const tile = element("div", undefined, {className: "tile"}), canvas = element("canvas");
        canvas.setAttribute("role", "img");
        canvas.setAttribute("aria-label", `the picture ${name}`);
        showPicture(canvas, pictures[number]);
        tile.append(canvas, element("b", "picture"));
        row.append(tile);
      }
      const settings = {name, style, scale, highest, picture: pictures && pictures[number]};
      row.append(...told.map(panel => heatmapTile(panel, number, settings)));
      card.append(element("figcaption", name), row);
      return [card];
    }));
  }
  draw();
});

// Maps beside each other on one canvas, so many in a row, the first one apart from the others if wanted.
function paintTiles(canvas, packed, columns, side, {apart = 0} = {}) {
  const {height, width} = packed, bytes = bytesOf(packed.bytes), table = colorTables[packed.colors];
  const count = bytes.length / (height * width), gap = Math.max(2, Math.round(side / 16));
  const tall = Math.max(1, Math.round(side * height / Math.max(height, width)));
  const wide = Math.max(1, Math.round(side * width / Math.max(height, width)));
  columns = Math.min(columns, count);
  canvas.width = columns * (wide + gap) - gap + apart;
  canvas.height = Math.ceil(count / columns) * (tall + gap) - gap;
  const context = canvas.getContext("2d"), small = element("canvas", undefined, {width, height});
  const inner = small.getContext("2d"), pixels = inner.createImageData(width, height);
  context.imageSmoothingEnabled = false;
  for (let number = 0; number < count; number++) {
    for (let at = 0; at < height * width; at++) {
      const byte = bytes[number * height * width + at], step = Math.round(byte / TOP * 255);
      for (let channel = 0; channel < 3; channel++) pixels.data[4 * at + channel] = table[3 * step + channel];
      pixels.data[4 * at + 3] = byte === MISSING ? 0 : 255;
    }
    inner.putImageData(pixels, 0, 0);
    const column = number % columns, row = Math.floor(number / columns);
    context.drawImage(small, column * (wide + gap) + (column ? apart : 0), row * (tall + gap), wide, tall);
  }
  return `from ${shortNumber(packed.low)} to ${shortNumber(packed.high)}`;
}

function labeledCanvas(label) {
  const canvas = element("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", label);
  return canvas;
}

// Six maps behind their mean, with the gaps between them.
const SIDE = 64, MOST_MAPS = 7, FULL_ROW = MOST_MAPS * (SIDE + 4) - 4 + 12;

function attentionRow(row, number, name) {
  const made = element("div", undefined, {className: "map-row"}), label = element("div");
  const canvas = labeledCanvas(`${row.kind} attention of ${row.block} for ${name}`);
  const range = paintTiles(canvas, row.pictures[number], MOST_MAPS, SIDE, {apart: row.layers > 1 ? 12 : 0});
  canvas.style.width = 100 * canvas.width / FULL_ROW + "%";
  canvas.style.maxWidth = canvas.width / SIDE * 4.2 + "rem";
  label.append(element("b", breakable(row.block)), `${row.kind}, ${row.layers} map${row.layers > 1 ? "s" : ""}, ${range}`);
  made.append(label, canvas);
  return made;
}

function drawStrips(place, strips) {
  place.replaceChildren(...strips.map(strip => {
    const figure = element("figure"), canvas = labeledCanvas(`weights of channels in ${strip.block}`);
    const range = paintTiles(canvas, strip, 1, Math.max(strip.width, strip.height) * 4);
    canvas.style.maxWidth = .35 * strip.width + "rem";
    figure.append(element("div", `${strip.block}: ${strip.shape.join(" × ")}, ${range}`), canvas);
    return figure;
  }));
}

document.querySelectorAll("[data-attention]").forEach(async gallery => {
  const index = gallery.dataset.attention, data = content.attention[index];
  const columns = [...gallery.querySelectorAll("[data-panel]")];
  function draw(number) {
    columns.forEach((column, place) => column.querySelector(".rows").replaceChildren(
      ...data.panels[place].rows.map(row => attentionRow(row, number, data.names[number]))));
  }
  columns.forEach((column, place) => {
    if (data.panels[place].strips.length) drawStrips(column.querySelector(".strips"), data.panels[place].strips);
  });
  draw(Number(onChoice(`attention${index}-picture`, value => draw(Number(value)))() || 0));
  const pictures = await loadSheet(data.pictures, data.names.length);
  gallery.querySelectorAll("[data-picture]").forEach(
    canvas => showPicture(canvas, pictures && pictures[canvas.dataset.picture]));
});

document.querySelectorAll("[data-fusion]").forEach(async gallery => {
  const index = gallery.dataset.fusion, data = content.fusion[index];
  const places = [...gallery.querySelectorAll("[data-panel]")];
  function draw(number) {
    places.forEach(place => place.replaceChildren(...data.panels[place.dataset.panel].stages.map(stage => {
      const figure = element("figure"), heading = element("figcaption", stage.name + " ");
      const canvas = labeledCanvas(`${stage.name} for ${data.names[number]}`);
      const range = paintTiles(canvas, stage.pictures[number], 4, 64);
      heading.append(element("span", range));
      figure.append(heading, canvas);
      return figure;
    })));
  }
  draw(Number(onChoice(`fusion${index}-picture`, value => draw(Number(value)))() || 0));
  const pictures = await loadSheet(data.pictures, data.names.length);
  gallery.querySelectorAll("[data-picture]").forEach(
    canvas => showPicture(canvas, pictures && pictures[canvas.dataset.picture]));
});
