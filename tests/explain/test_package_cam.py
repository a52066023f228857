import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import pytorch_grad_cam
import torch
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torch.nn import functional as F

from tests.explain.package_peers import CLASSES, ours, pictures, rivals, small_net, theirs


@pytest.mark.parametrize("method", ["scorecam", "ablationcam", "shapleycam", "finercam"])
def test_maps_are_the_packages_own_before_it_cuts_and_scales_them(method: str) -> None:
    net = small_net()
    expected = theirs(net, method, net[4])
    maps = ours(net, method, net[4])
    assert maps.shape == (4, 7, 9)
    assert maps.dtype == np.float32
    assert (maps < 0).any() or method == "scorecam"  # the weights are positive there, and the features after ReLU
    np.testing.assert_allclose(maps, expected, atol=1e-5 * np.abs(expected).max())


def test_kpca_maps_are_the_packages_own_up_to_the_sign() -> None:
    net = small_net()
    expected, maps = theirs(net, "kpcacam", net[4]), ours(net, "kpcacam", net[4])
    signs = np.sign((expected * maps).sum(axis=(1, 2), keepdims=True))
    np.testing.assert_allclose(maps, signs * expected, atol=1e-6)


def test_fullgrad_maps_are_the_packages_own_before_it_scales_them() -> None:
    net, kept = small_net(), []

    class Kept(pytorch_grad_cam.FullGrad):
        def compute_cam_per_layer(self, *args: Any) -> np.ndarray:
            kept.append(super().compute_cam_per_layer(*args))
            return kept[-1]

    Kept(net, [])(pictures(), [ClassifierOutputTarget(int(index)) for index in CLASSES])
    maps = ours(net, "fullgrad", net[4])
    assert maps.shape == (4, 9, 11)
    np.testing.assert_allclose(maps, kept[0][:, 0], rtol=1e-4)


def test_scorecam_is_a_plain_loop_over_masked_images() -> None:
    net, images = small_net(), pictures()
    maps = ours(net, "scorecam", net[3])
    with torch.no_grad():
        for image, index, found in zip(images, CLASSES, maps, strict=True):
            features, scores = net[:4](image[None])[0], []
            for channel in features:
                mask = F.interpolate(channel[None, None], (9, 11), mode="bilinear", align_corners=True)[0]
                mask = (mask - mask.min()) / (mask.max() - mask.min())
                scores.append(net((image * mask)[None])[0, index])
            weights = torch.stack(scores).softmax(0)
            np.testing.assert_allclose(found, (weights[:, None, None] * features).sum(0), atol=1e-6)


def ablated(rest: Callable[[Tensor], Tensor], features: Tensor, index: int) -> np.ndarray:
    """Σ_k (y − y_k) / |y| A_k by a loop over channels first (C, h, w)."""
    with torch.no_grad():
        score = rest(features[None])[0, index]
        total = torch.zeros(features.shape[1:])
        for k in range(len(features)):
            without = features.clone()
            without[k] = 0
            total += (score - rest(without[None])[0, index]) / score.abs() * features[k]
    return total.numpy()


def test_ablation_sets_channels_to_zero_where_features_are_negative_too() -> None:
    net = small_net()
    maps = ours(net, "ablationcam", net[3])
    with torch.no_grad():
        features = net[:4](pictures())
    assert features.min() < 0
    for found, one, index in zip(maps, features, CLASSES, strict=True):
        np.testing.assert_allclose(found, ablated(net[4:], one, index), atol=1e-6)


def test_the_package_weighs_an_ablated_channel_by_its_place_among_the_channels() -> None:
    net = small_net()
    net[4], net[8] = nn.Identity(), nn.Identity()
    order = torch.arange(6, -1, -1)
    last_first = copy.deepcopy(net)
    last_first[3].weight.data, last_first[3].bias.data = net[3].weight.data[order], net[3].bias.data[order]
    last_first[7].weight.data = net[7].weight.data[:, order]
    before, after = (theirs(one, "ablationcam", one[3]) for one in (net, last_first))
    assert np.abs(after - before).max() > 0.1 * np.abs(before).max()
    before, after = (ours(one, "ablationcam", one[3]) for one in (net, last_first))
    np.testing.assert_allclose(after, before, atol=1e-6)


