"""Each kind of network is measured by its own loss on its own data, and its landscape is that of a plain loop."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradscape.data import load_annotated
from gradscape.landscape import BoxBatches, evaluate_surface, random_directions
from gradscape.landscape.engine.logits import pixel_accuracy, top1
from gradscape.models import Classifier, create_model, targets_of
from gradscape.studies.tasks import task_of
from tests.shapes import CLASSES, draw_pictures, write_coco, write_voc

SIDE = 64


def network(name: str, *, classes: int = len(CLASSES)) -> Classifier:
    torch.manual_seed(0)
    about = {"name": name, "num_classes": classes, "image_size": SIDE, "labels": None}
    normalization = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    net = create_model(name, num_classes=classes, image_size=SIDE)
    return Classifier(net, {**about, **normalization}).eval()


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("scenes")
    write_coco(folder, draw_pictures(4, seed=0), split="train2017")
    return f"coco:{folder}"


@pytest.mark.parametrize(
    ("name", "data", "loss", "metric"),
    [
        ("resnet20", "digits", "cross_entropy", top1),
        ("fcos:resnet18", "voc:x", "detection_loss", None),
        ("mask_rcnn:resnet18", "coco:x", "detection_loss", None),
        ("deeplabv3:resnet18", "voc:x", "pixel_cross_entropy", pixel_accuracy),
    ],
)
def test_a_network_is_measured_by_what_it_answers_with(name: str, data: str, loss: str, metric: Any) -> None:
    task = task_of({name: network(name)}, data)
    assert (task.kind, task.loss_name, task.metric) == (targets_of(name), loss, metric)


@pytest.mark.parametrize("name", ["fcos:resnet18", pytest.param("mask_rcnn:resnet18", marks=pytest.mark.slow)])
def test_the_landscape_of_a_detector_is_that_of_a_plain_loop_in_any_order(name: str, scenes: str) -> None:
    model = network(name)
    kind = targets_of(name)
    assert kind in ("boxes", "masks")
    split = load_annotated(scenes, "train", kind=kind, image_size=SIDE, batch_size=3)
    task, directions = task_of({name: model}, scenes), random_directions(model, seed=1)
    alphas, betas = np.array([0.3]), np.array([-0.2])
    options: dict[str, Any] = {"loss": task.loss, "metric": None, "forward": task.forward, "batch_size": 2}
    surface = evaluate_surface(model, BoxBatches(split), directions, alphas, betas, **options)
    pictures = [(split.dataset[k][0][None], {n: t[None] for n, t in split.dataset[k][1].items()}) for k in range(4)]
    expected = []
    for alpha in alphas:
        moved = network(name)
        with torch.no_grad():
            for parameter_name, parameter in moved.named_parameters():
                for coordinate, direction in zip((alpha, betas[0]), directions, strict=True):
                    if parameter_name in direction:
                        parameter.add_(direction[parameter_name], alpha=float(coordinate))
            losses = [sum(moved.losses(*picture).values()) for picture in pictures]
        expected.append(float(torch.stack([torch.as_tensor(one) for one in losses]).double().mean()))
    np.testing.assert_allclose(surface.loss[0], expected, rtol=1e-5)
    backwards = [pictures[k] for k in (2, 0, 3, 1)]
    again = evaluate_surface(model, BoxBatches(backwards), directions, alphas, betas, **options)
    np.testing.assert_allclose(again.loss, surface.loss, rtol=1e-6)


def test_networks_of_two_kinds_and_data_of_another_kind_are_refused(scenes: str) -> None:
    models = {"one": network("resnet20"), "two": network("fcos:resnet18")}
    with pytest.raises(ValueError, match="`models` must be of one kind, since they share their data"):
        task_of(models, scenes)
    with pytest.raises(ValueError, match="`data` digits has a class for each image, but fcos:resnet18 takes boxes"):
        task_of({"net": network("fcos:resnet18")}, "digits")


def test_a_segmenter_gets_pixels(tmp_path: Path) -> None:
    write_voc(tmp_path, train=draw_pictures(3, seed=0), val=draw_pictures(2, seed=1))
    task = task_of({"net": network("deeplabv3:resnet18")}, f"voc:{tmp_path}")
    images, labels = next(iter(task.load("train", image_size=SIDE)))
    assert images.shape == (3, 3, SIDE, SIDE)
    assert labels.shape == (3, SIDE, SIDE)
