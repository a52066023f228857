import pickle
import re
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from gradscape.data import AnnotatedSplit, is_annotated, load_annotated, load_split, load_train_and_test
from gradscape.data.source import IMAGENET
from tests.shapes import draw_pictures, write_coco, write_voc

KINDS = ["boxes", "masks", "pixels"]


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A name for each kind of annotations, all of the same 9 pictures."""
    root = tmp_path_factory.mktemp("shapes")
    pictures = draw_pictures(9, seed=1)
    coco = f"coco:{write_coco(root, pictures).parent.parent}"
    return {"boxes": coco, "masks": coco, "pixels": f"voc:{write_voc(root / 'voc', train=pictures)}"}


def load(names: dict[str, str], kind: str, **options: Any) -> AnnotatedSplit[Any]:
    arguments: dict[str, Any] = {"kind": kind, "image_size": 40, "batch_size": 4, **options}
    return load_annotated(names[kind], "train", **arguments)


def tensors(batch: Any) -> list[torch.Tensor]:
    images, targets = batch
    return [images, *(targets.values() if isinstance(targets, dict) else [targets])]


def assert_same(one: Any, other: Any) -> None:
    for a, b in zip(tensors(one), tensors(other), strict=True):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_the_same_at_every_iteration_and_as_a_loader_makes_them(names: dict[str, str], kind: str) -> None:
    split = load(names, kind)
    assert len(split) == 3
    loader = DataLoader(split.dataset, batch_size=4)
    for first, again, loaded in zip(split, split, loader, strict=True):
        assert_same(first, again)
        assert_same(first, loaded)


@pytest.mark.parametrize("kind", KINDS)
def test_streamed_pictures_are_bitwise_those_held_in_memory(
    names: dict[str, str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = load(names, kind)
    monkeypatch.setattr("gradscape.data.held.free_memory", lambda: 0)
    monkeypatch.setattr("gradscape.data.held._PIECE", 1)
    for one, other in zip(held, load(names, kind), strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_a_smaller_subset_is_the_beginning_of_a_larger_one(names: dict[str, str], kind: str) -> None:
    large, small, other = (load(names, kind, limit=n, seed=seed).dataset for n, seed in ((7, 2), (3, 2), (7, 3)))
    assert len(small) == 3
    for index in range(3):
        assert_same(large[index], small[index])
    whole = [load(names, kind).dataset[index][0] for index in range(9)]
    orders = [
        [[torch.equal(one, data[k][0]) for one in whole].index(True) for k in range(7)] for data in (large, other)
    ]
    assert len(set(orders[0])) == 7
    assert orders[0] != orders[1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_data_set_can_be_pickled(names: dict[str, str], kind: str) -> None:
    data = load(names, kind).dataset
    assert_same(pickle.loads(pickle.dumps(data))[5], data[5])


def test_a_split_says_what_it_is(names: dict[str, str]) -> None:
    split = load(names, "masks", limit=5)
    assert split.channel_statistics() == IMAGENET
    assert split.named
    assert "'train': masks in 5 of 9 images, 3 classes, image_size=40, batch_size=4" in repr(split)
    assert load(names, "boxes", image_size=None).image_size == 640
    assert load(names, "pixels", image_size=None, limit=1).image_size == 512


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("coco:x", True),
        ("voc:x", True),
        ("coco:function", True),
        ("digits", False),
        ("folder:coco", False),
        ("", False),
    ],
)
def test_a_name_says_whether_its_data_are_annotated(name: str, expected: bool) -> None:
    assert is_annotated(name) == expected


def test_who_needs_classes_of_images_is_told(names: dict[str, str]) -> None:
    message = "has no class for each image, which is needed here, but boxes or a class for each pixel: name data with"
    with pytest.raises(ValueError, match=message):
        load_split(names["boxes"], "train")
    with pytest.raises(ValueError, match=message):
        load_train_and_test(names["pixels"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "digits"}, "`name` must be coco:PATH or voc:PATH for boxes, but came as 'digits'"),
        ({"name": "coco:"}, "`name` must be coco:PATH or voc:PATH for boxes, but came as 'coco:'"),
        ({"kind": "mask"}, "unknown `kind` 'mask'; did you mean masks?"),
        ({"kind": "pixels"}, "has no pixels that are read here: give voc:PATH, or another `kind`"),
        ({"name": "voc:x", "kind": "masks"}, "has no masks that are read here: give coco:PATH, or another `kind`"),
        ({"split": "val"}, "`split` must be one of train, test, but came as 'val'"),
        ({"limit": 0}, "`limit` must be at least 1, but came as 0"),
        ({"image_size": -3}, "`image_size` must be at least 1, but came as -3"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_a_wrong_argument_is_one_line_that_says_what_is_wanted(arguments: dict[str, Any], message: str) -> None:
    options: dict[str, Any] = {"name": "coco:x", "split": "train", **arguments}
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        load_annotated(**options)
    assert "\n" not in str(raised.value)
