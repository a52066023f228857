"""Checkpoints: one `.safetensors` file that holds a network's state and everything needed to use it."""

import json
import math
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Shaped
from safetensors.torch import save
from torch import Tensor, nn

from gradscape._digest import digest_model, digest_tensors
from gradscape._files import check_readable, replacing
from gradscape._model_state import check_made
from gradscape._names import error_line
from gradscape._provenance import current_versions
from gradscape._safetensors import opened_safetensors, read_safetensors
from gradscape._schema import fits, shown
from gradscape._text_files import parse_json

__all__ = [
    "Classifier",
    "StoredCheckpoint",
    "amend_checkpoint",
    "check_weights",
    "is_checkpoint",
    "open_checkpoint",
    "read_checkpoint",
    "save_checkpoint",
]

_METADATA_KEY = "gradscape"
_SEAL = "checksum_of_file"
_SEALED = re.compile(r', "([^"]*)": "([0-9a-f]{8})"}$')
_FEW_CLASSES = 1000  # networks of so many are built at once, also those of one logit for two
_LARGEST_IMAGE = 16_384
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
        return self.network(self._normalized(images))

    def losses(self, images: Shaped[Tensor, "batch channels height width"], targets: Any) -> dict[str, Tensor]:
        """Return the losses of each image by name, (batch,) each, of a detector.

        Args:
            images: Float images in [0, 1].
            targets: Their boxes, as `load_annotated` gives them.

        Raises:
            TypeError: If the images are integers, or the network is no detector.
            ValueError: If they have other channels than the network takes.
        """
        losses = getattr(self.network, "losses", None)
        if losses is None:
            raise TypeError(f"`network` must be a detector to have losses of boxes, got {type(self.network).__name__}")
        return losses(self._normalized(images), targets)

    def _normalized(self, images: Tensor) -> Tensor:
        if not images.is_floating_point():
            raise TypeError(f"`images` must be floating point in [0, 1], got {images.dtype}; divide by 255 first")
        return (self._in_own_channels(images) - self.mean) / self.std

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
    parse_json(text)  # what is read again is less than what JSON can hold
    state = {}
    for key, tensor in network.state_dict().items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"the state of `model` must be tensors only, got {type(tensor).__name__} at {key}")
        # Tied parameters become equal copies, which load into tied parameters again.
        state[key] = tensor.detach().to("cpu", copy=True).contiguous()
    with replacing(path) as partial:
        partial.write_bytes(save(state, metadata={_METADATA_KEY: _sealed(text, state)}))


def _is_made_here(name: str, value: object) -> bool:
    """Whether an entry is the digest, the versions or the checksum that `save_checkpoint` adds."""
    if name == _SEAL:
        return True
    if name == "weights":
        return isinstance(value, str) and re.fullmatch("[0-9a-f]{16}", value) is not None
    return name == "versions" and isinstance(value, Mapping) and "gradscape" in value


class StoredCheckpoint(NamedTuple):
    """What a checkpoint's file holds.

    Attributes:
        state: The network's tensors by name.
        meta: What it says of them.
        sealed: Whether a checksum was there, and right; without one the digest of the weights tells damage.
    """

    state: dict[str, Tensor]
    meta: dict[str, Any]
    sealed: bool


def check_weights(network: nn.Module, stored: StoredCheckpoint) -> None:
    """Compare tensors with the digest that was made of them, as far as a file without a checksum has one.

    Args:
        network: Built as `meta` says, and of the state's names; it tells their order.
        stored: What the file holds.

    Raises:
        ValueError: They are not those that were saved.
    """
    names = [name for name, _ in (*network.named_parameters(), *network.named_buffers())]
    if stored.sealed or "weights" not in stored.meta or not stored.state.keys() >= set(names):
        return
    model = Classifier(nn.Identity(), stored.meta)
    found = [("network." + name, stored.state[name]) for name, _ in network.named_parameters()]
    found += [("mean", model.mean), ("std", model.std)]
    found += [("network." + name, stored.state[name]) for name, _ in network.named_buffers()]
    if digest_tensors(found) != stored.meta["weights"]:
        raise ValueError(
            "its numbers are not those whose digest it holds; make it or copy it again; whoever changed it on purpose "
            "removes `weights` from its description"
        )


