"""The page of a surface that is being evaluated: its files, and what a browser makes of them."""

import base64
import io
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from gradscape.figures.style import SINGLE_COLUMN
from gradscape.figures.surfaces.preview import describe_progress
from gradscape.landscape import Surface, evaluate_surface, random_directions
from gradscape.landscape.engine import rounds, trials
from gradscape.studies.live import LivePage
from tests.chromium import chromium
from tests.figures.results import make_surface, unevaluated

EVIL = "<img src=x onerror=document.title='hacked'>" + "averylongname" * 5


def partial() -> Surface:
    return unevaluated(make_surface(), 2)


def large(evaluated: slice) -> Surface:
    """A noisy bowl, 51 × 51, of which so many rows and columns were evaluated."""
    axis = np.linspace(-1, 1, 51)
    noise = np.random.default_rng(0).uniform(0, 0.2, (51, 51))
    surface = make_surface(4 * axis**2 + axis[:, None] ** 2 + noise, alphas=axis, betas=axis)
    rest = np.ones((51, 51), bool)
    rest[evaluated, evaluated] = False
    surface.blocks.count[:, rest] = surface.blocks.nonfinite[:, rest] = 0
    for values in (surface.blocks.mean, surface.blocks.m2, surface.blocks.right):
        values[:, rest] = np.nan
    return surface


def test_the_page_holds_the_picture_that_lies_beside_it(tmp_path: Path) -> None:
    page = LivePage(tmp_path / "new", "net")
    for write, surface in ((page.show, partial()), (page.finish, make_surface())):
        write(surface)
        assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["live.html", "live.png"]
        picture = (tmp_path / "new" / "live.png").read_bytes()
        text = (tmp_path / "new" / "live.html").read_text(encoding="utf-8")
        (embedded,) = re.findall(r'<img src="data:image/png;base64,([^"]+)"', text)
        assert base64.b64decode(embedded) == picture
        image = Image.open(io.BytesIO(picture)).convert("RGB")
        assert image.width == pytest.approx(SINGLE_COLUMN * 300, abs=1)
        assert len(set(image.get_flattened_data())) > 10
        assert describe_progress(surface) in text


def test_the_page_refreshes_until_it_is_finished(tmp_path: Path) -> None:
    page, file = LivePage(tmp_path, "net"), tmp_path / "live.html"
    page.show(partial())
    assert '<meta http-equiv="refresh" content="2">' in file.read_text()
    page.finish(make_surface())
    assert "refresh" not in file.read_text()
    assert '<a href="surface.html">' in file.read_text()
    assert "complete" in file.read_text()


def test_only_a_page_that_still_changes_tells_when_it_was_drawn(tmp_path: Path) -> None:
    """Pages of equal surfaces are equal once they are finished."""
    page, file = LivePage(tmp_path, "net"), tmp_path / "live.html"
    page.show(partial())
    assert "<time" in file.read_text()
    page.finish(make_surface())
    assert "<time" not in file.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("evaluated", [slice(None, None, 5), slice(None)])
def test_a_picture_takes_less_than_a_second(tmp_path: Path, evaluated: slice) -> None:
    page, seconds = LivePage(tmp_path, "net"), []
    for _ in range(3):
        began = time.process_time()  # of this process alone, however busy the machine is
        page.show(large(evaluated))
        seconds.append(time.process_time() - began)
    assert min(seconds) < 1


def test_watching_a_run_leaves_its_numbers_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "_PREVIEW_SECONDS", 0.0)
    monkeypatch.setattr(trials, "_TINY", 0.0)  # else a trial's timing decides between forms that differ in a bit
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 5)).eval()
    batches = [(torch.rand(24, 3, 2, 2), torch.arange(24) % 5)]
    directions = random_directions(model, seed=0)
    axes = np.linspace(-1, 1, 23), np.linspace(-1, 1, 12)
    page, seen = LivePage(tmp_path / "live", "net"), []

    def show(surface: Surface) -> None:
        page.show(surface)
        seen.append(describe_progress(surface))

    def evaluate(name: str, **options: Any) -> Surface:
        path = tmp_path / name / "surface.h5"
        evaluate_surface(
            model, batches, directions, *axes, path=path, precision="fp32", batch_size=24, meta={}, **options
        )
        return Surface.load(path)

    watched, alone = evaluate("watched", preview=show), evaluate("alone")
    assert seen[0] == "121 of 276 points on 24 images each; between the dots interpolated"
    np.testing.assert_array_equal(watched.loss, alone.loss)
    np.testing.assert_array_equal(watched.count, alone.count)
    assert sorted(path.name for path in (tmp_path / "live").iterdir()) == ["live.html", "live.png"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium, 360 pixels wide."""
    with chromium(tmp_path_factory.mktemp("profile"), window=(800, 700)) as driver:
        size = {"width": 360, "height": 300, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        yield driver


def heading(browser: Any) -> list[str]:
    """Title, heading and progress of the page that is open."""
    script = "return [document.title, ...['h1', '#progress'].map(at => document.querySelector(at).innerText)]"
    return [str(text) for text in browser.execute_script(script)]


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_page_is_usable_on_a_narrow_screen(browser: Any, tmp_path: Path, mode: str) -> None:
    LivePage(tmp_path, EVIL).show(partial())
    features = {"features": [{"name": "prefers-color-scheme", "value": mode}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
    browser.get_log("browser")
    browser.get((tmp_path / "live.html").as_uri())
    assert heading(browser) == [f"{EVIL}: running", EVIL, f"running: {describe_progress(partial())}"]
    wide, tall, across, down = browser.execute_script(
        "const i = document.images[0]; return [i.width, i.height, i.naturalWidth, i.naturalHeight]"
    )
    assert 300 < wide <= 360
    assert tall / wide == pytest.approx(down / across, abs=0.01)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    color = browser.execute_script("return getComputedStyle(document.body).color")
    assert color == {"light": "rgb(0, 0, 0)", "dark": "rgb(255, 255, 255)"}[mode]
    assert browser.get_log("browser") == []


def test_the_page_follows_the_run_to_its_end_where_the_reader_was(browser: Any, tmp_path: Path) -> None:
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.support.wait import WebDriverWait

    page = LivePage(tmp_path, "net")
    page.show(partial())
    browser.get_log("performance")
    browser.get((tmp_path / "live.html").as_uri())
    browser.execute_script("scrollTo(0, 50)")
    page.finish(make_surface())
    # Between two pages there may be none to ask.
    waiting = WebDriverWait(browser, 8, 0.1, ignored_exceptions=[WebDriverException])
    waiting.until(lambda driver: heading(driver)[0] == "net: complete")
    assert heading(browser)[2].startswith("complete: all 35 points on 400 images each")
    assert browser.execute_script("return scrollY") == 50
    (link,) = browser.find_elements("tag name", "a")
    assert link.get_attribute("href") == (tmp_path / "surface.html").as_uri()
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    }
    assert {url for url in asked if not url.startswith(("data:", "chrome:"))} == {(tmp_path / "live.html").as_uri()}
    assert browser.get_log("browser") == []