def test_ablation_of_a_negative_score_keeps_the_signs_of_the_features() -> None:
    net = small_net()
    net[-1].bias.data -= 10
    maps = ours(net, "ablationcam", net[4])
    with torch.no_grad():
        assert net(pictures()).max() < 0
        features = net[:5](pictures())
    for found, one, index in zip(maps, features, CLASSES, strict=True):
        np.testing.assert_allclose(found, ablated(net[5:], one, index), atol=1e-6)
    np.testing.assert_allclose(theirs(net, "ablationcam", net[4]), -maps, atol=1e-6)


def test_ablation_that_would_divide_by_zero_is_nan() -> None:
    net = small_net()
    maps = ours(net, "ablationcam", net[4], score=lambda output: output[:, 0] * 0)
    assert np.isnan(maps).all()


def test_shapley_weights_of_a_quadratic_score_are_their_closed_form() -> None:
    # y = ½ Σ_p A_pᵀ M A_p has the gradient M A and the second derivative M, hence the weights ½ mean(M A)
    root = torch.randn(7, 7, generator=torch.Generator().manual_seed(2))
    matrix, body = root + root.T, small_net()[:5]

    def score(output: Tensor) -> Tensor:
        return 0.5 * torch.einsum("nchw,cd,ndhw->n", output, matrix, output)

    maps = ours(body, "shapleycam", body[4], score=score)
    with torch.no_grad():
        features = body(pictures())
    weights = 0.5 * torch.einsum("cd,ndhw->nc", matrix, features) / (7 * 9)
    np.testing.assert_allclose(maps, torch.einsum("nc,nchw->nhw", weights, features), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("frozen", [False, True])
def test_shapley_of_a_linear_rest_is_gradcam(frozen: bool) -> None:
    net = small_net()
    net[8] = nn.Identity()
    net.requires_grad_(not frozen)
    maps = ours(net, "shapleycam", net[4])
    with torch.no_grad():
        features = net[:5](pictures())
        weights = (net[9].weight @ net[7].weight)[CLASSES] / (7 * 9)
    np.testing.assert_allclose(maps, torch.einsum("nc,nchw->nhw", weights, features), atol=1e-6)


def test_finercam_explains_the_lead_over_the_three_nearest_classes() -> None:
    net = small_net()
    maps = ours(net, "finercam", net[4])
    with torch.no_grad():
        features = net[:5](pictures())
    for one, index, found in zip(features, CLASSES, maps, strict=True):
        one.requires_grad_()
        logits = net[5:](one[None])[0]
        near = rivals(logits.detach(), int(index))
        weights = logits.softmax(0)[near]
        lead = (weights * (logits[index] - logits[near])).sum() / weights.sum()
        (gradient,) = torch.autograd.grad(lead, one)
        np.testing.assert_allclose(found, (gradient.mean((1, 2))[:, None, None] * one).sum(0).detach(), atol=1e-6)


def test_finercam_of_tied_logits_still_explains_the_class_asked_for() -> None:
    net = small_net()
    net[-1].weight.data[3], net[-1].bias.data[3] = net[-1].weight.data[1], net[-1].bias.data[1]
    first, third = (ours(net, "finercam", net[4], classes=np.full(4, index)) for index in (1, 3))
    np.testing.assert_allclose(first, third, atol=1e-7)
    assert np.abs(first).max() > 1e-4


def test_kpca_is_the_first_eigenvector_of_the_centered_kernel_and_rises_with_the_features() -> None:
    net = small_net()
    maps = ours(net, "kpcacam", net[3])
    with torch.no_grad():
        features = net[:4](pictures()).flatten(2).double().numpy()
    flipped = theirs(net, "kpcacam", net[3])
    for one, found in zip(features, maps.reshape(4, -1), strict=True):
        points = (one - one.mean(axis=1, keepdims=True)).T
        kernel = np.tanh(points @ points.T / 7 + 1)
        center = np.eye(63) - 1 / 63
        values, vectors = np.linalg.eigh(center @ kernel @ center)
        expected = vectors[:, -1] * np.sqrt(values[-1])
        np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-4)
        assert np.corrcoef(found, one.mean(axis=0))[0, 1] > 0
    sides = [np.corrcoef(map_.ravel(), one.mean(axis=0))[0, 1] for map_, one in zip(flipped, features, strict=True)]
    assert min(sides) < 0 < max(sides)  # the package's sign is another for each image


class Disordered(nn.Module):
    """Registers its second layer first, and runs its third twice."""

    def __init__(self) -> None:
        super().__init__()
        self.second, self.first, self.third = nn.Conv2d(4, 4, 3), nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 5)

    def forward(self, images: Tensor) -> Tensor:
        x = self.third(self.second(self.first(images).relu()).relu()).relu()
        return self.head(self.third(x).relu().mean((2, 3)))


