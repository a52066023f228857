import numpy as np
import pytest
import torch
from torch import nn

from gradscape.landscape import difference_direction, random_directions, summarize_direction
from tests.landscape.networks import small_net


class _DepthwiseNet(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(4, 4, 1, groups=4), nn.Conv2d(4, 3, 1))


def _plain_filter_norms(weight: torch.Tensor) -> list[float]:
    return [float(np.sqrt((one.double().numpy() ** 2).sum())) for one in weight]


def test_every_filter_has_the_norm_of_the_models() -> None:
    net = small_net()
    for direction in random_directions(net, seed=3):
        for name in ("0.weight", "7.weight"):
            weight = net.get_parameter(name).detach()
            assert _plain_filter_norms(direction[name]) == pytest.approx(_plain_filter_norms(weight), rel=1e-5)


def test_transposed_convolutions_have_one_filter_per_output_channel() -> None:
    net = small_net()
    weight = net.get_parameter("3.weight").detach()  # (in 6, out/groups 2, 3, 3), 2 groups
    direction = random_directions(net, seed=3)[0]["3.weight"]
    for group in range(2):
        for channel in range(2):
            inputs = slice(3 * group, 3 * group + 3)
            assert direction[inputs, channel].norm().item() == pytest.approx(
                weight[inputs, channel].norm().item(), rel=1e-5
            )


def test_transposed_convolutions_take_dimension_0_as_the_original_on_request() -> None:
    net = small_net()
    direction = random_directions(net, seed=3, transposed_filters="input")[0]["3.weight"]
    weight = net.get_parameter("3.weight").detach()
    assert _plain_filter_norms(direction) == pytest.approx(_plain_filter_norms(weight), rel=1e-5)


def test_the_other_normalizations_are_their_formulas() -> None:
    net = small_net()
    name, weight = "0.weight", net.get_parameter("0.weight").detach()
    kinds = ("none", "weight", "layer", "dfilter", "dlayer")
    drawn, times, layer, dfilter, dlayer = (
        random_directions(net, seed=3, normalize=kind)[0][name]  # type: ignore[arg-type]
        for kind in kinds
    )
    torch.testing.assert_close(times, drawn * weight)
    torch.testing.assert_close(layer, drawn * weight.norm() / drawn.norm())
    torch.testing.assert_close(dlayer, drawn / drawn.norm())
    assert _plain_filter_norms(dfilter) == pytest.approx([1.0] * 6, rel=1e-5)
    assert (dfilter * drawn > 0).all()


@pytest.mark.parametrize("normalize", ["filter", "layer", "weight", "dfilter", "dlayer", "none"])
def test_biases_and_batch_norm_stay_or_move_along_themselves(normalize: str) -> None:
    net = small_net()
    still, _ = random_directions(net, seed=1, normalize=normalize)  # type: ignore[arg-type]
    along, _ = random_directions(net, seed=1, normalize=normalize, ignore="none")  # type: ignore[arg-type]
    for name, parameter in net.named_parameters():
        if parameter.dim() < 2:
            assert not still[name].any()
            assert torch.equal(along[name], parameter)


def test_states_take_running_statistics_along_and_weights_do_not() -> None:
    net = small_net()
    weights, _ = random_directions(net, seed=1, ignore="none")
    states, _ = random_directions(net, seed=1, ignore="none", space="states")
    assert set(states) - set(weights) == {"1.running_mean", "1.running_var"}
    assert torch.equal(states["1.running_var"], net.get_buffer("1.running_var"))


def test_directions_are_gaussian_and_independent() -> None:
    net = nn.Linear(400, 300)
    first, second = (direction["weight"].flatten() for direction in random_directions(net, seed=0, normalize="none"))
    assert abs(first.mean().item()) < 0.02
    assert first.std().item() == pytest.approx(1, abs=0.02)
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1].item()) < 0.02
    assert abs(torch.nn.functional.cosine_similarity(first, torch.ones_like(first), dim=0).item()) < 0.02


