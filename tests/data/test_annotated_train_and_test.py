"""Annotated pictures to train with and to test on: never the same, and of the same classes."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from gradscape.data import load_annotated, load_annotated_train_and_test
from tests.shapes import CLASSES, draw_pictures, write_coco, write_voc

PICTURES, OTHERS = draw_pictures(5, seed=0), draw_pictures(3, seed=1)


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    write_coco(tmp_path / "coco", PICTURES, "train2017")
    write_coco(tmp_path / "coco", OTHERS, "val2017")
    return tmp_path / "coco"


def test_they_are_the_data_sets_own_splits(coco: Path) -> None:
    train, test = load_annotated_train_and_test(f"coco:{coco}", kind="masks", image_size=64, batch_size=2, limit=3)
    for found, split, limit in ((train, "train", 3), (test, "test", None)):
        own = load_annotated(f"coco:{coco}", split, kind="masks", image_size=64, batch_size=2, limit=limit)
        assert (found.split, found.num_images, found.population) == (own.split, own.num_images, own.population)
        for (images, targets), (same, known) in zip(found, own, strict=True):
            assert torch.equal(images, same)
            assert all(torch.equal(targets[name], known[name]) for name in known)


def test_pixels_are_tested_on_what_is_not_trained_on(tmp_path: Path) -> None:
    write_voc(tmp_path / "voc", train=PICTURES, val=OTHERS)
    train, test = load_annotated_train_and_test(f"voc:{tmp_path / 'voc'}", kind="pixels", image_size=32)
    assert (train.split, train.num_images, test.split, test.num_images) == ("train", 5, "val", 3)
    assert train.classes == test.classes == ("_background_", *CLASSES)
    assert (train.image_size, test.image_size) == (32, 32)


def test_data_without_a_split_of_their_own_need_other_pictures_to_test_on(coco: Path) -> None:
    file, other = (f"coco:{coco}/annotations/instances_{split}.json" for split in ("train2017", "val2017"))
    with pytest.raises(
        ValueError, match=r"train2017.json` has no split of its own: name pictures to test on by --test"
    ):
        load_annotated_train_and_test(file, kind="boxes")
    train, test = load_annotated_train_and_test(file, kind="boxes", test=other)
    assert (train.num_images, test.num_images, test.name, test.split) == (5, 3, other, "all")


def test_pictures_that_are_trained_on_are_refused_as_test_pictures(coco: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(coco)
    file = f"coco:{tmp_path}/link/annotations/instances_train2017.json"
    with pytest.raises(ValueError, match=r"gives 5 of the pictures .* such as 000000.png: name others by --test"):
        load_annotated_train_and_test(f"coco:{coco}", kind="boxes", test=file)
    shutil.copytree(coco / "train2017", tmp_path / "copy" / "train2017")
    shutil.copytree(coco / "annotations", tmp_path / "copy" / "annotations")
    with pytest.raises(ValueError, match="gives copies of the pictures that are trained on: name others by --test"):
        load_annotated_train_and_test(
            f"coco:{coco}", kind="boxes", test=f"coco:{tmp_path}/copy/annotations/instances_train2017.json"
        )


def test_a_picture_in_both_of_the_data_sets_own_lists_is_refused(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "voc", train=PICTURES, test=OTHERS)
    with (root / "ImageSets" / "Main" / "test.txt").open("a") as names:
        names.write("train_3\n")
    with pytest.raises(ValueError, match=r"gives 1 of the pictures .* such as train_3.png: name others by --test"):
        load_annotated_train_and_test(f"voc:{root}", kind="boxes")


def test_other_classes_and_data_without_test_pictures_are_refused(coco: Path, tmp_path: Path) -> None:
    file = coco / "annotations" / "instances_val2017.json"
    contents = json.loads(file.read_text())
    contents["categories"] = [{**one, "name": one["name"].replace("disk", "ring")} for one in contents["categories"]]
    file.write_text(json.dumps(contents))
    with pytest.raises(ValueError, match=r"but has others .such as disk, which only one has.: test on others"):
        load_annotated_train_and_test(f"coco:{coco}", kind="boxes")
    write_coco(tmp_path / "lone", PICTURES, "train2017")
    with pytest.raises(
        FileNotFoundError, match=r"there is no instances_test.*; or name other pictures to test on by --test"
    ):
        load_annotated_train_and_test(f"coco:{tmp_path / 'lone'}", kind="boxes")
