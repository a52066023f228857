from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gradscape.models import count_parameters, create_model, import_checkpoint, load_checkpoint

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
GOLDSTEIN = {
    "mean": (125.3 / 255, 123.0 / 255, 113.9 / 255),
    "std": (63.0 / 255, 62.1 / 255, 66.7 / 255),
}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("resnet20", 269_722),
        ("resnet32", 464_154),
        ("resnet44", 658_586),
        ("resnet56", 853_018),
        ("resnet110", 1_727_962),
        ("resnet56_projection", 855_770),
        ("resnet56_noshort", 853_018),
    ],
)
def test_parameters_equal_the_published_networks_to_the_digit(name: str, parameters: int) -> None:
    assert count_parameters(create_model(name)) == parameters


@pytest.mark.parametrize(
    ("file", "name", "normalization", "accuracy", "loss"),
    [
        ("tomgoldstein-resnet56-model_300.t7", "resnet56_projection", GOLDSTEIN, 0.937, 0.265),
        ("akamaster-resnet20-12fca82f.th", "resnet20", IMAGENET, 0.915, 0.384),
        ("zheng-resnet20-model.th", "resnet20", IMAGENET, 0.910, 0.331),
    ],
)
def test_published_checkpoints_reach_their_accuracy(
    test_data: Path,
    tmp_path: Path,
    file: str,
    name: str,
    normalization: dict[str, tuple[float, float, float]],
    accuracy: float,
    loss: float,
) -> None:
    output = tmp_path / "model.safetensors"
    import_checkpoint(
        test_data / "checkpoints" / file,
        output,
        name=name,
        num_classes=None,
        image_size=32,
        mean=normalization["mean"],
        std=normalization["std"],
    )
    model = load_checkpoint(output)
    with np.load(test_data / "cifar10" / "cifar10_test1000_lossless.npz") as arrays:
        images = torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2).float() / 255
        labels = torch.from_numpy(arrays["labels"])
    with torch.no_grad():
        logits = torch.cat([model(batch) for batch in images.split(100)])
    assert (logits.argmax(1) == labels).float().mean().item() == pytest.approx(accuracy, abs=0.001)
    assert F.cross_entropy(logits, labels).item() == pytest.approx(loss, abs=0.001)


def test_padding_shortcut_subsamples_and_adds_zero_channels_on_both_sides() -> None:
    block = create_model("resnet20").get_submodule("layer2.0")
    x = torch.randn(2, 16, 6, 10)
    out = block.get_submodule("shortcut")(x)
    assert out.shape == (2, 32, 3, 5)
    assert torch.equal(out[:, 8:24], x[:, :, [0, 2, 4]][:, :, :, [0, 2, 4, 6, 8]])
    assert out[:, :8].abs().sum() == out[:, 24:].abs().sum() == 0


@pytest.mark.parametrize(("name", "residual"), [("resnet20", True), ("resnet20_noshort", False)])
def test_block_whose_branch_is_zero_passes_its_input_only_through_a_shortcut(name: str, *, residual: bool) -> None:
    block = create_model(name).eval().get_submodule("layer1.1")
    nn.init.zeros_(block.get_parameter("bn2.weight"))
    x = torch.rand(2, 16, 4, 6)
    assert torch.equal(block(x), x if residual else torch.zeros_like(x))
