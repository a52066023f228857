"""gradscape curvature, for real."""

from pathlib import Path

import pytest

from gradscape.landscape import Curvature
from tests.cli.conftest import Command

SMALL = ("--data", "digits", "--limit", 20, "--top", 1, "--bottom", 0, "--parameters", "linear*")


def test_it_prints_a_table_and_writes_file_table_and_picture(
    gradscape: Command, checkpoint: Path, tmp_path: Path
) -> None:
    done = gradscape("curvature", checkpoint, *SMALL, "--trace", "--device", "cpu", "-o", tmp_path)
    assert done.code == 0, done.err
    assert "λ1" in done.out
    assert "mean loss over 20 of 1,442 images" in done.out
    assert "trace" in done.out
    for name in ("curvature.npz", "curvature.csv", "curvature.pdf", "curvature.png", "curvature.txt"):
        assert (tmp_path / name).stat().st_size > 0
    assert Curvature.load(tmp_path / "curvature.npz").trace is not None


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (("--parameters", "nothing*"), "`--parameters` must match a tensor of the model"),
        (("--map", "0:1:2,0:1:2", "--trace"), "`--map` must go without `--trace` and `--density`"),
        (("--ignore", "some"), "`--ignore` must be none or biasbn"),
    ],
)
def test_a_mistake_is_one_line(
    gradscape: Command, checkpoint: Path, tmp_path: Path, extra: tuple[str, ...], message: str
) -> None:
    done = gradscape(
        "curvature", checkpoint, "--data", "digits", "--limit", 20, *extra, "--device", "cpu", "-o", tmp_path
    )
    assert done.code == 2
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
