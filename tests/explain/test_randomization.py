"""Parameter randomization: what must change, what must not, and that the model gets its parameters back."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from scipy.stats import spearmanr
from torch import Tensor, nn

from gradscape._checkpoint import Classifier
from gradscape.explain import randomization
from gradscape.explain.cam import heatmaps
from gradscape.explain.heatmap import Heatmaps
from gradscape.explain.randomization import Randomization, randomize_parameters

CLASSES = 5


class Net(nn.Module):
    """Defined in another order than it is called, with a parameter of its own."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.head = nn.Linear(7, CLASSES)
            self.stages = nn.ModuleList(
                [
                    nn.Sequential(nn.Conv2d(6, 7, 3, padding=1), nn.ReLU()),
                    nn.Sequential(nn.Conv2d(7, 7, 3), nn.ReLU()),
                ]
            )
            self.norm = nn.BatchNorm2d(6)
            self.stem = nn.Conv2d(3, 6, 3, padding=1)
            self.scale = nn.Parameter(torch.rand(7, 1, 1) + 0.5)

    def forward(self, images: Tensor) -> Tensor:
        features = self.norm(self.stem(images))
        for stage in self.stages:
            features = stage(features)
        return self.head((features * self.scale).mean((2, 3)))


GROUPS = ("head", "stages.1", "stages.0", "norm", "stem", "rest")


def _images(count: int = 3) -> Tensor:
    return torch.rand(count, 3, 9, 12, generator=torch.Generator().manual_seed(1))


def _one(found: Heatmaps | dict[str, Heatmaps]) -> Heatmaps:
    assert isinstance(found, Heatmaps)
    return found


def test_groups_are_randomized_from_the_head_down_in_the_order_of_calls() -> None:
    found = randomize_parameters(Net(), _images(), target_layer="stages.1")
    assert found.groups == GROUPS
    assert found.rank_correlation.shape == found.overlap.shape == (6, 3)
    meta = {"labels": None, "image_size": 9, "mean": [0.5] * 3, "std": [0.2] * 3, "name": "net"}
    assert randomize_parameters(Classifier(Net(), meta), _images()).groups == GROUPS


def test_every_parameter_of_a_known_network_is_in_one_group() -> None:
    resnet = torchvision.models.resnet18()
    blocks = [f"layer{stage}.{block}" for stage in (4, 3, 2, 1) for block in (1, 0)]
    groups = randomization._groups(resnet, torch.rand(1, 3, 32, 40))
    assert list(groups) == ["fc", *blocks, "bn1", "conv1"]
    vit = torchvision.models.VisionTransformer(
        image_size=32, patch_size=8, num_layers=3, num_heads=2, hidden_dim=8, mlp_dim=16
    )
    vit.heads = nn.Linear(8, CLASSES)
    layers = [f"encoder.layers.encoder_layer_{number}" for number in (2, 1, 0)]
    for model, names, size in ((resnet, None, 40), (vit, ["heads", "encoder.ln", *layers, "conv_proj", "rest"], 32)):
        groups = randomization._groups(model, torch.rand(1, 3, 32, size))
        assert names is None or list(groups) == names
        listed = [parameter for group in groups.values() for parameter in group]
        assert len(listed) == len(set(listed)) == len(list(model.parameters()))


def test_the_numbers_are_those_of_maps_of_a_network_randomized_by_hand() -> None:
    """The same draws in another copy give the same maps, up to rounding that can swap the ranks of near values."""
    images, other = _images(), Net()
    found = randomize_parameters(Net(), images, method="gradcam", target_layer="stages.0", seed=4)
    trained = _one(heatmaps(other, images, method="gradcam", target_layer="stages.0"))
    generator = torch.Generator().manual_seed(4)
    for number, names in enumerate([["head.weight", "head.bias"], ["stages.1.0.weight", "stages.1.0.bias"]]):
        for name in names:
            values = other.get_parameter(name).data
            noise = torch.randn(values.shape, generator=generator)
            values.copy_(values.mean() + values.square().mean().sub(values.mean() ** 2).sqrt() * noise)
        after = _one(
            heatmaps(other, images, method="gradcam", target_layer="stages.0", class_index=trained.class_index)
        )
        for image in range(3):
            expected = spearmanr(trained.raw[image].ravel(), after.raw[image].ravel()).statistic
            assert found.rank_correlation[number, image] == pytest.approx(expected, abs=2e-3)
            pair = [map_[image] / map_[image].sum() for map_ in (trained.display, after.display)]
            assert found.overlap[number, image] == pytest.approx(np.minimum(*pair).sum(), abs=1e-3)


