"""Whether the state that a folder holds belongs to the run that is asked for."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from gradscape._torch_files import read_torch
from gradscape.training.augmentation import Item

__all__ = ["describe_training", "read_state"]


def describe_training(network: nn.Module, train: Dataset[Item]) -> dict[str, Any]:
    """What tells one network and its training images from others, cheaply: sizes and the first image.

    Raises:
        TypeError: `train` is no map-style data set of float32 tensors.
        ValueError: Its first image is not (3, H, W) in [0, 1], or it holds fewer than two.
    """
    if not (hasattr(train, "__len__") and hasattr(train, "__getitem__")):
        raise TypeError(
            f"`train` must be a map-style data set, with a length and items by index, got {type(train).__name__}; "
            "of a loader pass its `.dataset`"
        )
    if len(train) < 2:
        raise ValueError(f"`train` must hold at least 2 images, got {len(train)}; pass more")
    image, label = train[0]
    _check_image(image)
    return {
        "network": f"{type(network).__name__} with {sum(each.numel() for each in network.parameters())} parameters",
        "images": len(train),
        "image_size": list(image.shape[1:]),
        "first_image": hashlib.sha256(image.numpy().tobytes() + _bytes_of(label)).hexdigest()[:12],
    }


def _bytes_of(label: Any) -> bytes:
    """What tells one label from another: a class, tensors by name, or a tensor."""
    if isinstance(label, Mapping):
        return b"".join(name.encode() + _bytes_of(label[name]) for name in sorted(label))
    if isinstance(label, Tensor) and label.numel() > 1:
        return label.numpy().tobytes()
    return str(int(label)).encode()


def read_state(path: Path, plan: dict[str, Any], *, resume: bool) -> dict[str, Any]:
    """Lightning's state of an unfinished or finished run, if there is one; without `resume` it is removed instead.

    Raises:
        ValueError: The file is no state of ours, or of a run with another plan.
    """
    if not resume:
        path.unlink(missing_ok=True)
    if not path.exists():
        return {}
    try:
        state = read_torch(path)
        # Of the time before there was a choice.
        before = {"loss": "cross_entropy", **state["gradscape"]["plan"]}
    except OSError:
        raise
    except Exception as error:  # torch raises nearly every type on bytes that are not its own
        raise ValueError(f"`output` must hold a state to go on from, but {path} is none; remove it") from error
    changes = [
        f"`{name}` was {before.get(name)}, is {value}" for name, value in plan.items() if before.get(name) != value
    ]
    if changes:
        raise ValueError(
            f"`output` must be a new folder or that of the same run, but in {path.parent} {', '.join(changes)}; "
            f"choose another folder, or remove {path.parent} to start anew"
        )
    return state


def _check_image(image: object) -> None:
    if not isinstance(image, Tensor) or image.dtype != torch.float32:
        kind = image.dtype if isinstance(image, Tensor) else type(image).__name__
        raise TypeError(f"`train` must give images as float32 tensors, got {kind}; divide 8-bit images by 255")
    if image.ndim != 3 or len(image) != 3:
        raise ValueError(f"`train` must give images (3, H, W), got {tuple(image.shape)}; repeat a gray channel")
    if not (image.min() >= 0 and image.max() <= 1):
        raise ValueError(
            f"`train` must give images in [0, 1], got {image.min():g} … {image.max():g}; `mean` and `std` normalize"
        )
