import hashlib
import logging
import tarfile
from pathlib import Path

import pytest

from gradscape.data import cub200, load_split
from gradscape.data.download import Archive
from tests.data.painted import paint

IMAGES = (
    "001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg",
    "001.Black_footed_Albatross/Black_Footed_Albatross_0009_34.jpg",
    "002.Laysan_Albatross/Laysan_Albatross_0002_1027.jpg",
    "003.Le_Conte_Sparrow/Le_Conte_Sparrow_0001_1.jpg",
    "003.Le_Conte_Sparrow/Le_Conte_Sparrow_0002_2.jpg",
)
CLASS_NUMBERS = (1, 1, 2, 3, 3)
IN_TRAINING = (0, 1, 1, 1, 0)


def numbered(values: tuple[object, ...]) -> str:
    return "".join(f"{number} {value}\n" for number, value in enumerate(values, 1))


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """Five images of three classes, as CUB-200-2011 is laid out; returns their folder."""
    folder = tmp_path / "CUB_200_2011"
    for number, image in enumerate(IMAGES):
        paint(folder / "images" / image, 40 * number, (40 + number, 30))
    classes = tuple(dict.fromkeys(image.partition("/")[0] for image in IMAGES))
    lists = {"images": IMAGES, "image_class_labels": CLASS_NUMBERS, "train_test_split": IN_TRAINING, "classes": classes}
    for name, values in lists.items():
        (folder / f"{name}.txt").write_text(numbered(values))
    return folder


def test_its_lists_say_the_split_the_order_and_the_classes(birds: Path) -> None:
    train, test = (load_split("cub200", split, root=birds.parent) for split in ("train", "test"))
    assert train.classes == test.classes == ("Black-footed Albatross", "Laysan Albatross", "Le Conte Sparrow")
    assert (train.split, train.dataset.labels.tolist()) == ("train", [0, 1, 2])
    assert (test.split, test.dataset.labels.tolist()) == ("test", [0, 2])
    assert [round(255 * image[0, 0, 0].item()) for image, _ in (train.dataset[0], train.dataset[2])] == [40, 120]
    assert train.image_size == 224
    assert train.channel_statistics() == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_a_part_of_it_is_said_to_be_one(birds: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        load_split("cub200", "train", root=birds.parent, image_size=8)
    assert (
        "`cub200` has 3 images of 3 classes here, but 5,994 images of 200 classes were published: a part of it, or "
        "damaged" in caplog.text
    )


def test_missing_images_are_counted_before_any_is_decoded(birds: Path) -> None:
    (birds / "images" / IMAGES[3]).unlink()
    with pytest.raises(FileNotFoundError, match=rf"`cub200`: 1 of 3 images are missing, such as .*{IMAGES[3]}; remove"):
        load_split("cub200", "train", root=birds.parent)
    assert load_split("cub200", "test", root=birds.parent, image_size=8).num_images == 2


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("classes", None, r"there is no file .*classes.txt, which comes with CUB_200_2011.tgz; remove"),
        ("classes", "1 001.Black_footed_Albatross\n", "must number the same images and classes"),
        ("train_test_split", numbered(IN_TRAINING[:4]), "must number the same images and classes"),
        ("images", "1\n", "images.txt must have a number and a word in each line"),
    ],
)
def test_lists_that_do_not_fit_are_told_in_one_line(birds: Path, name: str, text: str | None, message: str) -> None:
    (birds / f"{name}.txt").unlink()
    if text is not None:
        (birds / f"{name}.txt").write_text(text)
    with pytest.raises((FileNotFoundError, ValueError), match=f"`cub200`: .*{message}") as raised:
        load_split("cub200", "train", root=birds.parent)
    assert "\n" not in str(raised.value)


def test_it_is_downloaded_and_its_other_files_are_left_out(
    birds: Path, tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = tmp_path / "CUB_200_2011.tgz"
    (tmp_path / "attributes.txt").write_text("1 has_bill_shape::curved\n")
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(tmp_path / "attributes.txt", "attributes.txt")  # which lies beside the folder
        archive.add(birds, birds.name)
    digest = hashlib.md5(packed.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setattr(cub200, "_ARCHIVE", Archive(f"{server}/{packed.name}", f"md5:{digest}"))
    root = tmp_path / "data"
    assert load_split("cub200", "test", root=root, image_size=8, download=True).num_images == 2
    assert sorted(entry.name for entry in root.iterdir()) == ["CUB_200_2011", packed.name]
