"""Fields: what surfaces and their differences give to be drawn."""

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler

from gradscape.landscape import Field, Reading, Surface, save_csv
from gradscape.landscape.statistics import BlockStatistics
from tests.figures.results import ALPHAS, BETAS, bowl, bowl_error, make_surface, unevaluated, with_gaps


def saddle() -> Field:
    """alpha² − 4·beta, (5, 7): no two axes alike."""
    alphas, betas = np.meshgrid(ALPHAS, BETAS)
    return Field(name="any_thing", alphas=ALPHAS, betas=BETAS, values=alphas**2 - 4 * betas, label="anything")


def in_blocks(losses: np.ndarray, *, population: int = 90, loss: str = "cross_entropy", model: str = "net") -> Surface:
    """A surface (5, 7) whose blocks of ten images have these mean losses, (blocks,), on top of the bowl."""
    means = bowl()[None] + losses[:, None, None]
    count = np.full(means.shape, 10)
    blocks = BlockStatistics(count, means, np.full(means.shape, 0.4), count / 2, 0 * count, population)
    origin = BlockStatistics(
        **{n: getattr(blocks, n)[:, 2, 3] for n in BlockStatistics.arrays()}, population=population
    )
    meta = {"model": model, "loss": loss, "blocks": ["a"] * len(losses), "data": "digits"}
    return Surface(alphas=ALPHAS, betas=BETAS, blocks=blocks, origin=origin, meta=meta)


def test_a_surface_gives_its_values_as_they_are() -> None:
    surface = make_surface(error=bowl_error())
    loss = surface.field("loss")
    np.testing.assert_array_equal(loss.values, surface.loss)
    np.testing.assert_array_equal(loss.stderr, surface.loss_stderr)
    np.testing.assert_array_equal(surface.field("error").values, surface.error)
    np.testing.assert_array_equal(surface.field("count").values, 400)
    for name in ("stderr", "loss_stderr"):
        np.testing.assert_array_equal(surface.field(name).values, surface.loss_stderr)
        assert surface.field(name).name == "loss_stderr"
    assert surface.fields == ("loss", "error", "loss_stderr", "count", "nonfinite")


def test_fields_say_what_was_measured() -> None:
    surface = make_surface(error=bowl_error(), loss="package.outer.hinge")
    assert [surface.field(name).label for name in ("loss", "error", "stderr", "count")] == [
        "loss (hinge)",
        "top-1 error",
        "standard error of the loss (hinge)",
        "images evaluated",
    ]
    assert surface.field("error").unit == "share"
    origin = surface.field("loss").origin
    assert [(reading.name, reading.value, reading.unit) for reading in origin] == [
        ("loss", 0.25, ""),
        ("error", pytest.approx(0.1), "share"),
    ]
    assert (surface.field().images, surface.field().population) == (400, 4000)


def test_marks_tell_what_is_missing_and_why() -> None:
    marks = unevaluated(make_surface(with_gaps(bowl())), 4).field("error").marks
    assert np.argwhere(marks["non-finite"]).tolist() == [[0, 1], [3, 6]]
    assert np.argwhere(marks["not evaluated"]).tolist() == [[4, column] for column in range(7)]
    assert not marks["with an unreliable standard error"].any()


def test_an_unknown_field_is_refused_with_those_near_it() -> None:
    with pytest.raises(ValueError, match="unknown `value` 'stder'; did you mean stderr"):
        make_surface().field("stder")


def test_what_was_not_measured_is_no_field() -> None:
    surface = make_surface(error=np.full((5, 7), np.nan))
    assert "error" not in surface.fields
    with pytest.raises(ValueError, match='`value` "error" was not measured on this surface'):
        surface.field("error")


def test_minmax_is_scikit_learns_and_keeps_what_is_not_finite() -> None:
    values = saddle().values
    expected = MinMaxScaler().fit_transform(values.reshape(-1, 1)).reshape(5, 7)
    np.testing.assert_allclose(saddle().minmax(), expected)
    np.testing.assert_allclose(saddle().minmax("column"), MinMaxScaler().fit_transform(values))
    loss = with_gaps(bowl())
    surface = make_surface(loss)
    np.testing.assert_array_equal(surface.field("loss").minmax(), surface.minmax())
    assert [surface.minmax()[0, 1], surface.minmax()[3, 6]] == pytest.approx([np.nan, np.inf], nan_ok=True)


