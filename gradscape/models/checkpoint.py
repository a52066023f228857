"""From checkpoint files to models that can be used, and from other programs' files to checkpoints."""

import os
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gradscape._checkpoint import Classifier, read_checkpoint, read_foreign_state, save_checkpoint

__all__ = ["Classifier", "import_checkpoint", "load_checkpoint", "save_checkpoint"]


def load_checkpoint(path: str | os.PathLike[str], *, device: str | torch.device = "cpu") -> Classifier:
    """Load a model that takes float32 images in [0, 1], in `eval()` mode.

    A checkpoint whose model is named `package.module:function` needs foreign code: loading it imports that module, from
    the current directory too, and calls the function. Load such a file only where you trust the name that it holds.

    Args:
        path: A file that `save_checkpoint` or `import_checkpoint` wrote.
        device: Where the model shall live.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no checkpoint of gradscape, or its state does not fit its model.

    Example:
        >>> import torch
        >>> from gradscape.models import create_model
        >>> about = {"name": "resnet20", "num_classes": 10, "image_size": 16, "mean": (0.5,) * 3, "std": (0.25,) * 3}
        >>> save_checkpoint("net.safetensors", create_model("resnet20"), **about)
        >>> model = load_checkpoint("net.safetensors")
        >>> model(torch.rand(2, 3, 16, 16)).shape  # images in [0, 1]
        torch.Size([2, 10])
    """
    state, meta = read_checkpoint(path)
    network = _build(meta["name"], num_classes=meta["num_classes"], image_size=meta["image_size"])
    _load_strictly(network, state, f"{os.fspath(path)} does not fit {meta['name']}")
    return Classifier(network, meta).to(device).eval()


def import_checkpoint(
    file: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    name: str,
    num_classes: int | None,
    image_size: int,
    mean: Sequence[float],
    std: Sequence[float],
    labels: Sequence[str] | None = None,
) -> None:
    """Turn another program's state dict into a checkpoint. Every key must fit; nothing in the file is executed.

    Args:
        file: A state dict, as `read_foreign_state` takes it.
        output: The checkpoint to write, `.safetensors`.
        name: The model's name as `create_model` takes it.
        num_classes: Number of classes; None takes it from the last weight of the state, where that is a matrix.
        image_size: Side of the images in pixels.
        mean: Mean of each color channel, in [0, 1], that the network was trained with.
        std: Standard deviation of each color channel.
        labels: Names of the classes.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no state dict, or a key is missing, unexpected or of another shape: all are listed.
    """
    state = read_foreign_state(file)
    if num_classes is None:
        num_classes = _classes_of(state, file)
    network = _build(name, num_classes=num_classes, image_size=image_size)
    _load_strictly(network, state, f"{os.fspath(file)} does not fit {name} with {num_classes} classes")
    save_checkpoint(
        output, network, name=name, num_classes=num_classes, image_size=image_size, mean=mean, std=std, labels=labels
    )


def _build(name: str, *, num_classes: int, image_size: int) -> nn.Module:
    from gradscape.models.create import create_model  # every architecture: seconds that a report without one saves

    # The random initialization is overwritten, so the caller's random state shall not have moved.
    with torch.random.fork_rng(devices=[]):
        return create_model(name, num_classes=num_classes, image_size=image_size)


def _load_strictly(network: nn.Module, state: dict[str, Tensor], context: str) -> None:
    expected = network.state_dict()
    # Files from before PyTorch 0.4.1 have no batch counters, and inference does not use them.
    missing = [key for key in expected if key not in state and not key.endswith(".num_batches_tracked")]
    unexpected = [key for key in state if key not in expected]
    reshaped = [
        f"{key} is {tuple(state[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in expected
        if key in state and state[key].shape != expected[key].shape
    ]
    groups = (("missing", missing), ("unexpected", unexpected), ("wrong shape", reshaped))
    faults = "; ".join(f"{len(keys)} {fault}: {', '.join(keys)}" for fault, keys in groups if keys)
    if faults:
        raise ValueError(f"{context}: {faults}")
    network.load_state_dict(state, strict=False)


def _classes_of(state: dict[str, Tensor], file: str | os.PathLike[str]) -> int:
    weights = [key for key, tensor in state.items() if tensor.ndim > 1]
    last = state[weights[-1]] if weights else None
    bias = state.get(weights[-1].removesuffix("weight") + "bias") if weights else None
    if last is None or last.ndim != 2 or (bias is not None and bias.shape != last.shape[:1]):
        raise ValueError(f"`num_classes` must be given: the last weight in {os.fspath(file)} is no classifier's matrix")
    return last.shape[0]
