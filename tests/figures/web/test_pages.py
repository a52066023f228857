"""The frame of every page: what templates may hold, what pages allow, and what is done with what is no text."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

import gradscape.figures.web
from gradscape.figures.web import page_policy, render_page

TEMPLATES = Path(gradscape.figures.web.__file__).with_name("templates")
PAGES = ("animation.html", "embedding.html", "live.html", "surface.html", "report/report.html")


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.name)
def test_only_the_frame_of_all_pages_holds_scripts_styles_and_what_is_not_escaped(path: Path) -> None:
    text, frame = path.read_text(), path.name == "page.html"
    assert ("<head>" in text) == frame
    if not frame:
        assert not re.search(r"<script|<style|<iframe|\|\s*safe|autoescape", text)
        assert text.startswith('{% extends "page.html" %}') == (str(path.relative_to(TEMPLATES)) in PAGES)
    if path.name != "notebook.html":  # a piece of somebody else's page
        assert not re.search(r"\s(style|on\w+)=", text)


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.js")), ids=lambda path: path.name)
def test_scripts_make_no_markup_of_texts_and_run_none(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|fetch\(", text)
    assert not re.search(r'setAttribute\("style"|createElement\("s(cript|tyle)"\)|element\("s(cript|tyle)"', text)


def test_a_policy_names_what_is_own_by_its_digest() -> None:
    digest = base64.b64encode(hashlib.sha256("é".encode()).digest()).decode()
    assert page_policy("é", [], library=False) == (
        f"default-src 'none'; script-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )
    assert f"script-src 'sha256-{digest}';" in page_policy("", ["é"], library=False)
    assert "img-src data: blob:;" in page_policy("", ["é"], library=True)
    assert not re.search(r"unsafe-(inline|eval)", page_policy("", ["é"], library=True))


def test_what_scripts_draw_is_json_whatever_the_numbers_and_names_are() -> None:
    content = {"a\x00": [float("nan"), -float("inf"), 1.5, ("\ud800", "</script>")], "__proto__": None}
    page = render_page("live.html", styles=[], content=content, title="", state="", progress="", picture="", drawn=None)
    (found,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', page)
    assert json.loads(found) == {"a\\x00": [None, None, 1.5, ["\\ud800", "</script>"]], "__proto__": None}
    page.encode("utf-8")
