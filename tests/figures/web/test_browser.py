"""The interactive page in a real browser: what is seen when hovering and clicking, and that nothing else happens."""

import base64
import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from gradscape.figures import interactive_animation, interactive_surface
from tests.chromium import chromium
from tests.figures.results import bowl, bowl_error, make_surface
from tests.figures.trajectories import make_path

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

ALPHAS, BETAS = np.arange(7.0), np.arange(4.0)
EVIL = "<img src=x onerror=document.title='hacked'></script><script>document.title='hacked'</script>"
# Keeps the last point hovered, on the relief or on the map.
LISTEN = """
document.querySelectorAll(".plot, .map").forEach(plot => {
  plot.on("plotly_hover", event => { window.point = event.points[0]; });
  plot.on("plotly_unhover", () => { window.point = null; });
});
"""
READ = """
const text = document.querySelector(arguments[0] + " .hovertext");
return window.point && text ? [window.point.x, window.point.y, window.point.z, text.textContent] : null;
"""
EYE = "return document.querySelector('.plot')._fullLayout.scene.camera.eye.x"


def loss(alpha: Any, beta: Any) -> Any:
    """A slope that faces the camera, with another height at each point."""
    return 8.0 - alpha + 0.125 * beta


def error(alpha: Any, beta: Any) -> Any:
    return 0.01 * (1 + alpha + 10 * beta)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium with the page of a named attack on a grid of 7 alphas and 4 betas, drawn."""
    folder = tmp_path_factory.mktemp("browser")
    alphas, betas = np.meshgrid(ALPHAS, BETAS)
    surface = make_surface(loss(alphas, betas), error(alphas, betas), alphas=ALPHAS, betas=BETAS, model=EVIL)
    surface.blocks.m2[0, 2, 5] = 400 * surface.loss[2, 5] ** 2 * 200
    page = folder / "page.html"
    page.write_text(interactive_surface(surface), encoding="utf-8")
    with chromium(folder / "profile", window=(800, 700)) as driver:
        driver.get("about:blank")
        driver.get_log("performance")
        driver.get(page.as_uri())
        until(driver, "return document.querySelectorAll('.plot canvas').length && document.readyState=='complete'")
        driver.execute_script(LISTEN)
        yield driver


def until(browser: Any, script: str) -> Any:
    """What the script returns, as soon as that is something."""
    return WebDriverWait(browser, 10, 0.05).until(lambda driver: driver.execute_script(script))


def choose(browser: Any, name: str, value: str) -> dict[str, Any]:
    """Click what stands for a switch, and return what is drawn."""
    switch = browser.find_element(By.CSS_SELECTOR, f"input[name={name}][value={value}]")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", switch)
    switch.click()
    script = """
        const [relief, map] = [".plot", ".map"].map(name => document.querySelector(name));
        const scale = document.getElementById("landscape-scale"), ticks = [...scale.querySelectorAll(".ticks span")];
        return {relief: relief.data[0].z, map: map.data[0].z, range: relief.layout.scene.zaxis.range,
                title: scale.querySelector(".name").textContent, texts: ticks.map(tick => tick.textContent)};
    """
    return dict(browser.execute_script(script))


def wheel(browser: Any, **held: int) -> None:
    """Turn the wheel above the middle of the relief."""
    box = browser.execute_script("return document.querySelector('.plot').getBoundingClientRect().toJSON()")
    at = {"x": box["left"] + box["width"] / 2, "y": box["top"] + box["height"] / 2}
    browser.execute_cdp_cmd(
        "Input.dispatchMouseEvent", {"type": "mouseWheel", **at, "deltaX": 0, "deltaY": 120, **held}
    )


def hovered(browser: Any, place: str, across: np.ndarray, down: np.ndarray) -> dict[tuple[float, float], Any]:
    """What is read off under the mouse, at these shares of a drawing: by alpha and beta the height and the text."""
    box = browser.execute_script(f"return document.querySelector('{place}').getBoundingClientRect().toJSON()")
    seen = {}
    for share in across:
        for fall in down:
            x, y = box["left"] + share * box["width"], box["top"] + fall * box["height"]
            browser.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})
            browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
            if found := browser.execute_script(READ, place):
                seen[tuple(found[:2])] = found[2:]
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("place", [".plot", ".map"])
def test_hovering_names_the_point_under_the_mouse(browser: Any, place: str) -> None:
    choose(browser, "scale", "raw")
    seen = hovered(browser, place, np.linspace(0.15, 0.9, 13), np.linspace(0.2, 0.8, 9))
    assert len({alpha for alpha, _ in seen}) >= 5
    assert len({beta for _, beta in seen}) >= 3
    for (alpha, beta), (height, text) in seen.items():
        value = loss(alpha, beta)
        assert height == pytest.approx(value)
        unsure = (alpha, beta) == (5, 2)
        start = f"alpha {alpha:g}beta {beta:g}loss {value:.4g} ± "
        assert text.startswith(start)
        assert text.endswith(f"{' (unreliable)' if unsure else ''}error {100 * error(alpha, beta):g} %")
        if not unsure:
            assert float(text.removeprefix(start).split("error")[0]) == pytest.approx(0.02 * value, rel=0.05)


@pytest.mark.slow
def test_switches_change_relief_and_map_alike(browser: Any) -> None:
    alphas, betas = np.meshgrid(ALPHAS, BETAS)
    for name, values in (("loss", loss(alphas, betas)), ("error", 100 * error(alphas, betas))):
        choose(browser, "scale", "raw")
        look = choose(browser, "value", name)
        np.testing.assert_allclose(look["relief"], values, rtol=1e-4)
        scaled = choose(browser, "scale", "minmax")
        assert (np.min(scaled["relief"]), np.max(scaled["relief"])) == (0, 1)
        assert scaled["range"][1] == 1
        logarithmic = choose(browser, "scale", "log")
        np.testing.assert_allclose(logarithmic["relief"], np.log10(values), rtol=1e-3, atol=1e-4)
        assert "log scale" in logarithmic["title"]
        assert logarithmic["texts"]
        for one in (look, scaled, logarithmic):
            assert one["map"] == one["relief"]
    choose(browser, "value", "loss")


def test_the_wheel_scrolls_the_page_and_comes_nearer_only_with_a_key_held(browser: Any) -> None:
    size = {"width": 800, "height": 300, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.execute_script("document.querySelector('.plot').scrollIntoView({block: 'center', behavior: 'instant'})")
        eye, scrolled = browser.execute_script(EYE), browser.execute_script("return scrollY")
        wheel(browser)
        until(browser, f"return scrollY > {scrolled}")
        assert browser.execute_script(EYE) == eye
        browser.execute_script("document.querySelector('.plot').scrollIntoView({block: 'center', behavior: 'instant'})")
        scrolled = browser.execute_script("return scrollY")
        wheel(browser, modifiers=2)  # Ctrl
        until(browser, f"{EYE} > {eye}")
        assert browser.execute_script("return scrollY") == scrolled
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_script("document.querySelector('[data-camera=reset]').click(); scrollTo(0, 0)")


@pytest.mark.slow
def test_what_is_saved_is_a_table_of_every_point_and_pictures_for_paper(browser: Any, tmp_path: Path) -> None:
    choose(browser, "scale", "raw")
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    for button in browser.find_elements(By.CSS_SELECTOR, "[data-save]"):
        browser.execute_script("arguments[0].click()", button)
    files = WebDriverWait(browser, 10, 0.05).until(
        lambda _: len(found := [path for path in tmp_path.iterdir() if path.suffix != ".crdownload"]) == 5 and found
    )
    (table,) = [path for path in files if path.suffix == ".csv"]
    names, *lines = csv.reader(table.read_text().splitlines())
    assert names == ["alpha", "beta", "loss", "standard error of loss", "error (%)"]
    rows = np.array(lines, dtype=float)
    assert len(rows) == ALPHAS.size * BETAS.size
    np.testing.assert_allclose(rows[:, 2], loss(rows[:, 0], rows[:, 1]), rtol=1e-3)
    np.testing.assert_allclose(rows[:, 4], 100 * error(rows[:, 0], rows[:, 1]), rtol=1e-3)
    for what in ("relief", "map"):
        (picture,) = [path for path in files if path.name.endswith(f"loss_{what}.png")]
        with Image.open(picture) as image:
            assert image.size == (2160, 1620)
            assert image.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
        (drawing,) = [path for path in files if path.name.endswith(f"loss_{what}.svg")]
        assert ElementTree.parse(drawing).getroot().tag.endswith("svg")


@pytest.mark.slow
def test_colors_are_those_of_the_system(browser: Any) -> None:
    paper = "return getComputedStyle(document.body).backgroundColor"
    seen = {}
    for scheme in ("dark", "light"):
        features = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
        until(
            browser, "return document.querySelector('.plot').layout.scene.xaxis.title.font.color == pageColor('--ink')"
        )
        seen[scheme] = sum(map(int, re.findall(r"\d+", browser.execute_script(paper))))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert seen["dark"] < 150 < 600 < seen["light"]


@pytest.mark.slow
def test_on_paper_a_relief_is_a_picture_of_itself_and_a_map_as_large_as_its_place(browser: Any) -> None:
    printed = browser.execute_script("""
        dispatchEvent(new Event("beforeprint"));
        const image = document.querySelector(".plot + img.printed"), drawing = document.querySelector(".map .main-svg");
        const seen = [image.src, drawing.hasAttribute("viewBox")];
        dispatchEvent(new Event("afterprint"));
        return seen;
    """)
    picture = Image.open(io.BytesIO(base64.b64decode(printed[0].removeprefix("data:image/png;base64,"))))
    assert len(set(picture.convert("RGB").get_flattened_data())) > 50
    assert printed[1]
    assert browser.find_elements(By.CSS_SELECTOR, ".printed, .map [viewBox]") == []


def test_names_stay_text(browser: Any) -> None:
    assert browser.title == EVIL
    assert browser.find_element(By.TAG_NAME, "h1").text == EVIL
    assert EVIL in browser.find_element(By.ID, "caption").text
    assert browser.find_elements(By.CSS_SELECTOR, "img[src=x], [onerror]") == []


def test_the_page_fits_into_a_narrow_window(browser: Any) -> None:
    size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        until(browser, "return document.querySelector('.plot')._fullLayout.width <= 390")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
        relief, drawn = (browser.find_element(By.CSS_SELECTOR, name) for name in (".plot", ".map"))
        assert drawn.location["y"] >= relief.location["y"] + relief.size["height"]  # below, not beside
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_page_asks_for_nothing_and_complains_of_nothing(browser: Any) -> None:
    assert browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)") == []
    assert browser.find_elements(By.CSS_SELECTOR, ".modebar-btn") == []  # one of them would upload the data
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]
    own = browser.current_url
    assert [url for url in asked if url != own and not url.startswith(("data:", "blob:", "chrome:"))] == []
    assert own in asked
    # Chromium's advice about speed comes as warnings.
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.slow
def test_several_surfaces_are_all_drawn_at_first_each_value_on_its_own_scale(browser: Any, tmp_path: Path) -> None:
    surfaces = [make_surface(bowl(steepness), bowl_error()) for steepness in (100.0, 200.0)]
    page = tmp_path / "several.html"
    page.write_text(interactive_surface(surfaces, titles=["one", "two"]), encoding="utf-8")
    browser.get(page.as_uri())
    drawn = "[...document.querySelectorAll('.plot, .map')].filter(one => one.data && one.clientWidth)"
    until(browser, f"return {drawn}.length == 4")
    scale = "return document.querySelector('input[name=scale]:checked').value"
    assert browser.execute_script(scale) == "log"
    browser.find_element(By.CSS_SELECTOR, "input[value=error]").click()
    assert browser.execute_script(scale) == "raw"
    browser.find_element(By.CSS_SELECTOR, "input[value=minmax]").click()
    browser.find_element(By.CSS_SELECTOR, "input[value=loss]").click()
    assert browser.execute_script(scale) == "minmax"


@pytest.mark.slow
def test_surfaces_are_taken_away_and_shown_again_also_while_they_are_drawn(browser: Any, tmp_path: Path) -> None:
    titles = ["one", "two", "three"]
    page = tmp_path / "several.html"
    page.write_text(interactive_surface([make_surface(bowl(), bowl_error())] * 3, titles=titles), encoding="utf-8")
    browser.get(page.as_uri())
    drawn = "[...document.querySelectorAll('.plot, .map')].filter(one => one.data)"
    until(browser, f"return {drawn}.length == 6")
    switch = "[...document.querySelectorAll('input[name=shown]')].slice(1).forEach(input => input.click())"
    browser.get_log("browser")
    browser.execute_script(switch)
    until(browser, f"return {drawn}.length == 2")
    browser.execute_script(f"{switch}; {switch}; {switch}")
    until(browser, f"return {drawn}.length == 6 && {drawn}.every(one => one.clientWidth)")
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.slow
def test_networks_are_drawn_on_map_and_relief_and_named(browser: Any, tmp_path: Path) -> None:
    page = tmp_path / "networks.html"
    entry = {**make_path().to_entry(), "name": EVIL}
    page.write_text(interactive_surface(make_surface(bowl(), bowl_error(), trajectories=[entry])), encoding="utf-8")
    browser.get(page.as_uri())
    until(
        browser,
        "return document.querySelectorAll('.plot canvas').length && document.querySelectorAll('.map svg').length",
    )
    traces = "return document.querySelector(arguments[0]).data.slice(1).map(one => [one.mode, one.x.length])"
    flat, solid = (browser.execute_script(traces, place) for place in (".map", ".plot"))
    assert [mode for mode, _ in flat] == ["lines", "lines", "markers+text"]
    assert [mode for mode, _ in solid] == ["lines", "lines", "markers"]
    assert flat[2][1] == solid[2][1] == 4
    named = "return document.querySelector('.plot').layout.scene.annotations.map(one => one.text)"
    assert browser.execute_script(named) == ["epoch 0", "1", "2", "epoch 3"]
    assert browser.title != "hacked"


@pytest.mark.slow
def test_a_slider_shows_one_frame_after_the_other(browser: Any, tmp_path: Path) -> None:
    page = tmp_path / "frames.html"
    frames = [make_surface(bowl(steepness), trajectories=[make_path().to_entry()]) for steepness in (1.0, 2.0, 4.0)]
    page.write_text(interactive_animation(frames, titles=["a", EVIL, "c"], title="run"), encoding="utf-8")
    browser.get(page.as_uri())
    highest = "return Math.max(...document.querySelector('.map').data[0].z.flat())"
    until(browser, "const map = document.querySelector('.map'); return map && map.data && map.data.length")
    assert browser.execute_script(highest) == pytest.approx(bowl(4).max(), rel=1e-4)
    for number, steepness in ((0, 1.0), (1, 2.0)):
        browser.execute_script(
            "const slider = document.getElementById('frame'); slider.value = arguments[0]; "
            "slider.dispatchEvent(new Event('input'));",
            number,
        )
        assert browser.execute_script(highest) == pytest.approx(bowl(steepness).max(), rel=1e-4)
    assert browser.find_element(By.ID, "frame-name").text == EVIL
    browser.find_element(By.ID, "play").click()
    until(browser, "return document.getElementById('frame-name').textContent == 'a'")
    browser.find_element(By.ID, "play").click()
    assert browser.find_element(By.ID, "play").text == "play"
    assert browser.title == "run"
