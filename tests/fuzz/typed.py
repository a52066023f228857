"""What users type: names of models and data, grids, numbers, and options."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any, final

import numpy as np
import torch

from gradscape.cli.grids import parse_grid, parse_line_grid, parse_span
from gradscape.cli.imports import parse_channels
from gradscape.data import load_split
from gradscape.models import count_parameters, create_model
from tests.fuzz.attempt import Input
from tests.fuzz.originals import KEPT
from tests.fuzz.plain_readers import Numbers
from tests.fuzz.text_damage import damage_words

__all__ = ["damaged_data_name", "damaged_grid", "damaged_model_name", "damaged_number", "damaged_option"]

_MODELS = (
    "resnet20", "resnet20@projection=true", "resnet20+se@reduction=4",
    "mobilenet_v1+ulsam@after=8:9,replace=11,groups=4", "upanet16_slim",
    "upanet16@cpa_shortcut=false", "resnet20_noshort", "cifar_resnet18+bam+ba2m@stages=2:4", "kept_network:small_net",
    "resnet18",
    "mobilenet_v2+ulsam@replace=14:17,groups=4", "timm:resnet10t", "attention56_as_reported",
    "cifar_preact_resnet18+spa_a",
)  # fmt: skip
_MODEL_WORDS = (
    "resnet20", "+se", "+ulsam", "+bam", "@", "@reduction=0", "reduction=", "groups=0", "groups=-1", "=true",
    "stages=9", "replace=99",
    "num_classes=3", "image_size=1", "torchvision:", "timm:", "os:getcwd", "kept_network:", "::", "nn.Linear",
)  # fmt: skip
_SPELLED = re.compile(r"[\w:.]+(@\w+=[^,+@]+(,\w+=[^,+@]+)*)?(\+\w+(@\w+=[^,+@]+(,\w+=[^,+@]+)*)?)*")
_DATA = ("digits", "noise:12", "npz:{images}", "folder:{folder}")
_DATA_WORDS = (
    "noise:", "noise:-1", "99999999999", "npz:", "folder:", "digits", "cifar10", "imagenet32", "/etc/passwd",
    "/dev/null", "..", "~", "coco:",
    "os:getcwd", "kept_network:", "nosuch.module:f", "#1",
)  # fmt: skip
_NUMBER_WORDS = (
    "inf",
    "nan",
    "1e308",
    "0",
    "-",
    "1/0",
    "/",
    "1_0",
    "٣",
    ":",
    ",",
    "2000",
    "2001",
    "9" * 30,
    "0.5",
    "e",
    " ",
)


def damaged_model_name(folder: Path, random: Random, place: Path) -> Input:
    """A network's name with its options; it is made without memory for its weights."""
    text = damage_words(random.choice(_MODELS), _MODEL_WORDS, random)

    def read() -> Numbers:
        with torch.device("meta"):
            return {"parameters": count_parameters(create_model(text, num_classes=7, image_size=32))}

    return Input(f"model {text!r}", read, plain=lambda: _spelled_right(text, read()))


def damaged_data_name(folder: Path, random: Random, place: Path) -> Input:
    """A data set's name."""
    right = random.choice(_DATA).format(images=KEPT / "pictures.npz", folder=KEPT / "images")
    text = damage_words(right, _DATA_WORDS, random)

    def read() -> Numbers:
        split = load_split(text, "train", image_size=16)
        images, labels = next(iter(split))
        return {"population": split.population, "shape": list(images.shape[1:]), "labels": len(labels)}

    def plain() -> Numbers:
        if text == "digits":
            return {"population": 1442, "shape": [3, 16, 16], "labels": 256}
        count = int(text.removeprefix("noise:"))
        return {"population": count, "shape": [3, 16, 16], "labels": min(count, 256)}

    return Input(f"data {text!r}", read, plain=plain)


def damaged_grid(folder: Path, random: Random, place: Path) -> Input:
    """Coordinates, as `--grid` and `--span` take them."""
    form = random.choice(_GRIDS)
    text = damage_words(form.right, _NUMBER_WORDS, random)
    return Input(
        f"{form.name} {text!r}",
        lambda: form.numbers(form.read(text)),
        plain=lambda: form.numbers(form.plain(text)),
        named=("--",),
    )


