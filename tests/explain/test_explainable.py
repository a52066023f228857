"""What every explanation owes the user's model and images."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradscape._checkpoint import Classifier
from gradscape.explain import extract_features, guided_backprop, heatmaps, measure_faithfulness


class _Net(nn.Module):
    """Normalizes its images, in place or not."""

    def __init__(self, *, in_place: bool) -> None:
        super().__init__()
        self.in_place = in_place
        self.convolution = nn.Conv2d(3, 5, 3, padding=1)
        self.relu = nn.ReLU()
        self.head = nn.Linear(5, 4)

    def forward(self, images: Tensor) -> Tensor:
        images = images.sub_(0.5) if self.in_place else images - 0.5
        return self.head(self.relu(self.convolution(images)).mean((2, 3)))


class _Overflow(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 2, -torch.inf, x)


def _nets() -> tuple[_Net, _Net]:
    torch.manual_seed(0)
    clean, writing = _Net(in_place=False), _Net(in_place=True)
    writing.load_state_dict(clean.state_dict())
    return clean, writing


def _images(count: int = 6) -> Tensor:
    return torch.rand(count, 3, 8, 12, generator=torch.Generator().manual_seed(1))


def test_a_model_that_writes_into_its_input_gets_the_same_numbers_and_leaves_the_images() -> None:
    images, labels = _images(), torch.arange(6) % 4
    measured, features = [], []
    for net in _nets():
        maps = heatmaps(net, images, method="gradcam", target_layer="convolution")
        measured.append([mean.value for mean in measure_faithfulness(net, images, maps, steps=4).means.values()])
        features.append(extract_features(net, [(images, labels)]).values)
    np.testing.assert_allclose(measured[0], measured[1], atol=1e-6)
    np.testing.assert_allclose(features[0], features[1], atol=1e-6)
    assert torch.equal(images, _images())


def test_a_full_gradient_can_be_taken_of_a_model_that_writes_into_its_input() -> None:
    maps = [heatmaps(net, _images(2), method="fullgrad", target_layer="convolution").raw for net in _nets()]
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-6)


def test_features_of_a_half_precision_model_come_from_single_precision_images() -> None:
    net = _nets()[0]
    batches = [(_images(), torch.arange(6) % 4)]
    exact = extract_features(net, batches).values
    rough = extract_features(net.to(torch.bfloat16), batches).values
    np.testing.assert_allclose(rough, exact, atol=0.02)


def test_nan_images_have_no_guided_gradient() -> None:
    images = _images(3)
    images[1, 0, 2, 2] = torch.nan
    with pytest.raises(ValueError, match="`images` must be finite, but NaN or infinity is in image 1"):
        guided_backprop(_nets()[0], images)


@pytest.mark.parametrize("method", ["eigencam", "eigengradcam"])
def test_a_map_whose_features_are_not_finite_says_so_and_spoils_no_other(method: str) -> None:
    torch.manual_seed(0)
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4))
    net = nn.Sequential(nn.Conv2d(3, 5, 3), _Overflow(), nn.ReLU(), *head)
    images = _images(3)
    images[1] *= 50
    with torch.no_grad():
        assert net[1](net[0](images)).isinf().flatten(1).any(1).tolist() == [False, True, False]
    found = heatmaps(net, images, method=method, target_layer="1")
    assert found.faults == {1: "not finite"}
    alone = heatmaps(net, images[[0, 2]], method=method, target_layer="1")
    np.testing.assert_allclose(found.raw[[0, 2]], alone.raw, atol=1e-6)


def test_a_compiled_checkpoint_knows_its_classes_and_layers() -> None:
    meta = {
        "name": "toy",
        "num_classes": 4,
        "image_size": 12,
        "mean": [0.5] * 3,
        "std": [0.25] * 3,
        "labels": ["a", "b", "c", "d"],
    }
    model = Classifier(_nets()[0], meta).eval()
    compiled = torch.compile(model, backend="eager")
    assert isinstance(compiled, nn.Module)
    mine, theirs = (
        heatmaps(one, _images(2), class_index="b", target_layer="network.convolution", method="gradcam")
        for one in (model, compiled)
    )
    np.testing.assert_array_equal(mine.raw, theirs.raw)
    assert theirs.class_index.tolist() == [1, 1]
    assert theirs.meta["model"] == "toy"
