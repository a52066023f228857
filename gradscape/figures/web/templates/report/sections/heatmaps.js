document.querySelectorAll(".gradient.inferno").forEach(bar => {
  const table = colorTables.inferno, stops = [];
  for (let step = 0; step < 256; step += 15) stops.push(`rgb(${table.slice(3 * step, 3 * step + 3).join(" ")})`);
  bar.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
});

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
