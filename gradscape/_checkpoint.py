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
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from gradscape._digest import digest_model
from gradscape._files import replacing
from gradscape._names import error_line
from gradscape._provenance import current_versions

__all__ = ["Classifier", "read_checkpoint", "read_foreign_state", "save_checkpoint"]

_METADATA_KEY = "gradscape"
_REQUIRED = ("name", "num_classes", "image_size", "mean", "std", "labels")
_WRAPPERS = ("state_dict", "model", "net")


class Classifier(nn.Module):
    """A network together with the normalization of its images: takes float32 images in [0, 1].

    Attributes:
        network: The bare network, which takes normalized images.
        mean: Mean of each color channel in [0, 1], (1, 3, 1, 1).
        std: Standard deviation of each color channel, (1, 3, 1, 1).
        labels: Names of the classes, or None.
        image_size: Side of the images in pixels.
        meta: Everything the checkpoint says: name, num_classes, image_size, mean, std, labels, and what else was saved.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, meta: Mapping[str, Any]) -> None:
        super().__init__()
        self.network = network
        self.meta = dict(meta)
        self.labels: list[str] | None = self.meta["labels"]
        self.image_size: int = self.meta["image_size"]
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(self.meta[name]).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Shaped[Tensor, "batch 3 height width"]) -> Any:
        """Return the network's output, logits (batch, classes) for a classifier.

        Args:
            images: Float images in [0, 1].

        Raises:
            TypeError: If the images are integers, and so not in [0, 1].
        """
        if not images.is_floating_point():
            raise TypeError(f"`images` must be floating point in [0, 1], got {images.dtype}; divide by 255 first")
        return self.network((images - self.mean) / self.std)


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
        mean: Mean of each color channel, in [0, 1].
        std: Standard deviation of each color channel.
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
    _check_exists(path)
    state, metadata = _read_safetensors(path) if path.suffix == ".safetensors" else ({}, {})
    if _METADATA_KEY not in metadata:
        raise ValueError(f"{path} is not a checkpoint of gradscape; run `gradscape import {path} --model NAME …` first")
    try:
        meta = json.loads(metadata[_METADATA_KEY])
        _check_meta(meta)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is a damaged checkpoint: {error}") from error
    return state, meta


def read_foreign_state(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read a state dict that another program saved; nothing in the file is executed.

    A dict under `state_dict`, `model` or `net` is unwrapped and the prefix `module.` of a parallel model removed.

    Args:
        path: A file of `torch.save` (`.pt .pth .th .t7 .pkl`) or `.safetensors`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, or holds anything else than tensors by name.
    """
    path = Path(path)
    _check_exists(path)
    found: Any = _read_safetensors(path)[0] if path.suffix == ".safetensors" else _read_pickle(path)
    while isinstance(found, Mapping):
        inner = next((found[key] for key in _WRAPPERS if isinstance(found.get(key), Mapping)), None)
        if inner is None:
            break
        found = inner
    if not isinstance(found, Mapping) or not found:
        raise ValueError(f"{path} must hold a state dict (tensors by name), got {type(found).__name__}")
    odd = [str(key) for key, value in found.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
    if odd:
        raise ValueError(f"{path} must hold a state dict (tensors by name), but these are no tensors: {', '.join(odd)}")
    parallel = all(key.startswith("module.") for key in found)
    return {key.removeprefix("module.") if parallel else key: value for key, value in found.items()}


def _check_exists(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is not a valid safetensors file: {error_line(error)}") from error


def _read_pickle(path: Path) -> Any:
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except OSError:
        raise
    except Exception as error:  # a file made by anyone can fail in any way
        raise ValueError(
            f"{path} must be a state dict saved by torch, and is not: {error_line(error)}; nothing in it was executed; "
            "save `model.state_dict()` alone where it was made"
        ) from error


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
        if len(meta[key]) != 3 or not all(math.isfinite(value) for value in meta[key]):
            raise ValueError(f"`{key}` must be three finite numbers, one for each color, got {meta[key]!r}")
    if min(meta["std"]) <= 0:
        raise ValueError(f"`std` must be positive, got {meta['std']!r}")
    labels = meta["labels"]
    if labels is not None and len(labels) != meta["num_classes"]:
        raise ValueError(f"`labels` must name each of the {meta['num_classes']} classes, got {len(labels)} names")
