from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gradscape.models import count_macs, count_parameters, create_model, list_models
from gradscape.models.ba2m import BA2M
from gradscape.models.cards import create_weightless
from gradscape.models.registry import KINDS, MODELS
from gradscape.models.sites import AttendedBlock
from gradscape.models.staged import StagedNetwork
from gradscape.models.ulsam import ULSAM


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
        ("upanet16@groups=two", "option `groups` of upanet16 must be a whole number, got two"),
        ("upanet16@cpa_shortcut=1", "option `cpa_shortcut` of upanet16 must be true or false, got 1"),
        ("upanet16@pooling=max", "option `pooling` of upanet16 must be one of exc_spa_gap, .*; got max"),
        ("upanet16@attention=both", "option `attention` of upanet16 must be one of linear, conv, none; got both"),
        ("resnet20@shortcut=long", "option `shortcut` of resnet20 must be one of padding, projection, none; got long"),
        ("resnet50@num_classes=3", "`num_classes` is no option of a model's name; .*, not in 'resnet50@num_classes=3'"),
        ("resnet20+spa", "unknown `attention` 'spa'; did you mean spa_.*"),
        ("vgg11+se", "attention must be added to a network of gradscape with blocks for it; vgg11 has none"),
        ("resnet20+se+se", "attention `se` is there already; add it once"),
        ("resnet20+se@depth=2", "se has no option `depth`; it takes reduction=none, bias=none, stages=none"),
        ("resnet20+ba2m@stages=4", "`stages` of ba2m must lie in 1 … 3, got 4"),
        (
            "resnet20+ba2m@branches=channel:all",
            "option `branches` of ba2m must be one of channel, local, global; got all",
        ),
        ("resnet20+ulsam@after=2", "`ulsam` goes by the layer numbers of mobilenet_v1 and mobilenet_v2, .*"),
        ("mobilenet_v2+ulsam", "`ulsam` must be given `after` or `replace`, .*"),
        ("resnet20+ba2m@place=inside,stages=4", "`stages` of ba2m must lie in 1 … 3, got 4"),
        ("resnet20+se@stages=4", "`stages` of se must lie in 1 … 3, got 4"),
        ("attention56@activation=max", "option `activation` of attention56 must be one of mixed, spatial, .*; got max"),
        ("attentionnext56_imagenet@unit=inception", "attentionnext56_imagenet has no option `unit`; it takes p=1, .*"),
        (
            "mobilenet_v1+ulsam@after=9,layout=table",
            "option `layout` of ulsam must be one of code, equations; got table",
        ),
        ("cifar_resnet18+aa@stages=5", "`stages` of aa must lie in 1 … 4, got 5"),
        ("cifar_resnet18+aa@stages=0", "`stages` of aa must lie in 1 … 4, got 0"),
        ("resnet20+se@reduction=0", "`reduction` of an attention over 16 channels must be from 1 to 16, got 0"),
        ("mobilenet_v2+ulsam@replace=1", "`replace` must be a layer that keeps .*one of 4, 6, 7, 9, .*, 17; got 1"),
        ("mobilenet_v2+ulsam@replace=5", "`replace` must be a layer that keeps .*one of 4, 6, 7, 9, .*, 17; got 5"),
        ("mobilenet_v2+ulsam@after=19", "`after` must be a layer that attention can follow, one of 2, 3, .*; got 19"),
        ("mobilenet_v2+sasa", "attention must replace a spatial convolution, but features.1 of this network has none"),
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
    assert list_models("retinanet:*") == ["retinanet:resnet50", "retinanet:resnet50+se", "retinanet:resnet50+spa_a"]
    assert {"resnet50+spa_a", "mobilenet_v2+spa_a"} <= set(list_models("spa*"))


def test_resnet50_is_torchvisions_and_resnet56_is_hes() -> None:
    with torch.device("meta"):
        assert isinstance(create_model("resnet50").get_submodule("conv1"), nn.Conv2d)
        assert create_model("resnet50").get_parameter("conv1.weight").shape == (64, 3, 7, 7)
        assert create_model("resnet56").get_parameter("conv1.weight").shape == (16, 3, 3, 3)


def test_ulsam_after_and_in_place_of_layers_is_all_there() -> None:
    network = create_model("mobilenet_v2+ulsam@after=13,replace=14:17")
    assert [name for name, module in network.named_modules() if isinstance(module, ULSAM)] == [
        "features.12.ulsam",
        "features.13.ulsam",
        "features.16.ulsam",
    ]


def test_ba2m_inside_takes_the_blocks_of_its_stages_only() -> None:
    network = create_model("resnet20+ba2m@place=inside,stages=1:3")
    assert [name for name, module in network.named_modules() if isinstance(module, BA2M)] == [
        *(f"layer1.{block}.ba2m" for block in range(3)),
        *(f"layer3.{block}.ba2m" for block in range(3)),
    ]


