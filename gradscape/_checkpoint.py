"""Checkpoints: one `.safetensors` file that holds a network's state and everything needed to use it."""

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Shaped
from safetensors.torch import save
from torch import Tensor, nn

from gradscape._digest import digest_model
from gradscape._files import check_readable, replacing
from gradscape._model_state import check_made
from gradscape._provenance import current_versions
from gradscape._safetensors import read_safetensors

__all__ = ["Classifier", "amend_checkpoint", "read_checkpoint", "save_checkpoint"]

_METADATA_KEY = "gradscape"
_REQUIRED = ("name", "num_classes", "image_size", "mean", "std", "labels")


class Classifier(nn.Module):
    """A network together with the normalization of its images: takes float32 images in [0, 1].

    A network of one channel takes color images too, which become gray: R + 0.587·(G − R) + 0.114·(B − R), so that an
    image of three equal channels loses nothing. One of three channels takes gray images as three equal channels.

    Attributes:
        network: The bare network, which takes normalized images.
        mean: Mean of each channel in [0, 1], (1, channels, 1, 1).
        std: Standard deviation of each channel, (1, channels, 1, 1).
        labels: Names of the classes, or None.
        image_size: Side of the images in pixels.
        meta: Everything the checkpoint says: name, num_classes, image_size, mean, std, labels, and what else was saved.
        path: The file that it was loaded from, as it was given; None where it comes from none.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, meta: Mapping[str, Any]) -> None:
        super().__init__()
        self.network = network
        self.meta = dict(meta)
        self.path: str | None = None
        self.labels: list[str] | None = self.meta["labels"]
        self.image_size: int = self.meta["image_size"]
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(self.meta[name]).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Shaped[Tensor, "batch channels height width"]) -> Any:
        """Return the network's output, logits (batch, classes) for a classifier.

        Args:
            images: Float images in [0, 1].

        Raises:
            TypeError: If the images are integers, and so not in [0, 1].
            ValueError: If they have other channels than the network takes.
        """
        if not images.is_floating_point():
            raise TypeError(f"`images` must be floating point in [0, 1], got {images.dtype}; divide by 255 first")
        return self.network((self._in_own_channels(images) - self.mean) / self.std)

    def _in_own_channels(self, images: Tensor) -> Tensor:
        own, came = self.mean.shape[1], images.shape[-3]
        if came == own or (came, own) == (1, 3):
            return images
        if (came, own) == (3, 1):
            red, green, blue = images.split(1, dim=-3)
            return red + 0.587 * (green - red) + 0.114 * (blue - red)
        raise ValueError(f"`images` must have the {own} channels of `mean`, got {came}; give such images")


def save_checkpoint(
    path: str | os.PathLike[str],
    model: nn.Module,
    *,
    name: str,
    num_classes: int,
    image_size: int,
    mean: Sequence[float],
    std: Sequence[float],
    labels: Sequence[str] | None = None,
    **meta: Any,
) -> None:
    """Write a network and what is needed to use it to one file, all at once or not at all.

    Args:
        path: The file, `.safetensors`.
        model: A network that takes normalized images, or a loaded `Classifier`, of which the network is written.
        name: The model's name as `create_model` takes it, options included.
        num_classes: Number of classes.
        image_size: Side of the images in pixels.
        mean: Mean of each channel that the network takes, in [0, 1]: three for color, one for gray.
        std: Standard deviation of each channel.
        labels: Names of the classes.
        **meta: What else to keep (recipe, data, scores …): anything that JSON can hold. The digest of the weights and
            the versions are added.

    Raises:
        ValueError: If the suffix or a value is wrong.
        TypeError: If the state holds something else than tensors, or `meta` something that JSON cannot hold.
        OSError: If the file cannot be written.

    Example:
        >>> from gradscape.models import create_model, load_checkpoint
        >>> about = {"name": "resnet20", "num_classes": 10, "image_size": 16, "mean": (0.5,) * 3, "std": (0.25,) * 3}
        >>> save_checkpoint("net.safetensors", create_model("resnet20"), **about, data="digits")
        >>> load_checkpoint("net.safetensors").meta["data"]
        'digits'
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"`path` must end in .safetensors, got {path.name}")
    network = model.network if isinstance(model, Classifier) else model
    check_made(network)
    described = {
        "name": name,
        "num_classes": num_classes,
        "image_size": image_size,
        "mean": [float(value) for value in mean],
        "std": [float(value) for value in std],
        "labels": None if labels is None else list(labels),
    }
    _check_meta(described)
    made = {"weights": digest_model(Classifier(network, described)), "versions": current_versions()}
    try:
        # A loaded model's own entries are made anew where they stood: saved again it changes no byte. A user's stay.
        theirs = {name: value for name, value in meta.items() if not _is_made_here(name, value)}
        text = json.dumps({**made, **theirs, **described})
    except TypeError as error:
        raise TypeError(f"`meta` must be what JSON can hold: {error}") from error
    state = {}
    for key, tensor in network.state_dict().items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"the state of `model` must be tensors only, got {type(tensor).__name__} at {key}")
        # Tied parameters become equal copies, which load into tied parameters again.
        state[key] = tensor.detach().to("cpu", copy=True).contiguous()
    with replacing(path) as partial:
        partial.write_bytes(save(state, metadata={_METADATA_KEY: text}))


