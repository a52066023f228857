import dataclasses
import json
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import MinMaxScaler

from gradscape._hdf5 import CHECKSUMS
from gradscape.landscape import (
    FORMATS,
    Line,
    Surface,
    evaluate_line,
    evaluate_surface,
    load_landscape,
    random_directions,
)
from gradscape.landscape.statistics import BlockStatistics
from tests.landscape.networks import images_and_labels, small_net

ALPHAS, BETAS = np.array([-1.0, 0.0, 0.5, 2.0]), np.array([-0.5, 0.0, 3.0])


def surface_of(loss: np.ndarray) -> Surface:
    """A surface with these losses, measured on one block of ten images without spread."""
    count = np.full((1, *loss.shape), 10)
    blocks = BlockStatistics(
        count, loss[None], np.zeros((1, *loss.shape)), count / 2, (~np.isfinite(loss[None])).astype(int), 10
    )
    betas, alphas = (np.arange(float(length)) for length in loss.shape)
    return Surface(alphas=alphas, betas=betas, blocks=blocks, origin=BlockStatistics.empty(1, (), 10), meta={})


def measured(seed: int = 0, *, images: int = 50, population: int | None = 400, first: int = 1) -> Surface:
    net, (inputs, labels) = small_net(), images_and_labels(images, seed=first)
    directions = random_directions(net, seed=seed)
    return evaluate_surface(
        net,
        [(inputs, labels)],
        directions,
        ALPHAS,
        BETAS,
        batch_size=16,
        population=population,
        meta={"model": "small"},
    )


@given(
    losses=st.lists(st.floats(0, 1e3, allow_nan=False), min_size=2, max_size=60),
    size=st.integers(1, 17),
    population=st.integers(60, 500),
)
@settings(max_examples=60, deadline=None)
def test_blocks_give_mean_variance_and_standard_error_of_the_images(
    losses: list[float], size: int, population: int
) -> None:
    blocks = [np.array(losses[start : start + size]) for start in range(0, len(losses), size)]
    rows = [
        np.array([[statistic(block)] for block in blocks]) for statistic in (len, np.mean, lambda b: b.var() * len(b))
    ]
    zeros = np.zeros((len(blocks), 1))
    statistics = BlockStatistics(rows[0], rows[1], rows[2], zeros, zeros.astype(int), population)
    n = len(losses)
    assert statistics.loss[0] == pytest.approx(np.mean(losses), rel=1e-9, abs=1e-12)
    assert statistics.variance[0] == pytest.approx(np.var(losses, ddof=1), rel=1e-6, abs=1e-9)
    expected = np.sqrt(np.var(losses, ddof=1) / n * (1 - n / population))
    assert statistics.stderr[0] == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_a_constant_loss_has_no_error_and_is_reliable() -> None:
    surface = surface_of(np.full((3, 4), 2.5))
    part = BlockStatistics(**{name: getattr(surface.blocks, name) for name in BlockStatistics.arrays()}, population=99)
    np.testing.assert_array_equal(part.stderr, 0)
    assert part.reliable.all()
    np.testing.assert_array_equal(surface.minmax(), 0)


def test_a_loss_carried_by_few_images_is_marked() -> None:
    losses = np.zeros(200)
    losses[:3] = 9.0
    statistics = BlockStatistics(
        np.array([[200]]),
        np.array([[losses.mean()]]),
        np.array([[losses.var() * 200]]),
        np.array([[0.0]]),
        np.array([[0]]),
        5000,
    )
    assert statistics.effective_images[0] == pytest.approx(3)
    assert not statistics.reliable[0]


def test_scaling_is_scikit_learns_by_surface_and_by_column() -> None:
    loss = np.random.default_rng(0).lognormal(size=(5, 3))
    surface = surface_of(loss)
    np.testing.assert_allclose(surface.minmax(), MinMaxScaler().fit_transform(loss.reshape(-1, 1)).reshape(5, 3))
    np.testing.assert_allclose(surface.minmax("column"), MinMaxScaler().fit_transform(loss))


