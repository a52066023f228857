"""Landscapes of detectors and segmenters: the losses of each picture, at every point, beside a plain loop."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.landscape import (
    BoxBatches,
    box_losses,
    box_losses_and_precision,
    detection_ap50,
    detection_loss,
    evaluate_line,
    evaluate_surface,
    find_loss,
    find_metric,
    pixel_accuracy,
    pixel_cross_entropy,
    random_directions,
)


class Boxer(nn.Module):
    """Predicts one box a picture; its losses are those of the place and of the size."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 5, 3)
        self.head = nn.Linear(5, 4)

    def losses(self, images: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        found = self.head(F.relu(self.body(images)).mean((2, 3)))
        there = (targets["classes"] >= 0)[:, :, None]
        missed = ((found[:, None] - targets["boxes"]) ** 2 * there).sum(1) / there.sum(1).clamp(min=1)
        return {"loss_objectness": missed[:, :2].sum(1), "loss_box_reg": missed[:, 2:].sum(1)}


def scenes(*, seed: int = 0, count: int = 11) -> list[tuple[Tensor, dict[str, Tensor]]]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, 3, 9, 7, generator=generator)
    boxes = torch.rand(count, 2, 4, generator=generator)
    classes = torch.randint(-1, 3, (count, 2), generator=generator)
    return [
        (images[part], {"boxes": boxes[part] * (classes[part] >= 0)[:, :, None], "classes": classes[part]})
        for part in (slice(0, 4), slice(4, count))
    ]


@pytest.fixture
def boxer() -> Boxer:
    torch.manual_seed(3)
    return Boxer().eval()


@pytest.mark.parametrize("name", ["detection_loss", "loss_box_reg"])
def test_the_surface_of_a_detector_is_that_of_a_plain_loop(boxer: Boxer, name: str) -> None:
    directions, alphas, betas = random_directions(boxer, seed=1), np.array([-0.5, 0.0, 1.0]), np.array([0.0, 0.25])
    batches = BoxBatches(scenes())
    options: dict[str, Any] = {"loss": find_loss(name), "metric": None, "forward": box_losses}
    surface = evaluate_surface(boxer, batches, directions, alphas, betas, **options)
    before = {key: value.clone() for key, value in boxer.state_dict().items()}
    for row, beta in enumerate(betas):
        for column, alpha in enumerate(alphas):
            first, second = (dict(one) for one in directions)
            moved = {k: v + alpha * first.get(k, 0) + beta * second.get(k, 0) for k, v in before.items()}
            boxer.load_state_dict(moved)
            with torch.no_grad():
                found = [boxer.losses(images, targets) for images, targets in scenes()]
            sums = [sum(one.values()) if name == "detection_loss" else one[name] for one in found]
            expected = torch.cat([torch.as_tensor(one) for one in sums]).double().mean()
            assert surface.loss[row, column] == pytest.approx(float(expected), rel=1e-5)
    assert np.isnan(surface.error).all()
    assert surface.meta["loss"] == name
    called = {"detection_loss": "loss of detection", "loss_box_reg": "loss (loss_box_reg)"}
    assert surface.field("loss").label == called[name]


def test_a_loss_that_the_detector_lacks_is_refused_by_name(boxer: Boxer) -> None:
    with pytest.raises(ValueError, match="`loss` must be one that the detector has, loss_objectness, loss_box_reg, go"):
        evaluate_line(
            boxer,
            BoxBatches(scenes()),
            random_directions(boxer, seed=1)[0],
            [0.0, 1.0],
            loss=find_loss("loss_mask"),
            metric=None,
            forward=box_losses,
        )


def test_batches_with_boxes_tell_what_their_split_tells() -> None:
    class Split(list[Any]):
        population = 50

    batches = BoxBatches(Split(scenes()))
    assert batches.population == 50
    assert not hasattr(batches, "num_images")
    assert [len(inputs[0]) for inputs, _ in batches] == [4, 7]


