"""What a network decides over a plane of images: through three of them, or along the gradient of one."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape._checkpoint import Classifier
from gradscape._left_as_before import left_as_before
from gradscape._names import class_label
from gradscape._profile import spent_on, spent_on_each
from gradscape._provenance import current_versions
from gradscape._taps import check_images_apart
from gradscape.explain.decision_regions import DecisionMap
from gradscape.explain.explainable import ForwardFunction as Forward
from gradscape.explain.explainable import call_model, called_by, explainable, images_for, title_of, uncompiled
from gradscape.explain.explained import ClassIndex, Explained, pick_scores
from gradscape.explain.image_plane import ImagePlane, Norm, along_gradient, excess, through_images
from gradscape.explain.inputs import check_finite
from gradscape.explain.logits import logits_in
from gradscape.explain.output_kind import OutputKind

__all__ = ["decision_map", "gradient_map"]

_BY_ITSELF = 1e-4  # of the largest output: more is not rounding
_OF_TYPE = 8  # times the rounding of the output's own type, where that is coarser

Report = Callable[[int, int], None]
"""Called with the points that are done, and with all."""


@left_as_before
def decision_map(
    model: nn.Module,
    images: Float[Tensor, "images channels height width"],
    *,
    steps: int = 81,
    margin: float = 0.25,
    batch_size: int = 64,
    outputs: OutputKind | None = None,
    forward: Forward | None = None,
    report: Report | None = None,
) -> DecisionMap:
    """Ask a network about the plane through three images: classes as regions, with their probability.

    Between the three all are mixtures of them, with pixels in [0, 1]. Further out some pixels are not: nothing is
    clipped, which would bend the plane, and `inside` tells where the network is asked about images.

    Args:
        model: Any classifier; run in eval mode and left as it was.
        images: Three, as the model takes them: for a loaded checkpoint in [0, 1].
        steps: Points along the longer side.
        margin: How far the map goes beyond the three, as a share of their larger extent.
        batch_size: Images in a forward pass.
        outputs: What the model's numbers are, as `heatmaps` takes it; None to have it measured.
        forward: (model, images) -> output, where the model takes more than images.
        report: Called after every batch.

    Returns:
        The map; the first image lies at (0, 0), the second at (distance, 0).

    Raises:
        TypeError: The images are no float tensor.
        ValueError: There are not three images, they lie in a line or are not finite, an option is out of range, or the
            model gives no logits (images, classes), is random in `eval()` or depends on the rest of the batch.

    Source: Somepalli et al., Can Neural Nets Learn the Same Model Twice? Investigating Reproducibility and Double
        Descent from the Decision Boundary Perspective, CVPR 2022, section 3.

    Example:
        >>> import torch
        >>> from gradscape.explain import decision_map
        >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 10))
        >>> found = decision_map(net, torch.rand(3, 3, 8, 8), steps=21)
        >>> max(found.class_index.shape), found.positions[0].tolist()
        (21, [0.0, 0.0])
    """
    called = called_by(model, forward)
    given = _checked(called, images, count=3)
    plane = through_images(given, steps=steps, margin=margin)
    about = {"margin": margin}
    with explainable(model):
        at_images = pick_scores(call_model(called, given), outputs=outputs)
        return _asked(called, given, plane, at_images, about=about, batch_size=batch_size, report=report)


@left_as_before
def gradient_map(
    model: nn.Module,
    image: Float[Tensor, "channels height width"],
    *,
    class_index: ClassIndex | None = None,
    norm: Norm = "sign",
    radius: float | None = None,
    steps: int = 41,
    seed: int = 0,
    batch_size: int = 64,
    outputs: OutputKind | None = None,
    forward: Forward | None = None,
    report: Report | None = None,
) -> DecisionMap:
    """Ask a network about the plane along the gradient of its loss by one image, and a random direction.

    Args:
        model: Any classifier; run in eval mode and left as it was.
        image: One, as the model takes it: for a loaded checkpoint in [0, 1].
        class_index: The class, by number or name, whose cross-entropy is the loss; None for the predicted one.
        norm: "sign": the gradient's signs, so that a coordinate is the change of every pixel; "l2": the gradient
            over its length, so that it is a Euclidean distance.
        radius: Half-width of the map in that unit; by default 32/255 by "sign", and as far by "l2".
        steps: Points along each side; an odd number has the image itself in the middle.
        seed: Of the random direction.
        batch_size: Images in a forward pass.
        outputs: What the model's numbers are, as `heatmaps` takes it; None to have it measured.
        forward: (model, images) -> output, where the model takes more than images.
        report: Called after every batch.

    Returns:
        The map with its `loss`; the image lies at (0, 0), and the loss rises along alpha at first.

    Raises:
        TypeError: The image is no float tensor.
        ValueError: It is not finite, the loss has no gradient there, an option is out of range, or the model gives no
            logits (images, classes), is random in `eval()` or depends on the rest of the batch.

    Source: Tramèr et al., Ensemble Adversarial Training, ICLR 2018, figure 1; Goodfellow et al. 2015 (sign).
    """
    called = called_by(model, forward)
    given = _checked(called, image[None], count=1)
    with explainable(model):
        leaf = given.clone().requires_grad_()
        output = call_model(called, leaf)
        labels = _labels(model)
        chosen = pick_scores(output, class_index=class_index, outputs=outputs, labels=labels)
        label = int(chosen.class_index[0])
        (gradient,) = torch.autograd.grad(_losses(output, chosen.outputs, label).sum(), leaf)
        plane = along_gradient(given[0], gradient[0], norm=norm, radius=radius, steps=steps, seed=seed)
        at_image = pick_scores(output.detach() if isinstance(output, Tensor) else output, outputs=chosen.outputs)
        about = {"norm": norm, "label": label, "seed": seed}
        return _asked(called, given, plane, at_image, about=about, batch_size=batch_size, report=report)


def _checked(model: nn.Module, images: Tensor, *, count: int) -> Tensor:
    given = images_for(model, images)
    if given.ndim != 4 or len(given) != count:
        wanted = "three images (3, channels, height, width)" if count == 3 else "one image (channels, height, width)"
        raise ValueError(f"`images` must be {wanted}, got the shape {tuple(images.shape)}")
    check_finite(given)
    return given


def _asked(
    model: nn.Module,
    images: Tensor,
    plane: ImagePlane,
    at_images: Explained,
    *,
    about: dict[str, Any],
    batch_size: int,
    report: Report | None,
) -> DecisionMap:
    """The model's answers at all points; inside of `explainable`."""
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1, got {batch_size}")
    _check_by_itself(model, images)
    grid = len(plane.betas), len(plane.alphas)
    label = int(about.get("label", -1))
    answers = list(_answers(model, images, plane, at_images.outputs, label=label, size=batch_size, report=report))
    class_index, confidence, loss, outside = (np.concatenate(one).reshape(grid) for one in zip(*answers, strict=True))
    names = _labels(model) or ()
    occurring = {*class_index.ravel().tolist(), *at_images.class_index.tolist(), *([label] if label >= 0 else [])}
    return DecisionMap(
        alphas=plane.alphas,
        betas=plane.betas,
        class_index=class_index,
        confidence=confidence,
        loss=loss,
        excess=outside,
        positions=plane.positions,
        images=images.detach().float().cpu().numpy(),
        image_class=at_images.class_index,
        image_confidence=at_images.probability,
        norm=str(about.get("norm", "")),
        label=label,
        classes={index: name for index in sorted(occurring) if (name := class_label(names, index))},
        meta={
            "model": title_of(model),
            "outputs": at_images.outputs,
            "versions": current_versions(),
            **{name: value for name, value in about.items() if name not in ("norm", "label")},
        },
    )


