"""Faithfulness: whether a heatmap shows what the network's answer rests on."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypedDict

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape._arrays import load_result, save_arrays
from gradscape._checkpoint import Classifier
from gradscape._digest import digest_tensors
from gradscape._left_as_before import left_as_before
from gradscape._notebook import html_table
from gradscape._provenance import Provenance
from gradscape._taps import check_images_apart
from gradscape.explain.explainable import ForwardFunction, call_model, called_by, explainable, images_for, uncompiled
from gradscape.explain.explained import Explained, Score, pick_scores
from gradscape.explain.heatmap import Heatmaps
from gradscape.explain.output_kind import OutputKind
from gradscape.explain.removal import blurred, impute, pixel_ranks, replaced

__all__ = ["MEASURES", "Faithfulness", "Mean", "measure_faithfulness"]

MEASURES = ("deletion", "insertion", "drop", "increase", "road_morf", "road_lerf", "road", "pointing", "energy")

_ARRAYS = dict.fromkeys(("confidence", *MEASURES), Float[np.ndarray, "images"])
_ROAD_SHARES = np.arange(1, 10) / 10
_ROAD_NOISE = 0.01
_FEW = 8  # images that tell what the model's numbers are

Boxes = np.ndarray | Tensor | Sequence[Sequence[float | int]]
_Ask = Callable[[Tensor], np.ndarray]


class _FaithfulnessEntry(TypedDict):
    faults: dict[str, str]


@dataclass(frozen=True)
class Mean:
    """A measure over images.

    Attributes:
        value: Mean; NaN when no image has the measure.
        standard_error: Of the mean; NaN below two images.
        count: Number of images that have it.
    """

    value: float
    standard_error: float
    count: int


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """How faithful each of N heatmaps is, (N,) float64 each; NaN where it cannot be said.

    "Confidence" is the probability of the explained class, by the rule of `heatmaps`, or the user's score.

    Attributes:
        confidence: Of the whole image.
        deletion: Area under the confidence while pixels are deleted, the most relevant first; lower is better.
        insertion: Area under the confidence while pixels are inserted into a blur; higher is better.
        drop: Share of the confidence lost where the image is multiplied by its heatmap, 0 if none is lost; lower is
            better. NaN where the confidence is not positive.
        increase: 1 if the image multiplied by its heatmap gives a higher confidence, else 0; higher is better.
        road_morf: Mean change of the confidence while the most relevant pixels are removed and filled in; lower is
            better.
        road_lerf: The same with the least relevant pixels; higher is better.
        road: (road_lerf − road_morf)/2; higher is better.
        pointing: 1 if the heatmap's maximum lies inside the box, else 0; NaN without a box.
        energy: Share of the heatmap's sum inside the box; NaN without a box.
        faults: Image number -> why it has no numbers: "all zero", "constant", "nothing positive" or "not finite" of
            its heatmap, or "confidence not finite".
        meta: Provenance.
    """

    confidence: np.ndarray
    deletion: np.ndarray
    insertion: np.ndarray
    drop: np.ndarray
    increase: np.ndarray
    road_morf: np.ndarray
    road_lerf: np.ndarray
    road: np.ndarray
    pointing: np.ndarray
    energy: np.ndarray
    faults: Mapping[int, str]
    meta: Mapping[str, Any]

    def __post_init__(self) -> None:
        for name in MEASURES:
            if getattr(self, name).shape != (len(self.confidence),):
                raise ValueError(f"`{name}` must hold a value for each of the {len(self.confidence)} images")

    @property
    def means(self) -> dict[str, Mean]:
        """Each measure's mean over the images that have it, by name."""
        return {name: _mean(getattr(self, name)) for name in MEASURES}

    def _repr_html_(self) -> str:
        rows = [(name, mean.value, mean.standard_error, mean.count) for name, mean in self.means.items()]
        return html_table("faithfulness", ("measure", "mean", "standard error", "images"), rows)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one `.npz` file."""
        arrays = {name: getattr(self, name) for name in ("confidence", *MEASURES)}
        faults = {str(number): reason for number, reason in self.faults.items()}
        save_arrays(path, arrays, {**self.meta, "faithfulness": {"faults": faults}})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Faithfulness":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It holds no measures of faithfulness.
        """

        def made(arrays: dict[str, np.ndarray], named: _FaithfulnessEntry, meta: Provenance) -> Faithfulness:
            return cls(**arrays, faults={int(number): reason for number, reason in named["faults"].items()}, meta=meta)

        called, entry = "measures of faithfulness", _FaithfulnessEntry
        return load_result(path, "faithfulness", made, called=called, entry=entry, arrays=_ARRAYS)


