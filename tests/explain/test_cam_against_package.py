"""Every method in every family of networks against the grad-cam package 1.5, where that can be relied on.

Its faults that concern these methods, each reproduced below, with ours right beside it:

- the sign of a principal component is that of the library's singular vector, and so arbitrary: in the table its
  components are compared before their ReLU, up to the sign;
- what it keeps of a layer on a CPU is a view, which operations in place overwrite, as after DenseNet's `features` and
  ResNet's `bn2`: the table explains DenseNet at its last dense block;
- HiResCAM of what a layer normalization reads next, such as a block of ViT, is zero at every place, and the package
  paints its rounding: the table explains ViT at the normalized map;
- images beyond the end of a list of classes get zero maps; the last block of a ViT gets a zero map; a ReLU that runs
  twice is explained at its first run; frozen parameters make it fail.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_grad_cam as package
import torch
import torchvision.models as tv
from PIL import Image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from pytorch_grad_cam.utils.svd_on_activations import get_2d_projection
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.vision_transformer import VisionTransformer
from torchvision.transforms.functional import pil_to_tensor

from gradscape.explain.cam import heatmaps
from gradscape.models import import_checkpoint, load_checkpoint
from tests.explain.plain_cams import PLAIN

PACKAGE = {
    "gradcam": package.GradCAM,
    "gradcam++": package.GradCAMPlusPlus,
    "hirescam": package.HiResCAM,
    "layercam": package.LayerCAM,
    "xgradcam": package.XGradCAM,
    "elementwise": package.GradCAMElementWise,
}
EIGEN = ("eigencam", "eigengradcam")
FAMILIES = {
    "resnet": "layer4",
    "densenet": "features.denseblock3",
    "mobilenet_v2": "features",
    "vgg": "features",
    "vit": "encoder.layers.encoder_layer_2.ln_1",
}
TOLERANCE = 1e-4


def _network(family: str) -> nn.Module:
    torch.manual_seed(3)
    if family == "resnet":
        return tv.ResNet(tv.resnet.BasicBlock, [1, 1, 1, 1], num_classes=7).eval()
    if family == "densenet":
        return tv.DenseNet(6, (2, 2, 3), 8, num_classes=7).eval()
    if family == "mobilenet_v2":
        return tv.MobileNetV2(num_classes=7, width_mult=0.25).eval()
    if family == "vgg":
        return tv.VGG(tv.vgg.make_layers([8, "M", 16, "M", 24, "M", 512]), num_classes=7, init_weights=False).eval()
    vit = VisionTransformer(64, 16, num_layers=3, num_heads=2, hidden_dim=12, mlp_dim=24, num_classes=7)
    nn.init.normal_(vit.get_submodule("heads.head").get_parameter("weight"))  # torchvision leaves it zero
    return vit.eval()


def _images(family: str) -> Tensor:
    size = (64, 64) if family == "vit" else (64, 96)
    return torch.rand(3, 3, *size, generator=torch.Generator().manual_seed(5))


def _grid(tokens: Tensor) -> Tensor:
    """ViT's 4 × 4 patches without the class token, as the package asks its users to write."""
    return tokens[:, 1:].reshape(len(tokens), 4, 4, -1).permute(0, 3, 1, 2)


def _package_maps(method: str, network: nn.Module, images: Tensor, layer: str, classes: list[int]) -> np.ndarray:
    reshape = _grid if isinstance(network, VisionTransformer) else None
    with PACKAGE[method](network, [network.get_submodule(layer)], reshape) as cam:
        return cam(images, [ClassifierOutputTarget(number) for number in classes])


def _features_and_gradients(network: nn.Module, images: Tensor, layer: str, classes: list[int]) -> tuple[Any, Any]:
    """Both as maps, (N, C, h, w) each, by a plain hook and a backward pass."""
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        kept.append(output.clone())
        kept[0].retain_grad()
        return kept[0].clone()

    hook = network.get_submodule(layer).register_forward_hook(keep)
    network(images)[range(len(classes)), classes].sum().backward()
    hook.remove()
    gradients = kept[0].grad
    assert gradients is not None
    maps = [_grid(one) if one.ndim == 3 else one for one in (kept[0].detach(), gradients)]
    return maps[0].numpy(), maps[1].numpy()


