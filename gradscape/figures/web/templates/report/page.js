const content = JSON.parse(document.getElementById("data").textContent);

function element(kind, text, properties = {}) {
  const made = document.createElement(kind);
  if (text !== undefined) made.textContent = text;
  return Object.assign(made, properties);
}

// Called with the chosen value of a group of radio buttons, now and whenever it changes.
function onChoice(name, act) {
  const inputs = [...document.querySelectorAll(`input[name="${name}"]`)];
  inputs.forEach(input => input.addEventListener("change", () => act(input.value)));
  return () => (inputs.find(input => input.checked) || {}).value;
}

const restyled = [];
const chosenTheme = onChoice("theme", value => {
  if (value === "light dark") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = value;
  restyled.forEach(act => act());
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => restyled.forEach(act => act()));

// What a color of the page is at this moment.
function pageColor(name) {
  const probe = document.body.appendChild(element("span"));
  probe.style.color = `var(${name})`;
  const color = getComputedStyle(probe).color;
  probe.remove();
  return color;
}

// Where the reader is, in the table of contents.
const places = new Map([...document.querySelectorAll("nav a")].map(link => [document.getElementById(link.hash.slice(1)), link]));
const inView = new Set();
const watch = new IntersectionObserver(entries => {
  entries.forEach(({target, isIntersecting}) => inView[isIntersecting ? "add" : "delete"](target));
  const here = [...places.keys()].find(section => inView.has(section));
  if (here) places.forEach((link, section) => link.toggleAttribute("aria-current", section === here));
  const link = here && places.get(here), list = link && link.closest("ol");
  if (list && list.scrollWidth > list.clientWidth) list.scrollTo({left: link.offsetLeft - list.clientWidth / 3});
}, {rootMargin: "-15% 0px -70% 0px"});
places.forEach((_, section) => watch.observe(section));

let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open], .optional)")];
  closed.forEach(one => { one.open = true; });
});
addEventListener("afterprint", () => closed.forEach(one => { one.open = false; }));
