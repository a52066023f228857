from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradscape.explain.cam import heatmaps
from gradscape.explain.embedding_features import extract_features
from gradscape.explain.features import feature_maps
from gradscape.explain.guided import guided_backprop, guided_gradcam
from gradscape.explain.heatmap import Heatmaps
from gradscape.explain.weightings import METHODS
from tests.explain.test_features import untouched


def signal_net() -> nn.Sequential:
    torch.manual_seed(0)
    early = (nn.Conv1d(2, 6, 5), nn.ReLU(), nn.Conv1d(6, 8, 3, 2), nn.ReLU())
    return nn.Sequential(*early, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(8, 3))


def volume_net() -> nn.Sequential:
    torch.manual_seed(0)
    early = (nn.Conv3d(1, 6, 3), nn.ReLU(), nn.Conv3d(6, 8, 3, (1, 2, 2)), nn.ReLU())
    return nn.Sequential(*early, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8, 3))


def signals() -> Tensor:
    return torch.randn(4, 2, 61, generator=torch.Generator().manual_seed(1))


def volumes() -> Tensor:
    return torch.rand(2, 1, 9, 14, 19, generator=torch.Generator().manual_seed(1))


INPUTS: dict[str, Any] = {"signals": (signal_net, signals), "volumes": (volume_net, volumes)}


def plain_maps(model: nn.Sequential, batch: Tensor) -> dict[str, np.ndarray]:
    """Grad-CAM and LayerCAM at layer 3 from the equations, for the predicted classes."""
    features = model[:4](batch).detach().requires_grad_()
    model[4:](features).amax(1).sum().backward()
    assert features.grad is not None
    values, gradients = features.detach().numpy(), features.grad.numpy()
    places = tuple(range(2, values.ndim))
    gradcam = (gradients.mean(places, keepdims=True) * values).sum(1)
    return {"gradcam": gradcam, "layercam": (np.maximum(gradients, 0) * values).sum(1)}


@pytest.mark.parametrize("kind", INPUTS)
def test_maps_have_the_shape_of_the_layer_and_the_values_of_the_equations(kind: str) -> None:
    build, data = INPUTS[kind]
    model, batch = build(), data()
    with untouched(model):
        found = heatmaps(model, batch, method=list(METHODS))
    for name, expected in plain_maps(model, batch).items():
        assert found[name].target_layer == "3"
        np.testing.assert_allclose(found[name].raw, expected, rtol=1e-4, atol=1e-7)
    for one in found.values():
        assert one.raw.shape == (len(batch), *model[:4](batch).shape[2:])
        assert one.image_size == batch.shape[2:]
        assert one.display.shape == one.shared_display.shape == (len(batch), *batch.shape[2:])


def test_a_volumes_map_is_resized_trilinearly_and_scaled_by_itself() -> None:
    raw = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    numbers = np.zeros(2, np.float32)
    maps = Heatmaps(raw, (6, 9, 11), "gradcam", "a", numbers.astype(np.int64), numbers, numbers, {})
    positive = torch.from_numpy(raw).clamp(min=0)[:, None]
    expected = nn.functional.interpolate(positive, (6, 9, 11), mode="trilinear")[:, 0]
    low, high = expected.amin((1, 2, 3), keepdim=True), expected.amax((1, 2, 3), keepdim=True)
    np.testing.assert_allclose(maps.display, (expected - low) / (high - low), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"`raw` must be .* as many sides as `image_size` \(6, 9\)"):
        Heatmaps(raw, (6, 9), "gradcam", "a", numbers.astype(np.int64), numbers, numbers, {})


@pytest.mark.parametrize("kind", INPUTS)
def test_saved_maps_come_back(kind: str, tmp_path: Path) -> None:
    build, data = INPUTS[kind]
    found = heatmaps(build(), data(), method="gradcam")
    found.save(tmp_path / "maps.npz")
    loaded = Heatmaps.load(tmp_path / "maps.npz")
    np.testing.assert_array_equal(loaded.raw, found.raw)
    assert loaded.image_size == found.image_size
    assert " × ".join(map(str, found.raw.shape[1:])) in loaded._repr_html_()


@pytest.mark.parametrize("kind", INPUTS)
def test_features_and_guided_maps_have_the_inputs_shape(kind: str) -> None:
    build, data = INPUTS[kind]
    model, batch = build(), data()
    np.testing.assert_array_equal(feature_maps(model, batch, layer="3"), model[:4](batch).detach().numpy())
    assert guided_backprop(model, batch).shape == guided_gradcam(model, batch).shape == batch.shape
    places = tuple(range(2, batch.ndim))
    rows = extract_features(model, [(batch, torch.zeros(len(batch), dtype=torch.long))], layer="3").values
    np.testing.assert_allclose(rows, model[:4](batch).detach().numpy().mean(places), rtol=1e-5)


