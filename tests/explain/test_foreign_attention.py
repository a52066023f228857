import math
from typing import Any

import numpy as np
import pytest
import torch
from timm import create_model as create_timm
from timm.layers import CecaModule, EcaModule, EffectiveSEModule, SEModule
from timm.layers.cbam import CbamModule, LightCbamModule
from timm.layers.squeeze_excite import SqueezeExciteCl
from timm.models._efficientnet_blocks import SqueezeExcite
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import VisionTransformer
from torchvision.models.swin_transformer import ShiftedWindowAttention, ShiftedWindowAttentionV2
from torchvision.ops import SqueezeExcitation

from gradscape.explain import attention_map
from gradscape.explain.attention import attention_maps
from tests.explain.test_features import Failing, images, untouched

GATES = {
    "torchvision SE": lambda: SqueezeExcitation(8, 4, scale_activation=nn.Hardsigmoid),
    "timm SE": lambda: SEModule(8, rd_channels=4, add_maxpool=True),
    "timm SE of EfficientNet": lambda: SqueezeExcite(8),
    "timm effective SE": lambda: EffectiveSEModule(8),
    "timm ECA": lambda: EcaModule(8),
    "timm circular ECA": lambda: CecaModule(8),
}


class AfterConvolution(nn.Module):
    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.attention = attention

    def forward(self, images: Tensor) -> Tensor:
        return self.attention(self.conv(images))


def passed(model: nn.Module, layer: str, batch: Tensor) -> tuple[Tensor, Tensor]:
    """What goes into a layer and what comes out."""
    seen: list[tuple[Tensor, Tensor]] = []
    hook = model.get_submodule(layer).register_forward_hook(lambda _m, args, out: seen.append((args[0].clone(), out)))
    with torch.no_grad():
        model.eval()(batch)
    hook.remove()
    return seen[-1]


@pytest.mark.parametrize("name", GATES)
def test_a_gate_of_another_library_gives_its_input_times_the_shown_weights(name: str) -> None:
    torch.manual_seed(0)
    model = AfterConvolution(GATES[name]())
    with untouched(model):
        (one,) = attention_maps(model, images()).values()
    assert (one.block, one.kind, one.values.shape) == ("attention", "channel", (3, 8))
    before, after = passed(model, "attention", images())
    torch.testing.assert_close(before * torch.from_numpy(one.values)[:, :, None, None], after)
    assert one.values.std(1).min() > 0


@pytest.mark.parametrize("kind", [CbamModule, LightCbamModule])
def test_both_gates_of_timms_cbam_are_shown_as_one_block(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model = AfterConvolution(kind(8, rd_channels=4))
    channel, spatial = attention_maps(model, images()).values()
    assert (channel.block, channel.kind) == (spatial.block, "channel") == ("attention", "channel")
    assert (spatial.kind, spatial.values.shape) == ("spatial", (3, 1, 30, 46))
    before, after = passed(model, "attention", images())
    expected = before * torch.from_numpy(channel.values)[:, :, None, None] * torch.from_numpy(spatial.values)
    torch.testing.assert_close(expected, after)


def test_the_gate_of_a_channels_last_layer_has_its_weights_by_channel() -> None:
    class Last(AfterConvolution):
        def forward(self, images: Tensor) -> Tensor:
            return self.attention(self.conv(images).permute(0, 2, 3, 1))

    model = Last(SqueezeExciteCl(8, rd_channels=4))
    (one,) = attention_maps(model, images()).values()
    before, after = passed(model, "attention", images())
    torch.testing.assert_close(before * torch.from_numpy(one.values)[:, None, None, :], after)


def small_vit() -> VisionTransformer:
    torch.manual_seed(0)
    model = VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=3, hidden_dim=12, mlp_dim=16, num_classes=5
    )
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def test_torchvisions_transformer_shows_what_torch_gives_with_need_weights() -> None:
    model = small_vit()
    square = images(width=32)
    with untouched(model):
        maps = attention_maps(model, square)
    assert list(maps) == [f"encoder.layers.encoder_layer_{number}.self_attention" for number in range(2)]
    for name, one in maps.items():
        assert one.grid == (4, 4)
        x, _ = passed(model, name, square)
        attention = model.get_submodule(name)
        with torch.no_grad():
            _, expected = attention(x, x, x, need_weights=True, average_attn_weights=False)
        assert one.values.shape == (3, 3, 17, 17)
        np.testing.assert_allclose(one.values, expected.numpy(), rtol=1e-4, atol=1e-6)