@spent_on("planning")
@torch.no_grad()
def _check_by_itself(model: nn.Module, images: Tensor) -> None:
    """Refuse a model whose answer for a point is random, or depends on the points beside it."""
    check_images_apart(model)
    several = images if len(images) > 1 else torch.cat([images, 1 - images])
    alone, again, together = (logits_in(call_model(model, given)) for given in (images[:1], images[:1], several))
    share = max(_BY_ITSELF, _OF_TYPE * torch.finfo(alone.dtype).eps)
    slack = share * float(alone.detach().double().abs().nan_to_num(0.0, 0.0, 0.0).max())
    for other, what in ((again, "is random in eval()"), (together[:1], "depends on the other images of its batch")):
        if not torch.allclose(alone.double(), other.double(), rtol=0.0, atol=slack, equal_nan=True):
            raise ValueError(f"`model` must judge each image by itself, but what it gives for one {what}")


@torch.no_grad()
def _answers(
    model: nn.Module,
    images: Tensor,
    plane: ImagePlane,
    kind: OutputKind | None,
    *,
    label: int,
    size: int,
    report: Report | None,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Class, its probability, loss, and how far pixels lie outside of [0, 1], batch by batch."""
    count = len(plane.alphas) * len(plane.betas)
    for batch, where in spent_on_each("data", plane.batches(size)):
        with spent_on("points"):
            output = call_model(model, batch.to(images.device, images.dtype))
        picked = pick_scores(output, outputs=kind)
        losses = _losses(output, kind, label) if label >= 0 else torch.full((len(batch),), torch.nan)
        yield (
            picked.class_index,
            picked.probability.astype(np.float32),
            losses.float().cpu().numpy(),
            excess(batch).numpy(),
        )
        if report is not None:
            report(where.stop, count)


def _losses(output: Any, kind: OutputKind | None, label: int) -> Tensor:
    """Cross-entropy of a class for each image: −log of its probability, without rounding it to 0 first."""
    numbers = logits_in(output)
    if kind == "logits" and numbers.shape[1] > 1:
        return F.cross_entropy(numbers, torch.full((len(numbers),), label, device=numbers.device), reduction="none")
    if kind in ("logits", "multi_label_logits"):
        logit = numbers[:, label] if numbers.shape[1] > 1 else (2 * label - 1) * numbers[:, 0]
        return F.softplus(-logit)
    if kind == "log_probabilities":
        return -numbers[:, label]
    chosen = numbers[:, label] if numbers.shape[1] > 1 else numbers[:, 0] if label else 1 - numbers[:, 0]
    return -chosen.log()


def _labels(model: nn.Module) -> Sequence[str] | None:
    plain = uncompiled(model)
    return plain.labels if isinstance(plain, Classifier) else None
