"""What Pascal VOC's XML files say of one picture."""

from math import isfinite, nan
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from gradscape._schema import shown
from gradscape._text_files import read_text
from gradscape.data.boxes import Corners, check_box, has_area

__all__ = ["VocObject", "VocPicture", "read_voc_xml"]


class VocObject(NamedTuple):
    """One thing in a picture.

    Attributes:
        name: Of its class.
        corners: x1, y1, x2, y2 in pixels from the picture's top left, counted from 0, where pixel 0 ends at 1.
        difficult: Whether it is too difficult to count.
    """

    name: str
    corners: Corners
    difficult: bool


class VocPicture(NamedTuple):
    """One picture.

    Attributes:
        size: (width, height) in pixels.
        objects: The things in it.
    """

    size: tuple[int, int]
    objects: list[VocObject]


def read_voc_xml(file: Path) -> VocPicture:
    """Read the annotation of one picture.

    Its first pixel is number 1, and the last one of a box belongs to it: a box from 1 to 10 is 10 pixels wide.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no annotation as VOC writes them.
    """
    text = read_text(file, "annotation in VOC's format")
    if "<!DOCTYPE" in text:
        raise ValueError(f"{file} must be an annotation in VOC's format, which has no DOCTYPE: remove it")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  (harm needs a DOCTYPE)
        size = tuple(int(_number(root, f"size/{name}")) for name in ("width", "height"))
        if min(size) < 1:
            raise ValueError(f"its `size` must be at least one pixel, got {size[0]} × {size[1]}")
        objects = root.findall("object")
        return VocPicture((size[0], size[1]), [_object(one, number, size) for number, one in enumerate(objects, 1)])
    except (ValueError, ElementTree.ParseError) as problem:
        raise ValueError(f"{file} must be an annotation in VOC's format: {problem}; correct the file") from problem


def _object(element: ElementTree.Element, number: int, size: tuple[int, ...]) -> VocObject:
    name = (element.findtext("name") or "").strip()
    try:
        if not name:
            raise ValueError("it lacks a `name`")
        left, top, right, bottom = (_number(element, f"bndbox/{one}") for one in ("xmin", "ymin", "xmax", "ymax"))
        corners = check_box((left - 1, top - 1, right, bottom), size[0], size[1])
        if not has_area(corners):
            raise ValueError("its box must have an area, but has none")
        difficult = element.find("difficult") is not None and _number(element, "difficult") != 0
    except ValueError as problem:
        raise ValueError(f"object {number}{f' ({name})' if name else ''}: {problem}") from problem
    return VocObject(name, corners, difficult)


def _number(element: ElementTree.Element, path: str) -> float:
    found = (element.findtext(path) or "").strip()
    if not found:
        raise ValueError(f"it lacks `{path}`")
    try:
        number = float(found)
    except ValueError:
        number = nan
    if not isfinite(number):
        raise ValueError(f"`{path}` must be a finite number, got {shown(found)}")
    return number
