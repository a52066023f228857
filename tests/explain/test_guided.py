import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from pytorch_grad_cam import GuidedBackpropReLUModel
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.explain.cam import heatmaps
from gradscape.explain.guided import guided_backprop, guided_gradcam


class _PlainGuided(torch.autograd.Function):
    """ReLU by the paper's rule, element by element."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        context.save_for_backward(x)
        return x * (x > 0)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        (x,) = context.saved_tensors
        (gradient,) = gradients
        return gradient * (x > 0) * (gradient > 0)


class Net(nn.Module):
    """Two convolutions, one ReLU used twice, logits for five classes."""

    def __init__(self, *, inplace: bool = False) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first, self.second = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 7, 3)
            self.norm, self.head = nn.BatchNorm2d(6), nn.Linear(7, 5)
        self.relu = nn.ReLU(inplace=inplace)

    def rectified(self, x: Tensor) -> Tensor:
        return self.relu(x)

    def forward(self, images: Tensor) -> Tensor:
        features = self.rectified(self.norm(self.first(images)))
        return self.head(self.rectified(self.second(features)).mean((2, 3)))


class PlainNet(Net):
    def rectified(self, x: Tensor) -> Tensor:
        return _PlainGuided.apply(x)


class FunctionalNet(Net):
    """Has no ReLU module that runs, and one function works in place on a tensor that is named before."""

    def forward(self, images: Tensor) -> Tensor:
        features = self.norm(self.first(images))
        features.relu_()
        return self.head(F.relu(self.second(features), inplace=True).mean((2, 3)))


CLASSES = [1, 0, 4, 2]


def pictures() -> Tensor:
    return torch.randn(4, 3, 9, 11, generator=torch.Generator().manual_seed(1))


def plain_guided(images: Tensor, classes: list[int]) -> np.ndarray:
    net = PlainNet().eval()
    rows = []
    for image, index in zip(images, classes, strict=True):
        pixels = image[None].clone().requires_grad_()
        net(pixels)[0, index].backward()
        assert pixels.grad is not None
        rows.append(pixels.grad[0].numpy())
    return np.stack(rows)


@pytest.mark.parametrize("net", [Net(), Net(inplace=True), FunctionalNet()], ids=["module", "in place", "functions"])
def test_a_batch_is_a_plain_loop_over_images_with_the_papers_rule(net: Net) -> None:
    expected = plain_guided(pictures(), CLASSES)
    found = guided_backprop(net, pictures(), class_index=CLASSES)
    assert found.shape == (4, 3, 9, 11)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-7)
    np.testing.assert_array_equal(guided_backprop(net, pictures(), class_index=CLASSES), found)  # a second time
    pixels = pictures().requires_grad_()
    (gradient,) = torch.autograd.grad(net.eval()(pixels)[range(4), CLASSES].sum(), pixels)
    assert np.abs(gradient.numpy() - found).max() > 0.1 * np.abs(found).max()


def test_one_image_is_the_packages_own_whose_second_call_doubles() -> None:
    net, image = nn.Sequential(Net().first, nn.ReLU(), nn.Flatten(), nn.Linear(6 * 7 * 9, 5)), pictures()[:1]
    found = guided_backprop(net, image, class_index=3)
    peer, pixels = GuidedBackpropReLUModel(copy.deepcopy(net)), image.clone()
    np.testing.assert_allclose(found[0].transpose(1, 2, 0), peer(pixels, target_category=3), atol=1e-7)
    np.testing.assert_allclose(2 * found[0].transpose(1, 2, 0), peer(pixels, target_category=3), atol=1e-7)
    np.testing.assert_array_equal(guided_backprop(net, image, class_index=3), found)


def test_the_package_itself_explains_one_image_of_a_batch() -> None:
    net = nn.Sequential(Net().first, nn.ReLU(), nn.Flatten(), nn.Linear(6 * 7 * 9, 5))
    assert GuidedBackpropReLUModel(copy.deepcopy(net))(pictures(), target_category=3).shape == (9, 11, 3)
    assert guided_backprop(net, pictures(), class_index=3).shape == (4, 3, 9, 11)


@pytest.mark.parametrize(
    "activation",
    [
        *(nn.ReLU6(), nn.ReLU6(inplace=True), nn.SiLU(), nn.SiLU(inplace=True), nn.GELU(), nn.Hardswish(), nn.Mish()),
        *(nn.LeakyReLU(), nn.ELU(), nn.PReLU(), nn.Softplus(), nn.CELU(), nn.SELU()),
    ],
    ids=repr,
)
def test_other_activations_pass_positive_gradients_times_their_derivative(activation: nn.Module) -> None:
    # y = Σ_c w_c a(x_c): the gradient that arrives is w, so that what goes on is a'(x) · max(w, 0)
    images = pictures() * 4
    weights = torch.randn(3, 9, 11, generator=torch.Generator().manual_seed(2))
    found = guided_backprop(
        nn.Sequential(nn.Identity(), activation), images.clone(), score=lambda output: (output * weights).sum((1, 2, 3))
    )
    pixels = images.clone().requires_grad_()
    (slope,) = torch.autograd.grad(activation(pixels + 0).sum(), pixels)
    np.testing.assert_allclose(found, (slope * weights.clamp(min=0)).numpy(), atol=1e-6)


def test_the_package_itself_gives_plain_gradients_of_a_silu_net() -> None:
    net, image = nn.Sequential(nn.Conv2d(3, 6, 3), nn.SiLU(), nn.Flatten(), nn.Linear(6 * 7 * 9, 5)), pictures()[:1]
    pixels = image.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(pixels)[0, 3], pixels)
    peer = GuidedBackpropReLUModel(net)(image.clone(), target_category=3)
    np.testing.assert_allclose(peer, gradient[0].permute(1, 2, 0), atol=1e-7)
    found = guided_backprop(net, image, class_index=3)[0].transpose(1, 2, 0)
    assert np.abs(found - peer).max() > 0.1 * np.abs(peer).max()


@pytest.mark.parametrize("gate", [nn.Sigmoid(), nn.Tanh(), nn.Identity(), nn.Hardtanh()], ids=repr)
def test_a_net_without_rectifiers_is_refused_rather_than_given_plain_gradients(gate: nn.Module) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), gate, nn.Flatten(), nn.Linear(4 * 7 * 9, 5))
    with pytest.raises(ValueError, match="`model` must run ReLU or an activation of its kind for guided backprop"):
        guided_backprop(net, pictures())


def test_a_score_that_is_cut_off_from_the_images_is_refused() -> None:
    with pytest.raises(ValueError, match="`score` must depend on the images"):
        guided_backprop(Net(), pictures(), score=lambda output: output.detach()[:, 0])


def test_the_predicted_class_is_explained_unless_another_is_asked_for() -> None:
    net = Net().eval()
    with torch.no_grad():
        predicted = net(pictures()).argmax(1).tolist()
    np.testing.assert_array_equal(
        guided_backprop(net, pictures()), guided_backprop(net, pictures(), class_index=predicted)
    )


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_frozen_parameters_and_switched_off_gradients_change_nothing(mode: Any) -> None:
    expected = guided_backprop(Net(), pictures(), class_index=CLASSES)
    net = Net().requires_grad_(False)
    with mode():
        np.testing.assert_array_equal(guided_backprop(net, pictures().clone(), class_index=CLASSES), expected)


def test_bfloat16_models_give_about_the_same() -> None:
    expected = guided_backprop(Net(), pictures(), class_index=CLASSES)
    found = guided_backprop(Net().bfloat16(), pictures(), class_index=CLASSES)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99


def test_compiled_models_give_the_same() -> None:
    net = Net().eval()
    compiled: Any = torch.compile(net, backend="eager")
    compiled(pictures())
    found = guided_backprop(compiled, pictures(), class_index=CLASSES)
    np.testing.assert_array_equal(found, guided_backprop(net, pictures(), class_index=CLASSES))


def test_model_and_images_are_as_before_also_after_an_exception() -> None:
    net, images = Net(inplace=True).train(), pictures()
    net(images).sum().backward()
    net.first.requires_grad_(False)
    gradients = {name: (one.grad, one.grad.clone()) for name, one in net.named_parameters() if one.grad is not None}
    tensors = {name: one.clone() for name, one in net.state_dict().items()}
    modules = list(net.modules())

    def failing(_output: Tensor) -> Tensor:
        raise IndexError("no such thing")

    guided_backprop(net, images)
    with pytest.raises(IndexError, match="no such thing"):
        guided_backprop(net, images, score=failing)
    assert all(module.training for module in net.modules())
    assert list(net.modules()) == modules
    assert not any(module._forward_hooks or module._backward_hooks for module in net.modules())
    assert not any(one.requires_grad for one in net.first.parameters())
    assert net.second.weight.requires_grad
    for name, one in net.named_parameters():
        assert one.grad is gradients[name][0]
        assert torch.equal(gradients[name][0], gradients[name][1])
    assert all(torch.equal(one, tensors[name]) for name, one in net.state_dict().items())
    assert torch.equal(images, pictures())
    assert images.grad is None
    assert not images.requires_grad


def test_guided_gradcam_is_guided_backprop_under_the_resized_positive_heatmap() -> None:
    net = Net()
    found = guided_gradcam(net, pictures(), class_index=CLASSES, target_layer="second")
    with torch.no_grad():
        features = net.eval().second(net.norm(net.first(pictures())).relu())
    features.requires_grad_()
    (gradient,) = torch.autograd.grad(net.head(features.relu().mean((2, 3)))[range(4), CLASSES].sum(), features)
    maps = torch.einsum("nc,nchw->nhw", gradient.mean((2, 3)), features.detach()).relu()
    resized = F.interpolate(maps[:, None], (9, 11), mode="bilinear").numpy()
    expected = guided_backprop(net, pictures(), class_index=CLASSES) * resized
    for one, other in zip(found, expected, strict=True):  # equal up to each map's scale
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.999
    display = heatmaps(net, pictures(), method="gradcam", target_layer="second", class_index=CLASSES).display[:, None]
    np.testing.assert_array_equal(found, guided_backprop(net, pictures(), class_index=CLASSES) * display)


def test_a_real_network_and_bird_agree_with_the_package(test_data: Path) -> None:
    net = torchvision.models.mobilenet_v2(num_classes=965)
    file = "converted-mobilenet_v2-inatbird965-from-coral-quant.pt"
    net.load_state_dict(torch.load(test_data / "checkpoints" / file, weights_only=True))
    pixels = np.asarray(Image.open(test_data / "birds" / "painted_bunting_1.jpg"), np.float32)[::2, 4:-4:2]
    picture = torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1)[None]
    found = guided_backprop(net, picture, class_index=209)[0].transpose(1, 2, 0)
    of_relu = copy.deepcopy(net)
    for block in of_relu.modules():  # the package's own leaves ReLU6 as it is
        for name, child in block.named_children():
            if isinstance(child, nn.ReLU6):
                setattr(block, name, nn.ReLU())
    expected = guided_backprop(of_relu, picture, class_index=209)[0].transpose(1, 2, 0)
    peer = GuidedBackpropReLUModel(of_relu)(picture.clone(), target_category=209)
    np.testing.assert_allclose(expected, peer, atol=1e-4 * np.abs(peer).max())
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.5