@pytest.mark.parametrize("family", FAMILIES)
def test_displayed_maps_are_the_packages(family: str) -> None:
    network, images, layer = _network(family), _images(family), FAMILIES[family]
    classes = _likely_classes(network, images)
    found = heatmaps(network, images, method=list(PACKAGE), target_layer=layer, class_index=classes)
    for method, one in found.items():
        assert one.faults == {}, method
        theirs = _package_maps(method, network, images, layer, classes)
        difference = np.abs(one.display - theirs).max()
        assert difference < TOLERANCE, (method, difference)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_principal_components_are_the_packages_up_to_their_sign(family: str) -> None:
    network, images, layer = _network(family), _images(family), FAMILIES[family]
    classes = _likely_classes(network, images)
    features, gradients = _features_and_gradients(network, images, layer, classes)
    found = heatmaps(network, images, method=EIGEN, target_layer=layer, class_index=classes)
    for method, evidence in zip(EIGEN, (features, features * gradients), strict=True):
        for ours, theirs in zip(found[method].raw, get_2d_projection(evidence), strict=True):
            sign = np.sign((ours * theirs).sum())
            np.testing.assert_allclose(ours, sign * theirs, rtol=0, atol=TOLERANCE * np.abs(ours).max())


@pytest.mark.slow
def test_the_trained_mobilenet_is_explained_as_by_the_package(test_data: Path, tmp_path: Path) -> None:
    source = test_data / "checkpoints" / "converted-mobilenet_v2-inatbird965-from-coral-quant.pt"
    output = tmp_path / "birds.safetensors"
    gray = (0.5, 0.5, 0.5)
    import_checkpoint(source, output, name="mobilenet_v2", num_classes=None, image_size=224, mean=gray, std=gray)
    model: Any = load_checkpoint(output)
    files = sorted((test_data / "birds").glob("*.*g"))[::7]
    images = torch.stack([pil_to_tensor(Image.open(file).convert("RGB")) for file in files]).float() / 255
    found = heatmaps(model, images, method=list(PACKAGE))
    classes = found["gradcam"].class_index.tolist()
    for method, one in found.items():
        theirs = _package_maps(method, model, images, "network.features", classes)
        assert np.abs(one.display - theirs).max() < TOLERANCE, method


def test_the_sign_of_components_is_arbitrary_in_the_package_and_follows_the_activation_here() -> None:
    network, images = _network("resnet"), _images("resnet")
    upside_down = 0
    for layer in ("layer1", "layer2", "layer3", "layer4"):
        features, _ = _features_and_gradients(network, images, layer, [0, 1, 2])
        ours = heatmaps(network, images, method="eigencam", target_layer=layer).raw
        for mine, other, one in zip(ours, get_2d_projection(features), features, strict=True):
            activation = one.mean(0).ravel()
            assert np.corrcoef(mine.ravel(), activation)[0, 1] > 0
            upside_down += np.corrcoef(other.ravel(), activation)[0, 1] < 0
    assert upside_down > 0


def _without_overwriting(network: nn.Module, images: Tensor, number: int) -> tuple[np.ndarray, np.ndarray]:
    """ResNet's last `bn2` and the gradients at it, with what follows written out."""
    net: Any = network
    with torch.no_grad():
        x = net.layer3(net.layer2(net.layer1(net.maxpool(F.relu(net.bn1(net.conv1(images)))))))
        block = net.layer4[0]
        features = block.bn2(block.conv2(F.relu(block.bn1(block.conv1(x)))))
        shortcut = block.downsample(x)
    features.requires_grad_()
    logits = net.fc(F.relu(features + shortcut).mean((2, 3)))
    (gradients,) = torch.autograd.grad(logits[:, number].sum(), features)
    return features.detach().numpy(), gradients.numpy()


@pytest.mark.parametrize("method", ["gradcam", "gradcam++", "hirescam", "layercam"])
def test_what_is_overwritten_in_place_is_wrong_in_the_package_and_right_here(method: str) -> None:
    network, images = _network("resnet"), _images("resnet")
    right = [
        PLAIN[method](a.astype(float), g.astype(float))
        for a, g in zip(*_without_overwriting(network, images, 4), strict=True)
    ]
    found = heatmaps(network, images, method=method, target_layer="layer4.0.bn2", class_index=4)
    np.testing.assert_allclose(found.raw, right, rtol=0, atol=TOLERANCE * np.abs(right).max())
    theirs = _package_maps(method, network, images, "layer4.0.bn2", [4, 4, 4])
    wrong = np.abs(theirs - found.display).max((1, 2))
    assert wrong.max() > 0.1


