import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradscape.landscape import Surface, Trajectory
from tests.landscape.noisy_surfaces import true_surface

PATH = Trajectory(
    alphas=np.array([-4.0, -1.0, 0.0]),
    betas=np.array([1.0, -0.5, 0.0]),
    distance=np.array([0.5, 0.25, 0.0]),
    labels=("epoch 0", "epoch 1", "epoch 2"),
    name="sgd",
    shares=np.array([0.75, 0.125]),
    random_walk_shares=np.array([0.8, np.nan]),
)


def same(first: Trajectory, second: Trajectory) -> bool:
    return json.dumps(first.to_entry()) == json.dumps(second.to_entry())


def test_a_trajectory_survives_json_to_the_bit() -> None:
    text = json.dumps(PATH.to_entry(), allow_nan=False)  # plain JSON has no NaN
    again = Trajectory.from_entry(json.loads(text))
    assert same(again, PATH)
    assert np.isnan(again.random_walk_shares[1])
    assert again.labels == PATH.labels


def test_a_surface_keeps_its_trajectories(tmp_path: Path) -> None:
    surface = true_surface("bowl")
    kept = replace(surface, meta={**surface.meta, "trajectories": [PATH.to_entry()]})
    kept.save(tmp_path / "surface.h5")
    (entry,) = Surface.load(tmp_path / "surface.h5").meta["trajectories"]
    assert same(Trajectory.from_entry(entry), PATH)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["epoch 0"]}, "`alphas` must be 1 finite numbers"),
        ({"alphas": "far"}, "`alphas` must be a list"),
        ({"extra": 1}, "extra"),
        ({"shares": [0.5, 2.0]}, "`shares` must be two numbers"),
    ],
)
def test_a_surface_with_a_wrong_trajectory_is_not_written(
    tmp_path: Path, change: Mapping[str, Any], message: str
) -> None:
    surface = true_surface("bowl")
    wrong = replace(surface, meta={"trajectories": [{**PATH.to_entry(), **change}]})
    with pytest.raises(ValueError, match=message):
        wrong.save(tmp_path / "surface.h5")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ()}, "`labels` must name at least one"),
        ({"betas": np.array([0.0, np.inf, 1.0])}, "`betas` must be 3 finite numbers"),
        ({"distance": np.array([0.0, -1.0, 1.0])}, "`distance` must be 0 or more"),
        ({"shares": np.array([0.5, 1.5])}, "`shares` must be two numbers in"),
    ],
)
def test_a_trajectory_of_nonsense_is_refused(change: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(PATH, **change)


def test_a_frame_shows_every_network_with_room_around() -> None:
    other = replace(PATH, betas=np.array([1.0, 3.0, 0.0]), name="adam")
    assert PATH.frame(margin=0.25) == ((-5.0, 1.0), (-1.5, 2.0))
    assert PATH.frame(other, margin=0.25) == ((-5.0, 1.0), (-1.5, 4.0))


def test_a_frame_of_points_in_a_row_or_at_one_place_has_an_area() -> None:
    row = replace(PATH, betas=np.zeros(3))
    assert row.frame(margin=0.5) == ((-6.0, 2.0), (-2.0, 2.0))
    place = replace(row, alphas=np.full(3, 2.0))
    assert place.frame(margin=0.5) == ((1.5, 2.5), (-0.5, 0.5))
    with pytest.raises(ValueError, match="`margin` must be a positive share"):
        PATH.frame(margin=0.0)


def test_its_text_tells_name_number_and_what_is_explained() -> None:
    assert repr(PATH) == "Trajectory('sgd', 3 networks, 87.5% explained)"
    assert repr(replace(PATH, shares=np.full(2, np.nan))) == "Trajectory('sgd', 3 networks)"