def damaged_number(folder: Path, random: Random, place: Path) -> Input:
    """Fractions, as `--mean` and `--std` take them."""
    text = damage_words(random.choice(("0.5,0.25,1", "125.3/255,123.0/255,113.9/255", "1/3")), _NUMBER_WORDS, random)

    def plain() -> Numbers:
        return {
            "numbers": [
                float(Fraction(over.strip()) / Fraction(under.strip() or "1"))
                for over, _, under in (one.partition("/") for one in text.split(","))
            ]
        }

    return Input(
        f"--mean {text!r}", lambda: {"numbers": parse_channels(text, "--mean")}, plain=plain, named=("--mean",)
    )


def damaged_option(folder: Path, random: Random, place: Path) -> Input:
    """A command with one of its options changed; all end at once, or nearly so."""
    surface, out = str(KEPT / "surface.h5"), str(place / "out")
    words, value = random.choice(_COMMANDS)
    text = damage_words(value, (*_NUMBER_WORDS, "csv", "log", "loss", "a,b", "single"), random)
    command = tuple(word.format(surface=surface, out=out, value=text) if word != text else word for word in words)
    return Input(f"{' '.join(command)!r}", dict, expected={}, command=command)


@final
@dataclass(frozen=True)
class _Grid:
    """A form of coordinates: gradscape's reader, and a plain one."""

    name: str
    right: str
    read: Callable[[str], Any]
    plain: Callable[[str], Any]

    @staticmethod
    def numbers(found: Any) -> Numbers:
        axes = found if isinstance(found, tuple) else (found,)
        return {str(number): np.asarray(one) for number, one in enumerate(axes)}


def _plain_axis(text: str) -> np.ndarray:
    first, last, count = text.split(":")
    if int(count) < 1 or not all(math.isfinite(float(end)) for end in (first, last)):
        raise ValueError(text)
    return np.linspace(float(first), float(last), int(count))


_MOST_STEPS = 2000


def _plain_axes(text: str) -> tuple[np.ndarray, ...]:
    first, second = text.split(",")
    axes = _plain_axis(first), _plain_axis(second)
    if max(map(len, axes)) > _MOST_STEPS:
        raise ValueError(text)
    return axes


_GRIDS = (
    _Grid("--grid", "-1:1:51,-0.5:0.5:26", parse_grid, _plain_axes),
    _Grid("--grid", "-0.5:0.5:51", parse_line_grid, _plain_axis),
    _Grid("--span", "0.25", parse_span, float),
)

_COMMANDS: Sequence[tuple[tuple[str, ...], str]] = (
    (("convert", "{surface}", "--to", "{value}", "-o", "{out}", "-q"), "csv"),
    (("compare", "{surface}", "--confidence", "{value}", "-o", "{out}", "-q"), "0.9"),
    (("compare", "{surface}", "--metric", "{value}", "-o", "{out}", "-q"), "sharpness"),
    (("models", "{value}", "-q"), "spa*"),
    (("plot", "{surface}", "--kind", "{value}", "-o", "{out}.txt.gif", "-q"), "filled"),
    (("plot", "{surface}", "--levels", "{value}", "-o", "{out}.gif", "-q"), "12"),
    (("plot", "{surface}", "--camera", "{value}", "-o", "{out}.gif", "-q"), "-55,32"),
    (("plot", "{surface}", "--width", "{value}", "-o", "{out}.gif", "-q"), "85mm"),
    (("plot", "{surface}", "--format", "{value}", "-o", "{out}.gif", "-q"), "pdf,png"),
    (("plot", "{surface}", "--zmax", "{value}", "-o", "{out}.gif", "-q"), "3.5"),
    (("landscape", "{surface}", "--data", "digits", "--grid", "{value}", "-o", "{out}", "-q"), "-1:1:5,-1:1:5"),
    (("landscape", "{surface}", "--data", "digits", "--limit", "{value}", "-o", "{out}", "-q"), "100"),
    (("train", "{value}", "--data", "nosuch", "-o", "{out}", "-q"), "resnet20"),
    (("train", "resnet20", "--data", "nosuch", "--epochs", "{value}", "-o", "{out}", "-q"), "3"),
    (("table", "{value}", "-q", "-o", "{out}"), "spanet:III"),
    (("figure", "{value}", "-q", "-o", "{out}"), "upanets:15"),
)


def _spelled_right(text: str, found: Numbers) -> Numbers:
    """What was found, where the name is one by its grammar: nothing in it was passed over."""
    if not _SPELLED.fullmatch(text):
        raise ValueError(f"{text!r} is no name")
    return found
