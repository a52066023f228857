import copy
import math
from itertools import combinations

import pytest
import torch
from torch import Tensor, nn

from gradscape._taps import Kind, collected_taps
from gradscape.models.ba2m import BA2M, acting_in_evaluation
from gradscape.models.counting import count_parameters
from gradscape.models.create import create_model
from tests.models.plain_layers import batch_normalized

BRANCHES = ("channel", "local", "global")
SUBSETS = [subset for size in (1, 2, 3) for subset in combinations(BRANCHES, size)]
RESNET50 = (256, 512, 1024, 2048)


def _weights(module: nn.Module) -> int:
    layers = (layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear))
    return sum(layer.weight.numel() for layer in layers)


@pytest.mark.parametrize("reduction", [2, 4, 8, 16, 32])
@pytest.mark.parametrize("channels", RESNET50)
def test_weights_of_each_branch_are_those_of_equation_16(channels: int, reduction: int) -> None:
    squares, r = channels**2, reduction
    with torch.device("meta"):
        counts = [_weights(BA2M(channels, reduction=r, branches=[branch])) for branch in BRANCHES]
    assert counts == [squares * 2 // r, squares * (9 + 2 * r) // r**2, squares * 3 // r**2]


@pytest.mark.parametrize(
    ("reduction", "equations", "table"),
    [(2, 51.56, 48.81), (4, 33.45, 31.40), (8, 27.54, 26.35), (16, 25.36, 24.75), (32, 24.47, 24.21)],
)
def test_parameters_in_cifar_resnet50_are_those_of_the_two_layouts(
    reduction: int, equations: float, table: float
) -> None:
    with torch.device("meta"):
        weights = sum(_weights(BA2M(channels, reduction=reduction)) for channels in RESNET50)
        parameters = sum(count_parameters(BA2M(channels, reduction=reduction, layout="table")) for channels in RESNET50)
    assert round((23_705_252 + weights) / 1e6, 2) == equations
    assert round((23_705_252 + parameters) / 1e6, 2) == table


def test_parameters_of_the_table_layout_are_the_printed_ones_of_resnet50_and_resnet34() -> None:
    with torch.device("meta"):
        resnet50, resnet34 = (
            sum(count_parameters(BA2M(channels, layout="table")) for channels in widths)
            for widths in (RESNET50, (64, 128, 256, 512))
        )
    assert (23_705_252 + resnet50, 21_797_672 + resnet34) == (24_210_436, 21_924_072)


@pytest.mark.parametrize(
    ("channels", "reduction", "equations", "table"),
    [(16, 32, 16, 1), (24, 32, 24, 1), (64, 32, 32, 2), (80, 32, 20, 2), (37, 32, 1, 1), (12, 8, 6, 1)],
)
def test_groups_are_the_most_that_divide_the_channels(
    channels: int, reduction: int, equations: int, table: int
) -> None:
    modules = [BA2M(channels, reduction=reduction), BA2M(channels, reduction=reduction, layout="table")]
    assert [module.groups for module in modules] == [equations, table]
    assert all(module(torch.randn(2, channels, 3, 5)).shape == (2, channels, 3, 5) for module in modules)


def _bias(layer: nn.Module, out: int) -> float | Tensor:
    bias = getattr(layer, "bias", None)
    return bias[out] if isinstance(bias, Tensor) else 0.0


def _linear(layer: nn.Module, vector: Tensor) -> Tensor:
    weight = layer.get_parameter("weight")
    values = [sum(row[i] * vector[i] for i in range(len(vector))) + _bias(layer, out) for out, row in enumerate(weight)]
    return torch.stack([torch.as_tensor(value) for value in values])


def _convolved(layer: nn.Module, image: Tensor) -> Tensor:
    """A convolution with zero padding, pixel by pixel, of (C, H, W)."""
    weight = layer.get_parameter("weight")
    margin = weight.shape[2] // 2
    channels, height, width = image.shape
    padded = torch.zeros(channels, height + 2 * margin, width + 2 * margin, dtype=image.dtype)
    padded[:, margin : margin + height, margin : margin + width] = image
    result = torch.zeros(len(weight), height, width, dtype=image.dtype)
    for out in range(len(weight)):
        for row in range(height):
            for column in range(width):
                seen = padded[:, row : row + weight.shape[2], column : column + weight.shape[3]]
                result[out, row, column] = (seen * weight[out]).sum() + _bias(layer, out)
    return result


def _locally(module: BA2M, image: Tensor, *, table: bool) -> Tensor:
    parts = image.split(len(image) // module.groups if table else len(image))
    for layer in module.convolutions:
        parts = tuple(_convolved(layer, part) for part in parts)
    return torch.cat(parts)


def _globally(module: BA2M, image: Tensor) -> Tensor:
    """Non-local attention, group by group and pixel by pixel."""
    result = []
    for part in image.split(len(image) // module.groups):
        pixels = part.flatten(1).T
        query, key, value = (
            [_linear(layer, pixel) for pixel in pixels] for layer in (module.query, module.key, module.value)
        )
        mixed = []
        for looking in query:
            scores = [math.exp(float((looking * seen).sum())) for seen in key]
            mixed.append(sum(score / sum(scores) * seen for score, seen in zip(scores, value, strict=True)))
        result.append(torch.stack([torch.as_tensor(pixel) for pixel in mixed], 1).view_as(part))
    return torch.cat(result)


def _batch_weights(module: BA2M, x: Tensor, *, branches: tuple[str, ...], table: bool, training: bool) -> Tensor:
    """The weights of a batch by equations 6 to 11."""
    vectors = []
    if "channel" in branches:
        channel = torch.stack([_linear(module.fc[1], _linear(module.fc[0], image.mean((1, 2)))) for image in x])
        vectors.append(batch_normalized(channel, module.fc_norm, training=training))
    if "local" in branches:
        local = torch.stack([_locally(module, image, table=table) for image in x])
        vectors.append(batch_normalized(local, module.convolutions_norm, training=training).mean((2, 3)))
    if "global" in branches:
        maps = torch.stack([_globally(module, image) for image in x])
        if table:
            maps = batch_normalized(maps, module.global_norm, training=training)
        vectors.append(maps.mean((2, 3)))
    scores = []
    for image in range(len(x)):
        strongest = [max(float(vector[image, channel]) for vector in vectors) for channel in range(x.shape[1])]
        scores.append(math.exp(sum(strongest) / len(strongest)))
    return torch.tensor([score / sum(scores) for score in scores], dtype=x.dtype)


def _awake(module: BA2M) -> BA2M:
    """With random numbers for the parameters that start at zero, such as the values of global attention."""
    for parameter in module.parameters():
        if not parameter.any():
            nn.init.normal_(parameter)
    return module


def _randomized(module: BA2M) -> BA2M:
    """In double precision, with parameters and statistics of its own."""
    torch.manual_seed(0)
    module.double().requires_grad_(False)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and name != "batch_share":
            tensor.uniform_(0.5, 1.5) if tensor.ndim == 1 else tensor.normal_(std=0.5)
    return module


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("layout", ["equations", "table"])
@pytest.mark.parametrize("branches", SUBSETS, ids="-".join)
def test_attention_follows_its_equations_image_by_image(
    branches: tuple[str, ...], layout: str, *, scaled: bool
) -> None:
    table = layout == "table"
    channels, reduction = (64, 4) if table else (6, 3)  # two groups of 32, three of 2
    height, width = (2, 1) if table else (2, 3)
    module = _randomized(
        BA2M(channels, reduction=reduction, branches=branches, layout=layout, scale_by_batch=scaled)  # type: ignore[arg-type]
    )
    if table:
        for layer in (layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)):
            layer.weight /= 4  # a softmax that is not all on one pixel
    x = torch.randn(4, channels, height, width).double()
    weights = _batch_weights(module, x, branches=branches, table=table, training=True) * (4 if scaled else 1)
    torch.testing.assert_close(module(x), torch.stack([w * image for w, image in zip(weights, x, strict=True)]))

    module.eval()
    weights = _batch_weights(module, x, branches=branches, table=table, training=False) * (4 if scaled else 1)
    with collected_taps(module, {"batch weights"}) as collected:
        output = module(x)
    torch.testing.assert_close(collected["batch_weights"], [weights])
    torch.testing.assert_close(output, x if scaled else x / 4)


@pytest.mark.parametrize("kinds", [{"mask"}, {"mask", "affinity"}], ids=["masks alone", "with the affinity"])
def test_maps_stand_at_the_pixels_that_they_are_of(kinds: set[Kind]) -> None:
    module = _randomized(BA2M(6, reduction=3)).eval()
    x = torch.randn(2, 6, 2, 3).double()
    with collected_taps(module, kinds) as collected:
        module(x)
    local = torch.stack([_locally(module, image, table=False) for image in x])
    local = batch_normalized(local, module.convolutions_norm, training=False)
    torch.testing.assert_close(collected["local_spatial"], [local])
    torch.testing.assert_close(collected["global_spatial"], [torch.stack([_globally(module, image) for image in x])])


@pytest.mark.parametrize(("scaled", "total"), [(True, 5.0), (False, 1.0)])
def test_weights_of_a_batch_sum_to_its_size_or_to_one(total: float, *, scaled: bool) -> None:
    module = _awake(BA2M(12, reduction=4, scale_by_batch=scaled))
    for training in (True, False):
        module.train(training)
        with collected_taps(module, {"batch weights"}) as collected:
            module(torch.randn(5, 12, 3, 4))
        (weights,) = collected["batch_weights"]
        assert weights.shape == (5,)
        assert float(weights.sum()) == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("scaled", [True, False])
def test_output_of_an_image_in_evaluation_does_not_depend_on_its_batch(*, scaled: bool) -> None:
    torch.manual_seed(0)
    module = _awake(BA2M(12, reduction=4, scale_by_batch=scaled))
    images = torch.randn(64, 12, 3, 4)
    module(images[:16])
    module.eval()
    together = module(images)
    for size in (1, 7):
        apart = torch.cat([module(batch) for batch in images.split(size)])
        torch.testing.assert_close(apart, together, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(together, images if scaled else images / 16)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_taps_show_every_attention_and_do_not_change_the_output(*, training: bool, scaled: bool) -> None:
    torch.manual_seed(0)
    module = _awake(BA2M(12, reduction=4, scale_by_batch=scaled)).train(training)
    x = torch.randn(5, 12, 2, 3)
    expected = copy.deepcopy(module)(x)
    with collected_taps(module) as collected:
        output = module(x)
    torch.testing.assert_close(output, expected)
    shown = {name: tensor for name, (tensor,) in collected.items()}
    assert {name: tuple(tensor.shape) for name, tensor in shown.items()} == {
        "before": (5, 12, 2, 3),
        "channel": (5, 12),
        "local_spatial": (5, 12, 2, 3),
        "global_spatial": (5, 12, 2, 3),
        "affinity": (5, 4, 6, 6),
        "batch_weights": (5,),
        "result": (5, 12, 2, 3),
    }
    torch.testing.assert_close(shown["affinity"].sum(3), torch.ones(5, 4, 6))
    vectors = [shown["channel"], shown["local_spatial"].mean((2, 3)), shown["global_spatial"].mean((2, 3))]
    representation = torch.stack(vectors).amax(0).mean(1)
    torch.testing.assert_close(shown["batch_weights"], representation.softmax(0) * (5 if scaled else 1))
    assert torch.equal(shown["before"], x)
    assert torch.equal(shown["result"], output)


def test_attention_in_evaluation_is_computed_only_while_it_is_observed() -> None:
    module = _awake(BA2M(12, reduction=4)).eval()
    calls: list[Tensor] = []
    module.convolutions.register_forward_hook(lambda _module, _inputs, output: calls.append(output))
    x = torch.randn(2, 12, 3, 4)
    module(x)
    with collected_taps(module, ("before", "result")):
        module(x)
    assert not calls
    for kind in ("channel", "mask", "affinity", "batch weights"):
        calls.clear()
        with collected_taps(module, (kind,)):
            module(x)
        assert len(calls) == 1


def test_state_carries_the_share_of_full_batches_not_of_an_epochs_last_one() -> None:
    module, fresh = (BA2M(12, reduction=4, scale_by_batch=False) for _ in range(2))
    assert float(fresh.batch_share) == 1
    for size in (120, 2, 120, 2):
        module(torch.randn(size, 12, 3, 4))
    module.eval()(torch.randn(5, 12, 3, 4))
    fresh.load_state_dict(module.state_dict())
    assert float(fresh.batch_share) == pytest.approx(1 / 120)
    x = torch.randn(2, 12, 3, 4)
    torch.testing.assert_close(fresh.eval()(x), module(x))
    assert "batch_share" not in BA2M(12).state_dict()


@pytest.mark.parametrize("layout", ["equations", "table"])
def test_gradients_are_those_of_finite_differences(layout: str) -> None:
    torch.manual_seed(0)
    module = _awake(BA2M(6, reduction=3, layout=layout)).double()  # type: ignore[arg-type]
    x = torch.randn(3, 6, 3, 2).double().requires_grad_()
    assert torch.autograd.gradcheck(module, (x,))


def test_a_stored_share_keeps_its_meaning_until_larger_batches_are_trained_on() -> None:
    module = BA2M(12, reduction=4, scale_by_batch=False)
    module.load_state_dict({**module.state_dict(), "batch_share": torch.tensor(0.5)})
    x = torch.randn(5, 12, 3, 4)
    torch.testing.assert_close(module.eval()(x), x / 2)
    module.train()(x)
    torch.testing.assert_close(module.eval()(x), x / 5)


@pytest.mark.parametrize("scaled", [True, False])
def test_over_the_batch_evaluation_weighs_its_images_by_the_running_statistics(*, scaled: bool) -> None:
    module = _randomized(BA2M(6, reduction=3, scale_by_batch=scaled, evaluation="batch")).eval()
    x = torch.randn(4, 6, 2, 3).double()
    for count in (4, 1):
        images = x[:count]
        weights = _batch_weights(module, images, branches=BRANCHES, table=False, training=False)
        expected = weights * (count if scaled else 1)
        torch.testing.assert_close(module(images), images * expected.view(-1, 1, 1, 1))
    torch.testing.assert_close(module(x[:1]), x[:1])


def test_a_trained_network_can_be_made_to_act_in_evaluation_for_a_while() -> None:
    torch.manual_seed(0)
    network, images = create_model("resnet20+ba2m", image_size=8).eval(), torch.randn(6, 3, 8, 8)
    named = create_model("resnet20+ba2m@evaluation=batch", image_size=8).eval()
    named.load_state_dict(network.state_dict())
    apart = network(images)
    with acting_in_evaluation(network):
        torch.testing.assert_close(network(images), named(images))
        assert not torch.allclose(network(images), apart)
    assert torch.equal(network(images), apart)
    with pytest.raises(RuntimeError), acting_in_evaluation(network):
        network.get_submodule("linear")(torch.rand(2, 5))
    assert torch.equal(network(images), apart)
    with (
        pytest.raises(ValueError, match=r"`network` must have BA²M in it, but this Linear has none"),
        acting_in_evaluation(nn.Linear(2, 2)),
    ):
        pass


def test_one_image_is_weighed_by_one_in_evaluation() -> None:
    module, x = BA2M(12, reduction=4).eval(), torch.randn(1, 12, 3, 4)
    with collected_taps(module, {"batch weights"}) as collected:
        assert torch.equal(module(x), x)
    assert collected["batch_weights"][0].tolist() == [1.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reduction": 0}, "`reduction` must be positive, got 0"),
        ({"branches": ()}, r"`branches` must be one or more of channel, local, global; got \(\)"),
        ({"branches": ("locl",)}, r"`branches` must be one or more of channel, local, global; got \('locl',\)"),
    ],
)
def test_impossible_arguments_are_refused_with_the_reason(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        BA2M(12, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("layout", ["equations", "table"])
def test_a_new_module_weighs_images_a_little_apart_and_every_branch_can_learn(layout: str) -> None:
    torch.manual_seed(0)
    module = BA2M(64, reduction=4, layout=layout)  # type: ignore[arg-type]
    x = torch.randn(50, 64, 3, 4).relu()
    with collected_taps(module, {"batch weights"}) as collected:
        (module(x) * torch.randn_like(x)).sum().backward()
    (weights,) = collected["batch_weights"]
    assert 0.03 < float(weights.std()) < 0.15
    last = "global_norm" if layout == "table" else "value"
    for name in ("fc.0", "fc.1", "fc_norm", "convolutions.0", "convolutions.2", "convolutions_norm", last):
        assert module.get_parameter(f"{name}.weight").grad.abs().max() > 0  # type: ignore[union-attr]


@pytest.mark.parametrize("channels", [16, 64, 256])
def test_the_first_weights_lie_apart_as_far_whatever_the_width(channels: int) -> None:
    torch.manual_seed(channels)
    deviations = [float(_first_weights(BA2M(channels), torch.randn(200, channels, 2, 2)).std()) for _ in range(5)]
    assert 0.04 < sum(deviations) / 5 < 0.1


def test_an_image_that_stands_out_of_a_new_networks_batch_does_not_take_it_over() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(*(BA2M(32) for _ in range(4)))
    x = torch.rand(100, 32, 2, 2)
    x[0] *= 2
    with torch.no_grad(), collected_taps(network, {"batch weights"}) as collected:
        network(x)
    assert max(float(weights.max()) for (weights,) in collected.values()) < 5


def _first_weights(module: BA2M, x: Tensor) -> Tensor:
    with torch.no_grad(), collected_taps(module, {"batch weights"}) as collected:
        module(x)
    (weights,) = collected["batch_weights"]
    return weights
