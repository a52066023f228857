"""Layouts as networks show them: each is compared with what its own forward pass says of its places."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.explain.attention import attention_maps
from gradscape.explain.cam import heatmaps
from gradscape.explain.features import feature_maps
from gradscape.explain.layer_layouts import LayerLayouts
from gradscape.explain.layout import Layout


class _Turned(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return maps.movedim(1, -1)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_a_convolution_of_swins_very_shape_keeps_its_channels_first() -> None:
    inside = nn.Sequential(nn.Conv2d(3, 16, 5, (4, 2), 2), nn.ReLU())  # (N, 16, 16, 32) of 64 × 64 pixels
    network = nn.Sequential(inside, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5))
    images = torch.rand(2, 3, 64, 64)
    np.testing.assert_array_equal(feature_maps(network, images, layer="0"), inside(images).detach().numpy())


def test_channels_that_are_last_are_found_where_the_shape_says_they_are_first() -> None:
    inside = nn.Sequential(nn.Conv2d(1, 64, (16, 4), (16, 4)), _Turned())  # (N, 1, 16, 64) of 16 × 64 pixels
    network = nn.Sequential(inside, nn.Flatten(), nn.Linear(1024, 5))
    maps = feature_maps(network, torch.rand(2, 1, 16, 64), layer="0")
    assert maps.shape == (2, 64, 1, 16)


class _Tokens(nn.Module):
    """Patches of 8 pixels between other tokens, in any order, and blocks that attend."""

    def __init__(self, before: int, after: int, order: Callable[[Tensor], Tensor] = lambda tokens: tokens) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.before = nn.Parameter(torch.randn(before, 16))
        self.after = nn.Parameter(torch.randn(after, 16))
        self.order = order
        self.blocks = nn.Sequential(*(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True) for _ in range(2)))
        self.head = nn.Linear(16, 5)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.order(self.patches(images).flatten(2).mT)
        others = [one.expand(len(images), -1, -1) for one in (self.before, self.after)]
        return self.head(self.blocks(torch.cat([others[0], tokens, others[1]], 1)).mean(1))


def _columns_first(tokens: Tensor) -> Tensor:
    return tokens.unflatten(1, (3, 4)).transpose(1, 2).flatten(1, 2)


def _windows(tokens: Tensor) -> Tensor:
    return tokens.unflatten(1, (3, 2, 2)).permute(0, 2, 1, 3, 4).flatten(1, 3)


@pytest.mark.parametrize(
    ("network", "layout"),
    [
        (lambda: _Tokens(1, 0), Layout((3, 4), extra=(0,))),
        (lambda: _Tokens(0, 4), Layout((3, 4), extra=range(-4, 0))),
        (lambda: _Tokens(1, 2), Layout((3, 4), extra=(0, -2, -1))),
        (
            lambda: _Tokens(1, 0, _columns_first),
            Layout((3, 4), places=(1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12)),
        ),
        (
            lambda: _Tokens(0, 1, _windows),
            Layout((3, 4), places=(0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11)),
        ),
    ],
)
def test_places_are_found_among_other_tokens_and_in_any_order(network: Callable[[], nn.Module], layout: Layout) -> None:
    made, images = network(), torch.rand(2, 3, 24, 32)
    for method in ("hirescam", "ablationcam"):
        found, stated = (
            heatmaps(made, images, method=method, target_layer="blocks.0", class_index=1, layout=one)
            for one in (None, layout)
        )
        assert found.raw.shape == (2, 3, 4)
        np.testing.assert_array_equal(found.raw, stated.raw)


class _SequenceFirst(_Tokens):
    def __init__(self) -> None:
        super().__init__(1, 0)
        self.blocks = nn.Sequential(*(nn.TransformerEncoderLayer(16, 2, 32) for _ in range(2)))

    def forward(self, images: Tensor) -> Tensor:
        tokens = torch.cat([self.before.expand(len(images), -1, -1), self.patches(images).flatten(2).mT], 1)
        return self.head(self.blocks(tokens.transpose(0, 1)).mean(0))


@pytest.mark.parametrize("method", ["gradcam", "ablationcam", "scorecam"])
def test_tokens_before_images_give_the_maps_of_images_before_tokens(method: str) -> None:
    late, images = _SequenceFirst(), torch.rand(2, 3, 24, 32)
    early = _Tokens(1, 0)
    early.load_state_dict(late.state_dict())
    ours, right = (
        heatmaps(net, images, method=method, target_layer="blocks.0", class_index=1) for net in (late, early)
    )
    np.testing.assert_allclose(ours.raw, right.raw, rtol=0, atol=1e-5)


class _Queries(nn.Module):
    """As many queries as places, 3 × 4, which look at the image by attention alone."""

    def __init__(self, *, by_hand: bool) -> None:
        super().__init__()
        self.patches, self.queries = nn.Conv2d(3, 16, 8, 8), nn.Parameter(torch.randn(12, 16))
        self.encoder = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.decoder = nn.TransformerDecoderLayer(16, 2, 32, batch_first=True)
        self.read, self.head = nn.Identity(), nn.Linear(16, 5)
        self.by_hand = by_hand

    def forward(self, images: Tensor) -> Tensor:
        seen = self.encoder(self.patches(images).flatten(2).mT)
        asked = self.queries.expand(len(images), -1, -1)
        if self.by_hand:
            return self.head(self.read(asked + F.softmax(asked @ seen.mT, -1) @ seen))[:, 4]
        return self.head(self.decoder(asked, seen))[:, 4]


def test_queries_are_no_picture() -> None:
    images = torch.rand(1, 3, 24, 32)
    assert heatmaps(_Queries(by_hand=False), images).target_layer == "encoder"
    assert heatmaps(_Queries(by_hand=True), images).target_layer == "encoder"
    with pytest.raises(ValueError, match=r"`target_layer` must give maps .* say with `layout` how it is laid out"):
        heatmaps(_Queries(by_hand=False), images, target_layer="decoder")
    maps = attention_maps(_Queries(by_hand=False), images)
    assert maps["decoder.self_attn"].grid is None
    assert maps["decoder.multihead_attn"].grid == (3, 4)  # what the queries attend to are places
    assert maps["encoder.self_attn"].grid == (3, 4)


def test_the_grid_of_an_affinity_can_be_stated() -> None:
    network, images = _Tokens(1, 0), torch.rand(1, 3, 24, 32)
    maps = attention_maps(network, images, layout=Layout((2, 6), extra=(0,)))
    assert maps["blocks.0.self_attn"].grid == (2, 6)
    with pytest.raises(ValueError, match="`layout` must have its places last among the 13 tokens"):
        attention_maps(network, images, layout=Layout((2, 6), extra=(-1,)))


def test_features_that_are_not_one_for_each_image_are_refused() -> None:
    class Crops(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.crop, self.conv = nn.Identity(), nn.Conv2d(3, 8, 3)

        def forward(self, images: Tensor) -> Tensor:
            crops = self.crop(torch.cat([images[..., :8, :8], images[..., 8:16, 8:16]]))
            return self.conv(crops).mean((2, 3)).unflatten(0, (2, -1)).mean(0)

    with pytest.raises(ValueError, match="must give one map for each of the 3 images"):
        heatmaps(Crops(), torch.rand(3, 3, 16, 24), target_layer="conv")
    with pytest.raises(ValueError, match=r"`layer` crop must give a map for each of the 3 images, .* got 6"):
        feature_maps(Crops(), torch.rand(3, 3, 16, 24), layer="crop")


def test_patches_that_leave_pixels_over_keep_their_grid() -> None:
    network: Any = _Tokens(1, 0)
    found = heatmaps(network, torch.rand(1, 3, 29, 39), method="gradcam")
    assert found.raw.shape == (1, 3, 4)
    assert found.target_layer.startswith("blocks")


class _Weighing(nn.Module):
    """Attention among patches, with its weights from a softmax that is a layer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 6, 6)
        self.weights = nn.Softmax(-1)
        self.head = nn.Linear(12, 5)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).mT.unflatten(2, (2, 6)).transpose(1, 2)
        return self.head((self.weights(tokens @ tokens.mT) @ tokens).transpose(1, 2).flatten(2).mean(1))


