"""The page of embeddings: what is in it, and what a real browser shows when pointing, clicking and dragging."""

import base64
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gradscape.explain.embedding import Embedding
from gradscape.figures.charts.embedding_marks import class_marks
from gradscape.figures.web.embeddings import interactive_embedding, thumbnail_side
from tests.chromium import chromium
from tests.figures.charts.test_embedding import make_embedding

EVIL = "<b>x</b></script><script>document.title='hacked'</script>"
CLASSES = (EVIL, "two", "three")
LABELS = [0, 0, 1, 2, 2]
# Shares of the panel, from its left upper corner, at which images 0 to 4 lie.
FIRST = np.array([[1, 0], [0, 0], [0, 1], [1, 1], [0.5, 0.5]])
SECOND = FIRST[[4, 0, 1, 2, 3]]
TINTS = np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250], [250, 250, 0], [0, 250, 250]], dtype=np.uint8)
# Where a point of this color is in a panel, in CSS pixels: the middle of the pixels that have it.
FIND = """
const [panel, red, green, blue] = arguments, canvas = document.querySelectorAll("canvas")[panel];
const {width, height} = canvas, data = canvas.getContext("2d").getImageData(0, 0, width, height).data, found = [];
for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
  const at = 4 * (y * width + x);
  if (Math.abs(data[at] - red) + Math.abs(data[at + 1] - green) + Math.abs(data[at + 2] - blue) < 12
      && data[at + 3] > 250) found.push([x, y]);
}
return found;
"""


def embed_at(places: np.ndarray, labels: Sequence[int] = LABELS, **changes: object) -> Embedding:
    """Points at shares of a panel."""
    points = (places * (20, -20)).astype(np.float32)
    classes = CLASSES if len({*labels}) <= 3 else None
    embedding = make_embedding(images=len(labels), classes=3)
    return replace(embedding, points=points, labels=np.array(labels), classes=classes, **changes)  # type: ignore[arg-type]


def tinted(height: int = 16, width: int = 16) -> np.ndarray:
    return np.broadcast_to(TINTS[:, None, None], (5, height, width, 3)).copy()


def content_of(page: str) -> dict[str, Any]:
    (found,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    content: dict[str, Any] = json.loads(found)
    return content


def sheet_of(content: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(content["sheet"]["url"].partition(",")[2])))


def test_points_classes_and_titles_are_in_the_page() -> None:
    content = content_of(interactive_embedding([embed_at(FIRST), embed_at(SECOND)], titles=["a", "b"]))
    assert [one["name"] for one in content["classes"]] == list(CLASSES)
    assert [one["color"] for one in content["classes"]] == [mark.color for mark in class_marks(range(3)).values()]
    assert content["labels"] == LABELS
    assert [panel["title"] for panel in content["panels"]] == ["a", "b"]
    for panel, places in zip(content["panels"], (FIRST, SECOND), strict=True):
        np.testing.assert_allclose(np.reshape(panel["points"], (-1, 2)) / content["steps"], places, atol=1e-4)
    assert content["sheet"] is None


def test_both_axes_have_one_scale() -> None:
    content = content_of(interactive_embedding([embed_at(FIRST * (1, 0.25))]))
    points = np.reshape(content["panels"][0]["points"], (-1, 2)) / content["steps"]
    np.testing.assert_allclose(np.ptp(points, axis=0), (1, 0.25), atol=1e-3)
    np.testing.assert_allclose(points.min(axis=0) + points.max(axis=0), 1, atol=1e-3)


def test_small_thumbnails_are_kept_to_the_bit() -> None:
    random = np.random.default_rng(0).integers(256, size=(5, 16, 16, 3), dtype=np.uint8)
    content = content_of(interactive_embedding([embed_at(FIRST)], thumbnails=random))
    sheet = np.asarray(sheet_of(content))
    side, columns = 16, content["sheet"]["columns"]
    assert sheet.shape[1] == side * columns
    for number in range(5):
        top, left = number // columns * side, number % columns * side
        np.testing.assert_array_equal(sheet[top : top + side, left : left + side], random[number])


