from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradscape._intervals import mean_of, proportion
from gradscape.models import save_checkpoint
from gradscape.models.create import create_model
from gradscape.studies.papers.paper_table import find_table
from gradscape.studies.papers.table_lines import TableLine, gather_lines, network_key
from gradscape.studies.papers.training_log import TrainingLog, load_logs
from gradscape.training.history import save_metrics


def log_of(name: str, *accuracies: float, data: str = "cifar10", images: int = 400, **columns: float) -> TrainingLog:
    runs = tuple(
        {key: np.array([0.1, value]) for key, value in {"test_accuracy": accuracy, **columns}.items()}
        for accuracy in accuracies
    )
    meta: dict[str, Any] = {"name": name, "data": {"name": data, "images": 1000}, "test": {"images": images}}
    return TrainingLog(name, runs, meta, 1_500_000)


def measured_lines(name: str, *logs: TrainingLog) -> list[TableLine]:
    return [line for line in gather_lines(find_table(name), logs) if line.measured]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("upanet16", "upanet16@cpa_shortcut=true", True),
        ("upanet16", "upanet16@cpa_shortcut=false", False),
        ("cifar_resnet50+ba2m@reduction=32", "cifar_resnet50+ba2m", True),
        ("cifar_resnet50+bam@stages=1:2:3", "cifar_resnet50+bam", True),
        ("attention56", "attention56_as_reported", True),
        ("resnet50+se", "resnet50+ge", False),
        ("resnet50@stages=2+se", "resnet50+se@stages=2", False),
    ],
)
def test_names_of_one_network_have_one_key(one: str, other: str, *, same: bool) -> None:
    assert (network_key(one) == network_key(other)) == same


def test_a_table_has_a_line_for_each_network_and_data_set() -> None:
    lines = gather_lines(find_table("upanets:2"))
    assert [(line.row, line.data) for line in lines[:2]] == [
        ("UPA16 final GAP", "cifar10"),
        ("UPA16 final GAP", "cifar100"),
    ]
    assert {key: cell.printed for key, cell in lines[0].cells.items()} == {
        "accuracy": "94.66",
        "error (share)": "0.0534",
        "parameters": "1.48M",
        "efficiency": "63.95",
    }
    changed = [line for line in gather_lines(find_table("ba2m:I")) if line.changes]
    assert [line.changes["error"].printed for line in changed][:2] == ["−3.89", "−2.12"]


def test_one_training_gets_wilsons_interval_over_its_test_images() -> None:
    (line,) = measured_lines("upanets:4", log_of("upanet16", 0.9, test_loss=0.5))
    assert line.row == "UPANets16"
    assert line.measured
    expected = proportion(360, 400)
    found = line.measured.intervals["accuracy"]
    assert (found.value, found.low, found.high) == pytest.approx(
        (90, 100 * expected.low, 100 * expected.high), abs=1e-9
    )
    assert "Wilson" in found.method
    assert line.measured.intervals["efficiency"].value == pytest.approx(60)


def test_several_trainings_get_students_interval_and_a_spread() -> None:
    logs = [
        log_of("cifar_resnet50+ba2m", 0.80, 0.82, data="cifar100"),
        log_of("cifar_resnet50+ba2m", 0.84, data="cifar100"),
    ]
    (line,) = measured_lines("ba2m:VIII", *logs)
    assert line.row == "R = 32"
    assert line.measured
    assert line.measured.trainings == 3
    expected = mean_of([18.0, 16.0, 20.0])
    found = line.measured.intervals["error"]
    assert (found.value, found.low, found.high) == pytest.approx((18, expected.low, expected.high))
    assert found.low < found.value < found.high
    assert line.measured.intervals["spread"].value == pytest.approx(2)


def test_a_training_belongs_to_the_line_of_its_own_data() -> None:
    for data in ("food101", "cub200", "stanford_dogs"):
        name = "mobilenet_v1+ulsam@after=8:9,replace=11,groups=8"
        (line,) = measured_lines("ulsam:9", log_of(name, 0.5, data=data))
        assert (line.data, line.row) == (data, "MV1 + ULSAM, (8:1, 9:1, 11), g = 8")
    (line,) = measured_lines("upanets:2", log_of("upanet16", 0.5, data="digits"))
    assert (line.data, line.row) == ("cifar10", "UPA16 (exc SPA & GAP)")
    assert line.measured
    assert line.measured.data == "digits"


def test_trainings_of_other_networks_and_without_a_checkpoint_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"a network of spanet:III, and resnet20 is of resnet20; the table has resnet50, "
    ):
        measured_lines("spanet:III", log_of("resnet20", 0.5))
    bare = TrainingLog("bare", (), {}, None)
    with pytest.raises(ValueError, match="`RUN` must hold a checkpoint, which tells its network, and bare has none"):
        measured_lines("spanet:III", bare)


def test_a_run_folder_is_read(tmp_path: Path) -> None:
    network = create_model("cifar_preact_resnet18+se", num_classes=10, image_size=8)
    about: dict[str, Any] = {"num_classes": 10, "image_size": 8, "mean": (0.5,) * 3, "std": (0.5,) * 3}
    data: dict[str, Any] = {
        "data": {"name": "npz:a/cifar100.npz", "images": 10},
        "test": {"name": "x", "split": "test", "images": 100},
    }
    save_checkpoint(tmp_path / "model.safetensors", network, name="cifar_preact_resnet18+se", **about, **data)
    save_metrics(tmp_path / "metrics.csv", [{"epoch": 1, "test_accuracy": 0.75, "test_loss": 1.0}])
    (line,) = measured_lines("spanet:IV", *load_logs([tmp_path]))
    assert line.row == "ResNet18, SE"
    assert line.measured
    assert line.measured.data == "cifar100"
    assert line.measured.intervals["accuracy"].value == pytest.approx(75)
