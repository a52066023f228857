import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gradscape.data import load_annotated
from tests.shapes import CLASSES, HEIGHT, WIDTH, ShapePicture, draw_pictures, write_coco

PICTURES = draw_pictures(5, seed=3)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_coco(tmp_path, PICTURES)
    return tmp_path


def annotations(root: Path) -> Path:
    return root / "annotations" / "instances_train2017.json"


def change(root: Path, how: Callable[[dict[str, Any]], object]) -> None:
    found = json.loads(annotations(root).read_text())
    how(found)
    annotations(root).write_text(json.dumps(found))


def whole_masks(pictures: list[ShapePicture]) -> list[np.ndarray]:
    return [np.stack([shape.mask() for shape in picture.shapes]) for picture in pictures]


def test_boxes_are_those_that_were_drawn(root: Path) -> None:
    split = load_annotated(f"coco:{root}", "train", image_size=2 * WIDTH, batch_size=5)
    ((images, targets),) = split
    assert split.classes == CLASSES
    assert (split.split, split.num_images, split.population, split.held_out) == ("train", 5, 5, None)
    slots = max(len(picture.shapes) for picture in PICTURES)
    assert images.shape == (5, 3, 256, 256)
    assert targets["boxes"].shape == (5, slots, 4)
    assert targets["scale"].tolist() == [2] * 5
    for number, picture in enumerate(PICTURES):
        count = len(picture.shapes)
        boxes = torch.tensor([shape.box for shape in picture.shapes]) * 2.0
        assert torch.equal(targets["boxes"][number, :count], boxes)
        assert targets["classes"][number].tolist() == [*(s.label for s in picture.shapes), *[-1] * (slots - count)]
        torch.testing.assert_close(
            targets["area"][number, :count], torch.tensor([s.area for s in picture.shapes], dtype=torch.float32)
        )
        assert not targets["boxes"][number, count:].any()
        assert not targets["area"][number, count:].any()
    assert not targets["crowd"].any()


def test_images_are_those_that_were_drawn(root: Path) -> None:
    ((images, _),) = load_annotated(f"coco:{root}", "train", image_size=WIDTH)
    expected = np.stack([picture.pixels for picture in PICTURES]).transpose(0, 3, 1, 2) / np.float32(255)
    np.testing.assert_array_equal(images[:, :, :HEIGHT].numpy(), expected)


def test_masks_of_polygons_are_the_shapes(root: Path) -> None:
    ((_, targets),) = load_annotated(f"coco:{root}", "train", kind="masks", image_size=WIDTH)
    assert targets["masks"].shape == (*targets["classes"].shape, WIDTH, WIDTH)
    for number, expected in enumerate(whole_masks(PICTURES)):
        found = targets["masks"][number, : len(expected), :HEIGHT].numpy()
        for one, drawn, shape in zip(found, expected, PICTURES[number].shapes, strict=True):
            if CLASSES[shape.label] == "square":
                np.testing.assert_array_equal(one, drawn)
            assert (one ^ drawn).sum() <= 3 * shape.size  # of an outline three to four times as long
        assert not targets["masks"][number, len(expected) :].any()
    assert not targets["masks"][:, :, HEIGHT:].any()


def runs(mask: np.ndarray) -> list[int]:
    """Run lengths down the columns, the first of zeros."""
    counts, last = [0], False
    for pixel in mask.T.ravel().tolist():
        if pixel != last:
            counts.append(0)
            last = pixel
        counts[-1] += 1
    return counts


def test_masks_of_run_lengths_are_exactly_those_that_were_encoded(root: Path) -> None:
    expected = whole_masks(PICTURES)
    flat = [mask for masks in expected for mask in masks]

    def encode(found: dict[str, Any]) -> None:
        for number, (annotation, mask) in enumerate(zip(found["annotations"], flat, strict=True)):
            annotation["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": runs(mask)}
            annotation["iscrowd"] = number % 2

    change(root, encode)
    ((_, targets),) = load_annotated(f"coco:{root}", "train", kind="masks", image_size=WIDTH)
    used = targets["classes"] >= 0
    np.testing.assert_array_equal(targets["masks"][used][:, :HEIGHT].numpy(), np.stack(flat))
    assert targets["crowd"][used].tolist() == [number % 2 == 1 for number in range(len(flat))]


