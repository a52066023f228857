// Plotly crops a scene that is narrower than high and wraps neither panels nor its own buttons, so this does both, in
// any window. The buttons are the layout's hidden menu.
const plot = document.getElementById("{{ plot_id }}"), views = plot.layout.updatemenus[0].buttons;
const buttons = views.map(view => {
  const button = document.createElement("button");
  button.textContent = view.label;
  button.onclick = () => {
    buttons.forEach(other => other.setAttribute("aria-pressed", other === button));
    Plotly.update(plot, ...view.args);
  };
  document.getElementById("views").append(button);
  return button;
});
buttons[0].setAttribute("aria-pressed", true);
plot.style.height = plot.parentElement.style.height = "auto";
const scenes = plot.data.map((_, number) => "scene" + (number ? number + 1 : ""));
const aspects = scenes.map(scene => ({...plot.layout[scene].aspectratio}));
function arrange() {
  const count = plot.data.length, heading = 40, toolbar = 30, legend = 80, width = plot.clientWidth - 20;
  const columns = Math.min(count, {{ most_columns }}, Math.max(1, Math.floor(width / 320)));
  const side = Math.min(width / columns / 1.25, Math.max(320, window.innerHeight - 240));
  const total = Math.ceil(count / columns) * (side + heading), small = side < 450;
  const look = {width: plot.clientWidth, height: total + toolbar + legend};
  look["coloraxis.colorbar.len"] = Math.min(420, width - 40);
  for (let number = 0; number < count; number++) {
    const column = number % columns, row = Math.floor(number / columns), scene = scenes[number];
    const top = 1 - (row * (side + heading) + heading) / total, bottom = Math.max(0, top - side / total);
    look[scene + ".domain"] = {x: [column / columns, (column + 1) / columns], y: [bottom, top]};
    look["annotations[" + number + "].x"] = (column + 0.5) / columns;
    look["annotations[" + number + "].y"] = top;
    for (const axis of ["x", "y", "z"]) {
      look[scene + ".aspectratio." + axis] = aspects[number][axis] * (small ? 0.88 : 1);
      look[scene + "." + axis + "axis.tickfont.size"] = small ? 10 : 12;
      look[scene + "." + axis + "axis.title.font.size"] = small ? 12 : 14;
      look[scene + "." + axis + "axis.nticks"] = small ? 5 : 8;
    }
  }
  Plotly.relayout(plot, look);
}
window.addEventListener("resize", arrange);
arrange();