def test_seeds_change_the_direction_and_nothing_else_does() -> None:
    net = small_net()
    base = random_directions(net, seed=5)[0]["0.weight"]
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert torch.equal(base, random_directions(net, seed=5)[0]["0.weight"])
    assert torch.equal(base, random_directions(net.to(memory_format=torch.channels_last), seed=5)[0]["0.weight"])
    other = random_directions(net, seed=6)[0]["0.weight"]
    assert abs(torch.nn.functional.cosine_similarity(base.flatten(), other.flatten(), dim=0).item()) < 0.3


def test_the_order_in_which_modules_were_built_does_not_matter() -> None:
    def build(*names: str) -> nn.Module:
        net = nn.Module()
        for name in names:
            net.add_module(name, nn.Linear(3, 4))
        for parameter in net.parameters():
            nn.init.constant_(parameter, 0.5)
        return net

    one, other = (random_directions(build(*names), seed=2)[1] for names in (("a", "b"), ("b", "a")))
    assert torch.equal(one["a.weight"], other["a.weight"])
    assert not torch.equal(one["a.weight"], one["b.weight"])


def test_wrapping_a_model_does_not_change_its_directions() -> None:
    net = small_net()
    plain = random_directions(net, seed=5)[0]
    outer = nn.Module()
    outer.network = nn.DataParallel(net)
    wrapped = random_directions(outer, seed=5, parameters="0.*")[0]
    assert torch.equal(plain["0.weight"], wrapped["network.module.0.weight"])
    assert not wrapped["network.module.7.weight"].any()


def test_a_pattern_restricts_what_moves() -> None:
    direction, _ = random_directions(small_net(), seed=0, parameters="7.*")
    assert [name for name, tensor in direction.items() if tensor.any()] == ["7.weight"]


def test_the_difference_leads_to_the_other_network_unmasked() -> None:
    first, second = small_net(seed=0), small_net(seed=1)
    direction = difference_direction(first, second)
    for name, tensor in direction.items():
        torch.testing.assert_close(first.state_dict()[name] + tensor, second.state_dict()[name])
    assert "1.running_mean" in direction
    assert "1.running_mean" not in difference_direction(first, second, space="weights")


def test_a_summary_tells_what_moves_and_filters_of_one_element() -> None:
    net = _DepthwiseNet()
    summary = summarize_direction(net, random_directions(net, seed=0)[0])
    assert (summary.moved, summary.total) == (4 + 12, 4 + 4 + 12 + 3)
    assert summary.still == ("0.bias", "1.bias")
    assert summary.one_element_filters == ("0.weight",)
    assert "one element" in str(summary)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameters": "none.*"}, "`parameters` must match a tensor"),
    ],
)
def test_bad_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        random_directions(small_net(), seed=0, **options)


@pytest.mark.parametrize("normalize", ["filter", "layer", "weight", "dfilter", "dlayer", "none"])
def test_directions_of_complex_weights_are_complex_and_have_their_norms(normalize: str) -> None:
    net = nn.ParameterDict({"real": torch.randn(4, 6), "complex": 3 * torch.randn(4, 50, dtype=torch.cfloat)})
    weight = net["complex"].detach()
    change = random_directions(net, seed=2, normalize=normalize)[0]["complex"]  # type: ignore[arg-type]
    drawn = random_directions(net, seed=2, normalize="none")[0]["complex"]
    assert change.dtype == torch.complex64
    assert change.real.norm().item() == pytest.approx(change.imag.norm().item(), rel=0.3)
    assert drawn.abs().square().mean().item() == pytest.approx(1.0, rel=0.3)
    norms = {"filter": weight.norm(dim=1), "dfilter": torch.ones(4)}
    if normalize in norms:
        torch.testing.assert_close(change.abs().square().sum(dim=1).sqrt(), norms[normalize])
    elif normalize != "none":
        expected = {"layer": drawn * weight.norm() / drawn.norm(), "weight": drawn * weight}
        torch.testing.assert_close(change, expected.get(normalize, drawn / drawn.norm()))
