"""Boxes and masks in COCO's format: Lin, Maire, Belongie et al., 2014, arXiv 1405.0312."""

import logging
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from gradscape._schema import check_record
from gradscape._text_files import read_json
from gradscape.data.boxes import AnnotatedBoxes, Box, check_box, gather_boxes, has_area
from gradscape.data.coco_files import find_annotations, find_pictures
from gradscape.data.outlines import check_outline

__all__ = ["coco_boxes"]

_LARGEST = 2**30  # bytes; COCO's own have up to 448 MiB
_log = logging.getLogger(__name__)


class _Described(TypedDict):
    id: int
    file_name: str
    width: int
    height: int


class _Category(TypedDict):
    id: int
    name: str


class _Annotated(TypedDict):
    image_id: int
    category_id: int
    bbox: list[float]
    area: NotRequired[float]
    iscrowd: NotRequired[int | bool]


_KINDS = {"images": _Described, "categories": _Category, "annotations": _Annotated}


def coco_boxes(path: str, split: str, *, masks: bool) -> AnnotatedBoxes:
    """Boxes, and masks if wanted, of a folder or a file in COCO's format.

    The classes are all its categories, in the order of their ids, which may have gaps. Where an annotation has no area,
    that of its box is taken. Boxes that have none, of which COCO's own file has two, are left out, and that is told.

    Args:
        path: A folder or a JSON file: see `find_annotations`.
        split: "train" or "test".
        masks: Whether to read the outline of each box.

    Raises:
        FileNotFoundError: There are no annotations, or pictures are missing.
        ValueError: The annotations are not as they should be.
    """
    files = find_annotations(path, split)
    found = read_json(files.annotations, "file of annotations in COCO's format", largest=_LARGEST)
    images, categories, annotations = (_records(found, files.annotations, name) for name in _KINDS)
    paths = find_pictures(files, [image["file_name"] for image in images])
    sizes = [(image["width"], image["height"]) for image in images]
    categories = sorted(categories, key=lambda category: category["id"])
    place_of = {image["id"]: place for place, image in enumerate(images)}
    label_of = {category["id"]: label for label, category in enumerate(categories)}
    boxes: list[list[Box]] = [[] for _ in images]
    empty = []
    for number, annotation in enumerate(annotations):
        called = _called("annotations", number, annotation)
        try:
            place = _known(place_of, annotation["image_id"], "image")
            box = _box(annotation, sizes[place], _known(label_of, annotation["category_id"], "category"), masks=masks)
        except ValueError as problem:
            raise ValueError(f"{files.annotations}: {called}: {problem}; correct or remove it") from problem
        if box is None:
            empty.append(called)
        else:
            boxes[place].append(box)
    _tell_of_empty(files.annotations, empty, len(annotations))
    return gather_boxes(paths, sizes, boxes, [category["name"] for category in categories], split=files.split)


def _records(found: dict[str, Any], file: Path, name: str) -> list[dict[str, Any]]:
    """One of the three lists, whose records are all of its kind and have ids of their own."""
    records = found.get(name)
    if not isinstance(records, list) or not records:
        lacks = "is empty" if records == [] else "is none"
        raise ValueError(f"{file} must be a file of annotations in COCO's format, but its list `{name}` {lacks}")
    for number, record in enumerate(records):
        try:
            check_record(record, _KINDS[name], closed=False)
            if name == "images" and min(record["width"], record["height"]) < 1:
                raise ValueError(f"it must have pixels, got {record['width']} × {record['height']}")
        except ValueError as problem:
            raise ValueError(f"{file}: {_called(name, number, record)}: {problem}; correct or remove it") from problem
    for key in {"images": ["id"], "categories": ["id", "name"]}.get(name, []):
        _refuse_repeats(file, name, key, [record[key] for record in records])
    return records


def _refuse_repeats(file: Path, name: str, key: str, values: Sequence[object]) -> None:
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{file}: two of its {name} have the {key} {value!r}: give each one of its own")
        seen.add(value)


def _called(name: str, number: int, record: object) -> str:
    """A record by its id, else by its place."""
    one = {"images": "image", "categories": "category", "annotations": "annotation"}[name]
    own = record.get("id") if isinstance(record, dict) else None
    return f"{one} {own}" if isinstance(own, int) else f"`{name}`[{number}]"


def _known(places: dict[int, int], number: int, what: str) -> int:
    if number not in places:
        raise ValueError(f"there is no {what} {number}")
    return places[number]


def _box(annotation: dict[str, Any], size: tuple[int, int], label: int, *, masks: bool) -> Box | None:
    """An annotation as a box; None of one without area."""
    if len(annotation["bbox"]) != 4:
        raise ValueError(f"its `bbox` must be x, y, width, height, got {len(annotation['bbox'])} numbers")
    x, y, width, height = map(float, annotation["bbox"])
    corners = check_box((x, y, x + width, y + height), *size)
    area = float(annotation.get("area", width * height))
    if not isfinite(area) or area < 0:
        raise ValueError(f"its `area` must be a finite number, at least 0, got {area:g}")
    if annotation.get("iscrowd", 0) not in (0, 1):
        raise ValueError(f"its `iscrowd` must be 0 or 1, got {annotation['iscrowd']}")
    if not has_area(corners):
        return None
    outline = check_outline(annotation.get("segmentation", []), *size) if masks else None
    return Box(corners, label, bool(annotation.get("iscrowd", 0)), area, outline)


def _tell_of_empty(file: Path, empty: Sequence[str], count: int) -> None:
    if len(empty) == count:
        raise ValueError(f"{file} must have at least one box with an area, but has none")
    if empty:
        _log.warning(
            "%s: %d of %d boxes have no area and are left out, such as that of %s", file, len(empty), count, empty[0]
        )
