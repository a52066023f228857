savers.scatter = (area, name, format) => {
  const gallery = area.closest("[data-scatter]");
  if (format !== "csv") {
    const classes = [...gallery.querySelectorAll(".classes label")].filter(one => one.control.checked).map(one => {
      const path = one.querySelector("path");
      return {name: one.textContent, color: path.getAttribute("color"), outline: path.getAttribute("d"), filled: path.matches(".area")};
    });
    saveDrawing(`embedding_${name}`, format, withClasses(standalone(area.querySelector("svg")), classes));
    return;
  }
  const {labels, points} = content.embeddings[gallery.dataset.scatter];
  const names = [...gallery.querySelectorAll(".classes span")].map(one => one.textContent), places = points[area.dataset.panel];
  const rows = labels.map((label, image) => [image, names[label], places[2 * image], 1000 - places[2 * image + 1]]);
  saveAs(`embedding_${name}.csv`, csvOf([["image", "class", "x", "y"], ...rows]), "text/csv");
};

document.querySelectorAll("[data-scatter]").forEach(gallery => {
  const data = content.embeddings[gallery.dataset.scatter], panels = [...gallery.querySelectorAll(".scatter")];
  const inputs = [...gallery.querySelectorAll(".classes input")], REACH = 30;
  const names = inputs.map(input => input.nextElementSibling.textContent);
  const shown = number => inputs[number].checked;

  inputs.forEach((input, number) => input.addEventListener("change", () => {
    gallery.querySelectorAll(`[data-class="${number}"]`).forEach(path => path.classList.toggle("off", !input.checked));
  }));

  function mark(image) {
    panels.forEach((panel, number) => {
      const ring = panel.querySelector(".ring"), at = image < 0 ? [-100, -100] : data.points[number].slice(2 * image, 2 * image + 2);
      ring.setAttribute("cx", at[0]);
      ring.setAttribute("cy", at[1]);
    });
    gallery.querySelector(".pointed").textContent = image < 0 ? "" : `image ${image}: class ${names[data.labels[image]]}`;
  }

  panels.forEach((panel, number) => {
    panel.addEventListener("pointermove", event => {
      const box = panel.getBoundingClientRect(), points = data.points[number];
      const x = (event.clientX - box.left) / box.width * 1000, y = (event.clientY - box.top) / box.height * 1000;
      let best = -1, least = REACH ** 2;
      data.labels.forEach((label, image) => {
        const distance = (points[2 * image] - x) ** 2 + (points[2 * image + 1] - y) ** 2;
        if (distance < least && shown(label)) { least = distance; best = image; }
      });
      mark(best);
    });
    panel.addEventListener("pointerleave", () => mark(-1));
  });
});
