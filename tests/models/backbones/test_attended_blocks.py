"""Every kind of block against its equations, written out pixel by pixel, with attention at all its places."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gradscape.models.backbones.cifar_resnets import CifarResNet
from gradscape.models.backbones.densenet import CifarDenseNet
from gradscape.models.backbones.mobilenet_v1 import MobileNetV1
from gradscape.models.backbones.mobilenet_v2 import CifarMobileNetV2, MobileNetV2
from gradscape.models.backbones.preact_resnets import PreactResNet
from gradscape.models.backbones.resnexts import CifarResNeXt
from gradscape.models.backbones.substitutes import Substitute
from gradscape.models.backbones.vgg import CifarVGG16
from gradscape.models.sites import AttendedBlock
from tests.models.attention_doubles import AddMean, Double

Attend = Callable[[Tensor], Tensor]


class _Shift(nn.Module):
    def forward(self, features: Tensor) -> Tensor:
        return features - 3


def _convolve(x: Tensor, layer: nn.Conv2d) -> Tensor:
    size, stride, margin = layer.kernel_size[0], layer.stride[0], int(layer.padding[0])
    images, channels, height, width = x.shape
    padded = x.new_zeros(images, channels, height + 2 * margin, width + 2 * margin)
    padded[:, :, margin : margin + height, margin : margin + width] = x
    rows, columns = (-(-side // stride) for side in (height, width))
    out = x.new_zeros(images, layer.out_channels, rows, columns)
    members, fan = layer.out_channels // layer.groups, channels // layer.groups
    for filter_ in range(layer.out_channels):
        first = filter_ // members * fan
        for row in range(rows):
            for column in range(columns):
                top, left = row * stride, column * stride
                patch = padded[:, first : first + fan, top : top + size, left : left + size]
                out[:, filter_, row, column] = (patch * layer.weight[filter_]).sum((1, 2, 3))
    return out if layer.bias is None else out + layer.bias[:, None, None]


def _normalize(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, var, weight, bias = (v[:, None, None] for v in (norm.running_mean, norm.running_var, norm.weight, norm.bias))
    return (x - mean) / (var + norm.eps) ** 0.5 * weight + bias


def _relu(x: Tensor, ceiling: float = float("inf")) -> Tensor:
    return torch.where(x > 0, x, 0).clamp(max=ceiling)


def _cifar_basic(block: Any, x: Tensor, attend: Attend) -> Tensor:
    branch = _normalize(_convolve(_relu(_normalize(_convolve(x, block.conv1), block.bn1)), block.conv2), block.bn2)
    if block.shortcut is None:
        return _relu(attend(branch))
    if isinstance(block.shortcut, nn.Identity):
        return _relu(attend(branch) + x)
    return _relu(attend(branch) + _normalize(_convolve(x, block.shortcut[0]), block.shortcut[1]))


def _bottleneck(block: Any, x: Tensor, attend: Attend) -> Tensor:
    out = _relu(_normalize(_convolve(x, block.conv1), block.bn1))
    out = _relu(_normalize(_convolve(out, block.conv2), block.bn2))
    branch = _normalize(_convolve(out, block.conv3), block.bn3)
    if block.downsample is None:
        return _relu(attend(branch) + x)
    return _relu(attend(branch) + _normalize(_convolve(x, block.downsample[0]), block.downsample[1]))


def _preact_basic(block: Any, x: Tensor, attend: Attend) -> Tensor:
    active = _relu(_normalize(x, block.bn1))
    branch = _convolve(_relu(_normalize(_convolve(active, block.conv1), block.bn2)), block.conv2)
    return attend(branch) + (x if block.shortcut is None else _convolve(active, block.shortcut))


def _preact_bottleneck(block: Any, x: Tensor, attend: Attend) -> Tensor:
    active = _relu(_normalize(x, block.bn1))
    out = _convolve(_relu(_normalize(_convolve(active, block.conv1), block.bn2)), block.conv2)
    branch = _convolve(_relu(_normalize(out, block.bn3)), block.conv3)
    return attend(branch) + (x if block.shortcut is None else _convolve(active, block.shortcut))


def _dense(block: Any, x: Tensor, attend: Attend) -> Tensor:
    out = _convolve(_relu(_normalize(x, block.bn1)), block.conv1)
    return torch.cat([attend(_convolve(_relu(_normalize(out, block.bn2)), block.conv2)), x], 1)


def _vgg(block: Any, x: Tensor, attend: Attend) -> Tensor:
    return attend(_relu(_normalize(_convolve(x, block.conv), block.bn)))


def _separable(block: Any, x: Tensor, attend: Attend) -> Tensor:
    out = _relu(_normalize(_convolve(x, block.depthwise), block.bn1))
    return attend(_relu(_normalize(_convolve(out, block.pointwise), block.bn2)))


def _inverted(block: Any, x: Tensor, attend: Attend) -> Tensor:
    (expand, bn1, _), (depthwise, bn2, _), project, bn3 = block.conv
    out = _relu(_normalize(_convolve(x, expand), bn1), 6)
    out = _relu(_normalize(_convolve(out, depthwise), bn2), 6)
    branch = attend(_normalize(_convolve(out, project), bn3))
    return branch + x if x.shape == branch.shape else branch


def _cifar_inverted(block: Any, x: Tensor, attend: Attend) -> Tensor:
    out = _relu(_normalize(_convolve(x, block.conv1), block.bn1))
    out = _relu(_normalize(_convolve(out, block.conv2), block.bn2))
    branch = attend(_normalize(_convolve(out, block.conv3), block.bn3))
    if branch.shape == x.shape:
        return branch + x
    if branch.shape[2:] == x.shape[2:]:
        return branch + _normalize(_convolve(x, block.shortcut[0]), block.shortcut[1])
    return branch


def _substitute(block: Any, x: Tensor, attend: Attend) -> Tensor:
    return attend(block.inner(x))


def _preact(*, bottleneck: bool) -> PreactResNet:
    return PreactResNet((2, 2), bottleneck=bottleneck, stem_channels=4, widths=(4, 6))


BLOCKS: dict[str, tuple[Callable[[], nn.Module], str, Callable[[Any, Tensor, Attend], Tensor]]] = {
    "residual": (lambda: CifarResNet(14), "layer2.1", _cifar_basic),
    "residual, projected": (lambda: CifarResNet(14, shortcut="projection"), "layer2.0", _cifar_basic),
    "residual without shortcut": (lambda: CifarResNet(14, shortcut="none"), "layer2.0", _cifar_basic),
    "grouped": (lambda: CifarResNeXt(2, 2), "stages.0.1", _bottleneck),
    "grouped, halving": (lambda: CifarResNeXt(2, 2), "stages.1.0", _bottleneck),
    "pre-activation": (lambda: _preact(bottleneck=False), "stages.0.1", _preact_basic),
    "pre-activation, halving": (lambda: _preact(bottleneck=False), "stages.1.0", _preact_basic),
    "pre-activation bottleneck": (lambda: _preact(bottleneck=True), "stages.0.1", _preact_bottleneck),
    "pre-activation bottleneck, widening": (lambda: _preact(bottleneck=True), "stages.0.0", _preact_bottleneck),
    "pre-activation bottleneck, halving": (lambda: _preact(bottleneck=True), "stages.1.0", _preact_bottleneck),
    "dense": (lambda: CifarDenseNet((2, 2), growth_rate=2), "dense2.1", _dense),
    "VGG": (CifarVGG16, "stages.0.0", _vgg),
    "separable": (lambda: MobileNetV1(width=0.125), "features.3", _separable),
    "separable, halving": (lambda: MobileNetV1(width=0.125), "features.2", _separable),
    "inverted": (lambda: MobileNetV2(width=0.1), "features.3", _inverted),
    "inverted, halving": (lambda: MobileNetV2(width=0.1), "features.2", _inverted),
    "inverted for small images": (CifarMobileNetV2, "stages.1.1", _cifar_inverted),
    "inverted for small images, widening": (CifarMobileNetV2, "stages.0.0", _cifar_inverted),
    "inverted for small images, halving": (CifarMobileNetV2, "stages.2.0", _cifar_inverted),
    "substitute": (lambda: Substitute(nn.Sigmoid(), "inner"), "", _substitute),
}


def _randomize(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)


@pytest.mark.parametrize("kind", BLOCKS)
def test_block_follows_its_equations_with_attention_on_branch_and_output(kind: str) -> None:
    torch.manual_seed(0)
    create, name, equations = BLOCKS[kind]
    network = create().eval().requires_grad_(False)
    _randomize(network)
    block = network.get_submodule(name).double()
    assert isinstance(block, AttendedBlock)
    entrance = next((m for m in block.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)), None)
    channels = {nn.Conv2d: "in_channels", nn.BatchNorm2d: "num_features"}.get(type(entrance), "none")
    x = torch.randn(2, getattr(entrance, channels, 5), 4, 6, dtype=torch.float64)

    torch.testing.assert_close(block(x), equations(block, x, lambda branch: branch))
    block.add_attention("doubling", Double(), place="branch")
    block.add_attention("input_mean", AddMean(), place="gate")
    block.add_attention("shift", _Shift(), place="output")
    torch.testing.assert_close(block(x), equations(block, x, lambda branch: 2 * branch + x.mean()) - 3)