def _is_made_here(name: str, value: object) -> bool:
    """Whether an entry is the digest or the versions that `save_checkpoint` adds."""
    if name == "weights":
        return isinstance(value, str) and re.fullmatch("[0-9a-f]{16}", value) is not None
    return name == "versions" and isinstance(value, Mapping) and "gradscape" in value


def read_checkpoint(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_checkpoint` wrote.

    Args:
        path: The file.

    Returns:
        The network's state, and name, num_classes, image_size, mean, std, labels and what else was saved; `weights`
        and `versions` are missing from files of 0.1.0.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a checkpoint of gradscape.
    """
    path = Path(path)
    check_readable(path)
    state, metadata = read_safetensors(path) if path.suffix == ".safetensors" else ({}, {})
    if _METADATA_KEY not in metadata:
        drawn = path.suffix == ".h5"
        imported = f"gradscape import {path} --model NAME --mean a,b,c --std a,b,c -o x.safetensors"
        advice = f"`gradscape plot {path}` draws a surface" if drawn else f"run `{imported}` first"
        raise ValueError(f"{path} is not a checkpoint of gradscape; {advice}")
    try:
        meta = json.loads(metadata[_METADATA_KEY])
        _check_meta(meta)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is a damaged checkpoint: {error}") from error
    return state, meta


def amend_checkpoint(path: str | os.PathLike[str], **meta: Any) -> None:
    """Change what a checkpoint says of its network, all at once; its tensors stay as they are, to the byte.

    Args:
        path: The file; of a link, the file that it leads to.
        **meta: Entries that are new or take the place of others, as `save_checkpoint` takes them.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a checkpoint of gradscape, or an entry is what the network needs to be used.
        TypeError: If an entry is something that JSON cannot hold.
        OSError: If the file cannot be written.
    """
    if fixed := sorted({*_REQUIRED, "weights"} & meta.keys()):
        raise ValueError(
            f"`meta` must not change {', '.join(fixed)}, which the weights belong to: save a new checkpoint"
        )
    target = Path(path).resolve()
    known = read_checkpoint(target)[1]
    try:
        text = json.dumps({**known, **meta})
    except TypeError as error:
        raise TypeError(f"`meta` must be what JSON can hold: {error}") from error
    state, metadata = read_safetensors(target)
    with replacing(target) as partial:
        partial.write_bytes(save(state, metadata={**metadata, _METADATA_KEY: text}))


def _check_meta(meta: Any) -> None:
    missing = [key for key in _REQUIRED if key not in meta]
    if missing:
        raise ValueError(f"its description lacks {', '.join(missing)}")
    if not isinstance(meta["name"], str):
        raise TypeError(f"`name` must be a model's name, got {meta['name']!r}")
    for key in ("num_classes", "image_size"):
        if not isinstance(meta[key], int) or meta[key] < 1:
            raise ValueError(f"`{key}` must be a positive integer, got {meta[key]!r}")
    for key in ("mean", "std"):
        if not meta[key] or not all(math.isfinite(value) for value in meta[key]):
            raise ValueError(f"`{key}` must be finite numbers, one for each channel, got {meta[key]!r}")
    if len(meta["mean"]) != len(meta["std"]):
        raise ValueError(f"`mean` and `std` must be of as many channels, got {meta['mean']!r} and {meta['std']!r}")
    if min(meta["std"]) <= 0:
        raise ValueError(f"`std` must be positive, got {meta['std']!r}")
    labels = meta["labels"]
    if labels is not None and len(labels) != meta["num_classes"]:
        more = f"; is the first, {labels[0]!r}, a heading?" if len(labels) == meta["num_classes"] + 1 else ""
        raise ValueError(f"`labels` must name each of the {meta['num_classes']} classes, got {len(labels)} names{more}")
