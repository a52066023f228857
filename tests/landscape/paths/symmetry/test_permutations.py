"""Groups of channels: any order of theirs leaves what a network computes, and none is said to move that cannot."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.landscape.engine import evaluable
from gradscape.landscape.paths.symmetry import ChannelGroups, find_channel_groups, permuted
from gradscape.models import create_model


class Forward(nn.Module):
    """Layers by name, and what is done with them."""

    if TYPE_CHECKING:  # of layers, all of which can be called

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, forward: Callable[["Forward", Tensor], Tensor], **layers: nn.Module) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.rule = [forward]

    def forward(self, images: Tensor) -> Tensor:
        return self.rule[0](self, images)


def uneven(net: nn.Module, seed: int = 0) -> nn.Module:
    """A network all of whose tensors are random, running statistics too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (*net.parameters(), *net.buffers()):
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.1)
                tensor.mul_(torch.randn(tensor.shape, generator=generator) if tensor.dim() > 1 else 1.0)
    return net.double().eval()


def groups_of(net: nn.Module, shape: tuple[int, ...] = (3, 8, 9)) -> ChannelGroups:
    with evaluable(net):
        return find_channel_groups(net, torch.rand(4, *shape).double())


def change(net: nn.Module, groups: ChannelGroups, shape: tuple[int, ...] = (3, 8, 9), seed: int = 0) -> float:
    """Largest change of an output, as a share of the largest, where all groups are shuffled."""
    draw = np.random.default_rng(seed)
    moved = permuted(net, groups, {name: draw.permutation(size) for name, size in groups.sizes.items()})
    images = torch.rand(4, *shape, generator=torch.Generator().manual_seed(seed)).double()
    with torch.no_grad():
        before, after = net(images), moved(images)
    assert any(not torch.equal(one, other) for one, other in zip(net.parameters(), moved.parameters(), strict=True))
    return float((before - after).abs().max() / before.abs().max())


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 6), nn.GELU(), nn.Linear(6, 3))


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5)
    )


def residual() -> nn.Module:
    return Forward(
        lambda net, x: net.head((net.stem(x) + net.one(F.relu(net.stem(x)))).add_(1).mean((2, 3))),
        stem=nn.Conv2d(3, 6, 3),
        one=nn.Sequential(nn.Conv2d(6, 5, 3, padding=1), nn.PReLU(5), nn.Conv2d(5, 6, 1)),
        head=nn.Linear(6, 4),
    )


def excited() -> nn.Module:
    """Squeeze and excitation, depthwise with two outputs a channel, groups, a transposed convolution in groups."""

    def forward(net: Forward, x: Tensor) -> Tensor:
        x = net.stem(x)
        x = x * net.excite(x.mean((2, 3))).view(len(x), -1, 1, 1).sigmoid() * x.amax(1, keepdim=True)
        x = F.relu(net.depth(x))
        return net.head(net.up(F.silu(net.norm(net.grouped(x)))).flatten(2).max(2)[0])

    return Forward(
        forward,
        stem=nn.Conv2d(3, 4, 3),
        depth=nn.Conv2d(4, 8, 3, groups=4),
        excite=nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 4)),
        grouped=nn.Conv2d(8, 12, 1, groups=2),
        norm=nn.GroupNorm(3, 12),
        up=nn.ConvTranspose2d(12, 6, 2, groups=2),
        head=nn.Linear(6, 4),
    )


def joined() -> nn.Module:
    """Dense joining, with the input too, and a map that is joined with its own activation."""

    def forward(net: Forward, x: Tensor) -> Tensor:
        a = net.first(x)
        a = torch.cat([x[:, :, 1:-1, 1:-1], F.relu(a), a], dim=1)
        return net.head(torch.cat([net.second(a), a], 1).mean((2, 3)))

    return Forward(forward, first=nn.Conv2d(3, 4, 3), second=nn.Conv2d(11, 5, 1), head=nn.Linear(16, 4))


def tokens() -> nn.Module:
    """Tokens with channels last, layer norm, a scale for each channel, and weights that two layers share."""

    def forward(net: Forward, x: Tensor) -> Tensor:
        x = net.embed(x).flatten(2).transpose(1, 2)
        x = x + net.shared(F.gelu(net.up(net.norm(x)))) * net.scale.weight
        return net.head(net.norm2(x + net.shared(net.up2(x))).mean(1))

    return Forward(
        forward,
        embed=nn.Conv2d(3, 6, 3, stride=3),
        norm=nn.LayerNorm(6),
        up=nn.Linear(6, 10),
        up2=nn.Linear(6, 10),
        shared=nn.Linear(10, 6),
        scale=nn.LayerNorm(6),
        norm2=nn.LayerNorm(6),
        head=nn.Linear(6, 4),
    )


