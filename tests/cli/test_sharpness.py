"""`gradscape sharpness`: one command from checkpoints to rises with intervals, which compare and report take."""

from pathlib import Path

import numpy as np
import pytest

from gradscape.landscape import Sharpness
from tests.cli.conftest import Command
from tests.studies.networks import save_network

SMALL = ("--data", "digits", "--split", "test", "--limit", 66, "--m", 8, "--draws", 2, "--device", "cpu")


@pytest.mark.slow
def test_two_networks_are_measured_compared_and_reported_and_the_command_goes_on(
    gradscape: Command, tmp_path: Path
) -> None:
    files = [save_network(tmp_path / name, "resnet20", seed=seed) for seed, name in enumerate("ab")]
    folder, asked = tmp_path / "out", (*SMALL, "--kind", "sam", "--kind", "adaptive_average", "--rho", "0.01")
    done = gradscape("sharpness", *files, *asked, "-o", folder)
    assert done.code == 0, done.err
    told = " ".join(done.out.split())
    for part in (
        "sam 0.01 (nats) a",
        "rise of the loss over 64 of 355 images (worst cases: sets of 8 of them, rho in l2; average cases: 2 draws)",
        "2 comparisons: their intervals hold together with 95 % (Bonferroni)",
        f"wrote {folder / 'a' / 'sharpness.npz'}",
    ):
        assert part in told, done.out
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    pictures = {f"sharpness.{ending}" for ending in ("csv", "pdf", "png", "txt")}
    assert names == {"a/sharpness.npz", "b/sharpness.npz", "sharpness_differences.csv", *pictures}
    rises = Sharpness.load(folder / "a" / "sharpness.npz").rises

    assert gradscape("sharpness", *files, *asked, "-q", "-o", folder) == (0, "", "")
    np.testing.assert_array_equal(Sharpness.load(folder / "a" / "sharpness.npz").rises, rises)
    other = gradscape("sharpness", *files, *SMALL, "--kind", "sam", "-q", "-o", folder)
    assert (other.code, other.out) == (2, "")
    assert "holds another measurement, of other cases" in other.err

    compared = gradscape("compare", folder, "--metric", "sam", "-o", tmp_path / "compared")
    assert compared.code == 0, compared.err
    assert "adaptive_average" not in compared.out
    assert "a − b" in compared.out
    assert (tmp_path / "compared" / "metrics.png").exists()

    reported = gradscape("report", folder, "-o", tmp_path / "report.html")
    assert reported.code == 0, reported.err
    page = (tmp_path / "report.html").read_text()
    for part in ('id="sharpness"', "sam 0.01", "gradscape sharpness"):
        assert part in page


def test_a_limit_of_time_stops_after_whole_sets_and_tells_how_to_go_on(
    gradscape: Command, checkpoint: Path, tmp_path: Path
) -> None:
    done = gradscape("sharpness", checkpoint, *SMALL, "--kind", "sam", "--time", "0.001", "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert "every point saw 8 of 64 images (stopped early, drawn from 355), by --time; this goes on:" in done.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--kind", "blunt"), "`kinds`"),
        (("--rho", "-1"), "`rhos` must be positive and finite, got -1"),
        (("--m", "500"), "`--m` must be at most the 66 images that there are, got 500"),
    ],
)
def test_a_mistake_is_one_line(
    options: tuple[str, ...], message: str, gradscape: Command, checkpoint: Path, tmp_path: Path
) -> None:
    done = gradscape("sharpness", checkpoint, *SMALL, *options, "-o", tmp_path / "out")
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert len(done.err.splitlines()) == 1
