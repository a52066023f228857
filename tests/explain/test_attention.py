from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape._checkpoint import Classifier
from gradscape._taps import Tap, find_taps
from gradscape.explain.attention import ATTENTION_KINDS, attention_maps, rank_by_batch_weight
from gradscape.explain.attention_map import AttentionMap
from gradscape.models import create_model
from gradscape.models.attentions.cbam import CBAM
from gradscape.models.registry import ATTENTIONS
from tests.explain.test_features import META, Failing, images, untouched


def settled(name: str, **options: int) -> nn.Module:
    """A network none of whose attention is still at its neutral beginning."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = create_model(name, num_classes=5, image_size=options.get("image_size", 48))
        for module in network.modules():
            if any(isinstance(child, Tap) for child in module.children()):
                for part in module.modules():
                    if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d | nn.Linear):
                        nn.init.normal_(part.get_parameter("weight"), std=0.5)
    return network.eval()


def with_attention(attention: str) -> str:
    """The name of a network with it, small enough for a test."""
    options = {"ba2m": "ba2m@reduction=4", "sasa": "sasa@kernel_size=3"}
    return (
        "mobilenet_v2+ulsam@replace=14"
        if attention == "ulsam"
        else f"cifar_resnet18+{options.get(attention, attention)}"
    )


def small_images() -> Tensor:
    return images(height=16, width=24)


def shown(name: str) -> tuple[nn.Module, dict[str, AttentionMap]]:
    network = settled(name, image_size=24)
    return network, attention_maps(network, small_images())


def check_sums_and_bounds(one: AttentionMap, block: str) -> None:
    values = one.values
    if one.kind == "affinity":
        np.testing.assert_allclose(values.sum(3), 1, rtol=1e-4)
        assert one.grid is not None
        assert one.grid[0] * one.grid[1] == values.shape[2] == values.shape[3]
    elif one.kind == "subspace" or (block == "GlobalContext" and one.kind == "spatial"):
        np.testing.assert_allclose(values.sum((2, 3)), 1, rtol=1e-4)
    elif one.kind == "batch weights":
        np.testing.assert_allclose(values.sum(), len(small_images()), rtol=1e-5)
    elif one.kind == "scale weights":
        assert values.shape == (3,)
    elif block == "BAM" and one.kind == "mask":
        assert values.min() >= 1
        assert values.max() <= 2
    elif one.kind in ("channel", "mask", "spatial") and block not in ("BAM", "BA2M"):
        assert values.min() >= 0
        assert values.max() <= 1


def small_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), CBAM(8, reduction=2), nn.ReLU(inplace=True)).eval()


@pytest.mark.slow
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_every_attention_of_the_zoo_shows_what_passes_its_taps(attention: str) -> None:
    # In float64: a softmax over large logits turns the last bits of two fp32 kernels into more than the tolerance.
    network, given = settled(with_attention(attention), image_size=24).double(), small_images().double()
    maps = attention_maps(network, given)
    seen: dict[str, Tensor] = {}

    def listener(name: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: seen.update({name: output.clone()})

    hooks = [tap.register_forward_hook(listener(name)) for name, tap in find_taps(network, ATTENTION_KINDS).items()]
    with torch.no_grad():
        network(given)
    for hook in hooks:
        hook.remove()
    assert list(maps) == list(seen)
    for name, tensor in seen.items():
        one, tap = maps[name], network.get_submodule(name)
        assert isinstance(tap, Tap)
        assert (one.name, one.kind) == (name, tap.kind)
        assert one.values.dtype == np.float32
        np.testing.assert_allclose(one.values, tensor.numpy(), rtol=1e-5, atol=1e-6)
        block = network.get_submodule(one.block)
        assert {"before", "result"} <= {child.kind for child in block.children() if isinstance(child, Tap)}
        check_sums_and_bounds(one, type(block).__name__)


def test_upanets_show_their_channel_mixing_matrices_and_pixel_weights() -> None:
    network = settled("upanet16", image_size=32)
    maps = attention_maps(network, images(width=32))
    assert sum(one.kind == "channel" for one in maps.values()) == 1 + 4 * 5
    attention = network.get_submodule("layer2.0.att")
    matrix = maps["layer2.0.att.channel"]
    assert matrix.block == "layer2.0.att"
    np.testing.assert_array_equal(matrix.values, attention.get_parameter("cp_ffc.weight").detach().numpy())
    for level, side in enumerate((32, 32, 16, 8, 4)):
        weights = network.get_parameter(f"spa{level}.sp_ffc.0.weight").detach().numpy()
        np.testing.assert_array_equal(maps[f"spa{level}.spatial"].values, weights.reshape(1, 1, side, side))


def test_spanet_shows_its_pyramid_from_fine_to_coarse_and_its_mask() -> None:
    network, maps = shown("cifar_resnet18+spa_a")
    block = next(name for name, module in network.named_modules() if type(module).__name__ == "SpatialPyramidAttention")
    inputs: list[Tensor] = []
    hook = network.get_submodule(block).register_forward_hook(lambda _m, args, _out: inputs.append(args[0]))
    with torch.no_grad():
        network(small_images())
    hook.remove()
    for number, side in enumerate((4, 2, 1)):
        level = maps[f"{block}.pooled.{number}"]
        assert (level.block, level.kind) == (block, "part")
        expected = F.adaptive_avg_pool2d(inputs[0], side).numpy()
        np.testing.assert_allclose(level.values, expected, rtol=1e-5, atol=1e-6)
    weight = network.get_submodule(block).get_parameter("weight").detach().numpy().ravel()
    np.testing.assert_array_equal(maps[f"{block}.scale_weights"].values, weight)
    coarse, fine = (maps[f"{block}.{name}"].values for name in ("coarse_mask", "mask"))
    np.testing.assert_array_equal(F.interpolate(torch.from_numpy(coarse), size=fine.shape[2:]).numpy(), fine)


def test_residual_attention_networks_show_a_soft_mask_for_every_module() -> None:
    network = create_model("attention56", num_classes=5, image_size=32)
    maps = attention_maps(network, images())
    assert {name: one.values.shape for name, one in maps.items()} == {
        "stages.0.1.mask": (3, 64, 16, 24),
        "stages.1.1.mask": (3, 128, 8, 12),
        "stages.2.1.mask": (3, 256, 4, 6),
    }
    outputs: list[Tensor] = []
    hook = network.get_submodule("stages.1.1.soft_mask").register_forward_hook(lambda _m, _i, out: outputs.append(out))
    with torch.no_grad():
        network.eval()(images())
    hook.remove()
    np.testing.assert_allclose(maps["stages.1.1.mask"].values, outputs[0].numpy(), rtol=1e-5)
    assert all(0 < one.values.min() <= one.values.max() < 1 for one in maps.values())


def test_ba2m_shows_three_branches_the_affinity_and_the_weights_of_the_batch() -> None:
    network = settled("cifar_resnet18+ba2m@scale_by_batch=false,stages=2:4,reduction=4", image_size=24)
    maps = attention_maps(network, small_images())
    blocks = {one.block for one in maps.values()}
    assert blocks == {"layer2.1.ba2m", "layer4.1.ba2m"}
    for block in blocks:
        kinds = [one.kind for one in maps.values() if one.block == block]
        assert sorted(kinds) == ["affinity", "batch weights", "channel", "mask", "mask"]
        weights = maps[f"{block}.batch_weights"].values
        np.testing.assert_allclose(weights.sum(), 1, rtol=1e-5)
        assert weights.std() > 0
        branches = [maps[f"{block}.{name}"].values for name in ("channel", "local_spatial", "global_spatial")]
        strongest = np.max([branches[0], *(one.mean((2, 3)) for one in branches[1:])], axis=0).mean(1)
        expected = np.exp(strongest) / np.exp(strongest).sum()
        np.testing.assert_allclose(weights, expected, rtol=1e-4)


def test_attention_that_is_not_wanted_is_not_computed() -> None:
    network = settled("cifar_resnet18+ba2m@reduction=4", image_size=24)
    maps = attention_maps(network, small_images(), kinds=["batch weights"])
    assert [one.kind for one in maps.values()] == ["batch weights"] * 4
    everything = attention_maps(network, small_images())
    assert len(everything) == 4 * 5  # what the block does by a fused function is no second affinity
    for name, one in maps.items():
        np.testing.assert_allclose(one.values, everything[name].values, rtol=1e-5)


def test_too_large_affinities_are_refused_before_they_are_computed() -> None:
    network = settled("cifar_resnet18+ba2m@reduction=32", image_size=32)
    run: list[int] = []
    network.register_forward_hook(lambda _m, args, _out: run.append(args[0].device.type == "cpu"))
    many = torch.rand(1, 3, 32, 32).expand(40, 3, 32, 32)  # 40 × 32 × 1024² numbers
    with untouched(network), pytest.raises(ValueError, match=r"40 × 32 × 1024 × 1024, the affinities take more than 4"):
        attention_maps(network, many)
    assert True not in run


class OwnTensor(nn.Module):
    """Attention beside a tensor that torch does not know of, so that it cannot run without memory."""

    def __init__(self) -> None:
        super().__init__()
        self.affinity = Tap("affinity")
        self.offset = torch.ones(1, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.flatten(2) + self.offset
        return self.affinity((pixels.transpose(1, 2) @ pixels).softmax(2)[:, None])


def test_affinities_of_a_model_that_cannot_run_without_memory_are_shown_too() -> None:
    batch = images(height=4, width=6)
    (one,) = attention_maps(OwnTensor(), batch).values()
    assert one.grid == (4, 6)
    np.testing.assert_allclose(one.values, OwnTensor()(batch).numpy(), rtol=1e-5)


def test_a_checkpoint_has_the_names_of_its_bare_network_and_takes_images_in_0_1() -> None:
    network = settled("upanet16", image_size=32)
    model = Classifier(network, META)
    maps = attention_maps(model, images(width=32))
    mean, std = (torch.tensor(META[name]).view(3, 1, 1) for name in ("mean", "std"))
    expected = attention_maps(network, (images(width=32) - mean) / std)
    assert list(maps) == list(expected)
    for name, one in maps.items():
        np.testing.assert_allclose(one.values, expected[name].values, rtol=1e-4, atol=1e-5)


def test_maps_are_the_same_wherever_the_model_is_used_and_it_stays_as_it_was() -> None:
    network = small_net()
    expected = attention_maps(network, small_images())

    def same(maps: dict[str, AttentionMap], tolerance: float = 1e-5) -> bool:
        return list(maps) == list(expected) and all(
            one.values.dtype == np.float32 and np.allclose(one.values, expected[name].values, atol=tolerance)
            for name, one in maps.items()
        )

    with untouched(network):
        with torch.inference_mode():
            assert same(attention_maps(network, small_images()))
        network.train()
        with untouched(network):
            assert same(attention_maps(network, small_images()))
        network.eval()
    last = small_images().contiguous(memory_format=torch.channels_last)
    assert same(attention_maps(network.to(memory_format=torch.channels_last), last))
    compiled = torch.compile(network, backend="eager")
    assert isinstance(compiled, nn.Module)
    with torch.no_grad():
        compiled(small_images())
    with untouched(compiled):
        assert same(attention_maps(compiled, small_images()))
    half = small_net().to(torch.bfloat16)
    assert same(attention_maps(half, small_images()), 0.06)


def test_a_model_compiled_in_place_shows_its_attention() -> None:
    network = small_net()
    expected = attention_maps(network, small_images())
    network.compile(backend="eager")
    with torch.no_grad():
        network(small_images())
    maps = attention_maps(network, small_images())
    assert list(maps) == list(expected)


class Twice(nn.Module):
    """A shared block, the second time on what was negated in place."""

    def __init__(self) -> None:
        super().__init__()
        self.mask = Tap("mask")

    def forward(self, images: Tensor) -> Tensor:
        negated = self.mask(images.clone()).neg_()
        return self.mask(negated).mean((2, 3))


def test_a_shared_block_shows_every_run_and_is_not_overwritten_by_what_works_in_place() -> None:
    maps = attention_maps(Twice(), images())
    assert list(maps) == ["mask", "mask:2"]
    np.testing.assert_array_equal(maps["mask"].values, images().numpy())
    np.testing.assert_array_equal(maps["mask:2"].values, -images().numpy())


def test_what_cannot_be_shown_is_refused_in_one_line() -> None:
    plain = create_model("resnet20", num_classes=5, image_size=32)
    with pytest.raises(
        ValueError, match=r"`model` must have attention blocks that gradscape knows, but CifarResNet has none"
    ):
        attention_maps(plain, small_images())
    network, _ = shown("cifar_resnet18+se")
    with pytest.raises(ValueError, match="attention blocks of the kinds mask that"):
        attention_maps(network, small_images(), kinds=["mask"])
    with pytest.raises(ValueError, match="unknown `kinds` 'chanel'; did you mean channel"):
        attention_maps(network, small_images(), kinds=["chanel"])
    with pytest.raises(TypeError, match="`images` must be a float tensor"):
        attention_maps(network, (255 * small_images()).to(torch.uint8))


def test_nothing_stays_behind_when_the_model_fails() -> None:
    model = Failing(settled("cifar_resnet18+nl", image_size=24))
    with untouched(model), pytest.raises(IndexError, match="broken at the end"):
        attention_maps(model, small_images())


def test_images_are_ranked_by_the_product_of_their_batch_weights() -> None:
    def weights(block: str, *values: float) -> AttentionMap:
        return AttentionMap(f"{block}.w", block, "batch weights", np.array(values, np.float32))

    maps = {"a": weights("first", 0.5, 2.0, 1.0, 0.5), "b": weights("second", 3.0, 0.5, 0.25, 3.0)}
    np.testing.assert_array_equal(rank_by_batch_weight(maps), [0, 3, 1, 2])
    np.testing.assert_array_equal(rank_by_batch_weight(maps, block="first"), [1, 2, 0, 3])
    with pytest.raises(ValueError, match="unknown `block` 'secnd'; did you mean second"):
        rank_by_batch_weight(maps, block="secnd")
    with pytest.raises(ValueError, match="must hold batch weights, but holds none"):
        rank_by_batch_weight({})