def test_compressed_run_lengths_are_read(root: Path) -> None:
    # Of COCO's own annotation 2206849's kind: the letters that pycocotools gives for runs of 10, 5 and 33 pixels.
    change(root, lambda found: found["images"].append({"id": 7, "file_name": "a.png", "width": 8, "height": 6}))
    Image.new("RGB", (8, 6)).save(root / "train2017" / "a.png")
    rle = {"size": [6, 8], "counts": ":5Q1"}
    entry = {"id": 5, "image_id": 7, "category_id": 3, "bbox": [1, 0, 2, 6], "iscrowd": 1, "segmentation": rle}
    change(root, lambda found: found["annotations"].append(entry))
    split = load_annotated(f"coco:{root}", "train", kind="masks", image_size=8)
    mask = split.dataset[5][1]["masks"][0]
    expected = torch.zeros(48, dtype=torch.bool)
    expected[10:15] = True
    assert torch.equal(mask[:6], expected.view(8, 6).T)


def test_pictures_and_categories_without_boxes_are_kept(root: Path) -> None:
    change(root, lambda found: found["categories"].append({"id": 5, "name": "none"}))
    change(root, lambda found: found.update(annotations=found["annotations"][:1]))
    split = load_annotated(f"coco:{root}", "train", image_size=32)
    ((images, targets),) = split
    assert split.classes == ("disk", "none", "square", "triangle")
    assert len(images) == 5
    assert (targets["classes"] >= 0).sum(1).tolist() == [1, 0, 0, 0, 0]


def test_area_is_that_of_the_box_where_none_is_given(root: Path) -> None:
    change(root, lambda found: [one.pop("area") for one in found["annotations"]])
    ((_, targets),) = load_annotated(f"coco:{root}", "train", image_size=32)
    sizes = [shape.size**2 for picture in PICTURES for shape in picture.shapes]
    assert targets["area"][targets["classes"] >= 0].tolist() == sizes


def test_a_box_that_sticks_out_by_rounding_is_clipped(root: Path) -> None:
    change(root, lambda found: found["annotations"][0].update(bbox=[-0.4, 10, WIDTH + 1, 20]))
    split = load_annotated(f"coco:{root}", "train", image_size=WIDTH)
    assert split.dataset[0][1]["boxes"][0].tolist() == [0, 10, WIDTH, 30]


