import itertools

import pytest
import torch
from torch import nn

from gradscape.models import create_model, list_models
from gradscape.models.registry import MODELS


def test_registry_holds_every_depth_and_variant_of_the_design() -> None:
    upanets = ["", "_final_gap", "_final_spa", "_exc_gap", "_exc_spa", "_conv", "_slim", "_no_cpa"]
    expected = {f"upanet{width}{suffix}" for width, suffix in itertools.product((16, 32, 64), upanets)}
    depths, shortcuts = (20, 32, 44, 56, 110), ("", "_projection", "_noshort")
    expected |= {f"resnet{depth}{suffix}" for depth, suffix in itertools.product(depths, shortcuts)}
    assert set(MODELS) == expected | {"cifar_densenet121"}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_model_has_a_stem_stages_and_a_head_after_its_features(name: str) -> None:
    torch.manual_seed(0)
    network = create_model(name, num_classes=7, image_size=16).eval()
    seen = []
    for part in ("stem", "stages.0", "stages.2"):
        network.get_submodule(part).register_forward_hook(lambda _module, _inputs, output: seen.append(output.shape))
    images = torch.randn(2, 3, 16, 16)
    logits = network(images)
    assert logits.shape == (2, 7)
    assert [tuple(shape[2:]) for shape in seen] == [(16, 16), (16, 16), (4, 4)]
    torch.testing.assert_close(network.get_submodule("head")(network.forward_features(images)), logits)  # type: ignore[operator]


def test_same_seed_gives_the_same_network() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(7)
        states.append(create_model("upanet16", image_size=8).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_options_behind_the_at_sign_equal_keyword_options() -> None:
    named = create_model("upanet16@cpa_shortcut=false,groups=2")
    keyword = create_model("upanet16", cpa_shortcut=False, groups=2)
    assert {key: tensor.shape for key, tensor in named.state_dict().items()} == {
        key: tensor.shape for key, tensor in keyword.state_dict().items()
    }
    assert "emb.cp_ffc_sc.weight" not in named.state_dict()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("upanet17", "unknown `model` 'upanet17'; did you mean upanet1?6.*"),
        ("zzzzzzzz", "unknown `model` 'zzzzzzzz'"),
        ("upanet16@shape=3", "upanet16 has no option `shape`; it takes pooling=exc_spa_gap, .*blocks=1"),
        ("upanet16_slim@width=3", "upanet16_slim has no option `width`; it takes .*"),
        ("resnet56@depth=20", "resnet56 has no option `depth`; it takes shortcut=padding"),
        ("upanet16@groups=two", "option `groups` of upanet16 must be like 1, got two"),
        ("upanet16@cpa_shortcut=1", "option `cpa_shortcut` of upanet16 must be like true, got 1"),
        ("upanet16@pooling=max", "option `pooling` of upanet16 must be one of exc_spa_gap, .*; got max"),
        ("upanet16@attention=both", "option `attention` of upanet16 must be one of linear, conv, none; got both"),
        ("resnet20@shortcut=long", "option `shortcut` of resnet20 must be one of padding, projection, none; got long"),
        ("resnet50@num_classes=3", "`num_classes` is no option of a model's name; .*, not in 'resnet50@num_classes=3'"),
        ("upanet16@", "options must be written as key=value,key=value; got ''"),
    ],
)
def test_wrong_names_and_options_are_refused_in_one_line(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        create_model(name)


@pytest.mark.parametrize("argument", ["num_classes", "image_size"])
def test_sizes_must_be_positive(argument: str) -> None:
    with pytest.raises(ValueError, match=f"`{argument}` must be a positive integer, got 0"):
        create_model("upanet16", **{argument: 0})


def test_list_takes_a_pattern_and_holds_torchvisions_names() -> None:
    assert list_models("upanet64_*_gap") == ["upanet64_exc_gap", "upanet64_final_gap"]
    assert {"resnet50", "mobilenet_v2", "densenet121", "vgg16_bn", "vit_b_16", "upanet16"} <= set(list_models())
    assert list_models("zzz*") == []


def test_resnet50_is_torchvisions_and_resnet56_is_hes() -> None:
    with torch.device("meta"):
        assert isinstance(create_model("resnet50").get_submodule("conv1"), nn.Conv2d)
        assert create_model("resnet50").get_parameter("conv1.weight").shape == (64, 3, 7, 7)
        assert create_model("resnet56").get_parameter("conv1.weight").shape == (16, 3, 3, 3)
