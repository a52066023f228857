"""Data sets of colored shapes on noise, in COCO's and in Pascal VOC's format: known things at known places."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

__all__ = [
    "CATEGORY_IDS",
    "CLASSES",
    "HEIGHT",
    "WIDTH",
    "Shape",
    "ShapePicture",
    "draw_pictures",
    "write_coco",
    "write_voc",
]

CLASSES = ("disk", "square", "triangle")
CATEGORY_IDS = (3, 7, 20)
WIDTH, HEIGHT = 128, 96
_COLORS = np.array([(60, 190, 90), (220, 70, 60), (70, 90, 230)])
_SIDES = 48  # of the polygon that stands for a disk


@dataclass(frozen=True)
class Shape:
    """One shape, upright in a square box.

    Attributes:
        label: Index into `CLASSES`.
        left: Of the box, in pixels.
        top: The same.
        size: The box's side.
        crowd: Whether it is not to be counted.
    """

    label: int
    left: int
    top: int
    size: int
    crowd: bool = False

    @property
    def box(self) -> tuple[int, int, int, int]:
        """x1, y1, x2, y2."""
        return self.left, self.top, self.left + self.size, self.top + self.size

    @property
    def area(self) -> float:
        """In pixels, of the shape itself."""
        return (np.pi / 4, 1.0, 0.5)[self.label] * self.size**2

    def polygon(self) -> list[float]:
        """Its outline, x1, y1, x2, y2 …"""
        if self.label == 0:
            angles = 2 * np.pi * np.arange(_SIDES) / _SIDES
            points = 0.5 + 0.5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        else:
            points = np.array([(0, 0), (1, 0), (1, 1), (0, 1)] if self.label == 1 else [(0, 1), (0.5, 0), (1, 1)])
        return (points * self.size + (self.left, self.top)).ravel().tolist()

    def mask(self) -> np.ndarray:
        """Of every pixel whether its middle lies in the shape."""
        y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
        x, y = (x - self.left) / self.size, (y - self.top) / self.size
        inside = (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
        if self.label == 0:
            return inside & ((x - 0.5) ** 2 + (y - 0.5) ** 2 <= 0.25)
        return inside if self.label == 1 else inside & (abs(x - 0.5) <= y / 2)


@dataclass(frozen=True)
class ShapePicture:
    """A picture and what is in it.

    Attributes:
        pixels: uint8 (HEIGHT, WIDTH, 3).
        shapes: Those in it, which do not touch.
    """

    pixels: np.ndarray
    shapes: tuple[Shape, ...]


def draw_pictures(count: int, *, seed: int) -> list[ShapePicture]:
    """Pictures with one to four shapes each, one in a quarter of the picture."""
    random = np.random.default_rng(seed)
    return [_picture(random) for _ in range(count)]


def _picture(random: np.random.Generator) -> ShapePicture:
    coarse = random.integers(60, 200, (HEIGHT // 8, WIDTH // 8, 3))
    pixels = coarse.repeat(8, 0).repeat(8, 1) + random.integers(-25, 26, (HEIGHT, WIDTH, 3))
    shapes = []
    for quarter in sorted(random.permutation(4)[: random.integers(1, 5)]):
        size, label = int(random.integers(20, 41)), int(random.integers(3))
        left = int(random.integers(WIDTH // 2 - size + 1)) + WIDTH // 2 * int(quarter % 2)
        top = int(random.integers(HEIGHT // 2 - size + 1)) + HEIGHT // 2 * int(quarter // 2)
        shapes.append(Shape(label, left, top, size))
        pixels[shapes[-1].mask()] = _COLORS[label] + random.integers(-25, 26, 3)
    return ShapePicture(pixels.clip(0, 255).astype(np.uint8), tuple(shapes))


def write_coco(root: Path, pictures: Sequence[ShapePicture], split: str = "train2017") -> Path:
    """Write `annotations/instances_SPLIT.json` and the folder SPLIT of images, lossless, and return the json file."""
    (root / split).mkdir(parents=True)
    images, annotations = [], []
    for number, picture in enumerate(pictures):
        Image.fromarray(picture.pixels).save(root / split / f"{number:06}.png", compress_level=1)
        images.append({"id": 100 + number, "file_name": f"{number:06}.png", "width": WIDTH, "height": HEIGHT})
        annotations += [_coco_annotation(shape, 100 + number) for shape in picture.shapes]
    for number, annotation in enumerate(annotations):
        annotation["id"] = 1000 + number
    categories = [{"id": one, "name": name} for one, name in zip(CATEGORY_IDS, CLASSES, strict=True)]
    file = root / "annotations" / f"instances_{split}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories[::-1]}))
    return file


def _coco_annotation(shape: Shape, image_id: int) -> dict[str, Any]:
    return {
        "image_id": image_id,
        "category_id": CATEGORY_IDS[shape.label],
        "bbox": [shape.left, shape.top, shape.size, shape.size],
        "area": shape.area,
        "iscrowd": int(shape.crowd),
        "segmentation": [shape.polygon()],
    }


def write_voc(root: Path, **splits: Sequence[ShapePicture]) -> Path:
    """Write a folder as VOC's, with boxes and with pixel labels that are void along the shapes' borders.

    Args:
        root: The folder.
        splits: Name of a list -> its pictures; those of the list NAME are called NAME_0, NAME_1 …

    Returns:
        The folder.
    """
    for folder in ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Main", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    (root / "class_names.txt").write_text("\n".join(["_background_", *CLASSES]))
    for split, pictures in splits.items():
        names = [f"{split}_{number}" for number in range(len(pictures))]
        for kind in ("Main", "Segmentation"):
            (root / "ImageSets" / kind / f"{split}.txt").write_text("\n".join(names) + "\n")
        for name, picture in zip(names, pictures, strict=True):
            Image.fromarray(picture.pixels).save(root / "JPEGImages" / f"{name}.png", compress_level=1)
            (root / "Annotations" / f"{name}.xml").write_text(_voc_xml(picture))
            labels = Image.fromarray(_voc_labels(picture)).convert("P")
            labels.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
            labels.save(root / "SegmentationClass" / f"{name}.png")
    return root


def _voc_xml(picture: ShapePicture) -> str:
    objects = ""
    for shape in picture.shapes:
        sides = zip(("xmin", "ymin", "xmax", "ymax"), shape.box, (1, 1, 0, 0), strict=True)
        corners = "".join(f"<{side}>{value + first}</{side}>" for side, value, first in sides)
        objects += (
            f"<object><name>{CLASSES[shape.label]}</name><difficult>{int(shape.crowd)}</difficult>"
            f"<bndbox>{corners}</bndbox></object>\n"
        )
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
    return f"<annotation>\n{size}\n{objects}</annotation>\n"


def _voc_labels(picture: ShapePicture) -> np.ndarray:
    labels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    for shape in picture.shapes:
        labels[shape.mask()] = shape.label + 1
    edge = np.zeros(labels.shape, dtype=bool)
    edge[1:] |= labels[1:] != labels[:-1]
    labels[edge] = 255
    return labels