def test_scaling_leaves_non_finite_values_out_and_as_they_are() -> None:
    loss = np.array([[1.0, np.nan, 3.0], [5.0, np.inf, 2.0]])
    np.testing.assert_array_equal(surface_of(loss).minmax(), [[0, np.nan, 0.5], [1, np.inf, 0.25]])
    np.testing.assert_array_equal(surface_of(loss).minmax("column"), [[0, np.nan, 1], [1, np.inf, 0]])


def test_a_surface_survives_its_file(tmp_path: Path) -> None:
    surface = measured()
    surface.save(tmp_path / "s.h5")
    loaded = Surface.load(tmp_path / "s.h5")
    for name in ("alphas", "betas", "loss", "loss_stderr", "error", "count", "nonfinite", "reliable"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(surface, name))
    assert loaded.origin.loss == surface.origin.loss
    assert loaded.meta == surface.meta
    assert [path.name for path in tmp_path.iterdir()] == ["s.h5"]


def test_the_original_tool_can_read_the_file(tmp_path: Path) -> None:
    surface = measured()
    surface.save(tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5") as file:
        np.testing.assert_array_equal(file["xcoordinates"][()], ALPHAS)
        np.testing.assert_array_equal(file["ycoordinates"][()], BETAS)
        assert file["train_loss"].shape == (3, 4)
        np.testing.assert_array_equal(file["train_loss"][()], surface.loss)
        np.testing.assert_allclose(file["train_acc"][()], 100 * (1 - surface.error))


@pytest.mark.parametrize("split", ["test", "val"])
def test_a_surface_of_test_images_goes_by_the_originals_names_for_them(tmp_path: Path, split: str) -> None:
    surface = dataclasses.replace(measured(), meta={"split": split})
    surface.save(tmp_path / "s.h5")
    FORMATS["goldstein"][1](surface, tmp_path / "g.h5")
    for name in ("s.h5", "g.h5"):
        with h5py.File(tmp_path / name) as file:
            assert "train_loss" not in file
            np.testing.assert_array_equal(file["test_loss"][()], surface.loss)
    np.testing.assert_array_equal(Surface.load(tmp_path / "g.h5").loss, surface.loss)


def test_the_original_tools_file_is_read_without_claiming_errors(test_data: Path) -> None:
    surface = Surface.load(test_data / "goldstein" / "resnet56_surface_5x5.h5")
    with h5py.File(test_data / "goldstein" / "resnet56_surface_5x5.h5") as file:
        np.testing.assert_array_equal(surface.loss, file["train_loss"][()])
        np.testing.assert_allclose(100 * (1 - surface.error), file["train_acc"][()])
    assert np.isnan(surface.loss_stderr).all()
    assert not surface.reliable.any()


def test_a_line_survives_its_file_and_is_no_surface(tmp_path: Path) -> None:
    net = small_net()
    direction = random_directions(net, seed=0)[0]
    line = evaluate_line(net, [images_and_labels()], direction, ALPHAS, path=tmp_path / "l.h5")
    np.testing.assert_array_equal(Line.load(tmp_path / "l.h5").loss, line.loss)
    with pytest.raises(ValueError, match="is it a line or a surface"):
        Surface.load(tmp_path / "l.h5")


def test_the_paired_error_of_a_difference_is_that_of_the_images_differences() -> None:
    first, second = measured(0, images=320), measured(1, images=320)
    difference = first.difference(second)
    np.testing.assert_allclose(difference.loss, first.loss - second.loss, atol=1e-12)
    deltas = first.blocks.mean - second.blocks.mean  # 20 blocks of 16
    expected = deltas.std(axis=0, ddof=1) / np.sqrt(20) * np.sqrt(1 - 320 / 400)
    np.testing.assert_allclose(difference.loss_stderr, expected, rtol=1e-9)


def test_a_difference_needs_the_same_images_and_grid() -> None:
    with pytest.raises(ValueError, match="same images"):
        measured().difference(measured(first=2))
    with pytest.raises(ValueError, match="same alphas and betas"):
        measured().difference(surface_of(np.ones((3, 4))))


def test_tables_and_arrays_hold_every_point(tmp_path: Path) -> None:
    surface = measured()
    FORMATS["csv"][1](surface, tmp_path / "s.csv")
    table = np.genfromtxt(tmp_path / "s.csv", delimiter=",", names=True)
    assert len(table) == 12
    np.testing.assert_array_equal(table["loss"].reshape(3, 4), surface.loss)
    np.testing.assert_array_equal(table["alpha"][:4], ALPHAS)
    FORMATS["npz"][1](surface, tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz") as arrays:
        np.testing.assert_array_equal(arrays["error"], surface.error)
        assert json.loads(str(arrays["meta"]))["model"] == "small"


def test_a_mesh_has_a_quad_for_every_finite_cell(tmp_path: Path) -> None:
    import xml.etree.ElementTree as ElementTree

    loss = np.arange(12.0).reshape(3, 4)
    loss[0, 0] = np.nan
    FORMATS["vtp"][1](surface_of(loss), tmp_path / "s.vtp")
    piece = ElementTree.parse(tmp_path / "s.vtp").find(".//Piece")
    assert piece is not None
    assert (piece.get("NumberOfPoints"), piece.get("NumberOfPolys")) == ("12", "5")
    points = np.array((piece.findtext("Points/DataArray") or "").split(), dtype=float).reshape(-1, 3)
    np.testing.assert_array_equal(points[6], [2.0, 1.0, 6.0])
    quads = np.array((piece.findtext("Polys/DataArray") or "").split(), dtype=int).reshape(-1, 4)
    assert quads.tolist()[0] == [1, 2, 6, 5]


def test_the_originals_own_format_is_read_back(tmp_path: Path) -> None:
    surface = measured()
    FORMATS["goldstein"][1](surface, tmp_path / "g.h5")
    with h5py.File(tmp_path / "g.h5") as file:
        assert set(file) == {"dir_file", "xcoordinates", "ycoordinates", "train_loss", "train_acc"}
    np.testing.assert_array_equal(Surface.load(tmp_path / "g.h5").loss, surface.loss)


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no landscape file"):
        Surface.load(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("x")
    with pytest.raises(ValueError, match="not an HDF5 file"):
        Surface.load(tmp_path / "text.h5")


def original_file(path: Path, values: np.ndarray, *, split: str = "train", unfinished: int = 0) -> Path:
    """What the original tool leaves: an array (x, y), filled from its beginning in the order of np.meshgrid(x, y)."""
    betas, alphas = (np.arange(float(length)) for length in values.shape)
    stored = -np.ones((len(alphas), len(betas)))
    count = values.size - unfinished
    stored.ravel()[:count] = values.ravel()[:count]
    with h5py.File(path, "w") as file:
        file["dir_file"] = "directions.h5"
        file["xcoordinates"], file["ycoordinates"] = alphas, betas
        file[f"{split}_loss"], file[f"{split}_acc"] = stored, np.where(stored < 0, -1, 10 * stored)
    return path


@pytest.mark.parametrize("shape", [(2, 5), (4, 3), (3, 3), (1, 6)])
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_original_tools_surfaces_of_any_shape_are_read_in_its_order(
    tmp_path: Path, shape: tuple[int, int], split: str
) -> None:
    truth = np.random.default_rng(0).uniform(1, 5, shape)
    surface = Surface.load(original_file(tmp_path / "s.h5", truth, split=split))
    np.testing.assert_array_equal(surface.loss, truth)
    np.testing.assert_allclose(100 * (1 - surface.error), 10 * truth)
    part = Surface.load(original_file(tmp_path / "p.h5", truth, split=split, unfinished=3))
    done = np.arange(truth.size).reshape(shape) < truth.size - 3
    np.testing.assert_array_equal(part.count > 0, done)
    np.testing.assert_array_equal(part.loss, np.where(done, truth, np.nan))


def test_a_turned_array_of_an_unknown_tool_is_refused(tmp_path: Path) -> None:
    path = original_file(tmp_path / "s.h5", np.ones((2, 5)))
    with h5py.File(path, "r+") as file:
        del file["dir_file"]
    with pytest.raises(
        ValueError, match=r"in the shape \(5, 2\), but must have .* = \(2, 5\), as it lacks the original"
    ):
        Surface.load(path)


def test_a_file_that_another_program_writes_is_said_to_be_in_use(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    path = original_file(tmp_path / "s.h5", np.ones((2, 5)))
    with path.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError, match=r"s.h5 is open in another program, which may be writing it: wait"):
            Surface.load(path)
    assert Surface.load(path).loss.shape == (2, 5)


def test_what_hinders_reading_has_its_own_name(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        Surface.load(tmp_path)
    path = original_file(tmp_path / "s.h5", np.ones((2, 5)))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ValueError, match=r"s.h5 is a damaged or cut off HDF5 file: "):
        Surface.load(path)


OLD = Path(__file__).parent.parent / "kept" / "surface.h5"  # of 0.1.0, without checksums


def _changed(path: Path, change: Callable[[h5py.File], object]) -> Path:
    path.write_bytes(OLD.read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def _set(item: str, index: tuple[int, ...], value: float) -> Callable[[h5py.File], None]:
    return lambda file: file[item].__setitem__(index, value)


def _replaced(item: str, values: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[item]
        file[item] = values

    return change


def _meta(**entries: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        attributes = file["gradscape"].attrs
        attributes["meta"] = json.dumps({**json.loads(attributes["meta"]), **entries})

    return change


BLOCKS = "gradscape/blocks/"
DAMAGES: dict[str, tuple[Callable[[h5py.File], object], str]] = {
    "renamed": (lambda file: file.move("gradscape", "gradscqpe"), "`gradscape` is missing"),
    "a group for a dataset": (
        lambda file: file.move("gradscape/origin", BLOCKS + "m3"),
        "`gradscape/origin` is missing",
    ),
    "missing": (lambda file: file.__delitem__(BLOCKS + "m2"), "`gradscape/blocks/m2` is missing"),
    "text": (_replaced(BLOCKS + "mean", "text"), "`gradscape/blocks/mean` must be numbers"),
    "a dataset for a group": (_replaced("gradscape/origin", 1.0), "`gradscape/origin` must be a group"),
    "shape": (_replaced(BLOCKS + "count", np.ones((4, 5, 6), int)), r"`gradscape/blocks/count` must have the shape"),
    "other shape": (_replaced(BLOCKS + "right", np.ones((3, 5, 5))), r"blocks/right` must have the shape \(4, 5, 5\)"),
    "floats": (_replaced(BLOCKS + "count", np.ones((4, 5, 5))), "`gradscape/blocks/count` must be integers"),
    "axis": (_set("ycoordinates", (2,), np.inf), "`ycoordinates` is no axis: "),
    "axis that turns": (_set("xcoordinates", (2,), 9.0), "`xcoordinates` is no axis: "),
    "two axes": (_replaced("xcoordinates", np.ones((2, 3))), "`xcoordinates` must have 1 axes"),
    "negative count": (_set(BLOCKS + "count", (0, 1, 2), -1), "`gradscape/blocks/count` must not be negative"),
    "large count": (_set(BLOCKS + "count", (0, 1, 2), 2**62), "`gradscape/blocks/count` must be of 1442 images"),
    "counts": (_set(BLOCKS + "count", (0, 1, 2), 1400), "`gradscape/blocks/count` cannot be: `population` must"),
    "nonfinite": (_set(BLOCKS + "nonfinite", (0, 1, 2), 33), "`gradscape/blocks/nonfinite` must be from 0 to `count`"),
    "finite mean": (_set(BLOCKS + "nonfinite", (0, 1, 2), 3), "`gradscape/blocks/mean` must not be finite where"),
    "negative squares": (_set(BLOCKS + "m2", (0, 1, 2), -1e-3), "`gradscape/blocks/m2` must not be negative"),
    "mean": (_set(BLOCKS + "mean", (0, 1, 2), 2.5), "`train_loss` is not what `gradscape/blocks` says"),
    "one image less": (_set(BLOCKS + "count", (0, 1, 2), 31), "`train_loss` is not what `gradscape/blocks` says"),
    "right": (_set(BLOCKS + "right", (0, 1, 2), 31), "`train_acc` is not what `gradscape/blocks` says"),
    "format": (lambda file: file["gradscape"].attrs.__setitem__("format", "1"), "`gradscape/format` must be"),
    "no format": (lambda file: file["gradscape"].attrs.__delitem__("format"), "`gradscape/format` is missing"),
    "meta is a list": (lambda file: file["gradscape"].attrs.__setitem__("meta", "[1]"), "`gradscape/meta` is no prov"),
    "deep": (
        lambda file: file["gradscape"].attrs.__setitem__("meta", "[" * 50_000),
        "`gradscape/meta` is no provenance",
    ),
    "plan": (_meta(plan=3), "`gradscape/meta` is no provenance: `plan` must be"),
    "threads": (_meta(plan={"threads": True}), "`gradscape/meta` is no provenance: `plan` must be"),
    "blocks": (_meta(blocks={"a": 1}), "`gradscape/meta` is no provenance: `blocks` must be"),
    "images": (_meta(images="many"), "`gradscape/meta` is no provenance: `images` must be"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_surface_is_refused_in_one_sentence(tmp_path: Path, damage: str) -> None:
    change, said = DAMAGES[damage]
    path = _changed(tmp_path / "s.h5", change)
    with pytest.raises(ValueError, match=said) as caught:
        Surface.load(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "; bring a whole copy of the file, or make it again" in message
    assert len(message) < 1000
    assert "\n" not in message


@pytest.mark.parametrize("item", ["xcoordinates", BLOCKS + "m2", "gradscape/origin/mean"])
def test_the_smallest_change_of_a_number_is_told(tmp_path: Path, item: str) -> None:
    path = tmp_path / "s.h5"
    measured().save(path)
    with h5py.File(path, "r+") as file:
        file[item][(0,) * file[item].ndim] *= 1 + 2**-52
    with pytest.raises(ValueError, match=f"s.h5 cannot be read: `{item}` is not what was written"):
        Surface.load(path)
    with h5py.File(path, "r+") as file:
        del file.attrs[CHECKSUMS]  # as the message says
    assert Surface.load(path).loss.shape == (3, 4)


@pytest.mark.parametrize("item", ["gradscape", "ycoordinates"])
def test_a_surface_that_lost_a_part_does_not_pass_for_something_else(tmp_path: Path, item: str) -> None:
    measured().save(tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5", "r+") as file:
        del file[item]
    with pytest.raises(ValueError, match=f"`{item}` is missing"):
        load_landscape(tmp_path / "s.h5")


def test_losses_near_the_largest_number_have_no_deviation_and_no_warning() -> None:
    surface = surface_of(np.full((3, 4), 1e200))
    part = BlockStatistics(**{name: getattr(surface.blocks, name) for name in BlockStatistics.arrays()}, population=99)
    apart = dataclasses.replace(part, mean=part.mean * np.array([1.0, 2.0, 3.0, 4.0]), m2=part.m2 + 1e308)
    assert np.isfinite(apart.loss).all()
    assert not apart.reliable.any()


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    surface = dataclasses.replace(measured(), meta={"plan": "fp32"})
    with pytest.raises(ValueError, match="`plan` must be a record, got 'fp32'"):
        surface.save(tmp_path / "s.h5")
    assert not list(tmp_path.iterdir())


def test_no_block_and_a_long_provenance_survive_the_file(tmp_path: Path) -> None:
    whole = measured()
    none = {name: getattr(whole.blocks, name)[:0] for name in BlockStatistics.arrays()}
    empty = BlockStatistics(**none, population=400)
    names = {"names": ["é" * 100] * 1000}
    dataclasses.replace(whole, blocks=empty, meta=names).save(tmp_path / "s.h5")
    loaded = Surface.load(tmp_path / "s.h5")
    assert (loaded.blocks.count.shape, loaded.meta) == ((0, 3, 4), names)


def test_a_surface_that_does_not_fit_is_the_systems_own_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """HDF5 itself says so over and over, at the end of the program too."""
    surface = surface_of(np.ones((40, 50)))
    surface.save(tmp_path / "a.h5")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            surface.save(tmp_path / "a.h5")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(tmp_path / "a.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]
    assert np.array_equal(Surface.load(tmp_path / "a.h5").count, surface.count)  # the old one
    assert capfd.readouterr().err == ""
