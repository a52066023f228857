import pytest
import torch
from torch import nn

from gradscape.models import count_parameters, create_model
from gradscape.models.upanets import ChannelPixelAttention, PixelLinear, SpatialPixelAttention, UPANet


def _parameters(name: str, *, num_classes: int = 10, image_size: int = 32) -> int:
    with torch.device("meta"):
        return count_parameters(create_model(name, num_classes=num_classes, image_size=image_size))


# (name, classes, side) -> parameters with and without the attention's shortcut branch, of the published networks.
PUBLISHED = {
    ("upanet16", 10, 32): (1_512_431, 1_489_855),
    ("upanet16", 100, 32): (1_557_161, 1_534_585),
    ("upanet32", 10, 32): (6_018_239, 5_929_567),
    ("upanet32", 100, 32): (6_107_609, 6_018_937),
    ("upanet64", 10, 32): (24_017_183, 23_665_759),
    ("upanet64", 100, 32): (24_195_833, 23_844_409),
    ("upanet64", 200, 64): (24_401_485, 24_050_061),
    ("upanet16_final_gap", 10, 32): (1_507_162, 1_484_586),
    ("upanet16_final_gap", 100, 32): (1_530_292, 1_507_716),
    ("upanet16_final_spa", 10, 32): (1_507_179, 1_484_603),
    ("upanet16_final_spa", 100, 32): (1_530_309, 1_507_733),
    ("upanet16_exc_gap", 10, 32): (1_510_042, 1_487_466),
    ("upanet16_exc_gap", 100, 32): (1_554_772, 1_532_196),
    ("upanet16_exc_spa", 10, 32): (1_512_431, 1_489_855),
    ("upanet16_exc_spa", 100, 32): (1_557_161, 1_534_585),
    ("upanet16_conv", 10, 32): (1_511_674, 1_489_354),
    ("upanet16_slim", 10, 32): (798_783, 776_207),
    ("upanet16_slim", 100, 32): (843_513, 820_937),
    ("upanet16_no_cpa", 10, 32): (1_436_639, 1_436_639),
    ("upanet16_no_cpa", 100, 32): (1_481_369, 1_481_369),
}


@pytest.mark.parametrize(("model", "parameters"), PUBLISHED.items(), ids=str)
def test_parameters_equal_the_published_networks_to_the_digit(
    model: tuple[str, int, int], parameters: tuple[int, int]
) -> None:
    name, num_classes, image_size = model
    counts = tuple(
        _parameters(name + option, num_classes=num_classes, image_size=image_size)
        for option in ("", "@cpa_shortcut=false")
    )
    assert counts == parameters


def test_parameters_at_64_pixels_equal_the_published_networks() -> None:
    assert _parameters("upanet16", num_classes=200, image_size=64) == 1_614_013
    assert _parameters("upanet32", num_classes=200, image_size=64) == 6_214_061


