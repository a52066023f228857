"""The front door to data with boxes, masks or a class for each pixel: a data set's name to its batches."""

from typing import Any, Literal, get_args, overload

from torch import Tensor

from gradscape._names import unknown_name
from gradscape._profile import spent_on
from gradscape.data.annotated_split import AnnotatedSplit, Kind, is_annotated, kinds_of
from gradscape.data.coco import coco_boxes
from gradscape.data.load import check_loading
from gradscape.data.voc import voc_boxes, voc_pixels

__all__ = ["annotated_size", "annotated_source", "load_annotated"]

_SIZES = {"coco": 640, "voc": 512}  # by which their published pictures are not made smaller


@overload
def load_annotated(
    name: str,
    split: str,
    *,
    kind: Literal["boxes", "masks"] = ...,
    image_size: int | None = ...,
    batch_size: int = ...,
    limit: int | None = ...,
    seed: int = ...,
) -> AnnotatedSplit[dict[str, Tensor]]: ...
@overload
def load_annotated(
    name: str,
    split: str,
    *,
    kind: Literal["pixels"],
    image_size: int | None = ...,
    batch_size: int = ...,
    limit: int | None = ...,
    seed: int = ...,
) -> AnnotatedSplit[Tensor]: ...
@overload
def load_annotated(
    name: str,
    split: str,
    *,
    kind: Kind,
    image_size: int | None = ...,
    batch_size: int = ...,
    limit: int | None = ...,
    seed: int = ...,
) -> AnnotatedSplit[Any]: ...
@spent_on("data")
def load_annotated(
    name: str,
    split: str,
    *,
    kind: Kind = "boxes",
    image_size: int | None = None,
    batch_size: int = 16,
    limit: int | None = None,
    seed: int = 0,
) -> AnnotatedSplit[Any]:
    """Load one split of data with boxes, with boxes and a mask for each, or with a class for each pixel.

    - `coco:PATH`: a folder with `annotations/instances_train2017.json`, say, or `train.json`, and the images in
      `train2017`, `train`, `images` or PATH itself; test is `val` where there is none. Or one .json file, the images
      beside it or in a folder beside it; every split is all of it, and called "all".
    - `voc:PATH`: a folder with `JPEGImages`, `Annotations`, `SegmentationClass` and `ImageSets`, or with one folder
      that has them. It is trained with `trainval`, if there, and tested on `test`; where there is no `test`, it is
      trained with `train` and tested on `val`. Classes other than Pascal VOC's are those of `class_names.txt`, the
      background first, or, but for pixels, those that the annotations name, in alphabetical order.

    Args:
        name: One of the above.
        split: "train" or "test".
        kind: "boxes", "masks" (of `coco:`) or "pixels" (of `voc:`).
        image_size: Side of the square canvases in pixels. None: 640 for `coco:`, 512 for `voc:`.
        batch_size: Images in a batch.
        limit: Take a random subset of so many images, in random order; a smaller one is the beginning of a larger one
            with the same seed. None: all images, in the data set's own order.
        seed: Chooses the subset.

    Returns:
        The batches, with names, counts and statistics.

    Raises:
        ValueError: Another name, kind or split, a number below 1, or data that are not as they should be, with the name
            of the file and what is wrong in it.
        FileNotFoundError: The data are not where they were looked for.
    """
    check_loading(split, image_size=image_size, batch_size=batch_size, limit=limit, seed=seed)
    if kind not in get_args(Kind):
        raise unknown_name("kind", kind, get_args(Kind))
    return AnnotatedSplit(
        annotated_source(name, split, kind),
        name=name,
        kind=kind,
        image_size=image_size or annotated_size(name),
        batch_size=batch_size,
        limit=limit,
        seed=seed,
    )


def annotated_size(name: str) -> int:
    """Side of a data set's canvases where nothing else is said, in pixels."""
    return _SIZES[name.partition(":")[0]]


def annotated_source(name: str, split: str, kind: Kind) -> Any:
    """The pictures of one split before they are chosen and cut into batches; arguments as for `load_annotated`."""
    form, _, path = name.partition(":")
    if not is_annotated(name) or not path:
        raise ValueError(f"`name` must be coco:PATH or voc:PATH for {kind}, but came as {name!r}")
    if kind not in kinds_of(name):
        other = "voc" if kind == "pixels" else "coco"
        raise ValueError(f"`name` {name!r} has no {kind} that are read here: give {other}:PATH, or another `kind`")
    if form == "coco":
        return coco_boxes(path, split, masks=kind == "masks")
    return voc_pixels(path, split) if kind == "pixels" else voc_boxes(path, split)
