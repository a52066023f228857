"""The front door: a data set's name to its batches."""

import os
from pathlib import Path

from gradscape._names import is_function_name, unknown_name
from gradscape._profile import spent_on
from gradscape.data.annotated_split import is_annotated
from gradscape.data.archives import ARCHIVES
from gradscape.data.arrays import npz_images
from gradscape.data.embedded import digits, noise
from gradscape.data.folders import folder_images
from gradscape.data.source import Source
from gradscape.data.split import Split
from gradscape.data.user_dataset import function_images

__all__ = ["check_loading", "default_size", "load_source", "load_split"]

_SPLITS = ("train", "test")
_KINDS = ("digits", *ARCHIVES, "folder:PATH", "npz:PATH", "coco:PATH", "voc:PATH", "noise:N", "package.module:function")

# Where the native size is too small, differs between images, or does not exist.
_DEFAULT_SIZES = {"digits": 16, "noise": 32, "cub200": 224, "food101": 224, "imagenet": 224, "stanford_dogs": 224}


@spent_on("data")
def load_split(
    name: str,
    split: str,
    *,
    root: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    batch_size: int = 256,
    limit: int | None = None,
    seed: int = 0,
    download: bool = False,
) -> Split:
    """Load one split of a data set by its name.

    - `digits` (scikit-learn; every fifth image of a class is test), `cifar10`, `cifar100`, `fashion_mnist`,
      `tiny_imagenet`, `imagenet` and `imagenet32` (test is their `val`), `food101`, `cub200`, `stanford_dogs`;
    - `folder:PATH`: PATH/train and PATH/test with a folder of images for each class; `val` serves where there is
      no `test`; without both, or with the class folders in PATH itself, every split is all of them;
    - `npz:PATH`: arrays `images`, uint8 or floating point in [0, 1], (N, H, W), (N, H, W, 1) or (N, H, W, 3),
      `labels` (N,) and, if wanted, `classes`; every split is the whole file;
    - `noise:N`: N images of standard normal noise, which is not in [0, 1];
    - `package.module:function`: called with `split`, if it takes it, and `image_size`; returns a map-style data set
      of (image, label) or a pair (images, labels). This runs the function's module, and calls it for the other
      split, too: where both are the same, every split is all of it.

    `coco:PATH` and `voc:PATH` have boxes and not one class for each image: `load_annotated` loads them.

    What has no split of its own is called "all" (`Split.split`), whichever is asked for; `load_train_and_test` holds
    a part of it out.

    Args:
        name: One of the above.
        split: "train" or "test".
        root: Folder of the published data sets; None: the environment's GRADSCAPE_DATA_ROOT, else `data`.
        image_size: Side of the images in pixels: the shorter side is resized to it (bilinear, antialiased) and
            the center square is cut out; of `imagenet`, `food101`, `cub200` and `stanford_dogs` the shorter side is
            made 8/7 of it: 256 for a square of 224, as networks for ImageNet are evaluated. None: native and not
            cut, but 16 for `digits`, 32 for `noise`, 224 for those four.
        batch_size: Images in a batch.
        limit: Take a class-balanced subset of so many images, in balanced order; a smaller one is the beginning
            of a larger one with the same seed. None: all images, in the data set's own order.
        seed: Chooses the subset, and the noise.
        download: Whether a published data set that is not there may be fetched.

    Returns:
        The batches, with names, counts and statistics.

    Raises:
        ValueError: An unknown name (near matches are told) or split, a number below 1, or data that are not as
            they should be, with the file's name.
        FileNotFoundError: The data are not where they were looked for.

    Example:
        >>> split = load_split("digits", "test", limit=100, batch_size=50)
        >>> [images.shape for images, labels in split]
        [torch.Size([50, 3, 16, 16]), torch.Size([50, 3, 16, 16])]
        >>> len(split.classes)
        10
    """
    check_loading(split, image_size=image_size, batch_size=batch_size, limit=limit, seed=seed)
    size = image_size or default_size(name)
    source = load_source(name, split, root=root, image_size=size, seed=seed, download=download)
    called = source.split or split
    return Split(source, name=name, split=called, image_size=size, batch_size=batch_size, limit=limit, seed=seed)


def default_size(name: str) -> int | None:
    """Side of a data set's images where nothing else is said, in pixels; None: native."""
    return _DEFAULT_SIZES.get(name.partition(":")[0])


def load_source(
    name: str,
    split: str,
    *,
    root: str | os.PathLike[str] | None,
    image_size: int | None,
    seed: int,
    download: bool,
) -> Source:
    """The images of one split before they are chosen, resized and cut into batches; arguments as for `load_split`."""
    if name in ARCHIVES:
        folder = Path(root or os.environ.get("GRADSCAPE_DATA_ROOT") or "data").expanduser()
        return ARCHIVES[name](folder, split, download=download)
    return _local_source(name, split, image_size=image_size, seed=seed)


def _local_source(name: str, split: str, *, image_size: int | None, seed: int) -> Source:
    kind, _, rest = name.partition(":")
    if name == "digits":
        return digits(split)
    if kind == "noise" and image_size is not None:
        return noise(rest, split=split, image_size=image_size, seed=seed)
    if kind == "folder" and rest:
        return folder_images(rest, split)
    if kind == "npz" and rest:
        return npz_images(rest)
    if is_annotated(name):
        raise ValueError(
            f"`name` {name!r} has no class for each image, which is needed here, but boxes or a class for each pixel: "
            "name data with classes, such as folder:PATH; load_annotated loads it"
        )
    if is_function_name(name):
        return function_images(name, split, image_size)
    if name and Path(name).exists():
        prefix = "folder" if Path(name).is_dir() else {".json": "coco"}.get(Path(name).suffix, "npz")
        raise ValueError(f"`name` {name!r} is a path: give {prefix}:{name}")
    unknown = unknown_name("name", kind, [one.partition(":")[0] for one in _KINDS], listed=False)
    raise ValueError(f"{unknown}; known: {', '.join(_KINDS)}")


def check_loading(split: str, *, image_size: int | None, batch_size: int, limit: int | None, seed: int) -> None:
    """Refuse what `load_split` does not take, before anything is read.

    Raises:
        ValueError: An unknown split, or a number below 1 (a seed below 0).
    """
    if split not in _SPLITS:
        raise ValueError(f"`split` must be one of {', '.join(_SPLITS)}, but came as {split!r}")
    for argument, value in (("image_size", image_size), ("batch_size", batch_size), ("limit", limit)):
        if value is not None and value < 1:
            raise ValueError(f"`{argument}` must be at least 1, but came as {value}")
    if seed < 0:
        raise ValueError(f"`seed` must not be negative, but came as {seed}")
