"""Pages of every kind whose every name is an attack: nothing runs, nothing is asked for, and names stay text."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, final

import numpy as np
import pytest

from gradscape._names import one_line, visible
from gradscape.explain.attention_map import AttentionMap, save_attention_maps
from gradscape.explain.fusion_map import FusionMaps
from gradscape.explain.heatmap import Heatmaps
from gradscape.figures import WebPage, interactive_embedding, interactive_surface
from gradscape.figures.web import live_page, notebook_html, page_policy
from gradscape.landscape import Field
from gradscape.studies.report import write_report
from tests.chromium import chromium
from tests.figures.charts.test_embedding import make_embedding
from tests.figures.results import ALPHAS, BETAS, bowl, make_line, make_surface, unevaluated

HOSTILE = (
    "</script><script>attacked('script')</script>",
    "\"><img src=x onerror=attacked('image')>",
    "'--></style><svg onload=attacked('drawing')><!--",
    "{{7*7}}{% raw %}${attacked('template')}",
    "javascript:attacked('link')",
    "<a href='https://attack.example/'>a link</a><br>",
    "url(https://attack.example/x.png)]]>",
    "\u202egpj.exe \x1b[31mred\x07 a\x00b",
    "one\u2028two",
    r"$x^2$ $\frac$ \input{/etc/passwd}",
    "%s %{x} &#37; &lt;b&gt;",
    "__proto__",
    "constructor",
    "=cmd()|' /C calc'!A0",
)
HALVES = "half \ud83d and byte \udcff"  # which files do not keep, but a command line and a folder have
EVIL = " ".join(HOSTILE)
SEEN = [one_line(text) for text in HOSTILE]
# Before anything of a page runs.
WATCH = """
window.attacks = [];
window.saved = 0;
const click = HTMLAnchorElement.prototype.click;
HTMLAnchorElement.prototype.click = function () {
  saved += this.href.startsWith("blob:") && this.download !== "";
  click.call(this);
};
window.attacked = name => { attacks.push(name); };
document.addEventListener("securitypolicyviolation", event => {
  attacks.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`);
});
"""
# All that a reader can come across: text, also of closed parts, but for what scripts read.
TEXT = """
const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT), found = [];
while (walker.nextNode()) {
  const text = walker.currentNode;
  if (!text.parentElement.closest("script, style")) found.push(text.data);
}
return found.join("").replace(/\\u200b/g, "");
"""
HOVER = """
const map = document.querySelector(".map");
if (!map.querySelector(".hovertext")) Plotly.Fx.hover(map, {xval: 0, yval: 0});
return (map.querySelector(".hovertext") || {}).textContent;
"""
DRAWN = """
const plots = [...document.querySelectorAll(".plot")];
return document.readyState == "complete" && plots.every(one => one.data || !one.clientWidth);
"""


def save_all_kinds(folder: Path) -> None:
    """A result of each kind that the report shows."""
    count = len(HOSTILE)
    about: dict[str, Any] = {"model": EVIL, "weights": EVIL, "data": EVIL, "split": EVIL, "image_names": HOSTILE}
    make_surface(**about, loss=EVIL).save(folder / "surface.h5")
    make_line(bowl()[2], bowl()[2] / 100, ALPHAS, **about).save(folder / "line.h5")
    random = np.random.default_rng(0)
    Heatmaps(
        raw=random.normal(size=(count, 3, 5)).astype(np.float32),
        image_size=(12, 20),
        method=EVIL,
        target_layer=EVIL,
        class_index=np.arange(count),
        score=np.ones(count, np.float32),
        probability=np.full(count, 0.5, np.float32),
        meta={**about, "class_names": {str(number): name for number, name in enumerate(HOSTILE)}},
    ).save(folder / "cam" / "net" / "one.npz")
    values = random.random((count, 3, 4, 5), dtype=np.float32)
    maps = {
        "one": AttentionMap(EVIL, EVIL, "mask", values),
        "two": AttentionMap(EVIL, EVIL, "channel", values[:, :, 0, 0]),
        "three": AttentionMap(EVIL, EVIL, "scale weights", values[0, 0, 0, :3]),
        "four": AttentionMap(EVIL, EVIL, "batch weights", values[:, 0, 0, 0]),
    }
    save_attention_maps(folder / "attention.npz", maps, about)
    FusionMaps(values, values, values, EVIL, (EVIL, EVIL, EVIL), {**about, "formula": EVIL}).save(folder / "fusion.npz")
    replace(make_embedding(classes=count), classes=HOSTILE, meta=about).save(folder / "embedding.npz")
    (folder / "metrics.csv").write_text("epoch,test_accuracy,train_loss\n1,0.5,1e999\n2,0.5,1.0\n")
    (folder / f"{EVIL[:200].replace('/', '').replace(chr(0), '')}.npz").write_bytes(b"nonsense")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """By their kinds, with attacks for names."""
    folder = tmp_path_factory.mktemp("hostile")
    save_all_kinds(folder / "results")
    titles = [f"{EVIL} {HALVES}", "other"]
    surface = make_surface(model=EVIL, loss=EVIL, data=EVIL)
    field = Field(name=EVIL, alphas=ALPHAS, betas=BETAS, values=bowl(), label=EVIL, short=EVIL, unit=EVIL)
    embedding = replace(make_embedding(classes=len(HOSTILE)), classes=HOSTILE, meta={"model": EVIL, "data": EVIL})
    thumbnails = np.full((len(embedding.points), 8, 8, 3), 128, np.uint8)
    framed = interactive_embedding([embedding], titles=titles[:1])._repr_html_()
    made = {
        "surfaces": interactive_surface([field, field], titles=titles),
        "embeddings": interactive_embedding([embedding, embedding], titles=titles, thumbnails=thumbnails),
        "live": live_page(unevaluated(surface, 2), b"", title=titles[0], running=True),
        "stopped": live_page(surface, b"", title=titles[0], running=False),
        "notebook": f"<!doctype html><meta charset=utf-8>{notebook_html(surface)}{embedding._repr_html_()}{framed}",
    }
    for kind, text in made.items():
        WebPage(text).save(folder / f"{kind}.html")
    report = write_report([folder / "results"], folder / "report.html", command=f"{EVIL} {HALVES}")
    return {"report": report, **{kind: folder / f"{kind}.html" for kind in made}}


# What a page draws, and how much of it.
DRAWINGS = {
    "report": (".cards canvas", len(HOSTILE)),
    "surfaces": (".plot svg.main-svg", 6),
    "embeddings": ("#panels canvas", 2),
    "live": ("img", 1),
    "stopped": ("img", 1),
    "notebook": ("iframe", 1),
}
KINDS = ("report", "surfaces", "embeddings", "live", "stopped")


@final
class Markup(HTMLParser):
    """What of a page is markup: its elements with their attributes, and texts of elements that browsers read."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


@pytest.mark.parametrize("kind", KINDS)
def test_every_page_allows_what_is_its_own_by_its_digest_and_nothing_else(pages: Mapping[str, Path], kind: str) -> None:
    text = pages[kind].read_text(encoding="utf-8")
    own = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    style = text.partition("<style>")[2].partition("</style>")[0]
    policy = page_policy(style, own, library=len(own) > 1)
    head = text.partition("<script")[0].partition("<style")[0]
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in head
    assert policy.startswith("default-src 'none'; script-src '")
    assert policy.endswith("base-uri 'none'; form-action 'none'")
    assert not re.search(r"unsafe-(inline|eval)|https?:|\*", policy)


@pytest.mark.parametrize("kind", [*KINDS, "notebook"])
def test_names_are_never_markup(pages: Mapping[str, Path], kind: str) -> None:
    text = pages[kind].read_text(encoding="utf-8")
    elements = Markup(text).elements
    assert [tag for tag, _ in elements].count("script") == text.count("</script>") <= 3
    for tag, attributes in elements:
        assert not [name for name in attributes if name.startswith("on")]
        assert kind == "notebook" or "style" not in attributes
        for name in attributes.keys() & {"src", "href"}:
            assert re.match(r"#\w+$|surface\.html$|data:", attributes[name] or ""), (tag, attributes)
    assert not re.search("[\x00-\x08\x0e-\x1f\u2028\u202e]", text.partition("<script>")[0])


def test_without_pictures_heatmaps_are_drawn_alone(pages: Mapping[str, Path]) -> None:
    text = pages["report"].read_text(encoding="utf-8")
    assert re.findall(r'name="heatmaps0-style" value="(\w+)"', text) == ["heatmap"]
    assert "drawn alone" in text.partition('<section id="heatmaps"')[2].partition("</section>")[0]


def test_what_scripts_read_is_json_in_which_names_stay_names(pages: Mapping[str, Path]) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    text = pages["report"].read_text(encoding="utf-8")
    (found,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    content = json.loads(found, parse_constant=refuse)
    assert content["landscapes"]["panels"][0]["title"] == one_line(EVIL)
    assert [without_breaks(name) for name in content["heatmaps"][0]["panels"][0]["classes"]] == SEEN
    assert content["attention"][0]["panels"][0]["rows"][0]["block"] == visible(EVIL)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium that keeps in `attacks` whatever of an attack got as far as being stopped, or farther."""
    folder = tmp_path_factory.mktemp("browser")
    with chromium(folder / "profile", window=(1000, 800)) as driver:
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
        saving = {"behavior": "allow", "downloadPath": str(folder / "downloads")}
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", saving)
        yield driver


@pytest.mark.parametrize("kind", [*KINDS, "notebook"])
@pytest.mark.slow
def test_in_a_browser_nothing_runs_nothing_is_asked_for_and_names_stay_text(
    pages: Mapping[str, Path], opened: Any, kind: str
) -> None:
    from selenium.webdriver.support.wait import WebDriverWait

    opened.get("about:blank")
    for log in ("browser", "performance"):
        opened.get_log(log)
    opened.get(pages[kind].as_uri())
    WebDriverWait(opened, 30, 0.1).until(lambda browser: browser.execute_script(DRAWN))
    buttons = switch_everything(opened)
    WebDriverWait(opened, 60, 0.1).until(lambda browser: browser.execute_script("return saved") == buttons)
    assert opened.execute_script("return attacks") == []
    assert opened.find_elements("css selector", "[onerror], [onload], img[src=x], a[href*=attack], a[href^=java]") == []
    text = without_breaks(opened.execute_script(TEXT))
    for name in SEEN if kind != "notebook" else ():
        assert name in text
    if kind == "surfaces":
        hovered = WebDriverWait(opened, 30, 0.2).until(lambda browser: browser.execute_script(HOVER))
        assert without_breaks(hovered) == f"alpha 0beta 0{one_line(EVIL)} 0.25 {one_line(EVIL)}"
    place, count = DRAWINGS[kind]
    assert len(opened.find_elements("css selector", place)) == count
    assert requests(opened) <= {pages[kind].as_uri()}
    assert [entry for entry in opened.get_log("browser") if entry["level"] == "SEVERE"] == []


def without_breaks(text: str) -> str:
    """The same with single spaces for whatever breaks a line."""
    return " ".join(text.replace("\\u2028", " ").split())


def switch_everything(browser: Any) -> int:
    """Click each switch, then each button that saves what is no surface; return how many of those there are."""
    return int(
        browser.execute_script("""
            document.querySelectorAll("input[type=radio], summary").forEach(one => one.click());
            const savers = [...document.querySelectorAll(".downloads button:not(.landscapes *)")];
            savers.forEach(one => one.click());
            return savers.length;
        """)
    )


def requests(browser: Any) -> set[str]:
    """Addresses that were asked for, but for what lies in a page itself."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    }
    return {url for url in asked if not url.startswith(("data:", "blob:", "chrome:", "about:"))}
