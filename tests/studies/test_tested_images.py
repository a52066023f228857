from typing import Any

import pytest

from gradscape.studies.tested_images import TRAINING_IMAGES, as_trained, scored_elsewhere

HELD_OUT = {"name": "npz:a/b.npz", "split": "held out", "images": 8, "share": 0.2, "seed": 3}


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        ({}, ""),
        ({"data": {"name": "digits"}}, ""),
        ({"data": {"name": "digits"}, "test": {"name": "digits", "split": "test", "images": 355}}, ""),
        (
            {"data": {"name": "digits"}, "test": {"name": "digits", "split": "test", "images": 9, "population": 355}},
            "9 of 355 images of digits (test)",
        ),
        ({"data": {"name": "npz:a/b.npz"}}, TRAINING_IMAGES),
        (
            {"data": {"name": "npz:a/b.npz"}, "test": HELD_OUT},
            "8 images held out of npz:b.npz (20 % of each class, seed 3)",
        ),
        (
            {"data": {"name": "npz:b.npz"}, "test": {"name": "npz:c.npz", "split": "all", "images": 1}},
            "1 image of npz:c.npz (all)",
        ),
        (
            {"data": {"name": "folder:p"}, "test": {"name": "folder:p", "split": "val", "images": 7000}},
            "7,000 images of folder:p (val)",
        ),
        ({"data": {"name": "npz:b.npz"}, "test": "a user's own"}, ""),
    ],
)
def test_what_an_accuracy_is_of_is_said_where_it_is_not_the_datas_own_test_split(
    meta: dict[str, Any], said: str
) -> None:
    assert scored_elsewhere(meta) == said


def test_a_training_was_tested_on_its_own_images_whatever_came_later() -> None:
    assert as_trained({"test": 2, "training_test": 1})["test"] == 1
    assert as_trained({"test": 2}) == {"test": 2}
