"""What is tested on was never trained with, whether or not the data have a split of their own."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gradscape.data import HeldOut, Split, load_split, load_train_and_test

COUNTS = (20, 11, 7, 1)


@pytest.fixture
def arrays() -> dict[str, Any]:
    """Images of four classes, unequally many, each another one."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(4), COUNTS))
    images = np.arange(39 * 4 * 5, dtype=np.uint8).reshape(39, 4, 5)
    images[:, 0, 0] = np.arange(39)
    return {"images": images, "labels": labels}


@pytest.fixture
def name(tmp_path: Path, arrays: dict[str, Any]) -> str:
    return save(tmp_path / "some.npz", **arrays)


def save(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return f"npz:{path}"


def numbers(split: Split) -> list[int]:
    """Which images of the fixture these are."""
    return [round(float(image[0, 0, 0]) * 255) for image, _ in (split.dataset[at] for at in range(split.num_images))]


def test_a_fifth_of_every_class_is_held_out_and_the_rest_is_trained_with(name: str, arrays: dict[str, Any]) -> None:
    train, test = load_train_and_test(name)
    assert test.dataset.labels.bincount(minlength=4).tolist() == [4, 2, 1, 0]
    assert sorted(numbers(train) + numbers(test)) == list(range(39))
    for split in (train, test):
        assert numbers(split) == sorted(numbers(split)), "not in the order of the file"
        assert split.dataset.labels.tolist() == arrays["labels"][numbers(split)].tolist()
    assert (train.split, test.split) == ("train", "held out")
    assert train.held_out == test.held_out == HeldOut(share=0.2, seed=0)


def test_what_is_held_out_follows_from_the_seed_alone(name: str) -> None:
    first, again, other = (numbers(load_train_and_test(name, seed=seed, batch_size=7)[1]) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_a_limit_is_of_the_images_to_train_with(name: str) -> None:
    train, test = load_train_and_test(name, limit=8)
    assert (train.num_images, train.population, test.num_images) == (8, 32, 7)
    assert train.dataset.labels.bincount().tolist() == [3, 2, 2, 1]
    assert not set(numbers(train)) & set(numbers(test))


def test_everywhere_else_an_array_file_stays_whole_and_is_called_all(name: str) -> None:
    for asked in ("train", "test"):
        split = load_split(name, asked)
        assert (split.split, split.held_out) == ("all", None)
        assert numbers(split) == list(range(39))


def test_a_split_of_the_datas_own_is_taken_as_it_is() -> None:
    train, test = load_train_and_test("digits", image_size=8, limit=50)
    assert (train.split, train.num_images, train.held_out) == ("train", 50, None)
    assert (test.split, test.num_images) == ("test", 355)
    for split, own in ((train, load_split("digits", "train", image_size=8, limit=50)), (test, None)):
        own = own or load_split("digits", "test", image_size=8)
        assert torch.equal(next(iter(split))[0], next(iter(own))[0])


def test_too_few_images_to_hold_any_out_are_told(tmp_path: Path) -> None:
    few = save(tmp_path / "few.npz", images=np.zeros((4, 3, 3), np.uint8), labels=np.array([0, 0, 1, 1]))
    with pytest.raises(ValueError, match=r"few\.npz` has no split of its own and too few images .*by --test"):
        load_train_and_test(few)


def test_another_data_set_can_be_tested_on(tmp_path: Path, name: str) -> None:
    other = save(tmp_path / "other.npz", images=np.full((3, 9, 9), 7, np.uint8), labels=np.array([3, 0, 1]))
    train, test = load_train_and_test(name, test=other, image_size=4)
    assert (train.split, train.num_images, train.held_out) == ("all", 39, None)
    assert (test.name, test.split, test.num_images) == (other, "all", 3)
    assert len(test.classes) == 4


def test_images_to_test_on_take_the_size_of_those_to_train_with(tmp_path: Path) -> None:
    square = save(tmp_path / "a.npz", images=np.arange(490, dtype=np.uint8).reshape(10, 7, 7), labels=np.arange(10) % 2)
    larger = save(tmp_path / "b.npz", images=np.zeros((2, 12, 12), np.uint8), labels=np.arange(2))
    train, test = load_train_and_test(square, test=larger)
    assert (train.image_size, test.image_size) == (7, 7)


def test_images_that_are_trained_on_are_no_test_images(tmp_path: Path, name: str, arrays: dict[str, Any]) -> None:
    copy = save(tmp_path / "copy.npz", **arrays)
    for test in (name, copy):
        with pytest.raises(ValueError, match="gives the images that are trained on as test images"):
            load_train_and_test(name, test=test)


def test_named_classes_of_both_are_numbered_alike(tmp_path: Path) -> None:
    images = np.arange(150, dtype=np.uint8).reshape(6, 5, 5)
    pets = save(tmp_path / "pets.npz", images=images, labels=np.arange(6) % 3, classes=np.array(["ape", "bee", "cat"]))
    some = save(tmp_path / "some.npz", images=images[:2], labels=np.arange(2), classes=np.array(["cat", "ape"]))
    _, test = load_train_and_test(pets, test=some)
    assert (test.classes, test.dataset.labels.tolist()) == (("ape", "bee", "cat"), [2, 0])
    odd = save(tmp_path / "odd.npz", images=images[:2], labels=np.arange(2), classes=np.array(["cat", "dog"]))
    with pytest.raises(ValueError, match=r"odd\.npz` has classes that `.*pets\.npz` lacks, such as dog"):
        load_train_and_test(pets, test=odd)
    more = save(tmp_path / "more.npz", images=images, labels=np.arange(6))
    with pytest.raises(ValueError, match=r"more\.npz` has 6 classes, but `.*pets\.npz` only 3"):
        load_train_and_test(pets, test=more)


def paint(folder: Path, *places: str) -> str:
    for number, place in enumerate(places):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number, 0, 0)).save(folder / place)
    return f"folder:{folder}"