@left_as_before
def measure_faithfulness(
    model: nn.Module,
    images: Shaped[Tensor, "batch channels height width"],
    heatmaps: Heatmaps,
    *,
    boxes: Boxes | None = None,
    score: Score | None = None,
    outputs: OutputKind | None = None,
    forward: ForwardFunction | None = None,
    steps: int = 50,
    batch_size: int = 64,
) -> Faithfulness:
    """Measure how faithful heatmaps are, from the model's answers to changed images.

    Each image is measured alone, in at most 2·steps + 22 forward passes of one image each, so that neither the other
    images nor their order change anything. A heatmap that shows nothing has no numbers, and a reason instead.

    - Deletion: pixels become gray, the most relevant first. Gray is the mean color of a `Classifier`'s data (zero
      after normalization) and 0 for any other model, right for a bare network, which takes normalized images.
    - Insertion: pixels come back into the image blurred by a Gaussian of 11×11 pixels, σ = 5.
    - Drop and increase: the image as given is multiplied by the displayed heatmap.
    - ROAD: 10, 20 … 90 % of the pixels are filled in by noisy linear imputation: `impute`, then normal noise of
      standard deviation 0.01 in the images' own units, drawn from a seed that is the image's own digest.
    - Pointing game without a margin; energy of the displayed heatmap. A pixel is in a box when its center is.

    Args:
        model: Takes the images, gives logits (N, classes), or what `score` reads.
        images: (N, C, H, W) floating point, those that the heatmaps explain.
        heatmaps: One for each image; what they explain is what is measured.
        boxes: (N, 4) x0, y0, x1, y1 in pixels, 0 the left and upper border of the image; a row of NaN where unknown.
        score: The function of which the heatmaps are, if they explain no class.
        outputs: What the model's numbers are, as in `heatmaps`; None for what the heatmaps say, else it is measured.
        forward: (model, images) -> output for any number of images, where the model takes more than images.
        steps: Number of steps of deletion and insertion.
        batch_size: How many changed images go through the model at a time.

    Raises:
        TypeError: The images are not floating point.
        ValueError: Images, heatmaps or boxes do not belong together, `score` is missing or out of place, or `outputs`
            contradicts the numbers.

    Source: deletion and insertion: Petsiuk et al. 2018, RISE, arXiv 1806.07421, causal metrics. Drop and increase:
    Chattopadhyay et al. 2018, Grad-CAM++, arXiv 1710.11063, on the explanation map E = L ∘ I. ROAD: Rong et al. 2022,
    arXiv 2202.00449, as changes of confidence and combined as the grad-cam package does. Pointing game: Zhang et al.
    2018, arXiv 1608.00507. Energy: Wang et al. 2020, Score-CAM, arXiv 1910.01279, energy-based pointing game.
    """
    _check(images, heatmaps, score, steps, batch_size)
    model = called_by(model, forward)
    check_images_apart(model)
    display, boxed = heatmaps.display, _checked_boxes(boxes, images.shape)
    signed = F.interpolate(torch.from_numpy(heatmaps.raw)[:, None], heatmaps.image_size, mode="bilinear")[:, 0].numpy()
    faults = dict(heatmaps.faults)
    changeable = images_for(model, images)
    measured = np.full((len(images), 1 + len(MEASURES)), np.nan)
    with explainable(model), torch.no_grad():
        gray = _gray(model, changeable)
        kind = None if score else _output_kind(model, changeable[:_FEW], outputs or heatmaps.meta.get("outputs"))
        for number, image in enumerate(changeable):
            seed = int(digest_tensors([("image", images[number])]), 16)
            pick = partial(pick_scores, class_index=int(heatmaps.class_index[number]), outputs=kind)
            ask = _asking(model, partial(pick_scores, score=score) if score else pick, batch_size)
            measured[number, 0] = ask(image[None])[0]
            if number not in faults and not display[number].any():
                faults[number] = "constant"
            if number in faults:
                continue
            ranks = pixel_ranks(display[number], signed[number], seed=seed)
            answers = _answers(ask, image, gray, display[number], ranks, steps=steps, seed=seed)
            if not np.isfinite(answers).all():
                faults[number] = "confidence not finite"
                continue
            measured[number, 1:8] = _scores(answers, steps, ranks.size)
            measured[number, 8:] = _inside(display[number], ranks, boxed[number])
    options = {"steps": steps, "gray": gray.flatten().tolist(), "road_noise": _ROAD_NOISE}
    arrays = dict(zip(("confidence", *MEASURES), measured.T.copy(), strict=True))
    described = {"method": heatmaps.method, "target_layer": heatmaps.target_layer, **options}
    return Faithfulness(**arrays, faults=dict(sorted(faults.items())), meta={**heatmaps.meta, **described})


