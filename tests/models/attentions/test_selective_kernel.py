import pytest
import timm
import torch
from torch import nn

from gradscape.models import count_parameters
from gradscape.models.attentions.selective_kernel import SelectiveKernel
from tests.models.attentions.conftest import Settle


@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_block_equals_timms_with_the_same_weights(settle: Settle, stride: int, groups: int) -> None:
    module = SelectiveKernel(8, 6, stride=stride, groups=groups)
    reference = timm.layers.SelectiveKernel(8, 6, stride=stride, groups=groups)
    settle(module)
    reference.double().eval()
    renamed = {}
    for key, value in module.state_dict().items():
        name = key
        for number, branch in enumerate(("near", "far")):
            name = name.replace(f"{branch}.0.", f"paths.{number}.conv.").replace(f"{branch}.1.", f"paths.{number}.bn.")
        name = name.replace("choice.0.", "attn.fc_reduce.").replace("choice.1.", "attn.bn.")
        renamed[name.replace("choice.3.", "attn.fc_select.")] = value
    reference.load_state_dict(renamed)
    x = torch.randn(2, 8, 5, 8).double()
    out = module(x)
    assert out.shape == (2, 6, *((5, 8) if stride == 1 else (3, 4)))
    torch.testing.assert_close(out, reference(x))


def test_parameters_of_resnet_50_equal_timms() -> None:
    with torch.device("meta"):
        replaced, added = 0, 0
        for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
            plain = nn.Sequential(nn.Conv2d(width, width, 3, bias=False), nn.BatchNorm2d(width))
            replaced += blocks * count_parameters(plain)
            added += blocks * count_parameters(SelectiveKernel(width, width))
    assert 25_557_032 - replaced + added == 25_803_160


@pytest.mark.parametrize(("channels", "filters", "groups"), [(7, 6, 1), (8, 6, 4), (6, 8, 2), (8, 8, 0)])
def test_groups_that_do_not_divide_channels_or_filters_are_refused(channels: int, filters: int, groups: int) -> None:
    message = (
        f"^`groups` of a selective kernel must divide {filters} filters and half of {channels} channels, got {groups}$"
    )
    with pytest.raises(ValueError, match=message):
        SelectiveKernel(channels, filters, groups=groups)
