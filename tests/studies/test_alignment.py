"""The aligned network in the place of the second: kept as a checkpoint, and told by the lines to it."""

from pathlib import Path

import pytest
import torch

from gradscape._checkpoint import read_checkpoint
from gradscape._digest import digest_model
from gradscape.studies.alignment import align_second
from gradscape.studies.report.lines import _aligned_options
from tests.studies.test_line import LABELS, SPLIT, network, path_between


def test_the_aligned_network_is_kept_and_lines_to_it_tell(tmp_path: Path) -> None:
    first, second = network(), network(seed=1, score=0.5)
    second.path = "two.safetensors"
    pair = align_second({"first": first, "second": second}, SPLIT, tmp_path, restarts=2, seed=3)
    assert (pair["first"], list(pair)) == (first, ["first", "second"])
    aligned = pair["second"]
    made = aligned.meta["alignment"]
    assert (made["with"], made["weights"], made["seed"], len(made["objectives"])) == (
        "first",
        digest_model(first),
        3,
        2,
    )
    assert "alignment" not in second.meta
    images, _ = next(iter(SPLIT))
    with torch.no_grad():
        torch.testing.assert_close(aligned(images), second(images))
    state, meta = read_checkpoint(tmp_path / "aligned.safetensors")
    assert torch.equal(state["1.running_mean"], aligned.state_dict()["network.1.running_mean"])
    assert (meta["alignment"], meta["score"], meta["name"]) == (made, 0.5, "own")

    path = path_between(first, aligned)
    assert (path.meta["alignment"], path.meta["other_weights"]) == (made, digest_model(aligned))
    assert path.meta["other_checkpoint"] == "two.safetensors"
    assert _aligned_options(path.meta) == ["--align", "--restarts", 2, "--seed", 3]
    assert _aligned_options({**path.meta, "other_checkpoint": "aligned.safetensors"}) == [], "it is aligned by itself"
    assert "alignment" not in path_between(first, second).meta
    assert "alignment" not in path_between(network(seed=2), aligned).meta, "it was aligned with another"


def test_networks_of_other_classes_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    models = {"first": network(labels=LABELS), "second": network(seed=1, labels=[*LABELS[:8], "jay", "ibis"])}
    with pytest.raises(ValueError, match="'ibis' is class 8 of first, but class 9 of second"):
        align_second(models, SPLIT, tmp_path, restarts=1, seed=0)
    assert not list(tmp_path.iterdir())
