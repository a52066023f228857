"""Hugging Face's models against the attention weights that they give themselves."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gradscape.explain.attention import attention_maps
from gradscape.explain.cam import heatmaps
from gradscape.explain.rollout import attention_rollout
from tests.explain.test_features import images

transformers: Any = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")


def vision_transformer(attention: str) -> Any:
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 32}
    config = transformers.ViTConfig(
        image_size=64, patch_size=16, num_labels=5, attn_implementation=attention, initializer_range=0.5, **sizes
    )
    return transformers.ViTForImageClassification(config).eval()


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_the_shown_weights_are_those_that_the_model_gives(attention: str) -> None:
    batch = images(height=64, width=64)
    with torch.no_grad():
        expected = vision_transformer("eager")(batch, output_attentions=True).attentions
    maps = attention_maps(vision_transformer(attention), batch)
    for one, weights in zip(maps.values(), expected, strict=True):
        np.testing.assert_allclose(one.values, weights.numpy(), rtol=1e-4, atol=1e-6)
        assert (one.grid, one.read) == ((4, 4), (0,))
    assert attention_rollout(maps).shape == (3, 4, 4)


def test_logits_are_found_without_a_score() -> None:
    model, batch = vision_transformer("eager"), images(height=64, width=64)
    found = heatmaps(model, batch, method="gradcam")
    expected = heatmaps(model, batch, method="gradcam", score=lambda output: output.logits.amax(1))
    np.testing.assert_array_equal(found.raw, expected.raw)
    np.testing.assert_array_equal(found.class_index, model(batch).logits.argmax(1).numpy())


def swin(size: int, window: int) -> Any:
    torch.manual_seed(0)
    sizes = {"embed_dim": 12, "depths": [2, 2], "num_heads": [2, 3], "window_size": window, "patch_size": 4}
    config = transformers.SwinConfig(image_size=size, num_labels=5, initializer_range=0.5, **sizes)
    return transformers.SwinForImageClassification(config).eval()


@pytest.mark.parametrize(("size", "window"), [(32, 4), (40, 3)])
def test_swins_windows_are_put_back_in_their_places(size: int, window: int) -> None:
    model = swin(size, window)
    batch = images(height=size, width=size)
    layer = model.swin.encoder.layers[0].blocks[1]  # the shifted one
    seen: list[torch.Tensor] = []
    layer.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    layer.layernorm_after.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    maps = attention_maps(model, batch)
    one = maps["swin.encoder.layers.0.blocks.1.attention"]
    assert one.grid == (size // 4, size // 4)
    parts = layer.attention.named_modules()
    linear = {name.rpartition(".")[2]: part for name, part in parts if type(part) is nn.Linear}
    with torch.no_grad():
        value = nn.functional.linear(layer.layernorm_before(seen[0]), linear["v_proj"].weight)
        mixed = torch.from_numpy(one.values) @ value.unflatten(2, (2, -1)).transpose(1, 2)
        mixed = mixed.transpose(1, 2).flatten(2) + linear["v_proj"].bias
        torch.testing.assert_close(seen[0] + linear["o_proj"](mixed), seen[1], rtol=1e-4, atol=1e-5)