def test_channels_that_stand_last_are_not_taken_for_places() -> None:
    class Recurrent(nn.Module):
        """Features (N, length, channels)."""

        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.mix, self.head = nn.Conv1d(2, 8, 3), nn.Linear(8, 12), nn.Linear(12, 3)

        def forward(self, signals: Tensor) -> Tensor:
            return self.head(self.mix(self.conv(signals).mT).relu().mean(1))

    with pytest.raises(ValueError, match=r"`target_layer` must give maps .* with channels first.* those of mix"):
        heatmaps(Recurrent(), signals(), method="gradcam", target_layer="mix")
    assert heatmaps(Recurrent(), signals(), method="gradcam", target_layer="conv").raw.shape == (4, 59)


def test_one_picture_is_no_batch_of_signals() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(1), nn.Linear(40, 3))
    with pytest.raises(ValueError, match=r"`images` must be .*, got the shape \(3, 7, 12\)"):
        heatmaps(net, torch.rand(3, 7, 12), method="gradcam", target_layer="0")


def test_what_only_pictures_have_is_refused_for_others() -> None:
    with pytest.raises(ValueError, match=r"`method` must be one of gradcam, .* for what is no image, got scorecam"):
        heatmaps(signal_net(), signals(), method="scorecam")
    with pytest.raises(
        ValueError, match=r"must give maps \(N, C, l\) of inputs with 1 dimension, got the shape \(4, 8\)"
    ):
        heatmaps(signal_net(), signals(), method="gradcam", target_layer="5")


def test_scores_for_another_number_of_images_are_refused() -> None:
    class Doubled(nn.Sequential):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images).repeat(2, 1)

    with pytest.raises(ValueError, match="`model` must give a score for each of the 4 images, got 8"):
        heatmaps(Doubled(*signal_net()), signals(), method="gradcam", target_layer="3")


def test_maps_for_another_number_of_images_are_refused_by_the_layer() -> None:
    class Heads(nn.Module):
        """Two heads along the first dimension."""

        def forward(self, features: Tensor) -> Tensor:
            return features.unflatten(1, (4, 2)).movedim(2, 1).flatten(0, 1)

    class Joined(nn.Module):
        def forward(self, features: Tensor) -> Tensor:
            return features.unflatten(0, (-1, 2)).mean((1, 3))

    net = nn.Sequential(nn.Conv2d(3, 8, 3), Heads(), Joined(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3))
    with pytest.raises(ValueError, match=r"`target_layer` 1 must give a map for each of the 3 images, .* got 6"):
        heatmaps(net, torch.rand(3, 3, 9, 12), method="gradcam", target_layer="1")


@pytest.mark.parametrize("kind", INPUTS)
def test_features_to_be_embedded_are_averaged_over_all_places(kind: str) -> None:
    build, data = INPUTS[kind]
    model, batch = build(), data()
    found = extract_features(model, [(batch, torch.arange(len(batch)))], layer="2").values
    np.testing.assert_allclose(found, model[:3](batch).flatten(2).mean(2).detach(), rtol=1e-5, atol=1e-7)


def test_features_of_a_signals_tokens_are_averaged_over_the_tokens() -> None:
    torch.manual_seed(0)
    patches = nn.Sequential(nn.Conv1d(2, 8, 6, 6), nn.Flatten(2))
    block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    model = nn.Sequential(patches, Turned(), block, nn.LayerNorm(8), Turned(), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    batch = signals()
    for layer, end in (("2", 3), ("3", 4)):
        found = extract_features(model, [(batch, torch.arange(4))], layer=layer).values
        np.testing.assert_allclose(found, model[:end](batch).mean(1).detach(), rtol=1e-5, atol=1e-6)


class Turned(nn.Module):
    def forward(self, tokens: Tensor) -> Tensor:
        return tokens.mT


def test_a_signal_that_ends_in_silence_is_explained_and_a_signal_transformers_tokens_are_refused() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv1d(2, 6, 5, bias=False), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(6, 3)
    )
    signals = torch.randn(2, 2, 80)
    signals[..., 50:] = 0
    assert heatmaps(net, signals, method="gradcam", target_layer="1").raw.shape == (2, 76)

    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.into, self.head = nn.Linear(2, 12), nn.Linear(12, 3)
            self.block = nn.TransformerEncoderLayer(12, 3, 24, batch_first=True)

        def forward(self, signals: Tensor) -> Tensor:
            return self.head(self.block(self.into(signals.mT)).mean(1))

    for seed in range(5):
        torch.manual_seed(seed)
        with pytest.raises(ValueError, match="choose another layer"):
            heatmaps(Tokens(), torch.randn(2, 2, 20), method="gradcam", target_layer="block")
