"""The demo, run for real with less of everything, and its report in a real browser."""

import base64
import json
import re
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradscape.data import load_split
from gradscape.landscape import Surface
from gradscape.studies import demo
from gradscape.studies.faithfulness_differences import HIGHER_IS_BETTER
from tests.chromium import chromium

pytestmark = pytest.mark.slow

MODELS = ("resnet20+spa_a", "upanet16")
SECTIONS = [
    "summary", "landscapes", "heatmaps", "attention", "fusion", "embeddings", "training", "provenance", "appendix",
]  # fmt: skip
CAMERAS = """
return Array.from(document.querySelectorAll(".plot"), plot => {
  const {x, y, z} = plot._fullLayout.scene._scene.getCamera().eye;
  return [x, y, z];
});
"""
PIXELS = """
return Array.from(document.querySelectorAll(arguments[0]), canvas =>
  Array.from(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data));
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """The demo's folder, and the jobs that it told of."""
    folder, jobs = tmp_path_factory.mktemp("demo"), set[str]()
    stages, shown = list[str](), list[Path]()
    less = {"_STEPS": 5, "_LINE_STEPS": 5, "_IMAGES": 32, "_SPAN_IMAGES": 32, "_PICTURES": 3, "_EMBEDDED": 40}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "MODELS", MODELS)
        for name, value in less.items():
            patch.setattr(demo, name, value)
        patch.setattr(demo, "_SOONER", {"epochs": 2})
        patch.setattr(demo, "load_split", lambda *names, **options: load_split(*names, **{"limit": 200, **options}))
        page = demo.run_demo(
            folder, seed=0, device="cpu", begin=stages.append, report=lambda job, _: jobs.add(job), show=shown.append
        )
    assert page == folder / "index.html"
    assert stages == list(demo.STAGES)
    assert shown[0] == folder / MODELS[0] / "curves.png"
    assert len(shown) == 6
    assert all(path.suffix == ".png" and path.is_file() for path in shown)
    return folder, jobs


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium."""
    with chromium(tmp_path_factory.mktemp("profile"), window=(1100, 800)) as started:
        yield started


@pytest.fixture(scope="module")
def opened(driver: Any, ran: tuple[Path, set[str]]) -> Any:
    """The browser with the report, drawn."""
    driver.get("about:blank")
    driver.get_log("performance")
    driver.get((ran[0] / "index.html").as_uri())
    until(driver, "return document.querySelectorAll('.plot canvas').length >= 2 && document.readyState == 'complete'")
    until(driver, "return document.querySelectorAll('.cards canvas').length")
    return driver


def until(browser: Any, script: str) -> Any:
    """What the script returns, as soon as that is something."""
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(browser, 30, 0.1).until(lambda driver: driver.execute_script(script))


def choose(browser: Any, name: str, value: str) -> None:
    """Click what stands for a radio button or a checkbox."""
    found = browser.find_element("css selector", f'input[name="{name}"][value="{value}"]')
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", found)
    found.click()


def heights(browser: Any) -> list[np.ndarray]:
    """What each surface is drawn with."""
    drawn = browser.execute_script("return Array.from(document.querySelectorAll('.plot'), plot => plot.data[0].z)")
    return [np.array(one, dtype=float) for one in drawn]


def surfaces_of(folder: Path) -> list[Surface]:
    return [Surface.load(folder / name / "surface.h5") for name in MODELS]


def test_the_demo_leaves_every_kind_of_result(ran: tuple[Path, set[str]]) -> None:
    folder, jobs = ran
    assert jobs == {*MODELS, "line"}
    for name in MODELS:
        for file in ("surface.h5", "training/model.safetensors", "curves.pdf"):
            assert (folder / name / file).is_file()
        for file in (f"cam/{name}/gradcam.npz", f"attention/{name}/attention.npz", f"fusion/{name}/fusion.npz"):
            assert (folder / file).is_file()
    for file in ("line.h5", "loss_surface.png", "tsne/tsne.html", "cam/cam.pdf", "images/digit-0.png"):
        assert (folder / file).is_file()
    first, second = surfaces_of(folder)
    assert first.alphas.tolist() == second.alphas.tolist()
    assert first.meta["blocks"] == second.meta["blocks"]


def test_the_page_is_one_file_of_moderate_size(ran: tuple[Path, set[str]]) -> None:
    assert 4e6 < (ran[0] / "index.html").stat().st_size < 8e6


def test_every_section_is_there_and_can_be_gone_to(opened: Any) -> None:
    sections = opened.find_elements("tag name", "section")
    assert [section.get_attribute("id") for section in sections] == SECTIONS
    assert all(section.find_element("tag name", "h2").text for section in sections)
    links = opened.find_elements("css selector", "nav a")
    assert [link.get_attribute("href").partition("#")[2] for link in links] == SECTIONS
    levels = opened.execute_script("return Array.from(document.querySelectorAll('h1,h2,h3,h4'), e => +e.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert max(np.diff(levels)) == 1
    assert all(table.find_elements("tag name", "caption") for table in opened.find_elements("tag name", "table"))


def test_the_tables_say_what_the_files_say(opened: Any, ran: tuple[Path, set[str]]) -> None:
    from gradscape.models import count_macs, count_parameters, load_checkpoint

    rows = opened.find_elements("css selector", "#summary tbody tr")
    for row, name in zip(rows, MODELS, strict=True):
        model = load_checkpoint(ran[0] / name / "training" / "model.safetensors")
        accuracy, parameters = 100 * model.meta["scores"]["test_accuracy"], count_parameters(model)
        cells = [cell.text.split("\n")[0] for cell in row.find_elements("css selector", "th, td")]
        macs = count_macs(model, model.image_size) / 1e6
        expected = [
            name,
            f"{accuracy:.2f} %1",  # below the table stands what interval it is
            f"{parameters:,}",
            f"{macs:,.1f} M",
            f"{1e6 * accuracy / parameters:,.1f}",
        ]
        assert cells[:5] == expected
    metrics = opened.find_elements("css selector", "#landscapes tbody th")
    assert [cell.text.split()[0] for cell in metrics][:3] == ["sharpness", "basin", "curvature"]
    first, differences = opened.find_elements("css selector", "#heatmaps table")
    assert len(differences.find_elements("css selector", "tbody th")) == len(HIGHER_IS_BETTER) * len(demo._METHODS)
    faithful = first.find_elements("css selector", "tbody th")
    assert len(faithful) == len(MODELS) * len(demo._METHODS)


def test_value_and_scale_of_the_landscapes_can_be_chosen(opened: Any, ran: tuple[Path, set[str]]) -> None:
    surfaces = surfaces_of(ran[0])
    choose(opened, "scale", "raw")
    for drawn, surface in zip(heights(opened), surfaces, strict=True):
        np.testing.assert_allclose(drawn, surface.loss, rtol=1e-4)
    shared = "return Array.from(document.querySelectorAll('.plot'), plot => plot.layout.scene.zaxis.range[1])"
    highest = max(surface.loss.max() for surface in surfaces)
    np.testing.assert_allclose(opened.execute_script(shared), highest)
    choose(opened, "scale", "minmax")
    for drawn, surface in zip(heights(opened), surfaces, strict=True):
        np.testing.assert_allclose(drawn, surface.minmax(), atol=1e-4)
    choose(opened, "scale", "log")
    for drawn, surface in zip(heights(opened), surfaces, strict=True):
        np.testing.assert_allclose(drawn, np.log10(surface.loss), rtol=1e-3, atol=1e-4)
    choose(opened, "value", "error")
    choose(opened, "scale", "raw")
    for drawn, surface in zip(heights(opened), surfaces, strict=True):
        np.testing.assert_allclose(drawn, 100 * surface.error, atol=1e-3)
    assert "error (%)" in opened.find_element("css selector", "#landscape-scale .name").text
    choose(opened, "value", "loss")


def test_the_keyboard_alone_changes_a_switch(opened: Any, ran: tuple[Path, set[str]]) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    choose(opened, "scale", "raw")
    opened.execute_script("document.querySelector('input[name=scale]:checked').focus()")
    ActionChains(opened).send_keys(Keys.ARROW_RIGHT).perform()
    assert opened.execute_script("return document.activeElement.value") == "minmax"
    np.testing.assert_allclose(heights(opened)[0], surfaces_of(ran[0])[0].minmax(), atol=1e-4)
    outline = "return getComputedStyle(document.activeElement.nextElementSibling).outlineStyle"
    assert opened.execute_script(outline) == "solid"
    ActionChains(opened).send_keys(Keys.ARROW_LEFT).perform()
    np.testing.assert_allclose(heights(opened)[0], surfaces_of(ran[0])[0].loss, rtol=1e-4)
    opened.execute_script("document.querySelector('[data-camera=above]').focus()")
    ActionChains(opened).send_keys(Keys.ENTER).perform()
    for x, y, z in opened.execute_script(CAMERAS):
        assert z > 100 * max(abs(x), abs(y))
    opened.execute_script("document.querySelector('[data-camera=reset]').click()")


def test_the_first_stop_of_the_keyboard_skips_to_the_content(opened: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    opened.execute_script("document.body.tabIndex = -1; document.body.focus()")
    ActionChains(opened).send_keys(Keys.TAB).perform()
    assert opened.execute_script("return document.activeElement.hash") == "#content"
    assert opened.execute_script("return document.activeElement.getBoundingClientRect().left") >= 0


def test_who_turns_one_surface_turns_all(opened: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    before = opened.execute_script(CAMERAS)
    plot = opened.find_element("css selector", ".plot")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", plot)
    ActionChains(opened).click_and_hold(plot).move_by_offset(60, 10).move_by_offset(40, 10).release().perform()
    cameras = CAMERAS.replace("return", f"const before = {json.dumps(before)}; const now =", 1)
    until(opened, cameras + "return now.every((eye, at) => Math.abs(eye[0] - before[at][0]) > .02)")
    # The others follow in the next frames, which come late on a busy machine.
    until(opened, cameras + "return now.every(eye => eye.every((part, at) => Math.abs(part - now[0][at]) < .02))")
    opened.execute_script("document.querySelector('[data-camera=reset]').click()")
    until(opened, cameras + "return now.flat().every((part, at) => Math.abs(part - before.flat()[at]) < .001)")


def test_a_surface_can_be_left_out(opened: Any) -> None:
    choose(opened, "shown", "1")
    assert [figure.is_displayed() for figure in opened.find_elements("css selector", "[data-surface]")] == [True, False]
    choose(opened, "shown", "1")
    assert opened.find_elements("css selector", "[data-surface]")[1].is_displayed()
    until(opened, "return document.querySelectorAll('.plot canvas').length >= 2")
    fits = "plot => Math.abs(plot._fullLayout.width - plot.clientWidth) < 2"
    until(opened, f"return [...document.querySelectorAll('.plot')].every({fits})")


def test_method_drawing_and_class_of_the_heatmaps_can_be_chosen(opened: Any) -> None:
    maps = ".tile:nth-child(2) canvas"
    choose(opened, "heatmaps0-method", "Grad-CAM")
    first = opened.execute_script(PIXELS, maps)
    choose(opened, "heatmaps0-method", "Grad-CAM++")
    second = opened.execute_script(PIXELS, maps)
    assert first != second
    labels = [canvas.get_attribute("aria-label") for canvas in opened.find_elements("css selector", ".tile canvas")]
    assert labels[1].startswith(f"Grad-CAM++ of {MODELS[0]} for digit-0: ")
    choose(opened, "heatmaps0-style", "heatmap")
    assert opened.execute_script(PIXELS, maps) != second
    choose(opened, "heatmaps0-scale", "shared")
    assert "largest" in opened.find_element("css selector", "#heatmaps .of").text
    select = opened.find_element("css selector", "#heatmaps select")
    told = [option.get_attribute("value") for option in select.find_elements("tag name", "option")]
    assert len(told) >= 2
    for label in told[1:]:
        opened.execute_script(
            "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))", select, label
        )
        tiles = opened.find_elements("css selector", ".cards .tile:not(:first-child)")
        assert tiles
        assert all(tile.text.split("\n")[1].startswith(f"{label}, ") for tile in tiles)
    opened.execute_script("arguments[0].value = ''; arguments[0].dispatchEvent(new Event('change'))", select)


def test_a_heatmap_alone_has_the_colors_of_its_display(opened: Any, ran: tuple[Path, set[str]]) -> None:
    import matplotlib as mpl

    from gradscape.explain.heatmap import Heatmaps

    for name, value in (("method", "Grad-CAM"), ("style", "heatmap"), ("scale", "own")):
        choose(opened, f"heatmaps0-{name}", value)
    maps = Heatmaps.load(ran[0] / "cam" / MODELS[0] / "gradcam.npz")
    colors = (mpl.colormaps["inferno"](maps.display)[..., :3] * 255).round()
    for shown, expected in zip(opened.execute_script(PIXELS, ".tile:nth-child(2) canvas"), colors, strict=True):
        pixels = np.array(shown).reshape(*maps.image_size, 4)[..., :3]
        assert np.abs(pixels - expected).mean() < 2  # a byte for each value


def test_another_picture_has_other_attention_and_features(opened: Any) -> None:
    for name, canvases in (("attention", "#attention .map-row canvas"), ("fusion", "#fusion .stages canvas")):
        before = opened.execute_script(PIXELS, canvases)
        assert before
        assert all(len({*pixels}) > 3 for pixels in before)
        choose(opened, f"{name}0-picture", "2")
        after = opened.execute_script(PIXELS, canvases)
        assert len(after) == len(before)
        assert after != before


def test_classes_of_an_embedding_are_switched_off_and_points_found(opened: Any) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    hidden = "return document.querySelectorAll('.points.off').length"
    box = opened.find_element("css selector", ".classes input")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", box)
    box.click()
    assert opened.execute_script(hidden) >= 2
    box.click()
    assert opened.execute_script(hidden) == 0
    panel = opened.find_element("css selector", ".scatter")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", panel)
    x, y = opened.execute_script("return content.embeddings[0].points[0].slice(0, 2)")
    width = panel.rect["width"]
    ActionChains(opened).move_to_element_with_offset(
        panel, (x / 1000 - 0.5) * width, (y / 1000 - 0.5) * width
    ).perform()
    said = opened.find_element("css selector", ".pointed").text
    image = int(said.split()[1].rstrip(":"))
    places = opened.execute_script(
        "return Array.from(document.querySelectorAll('.ring'), e => [+e.getAttribute('cx'), +e.getAttribute('cy')])"
    )
    points = [
        np.reshape(one, (-1, 2))[image].tolist() for one in opened.execute_script("return content.embeddings[0].points")
    ]
    assert places == points


def test_the_page_says_what_made_it(opened: Any, ran: tuple[Path, set[str]]) -> None:
    commands = [code.text for code in opened.find_elements("css selector", ".commands code")]
    assert commands[0] == f"gradscape demo --seed 0 -o {ran[0]}"
    assert [line.split()[1] for line in commands[1:]] == [
        "train", "train", "landscape", "line", "cam", "attention", "attention", "fusion", "fusion", "tsne",
    ]  # fmt: skip
    paths = [str(ran[0] / name / "training" / "model.safetensors") for name in MODELS]
    assert commands[3].split()[2:4] == paths
    weights = surfaces_of(ran[0])[0].meta["weights"]
    assert f"weights {weights}" in opened.find_element("id", "appendix").text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(opened: Any, scheme: str) -> None:
    pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    choose(opened, "theme", scheme)
    opened.execute_script("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    opened.execute_script(files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    found = opened.execute_async_script("axe.run().then(arguments[0])")
    faults = {
        fault["id"]: [node["html"][:200] for node in fault["nodes"]]
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
    }
    choose(opened, "theme", "light dark")
    assert faults == {}
    assert len(found["passes"]) > 20


def test_the_theme_is_the_systems_unless_one_is_chosen(opened: Any) -> None:
    color = "return getComputedStyle(document.body).color"
    seen = {}
    for system in ("light", "dark"):
        features = {"features": [{"name": "prefers-color-scheme", "value": system}]}
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
        for chosen in ("light", "dark", "light dark"):
            choose(opened, "theme", chosen)
            seen[system, chosen] = opened.execute_script(color)
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert seen["light", "light"] == seen["dark", "light"] == seen["light", "light dark"]
    assert seen["light", "dark"] == seen["dark", "dark"] == seen["dark", "light dark"]
    assert seen["light", "light"] != seen["dark", "dark"]


def test_nothing_is_wider_than_a_phone(opened: Any) -> None:
    size = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        until(opened, "return document.querySelector('.plot')._fullLayout.width < 360")
        assert opened.execute_script("return document.documentElement.scrollWidth") <= 360
        small = """
            const targets = Array.from(document.querySelectorAll(".choice label, button, nav a, summary"));
            return targets.filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 24).length;
        """
        assert opened.execute_script(small) == 0
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_no_column_of_a_table_is_lost_on_a_phone(opened: Any) -> None:
    size = {"width": 390, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    beyond = """
        return [...document.querySelectorAll("td, tbody th")].filter(cell => {
          const {left, right, width} = cell.getBoundingClientRect();
          return !width || left < 0 || right > 390;
        }).length;
    """
    try:
        until(opened, "return document.documentElement.clientWidth <= 390")
        assert opened.find_elements("css selector", "td")
        assert opened.execute_script(beyond) == 0
        cell = opened.find_element("css selector", "#summary td")
        told = opened.execute_script("return getComputedStyle(arguments[0], '::before').content", cell)
        assert told == '"test accuracy"'
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("width", [1280, 390])
def test_the_contents_stay_in_view_and_tell_where_the_reader_is(opened: Any, width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        opened.execute_script("document.getElementById('embeddings').scrollIntoView({behavior: 'instant'})")
        until(opened, "return document.querySelector('nav a[aria-current]')?.hash == '#embeddings'")
        box = opened.execute_script("return document.querySelector('nav').getBoundingClientRect().toJSON()")
        assert 0 <= box["top"] < box["bottom"] <= 800
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_map_lies_beside_each_relief_and_the_page_fills_the_window(opened: Any) -> None:
    size = {"width": 1600, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        until(opened, "return document.documentElement.clientWidth > 1500")
        for figure in opened.find_elements("css selector", "[data-surface]"):
            relief, drawn = (figure.find_element("css selector", name).rect for name in (".plot", ".map"))
            assert drawn["x"] >= relief["x"] + relief["width"]
            assert abs(drawn["y"] + drawn["height"] / 2 - relief["y"] - relief["height"] / 2) < 2
        assert opened.find_element("tag name", "main").rect["width"] > 1300
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_everything_shown_can_be_saved(opened: Any, tmp_path: Path) -> None:
    opened.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    wanted = {
        "table": ["csv"], "chart": ["png", "svg", "csv"], "picture": ["png"], "scatter": ["png", "svg", "csv"],
    }  # fmt: skip
    for kind, formats in wanted.items():
        area = opened.find_element("css selector", f"[data-saved={kind}]")
        buttons = area.find_elements("css selector", "[data-save]")
        assert [button.text for button in buttons] == formats
        for button in buttons:
            before = set(tmp_path.iterdir())
            opened.execute_script("arguments[0].click()", button)
            until_saved(tmp_path, before, f".{button.text}")
    networks = next(tmp_path.glob("Sizes*.csv")).read_text().splitlines()
    assert networks[0].startswith(
        'network,test accuracy,"test accuracy, interval",parameters,MACs,E,loss at the center'
    )
    assert [line.split(",")[0] for line in networks[1:]] == list(MODELS)


def until_saved(folder: Path, before: set[Path], suffix: str) -> None:
    """Wait for a new file of that kind."""
    deadline = time.monotonic() + 20
    while not any(path.suffix == suffix and path.stat().st_size for path in set(folder.iterdir()) - before):
        assert time.monotonic() < deadline, f"no {suffix} was saved"
        time.sleep(0.05)


def test_the_page_is_printed_on_at_most_eight_sheets(opened: Any, ran: tuple[Path, set[str]]) -> None:
    opened.get((ran[0] / "index.html").as_uri())  # anew: what other tests opened takes room
    until(opened, "return document.querySelectorAll('.plot canvas').length >= 2 && document.readyState == 'complete'")
    pdf = base64.b64decode(opened.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    assert 3 <= len(re.findall(rb"/Type\s*/Page[^s]", pdf)) <= 8


def test_a_caption_stands_on_the_page_once(opened: Any, ran: tuple[Path, set[str]]) -> None:
    captions = [one.text for one in opened.find_elements("css selector", ".caption") if len(one.text) > 40]
    assert len(captions) >= 3
    assert len(set(captions)) == len(captions)


def test_on_paper_the_landscapes_are_a_picture_and_nothing_is_folded(opened: Any) -> None:
    opened.execute_script("document.querySelectorAll('details').forEach(one => { one.open = false; })")
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    opened.execute_script("dispatchEvent(new Event('beforeprint'))")
    try:
        assert opened.find_element("css selector", ".still img").is_displayed()
        assert not opened.find_element("id", "landscape").is_displayed()
        seen = [one for one in opened.find_elements("css selector", ".controls") if one.is_displayed()]
        assert [bool(one.find_elements("css selector", ".classes")) for one in seen] == [True]  # a legend of the points
        folded = opened.find_elements("css selector", "details:not(.optional)")
        assert len(folded) >= 3
        assert all(one.get_attribute("open") for one in folded)
    finally:
        opened.execute_script("dispatchEvent(new Event('afterprint'))")
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert not [one for one in opened.find_elements("tag name", "details") if one.get_attribute("open")]


def test_the_page_asked_for_nothing_and_complained_of_nothing(opened: Any) -> None:
    messages = [json.loads(entry["message"])["message"] for entry in opened.get_log("performance")]
    asked = [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]
    own = opened.current_url.partition("#")[0]
    assert own in asked
    assert [url for url in asked if url != own and not url.startswith(("data:", "blob:", "chrome:"))] == []
    # Chromium's advice about speed comes as warnings.
    assert [entry for entry in opened.get_log("browser") if entry["level"] == "SEVERE"] == []
