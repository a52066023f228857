"""gradscape line --align: the second network in the order of the first, kept, told and refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gradscape.landscape import Line
from gradscape.models import create_model, load_checkpoint, save_checkpoint
from tests.cli.conftest import Command

SMALL = ("--data", "digits", "--limit", 40, "--steps", 3)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two networks of different seeds, the second of a running variance unlike the first's."""
    folder, paths = tmp_path_factory.mktemp("pair"), []
    for name, seed in (("one", 0), ("two", 1)):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            net = create_model("resnet20", num_classes=10)
            net.train()(torch.randn(8, 3, 8, 8))
        paths.append(folder / f"{name}.safetensors")
        labels = [str(digit) for digit in range(10)]
        about = {"num_classes": 10, "image_size": 8, "mean": (0.5,) * 3, "std": (0.25,) * 3, "labels": labels}
        save_checkpoint(paths[-1], net, name="resnet20", **about)  # type: ignore[arg-type]
    return paths


@pytest.mark.slow
def test_the_aligned_network_takes_the_place_of_the_second(
    gradscape: Command, pair: list[Path], tmp_path: Path
) -> None:
    done = gradscape("line", *pair, *SMALL, "--align", "--restarts", 2, "-o", tmp_path)
    assert done.code == 0, done.err
    assert "aligned with one by weight matching: cosine of the weights" in done.out
    assert "the best of 2 restarts (" in done.out
    assert "highest above the straight line" in done.out
    assert f"wrote {tmp_path / 'aligned.safetensors'}" in done.out
    aligned, second = load_checkpoint(tmp_path / "aligned.safetensors"), load_checkpoint(pair[1])
    images = torch.rand(4, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(aligned(images), second(images), rtol=1e-4, atol=1e-4)
    weights = [net.state_dict()["network.conv1.weight"] for net in (aligned, second)]
    assert not torch.equal(*weights)
    assert (aligned.meta["name"], aligned.meta["alignment"]["with"]) == ("resnet20", "one")
    line = Line.load(tmp_path / "line.h5")
    made = line.meta["alignment"]
    assert made["cosine"] > made["cosine_before"]
    assert line.meta["other_weights"] == aligned.meta["weights"]
    assert line.meta["barrier"]["loss"]["chord"]["height"] == line.barrier().height

    plain = gradscape("line", *pair, *SMALL, "-q", "-o", tmp_path / "plain")
    assert plain.code == 0, plain.err
    other = Line.load(tmp_path / "plain" / "line.h5")
    assert "alignment" not in other.meta
    np.testing.assert_allclose(line.loss[[0, -1]], other.loss[[0, -1]], rtol=1e-4)
    assert line.loss[1] != other.loss[1]
    again = gradscape("line", *pair, *SMALL, "--align", "--restarts", 2, "-q", "-o", tmp_path)
    assert again.code == 0, "the same alignment, so that the line that is there goes on: " + again.err


def test_a_mistake_is_one_line_and_nothing_is_written(gradscape: Command, pair: list[Path], tmp_path: Path) -> None:
    for command, message in (
        ((pair[0], "--align"), "`--align` brings a second network into the order of the first: give a second one"),
        ((*pair, "--align", "--restarts", 0), "Invalid value for '--restarts'"),
    ):
        done = gradscape("line", *command, *SMALL, "-o", tmp_path / "out")
        assert done.code == 2
        assert message in done.err
    assert not (tmp_path / "out").exists()
