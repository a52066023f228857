"""Heatmaps of boxes: at the level of the pyramid that torchvision takes the box from, and where the box is."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradscape.explain import explain_detection
from gradscape.models import create_model

SIDE = 96
LEAST_LEVEL, MOST_LEVEL = 2, 5  # of the maps that regions are cut out of


@pytest.fixture(scope="module", params=["faster_rcnn", "retinanet", "fcos"])
def detector(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(1)
    net = create_model(f"{request.param}:resnet18", num_classes=3, image_size=SIDE).eval()
    for name, parameter in net.named_parameters():
        if name.endswith("cls_logits.bias"):
            nn.init.zeros_(parameter)  # else nothing is found before training
    return net


def picture() -> Tensor:
    return torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(7)) * 4 - 2


def test_the_surest_box_is_explained_where_it_is(detector: nn.Module) -> None:
    explained = explain_detection(detector, picture(), method=["hirescam", "gradcam"])
    with torch.no_grad():
        (found,) = detector(picture())
    np.testing.assert_allclose(explained.box, found["boxes"][0].numpy(), rtol=1e-4, atol=1e-3)
    assert explained.class_index == int(found["classes"][0])
    assert explained.score == pytest.approx(float(found["scores"][0]), rel=1e-4)
    assert list(explained.heatmaps) == ["hirescam", "gradcam"]
    for one in explained.heatmaps.values():
        assert one.class_index.tolist() == [explained.class_index]
        assert one.probability[0] == pytest.approx(explained.score)
        assert one.display.shape == (1, SIDE, SIDE)
        assert one.raw.any()


def test_a_box_of_a_class_is_the_surest_of_these(detector: nn.Module) -> None:
    with torch.no_grad():
        (found,) = detector(picture())
    number = int(found["classes"][-1])
    places = (found["classes"] == number).nonzero()[:, 0]
    explained = explain_detection(detector, picture(), class_index=number)
    assert explained.class_index == number
    assert explained.score == pytest.approx(float(found["scores"][places[0]]), rel=1e-4)
    with pytest.raises(ValueError, match=rf"of class {number} that are found in the picture, from 0, but these are "):
        explain_detection(detector, picture(), class_index=number, detection=len(places))


@pytest.mark.slow
def test_the_level_is_that_which_a_region_is_cut_out_of() -> None:
    torch.manual_seed(1)
    net = create_model("faster_rcnn:resnet18", num_classes=3, image_size=SIDE).eval()
    regions: list[Tensor] = []
    heads = net.get_submodule("detector.roi_heads.box_roi_pool")
    watched = heads.register_forward_hook(lambda _module, given, _output: regions.append(given[1][0].detach()))
    levels = set()
    for place in (0, 20, 60):
        explained = explain_detection(net, picture(), detection=place)
        map_of = next(iter(explained.heatmaps.values())).raw.shape[-1]
        level = int(math.log2(SIDE / map_of))
        levels.add(level)
        # A region's box moves when the head corrects it: some region of that level lies over the found box.
        proposals = regions[-1]
        sides = ((proposals[:, 2] - proposals[:, 0]) * (proposals[:, 3] - proposals[:, 1])).sqrt()
        own = (4 + torch.log2(sides / 224) + 1e-6).floor().clamp(LEAST_LEVEL, MOST_LEVEL)
        boxes = torch.from_numpy(explained.box)[None].expand(len(proposals), 4)
        over = (torch.minimum(boxes[:, 2:], proposals[:, 2:]) > torch.maximum(boxes[:, :2], proposals[:, :2])).all(1)
        assert level in own[over].int().tolist()
    watched.remove()
    assert levels <= set(range(LEAST_LEVEL, MOST_LEVEL + 1))


def test_a_detector_without_a_pyramid_and_a_classifier_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`model` must have one feature pyramid of torchvision's, .* got 0"):
        explain_detection(create_model("resnet20"), torch.rand(1, 3, 32, 32))


def test_a_negative_place_a_name_without_labels_and_methods_that_change_pictures_are_refused(
    detector: nn.Module,
) -> None:
    with pytest.raises(ValueError, match=r"`detection` must be a number from 0, the surest, got -1"):
        explain_detection(detector, picture(), detection=-1)
    with pytest.raises(ValueError, match=r"`class_index` 'cat' is a name, but the model has no labels"):
        explain_detection(detector, picture(), class_index="cat")
    with pytest.raises(ValueError, match=r"`method` must be one of gradcam, .* for parts of pictures, got scorecam"):
        explain_detection(detector, picture(), method=["scorecam"])


def test_explaining_leaves_the_detector_as_it_was(detector: nn.Module) -> None:
    before = {name: one.clone() for name, one in detector.state_dict().items()}
    explain_detection(detector, picture())
    assert all(torch.equal(one, before[name]) for name, one in detector.state_dict().items())
    assert not detector.training
    assert all(not module._forward_hooks for module in detector.modules())