def test_the_weights_of_attention_are_no_maps_though_their_shape_is_one_of_maps() -> None:
    network, images = _Weighing(), torch.rand(2, 3, 24, 24)  # weights (N, 2, 16, 16)
    with pytest.raises(ValueError, match="`layer` must give maps"):
        feature_maps(network, images, layer="weights")


class _Stuck(nn.Module):
    """Notes how many images each pass has, and has room for so many."""

    def __init__(self, most: int = 1000, *, differentiates: bool = False) -> None:
        super().__init__()
        self.inside = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh())
        self.most, self.differentiates = most, differentiates
        self.sizes: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.sizes.append(len(images))
        if len(images) > self.most:
            raise torch.OutOfMemoryError("no room")
        maps = self.inside(images)
        if self.differentiates:
            (slopes,) = torch.autograd.grad(maps.square().sum(), images, create_graph=True)
            maps = maps + slopes.mean()
        return maps.mean((2, 3))


def _layouts(model: nn.Module, images: Tensor) -> LayerLayouts:
    return LayerLayouts(model, dict(model.named_modules()), images)


@pytest.mark.parametrize("differentiates", [False, True])
def test_layouts_are_measured_without_what_only_gradients_need(differentiates: bool) -> None:
    network = _Stuck(differentiates=differentiates)
    assert _layouts(network, torch.rand(2, 3, 12, 17)).measured("inside") is not None
    assert len(network.sizes) == 1 + differentiates


def test_what_has_no_room_is_tried_with_fewer_images_and_not_with_more() -> None:
    network = _Stuck(most=4)
    assert _layouts(network, torch.rand(3, 3, 12, 17)).measured("inside") == "channels_first"
    assert network.sizes == [25] + 9 * [3]
    network = _Stuck(most=4)
    with pytest.raises(torch.OutOfMemoryError):
        _layouts(network, torch.rand(30, 3, 12, 17))
    assert network.sizes == [25]