def test_class_folders_without_a_split_are_all_there_is(tmp_path: Path) -> None:
    name = paint(tmp_path, *(f"{pet}/{number}.png" for pet in ("ape", "bee") for number in range(5)))
    for asked in ("train", "test"):
        split = load_split(name, asked)
        assert (split.split, split.classes, split.num_images) == ("all", ("ape", "bee"), 10)
    train, test = load_train_and_test(name)
    assert (train.num_images, test.num_images, test.split) == (8, 2, "held out")


def test_a_training_folder_without_test_images_is_all_there_is(tmp_path: Path) -> None:
    name = paint(tmp_path, *(f"train/{pet}/{number}.png" for pet in ("ape", "bee") for number in range(5)))
    assert [(split.split, split.num_images) for split in (load_split(name, "train"), load_split(name, "test"))] == [
        ("all", 10),
        ("all", 10),
    ]
    train, test = load_train_and_test(name)
    assert sorted(numbers(train) + numbers(test)) == list(range(10))
    assert (test.split, test.num_images) == ("held out", 2)


def test_validation_images_that_serve_for_test_are_called_so(tmp_path: Path) -> None:
    name = paint(tmp_path, "train/ape/1.png", "train/bee/1.png", "val/bee/2.png")
    train, test = load_train_and_test(name)
    assert (train.split, train.held_out, test.split) == ("train", None, "val")
    assert load_split(name, "test").split == "val"


def test_folders_of_folders_are_not_taken_for_classes(tmp_path: Path) -> None:
    name = paint(tmp_path, "training/ape/1.png", "testing/ape/1.png")
    with pytest.raises(FileNotFoundError, match="there is no folder " + re.escape(str(tmp_path / "train"))):
        load_split(name, "train")


MODULE = """
import numpy as np

def same(split, image_size):
    return np.arange(360, dtype=np.uint8).reshape(10, 6, 6), np.arange(10) % 2

def bare(image_size):
    return same("train", image_size)

def own(split, image_size):
    images, labels = same(split, image_size)
    return (images, labels) if split == "train" else (images[:4] + 1, labels[:4])

def only_train(split, image_size):
    return {"train": same(split, image_size)}[split]
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    # A name of its own for each test: imported modules stay imported.
    name = "own_" + re.sub(r"\W", "_", request.node.name)
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return name


@pytest.mark.parametrize("function", ["same", "bare"])
def test_a_function_that_gives_the_same_for_both_has_no_split(module: str, function: str) -> None:
    for asked in ("train", "test"):
        split = load_split(f"{module}:{function}", asked)
        assert (split.split, split.num_images) == ("all", 10)
    train, test = load_train_and_test(f"{module}:{function}")
    assert (train.num_images, test.num_images, test.split) == (8, 2, "held out")


def test_a_function_with_a_split_keeps_it(module: str) -> None:
    train, test = load_train_and_test(f"{module}:own")
    assert [(split.split, split.num_images) for split in (train, test)] == [("train", 10), ("test", 4)]
    assert load_split(f"{module}:only_train", "train").split == "train"