class Painter(nn.Module):
    """Logits for every pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.paint = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        return self.paint(images)


def painted() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    labels = torch.randint(0, 4, (6, 8, 5), generator=generator)
    labels[:, :2] = -100
    labels[2] = -100
    return torch.rand(6, 3, 8, 5, generator=generator), labels


def test_the_loss_of_pixels_is_torchs_mean_over_those_that_count() -> None:
    torch.manual_seed(0)
    (images, labels), net = painted(), Painter()
    losses = pixel_cross_entropy(net(images), labels)
    for index in (0, 1, 3, 4, 5):
        expected = F.cross_entropy(net(images[index : index + 1]), labels[index : index + 1])
        torch.testing.assert_close(losses[index], expected)
    assert losses[2] == 0
    right = net(images).argmax(1)[0, 2:] == labels[0, 2:]
    assert pixel_accuracy(net(images), labels)[0] == pytest.approx(float(right.float().mean()))
    assert pixel_accuracy(net(images), labels)[2] == 1


def test_a_surface_of_pixels_has_loss_and_share_of_wrong_ones() -> None:
    torch.manual_seed(0)
    (images, labels), net = painted(), Painter().eval()
    line = evaluate_line(
        net,
        [(images, labels)],
        random_directions(net, seed=0, ignore="none")[0],
        [0.0, 1.0],
        loss=find_loss("pixel_cross_entropy"),
        metric=find_metric("pixel_accuracy"),
    )
    with torch.no_grad():
        assert line.loss[0] == pytest.approx(float(pixel_cross_entropy(net(images), labels).mean()), rel=1e-5)
        assert line.error[0] == pytest.approx(1 - float(pixel_accuracy(net(images), labels).mean()), rel=1e-5)


class Finder(nn.Module):
    """Finds what its one weight says of each picture: boxes that are kept where a number is above it."""

    def __init__(self) -> None:
        super().__init__()
        self.least = nn.Parameter(torch.tensor(0.0))

    def forward(self, images: Tensor) -> list[dict[str, Tensor]]:
        found = []
        for image in images:
            kept = image[0, 0, :3] > self.least
            boxes = torch.tensor([[1.0, 1, 5, 5], [6, 6, 9, 9], [2, 8, 4, 9]])[kept]
            found.append({"boxes": boxes, "classes": torch.tensor([0, 1, 1])[kept], "scores": image[0, 0, :3][kept]})
        return found

    def losses(self, images: Tensor, targets: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"classification": self.least.expand(len(images))}


def test_the_error_of_a_detector_is_what_each_picture_lacks_in_precision() -> None:
    images = torch.zeros(3, 3, 10, 10)
    images[0, 0, 0, :3] = torch.tensor([0.9, 0.8, -1.0])  # both boxes, nothing else
    images[1, 0, 0, :3] = torch.tensor([0.2, -1.0, 0.9])  # one of two, and a wrong one of the other class before it
    images[2, 0, 0, :3] = torch.tensor([0.5, -1.0, -1.0])  # something where nothing is
    boxes = torch.tensor([[1.0, 1, 5, 5], [6, 6, 9, 9]]).repeat(3, 1, 1)
    classes = torch.tensor([[0, 1], [0, 1], [-1, -1]])
    boxes[2] = 0
    targets = {"boxes": boxes, "classes": classes, "crowd": torch.zeros(3, 2, dtype=torch.bool)}
    targets |= {"area": torch.tensor([[16.0, 9], [16, 9], [0, 0]]), "scale": torch.ones(3)}
    net = Finder().eval()
    output = box_losses_and_precision(net, (images, targets))
    # Of the second picture's classes one is found wholly and one not at all.
    torch.testing.assert_close(detection_ap50(output, targets), torch.tensor([1, 0.5, 1], dtype=torch.float64))
    torch.testing.assert_close(detection_loss(output, targets), torch.zeros(3))
    line = evaluate_line(
        net,
        BoxBatches([(images, targets)]),
        {"least": torch.tensor(1.0)},
        [0.0, 0.3, 0.95],
        loss=detection_loss,
        metric=find_metric("detection_ap50"),
        forward=box_losses_and_precision,
    )
    np.testing.assert_allclose(line.error, [1 - 2.5 / 3, 1 - 2 / 3, 1 - 1 / 3], rtol=1e-6)