def _check(images: Tensor, heatmaps: Heatmaps, score: Score | None, steps: int, batch_size: int) -> None:
    if len(heatmaps.image_size) != 2:
        raise ValueError(
            "`heatmaps` must be of images (N, C, H, W), whose pixels are deleted and inserted; these, "
            f"{heatmaps.raw.shape}, are not"
        )
    wanted = (len(heatmaps.raw), *heatmaps.image_size)
    if images.ndim != 4 or (len(images), *images.shape[2:]) != wanted:
        raise ValueError(
            f"`images` must be those that `heatmaps` explain, {wanted[0]} of {wanted[1]}×{wanted[2]} pixels, "
            f"got the shape {tuple(images.shape)}"
        )
    if (heatmaps.class_index < 0).any() and score is None:
        raise ValueError("`heatmaps` explain a score of your own: give the same function as `score`")
    if (heatmaps.class_index >= 0).any() and score is not None:
        raise ValueError("`heatmaps` explain classes, so that there can be no `score`; leave it out")
    for name, value in (("steps", steps), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1, got {value}")


def _checked_boxes(boxes: Boxes | None, shape: torch.Size) -> np.ndarray:
    """(N, 4) float64, NaN where there is no box."""
    if boxes is None:
        return np.full((shape[0], 4), np.nan)
    boxed = np.asarray(boxes, dtype=np.float64)
    if boxed.shape != (shape[0], 4):
        raise ValueError(f"`boxes` must be ({shape[0]}, 4), x0 y0 x1 y1 for each image, got {boxed.shape}")
    size = np.array([shape[3], shape[2]])
    low, high = boxed[:, :2], boxed[:, 2:]
    wrong = ~np.isnan(boxed).all(axis=1) & ~((low >= 0) & (low < high) & (high <= size)).all(axis=1)
    if wrong.any():
        number = int(wrong.argmax())
        raise ValueError(
            f"`boxes` must be x0 < x1, y0 < y1 within the image of {shape[3]}×{shape[2]} pixels (width×height), or NaN "
            f"where unknown, but number {number} is {boxed[number].tolist()}"
        )
    return boxed


def _gray(model: nn.Module, images: Tensor) -> Tensor:
    """(C, 1, 1), what a deleted pixel becomes."""
    plain = uncompiled(model)
    if isinstance(plain, Classifier):
        return plain.mean[0].to(images.dtype)
    return torch.zeros(images.shape[1], 1, 1, dtype=images.dtype, device=images.device)


def _output_kind(model: nn.Module, images: Tensor, stated: OutputKind | None) -> OutputKind:
    """What the model's numbers are, by its graph too, which the measuring itself does without."""
    with torch.enable_grad():
        output = call_model(model, images.clone().requires_grad_().clone())
    return pick_scores(output, outputs=stated).outputs or "logits"


def _asking(model: nn.Module, pick: Callable[[Any], Explained], batch_size: int) -> _Ask:
    """A function from images (M, C, H, W) to the confidence in each, (M,) float64."""

    def confidence(images: Tensor) -> np.ndarray:
        explained = pick(call_model(model, images.clone()))  # which may be overwritten
        if explained.outputs is None:
            return explained.scores.float().cpu().numpy()
        return explained.probability

    def ask(images: Tensor) -> np.ndarray:
        return np.concatenate([confidence(batch) for batch in images.split(batch_size)]).astype(np.float64)

    return ask


def _answers(
    ask: _Ask, image: Tensor, gray: Tensor, display: np.ndarray, ranks: np.ndarray, *, steps: int, seed: int
) -> np.ndarray:
    """Confidence in: the image, its explanation map, deletion's images, insertion's, ROAD's most and least relevant."""
    map_, order = (torch.from_numpy(array).to(image.device) for array in (display, ranks))
    counts = torch.from_numpy(_counts(steps, ranks.size)).to(image.device)
    road = torch.from_numpy(_road_images(image.float().cpu().numpy(), ranks, seed)).to(image)
    explanation = (image * map_).to(image.dtype)
    deletion, insertion = replaced(image, gray, order, counts), replaced(blurred(image), image, order, counts)
    return ask(torch.cat([torch.stack([image, explanation]), deletion, insertion, road]))


def _counts(steps: int, pixels: int) -> np.ndarray:
    """How many pixels are deleted at each step, from none to all."""
    return np.round(np.linspace(0, pixels, steps + 1)).astype(np.int64)


def _road_images(image: np.ndarray, ranks: np.ndarray, seed: int) -> np.ndarray:
    """(18, C, H, W): without 10 … 90 % of the most relevant pixels, and of the least relevant ones."""
    noise = _ROAD_NOISE * np.random.default_rng(seed).standard_normal(image.shape, np.float32)
    counts = np.round(_ROAD_SHARES * ranks.size)
    removals = [order < count for order in (ranks, ranks.size - 1 - ranks) for count in counts]
    return np.stack([impute(image, removed) + noise * removed for removed in removals])


def _scores(answers: np.ndarray, steps: int, pixels: int) -> tuple[float, ...]:
    """The measures from deletion to ROAD, in the order of `MEASURES`."""
    (whole, explained), deletion, insertion, morf, lerf = np.split(
        answers, np.cumsum([2, steps + 1, steps + 1, len(_ROAD_SHARES)])
    )
    shares = _counts(steps, pixels) / pixels
    drop = max(whole - explained, 0) / whole if whole > 0 else np.nan
    changes = morf.mean() - whole, lerf.mean() - whole
    areas = np.trapezoid(deletion, shares), np.trapezoid(insertion, shares)
    return *areas, drop, float(explained > whole), *changes, (changes[1] - changes[0]) / 2


def _inside(display: np.ndarray, ranks: np.ndarray, box: np.ndarray) -> tuple[float, float]:
    """Whether the maximum lies in the box, and the share of the sum that does."""
    if np.isnan(box).all():
        return np.nan, np.nan
    rows, columns = (np.arange(size) + 0.5 for size in display.shape)
    x0, y0, x1, y1 = box
    inside = np.outer((rows >= y0) & (rows <= y1), (columns >= x0) & (columns <= x1))
    return float(inside[ranks == 0].item()), float(
        display[inside].sum(dtype=np.float64) / display.sum(dtype=np.float64)
    )


def _mean(values: np.ndarray) -> Mean:
    known = values[np.isfinite(values)]
    value = float(known.mean()) if len(known) else np.nan
    error = float(known.std(ddof=1) / np.sqrt(len(known))) if len(known) > 1 else np.nan
    return Mean(value, error, len(known))
