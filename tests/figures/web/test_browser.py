"""The interactive page in a real browser: what is seen when hovering and clicking, and that nothing else happens."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from gradscape.figures import interactive_surface
from tests.chromium import chromium
from tests.figures.results import make_surface

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

ALPHAS, BETAS = np.arange(7.0), np.arange(4.0)
EVIL = "<img src=x onerror=document.title='hacked'></script><script>document.title='hacked'</script>"
# Counts redraws, and keeps the last point hovered.
LISTEN = """
const plot = document.getElementById("landscape");
window.drawn = 0;
plot.on("plotly_afterplot", () => window.drawn++);
plot.on("plotly_hover", event => window.point = event.points[0]);
plot.on("plotly_unhover", () => window.point = null);
"""
READ = """
const text = document.querySelector("#landscape .hovertext");
return window.point && text ? [window.point.x, window.point.y, window.point.z, text.textContent] : null;
"""


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
        until(driver, "return document.querySelectorAll('#landscape canvas').length && document.readyState=='complete'")
        driver.execute_script(LISTEN)
        yield driver


def until(browser: Any, script: str) -> Any:
    """What the script returns, as soon as that is something."""
    return WebDriverWait(browser, 10, 0.05).until(lambda driver: driver.execute_script(script))


def press(browser: Any, label: str) -> dict[str, Any]:
    """Press a button, wait until it is drawn, and return the layout as plotly completed it."""
    before = browser.execute_script("return window.drawn")
    (button,) = [found for found in browser.find_elements(By.TAG_NAME, "button") if found.text == label]
    button.click()
    until(browser, f"return window.drawn > {before}")
    assert button.get_attribute("aria-pressed") == "true"
    assert len(browser.find_elements(By.CSS_SELECTOR, "button[aria-pressed=true]")) == 1
    script = """
        const plot = document.getElementById("landscape"), full = plot._fullLayout;
        return {heights: plot.data[0].z, title: full.coloraxis.colorbar.title.text, range: full.scene.zaxis.range,
                mode: full.scene.zaxis.tickmode, texts: full.scene.zaxis.ticktext,
                shown: Array.from(document.querySelectorAll(".colorbar text"), e => e.textContent)};
    """
    return dict(browser.execute_script(script))


def test_hovering_names_the_point_under_the_mouse(browser: Any) -> None:
    press(browser, "loss")
    box = browser.execute_script("const b=document.querySelector('#scene').getBoundingClientRect(); return b.toJSON()")
    seen = {}
    for across in np.linspace(0.2, 0.8, 13):
        for down in np.linspace(0.3, 0.7, 9):
            x, y = box["left"] + across * box["width"], box["top"] + down * box["height"]
            browser.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})
            browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
            if hovered := browser.execute_script(READ):
                seen[tuple(hovered[:2])] = hovered[2:]
    assert len({alpha for alpha, _ in seen}) >= 5
    assert len({beta for _, beta in seen}) >= 3
    assert (5, 2) in seen
    for (alpha, beta), (height, text) in seen.items():
        value = loss(alpha, beta)
        assert height == pytest.approx(value)
        unsure = (alpha, beta) == (5, 2)
        start = f"alpha {alpha:g}beta {beta:g}loss {value:.4g} ± "
        assert text.startswith(start)
        assert text.endswith(f"{' (unreliable)' if unsure else ''}error {100 * error(alpha, beta):g} %")
        if not unsure:
            assert float(text.removeprefix(start).split("error")[0]) == pytest.approx(0.02 * value, rel=0.05)


def test_buttons_change_what_is_drawn(browser: Any) -> None:
    alphas, betas = np.meshgrid(ALPHAS, BETAS)
    for name, values in (("loss", loss(alphas, betas)), ("error", 100 * error(alphas, betas))):
        look = press(browser, name)
        np.testing.assert_allclose(look["heights"], values, rtol=1e-4)
        assert look["mode"] == "auto"
        scaled = press(browser, f"{name}, min-max")
        assert (np.min(scaled["heights"]), np.max(scaled["heights"])) == (0, 1)
        assert scaled["range"][1] == 1
        logarithmic = press(browser, f"{name}, log")
        np.testing.assert_allclose(logarithmic["heights"], np.log10(values), rtol=1e-3, atol=1e-4)
        assert logarithmic["mode"] == "array"
        assert "log scale" in logarithmic["title"]
        assert set(logarithmic["texts"]) <= set(logarithmic["shown"])
        assert press(browser, name)["mode"] == "auto"


def test_names_stay_text(browser: Any) -> None:
    assert browser.title == EVIL
    assert EVIL in browser.find_element(By.TAG_NAME, "p").text
    assert [found.text for found in browser.find_elements(By.CSS_SELECTOR, "#landscape .annotation-text")] == [EVIL]
    assert browser.find_elements(By.CSS_SELECTOR, "img[src=x], [onerror]") == []


def test_the_page_fits_into_a_narrow_window(browser: Any) -> None:
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        until(browser, "return document.getElementById('landscape')._fullLayout.width <= 400")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
        below = browser.find_element(By.TAG_NAME, "p").location["y"]
        assert below >= browser.execute_script("return document.querySelector('.svg-container').offsetHeight")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_page_asks_for_nothing_and_complains_of_nothing(browser: Any) -> None:
    assert browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)") == []
    titles = browser.execute_script(
        "return Array.from(document.querySelectorAll('.modebar-btn'), e => e.dataset.title)"
    )
    assert titles
    assert not [title for title in titles if "Share" in title or "Cloud" in title]
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]
    own = browser.current_url
    assert [url for url in asked if url != own and not url.startswith(("data:", "blob:", "chrome:"))] == []
    assert own in asked
    # Chromium's advice about speed comes as warnings.
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