def test_boxes_without_area_are_left_out_and_told(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    # Two of COCO's own training boxes are such: annotations 918 and 2206849.
    count = sum(len(picture.shapes) for picture in PICTURES)
    change(root, lambda found: found["annotations"][0].update(id=918, bbox=[29.65, 38.33, 1.03, 0.0], area=0.0))
    with caplog.at_level(logging.WARNING):
        ((_, targets),) = load_annotated(f"coco:{root}", "train", image_size=32)
    assert f"1 of {count} boxes have no area and are left out, such as that of annotation 918" in caplog.text
    assert (targets["classes"] >= 0).sum() == count - 1


def test_validation_images_serve_where_there_is_no_annotated_test(root: Path) -> None:
    write_coco(root, PICTURES[:2], "val2017")
    (root / "annotations" / "image_info_test2017.json").write_text("{}")
    (root / "annotations" / "captions_val2017.json").write_text("{}")
    split = load_annotated(f"coco:{root}", "test", image_size=32)
    assert (split.split, split.num_images) == ("val", 2)
    assert load_annotated(f"coco:{root}", "train", image_size=32).split == "train"


@pytest.mark.parametrize("place", ["train", "images", "images/train2017", ""])
def test_images_are_found_where_they_usually_lie(root: Path, place: str) -> None:
    (root / place).mkdir(parents=True, exist_ok=True)
    for file in list((root / "train2017").iterdir()):
        file.rename(root / place / file.name)
    annotations(root).rename(root / "annotations" / "train2017.json")
    assert load_annotated(f"coco:{root}", "train", image_size=32).num_images == 5


def test_plain_names_beside_the_images_are_found(root: Path) -> None:
    annotations(root).rename(root / "train.json")
    (root / "train2017").rename(root / "train")
    assert load_annotated(f"coco:{root}", "train", image_size=32).split == "train"


def test_of_one_file_every_split_is_all(root: Path) -> None:
    for split in ("train", "test"):
        loaded = load_annotated(f"coco:{annotations(root)}", split, image_size=32)
        assert (loaded.split, loaded.num_images) == ("all", 5)
    annotations(root).rename(root / "train2017" / "_annotations.coco.json")
    assert load_annotated(f"coco:{root}/train2017/_annotations.coco.json", "test", image_size=32).num_images == 5


def first(kind: str, /, **values: object) -> Callable[[dict[str, Any]], object]:
    return lambda found: found[kind][0].update(values)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (first("annotations", bbox=[1, 2, 500, 4]), "annotation 1000: its box must lie in the picture of 128 × 96"),
        (first("annotations", bbox=[128, 2, 0.5, 4]), "annotation 1000: its box must lie in the picture of 128 × 96"),
        (first("annotations", bbox=[1, 2, float("nan"), 4]), "annotation 1000: its box must be finite numbers"),
        (
            first("annotations", bbox=[1, 2, -3, 4]),
            "1000: its box must have a width and height of at least 0, got -3 × 4",
        ),
        (
            first("annotations", bbox=[1, 2, 3]),
            "annotation 1000: its `bbox` must be x, y, width, height, got 3 numbers",
        ),
        (first("annotations", bbox="1 2 3 4"), "annotation 1000: `bbox` must be a list, each of them a number"),
        (first("annotations", image_id=5), "annotation 1000: there is no image 5; correct or remove it"),
        (first("annotations", category_id=5), "annotation 1000: there is no category 5; correct or remove it"),
        (first("annotations", area=-1), "annotation 1000: its `area` must be a finite number, at least 0, got -1"),
        (first("annotations", iscrowd=2), "annotation 1000: its `iscrowd` must be 0 or 1, got 2"),
        (first("annotations", id=None, image_id="x"), "`annotations`[0]: `image_id` must be an integer, got 'x'"),
        (lambda found: found["annotations"].append([]), "`annotations`[15]: it must be a record of image_id"),
        (lambda found: found["images"][1].pop("width"), "image 101: it lacks width; correct or remove it"),
        (first("images", height=0), "image 100: it must have pixels, got 128 × 0"),
        (first("images", id=101), "two of its images have the id 101: give each one of its own"),
        (first("categories", id=7), "two of its categories have the id 7: give each one of its own"),
        (first("categories", name="square"), "two of its categories have the name 'square'"),
        (first("images", file_name="../train2017/000000.png"), "leads out of the folder of pictures"),
        (first("images", file_name="a\\..\\..\\b.png"), "leads out of the folder of pictures"),
        (first("images", file_name="/etc/passwd"), "leads out of the folder of pictures"),
        (first("images", file_name="C:b.png"), "leads out of the folder of pictures"),
        (lambda found: found.update(annotations=[]), "but its list `annotations` is empty"),
        (lambda found: found.pop("categories"), "but its list `categories` is none"),
        (lambda found: found.update(images={"a": 1}), "but its list `images` is none"),
        (lambda found: [one.update(bbox=[1, 1, 0, 0]) for one in found["annotations"]], "must have at least one box"),
    ],
)
def test_what_is_wrong_in_the_annotations_is_told_in_one_line(
    root: Path, spoil: Callable[[dict[str, Any]], object], message: str
) -> None:
    change(root, spoil)
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        load_annotated(f"coco:{root}", "train", image_size=32)
    assert str(raised.value).startswith(str(annotations(root)))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([], "its `segmentation` must be polygons or run lengths, but is empty"),
        (None, "its `segmentation` must be polygons or run lengths, got None"),
        ([[1, 2, 3, 4]], "its `segmentation` must have polygons x1, y1, x2, y2 … of 3 or more"),
        ([[1, 2, 3, 4, 5, 6, 7]], "its `segmentation` must have polygons x1, y1, x2, y2 … of 3 or more"),
        ([["1", 2, 3, 4, 5, 6]], "its `segmentation` must have polygons x1, y1, x2, y2 … of 3 or more"),
        ([[1, 2, 3, 4, 5, 1e9]], "its `segmentation` must lie in the picture of 128 × 96 pixels"),
        ([[1, 2, 3, 4, 5, 10**400]], "its `segmentation` must lie in the picture of 128 × 96 pixels"),
        ([[1, 2, 3, 4, True, 5]], "its `segmentation` must have polygons x1, y1, x2, y2 … of 3 or more"),
        ([[1, 2, 3, float("nan"), 5, 4]], "its `segmentation` must lie in the picture of 128 × 96 pixels"),
        ([[1, 2, 3, 4, 5, float("nan")]], "its `segmentation` must lie in the picture of 128 × 96 pixels"),
        (
            {"size": [128, 96], "counts": [5]},
            "its `segmentation` must have the picture's size [96, 128], got [128, 96]",
        ),
        ({"size": [96, 128], "counts": [5]}, "its `segmentation` has run lengths that do not fill the picture"),
        ({"size": [96, 128], "counts": [-5, 12293]}, "its `segmentation` has run lengths that do not fill the picture"),
        ({"size": [96, 128], "counts": "zzzzzzzz"}, "its `segmentation` has run lengths that do not fill the picture"),
        ({"size": [96, 128], "counts": "ooooooooooooooooo"}, "its `segmentation` has run lengths that do not"),
        ({"size": [96, 128]}, "its `segmentation` must be polygons or run lengths, got"),
    ],
)
def test_what_is_no_mask_is_told_in_one_line(root: Path, segmentation: object, message: str) -> None:
    change(root, first("annotations", segmentation=segmentation))
    with pytest.raises(ValueError, match=re.escape(f"annotation 1000: {message}")) as raised:
        load_annotated(f"coco:{root}", "train", kind="masks", image_size=32)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no JSON"),
        ("[1, 2]", "a JSON object, but is a list"),
        ("{" * 500, "is no JSON"),
        ("[" * 100_000, "is no JSON: it is nested more than 100 deep"),
        ('{"images": ' + "[" * 200 + "]" * 200 + "}", "is no JSON: it is nested more than 100 deep"),
        ("\ufeff{}", "its list `images` is none"),
    ],
)
def test_what_is_no_annotation_file_is_told_in_one_line(root: Path, text: str, message: str) -> None:
    annotations(root).write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        load_annotated(f"coco:{root}", "train")
    assert "\n" not in str(raised.value)


