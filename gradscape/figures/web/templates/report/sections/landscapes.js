// A browser gives a page about sixteen of these contexts; each surface takes one.
const MOST_SURFACES = 8, RESTED = 20 /* frames */, START = {eye: {x: 1.15, y: -1.4, z: .9}, center: {x: 0, y: 0, z: -.16}, up: {x: 0, y: 0, z: 1}};

function startSurfaces({panels, views, config}) {
  const figures = panels.map((_, number) => document.querySelector(`[data-surface="${number}"]`));
  const plots = figures.map(figure => figure.querySelector(".plot"));
  const choices = ["value", "scale"].map(name => onChoice(name, () => change()));
  const shown = [...document.querySelectorAll("input[name=shown]")];
  let camera = structuredClone(START), leader = null;
  // How many turns of each surface are not done yet. It tells of each afterwards, when the camera may be elsewhere already.
  const following = new Map();
  const view = () => views[choices.map(choice => choice()).join(" ")];
  const drawn = () => plots.filter(plot => plot.data);

  function scene(panel, look) {
    const ink = pageColor("--ink"), soft = pageColor("--soft"), rule = pageColor("--rule");
    const [wide, deep] = [panel.alphas, panel.betas].map(axis => Math.abs(axis[axis.length - 1] - axis[0]));
    const ratio = Math.min(Math.max(deep / wide, .5), 2);
    const axis = {showbackground: false, gridcolor: rule, zerolinecolor: rule, linecolor: soft, color: soft,
      tickfont: {size: 11, color: soft}, nticks: 5, showspikes: false};
    const name = text => ({text, font: {size: 12, color: ink}});
    return {
      xaxis: {...axis, title: name("alpha")}, yaxis: {...axis, title: name("beta")},
      zaxis: {...axis, title: {text: ""}, tickmode: "array", tickvals: look.ticks, ticktext: look.texts,
        range: [look.low - .02 * (look.high - look.low), look.high]},
      aspectmode: "manual", aspectratio: {x: Math.min(1, 1 / ratio), y: Math.min(1, ratio), z: .68}, camera,
    };
  }

  function draw(number) {
    const panel = panels[number], look = view(), plot = plots[number];
    plot.setAttribute("aria-label", `${look.label} of ${panel.title} over alpha and beta, a surface to turn`);
    const trace = {
      type: "surface", x: panel.alphas, y: panel.betas, z: panel.heights[choices.map(choice => choice()).join(" ")],
      customdata: panel.read, text: panel.unsure, hovertemplate: panel.template, colorscale: look.colors, cmin: look.low,
      cmax: look.high, showscale: false, contours: Object.fromEntries(["x", "y", "z"].map(
        axis => [axis, {highlight: true, highlightwidth: 1}])),
      lighting: {ambient: .75, diffuse: .5, specular: .05, roughness: .9},
    };
    const family = getComputedStyle(document.querySelector("nav")).fontFamily;
    const layout = {
      margin: {l: 0, r: 0, t: 0, b: 0}, paper_bgcolor: "rgba(0,0,0,0)", font: {family}, scene: scene(panel, look),
      hoverlabel: {bgcolor: pageColor("--plate"), bordercolor: pageColor("--firm"), font: {color: pageColor("--ink"), family}},
    };
    const fresh = !plot.data;
    Plotly.react(plot, [trace], layout, config);
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
      made.style.left = 100 * (tick - low) / (high - low) + "%";
      return made;
    }));
    place.querySelector(".name").textContent = label;
  }

  function change() {
    const value = choices[0]();
    document.querySelectorAll("input[name=value], input[name=scale]").forEach(input => {
      const key = input.name === "value" ? input.value + " raw" : value + " " + input.value;
      input.disabled = !(key in views);
    });
    if (!view()) document.querySelector('input[name=scale][value="raw"]').checked = true;
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
      else if (plots[number].data) Plotly.purge(plots[number]);
    });
  }

  const turns = {
    left: at => ({...at, angle: at.angle - Math.PI / 12}), right: at => ({...at, angle: at.angle + Math.PI / 12}),
    up: at => ({...at, rise: Math.min(at.rise + Math.PI / 18, 1.55)}), down: at => ({...at, rise: Math.max(at.rise - Math.PI / 18, -.3)}),
    nearer: at => ({...at, far: Math.max(at.far / 1.2, .5)}), farther: at => ({...at, far: Math.min(at.far * 1.2, 6)}),
    above: at => ({...at, angle: -Math.PI / 2, rise: 1.57}), reset: null,
  };
  document.querySelectorAll("[data-camera]").forEach(button => button.addEventListener("click", () => {
    const turn = turns[button.dataset.camera];
    leader = null;
    if (turn) {
      const {x, y, z} = camera.eye, far = Math.hypot(x, y, z);
      const to = turn({angle: Math.atan2(y, x), rise: Math.asin(z / far), far});
      const eye = {x: to.far * Math.cos(to.rise) * Math.cos(to.angle), y: to.far * Math.cos(to.rise) * Math.sin(to.angle),
        z: to.far * Math.sin(to.rise)};
      camera = {...structuredClone(camera), eye};
    } else {
      camera = structuredClone(START);
    }
    look(drawn());
  }));

  // Of every network one, the first; the others are a click away.
  const firsts = panels.flatMap((panel, number) => panel.first ? [number] : []).slice(0, MOST_SURFACES);
  shown.forEach((input, number) => {
    input.checked = firsts.includes(number);
    input.addEventListener("change", arrange);
  });
  const fit = new ResizeObserver(entries => entries.forEach(({target}) => {
    if (target.data && target.clientWidth) Plotly.Plots.resize(target);
  }));
  plots.forEach(plot => fit.observe(plot));
  restyled.push(() => drawn().forEach(plot => draw(plots.indexOf(plot))));
  change();
}

if (document.createElement("canvas").getContext("webgl")) startSurfaces(content.landscapes);
else document.documentElement.classList.add("no-webgl");
