"""Options of residual attention networks that the texts describe."""

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gradscape.models.counting import count_parameters
from gradscape.models.residual_attention import (
    AttentionModule,
    ResidualAttentionNetwork,
    SoftMask,
)
from gradscape.models.residual_units import Padding, ResidualUnit, UnitStyle
from tests.models.residual_attention_anatomy import (
    count_trunk_layers,
    keras_counts,
)


def _built(**options: Any) -> ResidualAttentionNetwork:
    with torch.device("meta"):
        return ResidualAttentionNetwork(56, **options)


def test_four_units_in_the_tail_have_the_total_that_follows_from_figure_5() -> None:
    assert keras_counts(_built(as_reported=True, tail=4))[0] == 3_437_994 == 2_892_970 + 545_024


def test_normalizing_each_channels_map_has_the_896_parameters_of_normalizing_each_pixel() -> None:
    mixed, pixel, mapped = (
        keras_counts(_built(activation=activation, as_reported=True))
        for activation in ("mixed", "spatial", "spatial_map")
    )
    assert pixel == mapped == (mixed[0] + 896, mixed[1] + 896, mixed[2])


@pytest.mark.parametrize(("p", "t", "r"), [(1, 2, 1), (2, 1, 3), (3, 4, 2)])
def test_units_are_as_many_as_p_t_and_r_say(p: int, t: int, r: int) -> None:
    network = _built(p=p, t=t, r=r)
    for poolings, stage in zip((3, 2, 1), network.stages, strict=True):
        units = Counter(
            next((part for part in ("soft_mask", "trunk") if part in name), "others")
            for name, module in stage.named_modules()
            if isinstance(module, ResidualUnit)
        )
        down, lowest, up = poolings * r, r if poolings > 1 else 0, (poolings - 1) * (1 + r)  # up: a skip unit each
        assert units == {"others": 1 + p + 1, "trunk": t, "soft_mask": down + lowest + up}
    assert count_trunk_layers(network) == 56 + 9 * (p - 1 + t - 2)


def test_preprocessing_units_follow_each_other() -> None:
    torch.manual_seed(0)
    twice = AttentionModule(5, 8, poolings=1, p=2, style=UnitStyle()).eval()
    once = AttentionModule(8, 8, poolings=1, p=1, style=UnitStyle()).eval()
    second = {key.replace("others.0.", "first."): value for key, value in twice.state_dict().items()}
    once.load_state_dict({key: second[key] for key in once.state_dict()})
    x = torch.randn(2, 5, 6, 4)
    assert torch.equal(twice(x), once(twice.first(x)))


def test_r_units_stand_between_a_pooling_or_upsampling_and_the_next() -> None:
    torch.manual_seed(0)
    hourglass = SoftMask(8, poolings=2, r=2, style=UnitStyle()).eval().hourglass
    x = torch.randn(2, 8, 12, 8)
    down, deeper, low = (hourglass.get_submodule(name) for name in ("down", "deeper.down", "deeper.out"))
    assert [len(part) for part in (down, deeper, low, hourglass.out)] == [3, 3, 2, 2]  # type: ignore[arg-type]
    first = down(x)
    assert hourglass.skip is not None
    middle = F.interpolate(low(deeper(first)), scale_factor=2) + hourglass.skip(first)
    torch.testing.assert_close(hourglass(x), F.interpolate(hourglass.out(middle), scale_factor=2))


def test_regularization_after_stage_3_drops_values_in_training_and_normalizes_what_is_left() -> None:
    torch.manual_seed(0)
    network = ResidualAttentionNetwork(56, dropout=0.25)
    assert keras_counts(network) == tuple(
        total + add for total, add in zip(keras_counts(_built()), (1024, 512, 512), strict=True)
    )
    seen: dict[str, Tensor] = {}
    network.regularization[0].register_forward_hook(lambda _m, inputs, output: seen.update(x=inputs[0], dropped=output))
    network.regularization[1].register_forward_hook(lambda _m, _i, output: seen.update(normalized=output))
    network.tail.register_forward_pre_hook(lambda _m, inputs: seen.update(tail=inputs[0]))
    images = torch.randn(6, 3, 16, 16)
    network.train()(images)
    assert (seen["dropped"] == 0).float().mean() == pytest.approx(0.25, abs=0.02)
    kept = seen["dropped"] != 0
    torch.testing.assert_close(seen["dropped"][kept], seen["x"][kept] / 0.75)
    assert seen["tail"] is seen["normalized"]
    torch.testing.assert_close(seen["tail"].mean((0, 2, 3)), torch.zeros(256), atol=1e-5, rtol=0)
    network.eval()(images)
    assert torch.equal(seen["dropped"], seen["x"])


@pytest.mark.parametrize("padding", ["symmetric", "tensorflow"])
@pytest.mark.parametrize("size", [(6, 8), (7, 8), (5, 9)], ids=str)
def test_strided_stem_is_its_convolution_at_every_second_pixel(size: tuple[int, int], padding: Padding) -> None:
    torch.manual_seed(0)
    network = ResidualAttentionNetwork(56, stem="strided", padding=padding)
    weight, images = network.get_parameter("stem.0.weight"), torch.randn(2, 3, *size)
    starts = [1 if padding == "tensorflow" and side % 2 == 0 else 0 for side in size]  # the padding's missing pixel
    expected = F.conv2d(images, weight, padding=2)[:, :, starts[0] :: 2, starts[1] :: 2]
    torch.testing.assert_close(network.stem(images), expected)
    assert count_parameters(network) == count_parameters(_built())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"p": 0}, "`p` of an attention module, a number of residual units, must be positive, got 0"),
        ({"r": -1}, "`r` of an attention module, a number of residual units, must be positive, got -1"),
        ({"tail": 0}, "`tail` of a residual attention network, a number of residual units, must be positive, got 0"),
        ({"dropout": 1.0}, r"`dropout` of a residual attention network must be in \[0, 1\), got 1.0"),
    ],
)
def test_impossible_numbers_are_refused_with_the_reason(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        _built(**options)