def test_attentions_are_added_in_the_order_of_their_names_and_compose() -> None:
    network = create_model("cifar_resnet18+bam+ba2m@stages=2:3+se")
    block = network.get_submodule("layer2.1")
    assert isinstance(block, AttendedBlock)
    assert (block.branch_attentions, block.output_attentions) == ([("se", False)], ["bam", "ba2m"])
    last = network.get_submodule("layer4.1")
    assert isinstance(last, AttendedBlock)
    assert (last.branch_attentions, last.output_attentions) == ([("se", False)], [])


def test_attention_leaves_the_backbones_keys_as_they_are() -> None:
    plain, attended = (create_model(name).state_dict().keys() for name in ("resnet18", "resnet18+spa_a+ba2m"))
    assert plain < attended
    assert "layer1.0.spa.transform.0.weight" in attended
    assert {key.split(".")[2] for key in attended - plain} == {"spa", "ba2m"}


IMAGENETS = [name for name, entry in MODELS.items() if entry.image_size == 224]
PAIRS = [(kind, backbone) for kind in KINDS for backbone in IMAGENETS]


@pytest.mark.parametrize(
    ("kind", "backbone"),
    [pytest.param(*pair, marks=pytest.mark.slow if number % 6 else ()) for number, pair in enumerate(PAIRS)],
)
def test_every_kind_stands_on_every_backbone_for_imagenet(kind: str, backbone: str) -> None:
    made = create_weightless(f"{kind}:{backbone}", num_classes=4, image_size=96)
    held: Any = made.backbone
    assert isinstance(held, StagedNetwork)
    assert list(held.head.parameters()) == []
    assert count_parameters(made) > count_parameters(held) > 0


def test_the_backbone_of_a_detector_has_the_attention_and_options_of_its_name() -> None:
    made = create_weightless("retinanet:mobilenet_v2@width=0.5+ulsam@replace=14:17", num_classes=4, image_size=64)
    own = create_weightless("mobilenet_v2@width=0.5+ulsam@replace=14:17", num_classes=4, image_size=64)
    shapes = {name: one.shape for name, one in own.named_parameters() if not name.startswith("classifier.")}
    held: Any = made.backbone
    assert {name: one.shape for name, one in held.named_parameters()} == shapes
    given: Any = create_model("deeplabv3:resnet50", num_classes=2, image_size=64, stride="first").backbone
    assert count_macs(given, 64) < count_macs(create_model("deeplabv3:resnet50", image_size=64).backbone, 64)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ssd:resnet50", "unknown `kind` 'ssd'; known: deeplabv3, faster_rcnn, fcos, mask_rcnn, retinanet"),
        ("retina_net:resnet50+se", r"unknown `kind` 'retina_net'; did you mean retinanet\?"),
        ("retinanet:resnet5", r"unknown `model` 'resnet5'; did you mean .*"),
        ("retinanet:", "unknown `model` ''"),
        (
            "fcos:vgg16",
            "a detector or segmenter needs a backbone of gradscape with stages, and vgg16 has none; take .*",
        ),
        ("fcos:torchvision:resnet18", "a detector .*, and torchvision:resnet18 has none; take .*"),
        ("fcos:retinanet:resnet18", "the backbone of fcos must be a network with stages, got a retinanet: .*"),
        (
            "faster_rcnn:cifar_resnet18+se",
            r"a detector or segmenter needs a backbone with maps at 1/8, 1/16, 1/32 of the image's side; "
            r"cifar_resnet18 lacks 1/16, 1/32 \(it makes 64, 32, 16, 8 pixels of 64\); "
            "take one for ImageNet, such as resnet50",
        ),
        ("deeplabv3:upanet16", "a detector or segmenter needs .*; upanet16 lacks 1/16, 1/32 .*"),
        ("retinanet:resnet18@depth=3", "resnet18 has no option `depth`; it takes .*"),
    ],
)
def test_what_is_no_kind_or_no_backbone_for_one_is_refused_in_one_line(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        create_model(name, image_size=64)


def test_images_of_less_than_32_pixels_have_no_last_map() -> None:
    with pytest.raises(ValueError, match="`image_size` of a detector or segmenter must be at least 32 pixels, got 31"):
        create_model("retinanet:resnet18", image_size=31)
    assert count_parameters(create_model("faster_rcnn:resnet18", image_size=33)) > 0


def test_a_function_of_the_users_own_may_be_called_like_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_nets.py").write_text(
        "from torch import nn\n\n\ndef resnet50(num_classes):\n    return nn.Linear(3, num_classes)\n"
    )
    monkeypatch.chdir(tmp_path)
    assert create_model("own_nets:resnet50", num_classes=5).out_features == 5
