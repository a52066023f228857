"""From checkpoint files to models that can be used, and from other programs' files to checkpoints."""

import os
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from gradscape._checkpoint import Classifier, check_weights, open_checkpoint, save_checkpoint
from gradscape._left_as_before import process_left_as_before
from gradscape._names import error_line
from gradscape._profile import spent_on
from gradscape._text_files import read_text
from gradscape.models.fit import load_fitting
from gradscape.models.foreign_state import foreign_state, tell_classes
from gradscape.models.staged import StagedNetwork, head_name

__all__ = ["Classifier", "import_checkpoint", "load_backbone", "load_checkpoint", "save_checkpoint"]

_CHANNELS = (1, 3, 4, 2)  # the usual numbers, for the message


@process_left_as_before
@spent_on("data")
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
    stored = open_checkpoint(path)
    meta = stored.meta
    try:
        network = _build(meta["name"], num_classes=meta["num_classes"], image_size=meta["image_size"])
    except ValueError as problem:
        raise ValueError(f"{os.fspath(path)} holds a network that cannot be built: {error_line(problem)}") from problem
    load_fitting(network, stored.state, f"{os.fspath(path)} does not fit {meta['name']}")
    try:
        check_weights(network, stored)
    except ValueError as problem:
        raise ValueError(f"{os.fspath(path)} is a damaged checkpoint: {problem}") from None
    model = Classifier(network, meta).to(device).eval()
    model.path = os.fspath(path)
    return model


@process_left_as_before
def load_backbone(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Give a detector or segmenter the weights of a trained classifier, all but those of the classifier's last part.

    Args:
        model: As `create_model` makes one of `retinanet:resnet50` and the like. Its mode stays.
        path: A checkpoint of the network that its name has behind the colon, for any number of classes.

    Raises:
        TypeError: If the model is no detector or segmenter.
        FileNotFoundError: If there is no such file.
        ValueError: If it is no checkpoint of gradscape, or of another network; the model is then unchanged.

    Example:
        >>> from gradscape.models import create_model
        >>> about = {"name": "resnet18", "num_classes": 10, "image_size": 64, "mean": (0.5,) * 3, "std": (0.25,) * 3}
        >>> save_checkpoint("net.safetensors", create_model("resnet18"), **about)
        >>> detector = create_model("retinanet:resnet18", num_classes=3, image_size=64)
        >>> load_backbone(detector, "net.safetensors")
    """
    backbone = getattr(model, "backbone", None)
    if not isinstance(backbone, StagedNetwork):
        raise TypeError(f"`model` must be a detector or segmenter that create_model made, got {type(model).__name__}")
    loaded = load_checkpoint(path)
    state = loaded.network.state_dict()
    if isinstance(loaded.network, StagedNetwork):
        head = head_name(loaded.network)
        state = {key: tensor for key, tensor in state.items() if not key.startswith(f"{head}.")}
    load_fitting(backbone, state, f"{os.fspath(path)}, a {loaded.meta['name']}, does not fit the backbone")


@process_left_as_before
def import_checkpoint(
    file: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    name: str,
    num_classes: int | None,
    image_size: int,
    mean: Sequence[float],
    std: Sequence[float],
    labels: Sequence[str] | str | os.PathLike[str] | None = None,
    weights: str | None = None,
    prefix: str | None = None,
) -> None:
    """Turn another program's state dict into a checkpoint. Every key must fit; nothing in the file is executed.

    Dicts around the weights are unwrapped; `module.`, `_orig_mod.` and a beginning that all names share, such as
    `model.`, are removed.

    Args:
        file: A file of `torch.save` (`.pt .pth .ckpt .th .t7 .pkl`) or `.safetensors`.
        output: The checkpoint to write, `.safetensors`.
        name: The model's name as `create_model` takes it.
        num_classes: Number of classes; None takes it from the sizes of the state's tensors, where these tell it.
        image_size: Side of the images in pixels.
        mean: Mean of each channel, in [0, 1], that the network was trained with: three for color, one for gray.
        std: Standard deviation of each channel.
        labels: Names of the classes, or a text file with one a line.
        weights: Which, where the file holds the network more than once: "model" (as trained), "ema" (averaged over
            the training) or the place in the file, such as `state_dict_ema`.
        prefix: Takes only what has names that begin so, and removes it; the log says what is left aside.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no state dict or holds the network more than once; if a key is missing, unexpected
            or of another shape (they are counted, and those nearest to a fit are named); or if the network does not
            take images of this size with so many channels.
    """
    source = {"file": os.fspath(file), "weights": weights, "prefix": prefix}
    if isinstance(labels, str | os.PathLike):
        source["labels"] = os.fspath(labels)
        names: Sequence[str] | None = read_text(labels, "file of labels, one a line").splitlines()
    else:
        names = labels

    def build(classes: int) -> nn.Module:
        return _build(name, num_classes=classes, image_size=image_size)

    network = build(10 if num_classes is None else num_classes)
    state = foreign_state(file, network, weights=weights, prefix=prefix)
    if num_classes is None:
        num_classes = tell_classes(state, build)
        if num_classes is None:
            raise ValueError(
                f"`num_classes` must be given: the tensors in {os.fspath(file)} do not tell it for {name}; "
                "or they are of another `model`"
            )
        network = build(num_classes)
    try:
        load_fitting(network, state, f"{os.fspath(file)} does not fit {name} with {num_classes} classes")
    except ValueError as fault:
        raise ValueError(f"{fault}{_said_siblings(name, state, num_classes, image_size)}") from None
    _check_takes_images(network, name, channels=len(mean), image_size=image_size)
    save_checkpoint(
        output,
        network,
        name=name,
        num_classes=num_classes,
        image_size=image_size,
        mean=mean,
        std=std,
        labels=names,
        imported={name: value for name, value in source.items() if value is not None},
    )


def _build(name: str, *, num_classes: int, image_size: int) -> nn.Module:
    with spent_on("starting"):  # every architecture, and torchvision: seconds that a report without one saves
        from gradscape.models.create import create_model

    # The random initialization is overwritten, so the caller's random state shall not have moved.
    with torch.random.fork_rng(devices=[]):
        return create_model(name, num_classes=num_classes, image_size=image_size)


def _said_siblings(name: str, state: Mapping[str, Tensor], num_classes: int, image_size: int) -> str:
    from gradscape.models.siblings import fitting_siblings

    siblings = fitting_siblings(name, state, num_classes=num_classes, image_size=image_size)
    return f"; every one fits {' and '.join(siblings)}" if siblings else ""


def _check_takes_images(network: nn.Module, name: str, *, channels: int, image_size: int) -> None:
    """Show the network an image: what does not fit is refused here and not in the middle of a landscape."""
    problem = _problem(network, channels, image_size)
    if problem is None:
        return
    taken = [other for other in _CHANNELS if _problem(network, other, image_size) is None]
    if taken:
        numbers = " or ".join(map(str, taken))
        raise ValueError(f"`mean` and `std` must have {numbers} numbers, one for each channel that {name} takes")
    raise ValueError(
        f"{name} takes no images of {channels} channels and {image_size} pixels, so that `image_size`, or `mean` and "
        f"`std`, cannot be right: {error_line(problem)}"
    )


def _problem(network: nn.Module, channels: int, image_size: int) -> Exception | None:
    network.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            network(torch.zeros(2, channels, image_size, image_size))
    except Exception as problem:  # whatever a user's module raises
        return problem
    return None
