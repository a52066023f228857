"""Images with boxes or labels of pixels that networks are evaluated on: whether they fit, and which they were."""

import logging
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from gradscape._digest import TensorDigest, digest_model
from gradscape._provenance import Provenance, current_versions
from gradscape.data.named_batches import KnownImages
from gradscape.models import Classifier
from gradscape.studies.evaluation import SEEN, TEST
from gradscape.studies.image_records import record_test, was_trained_with

__all__ = ["AnnotatedImageBatches", "annotated_provenance", "begun_digest", "check_annotated_classes"]

_log = logging.getLogger(__name__)


@runtime_checkable
class AnnotatedImageBatches(KnownImages, Protocol):
    """Batches of (images, targets), boxes or labels of pixels, and what is known of them; attributes as in `Split`."""

    @property
    def classes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def image_size(self) -> int: ...  # noqa: D102
    @property
    def batch_size(self) -> int: ...  # noqa: D102

    def __iter__(self) -> Iterator[tuple[Tensor, Any]]: ...


def check_annotated_classes(model: nn.Module, split: AnnotatedImageBatches) -> None:
    """Refuse images of other classes than a network's, or in another order; warn where only names differ.

    Args:
        model: The network; nothing is known of one that is no `Classifier`.
        split: The images.

    Raises:
        ValueError: They do not fit.
    """
    if not isinstance(model, Classifier):
        return
    known, labels = model.meta["num_classes"], model.labels
    if known != len(split.classes):
        raise ValueError(
            f"`split` must be of the {known} classes that the network tells apart, but {split.name} has "
            f"{len(split.classes)}; take images of its own classes"
        )
    if not labels or tuple(labels) == tuple(split.classes):
        return
    if sorted(labels) == sorted(split.classes):
        raise ValueError(
            f"`split` must count its classes as the network does, but {split.name} has them in another order; bring "
            "them into that of `gradscape import --labels`"
        )
    own, other = next(pair for pair in zip(labels, split.classes, strict=True) if pair[0] != pair[1])
    _log.warning(
        "classes of %s have other names, such as %r for %r: see that the same are meant", split.name, other, own
    )


def begun_digest(split: AnnotatedImageBatches) -> TensorDigest:
    """The digest of the images as one batch, to which they are still to be added."""
    digest = TensorDigest()
    digest.begin("images", torch.float32, (split.num_images, 3, split.image_size, split.image_size))
    return digest


def annotated_provenance(
    model: nn.Module, split: AnnotatedImageBatches, *, image_digest: str, resamples: int, seed: int
) -> Provenance:
    """Which network and which images, exactly, and the versions.

    Args:
        model: The network.
        split: What it was shown.
        image_digest: Of these images.
        resamples: How often they were drawn anew for intervals.
        seed: Of the drawing.
    """
    about = model.meta if isinstance(model, Classifier) else {}
    path = model.path if isinstance(model, Classifier) else None
    return Provenance(
        model=about.get("name"),
        weights=digest_model(model),
        data=split.name,
        split=split.split,
        images=split.num_images,
        image_digest=image_digest,
        population=split.population,
        seed=seed,
        versions=current_versions("torchvision", "faster-coco-eval"),
        others={
            TEST: record_test(split),
            "batch_size": split.batch_size,
            "resamples": resamples,
            **({SEEN: True} if was_trained_with(about, split) else {}),
            **({"checkpoint": path} if path else {}),
        },
    )