def test_state_has_the_published_keys_and_shapes() -> None:
    batch_norm = {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    pair = {"0.weight", "3.weight", *(f"{i}.{key}" for i in (1, 4) for key in batch_norm)}
    attention = {"cp_ffc.weight", "cp_ffc.bias", *(f"bn.{key}" for key in batch_norm)}
    shortcut = {"cp_ffc_sc.weight", "cp_ffc_sc.bias", *(f"bn_sc.{key}" for key in batch_norm)}
    expected = {f"root.{key}" for key in pair} | {f"emb.{key}" for key in attention | shortcut}
    for layer in range(1, 5):
        for block in range(5):
            expected |= {f"layer{layer}.{block}.cnn.{key}" for key in pair}
            expected |= {f"layer{layer}.{block}.att.{key}" for key in attention}
        expected |= {f"layer{layer}.0.att.{key}" for key in shortcut}
    expected |= {f"spa{level}.sp_ffc.0.{key}" for level in range(5) for key in ("weight", "bias")}
    expected |= {"linear.weight", "linear.bias", *(f"bn.{key}" for key in batch_norm)}

    state = create_model("upanet16", num_classes=7).state_dict()
    assert set(state) == expected
    assert len(state) == 451
    assert state["layer2.0.att.cp_ffc.weight"].shape == (32, 32)
    assert state["layer2.3.att.cp_ffc.weight"].shape == (8, 48)
    assert [state[f"spa{level}.sp_ffc.0.weight"].shape[1] for level in range(5)] == [1024, 1024, 256, 64, 16]
    assert state["linear.weight"].shape == (7, 31 * 16)


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("shortcut", [False, True])
@pytest.mark.parametrize("attention", ["linear", "conv"])
def test_channel_attention_follows_its_equation_pixel_by_pixel(attention: str, *, shortcut: bool, down: bool) -> None:
    torch.manual_seed(0)
    channels, mixed, height, width = 3, 5, 4, 6
    module = ChannelPixelAttention(channels, mixed, attention=attention, shortcut=shortcut, down=down)  # type: ignore[arg-type]
    module.double().eval().requires_grad_(False)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
    x, s = torch.randn(2, channels, height, width).double(), torch.randn(2, mixed, height, width).double()

    def branch(mixing: nn.Module, norm: nn.BatchNorm2d, image: int, filter_: int, row: int, column: int) -> float:
        weight = mixing.get_parameter("weight")
        total = 0.0 if attention == "conv" else float(mixing.get_parameter("bias")[filter_])
        for channel in range(channels):
            total += float(weight[filter_, channel]) * float(x[image, channel, row, column])
        mean, var = float(norm.running_mean[filter_]), float(norm.running_var[filter_])  # type: ignore[index]
        return (total - mean) / (var + 1e-5) ** 0.5 * float(norm.weight[filter_]) + float(norm.bias[filter_])

    expected = torch.zeros(2, mixed, height, width).double()
    places = [(f, row, column) for f in range(mixed) for row in range(height) for column in range(width)]
    for image in range(2):
        fused = [float(s[(image, *place)]) + branch(module.cp_ffc, module.bn, image, *place) for place in places]
        mean = sum(fused) / len(fused)
        var = sum((value - mean) ** 2 for value in fused) / len(fused)
        for place, value in zip(places, fused, strict=True):
            expected[(image, *place)] = (value - mean) / (var + 1e-5) ** 0.5
            if shortcut:
                expected[(image, *place)] += branch(module.cp_ffc_sc, module.bn_sc, image, *place)
    if down:
        quarters = [expected[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)]
        expected = (quarters[0] + quarters[1] + quarters[2] + quarters[3]) / 4
    torch.testing.assert_close(module(x, s), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("attention", ["linear", "conv"])
def test_spatial_attention_is_one_weighted_sum_of_pixels_for_all_channels(attention: str) -> None:
    torch.manual_seed(0)
    height, width = 5, 7
    module = SpatialPixelAttention(height * width, attention=attention)  # type: ignore[arg-type]
    module.requires_grad_(False)
    x = torch.randn(2, 3, height, width)
    weights = module.sp_ffc[0].get_parameter("weight").view(height, width)
    offset = 0.0 if attention == "conv" else float(module.sp_ffc[0].get_parameter("bias"))
    for image in range(2):
        for channel in range(3):
            total = offset
            for row in range(height):
                for column in range(width):
                    total += float(weights[row, column] * x[image, channel, row, column])
            assert float(module(x)[image, channel]) == pytest.approx(total, abs=1e-5)


def test_pixel_linear_is_a_1x1_convolution_in_either_memory_format() -> None:
    torch.manual_seed(0)
    layer, x = PixelLinear(3, 4), torch.randn(2, 3, 5, 7)
    expected = nn.functional.conv2d(x, layer.weight[:, :, None, None], layer.bias)
    torch.testing.assert_close(layer(x), expected)
    torch.testing.assert_close(layer(x.contiguous(memory_format=torch.channels_last)), expected)


def test_head_connects_every_map_pooled_twice_the_deepest_first() -> None:
    torch.manual_seed(0)
    network = create_model("upanet16", num_classes=7, image_size=16).eval()
    maps: list[torch.Tensor] = []
    for module in [network.get_submodule("emb"), *(network.get_submodule(f"layer{i}") for i in range(1, 5))]:
        module.register_forward_hook(lambda _module, _inputs, output: maps.append(output))
    logits = network(torch.randn(3, 3, 16, 16))
    assert [tuple(x.shape[1:]) for x in maps] == [(16, 16, 16), (32, 16, 16), (64, 8, 8), (128, 4, 4), (256, 2, 2)]
    features = []
    for level in (4, 3, 2, 1, 0):
        weight, bias = (network.get_parameter(f"spa{level}.sp_ffc.0.{key}") for key in ("weight", "bias"))
        pooled = maps[level].mean((2, 3)) + (maps[level].flatten(2) * weight).sum(2) + bias
        centered = pooled - pooled.mean(1, keepdim=True)
        features.append(centered / (centered.square().mean(1, keepdim=True) + 1e-5).sqrt())
    scale = (1 + 1e-5) ** -0.5  # the untrained batch normalization
    expected = network.get_submodule("linear")(torch.cat(features, 1) * scale)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


def test_dense_block_keeps_its_input_in_front_of_the_fusion() -> None:
    torch.manual_seed(0)
    network = create_model("upanet16").eval()
    x = torch.randn(2, 40, 6, 10)
    block = network.get_submodule("layer2.2")
    out = block(x)
    assert out.shape == (2, 48, 6, 10)
    assert torch.equal(out[:, :40], x)


def test_maps_of_figure_7_are_outputs_of_submodules() -> None:
    network = create_model("upanet16").eval()
    seen: dict[str, torch.Size] = {}
    for name in ("layer2.0.cnn", "layer2.0.att.bn"):
        network.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, name=name: seen.update({name: output.shape})
        )
    network(torch.randn(2, 3, 32, 32))
    assert seen == {"layer2.0.cnn": (2, 32, 32, 32), "layer2.0.att.bn": (2, 32, 32, 32)}


def test_shuffle_mixes_the_groups_of_the_first_convolution_and_replaces_the_attention() -> None:
    pair = create_model("upanet16@shuffle=true,groups=4").get_submodule("layer1.1.cnn")
    assert isinstance(pair, nn.Sequential)
    assert pair[0].groups == 4
    shuffled = pair[3](torch.arange(8.0).view(1, 8, 1, 1)).flatten()
    assert shuffled.tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
    assert not any("att" in key for key in create_model("upanet16@shuffle=true,groups=4").state_dict())


def test_groups_keep_the_attention_and_divide_the_first_convolution() -> None:
    grouped, whole = (create_model(name).state_dict() for name in ("upanet16@groups=2", "upanet16"))
    assert grouped.keys() == whole.keys()
    assert grouped["layer1.0.cnn.0.weight"].shape == (32, 8, 3, 3)
    assert grouped["root.0.weight"].shape == (32, 3, 3, 3)


def test_blocks_multiply_the_dense_blocks_and_keep_the_widths() -> None:
    network = create_model("upanet16@blocks=2", image_size=8).eval()
    assert len(network.get_submodule("layer3")) == 1 + 8  # type: ignore[arg-type]
    assert network.get_parameter("linear.weight").shape == (10, 31 * 16)
    assert network(torch.randn(2, 3, 8, 8)).shape == (2, 10)


def test_output_of_an_image_does_not_depend_on_its_batch() -> None:
    network = create_model("upanet16", image_size=16).eval()
    images = torch.randn(5, 3, 16, 16)
    torch.testing.assert_close(network(images)[3:4], network(images[3:4]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 20}, "`image_size` of a UPANet must be a multiple of 8, got 20"),
        ({"blocks": 3}, "`blocks` of a UPANet must be such that 4 × blocks divides 16 filters, got 3"),
        ({"groups": 8}, "`groups` of a UPANet must divide the 4 channels that a block adds, got 8"),
        ({"width": 0}, "`width` of a UPANet must be positive, got 0"),
    ],
)
def test_impossible_shapes_are_refused_with_the_reason(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        UPANet(16, **arguments)  # type: ignore[arg-type]


def test_shuffling_one_group_is_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match=r"^`shuffle` connects the `groups` of a UPANet, .* two or more, got 1$"):
        create_model("upanet16@shuffle=true")