def read_checkpoint(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_checkpoint` wrote.

    Args:
        path: The file.

    Returns:
        The network's state, and name, num_classes, image_size, mean, std, labels and what else was saved; `weights`
        and `versions` are missing from files of 0.1.0.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a checkpoint of gradscape, or a damaged one.
    """
    return open_checkpoint(path)[:2]


def is_checkpoint(path: str | os.PathLike[str]) -> bool:
    """Whether a file says of itself that `save_checkpoint` wrote it; whether it is whole is not checked.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is a damaged `.safetensors` file.
    """
    path = Path(path)
    check_readable(path)
    if path.suffix != ".safetensors":
        return False
    with opened_safetensors(path) as file:
        return _METADATA_KEY in (file.metadata() or {})


def open_checkpoint(path: str | os.PathLike[str]) -> StoredCheckpoint:
    """Read all that a checkpoint's file holds; errors as `read_checkpoint`."""
    path = Path(path)
    check_readable(path)
    state, metadata = read_safetensors(path) if path.suffix == ".safetensors" else ({}, {})
    if _METADATA_KEY not in metadata:
        drawn = path.suffix == ".h5"
        imported = f"gradscape import {path} --model NAME --mean a,b,c --std a,b,c -o x.safetensors"
        advice = f"`gradscape plot {path}` draws a surface" if drawn else f"run `{imported}` first"
        raise ValueError(f"{path} is not a checkpoint of gradscape; {advice}")
    try:
        text = metadata[_METADATA_KEY]
        meta = parse_json(text)
        _check_meta(meta)
        _check_classes(meta["num_classes"], state)
        sealed = _check_seal(text, meta, state)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is a damaged checkpoint: {error_line(error)}") from error
    return StoredCheckpoint(state, meta, sealed)


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
    parse_json(text)
    state, metadata = read_safetensors(target)
    with replacing(target) as partial:
        partial.write_bytes(save(state, metadata={**metadata, _METADATA_KEY: _sealed(text, state)}))


def _sealed(text: str, state: Mapping[str, Tensor]) -> str:
    """A description with a checksum of itself and of the tensors as its last entry."""
    return f'{text[:-1]}, "{_SEAL}": "{_checksum(text, state)}"}}'


def _checksum(text: str, state: Mapping[str, Tensor]) -> str:
    checksum = zlib.crc32(text.encode())
    for key in sorted(state):
        tensor = state[key]
        checksum = zlib.crc32(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode(), checksum)
        checksum = zlib.crc32(tensor.contiguous().flatten().view(torch.uint8).numpy().data, checksum)
    return f"{checksum:08x}"


def _check_seal(text: str, meta: dict[str, Any], state: Mapping[str, Tensor]) -> bool:
    """Whether a checksum was there, which is taken out of the description."""
    last = _SEALED.search(text)
    holds = last is not None and last[2] == _checksum(text[: last.start()] + "}", state)
    if _SEAL not in meta and not holds:
        return False
    # Right under another name, the checksum shows that its name was damaged: the file is not one without a checksum.
    if not holds or meta.pop(_SEAL, None) is None:
        raise ValueError(
            "its checksum says that it was changed; make it or copy it again; whoever changed it on purpose "
            f"removes `{_SEAL}` and `weights` from its description"
        )
    return True


def _check_classes(count: int, state: Mapping[str, Tensor]) -> None:
    """A network is built before its tensors are compared: of many classes only where one of them has the room."""
    longest = max((side for tensor in state.values() for side in tensor.shape), default=0)
    if count > max(longest, _FEW_CLASSES):
        raise ValueError(f"`num_classes` is {count:,}, and no tensor has a side of more than {longest:,}")


def _check_meta(meta: Any) -> None:
    if not isinstance(meta, Mapping):
        raise TypeError(f"its description must be a record, got {shown(meta)}")
    missing = [key for key in _REQUIRED if key not in meta]
    if missing:
        raise ValueError(f"its description lacks {', '.join(missing)}")
    if not isinstance(meta["name"], str):
        raise TypeError(f"`name` must be a model's name, got {shown(meta['name'])}")
    for key in ("num_classes", "image_size"):
        if not fits(meta[key], int) or meta[key] < 1:
            raise ValueError(f"`{key}` must be a positive integer, got {shown(meta[key])}")
    if meta["image_size"] > _LARGEST_IMAGE:
        raise ValueError(f"`image_size` must be at most {_LARGEST_IMAGE:,} pixels, got {meta['image_size']:,}")
    for key in ("mean", "std"):
        if not fits(meta[key], list[float]) or not meta[key] or not all(map(math.isfinite, meta[key])):
            raise ValueError(f"`{key}` must be finite numbers, one for each channel, got {shown(meta[key])}")
    if len(meta["mean"]) != len(meta["std"]):
        raise ValueError(
            f"`mean` and `std` must be of as many channels, got {shown(meta['mean'])} and {shown(meta['std'])}"
        )
    if min(meta["std"]) <= 0:
        raise ValueError(f"`std` must be positive, got {shown(meta['std'])}")
    labels = meta["labels"]
    if not fits(labels, list[str | int] | None):
        raise TypeError(f"`labels` must be a list of names, or null, got {shown(labels)}")
    if labels is not None and len(labels) != meta["num_classes"]:
        more = f"; is the first, {shown(labels[0])}, a heading?" if len(labels) == meta["num_classes"] + 1 else ""
        raise ValueError(f"`labels` must name each of the {meta['num_classes']} classes, got {len(labels)} names{more}")
