import hashlib
import logging
import tarfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from gradscape.data import load_split, stanford_dogs
from gradscape.data.download import Archive
from tests.data.painted import paint

TRAIN = {
    "n02085620-Chihuahua/n02085620_5927.jpg": 1,
    "n02098105-soft-coated_wheaten_terrier/n02098105_1.jpg": 3,
    "n02085782-Japanese_spaniel/n02085782_2.jpg": 2,
}
TEST = {"n02085782-Japanese_spaniel/n02085782_17.jpg": 2}


def write_list(file: Path, numbers: dict[str, int]) -> None:
    """A file of MATLAB with cells of texts, as the published ones are."""
    cells = np.empty((len(numbers), 1), dtype=object)
    cells[:, 0] = list(numbers)
    savemat(file, {"file_list": cells, "annotation_list": cells, "labels": np.array([[n] for n in numbers.values()])})


@pytest.fixture
def dogs(tmp_path: Path) -> Path:
    """Four images of three breeds, as Stanford Dogs is unpacked; returns their folder."""
    folder = tmp_path / "stanford_dogs"
    for number, image in enumerate((*TRAIN, *TEST)):
        paint(folder / "Images" / image, 50 * number, (40 + number, 30))
    write_list(folder / "train_list.mat", TRAIN)
    write_list(folder / "test_list.mat", TEST)
    return folder


def test_its_lists_say_the_split_the_order_and_the_breeds(dogs: Path) -> None:
    train, test = (load_split("stanford_dogs", split, root=dogs.parent) for split in ("train", "test"))
    assert train.classes == test.classes == ("Chihuahua", "Japanese spaniel", "soft-coated wheaten terrier")
    assert train.dataset.labels.tolist() == [0, 2, 1]
    assert test.dataset.labels.tolist() == [1]  # a list of one comes without its brackets
    reds = [round(255 * split.dataset[0][0][0, 0, 0].item()) for split in (train, test)]
    assert (reds, train.image_size) == ([0, 150], 224)
    assert train.channel_statistics() == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_a_part_of_it_is_said_to_be_one(dogs: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        load_split("stanford_dogs", "test", root=dogs.parent, image_size=8)
    assert "has 1 images of 3 classes here, but 8,580 images of 120 classes were published" in caplog.text


def test_missing_files_and_images_are_told(dogs: Path) -> None:
    (dogs / "Images" / next(iter(TEST))).unlink()
    with pytest.raises(
        FileNotFoundError, match=r"`stanford_dogs`: 1 of 1 images are missing, such as .*_17.jpg; remove"
    ):
        load_split("stanford_dogs", "test", root=dogs.parent)
    (dogs / "test_list.mat").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"there is no file .*test_list.mat, which comes with lists.tar; remove"
    ):
        load_split("stanford_dogs", "train", root=dogs.parent)


def test_lists_that_do_not_fit_are_told_in_one_line(dogs: Path) -> None:
    write_list(dogs / "test_list.mat", {next(iter(TEST)): 4})
    with pytest.raises(ValueError, match=r"`stanford_dogs`: the lists .* a number of its own, from 1"):
        load_split("stanford_dogs", "train", root=dogs.parent)
    (dogs / "test_list.mat").write_bytes(b"MATLAB 5.0 MAT-file, or so it says\n")
    with pytest.raises(ValueError, match=r"test_list.mat must list images and their classes, but does not") as raised:
        load_split("stanford_dogs", "train", root=dogs.parent)
    assert "\n" not in str(raised.value)


def test_both_its_archives_are_downloaded(
    dogs: Path, tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives = []
    for name, members in {"images.tar": ["Images"], "lists.tar": ["train_list.mat", "test_list.mat"]}.items():
        with tarfile.open(tmp_path / name, "w") as archive:
            for member in members:
                archive.add(dogs / member, member)
        digest = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        archives.append(Archive(f"{server}/{name}", f"sha256:{digest}"))
    monkeypatch.setattr(stanford_dogs, "_ARCHIVES", tuple(archives))
    root = tmp_path / "data"
    assert load_split("stanford_dogs", "train", root=root, image_size=8, download=True).num_images == 3
    assert sorted(entry.name for entry in root.iterdir()) == ["images.tar", "lists.tar", "stanford_dogs"]
