from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer, resnet18

from gradscape._checkpoint import Classifier
from gradscape.explain.features import feature_maps
from gradscape.models import create_model

META = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25], "labels": None, "image_size": 32}


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Fails if anything of the model is another than before, also after an exception."""

    def seen() -> dict[str, Any]:
        return {
            "state": {key: tensor.clone() for key, tensor in model.state_dict().items()},
            "training": [module.training for module in model.modules()],
            "hooks": [(len(one._forward_hooks), len(one._forward_pre_hooks)) for one in model.modules()],
            "required": [parameter.requires_grad for parameter in model.parameters()],
            "gradients": [parameter.grad for parameter in model.parameters()],
            "random": torch.get_rng_state(),
        }

    before = seen()
    try:
        yield
    finally:
        after = seen()
        for name in ("training", "hooks", "required", "gradients"):
            assert after[name] == before[name]
        assert torch.equal(after["random"], before["random"])
        for key, tensor in before["state"].items():
            assert torch.equal(tensor, after["state"][key])


class Failing(nn.Module):
    """A model that breaks after its layers have run."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, images: Tensor) -> Tensor:
        self.layers(images)
        raise IndexError("broken at the end")


def plain_hook(model: nn.Module, layer: str, images: Tensor) -> np.ndarray:
    outputs = []
    hook = model.get_submodule(layer).register_forward_hook(lambda _m, _i, out: outputs.append(out.clone()))
    with torch.no_grad():
        model.eval()(images)
    hook.remove()
    return outputs[-1].numpy()


def images(*, seed: int = 0, count: int = 3, height: int = 32, width: int = 48) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("name", "layer"), [("resnet20", "stages.1"), ("mobilenet_v2", "features.7.conv.0")])
def test_features_of_a_layer_of_the_zoo_are_what_a_plain_hook_sees(name: str, layer: str) -> None:
    model = create_model(name, num_classes=5, image_size=32)
    with untouched(model):
        features = feature_maps(model, images(), layer=layer)
    assert features.dtype == np.float32
    assert features.shape[0] == 3
    np.testing.assert_array_equal(features, plain_hook(model, layer, images()))


def test_features_are_not_overwritten_by_what_works_in_place_after_them() -> None:
    model = resnet18(num_classes=5)  # the output of bn2 is added to and rectified in place
    features = feature_maps(model, images(), layer="layer1.0.bn2")
    np.testing.assert_array_equal(features, plain_hook(model, "layer1.0.bn2", images()))
    assert features.min() < 0


def test_a_layer_is_named_with_or_without_the_network_of_a_checkpoint_or_given_itself() -> None:
    network = create_model("resnet20", num_classes=5, image_size=32)
    model = Classifier(network, META)
    expected = plain_hook(model, "network.stages.2", images())
    for layer in ("network.stages.2", "stages.2", network.get_submodule("stages.2")):
        np.testing.assert_array_equal(feature_maps(model, images(), layer=layer), expected)


def test_tokens_of_a_transformer_are_laid_out_without_the_class_token() -> None:
    model = VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=12, mlp_dim=16, num_classes=5
    )
    layer = "encoder.layers.encoder_layer_0"
    features = feature_maps(model, images(width=32), layer=layer)
    tokens = plain_hook(model, layer, images(width=32))
    assert features.shape == (3, 12, 4, 4)
    np.testing.assert_array_equal(features[1, :, 2, 3], tokens[1, 1 + 2 * 4 + 3])


def test_half_precision_compiled_and_training_models_give_float32_features_and_stay_as_they_were() -> None:
    model = create_model("resnet20", num_classes=5, image_size=32)
    expected = feature_maps(model, images(), layer="stages.1")
    model.train()
    with untouched(model), torch.inference_mode():
        np.testing.assert_array_equal(feature_maps(model, images(), layer="stages.1"), expected)
    compiled = torch.compile(model, backend="eager")
    assert isinstance(compiled, nn.Module)
    np.testing.assert_array_equal(feature_maps(compiled, images(), layer="stages.1"), expected)
    half = feature_maps(model.to(torch.bfloat16), images(), layer="stages.1")
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, expected, atol=0.05 * np.abs(expected).max())


def test_what_is_no_map_is_refused_in_one_line() -> None:
    model = resnet18(num_classes=5)
    with pytest.raises(ValueError, match="'layer11'; did you mean layer1"):
        feature_maps(model, images(), layer="layer11")
    with pytest.raises(ValueError, match=r"`layer` fc must give maps .*, got the shape \(3, 5\)"):
        feature_maps(model, images(), layer="fc")
    with pytest.raises(TypeError, match="float"):
        feature_maps(model, (255 * images()).to(torch.uint8), layer="layer1")
    model.unused = nn.Conv2d(3, 3, 1)
    with pytest.raises(ValueError, match="`layer` unused must run"):
        feature_maps(model, images(), layer="unused")


def test_nothing_stays_behind_when_the_model_fails() -> None:
    model = Failing(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    with untouched(model), pytest.raises(IndexError, match="broken at the end"):
        feature_maps(model, images(), layer="layers.0")