def test_a_method_that_ignores_the_head_does_not_notice_that_it_is_lost() -> None:
    """EigenCAM's maps depend on the features alone, so on nothing above its layer."""
    found = randomize_parameters(Net(), _images(), method="eigencam", target_layer="stages.0")
    np.testing.assert_allclose(found.rank_correlation[:2], 1)
    np.testing.assert_allclose(found.overlap[:2], 1, rtol=1e-6)
    assert (found.overlap[2:] < 0.99).all()
    assert (randomize_parameters(Net(), _images(), method="gradcam", target_layer="stages.0").overlap[0] < 0.99).all()


def test_parameters_keep_their_scale_and_equal_ones_stay() -> None:
    parameter = nn.Parameter(3 + 2 * torch.randn(80, 90, generator=torch.Generator().manual_seed(0)))
    before = parameter.detach().clone()
    randomization._redraw(parameter, torch.Generator().manual_seed(1))
    assert parameter.mean().item() == pytest.approx(3, abs=0.1)
    assert parameter.std().item() == pytest.approx(2, abs=0.1)
    assert abs(np.corrcoef(before.ravel(), parameter.detach().ravel())[0, 1]) < 0.05
    ones = nn.Parameter(torch.ones(5))
    randomization._redraw(ones, torch.Generator())
    assert torch.equal(ones, torch.ones(5))


def test_the_seed_alone_decides() -> None:
    first, again, other = (randomize_parameters(Net(), _images(), seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.rank_correlation, again.rank_correlation)
    assert (first.overlap != other.overlap).any()
    assert first.meta["seed"] == 1


def test_the_model_is_as_before_to_the_bit_also_after_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net().train()
    net.head.weight.requires_grad_(False)
    net.stem.weight.grad = torch.full_like(net.stem.weight, 2)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    random = torch.get_rng_state()
    calls = []

    def failing(output: Tensor) -> Tensor:
        calls.append(net.head.weight.detach().clone())
        if len(calls) > 3:
            raise KeyError("score of the user's")
        return output[:, 0]

    with pytest.raises(KeyError, match="score of the user's"):
        randomize_parameters(net, _images(), score=failing)
    assert (calls[-1] != before["head.weight"]).any()  # it was in the middle of it
    randomize_parameters(net, _images())
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(module.training for module in net.modules())
    assert not net.head.weight.requires_grad
    assert net.stem.weight.grad is not None
    assert (net.stem.weight.grad == 2).all()
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_a_user_in_inference_mode_gets_the_same_numbers() -> None:
    outside = randomize_parameters(Net(), _images())
    net = Net()
    with torch.inference_mode():
        inside = randomize_parameters(net, _images())
    np.testing.assert_allclose(inside.overlap, outside.overlap, atol=1e-6)


def test_maps_that_show_nothing_have_no_number_and_a_reason() -> None:
    net = Net()
    net.head.weight.data[0], net.head.weight.data[1] = 1, -1  # features are positive: so are the maps, and not
    found = randomize_parameters(net, _images(2), method="gradcam", target_layer="stages.1", class_index=[0, 1])
    assert found.faults[""] == {1: "nothing positive"}
    assert np.isnan(found.overlap[:, 1]).all()
    assert np.isfinite(found.rank_correlation[:, 1]).all()  # signed maps can be ranked


def test_a_saved_result_comes_back(tmp_path: Path) -> None:
    found = randomize_parameters(Net(), _images())
    found.save(tmp_path / "check.npz")
    again = Randomization.load(tmp_path / "check.npz")
    assert (again.groups, again.faults, again.meta) == (found.groups, found.faults, found.meta)
    np.testing.assert_array_equal(again.rank_correlation, found.rank_correlation)
    np.testing.assert_array_equal(again.overlap, found.overlap)
    _one(heatmaps(Net(), _images())).save(tmp_path / "maps.npz")
    with pytest.raises(ValueError, match="must hold a randomization, but holds raw"):
        Randomization.load(tmp_path / "maps.npz")


def test_a_model_without_parameters_is_refused() -> None:
    with pytest.raises(ValueError, match="`model` must have parameters to randomize, and has none"):
        randomization._groups(nn.ReLU(), _images())


def test_arrays_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be \(2, images\), got \(2, 3\) and \(3, 2\)"):
        Randomization(("head", "stem"), np.zeros((2, 3)), np.zeros((3, 2)), {}, {})
