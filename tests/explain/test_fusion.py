from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradscape._arrays import save_arrays
from gradscape._checkpoint import Classifier
from gradscape.explain.fusion import fusion_maps, list_blocks
from gradscape.explain.fusion_map import FusionMaps
from gradscape.models import create_model
from gradscape.models.attentions.cbam import CBAM
from gradscape.models.registry import ATTENTIONS
from tests.explain.test_attention import settled, with_attention
from tests.explain.test_features import META, Failing, images, untouched

REPLACING = ("aa", "sasa", "sk")  # they stand in a convolution's place
ADDING = ("a2", "gc", "nl")


def small_images() -> Tensor:
    return images(height=16, width=24)


def hooked(model: nn.Module, layer: str, batch: Tensor) -> np.ndarray:
    seen: list[Tensor] = []
    hook = model.get_submodule(layer).register_forward_hook(lambda _m, _i, out: seen.append(out.clone()))
    with torch.no_grad():
        model.eval()(batch)
    hook.remove()
    return seen[-1].numpy()


def test_upanets_fuse_32_maps_of_convolution_and_channel_attention_in_stage_2_block_0() -> None:
    torch.manual_seed(0)
    model = create_model("upanet16", num_classes=5, image_size=32)
    noise = torch.randn(3, 3, 32, 32)
    with untouched(model):
        fusion = fusion_maps(model, noise)
    assert (fusion.block, fusion.names) == ("layer2.0.att", ("convolution", "CPA", "sum"))
    assert fusion.meta["formula"] == "fused = before + part"
    assert fusion.before.shape == (3, 32, 32, 32)
    np.testing.assert_array_equal(fusion.before, hooked(model, "layer2.0.cnn", noise))
    np.testing.assert_array_equal(fusion.part, hooked(model, "layer2.0.att.bn", noise))
    np.testing.assert_array_equal(fusion.fused, fusion.before + fusion.part)


