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

document.querySelectorAll("[data-attention]").forEach(gallery => {
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
  showThumbnails(gallery, data);
});