def test_missing_pictures_are_counted(root: Path) -> None:
    for number in (1, 3):
        (root / "train2017" / f"00000{number}.png").unlink()
    message = rf"2 of its 5 pictures are missing, such as .*train2017.000001\.png; looked in {re.escape(str(root))}"
    with pytest.raises(FileNotFoundError, match=message):
        load_annotated(f"coco:{root}", "train")


def test_a_picture_of_another_size_than_the_file_says_is_told(root: Path) -> None:
    change(root, first("images", width=130))
    with pytest.raises(ValueError, match=r"000000\.png` must be 130 × 96 pixels, as it is annotated, but is 128 × 96"):
        load_annotated(f"coco:{root}", "train", image_size=32)


def test_two_files_for_one_split_are_told(root: Path) -> None:
    (root / "train.json").write_text("{}")
    message = "must have one file of annotations for train, but has annotations/instances_train2017.json and train.json"
    with pytest.raises(ValueError, match=re.escape(message)):
        load_annotated(f"coco:{root}", "train")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "there is no instances_test….json or test.json or instances_val….json or val.json in "),
        ("nowhere", "there is no folder "),
        ("nowhere.json", "there is no file of annotations in COCO's format "),
    ],
)
def test_what_was_looked_for_is_told(root: Path, path: str, message: str) -> None:
    with pytest.raises(FileNotFoundError, match=re.escape(message)) as raised:
        load_annotated(f"coco:{root / path}", "test")
    assert "\n" not in str(raised.value)