@pytest.mark.parametrize("learning", ["arl", "nal"])
def test_residual_attention_networks_fuse_trunk_and_mask(learning: str) -> None:
    torch.manual_seed(0)
    model = create_model(f"attention56@learning={learning}", num_classes=5, image_size=32)
    with untouched(model):
        fusion = fusion_maps(model, images(), block="stages.2.1")
    assert fusion.names == ("trunk", "mask", "result")
    np.testing.assert_allclose(fusion.before, hooked(model, "stages.2.1.trunk", images()), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fusion.part, hooked(model, "stages.2.1.soft_mask", images()), rtol=1e-5, atol=1e-6)
    kept = {"arl": 1, "nal": 0}[learning]
    assert fusion.meta["formula"] == ("fused = before × (1 + part)" if kept else "fused = before × part")
    np.testing.assert_allclose(fusion.fused, fusion.before * (kept + fusion.part), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("attention", [name for name in ATTENTIONS if name not in REPLACING])
def test_every_attention_of_the_zoo_fuses_as_its_formula_says(attention: str) -> None:
    model = settled(with_attention(attention), image_size=24)
    with untouched(model):
        fusion = fusion_maps(model, small_images())
    assert fusion.before.dtype == fusion.part.dtype == fusion.fused.dtype == np.float32
    expected = {
        "fused = before + part": fusion.before + fusion.part,
        "fused = before × part": fusion.before * fusion.part,
        "fused = before × part, in training": fusion.before * fusion.part,
        "fused = before × (1 + part)": fusion.before * (1 + fusion.part),
    }[fusion.meta["formula"]]
    assert (fusion.meta["formula"] == "fused = before + part") == (attention in ADDING)
    np.testing.assert_allclose(fusion.fused, expected, rtol=1e-4, atol=1e-5)
    if attention != "ba2m":
        taken = hooked(model, f"{fusion.block}.before", small_images())
        given = hooked(model, f"{fusion.block}.result", small_images())
        np.testing.assert_allclose(fusion.before, taken, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(fusion.fused, given, rtol=1e-5, atol=1e-6)
        assert np.abs(fusion.fused - fusion.before).max() > 0


@pytest.mark.parametrize(
    ("attention", "names"),
    [
        ("spa_a", ("features", "SPA", "result")),
        ("spa_b", ("branch", "SPA", "result")),
        ("ulsam", ("features", "subspace attention", "result")),
        ("ba2m", ("features", "batch weight", "result")),
        ("bam", ("features", "attention", "result")),
    ],
)
def test_the_three_are_called_what_the_blocks_paper_calls_them(attention: str, names: tuple[str, ...]) -> None:
    assert fusion_maps(settled(with_attention(attention), image_size=24), small_images()).names == names


def test_the_subspace_maps_of_ulsam_serve_their_own_channels() -> None:
    model = settled("mobilenet_v2+ulsam@replace=14,groups=3", image_size=64)
    fusion = fusion_maps(model, images(height=64, width=96))
    assert fusion.before.shape == (3, 96, 4, 6)
    maps = hooked(model, f"{fusion.block}.subspace", images(height=64, width=96))
    for group in range(3):
        for channel in range(32):
            np.testing.assert_allclose(fusion.part[:, 32 * group + channel], maps[:, group], rtol=1e-5)
    np.testing.assert_allclose(fusion.part.sum((2, 3)), 1, rtol=1e-4)


def test_a_coarse_mask_is_repeated_over_the_region_that_it_serves() -> None:
    model = settled("cifar_resnet18+ge_theta@extent=4", image_size=24)
    fusion = fusion_maps(model, small_images(), block="layer1.0")
    coarse = hooked(model, "layer1.0.ge.mask", small_images())
    assert coarse.shape == (3, 64, 4, 6)
    np.testing.assert_allclose(fusion.part, coarse.repeat(4, axis=2).repeat(4, axis=3), rtol=1e-5)


def test_ba2m_is_fused_as_in_training() -> None:
    model = settled("cifar_resnet18+ba2m@reduction=4,stages=2:3", image_size=24)
    fusion = fusion_maps(model, small_images())
    assert (fusion.block, fusion.meta["formula"]) == ("layer2.1.ba2m", "fused = before × part, in training")
    weights = hooked(model, "layer2.1.ba2m.batch_weights", small_images())
    block = model.get_submodule("layer2.1.ba2m").train()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.eval()
    with torch.no_grad():
        expected = block(torch.from_numpy(fusion.before)).numpy()
    np.testing.assert_allclose(fusion.fused, expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(fusion.part[:, 5, 1, 2], weights, rtol=1e-5)
    np.testing.assert_allclose(weights.sum(), 3, rtol=1e-5)


def test_the_blocks_of_a_model_are_listed_in_their_order() -> None:
    assert list_blocks(settled("cifar_resnet18+bam", image_size=24)) == [f"layer{stage}.1.bam" for stage in (1, 2, 3)]
    upanet = list_blocks(Classifier(settled("upanet16", image_size=32), META))
    attentions = [f"layer{stage}.{block}.att" for stage in (1, 2, 3, 4) for block in range(5)]
    assert upanet == ["emb", *attentions, *(f"spa{level}" for level in range(5))]


def test_the_natural_block_is_the_first_of_the_second_stage_else_the_first() -> None:
    assert fusion_maps(settled("cifar_resnet18+se", image_size=24), small_images()).block == "layer2.0.se"
    only_third = settled("cifar_resnet18+nl@stages=3", image_size=24)
    assert fusion_maps(only_third, small_images()).block == "layer3.1.nl"
    own = nn.Sequential(nn.Conv2d(3, 8, 3), CBAM(8, reduction=2), CBAM(8, reduction=2))
    assert fusion_maps(own, small_images()).block == "1"


def test_a_block_is_named_by_itself_or_by_what_holds_it_alone_with_or_without_network() -> None:
    network = settled("upanet16", image_size=32)
    model = Classifier(network, META)
    expected = fusion_maps(model, images(width=32))
    assert expected.block == "layer2.0.att"
    for name in ("layer2.0", "layer2.0.att", "network.layer2.0", "network.layer2.0.att"):
        np.testing.assert_array_equal(fusion_maps(model, images(width=32), block=name).fused, expected.fused)
    mean, std = (torch.tensor(META[name]).view(3, 1, 1) for name in ("mean", "std"))
    bare = fusion_maps(network, (images(width=32) - mean) / std, block="layer2.0")
    np.testing.assert_allclose(bare.fused, expected.fused, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_fused_is_refused_in_one_line() -> None:
    model = settled("upanet16", image_size=32)
    with pytest.raises(ValueError, match=r"but layer2 holds layer2.0.att, layer2.1.att, .*; choose one"):
        fusion_maps(model, images(width=32), block="layer2")
    with pytest.raises(ValueError, match=r"unknown `block` 'layer2.0.at'; did you mean layer2.0.att"):
        fusion_maps(model, images(width=32), block="layer2.0.at")
    with pytest.raises(ValueError, match=r"`block` spa0 must give features of the shape .* replaces features"):
        fusion_maps(model, images(width=32), block="spa0")
    plain = create_model("resnet20", num_classes=5, image_size=32)
    assert list_blocks(plain) == []
    with pytest.raises(ValueError, match=r"`model` must have an attention block .* CifarResNet has none; gradscape"):
        fusion_maps(plain, images())
    for attention in REPLACING:
        with pytest.raises(ValueError, match=r"replaces features|has none"):
            fusion_maps(settled(f"cifar_resnet18+{attention}", image_size=24), small_images())


def test_a_block_that_mixes_features_instead_of_weighing_them_is_refused() -> None:
    network = settled("cifar_resnet18+se", image_size=24)
    network.get_submodule("layer2.0.se.result").register_forward_hook(lambda _m, _i, out: out.flip(1))
    with pytest.raises(ValueError, match=r"`block` layer2.0.se must weigh the features .* but mixes them"):
        fusion_maps(network, small_images())


def test_fusion_is_the_same_wherever_the_model_is_used_and_it_stays_as_it_was() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), CBAM(8, reduction=2)).eval()
    expected = fusion_maps(model, images())
    model.train()
    with untouched(model), torch.inference_mode():
        np.testing.assert_allclose(fusion_maps(model, images()).fused, expected.fused, rtol=1e-5)
    compiled = torch.compile(model.eval(), backend="eager")
    assert isinstance(compiled, nn.Module)
    with torch.no_grad():
        compiled(images())
    np.testing.assert_allclose(fusion_maps(compiled, images()).fused, expected.fused, rtol=1e-5)
    half = fusion_maps(model.to(torch.bfloat16), images())
    assert half.fused.dtype == np.float32
    np.testing.assert_allclose(half.fused, expected.fused, atol=0.05 * np.abs(expected.fused).max())


def test_nothing_stays_behind_when_the_model_fails() -> None:
    model = Failing(settled("cifar_resnet18+se", image_size=24))
    with untouched(model), pytest.raises(IndexError, match="broken at the end"):
        fusion_maps(model, small_images(), block="layers.layer2.0")


def test_saved_fusion_comes_back_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    before, part = (rng.random((2, 3, 4, 5)).astype(np.float32) for _ in range(2))
    names = ("convolution", "CPA", "sum")
    fusion = FusionMaps(before, part, before + part, block="layer2.0.att", names=names, meta={"seed": 3})
    fusion.save(tmp_path / "fusion.npz")
    loaded = FusionMaps.load(tmp_path / "fusion.npz")
    assert (loaded.block, loaded.names, dict(loaded.meta)) == ("layer2.0.att", names, {"seed": 3})
    for name in ("before", "part", "fused"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(fusion, name))
    save_arrays(tmp_path / "other.npz", {"points": before}, {})
    with pytest.raises(ValueError, match="must hold fusion maps, but holds points"):
        FusionMaps.load(tmp_path / "other.npz")
    with pytest.raises(ValueError, match="must have one shape"):
        FusionMaps(before, part[:1], before, block="a", names=names, meta={})
