"""A run whose file can no longer be written."""

import errno
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

from gradscape import _files
from gradscape.landscape import Surface, evaluate_surface, random_directions
from tests.landscape.networks import images_and_labels, small_net

AXES = (np.linspace(-1, 1, 4), np.linspace(-1, 1, 3))


def test_a_surface_whose_disk_is_full_is_kept_elsewhere_and_goes_on_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = small_net()
    batches, directions = [images_and_labels(48)], random_directions(net, seed=0)
    whole = evaluate_surface(net, batches, directions, *AXES, batch_size=16)
    flush, folder = _files._flush, tmp_path / "disk"

    def full(path: Path) -> None:
        if folder in path.parents:
            raise OSError(errno.ENOSPC, "full", str(path))
        flush(path)

    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(_files, "_flush", full)
        with pytest.raises(OSError, match=r"surface.h5: No space left .* kept in .*here/kept-surface.h5: move it to "):
            evaluate_surface(net, batches, directions, *AXES, batch_size=16, path=folder / "surface.h5")
    assert [path.name for path in here.iterdir()] == ["kept-surface.h5"]  # once, not again at the end
    assert not list(folder.iterdir())
    assert np.array_equal(Surface.load(here / "kept-surface.h5").loss, whole.loss)
    shutil.move(here / "kept-surface.h5", folder / "surface.h5")
    again = evaluate_surface(net, batches, directions, *AXES, batch_size=16, path=folder / "surface.h5")
    assert np.array_equal(again.loss, whole.loss)
