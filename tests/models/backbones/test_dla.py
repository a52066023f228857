import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.models import count_parameters
from gradscape.models.backbones.dla import CifarDLA
from gradscape.models.sites import AttendedBlock, Shape, attend_stages, find_sites, replace_convolutions
from tests.models.attention_doubles import Double, attend
from tests.models.plain_layers import convolved, normalized


@pytest.mark.parametrize(
    ("simple", "num_classes", "parameters", "printed"),
    [
        (False, 10, 16_291_386, 16.29),
        (True, 10, 15_142_970, 15.14),
        (False, 100, 16_337_556, 16.34),
        (True, 100, 15_189_140, 15.19),
    ],
)
def test_parameters_equal_the_published_networks_to_the_digit(
    num_classes: int, parameters: int, printed: float, *, simple: bool
) -> None:
    with torch.device("meta"):
        counted = count_parameters(CifarDLA(num_classes=num_classes, simple=simple))
    assert counted == parameters
    assert round(counted / 1e6, 2) == printed


@pytest.mark.parametrize("image_size", [32, 64])
@pytest.mark.parametrize("simple", [False, True])
def test_one_image_of_any_size_gives_logits(image_size: int, *, simple: bool) -> None:
    network = CifarDLA(num_classes=7, simple=simple).eval()
    assert network(torch.randn(1, 3, image_size, image_size)).isfinite().all()


def _randomized(network: nn.Module) -> nn.Module:
    """The network in evaluation and double precision, with normalizations that are not the identity."""
    for name, tensor in network.state_dict().items():
        if tensor.dim() == 1 and tensor.is_floating_point() and "head" not in name:
            tensor.uniform_(0.1, 0.9)
    return network.double().eval()


def _rooted(tree: nn.Module, nodes: list[Tensor]) -> Tensor:
    state = tree.get_submodule("root").state_dict()
    out, channels = torch.zeros(()), 0
    for node in nodes:
        out = out + F.conv2d(node, state["conv.weight"][:, channels : channels + node.shape[1]])
        channels += node.shape[1]
    return normalized(out, state, "bn").relu()


def test_merged_tree_gives_its_root_a_block_a_subtree_and_two_blocks_after_it() -> None:
    tree = _randomized(CifarDLA()).get_submodule("stages.1")
    x = torch.randn(2, 64, 6, 10, dtype=torch.float64)
    inner_left = tree.get_submodule("subtree.left")(x)
    inner = _rooted(tree.get_submodule("subtree"), [inner_left, tree.get_submodule("subtree.right")(inner_left)])
    left = tree.get_submodule("left")(inner)
    nodes = [tree.get_submodule("beside")(x), inner, left, tree.get_submodule("right")(left)]
    torch.testing.assert_close(tree(x), _rooted(tree, nodes))


def test_binary_tree_gives_its_root_two_trees_of_two_blocks() -> None:
    tree = _randomized(CifarDLA(simple=True)).get_submodule("stages.1")
    x = torch.randn(2, 64, 6, 10, dtype=torch.float64)
    nodes: list[Tensor] = []
    for name in ("left", "right"):
        first = tree.get_submodule(f"{name}.left")(nodes[0] if nodes else x)
        nodes.append(_rooted(tree.get_submodule(name), [first, tree.get_submodule(f"{name}.right")(first)]))
    torch.testing.assert_close(tree(x), _rooted(tree, nodes))


@pytest.mark.parametrize(("simple", "blocks"), [(False, 14), (True, 12)])
def test_sites_are_all_blocks_of_the_trees(blocks: int, *, simple: bool) -> None:
    sites = find_sites(CifarDLA(simple=simple), 32)
    assert len(sites) == blocks
    assert sites[2].input == sites[2].convolved == Shape(64, 32, 32)
    assert sites[2].branch == sites[2].output == Shape(128, 16, 16)


@pytest.mark.parametrize(
    ("simple", "names"),
    [
        (False, ["stages.0.right", "stages.1.right", "stages.2.right", "stages.3.right"]),
        (True, ["stages.0.right", "stages.1.right.right", "stages.2.right.right", "stages.3.right"]),
    ],
)
def test_attention_after_a_stage_is_on_the_last_block_that_runs_before_its_root(
    names: list[str], *, simple: bool
) -> None:
    network = CifarDLA(simple=simple)
    attend_stages(network, find_sites(network, 32), "attention", lambda _site: Double())
    assert [name for name, _ in network.named_modules() if name.endswith("attention")] == [
        f"{name}.attention" for name in names
    ]


@pytest.mark.parametrize(("name", "stride"), [("stages.1.beside", 2), ("stages.1.right", 1)])
def test_attention_is_on_the_branch_before_the_shortcut_and_on_the_output(name: str, stride: int) -> None:
    block = CifarDLA().double().eval().get_submodule(name)
    assert isinstance(block, AttendedBlock)
    state = attend(block)
    x = torch.randn(2, 128 // stride, 6, 10, dtype=torch.float64)

    out = F.conv2d(x, state["conv1.weight"], stride=stride, padding=1)
    out = F.conv2d(normalized(out, state, "bn1").relu(), state["conv2.weight"], padding=1)
    out = 2 * normalized(out, state, "bn2") + x.mean()
    shortcut = x
    if stride == 2:
        shortcut = convolved(x, state, "shortcut.0", stride=2)
    torch.testing.assert_close(block(x), 2 * (out + shortcut).relu())


def test_replaced_convolution_goes_with_the_normalization_after_it() -> None:
    network = CifarDLA().eval()
    site = find_sites(network, 32)[1]
    state = site.block.double().state_dict()
    replace_convolutions([site], lambda _site: Double(), normalized=True)
    x = torch.randn(2, 64, 6, 10, dtype=torch.float64)
    out = F.conv2d(2 * x.relu(), state["conv2.weight"], padding=1)
    torch.testing.assert_close(site.block(x), (x + normalized(out, state, "bn2")).relu())
