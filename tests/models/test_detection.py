"""Detectors against torchvision's own, called as its authors do, and by what holds for any."""

import copy
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.detection import FCOS, FasterRCNN, MaskRCNN, RetinaNet

from gradscape.models import count_parameters, create_model
from gradscape.models.detection import Detector

KINDS = ("faster_rcnn", "mask_rcnn", "retinanet", "fcos")
SIDE, CLASSES = 64, 3
BOXES: list[list[tuple[float, float, float, float, int]]] = [
    [(4, 6, 40, 50, 0), (20, 20, 60, 44, 2)],
    [],
    [(8, 8, 30, 60, 1)],
]


def _detector(kind: str, *, classes: int = CLASSES) -> Detector:
    torch.manual_seed(3)
    detector = create_model(f"{kind}:resnet18", num_classes=classes, image_size=SIDE)
    assert isinstance(detector, Detector)
    for module in detector.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    if kind.endswith("rcnn"):
        detector.detector.roi_heads.detections_per_img = 10
    return detector.eval()


def _batch(kind: str, *, slots: int = 4) -> tuple[Tensor, dict[str, Tensor]]:
    """Three images, the second of which shows nothing, with a crowd in the first."""
    images = torch.randn(len(BOXES), 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    boxes = torch.zeros(len(BOXES), slots, 4)
    classes = torch.full((len(BOXES), slots), -1)
    crowd = torch.zeros(len(BOXES), slots, dtype=torch.bool)
    masks = torch.zeros(len(BOXES), slots, SIDE, SIDE, dtype=torch.bool)
    for image, objects in enumerate(BOXES):
        for slot, (*corners, index) in enumerate(objects):
            boxes[image, slot], classes[image, slot] = torch.tensor(corners), index
            left, top, right, bottom = map(int, corners)
            masks[image, slot, top:bottom, left:right] = True
    boxes[0, 3], classes[0, 3], crowd[0, 3] = torch.tensor([0.0, 0.0, 64.0, 64.0]), 1, True
    targets = {"boxes": boxes, "classes": classes, "crowd": crowd}
    return images, {**targets, "masks": masks} if kind == "mask_rcnn" else targets


def _torchvisions(detector: Detector) -> Any:
    """Torchvision's own class with the same weights and anchors and its own transform, which resizes nothing."""
    held: Any = copy.deepcopy(detector.detector)
    key = "rpn_anchor_generator" if hasattr(held, "rpn") else "anchor_generator"
    anchors = {key: getattr(held, "rpn", held).anchor_generator}
    build: Any = next(one for one in (MaskRCNN, FasterRCNN, RetinaNet, FCOS) if isinstance(held, one))
    classes = CLASSES + 1 if hasattr(held, "rpn") else CLASSES
    shape = {"min_size": SIDE, "max_size": SIDE, "image_mean": [0.0] * 3, "image_std": [1.0] * 3}
    own = build(held.backbone, classes, **anchors, **shape)
    own.load_state_dict(held.state_dict())
    if hasattr(held, "rpn"):
        own.roi_heads.detections_per_img = 10
    return own


def _own_targets(kind: str, targets: dict[str, Tensor], image: int) -> dict[str, Tensor]:
    count = len(BOXES[image])
    found = {
        "boxes": targets["boxes"][image, :count],
        "labels": targets["classes"][image, :count] + (1 if kind.endswith("rcnn") else 0),
    }
    return {**found, "masks": targets["masks"][image, :count].byte()} if kind == "mask_rcnn" else found


@pytest.mark.parametrize("kind", KINDS)
def test_detections_are_torchvisions_with_classes_from_0(kind: str) -> None:
    detector = _detector(kind)
    detector.detector.score_thresh = 0.0  # of the untrained no object would be found
    if kind.endswith("rcnn"):
        detector.detector.roi_heads.score_thresh = 0.3
    own = _torchvisions(detector).eval()
    own.score_thresh = 0.0
    if kind.endswith("rcnn"):
        own.roi_heads.score_thresh = 0.3
    images, _ = _batch(kind)
    with torch.no_grad():
        found, expected = detector(images), own([*images])
    shift = 1 if kind.endswith("rcnn") else 0
    for one, other in zip(found, expected, strict=True):
        assert len(one["boxes"]) > 3
        torch.testing.assert_close(one["boxes"], other["boxes"])
        torch.testing.assert_close(one["scores"], other["scores"])
        assert torch.equal(one["classes"], other["labels"] - shift)
        assert one["classes"].min() >= 0
        assert one["classes"].max() < CLASSES
        assert ("masks" in one) == (kind == "mask_rcnn")
        if kind == "mask_rcnn":
            assert torch.equal(one["masks"], other["masks"][:, 0])
            assert one["masks"].shape == (len(one["boxes"]), SIDE, SIDE)


@pytest.mark.parametrize("kind", KINDS)
def test_losses_of_an_image_are_those_that_torchvision_trains_with(kind: str) -> None:
    detector = _detector(kind)
    images, targets = _batch(kind)
    own = _torchvisions(detector).train()
    own.transform.eval()  # else it draws a size, of one
    for module in own.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    detector.train()
    for module in detector.backbone.modules():
        module.eval()
    for image in range(len(BOXES)):
        torch.manual_seed(7)
        expected = own([images[image]], [_own_targets(kind, targets, image)])
        torch.manual_seed(7)
        one = slice(image, image + 1)
        found = detector.losses(images[one], {name: values[one] for name, values in targets.items()})
        assert {name: values.shape for name, values in found.items()} == dict.fromkeys(expected, (1,))
        for name, value in expected.items():
            torch.testing.assert_close(found[name][0], value)


@pytest.mark.parametrize("kind", KINDS)
def test_losses_without_training_do_not_depend_on_the_batch_and_draw_nothing(kind: str) -> None:
    detector = _detector(kind)
    images, targets = _batch(kind)
    with torch.no_grad():
        together = detector.losses(images, targets)
        before = torch.get_rng_state()
        order = torch.tensor([2, 0, 1])
        permuted = detector.losses(images[order], {name: values[order] for name, values in targets.items()})
        assert torch.equal(torch.get_rng_state(), before)
        wider = {name: torch.cat([values, torch.zeros_like(values)], 1) for name, values in targets.items()}
        wider["classes"][:, 4:] = -1
        padded = detector.losses(images[:1], {name: values[:1] for name, values in wider.items()})
    for name, values in together.items():
        assert torch.isfinite(values).all()
        torch.testing.assert_close(permuted[name], values[order])
        torch.testing.assert_close(padded[name], values[:1])
        assert len(set(values.tolist())) > 1 or name == "loss_mask"


@pytest.mark.parametrize("kind", KINDS)
def test_detections_of_an_image_do_not_depend_on_the_batch(kind: str) -> None:
    detector = _detector(kind)
    images, _ = _batch(kind)
    with torch.no_grad():
        together, alone = detector(images), detector(images[2:])
    for name, values in alone[0].items():
        torch.testing.assert_close(together[2][name], values, atol=1e-4, rtol=1e-4)


def test_training_draws_the_sampled_proposals_from_the_global_random_state() -> None:
    detector = _detector("faster_rcnn").train()
    for module in detector.backbone.modules():
        module.eval()
    images, targets = _batch("faster_rcnn")
    first, second = (detector.losses(images, targets)["loss_objectness"] for _ in range(2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [False, True])
def test_modes_of_all_layers_stay_also_when_a_call_fails(kind: str, *, training: bool) -> None:
    detector = _detector(kind).train(training)
    next(detector.backbone.children()).train(not training)
    modes = [module.training for module in detector.modules()]
    images, targets = _batch(kind)
    detector(images)
    detector.losses(images, targets)
    assert [module.training for module in detector.modules()] == modes
    targets["boxes"][0, 0, 2] = 4
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match=r"`targets` must have boxes of positive width and height, got \[4.0, 6.0, 4"):
        detector.losses(images, targets)
    assert [module.training for module in detector.modules()] == modes
    assert training or torch.equal(torch.get_rng_state(), state)


def test_running_statistics_move_in_training_and_only_there() -> None:
    detector = _detector("retinanet")
    images, targets = _batch("retinanet")
    norm = detector.backbone.get_submodule("bn1")
    before = norm.get_buffer("running_mean").clone()
    detector.losses(images, targets)
    assert torch.equal(norm.get_buffer("running_mean"), before)
    detector.train().losses(images, targets)
    assert not torch.equal(norm.get_buffer("running_mean"), before)


def test_every_parameter_of_a_detector_has_a_gradient() -> None:
    for kind in ("mask_rcnn", "retinanet", "fcos"):
        detector = _detector(kind).train()
        images, targets = _batch(kind)
        torch.stack([values.sum() for values in detector.losses(images, targets).values()]).sum().backward()
        assert [name for name, one in detector.named_parameters() if one.grad is None] == []


def test_masks_are_asked_for() -> None:
    images, targets = _batch("faster_rcnn")
    with pytest.raises(ValueError, match="`targets` must have masks for mask_rcnn; load the data with them"):
        _detector("mask_rcnn").losses(images, targets)


@pytest.mark.parametrize(("image_size", "finest"), [(800, 32), (512, 32), (320, 20), (256, 16), (128, 8), (64, 8)])
def test_anchors_shrink_with_small_canvases_alone(image_size: int, finest: int) -> None:
    for kind in ("faster_rcnn", "retinanet"):
        made: Any = create_model(f"{kind}:shufflenet_v2_x1_0", num_classes=1, image_size=image_size)
        held = made.detector.rpn if kind == "faster_rcnn" else made.detector
        widths = [sizes[0] for sizes in held.anchor_generator.sizes]
        assert widths == [finest * 2**level for level in range(5)]
    octave = made.detector.anchor_generator.sizes[0]
    assert octave == (finest, int(finest * 2 ** (1 / 3)), int(finest * 2 ** (2 / 3)))


# Of ResNet-50: torchvision freezes its batch normalizations, whose two parameters a channel it does not count.
_NORMALIZATIONS = 53_120
# Its RetinaNet makes the sixth level from 256 channels of the pyramid, not from 2048 of the backbone.
_SIXTH_LEVEL = 9 * 256 * (2048 - 256)


@pytest.mark.parametrize(
    ("kind", "weights", "classes", "more"),
    [
        ("faster_rcnn", "FasterRCNN_ResNet50_FPN_Weights", 90, 0),
        ("mask_rcnn", "MaskRCNN_ResNet50_FPN_Weights", 90, 0),
        ("fcos", "FCOS_ResNet50_FPN_Weights", 91, 0),
        ("retinanet", "RetinaNet_ResNet50_FPN_Weights", 91, _SIXTH_LEVEL),
    ],
)
def test_detectors_have_torchvisions_documented_parameters(kind: str, weights: str, classes: int, more: int) -> None:
    documented = torchvision.models.get_weight(f"{weights}.COCO_V1").meta["num_params"]
    detector = create_model(f"{kind}:resnet50", num_classes=classes, image_size=SIDE)
    assert count_parameters(detector) == documented + _NORMALIZATIONS + more