def test_densenets_features_are_overwritten_in_the_package_and_right_here() -> None:
    network, images = _network("densenet"), _images("densenet")
    classes = _likely_classes(network, images)
    net: Any = network
    with torch.no_grad():
        features = net.features(images).clone()
    features.requires_grad_()
    logits = net.classifier(F.relu(features).mean((2, 3)))
    (gradients,) = torch.autograd.grad(logits[range(3), classes].sum(), features)
    right = [
        PLAIN["gradcam"](a, g)
        for a, g in zip(features.detach().double().numpy(), gradients.double().numpy(), strict=True)
    ]
    found = heatmaps(network, images, method="gradcam", target_layer="features", class_index=classes)
    np.testing.assert_allclose(found.raw, right, rtol=0, atol=TOLERANCE * np.abs(right).max())
    theirs = _package_maps("gradcam", network, images, "features", classes)
    assert np.abs(theirs - found.display).max() > 0.01


def test_too_few_classes_are_zero_maps_in_the_package_and_refused_here() -> None:
    network, images, layer = _network("resnet"), _images("resnet"), FAMILIES["resnet"]
    assert not _package_maps("gradcam", network, images, layer, [4])[1:].any()
    with pytest.raises(ValueError, match="`class_index` must hold one class for each of the 3 images, got 1"):
        heatmaps(network, images, target_layer=layer, class_index=[4])


def test_the_last_block_of_a_vit_is_a_zero_map_in_the_package_and_refused_here() -> None:
    network, images, layer = _network("vit"), _images("vit"), "encoder.layers.encoder_layer_2"
    assert not _package_maps("gradcam", network, images, layer, [4, 0, 2]).any()
    with pytest.raises(ValueError, match="reaches the score by its class token alone"):
        heatmaps(network, images, target_layer=layer, class_index=[4, 0, 2])


def test_hirescam_of_what_is_normalized_next_is_rounding_painted_by_the_package_and_said_to_be_zero_here() -> None:
    network, images, layer = _network("vit"), _images("vit"), "encoder.layers.encoder_layer_1"
    features, gradients = _features_and_gradients(network.double(), images.double(), layer, [4, 0, 2])
    cancelled = np.abs((features * gradients).sum(1)) / np.abs(features * gradients).sum(1)
    assert cancelled.max() < 1e-5  # in double precision: what is left is the normalization's own epsilon
    assert _package_maps("hirescam", network.float(), images, layer, [4, 0, 2]).max() > 0.9
    found = heatmaps(network, images, method="hirescam", target_layer=layer, class_index=[4, 0, 2])
    assert found.faults == dict.fromkeys(range(3), "all zero")


def test_a_relu_that_runs_twice_is_its_first_run_in_the_package_and_its_last_here() -> None:
    torch.manual_seed(0)
    relu, head = nn.ReLU(), nn.Linear(5 * 8 * 10, 7)
    network = nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1), relu, nn.Conv2d(5, 5, 3, padding=1), relu, nn.Flatten(), head
    )
    images = torch.rand(3, 3, 8, 10)
    last = network[:4](images).detach()
    right = (last * head.weight[4].detach().view(5, 8, 10)).sum(1).numpy()
    ours = heatmaps(network, images, method="hirescam", target_layer="1", class_index=4)
    np.testing.assert_allclose(ours.raw, right, rtol=0, atol=1e-6)
    theirs = _package_maps("hirescam", network, images, "1", [4, 4, 4])
    assert np.abs(theirs - ours.display).max() > 0.1


def test_frozen_parameters_stop_the_package_and_change_nothing_here() -> None:
    network, images, layer = _network("resnet"), _images("resnet"), FAMILIES["resnet"]
    free = heatmaps(network, images, target_layer=layer, class_index=4)
    network.requires_grad_(False)
    with pytest.raises(RuntimeError, match="does not require grad"):
        _package_maps("gradcam", network, images, layer, [4, 4, 4])
    frozen = heatmaps(network, images, target_layer=layer, class_index=4)
    np.testing.assert_array_equal(frozen.raw, free.raw)


def _likely_classes(network: nn.Module, images: Tensor) -> list[int]:
    """Each image's own, so that something speaks for it."""
    with torch.no_grad():
        return network(images).argmax(1).tolist()
