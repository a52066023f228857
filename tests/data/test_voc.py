import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gradscape.data import load_annotated
from tests.shapes import CLASSES, HEIGHT, WIDTH, ShapePicture, draw_pictures, write_voc

PICTURES = draw_pictures(7, seed=5)
PUBLISHED = ["aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable"]
PUBLISHED += ["dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_voc(tmp_path / "VOC2007", train=PICTURES[:4], val=PICTURES[4:])


def xml_of(root: Path, name: str = "train_0") -> Path:
    return root / "Annotations" / f"{name}.xml"


def replace(file: Path, old: str, new: str) -> None:
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


def test_boxes_are_those_that_were_drawn(root: Path) -> None:
    replace(xml_of(root), "<difficult>0", "<difficult>1")
    split = load_annotated(f"voc:{root}", "train", image_size=2 * WIDTH)
    ((images, targets),) = split
    assert (split.classes, split.split, split.population) == (CLASSES, "train", 4)
    assert images.shape == (4, 3, 256, 256)
    for number, picture in enumerate(PICTURES[:4]):
        count = len(picture.shapes)
        assert torch.equal(targets["boxes"][number, :count], torch.tensor([s.box for s in picture.shapes]) * 2.0)
        assert targets["classes"][number, :count].tolist() == [s.label for s in picture.shapes]
        assert targets["area"][number, :count].tolist() == [s.size**2 for s in picture.shapes]
    assert targets["crowd"].nonzero().tolist() == [[0, 0]]


def test_the_last_pixel_of_a_box_belongs_to_it_as_the_development_kit_counts(root: Path) -> None:
    # BBGT of VOCdevkit's VOCevaldet.m: the width of a box is xmax - xmin + 1.
    file = xml_of(root)
    boxes = "".join(
        f"<bndbox><xmin>{x}</xmin><ymin>5</ymin><xmax>{x + 9}</xmax><ymax>6</ymax></bndbox>" for x in (1, WIDTH - 9)
    )
    objects = re.sub("(<bndbox>.*?</bndbox>)", r"<object><name>disk</name>\1</object>", boxes)
    file.write_text(re.sub("(?s)<object>.*</object>", objects, file.read_text()))
    found = load_annotated(f"voc:{root}", "train", image_size=WIDTH).dataset[0][1]
    assert found["boxes"][:2].tolist() == [[0, 4, 10, 6], [WIDTH - 10, 4, WIDTH, 6]]
    assert found["area"][:2].tolist() == [20, 20]


def pixels_of(picture: ShapePicture) -> np.ndarray:
    """Labels of every pixel on a square of WIDTH, with -100 beside the picture and along the borders."""
    labels = np.full((WIDTH, WIDTH), -100)
    masks = [(shape.label + 1, shape.mask()) for shape in picture.shapes]
    for y in range(HEIGHT):
        for x in range(WIDTH):
            here = [label for label, mask in masks if mask[y, x]]
            labels[y, x] = here[0] if here else 0
    inner = labels[:HEIGHT].copy()
    labels[1:HEIGHT][inner[1:] != inner[:-1]] = -100
    return labels


def test_pixel_labels_are_those_that_were_drawn(root: Path) -> None:
    split = load_annotated(f"voc:{root}", "train", kind="pixels", image_size=WIDTH, limit=None)
    ((images, labels),) = split
    assert split.classes == ("_background_", *CLASSES)
    assert labels.dtype == torch.int64
    np.testing.assert_array_equal(labels[1].numpy(), pixels_of(PICTURES[1]))
    expected = np.stack([picture.pixels for picture in PICTURES[:4]]).transpose(0, 3, 1, 2) / np.float32(255)
    np.testing.assert_array_equal(images[:, :, :HEIGHT].numpy(), expected)


def test_pixel_labels_are_scaled_without_mixing(root: Path) -> None:
    ((_, labels),) = load_annotated(f"voc:{root}", "train", kind="pixels", image_size=2 * WIDTH)
    doubled = pixels_of(PICTURES[0]).repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(labels[0].numpy(), doubled)


def test_classes_of_voc_are_the_published_ones_also_where_some_are_absent(root: Path) -> None:
    (root / "class_names.txt").unlink()
    for file in (root / "Annotations").iterdir():
        file.write_text(re.sub("<name>.*?</name>", "<name>cat</name>", file.read_text()))
    split = load_annotated(f"voc:{root}", "train", image_size=32)
    assert list(split.classes) == PUBLISHED
    assert split.dataset[0][1]["classes"][0] == PUBLISHED.index("cat")
    assert load_annotated(f"voc:{root}", "train", kind="pixels", image_size=32).classes == ("background", *PUBLISHED)


def test_other_classes_are_numbered_alike_in_both_splits(root: Path) -> None:
    (root / "class_names.txt").unlink()
    replace(xml_of(root), "<object><name>", "<object><name>a")
    train, test = (load_annotated(f"voc:{root}", split, image_size=32) for split in ("train", "test"))
    assert train.classes == test.classes == tuple(sorted({*CLASSES, f"a{CLASSES[PICTURES[0].shapes[0].label]}"}))


def test_pixels_of_other_classes_need_their_names(root: Path) -> None:
    (root / "class_names.txt").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"there is no file .*class_names\.txt, though the classes, such as disk"
    ):
        load_annotated(f"voc:{root}", "train", kind="pixels")


