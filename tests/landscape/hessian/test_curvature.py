"""A curvature's file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gradscape._arrays import save_arrays
from gradscape.landscape import Curvature
from tests.landscape.hessian.curvatures import made_up


def test_a_file_holds_all_but_the_vectors(tmp_path: Path) -> None:
    one = made_up()
    one.save(tmp_path / "curvature.npz")
    read = Curvature.load(tmp_path / "curvature.npz")
    for part in ("values", "residuals", "errors", "converged"):
        assert np.array_equal(getattr(read.spectrum, part), getattr(one.spectrum, part))
    assert (read.spectrum.top, read.spectrum.steps, read.spectrum.names) == (2, 20, one.spectrum.names)
    assert read.spectrum.held_out is not None
    assert one.spectrum.held_out is not None
    assert np.array_equal(read.spectrum.held_out.interval(), one.spectrum.held_out.interval())
    assert read.trace is not None
    assert one.trace is not None
    assert read.trace.interval() == one.trace.interval()
    assert {name: part.value for name, part in read.trace.by_parameter().items()} == {
        name: part.value for name, part in one.trace.by_parameter().items()
    }
    assert read.density is not None
    assert one.density is not None
    assert read.density.moment(2) == one.density.moment(2)
    assert (read.dimension, read.population, read.meta["data"]) == (64, 500, "digits")


def test_parts_that_were_not_asked_for_are_none_again(tmp_path: Path) -> None:
    one = made_up()
    bare = replace(one, trace=None, density=None, spectrum=replace(one.spectrum, held_out=None))
    bare.save(tmp_path / "curvature.npz")
    read = Curvature.load(tmp_path / "curvature.npz")
    assert (read.trace, read.density, read.spectrum.held_out) == (None, None, None)


def test_another_file_is_refused(tmp_path: Path) -> None:
    save_arrays(tmp_path / "other.npz", {"points": np.zeros(3)}, {})
    with pytest.raises(ValueError, match="must hold a curvature, but holds points"):
        Curvature.load(tmp_path / "other.npz")