@pytest.mark.parametrize(
    ("attribute", "array", "named"),
    [
        ("values", np.zeros((7, 5)), "`values`"),
        ("stderr", np.zeros((7, 5)), "`stderr`"),
        ("marks", {"odd": np.zeros((7, 5), bool)}, "`marks odd`"),
    ],
)
def test_a_transposed_array_is_refused(attribute: str, array: object, named: str) -> None:
    field = saddle()
    object.__setattr__(field, attribute, array)  # past the checks of shapes that only tests run
    with pytest.raises(ValueError, match=rf"{named} must have the grid \(betas, alphas\) = \(5, 7\), got \(7, 5\)"):
        field.__post_init__()


def test_a_name_becomes_words_where_there_are_none() -> None:
    assert saddle().short == "any thing"


def test_the_difference_with_itself_is_nothing() -> None:
    surface = in_blocks(np.array([0.1, 0.2, 0.6]))
    field = surface.difference(surface).field()
    np.testing.assert_array_equal(field.values, 0)
    assert field.signed
    assert field.label == "cross-entropy loss: first minus second"
    assert field.origin == (Reading("difference", 0.0, 0.0),)


def test_a_difference_counts_the_points_beyond_twice_its_paired_error() -> None:
    first = in_blocks(np.array([0.1, 0.2, 0.6]), model="steep")
    second = in_blocks(np.zeros(3), model="flat")
    # Differences of the blocks are 0.1, 0.2 and 0.6 everywhere: mean 0.3, standard error s/√3 · √(1 − 30/90).
    stderr = np.std([0.1, 0.2, 0.6], ddof=1) / np.sqrt(3) * np.sqrt(1 - 30 / 90)
    field = first.difference(second).field()
    np.testing.assert_allclose(field.values, 0.3)
    assert field.stderr is not None
    np.testing.assert_allclose(field.stderr, stderr)
    assert field.meta["model"] == "steep minus flat"
    assert field.meta["data"] == "digits"
    assert 2 * stderr < 0.3
    assert field.notes == ("35 of 35 points differ by more than twice their paired standard error",)
    assert [reading.value for reading in field.origin] == [pytest.approx(0.3)]
    far = in_blocks(np.array([0.0, 0.0, 0.9]), model="steep").difference(second).field(("a", "b"))
    assert far.notes == ("0 of 35 points differ by more than twice their paired standard error",)
    assert far.label == "cross-entropy loss: a minus b"


def test_without_an_error_to_estimate_a_difference_says_so() -> None:
    every = [in_blocks(np.array(losses), population=30) for losses in ([0.1, 0.2, 0.6], [0.0, 0.0, 0.0])]
    assert every[0].difference(every[1]).field().notes == ("exact for these images, of which all were evaluated",)
    single = [in_blocks(np.array([loss])) for loss in (0.0, 0.5)]
    field = single[0].difference(single[1]).field()
    assert (field.stderr, field.notes) == (None, ("no standard error: fewer than two blocks of images",))


def test_losses_of_two_kinds_are_not_subtracted() -> None:
    other = in_blocks(np.zeros(3), loss="my.focal")
    with pytest.raises(ValueError, match=r"`other` must be measured by the same loss, got cross-entropy loss and loss"):
        in_blocks(np.zeros(3)).difference(other)


def test_a_field_has_a_table_with_a_row_for_each_point(tmp_path: Path) -> None:
    save_csv(saddle(), tmp_path / "any.csv")
    with (tmp_path / "any.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["alpha", "beta", "any_thing"]
    assert [float(row["beta"]) for row in rows[:7]] == [BETAS[0]] * 7
    np.testing.assert_array_equal([float(row["any_thing"]) for row in rows], saddle().values.ravel())
