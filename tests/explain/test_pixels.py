"""Heatmaps of a segmenter's pixels: where its logits are linear in the features, everything is known."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradscape.explain import NothingFoundError, explain_pixels
from gradscape.models import create_model

CLASSES, CHANNELS, HEIGHT, WIDTH = 5, 7, 9, 12
REGION = (2, 3, 8, 5)


@pytest.fixture(scope="module")
def segmenter() -> nn.Sequential:
    """Features, and logits that are linear in them at each pixel."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        features = nn.Conv2d(3, CHANNELS, 3, padding=1)
        return nn.Sequential(features, nn.Conv2d(CHANNELS, CLASSES, 1, bias=False)).eval()


def pictures() -> Tensor:
    return torch.rand(2, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))


def features_and_logits(segmenter: nn.Sequential) -> tuple[np.ndarray, np.ndarray]:
    with torch.no_grad():
        features = segmenter[0](pictures())
        return features.numpy(), segmenter[1](features).numpy()


def test_a_region_is_explained_by_its_logits_and_no_place_beyond_it(segmenter: nn.Sequential) -> None:
    found = explain_pixels(segmenter, pictures(), class_index=3, region=REGION, method=["hirescam"], target_layer="0")
    logits = features_and_logits(segmenter)[1][:, 3]
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[3:5, 2:8] = True
    np.testing.assert_allclose(found["hirescam"].raw, logits * inside / inside.sum(), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found["hirescam"].score, logits[:, inside].mean(axis=1), rtol=1e-5)
    assert found["hirescam"].class_index.tolist() == [3, 3]


def test_grad_cam_weighs_whole_maps_by_the_share_of_the_pixels_explained(segmenter: nn.Sequential) -> None:
    found = explain_pixels(segmenter, pictures(), class_index=3, region=REGION, method=["gradcam"], target_layer="0")
    logits = features_and_logits(segmenter)[1][:, 3]
    np.testing.assert_allclose(found["gradcam"].raw, logits / (HEIGHT * WIDTH), rtol=1e-4, atol=1e-7)


def test_without_a_region_the_pixels_of_the_class_that_show_the_picture_count(segmenter: nn.Sequential) -> None:
    logits = features_and_logits(segmenter)[1]
    number = int(np.bincount(logits.argmax(axis=1).ravel()).argmax())
    found = explain_pixels(segmenter, pictures(), class_index=number, shown=(10, 6), target_layer="0")["hirescam"]
    chosen = logits.argmax(axis=1) == number
    chosen[:, 6:], chosen[:, :, 10:] = False, False
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for one in range(2):
        assert found.score[one] == pytest.approx(logits[one, number][chosen[one]].mean(), rel=1e-5)
        assert found.probability[one] == pytest.approx(probabilities[one, number][chosen[one]].mean(), rel=1e-5)


def test_what_cannot_be_explained_is_refused(segmenter: nn.Sequential) -> None:
    with pytest.raises(ValueError, match=r"`region` must be .* x2 ≤ 12 and 0 ≤ y1 < y2 ≤ 9, got 2, 3, 13, 5"):
        explain_pixels(segmenter, pictures(), class_index=0, region=(2, 3, 13, 5), target_layer="0")
    with pytest.raises(ValueError, match=r"`class_index` must be in 0 … 4, as the model has it, got 5"):
        explain_pixels(segmenter, pictures(), class_index=5, target_layer="0")
    with pytest.raises(ValueError, match=r"`class_index` must be in 0 … .*, got -1"):
        explain_pixels(segmenter, pictures(), class_index=-1, target_layer="0")
    with pytest.raises(ValueError, match=r"`method` must be one of gradcam, .*, got scorecam"):
        explain_pixels(segmenter, pictures(), class_index=0, method=["scorecam"], target_layer="0")
    with pytest.raises(ValueError, match=r"`model` must give logits \(images, classes, height, width\), got \(2, 10\)"):
        explain_pixels(create_model("resnet20"), pictures(), class_index=0, target_layer="stages.0")
    with pytest.raises(NothingFoundError, match=r"class 4 is not in picture 0, 1; give a `region`"):
        explain_pixels(segmenter, torch.zeros(2, 3, HEIGHT, WIDTH), class_index=4, shown=(1, 1), target_layer="0")