@pytest.mark.parametrize(
    ("lists", "train", "test"),
    [
        ({"train", "val"}, ("train", 4), ("val", 3)),
        ({"train", "val", "trainval"}, ("train", 4), ("val", 3)),  # val is a part of trainval
        ({"train", "val", "trainval", "test"}, ("train", 7), ("test", 2)),
        ({"train", "test"}, ("train", 4), ("test", 2)),
    ],
)
def test_no_picture_is_both_trained_with_and_tested_on(
    tmp_path: Path, lists: set[str], train: tuple[str, int], test: tuple[str, int]
) -> None:
    root = write_voc(tmp_path, train=PICTURES[:4], val=PICTURES[4:], test=PICTURES[:2])
    folder = root / "ImageSets" / "Main"
    (folder / "trainval.txt").write_text((folder / "train.txt").read_text() + (folder / "val.txt").read_text())
    for file in folder.iterdir():
        if file.stem not in lists:
            file.unlink()
    loaded = [load_annotated(f"voc:{root}", split, image_size=16) for split in ("train", "test")]
    assert [(one.split, one.num_images) for one in loaded] == [train, test]


def test_a_folder_in_the_folder_is_found(root: Path) -> None:
    assert load_annotated(f"voc:{root.parent}", "test", image_size=16).num_images == 3
    (root.parent / "VOC2012" / "ImageSets").mkdir(parents=True)
    with pytest.raises(ValueError, match="must hold one data set, but holds VOC2007 and VOC2012: name one of them"):
        load_annotated(f"voc:{root.parent}", "test")


BOMB = '<?xml version="1.0"?>\n<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;&b;">]>\n'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<annotation>", BOMB + "<annotation>", "which has no DOCTYPE: remove it"),
        ("<annotation>", "", "must be an annotation in VOC's format: "),
        ("<annotation>", "<annotation>\0", "holds bytes of value 0"),
        ("<width>128</width>", "", "it lacks `size/width`; correct the file"),
        ("<width>128</width>", "<width>0</width>", "its `size` must be at least one pixel, got 0 × 96"),
        ("<xmin>", "<xmin>x", "`bndbox/xmin` must be a finite number, got 'x"),
        ("<xmin>", "<xmin>1e999</xmin><xmin>", "`bndbox/xmin` must be a finite number, got '1e999'"),
        ("<xmin>", "<xmin>-9</xmin><xmin>", "its box must lie in the picture of 128 × 96 pixels"),
        ("<xmin>", "<xmin>126</xmin><xmin>", "its box must have a width and height of at least 0"),
        ("<xmin>", "<xmin/><xmin>", "it lacks `bndbox/xmin`"),
        ("<name>", "<name/><name>", "object 1: it lacks a `name`"),
        ("<name>", "<name>cube</name><name>", "class_names.txt must name all classes, but lacks cube: add it"),
        ("<difficult>", "<difficult>yes</difficult><difficult>", "`difficult` must be a finite number, got 'yes'"),
    ],
)
def test_what_is_wrong_in_an_annotation_is_told_in_one_line(root: Path, old: str, new: str, message: str) -> None:
    replace(xml_of(root), old, new)
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        load_annotated(f"voc:{root}", "train", image_size=16)
    assert "\n" not in str(raised.value)
    assert str(root) in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must name at least one picture, but is empty"),
        ("train_0\ntrain_0\n", "names the picture 'train_0' twice"),
        ("../../x\n", "must name pictures without their folders, got '../../x'"),
    ],
)
def test_a_list_that_cannot_be_is_told(root: Path, text: str, message: str) -> None:
    (root / "ImageSets" / "Main" / "train.txt").write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        load_annotated(f"voc:{root}", "train")


@pytest.mark.parametrize(
    ("folder", "kind", "ending"),
    [("JPEGImages", "boxes", "png"), ("Annotations", "boxes", "xml"), ("SegmentationClass", "pixels", "png")],
)
def test_missing_files_are_counted(root: Path, folder: str, kind: str, ending: str) -> None:
    for number in (1, 2):
        (root / folder / f"train_{number}.{ending}").unlink()
    message = rf"2 of the 4 files that ImageSets lists are missing in .*{folder}, such as that of train_1"
    with pytest.raises(FileNotFoundError, match=message):
        load_annotated(f"voc:{root}", "train", kind=kind)  # type: ignore[call-overload]


def test_what_is_not_there_is_told(root: Path) -> None:
    for path, message in {
        root / "nowhere": "there is no folder",
        root / "JPEGImages": "there is no folder ImageSets in",
    }.items():
        with pytest.raises(FileNotFoundError, match=message):
            load_annotated(f"voc:{path}", "train")
    (root / "ImageSets" / "Main" / "val.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no test\.txt or val\.txt in "):
        load_annotated(f"voc:{root}", "test")


def test_a_file_without_any_box_is_refused(root: Path) -> None:
    for file in (root / "Annotations").iterdir():
        file.write_text(re.sub("(?s)<object>.*</object>", "", file.read_text()))
    with pytest.raises(ValueError, match="must have at least one box in the train pictures, but has none"):
        load_annotated(f"voc:{root}", "train")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full((HEIGHT, WIDTH), 9, np.uint8), "must have classes 0 to 3, or 255 where nothing counts, got 9"),
        (np.zeros((WIDTH, HEIGHT), np.uint8), "must be 128 × 96 pixels, as "),
        (np.zeros((HEIGHT, WIDTH, 3), np.uint8), "must have a class's number at each pixel"),
    ],
)
def test_labels_that_cannot_be_are_told(root: Path, labels: np.ndarray, message: str) -> None:
    Image.fromarray(labels).save(root / "SegmentationClass" / "train_2.png")
    with pytest.raises(ValueError, match=r"train_2\.png` " + re.escape(message)) as raised:
        load_annotated(f"voc:{root}", "train", kind="pixels", image_size=16)
    assert "\n" not in str(raised.value)
