const bytesOf = text => Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
const colorTables = Object.fromEntries(Object.entries(content.colors).map(([name, text]) => [name, bytesOf(text)]));
const MISSING = 255, TOP = 254;
const shortNumber = value => String(Number(value.toPrecision(3)));

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

// The small pictures on the buttons by which a reader chooses one.
async function showThumbnails(gallery, {pictures, names}) {
  const sheet = await loadSheet(pictures, names.length);
  gallery.querySelectorAll("[data-picture]").forEach(
    canvas => showPicture(canvas, sheet && sheet[canvas.dataset.picture]));
}

// Names of networks and layers may be broken where a reader would.
const breakable = name => name.replace(/[_.]/g, "$&\u200b");

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
