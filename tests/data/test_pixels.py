from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Subset
from torchvision import transforms

from gradscape.data import load_split, load_train_and_test
from gradscape.training import Recipe
from gradscape.training.augmentation import AugmentedImages

# Wide, high, gray, and larger than usual.
PHOTOGRAPHS = ("n01882714_koala", "n02099601_golden_retriever", "n04254680_soccer_ball", "n03594945_jeep")
CROPPED = Recipe(epochs=1, crop_padding=0, resized_crop=True)


@pytest.fixture(scope="module")
def photographs(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four photographs of ImageNet to train with, in two classes, and the last two to validate; returns their root."""
    root = tmp_path_factory.mktemp("photographs")
    for number, name in enumerate(PHOTOGRAPHS):
        for split in ("train", "val") if number > 1 else ("train",):
            place = root / "imagenet" / split / f"class{number % 2}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{name}.JPEG").symlink_to(test_data / "imagenet" / f"{name}.JPEG")
    return root


def files_of(root: Path, split: str) -> list[Path]:
    return sorted((root / "imagenet" / split).rglob("*.JPEG"))


def usual_evaluation(file: Path, resized: int, cropped: int) -> torch.Tensor:
    """What networks for ImageNet are evaluated with."""
    steps = [transforms.Resize(resized), transforms.CenterCrop(cropped), transforms.ToTensor()]
    return transforms.Compose(steps)(Image.open(file).convert("RGB"))


@pytest.mark.parametrize(("image_size", "resized"), [(None, 256), (299, 341)])
def test_imagenet_is_evaluated_as_with_torchvisions_transforms(
    photographs: Path, image_size: int | None, resized: int
) -> None:
    ((got, _),) = load_split("imagenet", "train", root=photographs, image_size=image_size)
    expected = torch.stack(
        [usual_evaluation(file, resized, image_size or 224) for file in files_of(photographs, "train")]
    )
    assert torch.equal(got, expected)


def test_a_photograph_that_has_the_size_is_cut_like_the_others(test_data: Path, tmp_path: Path) -> None:
    place = tmp_path / "imagenet" / "val" / "bird"
    place.mkdir(parents=True)
    (place / "1.jpg").symlink_to(test_data / "birds" / "painted_bunting_1.jpg")  # 224 × 224
    ((got, _),) = load_split("imagenet", "test", root=tmp_path)
    assert torch.equal(got[0], usual_evaluation(place / "1.jpg", 256, 224))


@pytest.mark.parametrize(("free", "hold"), [(2**40, True), (2**40, False), (0, True)])
def test_training_crops_are_parts_of_the_whole_photograph_as_with_torchvisions_transforms(
    photographs: Path, free: int, hold: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradscape.data.held.free_memory", lambda: free)
    steps = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
    usual = transforms.Compose(steps)
    train, _ = load_train_and_test("imagenet", root=photographs, hold=hold)
    assert (train.dataset._images._stored is not None) == (hold and free > 0)
    pairs = [(0, 5), (1, 6), (2, 7), (3, 8)]
    files = files_of(photographs, "train")
    for (index, seed), (image, label) in zip(
        pairs, AugmentedImages(train.dataset, CROPPED).__getitems__(pairs), strict=True
    ):
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            expected = usual(Image.open(files[index]).convert("RGB"))
        assert torch.equal(image, expected)
        assert label == index // 2


def test_crops_of_a_part_of_the_photographs_are_those_of_the_same_photographs(photographs: Path) -> None:
    train, _ = load_train_and_test(f"folder:{photographs / 'imagenet'}", image_size=64, hold=False)
    every, part = (AugmentedImages(one, CROPPED) for one in (train.dataset, Subset(train.dataset, [3, 1])))
    assert len(part) == 2
    for place, index in enumerate((3, 1)):
        assert torch.equal(part[place, 7][0], every[index, 7][0])
        assert part[place, 7][1] == index // 2
    assert part[0, 7][0].shape == (3, 64, 64)


def test_arrays_have_no_larger_images_behind_them(tmp_path: Path) -> None:
    np.savez(tmp_path / "some.npz", images=np.zeros((20, 6, 9), np.uint8), labels=np.arange(20) % 2)
    train, _ = load_train_and_test(f"npz:{tmp_path / 'some.npz'}", hold=False)
    assert train.dataset.whole is None
    assert train.dataset._images._stored is not None