def test_fullgrad_pairs_biases_with_their_own_gradients() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Disordered()
    image = pictures(1).requires_grad_()
    one = net.first(image)
    two = net.second(one.relu())
    three = net.third(two.relu())
    four = net.third(three.relu())
    score = net.head(four.relu().mean((2, 3)))[0, 2]
    gradients = torch.autograd.grad(score, [image, one, two, three, four])
    terms = [(image * gradients[0])[0].detach().abs()]
    for layer, gradient in zip((net.first, net.second, net.third, net.third), gradients[1:], strict=True):
        assert layer.bias is not None
        terms.append((layer.bias[:, None, None] * gradient[0]).detach().abs())
    expected = torch.zeros(9, 11)
    for term in terms:
        for channel in term:
            scaled = (channel - channel.min()) / (1e-7 + (channel - channel.min()).max())
            expected += F.interpolate(scaled[None, None], (9, 11), mode="bilinear")[0, 0]
    maps = ours(net, "fullgrad", net.head, images=image.detach(), classes=np.array([2]))
    np.testing.assert_allclose(maps[0], expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(AssertionError):  # the package's lists have different lengths
        pytorch_grad_cam.FullGrad(net, [])(image.detach(), [ClassifierOutputTarget(2)])


class Patches(nn.Module):
    """Tokens (N, 1 + h·w, C) with a class token, or channels last (N, h, w, C)."""

    def __init__(self, *, class_token: bool) -> None:
        super().__init__()
        self.class_token = class_token
        self.embed, self.mix, self.head = nn.Conv2d(3, 7, 3, stride=3), nn.Linear(7, 7), nn.Linear(7, 5)
        self.tokens = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        patches = self.embed(images).movedim(1, 3)
        if self.class_token:
            patches = patches.flatten(1, 2)
            patches = torch.cat([patches.mean(1, keepdim=True), patches], dim=1)
        return self.rest(self.tokens(patches))

    def rest(self, tokens: Tensor) -> Tensor:
        return 3 + self.head(F.softplus(self.mix(tokens)).flatten(1, -2).mean(1))

    def to_maps(self, tokens: Tensor) -> Tensor:
        return tokens[:, 1:].unflatten(1, (3, 3)).movedim(3, 1) if self.class_token else tokens.movedim(3, 1)


@pytest.fixture(params=[True, False], ids=["tokens", "channels last"])
def patches(request: pytest.FixtureRequest) -> Iterator[Patches]:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        yield Patches(class_token=request.param)


def test_ablation_of_tokens_takes_a_channel_from_every_token(patches: Patches) -> None:
    maps = ours(patches, "ablationcam", patches.tokens, to_maps=patches.to_maps)
    kept: list[Tensor] = []
    hook = patches.tokens.register_forward_hook(lambda _module, _inputs, output: kept.append(output.detach()))
    patches(pictures())
    hook.remove()
    for tokens, index, found in zip(kept[0], CLASSES, maps, strict=True):

        def rest(channels: Tensor) -> Tensor:
            return patches.rest(channels.movedim(1, -1))

        with torch.no_grad():
            score = patches.rest(tokens[None])[0, index]
            weights = []
            for k in range(7):
                without = tokens.clone()
                without[..., k] = 0
                weights.append((score - patches.rest(without[None])[0, index]) / score)
        features = patches.to_maps(tokens[None])[0]
        np.testing.assert_allclose(found, (torch.stack(weights)[:, None, None] * features).sum(0), atol=1e-6)


def test_shapley_of_tokens_works_where_the_packages_own_does_not(patches: Patches) -> None:
    maps = ours(patches, "shapleycam", patches.tokens, to_maps=patches.to_maps)
    tokens = patches.embed(pictures()).movedim(1, 3)
    if patches.class_token:
        tokens = tokens.flatten(1, 2)
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1)
    tokens = tokens.detach()

    def score(tokens: Tensor) -> Tensor:
        return patches.rest(tokens)[range(4), CLASSES].sum()

    gradient, curved = torch.autograd.functional.hvp(score, tokens, tokens)
    gradient = torch.autograd.functional.jacobian(score, tokens)
    weights = patches.to_maps(gradient - 0.5 * curved).mean((2, 3))
    expected = torch.einsum("nc,nchw->nhw", weights, patches.to_maps(tokens))
    np.testing.assert_allclose(maps, expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"Invalid activation|broadcast"):
        theirs(patches, "shapleycam", patches.tokens, to_maps=patches.to_maps)