@pytest.mark.parametrize(
    ("build", "shape", "sizes"),
    [
        (mlp, (5,), {"0": 7, "2": 6}),
        (convolutional, (3, 8, 9), {"0": 4}),
        (residual, (3, 8, 9), {"stem": 6, "one.0": 5}),
        # Channels change places within one group of whatever divides them, and groups of 6 and of 4 do so together.
        (
            excited,
            (3, 8, 9),
            {"stem": 2, "stem#2": 2, "excite.0": 3, "grouped": 4, "grouped#2": 2, "grouped#3": 2, "grouped#4": 4}
            | {"up": 3, "up#2": 3},
        ),
        (joined, (3, 8, 9), {"first": 4, "second": 5}),
        (tokens, (3, 9, 9), {"embed": 6, "up": 10}),
    ],
)
def test_any_order_of_the_groups_computes_the_same(
    build: Callable[[], nn.Module], shape: tuple[int, ...], sizes: dict[str, int]
) -> None:
    net = uneven(build())
    groups = groups_of(net, shape)
    assert groups.sizes == sizes
    assert change(net, groups, shape) < 1e-12


def test_option_a_shortcuts_shift_channels_and_leave_new_ones_to_themselves() -> None:
    net = uneven(create_model("resnet20"))
    groups = groups_of(net, (3, 32, 32))
    blocks = {f"layer{stage}.{block}.conv1": 8 << stage for stage in (1, 2, 3) for block in (0, 1, 2)}
    assert groups.sizes == {"conv1": 16, "layer2.0.conv2": 16, "layer3.0.conv2": 32, **blocks}
    assert groups.fixed == {"linear": "they are the output"}
    (axis,) = (axis for axis in groups.axes["layer2.1.conv2.weight"] if axis.dim == 0)
    assert axis.places["conv1"].ravel().tolist() == [*range(8, 24)], "channel c of the input becomes c + 8"
    assert axis.places["layer2.0.conv2"].ravel().tolist() == [*range(8), *range(24, 32)]
    (last,) = groups.axes["linear.weight"]
    assert last.places["conv1"].ravel().tolist() == [*range(24, 40)]
    assert change(net, groups, (3, 32, 32)) < 1e-11


def shuffled(net: Forward, x: Tensor) -> Tensor:
    x = net.one(x)
    return net.head(net.two(x.unflatten(1, (2, 2)).transpose(1, 2).flatten(1, 2)).mean((2, 3)))


def halved(net: Forward, x: Tensor) -> Tensor:
    x = net.one(x)
    return net.head(net.two(torch.cat([x[:, :2], x[:, 2:].relu()], 1)).mean((2, 3)))


def turned(net: Forward, x: Tensor) -> Tensor:
    x = net.one(x)
    return net.head(net.two(x + x.flip(1)).mean((2, 3)))


def weighted(net: Forward, x: Tensor) -> Tensor:
    return net.head(net.two(net.one(x) * torch.arange(1.0, 5.0).view(4, 1, 1)).mean((2, 3)))


def asked(net: Forward, x: Tensor) -> Tensor:
    x = net.one(x)
    return net.head(net.two(x * x.max(1, keepdim=True)[1]).mean((2, 3)))


@pytest.mark.parametrize(
    ("forward", "sizes", "why"),
    [
        (shuffled, {"two": 5}, "they are reshaped"),
        (halved, {"one": 2, "one#2": 2, "two": 5}, None),
        (turned, {"two": 5}, "flip is not followed"),
        (weighted, {"two": 5}, "they meet values whose places are fixed"),
        (asked, {"two": 5}, "their places are asked for"),
    ],
)
def test_channels_whose_places_matter_stay_and_it_is_said(
    forward: Callable[[Forward, Tensor], Tensor], sizes: dict[str, int], why: str | None
) -> None:
    net = uneven(Forward(forward, one=nn.Conv2d(3, 4, 3), two=nn.Conv2d(4, 5, 1), head=nn.Linear(5, 4)))
    groups = groups_of(net)
    assert groups.sizes == sizes
    assert groups.fixed.get("one") == why
    assert change(net, groups) < 1e-12


def test_heads_of_attention_stay_while_the_layers_around_them_move() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, dropout=0.0)
    net = uneven(nn.Sequential(nn.Linear(5, 8), layer, nn.Linear(8, 3)))
    groups = groups_of(net, (7, 5))
    assert groups.sizes["1.linear1"] == 12
    assert "1.self_attn.in_proj" in groups.fixed or not any("self_attn" in name for name in groups.sizes)
    assert change(net, groups, (7, 5)) < 1e-12


def test_weights_that_are_computed_stay() -> None:
    net = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.utils.parametrizations.weight_norm(nn.Linear(7, 6)), nn.ReLU())
    net.append(nn.Linear(6, 6)).append(nn.ReLU()).append(nn.Linear(6, 3))
    groups = groups_of(uneven(net), (5,))
    assert groups.sizes == {"4": 6}
    assert groups.fixed["0"] == "their weights are computed"


def test_a_network_that_is_no_graph_is_refused() -> None:
    net = Forward(lambda net, x: net.one(x) if float(x.sum()) > 0 else x, one=nn.Linear(3, 3)).double().eval()
    with pytest.raises(ValueError, match="`model` cannot be written as a graph, which would tell its channels: "):
        groups_of(net, (3,))