TIMM = [
    ("vit_tiny_patch16_224", {"qk_norm": True, "class_token": True}),
    ("deit_tiny_distilled_patch16_224", {}),
    ("beit_base_patch16_224", {"embed_dim": 24, "num_heads": 3}),
    ("eva02_tiny_patch14_224", {"patch_size": 16}),
    ("vit_small_patch16_rope_224", {"embed_dim": 96, "num_heads": 3}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), TIMM)
@pytest.mark.parametrize("fused", [True, False])
def test_timms_transformers_show_what_their_unfused_attention_computes(
    name: str, options: dict[str, Any], *, fused: bool
) -> None:
    torch.manual_seed(0)
    model = create_timm(name, img_size=(64, 96), depth=2, num_classes=5, **options).eval()
    batch = images(height=64, width=96)
    attentions = {name: module for name, module in model.named_modules() if hasattr(module, "fused_attn")}
    for attention in attentions.values():
        attention.fused_attn = fused
    maps = attention_maps(model, batch)
    assert list(maps) == list(attentions) == ["blocks.0.attn", "blocks.1.attn"]
    for layer, attention in attentions.items():
        attention.fused_attn = False
        expected = passed(model, f"{layer}.attn_drop", batch)[1]
        attention.fused_attn = fused
        np.testing.assert_allclose(maps[layer].values, expected.detach().numpy(), rtol=1e-4, atol=1e-6)
        assert maps[layer].grid == (4, 6)


_CHOICE = torch.Generator().manual_seed(1)
MASKS: dict[str, dict[str, Any]] = {
    "none": {},
    "causal": {"is_causal": True},
    "additive": {"attn_mask": torch.randn(4, 5, 6, generator=_CHOICE), "scale": 0.7},
    "boolean": {"attn_mask": torch.rand(5, 6, generator=_CHOICE) > 0.3},
    "grouped": {"enable_gqa": True},
}


class Attending(nn.Module):
    """Five queries of four heads look at six keys; queries, keys and values are cut out of the images."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        self.options = options

    def values(self, images: Tensor) -> Tensor:
        return images[:, 2, : 2 if "enable_gqa" in self.options else 4].unflatten(2, (6, 7))

    def forward(self, images: Tensor) -> Tensor:
        query, key = (images[:, number].unflatten(2, (6, 7)) for number in range(2))
        value = self.values(images)
        return F.scaled_dot_product_attention(query[:, :, :5], key[:, : value.shape[1]], value, **self.options)


@pytest.mark.parametrize("name", MASKS)
def test_the_shown_weights_of_fused_attention_give_its_output(name: str) -> None:
    model = Attending(MASKS[name])
    batch = torch.randn(3, 3, 4, 42, generator=torch.Generator().manual_seed(0))
    (one,) = attention_maps(model, batch).values()
    assert one.values.shape == (3, 4, 5, 6)
    value = model.values(batch)
    value = value.repeat_interleave(4 // value.shape[1], 1)
    torch.testing.assert_close(torch.from_numpy(one.values) @ value, model(batch))


class OwnSwin(nn.Module):
    """One attention of torchvision's, on pixels as tokens."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, images: Tensor) -> Tensor:
        return self.attention(images.permute(0, 2, 3, 1).repeat(1, 1, 1, 4))


