// A browser gives a page about sixteen of these contexts; each surface takes one.
const MOST_SURFACES = 8, RESTED = 20 /* frames */, FRAME = {center: {x: 0, y: 0, z: -.16}, up: {x: 0, y: 0, z: 1}};

const RELIEFS = Boolean(document.createElement("canvas").getContext("webgl"));
const PAPER = {ink: "#1c1b1a", soft: "#5f5b55", rule: "#dcd8d0", firm: "#8b867d", plate: "#ffffff"};
const LEVELS = 20, NEARER = 1.0015 /* for a pixel of the wheel */;

function startSurfaces({panels, views, config, start, eye}) {
  const home = {eye, ...FRAME};
  const figures = panels.map((_, number) => document.querySelector(`[data-surface="${number}"]`));
  const plots = figures.map(figure => figure.querySelector(".plot")), maps = figures.map(figure => figure.querySelector(".map"));
  const choices = [onChoice("value", () => change()), onChoice("scale", () => { scaled = true; change(); })];
  let scaled = false; // Until the reader chooses a scale, each value has its own.
  const shown = [...document.querySelectorAll("input[name=shown]")];
  let camera = structuredClone(home), leader = null;
  // How many turns of each surface are not done yet. It tells of each afterwards, when the camera may be elsewhere already.
  const following = new Map(), begun = new Map() /* what draws each plot, or has */;
  const key = () => choices.map(choice => choice()).join(" "), view = () => views[key()];
  const inks = () => Object.fromEntries(Object.keys(PAPER).map(name => [name, pageColor("--" + name)]));
  const family = () => getComputedStyle(document.querySelector("button")).fontFamily;
  const drawn = () => plots.filter(plot => plot.data);

  function scene(panel, look, {ink, soft, rule}) {
    const [wide, deep] = [panel.alphas, panel.betas].map(axis => Math.abs(axis[axis.length - 1] - axis[0]));
    const ratio = Math.min(Math.max(deep / wide, .5), 2);
    const axis = {showbackground: false, gridcolor: rule, zerolinecolor: rule, linecolor: soft, color: soft,
      tickfont: {size: 11, color: soft}, nticks: 5, showspikes: false};
    const name = text => ({text, font: {size: 12, color: ink}});
    return {
      xaxis: {...axis, title: name(brief(panel.axes[0])), range: apart(panel.alphas)},
      yaxis: {...axis, title: name(brief(panel.axes[1])), range: apart(panel.betas)},
      zaxis: {...axis, title: {text: ""}, tickmode: "array", tickvals: look.ticks, ticktext: look.texts,
        range: [look.low - .08 * (look.high - look.low), look.high]},
      aspectmode: "manual", aspectratio: {x: Math.min(1, 1 / ratio), y: Math.min(1, ratio), z: .68}, camera,
    };
  }

  const shared = ({ink, plate, firm}) => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: {family: family()},
    hoverlabel: {bgcolor: plate, bordercolor: firm, font: {color: ink, family: family()}},
  });

  function relief(panel, look, colors) {
    const trace = {
      type: "surface", x: panel.alphas, y: panel.betas, z: panel.heights[key()], customdata: panel.read, text: panel.unsure,
      hovertemplate: panel.template, colorscale: look.colors, cmin: look.low, cmax: look.high, showscale: false,
      contours: Object.fromEntries(["x", "y", "z"].map(axis => [axis, {highlight: true, highlightwidth: 1}])),
      lighting: {ambient: .75, diffuse: .5, specular: .05, roughness: .9},
    };
    return {data: [trace, ...raised(panel, look, colors)], layout: {...shared(colors), margin: {l: 0, r: 0, t: 0, b: 0}, scene: scene(panel, look, colors)}};
  }

  // What is read off lies by alpha first, as plotly wants it of a relief; of a map it wants beta first.
  const turned = rows => rows && rows[0].map((_, place) => rows.map(row => row[place]));

  function map(panel, look, colors) {
    const step = (look.high - look.low) / LEVELS, {ink, soft} = colors;
    const axis = {color: soft, linecolor: soft, showline: true, mirror: true, ticks: "outside", ticklen: 4, showgrid: false, zeroline: false,
      fixedrange: true, nticks: 6, tickfont: {size: 11, color: soft}};
    const name = text => ({text, font: {size: 12, color: ink}, standoff: 6});
    const contours = {
      type: "contour", x: panel.alphas, y: panel.betas, z: panel.heights[key()], customdata: turned(panel.read), text: turned(panel.unsure),
      hovertemplate: panel.template, colorscale: look.colors, zmin: look.low, zmax: look.high, autocontour: false, connectgaps: false,
      contours: {start: look.low + step, end: look.high - step / 2, size: step}, line: {width: .6, color: "rgba(255,255,255,.55)"}, showscale: false,
    };
    // The origin: a black cross in a white one, as long on every map.
    const across = (line, size) => ({type: "line", line, xsizemode: "pixel", ysizemode: "pixel", xanchor: 0, yanchor: 0, ...size});
    const cross = (arm, width, color) => [{x0: -arm, x1: arm, y0: 0, y1: 0}, {x0: 0, x1: 0, y0: -arm, y1: arm}].map(
      size => across({color, width}, size));
    const layout = {...shared(colors), margin: {l: 52, r: 12, t: 8, b: 44}, dragmode: false,
      shapes: [...cross(6, 3.4, "#ffffff"), ...cross(5.3, 1.4, "#000000")],
      xaxis: {...axis, title: name(panel.axes[0]), constrain: "domain", range: ends(panel.alphas)},
      yaxis: {...axis, title: name(panel.axes[1]), constrain: "domain", range: ends(panel.betas), scaleanchor: square(panel) ? "x" : undefined}};
    return {data: [contours, ...flat(panel)], layout};
  }

  // What stands in brackets has no room on a relief.
  const brief = text => text.split(" (")[0];

  // Networks in the plane: white below a path, so that it is seen on every color; marks grow with the distance off the plane.
  const spot = ({color, points}) => ({hovertext: points.texts, hoverinfo: "text", text: points.names, mode: "markers+text", showlegend: false,
    marker: {size: points.sizes, symbol: points.symbols, color, opacity: 1, line: {color: "#ffffff", width: 1}}});

  const strokes = ({color, line}) => line ? [{color: "#ffffff", width: 5}, {color, width: 2.5}].map(
    look => ({mode: "lines", hoverinfo: "skip", showlegend: false, line: look})) : [];

  function flat(panel) {
    const at = places => ({type: "scatter", x: places.alphas, y: places.betas});
    return panel.paths.flatMap(path => [
      ...strokes(path).map(stroke => ({...at(path.line), ...stroke})),
      {...at(path.points), ...spot(path), textposition: path.place, textfont: {size: 12, color: "#000000",
        shadow: "0 0 3px #ffffff, 0 0 3px #ffffff, 0 0 3px #ffffff"}},
    ]);
  }

  function raised(panel, look, {ink}) {
    const lift = .012 * (look.high - look.low);
    const at = places => ({type: "scatter3d", x: places.alphas, y: places.betas,
      z: places.heights[key()].map(height => height === null ? null : height + lift)});
    return panel.paths.flatMap(path => [
      ...strokes(path).map(stroke => ({...at(path.line), ...stroke})),
      {...at(path.points), ...spot(path), textposition: path.place, textfont: {size: 12, color: ink}},
    ]);
  }

  const ends = axis => [Math.min(...axis), Math.max(...axis)];

  // Numbers at the ends of two axes that meet would lie on each other, if the box ended there.
  const apart = axis => { const [low, high] = ends(axis), more = .05 * (high - low); return [low - more, high + more]; };

  // One unit is as long on both axes, unless that would make a strip.
  function square(panel) {
    const [wide, deep] = [panel.alphas, panel.betas].map(axis => { const [low, high] = ends(axis); return high - low; });
    return deep / wide >= .4 && deep / wide <= 2.5;
  }

  function draw(number, colors = inks()) {
    const panel = panels[number], look = view(), plot = plots[number];
    plot.setAttribute("aria-label", `${look.label} of ${panel.title} over alpha and beta, a surface to turn`);
    maps[number].setAttribute("aria-label", `${look.label} of ${panel.title} over alpha and beta, a map`);
    const seen = map(panel, look, colors);
    begun.set(maps[number], Plotly.react(maps[number], seen.data, seen.layout, config));
    if (!RELIEFS) return;
    const fresh = !plot.data, {data, layout} = relief(panel, look, colors);
    begun.set(plot, Plotly.react(plot, data, layout, config));
    if (fresh) {
      plot.on("plotly_relayouting", event => follow(plot, event));
      plot.on("plotly_relayout", event => follow(plot, event));
    }
  }

  // A turned surface takes the others with it, frame by frame until it rests: plotly tells of a turn before it has ended.
  function follow(plot, event) {
    if (!event["scene.camera"] || following.get(plot) || leader === plot) return;
    leader = plot;
    lead(plot, 0);
  }

  function lead(plot, rested) {
    if (leader !== plot) return;
    if (!plot.data || rested > RESTED) {
      leader = null;
      return;
    }
    const seen = structuredClone(plot._fullLayout.scene._scene.getCamera());
    const turned = JSON.stringify(seen) !== JSON.stringify(camera);
    if (turned) {
      camera = seen;
      look(drawn().filter(other => other !== plot));
    }
    requestAnimationFrame(() => lead(plot, turned ? 0 : rested + 1));
  }

  function look(targets) {
    targets.forEach(target => {
      following.set(target, (following.get(target) || 0) + 1);
      Plotly.relayout(target, {"scene.camera": structuredClone(camera)}).finally(
        () => following.set(target, following.get(target) - 1));
    });
  }

  function drawScale({low, high, ticks, texts, label, colors}) {
    const place = document.getElementById("landscape-scale");
    place.querySelector(".gradient").style.background =
      `linear-gradient(to right, ${colors.map(([share, color]) => `${color} ${100 * share}%`).join(", ")})`;
    place.querySelector(".ticks").replaceChildren(...ticks.map((tick, number) => {
      const made = element("span", texts[number]);
      // A mark at the very end keeps its number within the bar.
      made.style.setProperty("--at", 100 * (tick - low) / (high - low) + "%");
      return made;
    }));
    place.querySelector(".name").textContent = label;
  }

  function setScale(name) {
    document.querySelector(`input[name=scale][value="${name}"]`).checked = true;
  }

  function change() {
    const value = choices[0]();
    if (!scaled) setScale(start[value]);
    document.querySelectorAll("input[name=value], input[name=scale]").forEach(input => {
      input.disabled = !((input.name === "value" ? input.value + " raw" : value + " " + input.value) in views);
    });
    if (!view()) setScale("raw");
    drawScale(view());
    arrange();
  }

  function arrange() {
    const wanted = shown.length ? shown.map(input => input.checked) : [true];
    const full = wanted.filter(Boolean).length >= MOST_SURFACES;
    shown.forEach(input => { input.disabled = full && !input.checked; });
    // All of them first, since a surface is drawn as wide as the others leave it.
    wanted.forEach((here, number) => { figures[number].hidden = !here; });
    wanted.forEach((here, number) => {
      if (here) draw(number);
      else [plots[number], maps[number]].filter(one => one.data).forEach(clear);
    });
  }

  // plotly finishes later what it has begun, which it cannot of what is cleared by then.
  function clear(plot) {
    begun.get(plot).finally(() => { if (plot.data && plot.closest("[data-surface]").hidden) Plotly.purge(plot); });
  }

  const turns = {
    left: at => ({...at, angle: at.angle - Math.PI / 12}), right: at => ({...at, angle: at.angle + Math.PI / 12}),
    up: at => ({...at, rise: Math.min(at.rise + Math.PI / 18, 1.55)}), down: at => ({...at, rise: Math.max(at.rise - Math.PI / 18, -.3)}),
    nearer: at => ({...at, far: Math.max(at.far / 1.2, .5)}), farther: at => ({...at, far: Math.min(at.far * 1.2, 6)}),
    above: at => ({...at, angle: -Math.PI / 2, rise: 1.57}), reset: null,
  };
  function move(turn) {
    leader = null;
    const {x, y, z} = camera.eye, far = Math.hypot(x, y, z);
    const to = turn({angle: Math.atan2(y, x), rise: Math.asin(z / far), far});
    const eye = {x: to.far * Math.cos(to.rise) * Math.cos(to.angle), y: to.far * Math.cos(to.rise) * Math.sin(to.angle),
      z: to.far * Math.sin(to.rise)};
    camera = {...structuredClone(camera), eye};
    look(drawn());
  }

  document.querySelectorAll("[data-camera]").forEach(button => button.addEventListener("click", () => {
    const turn = turns[button.dataset.camera];
    if (turn) {
      move(turn);
      return;
    }
    leader = null;
    camera = structuredClone(home);
    look(drawn());
  }));

  // The wheel is the page's, and reaches no surface; with a key held it comes nearer.
  plots.forEach(plot => plot.addEventListener("wheel", event => {
    event.stopPropagation();
    if (!(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    move(at => ({...at, far: Math.min(Math.max(at.far * NEARER ** event.deltaY, .5), 6)}));
  }, {capture: true, passive: false}));

  function savePlot(number, what, format) {
    const panel = panels[number], look = view(), {data, layout} = (what === "map" ? map : relief)(panel, look, PAPER);
    const bar = {title: {text: look.label.replace(/&/g, "&amp;").replace(/</g, "&lt;"), side: "right", font: {color: PAPER.ink}},
      tickvals: look.ticks, ticktext: look.texts, thickness: 14, len: .8, outlinewidth: 0, tickfont: {color: PAPER.ink}};
    const figure = {data: [{...data[0], showscale: true, colorbar: bar}, ...data.slice(1)],
      layout: {...layout, paper_bgcolor: "#ffffff", plot_bgcolor: "#ffffff"}};
    const name = fileName(panel.title, look.value, what);
    Plotly.toImage(figure, {format, width: 720, height: 540, scale: DENSER, imageDataOnly: true}).then(image => {
      if (format === "svg") saveAs(`${name}.svg`, image, "image/svg+xml");
      else saveAs(`${name}.png`, Uint8Array.from(atob(image), letter => letter.charCodeAt(0)), "image/png");
    });
  }

  function saveNumbers(number) {
    const {alphas, betas, read, title, columns} = panels[number];
    const rows = alphas.flatMap((alpha, at) => betas.map((beta, up) => [alpha, beta, ...read[at][up]]));
    saveAs(fileName(title) + ".csv", csvOf([["alpha", "beta", ...columns], ...rows]), "text/csv");
  }

  figures.forEach((figure, number) => figure.querySelectorAll("[data-save]").forEach(button => button.addEventListener("click", () => {
    const [what, format] = button.dataset.save.split(" ");
    if (what === "csv") saveNumbers(number);
    else savePlot(number, what, format);
  })));

  // On paper, where no picture stands in for them, surfaces are as they are seen, in light colors; a relief as a picture of
  // itself, since what WebGL draws is gone by then.
  const onPaper = act => { if (!document.querySelector(".still")) plots.forEach((_, number) => { if (maps[number].data) act(number); }); };
  addEventListener("beforeprint", () => onPaper(number => {
    draw(number, PAPER);
    if (plots[number].data) {
      const url = plots[number]._fullLayout.scene._scene.toImage("png");
      plots[number].after(element("img", undefined, {className: "printed", src: url, alt: plots[number].ariaLabel}));
    }
    maps[number].querySelectorAll(".main-svg").forEach(svg => {
      svg.setAttribute("viewBox", `0 0 ${svg.getAttribute("width")} ${svg.getAttribute("height")}`);
    });
  }));
  addEventListener("afterprint", () => onPaper(number => {
    figures[number].querySelectorAll(".printed").forEach(image => image.remove());
    maps[number].querySelectorAll(".main-svg").forEach(svg => svg.removeAttribute("viewBox"));
    draw(number);
  }));

  // In a report of every network one; the others are a click away.
  const firsts = panels.flatMap((panel, number) => panel.first ? [number] : []).slice(0, MOST_SURFACES);
  shown.forEach((input, number) => {
    input.checked = firsts.includes(number);
    input.addEventListener("change", arrange);
  });
  const fit = new ResizeObserver(entries => entries.forEach(({target}) => {
    if (target.data && target.clientWidth) Plotly.Plots.resize(target);
  }));
  [...plots, ...maps].forEach(plot => fit.observe(plot));
  restyled.push(() => maps.forEach((one, number) => { if (one.data) draw(number); }));
  change();
}

document.documentElement.classList.toggle("no-webgl", !RELIEFS);
startSurfaces(content.landscapes);
