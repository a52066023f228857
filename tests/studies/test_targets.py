"""Networks, data and recipes that do not fit each other are refused before anything is loaded."""

import pytest

from gradscape.studies.recipe_choice import choose_recipe
from gradscape.studies.targets import common_targets


@pytest.mark.parametrize(
    ("names", "data", "kind"),
    [
        (["resnet20", "upanet16"], "digits", "classes"),
        (["resnet20"], "own.data:load", "classes"),
        (["retinanet:resnet18", "fcos:resnet18+spa_a"], "voc:here", "boxes"),
        (["faster_rcnn:resnet50", "mask_rcnn:resnet50"], "coco:here", "masks"),
        (["deeplabv3:resnet50"], "voc:here", "pixels"),
    ],
)
def test_networks_that_share_their_data_need_the_same_of_them(names: list[str], data: str, kind: str) -> None:
    assert common_targets(names, data=[data, data]) == kind


@pytest.mark.parametrize(
    ("names", "data", "said"),
    [
        (
            ["resnet20", "fcos:resnet18"],
            "digits",
            "`models` must be of one kind.* but fcos:resnet18 takes boxes, resnet20",
        ),
        (
            ["resnet20"],
            "coco:here",
            "coco:here has boxes or boxes with masks, but resnet20 takes a class for each image",
        ),
        (
            ["fcos:resnet18"],
            "digits",
            "digits has a class for each image, but .* takes boxes: give coco:PATH or voc:PATH",
        ),
        (["mask_rcnn:resnet50"], "voc:here", "takes boxes with masks: give coco:PATH"),
        (["deeplabv3:resnet18"], "coco:here", "takes a class for each pixel: give voc:PATH"),
    ],
)
def test_others_are_refused_with_what_fits(names: list[str], data: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        common_targets(names, data=[data])
    with pytest.raises(ValueError, match=said):
        choose_recipe(names, data)


def test_detectors_and_segmenters_have_recipes_of_their_own() -> None:
    chosen = [choose_recipe([name], data, epochs=3) for name, data in (
        ("fcos:resnet18", "coco:a"), ("mask_rcnn:resnet18", "coco:a"), ("faster_rcnn:resnet50+ba2m", "voc:a"),
        ("deeplabv3:resnet18", "voc:a"),
    )]  # fmt: skip
    assert [name for name, _ in chosen] == ["spanet_retinanet", "spanet_rcnn", "ba2m_boxes", "deeplabv3"]
    assert [recipe.loss for _, recipe in chosen] == ["detection_loss"] * 3 + ["pixel_cross_entropy"]
    assert {recipe.epochs for _, recipe in chosen} == {3}


@pytest.mark.parametrize(
    ("name", "data", "options", "said"),
    [
        (
            "fcos:resnet18",
            "coco:a",
            {"recipe": "upanets"},
            "`recipe` upanets has the loss cross_entropy, but fcos:resnet18",
        ),
        (
            "fcos:resnet18",
            "coco:a",
            {"recipe": "deeplabv3"},
            "trained with detection_loss: take another, such as spanet_retina",
        ),
        ("fcos:resnet18", "coco:a", {"loss": "focal"}, "has the loss focal, .*: take no other `loss`"),
        ("resnet20", "digits", {"recipe": "ba2m_boxes"}, "ba2m_boxes has the loss detection_loss, .* such as upanets"),
        (
            "resnet20",
            "digits",
            {"loss": "pixel_cross_entropy"},
            "`recipe` digits has the loss pixel_cross_entropy, .*: take no other `loss`",
        ),
        ("resnet20", "digits", {"loss": "hinge"}, "`loss` must be one of cross_entropy"),
        ("resnet20", "digits", {"recipe": "soup"}, "unknown `recipe` 'soup'"),
        ("resnet20", "digits", {"test": "coco:a"}, "`data` coco:a has boxes"),
    ],
)
def test_a_recipe_of_other_networks_is_refused_by_name(
    name: str, data: str, options: dict[str, str], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        choose_recipe([name], data, **options)
