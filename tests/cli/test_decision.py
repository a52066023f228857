from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gradscape.explain import DecisionMap
from tests.cli.conftest import Command


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.png" for name in ("x", "y", "z", "w")]
    for seed, path in enumerate(paths):
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    return paths


def test_three_images_are_mapped_drawn_and_kept(
    gradscape: Command, checkpoint: Path, pictures: list[Path], tmp_path: Path
) -> None:
    asked = ("decision", checkpoint, "--images", *pictures[:3], "--steps", 5, "--device", "cpu")
    done = gradscape(*asked, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert "A  x.png" in done.out
    assert "% of the map; elsewhere nothing is clipped" in done.out
    found = DecisionMap.load(tmp_path / "out" / "decision.npz")
    assert found.meta["image_names"] == ["x.png", "y.png", "z.png"]
    assert max(found.class_index.shape) == 5
    for name in ("decision.pdf", "decision.png", "decision.txt", "pictures.npz"):
        assert (tmp_path / "out" / name).stat().st_size > 0


def test_one_image_is_looked_at_along_its_gradient(
    gradscape: Command, checkpoint: Path, pictures: list[Path], tmp_path: Path
) -> None:
    asked = ("decision", checkpoint, "--images", pictures[0], "--steps", 3, "--norm", "l2", "--class", 4)
    done = gradscape(*asked, "--radius", 0.5, "-q", "--device", "cpu", "-o", tmp_path)
    assert (done.code, done.out, done.err) == (0, "", "")
    found = DecisionMap.load(tmp_path / "decision.npz")
    assert (found.norm, found.label, found.alphas.tolist()) == ("l2", 4, [-0.5, 0, 0.5])
    assert np.isfinite(found.loss).all()


def test_mistakes_are_one_line(gradscape: Command, checkpoint: Path, pictures: list[Path], tmp_path: Path) -> None:
    for arguments, said in (
        (pictures[:2], "`--images` must be three, through which a plane leads, or one, got 2"),
        ([*pictures[:3], "--norm", "sign"], "`--norm` is for one image"),
        ([pictures[0], "--margin", 1], "`--margin` is for three images"),
        ([pictures[0], "--class", "nothing"], "nothing"),
    ):
        done = gradscape("decision", checkpoint, "--images", *arguments, "--device", "cpu", "-o", tmp_path / "out")
        assert done.code == 2
        assert said in done.err
    assert not (tmp_path / "out").exists()