@pytest.mark.slow
@pytest.mark.parametrize(("images", "largest"), [(5, 64), (3000, 40), (30000, 8)])
def test_the_page_stays_small_however_many_images_there_are(images: int, largest: int) -> None:
    assert thumbnail_side(images) == largest
    noise = np.random.default_rng(0).integers(256, size=(64, 48, 3), dtype=np.uint8)
    labels = [number % 3 for number in range(images)]
    places = np.random.default_rng(1).random((images, 2))
    thumbnails = np.broadcast_to(noise, (images, 64, 48, 3))
    page = interactive_embedding([embed_at(places, labels)], thumbnails=thumbnails)
    content = content_of(page)
    assert sheet_of(content).width == largest * content["sheet"]["columns"]
    assert len(page) < 9e6  # noise is the worst that JPEG can be given


def test_names_are_never_markup() -> None:
    page = interactive_embedding([embed_at(FIRST, meta={"model": EVIL, "data": EVIL})])
    assert "<b>" not in page
    assert page.count("<script") == page.count("</script>") == 2


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ValueError, match="`embeddings` must hold at least one embedding, got none"):
        interactive_embedding([])
    with pytest.raises(ValueError, match="`thumbnails` must be one for each of the 5 images, got 4"):
        interactive_embedding([embed_at(FIRST)], thumbnails=tinted()[:4])
    with pytest.raises(ValueError, match="`titles` must hold a name for each of the 1 embeddings, got 2"):
        interactive_embedding([embed_at(FIRST)], titles=["a", "b"])
    with pytest.raises(ValueError, match="`embeddings` must be of the same images, but number 1 has other labels"):
        interactive_embedding([embed_at(FIRST), embed_at(FIRST, [0, 1, 1, 2, 2])])


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium with two panels of five images in three classes, one of them named like an attack."""
    folder = tmp_path_factory.mktemp("browser")
    page = folder / "page.html"
    embeddings = [embed_at(FIRST), embed_at(SECOND)]
    page.write_text(interactive_embedding(embeddings, thumbnails=tinted(), titles=[EVIL, "b"]), encoding="utf-8")
    with chromium(folder / "profile", window=(900, 800)) as driver:
        driver.get("about:blank")
        driver.get_log("performance")
        driver.get(page.as_uri())
        yield driver


@pytest.fixture
def browser(opened: Any) -> Any:
    """The same with nothing selected, every class shown, the lasso at hand and the mouse away."""
    mouse(opened, "mouseMoved", 1, 1)
    for name in ("clear", "all"):
        press(opened, f"#{name}")
    if opened.find_element("id", "lasso").get_attribute("aria-pressed") == "false":
        press(opened, "#lasso")
    return opened


def press(browser: Any, selector: str) -> None:
    browser.find_element("css selector", selector).click()
    settle(browser)


def settle(browser: Any) -> None:
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")


def mouse(browser: Any, kind: str, x: float, y: float) -> None:
    held = {"button": "left", "clickCount": 1} if kind != "mouseMoved" else {}
    browser.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, **held})
    settle(browser)


def pixels(browser: Any, panel: int, label: int) -> np.ndarray:
    """Where a panel has the full color of a class, in its own pixels."""
    color = class_marks(range(3))[label].color
    wanted = [int(color[start : start + 2], 16) for start in (1, 3, 5)]
    return np.array(browser.execute_script(FIND, panel, *wanted)).reshape(-1, 2)


def place(browser: Any, panel: int, share: Sequence[float]) -> tuple[float, float]:
    """A share of the panel in the window."""
    script = (
        "const c=document.querySelectorAll('canvas')[arguments[0]]; c.scrollIntoView({block: 'center'}); "
        "const b=c.getBoundingClientRect(); return [b.left + c.clientLeft, b.top + c.clientTop, c.clientWidth]"
    )
    left, top, side = browser.execute_script(script, panel)
    settle(browser)
    inner = side - 28
    return left + 14 + share[0] * inner, top + 14 + share[1] * inner


def draw_lasso(browser: Any, panel: int, corners: Sequence[Sequence[float]]) -> None:
    spots = [place(browser, panel, corner) for corner in corners]
    mouse(browser, "mouseMoved", *spots[0])
    mouse(browser, "mousePressed", *spots[0])
    for spot in spots[1:]:
        mouse(browser, "mouseMoved", *spot)
    mouse(browser, "mouseReleased", *spots[-1])


def selected(browser: Any) -> list[int]:
    return [int(one.get_attribute("data-image")) for one in browser.find_elements("css selector", "#images .thumbnail")]


def counts(browser: Any) -> list[str]:
    return [one.text for one in browser.find_elements("css selector", "#counts li")]


@pytest.mark.slow
def test_pointing_at_a_point_shows_its_thumbnail_and_class(browser: Any) -> None:
    card = browser.find_element("id", "card")
    assert not card.is_displayed()
    for panel, places in enumerate((FIRST, SECOND)):
        for image, share in enumerate(places):
            mouse(browser, "mouseMoved", *place(browser, panel, share))
            assert card.is_displayed()
            assert card.text == f"{CLASSES[LABELS[image]]}, image {image}"
            shown = Image.open(io.BytesIO(card.find_element("class name", "thumbnail").screenshot_as_png))
            middle = np.asarray(shown.convert("RGB"), dtype=int)[shown.height // 2, shown.width // 2]
            np.testing.assert_allclose(middle, TINTS[image], atol=8)
    mouse(browser, "mouseMoved", *place(browser, 0, (0.5, 0.2)))
    assert not card.is_displayed()


def test_a_button_hides_a_class_in_every_panel_and_brings_it_back(browser: Any) -> None:
    before = [[len(pixels(browser, panel, label)) for label in range(3)] for panel in range(2)]
    assert np.min(before) > 10
    buttons = browser.find_elements("css selector", "#classes button")
    assert [button.text for button in buttons] == list(CLASSES)
    buttons[1].click()
    settle(browser)
    assert buttons[1].get_attribute("aria-pressed") == "false"
    for panel in range(2):
        hidden = [len(pixels(browser, panel, label)) for label in range(3)]
        assert hidden == [before[panel][0], 0, before[panel][2]]
    mouse(browser, "mouseMoved", *place(browser, 0, FIRST[2]))
    assert not browser.find_element("id", "card").is_displayed()
    buttons[1].send_keys(" ")  # by keyboard
    settle(browser)
    assert buttons[1].get_attribute("aria-pressed") == "true"
    assert [[len(pixels(browser, panel, label)) for label in range(3)] for panel in range(2)] == before
    press(browser, "#none")
    assert not any(len(pixels(browser, panel, label)) for panel in range(2) for label in range(3))


def test_searching_shows_the_classes_alone_that_have_it_in_their_names(browser: Any) -> None:
    before = [[len(pixels(browser, panel, label)) for label in range(3)] for panel in range(2)]
    field = browser.find_element("id", "search")
    field.send_keys("T")
    field.send_keys("W")
    settle(browser)
    for panel in range(2):
        assert [len(pixels(browser, panel, label)) for label in range(3)] == [0, before[panel][1], 0]
    buttons = browser.find_elements("css selector", "#classes button")
    assert [button.text for button in buttons if button.is_displayed()] == ["two"]
    assert browser.find_element("id", "found").text == "1 of 3 classes"
    press(browser, "#all")
    assert field.get_attribute("value") == ""
    assert all(button.is_displayed() for button in buttons)
    assert [[len(pixels(browser, panel, label)) for label in range(3)] for panel in range(2)] == before


def test_quality_figures_stand_in_a_table_below(browser: Any) -> None:
    table = browser.find_element("tag name", "table")
    canvases = browser.find_elements("tag name", "canvas")
    assert all(table.location["y"] >= one.location["y"] + one.size["height"] for one in canvases)
    assert [one.text for one in table.find_elements("css selector", "thead th")][:3] == [
        "network",
        "kNN accuracy (10 neighbors)",
        "kNN accuracy among the features",
    ]
    rows = table.find_elements("css selector", "tbody tr")
    assert [row.find_element("tag name", "th").text for row in rows] == [EVIL, "b"]
    assert all(row.find_elements("tag name", "td")[0].text.endswith("%") for row in rows)


def test_the_lasso_selects_what_lies_inside_in_every_panel(browser: Any) -> None:
    draw_lasso(browser, 0, [(-0.03, -0.03), (0.3, -0.03), (0.7, 0.6), (0.3, 1.03), (-0.03, 1.03)])
    assert selected(browser) == [1, 2, 4]
    assert counts(browser) == [f"{CLASSES[0]}: 1", "two: 1", "three: 1"]
    assert browser.find_element("id", "selected").text == "3 selected"
    # In the second panel images 1, 2, 4 keep their color, and 0 in the middle is pale.
    side = browser.execute_script("return document.querySelectorAll('canvas')[1].width")
    kept = pixels(browser, 1, 0) / side
    assert len(kept)
    assert (kept[:, 0] > 0.8).all()
    assert (kept[:, 1] < 0.2).all()
    press(browser, "#clear")
    assert selected(browser) == []
    assert browser.find_element("id", "selected").text.startswith("Point at an image")


def test_hidden_classes_are_not_selected(browser: Any) -> None:
    everything = [(-0.03, -0.03), (1.03, -0.03), (1.03, 1.03), (-0.03, 1.03)]
    draw_lasso(browser, 1, everything)
    assert selected(browser) == [0, 1, 2, 3, 4]
    assert counts(browser) == [f"{CLASSES[0]}: 2", "two: 1", "three: 2"]
    browser.find_elements("css selector", "#classes button")[2].click()
    settle(browser)
    assert selected(browser) == [0, 1, 2]
    draw_lasso(browser, 0, everything)
    assert selected(browser) == [0, 1, 2]


def test_a_click_picks_one_image_and_escape_lets_it_go(browser: Any) -> None:
    spot = place(browser, 1, SECOND[3])
    mouse(browser, "mousePressed", *spot)
    mouse(browser, "mouseReleased", *spot)
    assert selected(browser) == [3]
    browser.find_element("tag name", "body").send_keys("\ue00c")
    settle(browser)
    assert selected(browser) == []


def test_without_the_lasso_dragging_selects_nothing(browser: Any) -> None:
    press(browser, "#lasso")
    assert browser.execute_script("return getComputedStyle(document.querySelector('canvas')).touchAction") == "auto"
    draw_lasso(browser, 0, [(0.2, 0.3), (0.8, 0.3), (0.8, 0.7), (0.2, 0.7)])
    assert selected(browser) == []


def test_names_stay_text(browser: Any) -> None:
    assert browser.title == f"{EVIL}, b"
    assert browser.find_element("css selector", "figure h2").text == EVIL
    assert browser.find_elements("tag name", "b") == []


def test_the_page_fits_on_a_phone(browser: Any) -> None:
    size = {"width": 360, "height": 700, "deviceScaleFactor": 2, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        settle(browser)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
        tops = [canvas.location["y"] for canvas in browser.find_elements("tag name", "canvas")]
        assert tops[1] > tops[0] + 200
        mouse(browser, "mouseMoved", *place(browser, 0, FIRST[3]))
        card = browser.find_element("id", "card")
        assert card.text == "three, image 3"
        assert card.location["x"] >= 0
        assert card.location["x"] + card.size["width"] <= 360
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        settle(browser)


def test_the_page_asks_for_nothing_and_complains_of_nothing(browser: Any) -> None:
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]
    own = browser.current_url
    assert own in asked
    assert [url for url in asked if url != own and not url.startswith(("data:", "blob:", "chrome:"))] == []
    # Warnings are Chromium's advice on how tests could read pixels faster.
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
