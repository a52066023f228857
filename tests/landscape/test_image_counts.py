from typing import Any

import pytest

from gradscape.landscape.image_counts import asked_images, describe_images, was_stopped


@pytest.mark.parametrize(
    ("meta", "population", "said"),
    [
        ({}, 128, "128 images"),
        ({"images": 128, "images_asked": 128}, 4000, "128 of 4,000 images"),
        ({"images": 128, "images_asked": 512}, 512, "128 of 512 images (stopped early)"),
        ({"images": 128, "images_asked": 512}, 4000, "128 of 512 images (stopped early, drawn from 4,000)"),
        ({"images": 128, "images_asked": 512, "images_least": 64}, 512, "64 to 128 of 512 images (stopped early)"),
        ({"images": 128, "images_asked": 128, "images_least": 0}, 128, "0 to 128 of 128 images (stopped early)"),
    ],
)
def test_the_images_are_said_with_those_that_a_stopped_run_did_not_see(
    meta: dict[str, Any], population: int, said: str
) -> None:
    assert describe_images(meta, used=128, population=population) == said
    assert was_stopped(meta) is ("stopped" in said)
    assert asked_images(meta) == (512 if "512" in said else meta.get("images", 0))


@pytest.mark.parametrize(
    ("known", "said"),
    [({}, ""), ({"gain": 12.34}, ", worth 12 times the images"), ({"gain": 1.02}, ", no better than plain means")],
)
def test_a_regression_estimate_says_what_it_saves(known: dict[str, float], said: str) -> None:
    levels = [{"points": 49, "images": 4000}, {"points": 120, "images": 128}]
    meta = {"images": 128, "images_asked": 4000, "estimator": {"kind": "regression", "levels": levels, **known}}
    described = describe_images(meta, used=128, population=4000)
    assert described == f"128 of 4,000 images, 49 points 4,000 (regression estimate{said})"
