import pytest
import timm
import torch
from torch import nn

from gradscape.models import count_parameters
from gradscape.models.attentions.global_context import GlobalContext
from tests.models.attentions.conftest import Settle


def test_block_equals_timms_with_the_same_weights(settle: Settle) -> None:
    module = GlobalContext(6, reduction=2)
    reference = timm.layers.GlobalContext(6, rd_ratio=1 / 2, fuse_add=True, fuse_scale=False)
    settle(module)
    settle(reference)
    norm = reference.get_submodule("mlp_add.norm")
    assert isinstance(norm, nn.LayerNorm)
    norm.eps = 1e-5  # torch's; timm has 1e-6
    state = module.state_dict()
    names = {
        "conv_attn.weight": "score.weight",
        "conv_attn.bias": "score.bias",
        "mlp_add.fc1.weight": "transform.0.weight",
        "mlp_add.fc1.bias": "transform.0.bias",
        "mlp_add.norm.weight": "transform.1.weight",
        "mlp_add.norm.bias": "transform.1.bias",
        "mlp_add.fc2.weight": "transform.3.weight",
        "mlp_add.fc2.bias": "transform.3.bias",
    }
    shapes = {key: value.shape for key, value in reference.state_dict().items()}
    reference.load_state_dict({theirs: state[ours].view(shapes[theirs]) for theirs, ours in names.items()})
    x = torch.randn(2, 6, 3, 5).double()
    torch.testing.assert_close(module(x), reference(x))


def test_context_follows_its_equation(settle: Settle) -> None:
    module = GlobalContext(4, reduction=2)
    settle(module)
    x = torch.randn(2, 4, 3, 5).double()
    score, first, norm, second = module.score, module.transform[0], module.transform[1], module.transform[3]
    expected = torch.zeros_like(x)
    for image in range(2):
        pixels = x[image].flatten(1).T
        raised = [float((score.weight.flatten() @ pixel + score.bias[0]).exp()) for pixel in pixels]  # type: ignore[index]
        context = sum(
            (weight / sum(raised) * pixel for weight, pixel in zip(raised, pixels, strict=True)), torch.zeros(4)
        )
        hidden = first.weight @ context + first.bias  # type: ignore[operator]
        centered = hidden - hidden.sum() / 2
        hidden = centered / (centered.square().sum() / 2 + 1e-5).sqrt() * norm.weight + norm.bias  # type: ignore[operator]
        part = second.weight @ hidden.clamp(min=0) + second.bias  # type: ignore[operator]
        expected[image] = x[image] + part[:, None, None]
    torch.testing.assert_close(module(x), expected)


def test_new_block_is_the_identity() -> None:
    x = torch.randn(2, 32, 3, 5)
    assert torch.equal(GlobalContext(32)(x), x)


def test_parameters_of_resnet_50_equal_timms_block_count(resnet50_widths: list[int]) -> None:
    with torch.device("meta"):
        added = sum(count_parameters(GlobalContext(width)) for width in resnet50_widths)
    assert 25_557_032 + added == 28_105_032


def test_a_reduction_that_leaves_no_channel_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^`reduction` of an attention over 8 channels must be from 1 to 8, got 16$"):
        GlobalContext(8)