def check_windows(affinity: np.ndarray, attention: Any, before: Tensor, after: Tensor) -> None:
    """The output is the values, mixed by the affinity; what lies beyond the map has the bias as its value."""
    channels, heads = before.shape[3], attention.num_heads
    value = F.linear(before, attention.qkv.weight)[..., 2 * channels :].flatten(1, 2)  # (N, pixels, C)
    value = value.unflatten(2, (heads, -1)).transpose(1, 2)
    bias = attention.qkv.bias[2 * channels :].view(1, heads, 1, -1)
    mixed = torch.from_numpy(affinity) @ value + bias
    expected = attention.proj(mixed.transpose(1, 2).flatten(2)).view_as(after)
    torch.testing.assert_close(expected, after, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shift", [(0, 0), (1, 2)])
@pytest.mark.parametrize("size", [(6, 8), (5, 6), (2, 9)])
@pytest.mark.parametrize("kind", [ShiftedWindowAttention, ShiftedWindowAttentionV2])
def test_torchvisions_windows_are_put_back_in_their_places(
    kind: type[ShiftedWindowAttention], size: tuple[int, int], shift: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    attention = kind(12, [3, 4], list(shift), 2)
    nn.init.normal_(attention.qkv.bias)
    batch = torch.randn(2, 3, *size)
    maps = attention_maps(OwnSwin(attention), batch)
    one = maps["attention"]
    pixels = size[0] * size[1]
    assert (one.grid, one.values.shape) == (size, (2, 2, pixels, pixels))
    sums = one.values.sum(3)
    assert sums.max() <= 1 + 1e-5
    if size == (6, 8):
        np.testing.assert_allclose(sums, 1, rtol=1e-5)
    before, after = passed(OwnSwin(attention), "attention", batch)
    with torch.no_grad():
        check_windows(one.values, attention, before, after)


@pytest.mark.parametrize("size", [(64, 96), (40, 56)])
def test_timms_swin_windows_are_put_back_in_their_places(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    options: dict[str, Any] = {
        "embed_dim": 12,
        "depths": (2, 2),
        "num_heads": (2, 3),
        "num_classes": 5,
        "strict_img_size": False,
    }
    model = create_timm("swin_tiny_patch4_window7_224", img_size=size, window_size=(3, 4), **options).eval()
    batch = images(height=size[0], width=size[1])
    maps = attention_maps(model, batch)
    assert list(maps) == [f"layers.{stage}.blocks.{block}.attn" for stage in range(2) for block in range(2)]
    for name, one in maps.items():
        block = name.removesuffix(".attn")
        before, _ = passed(model, f"{block}.norm1", batch)
        stages = 4 * 2 ** int(name.split(".")[1])
        assert one.grid == (math.ceil(size[0] / stages), math.ceil(size[1] / stages))
        swin: Any = model.get_submodule(block)
        with torch.no_grad():
            before = swin.norm1(before)
            check_windows(one.values, swin.attn, before, swin._attn(before))


def test_too_much_self_attention_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_vit()
    monkeypatch.setattr(attention_map, "_MOST_AFFINITY", 4 * 3 * 3 * 17 * 17 + 3)
    with untouched(model), pytest.raises(ValueError, match=r"encoder_layer_1.self_attention, 3 × 3 × 17 × 17, the"):
        attention_maps(model, images(width=32))


def test_nothing_stays_behind_when_a_transformer_fails() -> None:
    model = Failing(small_vit())
    with untouched(model), pytest.raises(IndexError, match="broken at the end"):
        attention_maps(model, images(width=32))
    assert torch.overrides._len_torch_function_stack() == 0


MASKED = torch.ones(5, 6, dtype=torch.bool).index_fill(0, torch.tensor([1, 4]), value=False)


@pytest.mark.parametrize(
    "mask", [MASKED, torch.zeros(5, 6).masked_fill(~MASKED, -torch.inf)], ids=["boolean", "additive"]
)
def test_a_query_whose_keys_are_all_masked_has_the_weights_of_the_fused_kernel(mask: Tensor) -> None:
    model = Attending({"attn_mask": mask})
    batch = torch.randn(3, 3, 4, 42, generator=torch.Generator().manual_seed(0))
    (one,) = attention_maps(model, batch).values()
    assert not one.values[:, :, [1, 4]].any()
    torch.testing.assert_close(torch.from_numpy(one.values) @ model.values(batch), model(batch))


def test_weights_that_are_not_finite_for_another_reason_stay_so() -> None:
    batch = torch.randn(3, 3, 4, 42, generator=torch.Generator().manual_seed(0))
    batch[1, 0, 2, 7] = torch.nan
    (one,) = attention_maps(Attending({"attn_mask": MASKED}), batch).values()
    assert np.isnan(one.values).any(3).sum() == 1


class MultiHead(nn.Module):
    """`nn.MultiheadAttention` over six patches, of which a query may look at some."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, 8, 8, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.mask = torch.zeros(6, 6, dtype=torch.bool)
        self.mask[2] = True

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).mT
        return self.attention(tokens, tokens, tokens, attn_mask=self.mask, need_weights=False)[0].mean(1)


def test_a_masked_query_of_torchs_module_has_no_weights() -> None:
    (one,) = attention_maps(MultiHead().eval(), images(height=16, width=24)).values()
    assert not one.values[:, :, 2].any()
    np.testing.assert_allclose(np.delete(one.values, 2, 2).sum(3), 1, rtol=1e-5)
