"""Decision maps of several networks over one plane of pictures: arrays, one page, and tables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from gradscape.data.pictures import Pictures, save_shown_pictures
from gradscape.explain.decision import decision_map, gradient_map
from gradscape.explain.decision_regions import DecisionMap
from gradscape.explain.image_plane import Norm
from gradscape.figures import save_figure
from gradscape.figures.images.decision import figure_decisions
from gradscape.models import Classifier
from gradscape.studies.networks import class_number, file_name, provenance
from gradscape.studies.picture_names import titles

__all__ = [
    "IMAGE_HEADINGS",
    "REGION_HEADINGS",
    "Decisions",
    "describe_range",
    "map_pictures",
    "tabulate_images",
    "tabulate_regions",
]

IMAGE_HEADINGS = ("image", "model", "class", "probability ")
REGION_HEADINGS = ("model", "class", "share of the map ", "mean probability ")

_MOST_REGIONS = 6  # of each model


@final
@dataclass(frozen=True, eq=False)
class Decisions:
    """Decision maps of several networks.

    Attributes:
        pictures: The three that the plane leads through, or the one that it lies around.
        maps: Model -> map.
    """

    pictures: Pictures
    maps: Mapping[str, DecisionMap]

    def save(self, folder: Path) -> list[Path]:
        """Write the pictures, `decision.npz` of each model, in folders of their names if several, and the page.

        Returns:
            What was written.
        """
        written = [save_shown_pictures(self.pictures, folder)]
        for name, one in self.maps.items():
            written.append((folder / file_name(name) if len(self.maps) > 1 else folder) / "decision.npz")
            one.save(written[-1])
        page = figure_decisions(self.maps, names=titles(self.pictures))
        return [*written, *save_figure(page, folder / "decision")]


def map_pictures(
    models: Mapping[str, Classifier],
    pictures: Pictures,
    *,
    steps: int | None = None,
    margin: float | None = None,
    norm: Norm | None = None,
    radius: float | None = None,
    class_index: str | None = None,
    seed: int = 0,
    batch_size: int = 64,
    report: Callable[[int, int], None] | None = None,
) -> Decisions:
    """Ask every network about the plane through three pictures, or along the gradient of one.

    Args:
        models: By the names that pages and folders take.
        pictures: Three, or one.
        steps: Points along the longer side; 81 by default, 41 along a gradient.
        margin: Of three pictures: how far the map goes beyond them.
        norm: Of one: "sign" or "l2".
        radius: Of one: half-width of the map.
        class_index: Of one: number or name of the class whose loss it is; by default what each network predicts.
        seed: Of the random direction.
        batch_size: Images in a forward pass.
        report: Called with the points that are done, and with all.

    Raises:
        ValueError: There are other numbers of pictures, or an option that means nothing for so many.
    """
    count = len(pictures.images)
    alone: dict[str, Any] = {"norm": norm, "radius": radius, "class": class_index}
    meaningless = {"margin": margin} if count == 1 else alone
    if count not in (1, 3):
        raise ValueError(f"`images` must be three, through which a plane leads, or one, got {count}")
    for option, given in meaningless.items():
        if given is not None:
            raise ValueError(f"`--{option}` is for {'three images' if count == 1 else 'one image'}: leave it out")
    maps = {}
    for number, (name, model) in enumerate(models.items()):
        images = pictures.images.to(model.mean.device)
        options: dict[str, Any] = {"batch_size": batch_size, "report": _part(report, number, len(models))}
        if count == 3:
            known: dict[str, Any] = {
                name: value for name, value in (("steps", steps), ("margin", margin)) if value is not None
            }
            found = decision_map(model, images, **known, **options)
        else:
            options |= {"norm": norm or "sign", "radius": radius, "steps": steps or 41, "seed": seed}
            found = gradient_map(model, images[0], class_index=class_number(class_index, models), **options)
        maps[name] = replace(found, meta={**found.meta, **provenance(name, model, pictures)})
    return Decisions(pictures, maps)


def tabulate_images(decisions: Decisions) -> list[tuple[str, ...]]:
    """Return what each network sees in the pictures themselves, under `IMAGE_HEADINGS`."""
    return [
        (
            f"{'ABC'[number]}  {picture}",
            name,
            one.class_name(int(one.image_class[number])),
            f"{100 * one.image_confidence[number]:.1f} %",
        )
        for number, picture in enumerate(decisions.pictures.names)
        for name, one in decisions.maps.items()
    ]


def tabulate_regions(decisions: Decisions) -> list[tuple[str, ...]]:
    """Return the classes that take most of each network's map, under `REGION_HEADINGS`."""
    return [
        (
            name,
            one.class_name(index),
            f"{100 * share:.1f} %",
            f"{100 * float(np.mean(one.confidence[one.class_index == index])):.1f} %",
        )
        for name, one in decisions.maps.items()
        for index, share in list(one.shares().items())[:_MOST_REGIONS]
    ]


def describe_range(decisions: Decisions) -> str:
    """Say how much of the map are images."""
    one = next(iter(decisions.maps.values()))
    share = f"{100 * float(one.inside.mean()):.1f} % of the map"
    return f"all pixels lie in [0, 1] in {share}; elsewhere nothing is clipped, and what networks say is of no image"


def _part(report: Callable[[int, int], None] | None, number: int, count: int) -> Callable[[int, int], None] | None:
    """Progress of one of several networks as that of all."""
    if report is None:
        return None
    return lambda done, points: report(number * points + done, count * points)
