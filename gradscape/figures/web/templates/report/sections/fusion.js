document.querySelectorAll("[data-fusion]").forEach(gallery => {
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
  showThumbnails(gallery, data);
});
