"""What the report tells of trainings: how they differ, and what several seeds give together."""

from pathlib import Path

from gradscape._checkpoint import amend_checkpoint
from gradscape._intervals import proportion
from gradscape.studies.report import write_report
from gradscape.studies.report.landscape_metrics import metric_tables
from gradscape.studies.report.provenance import rebuild_commands
from gradscape.studies.report.summary import network_table
from gradscape.studies.report.trainings import seed_tables
from gradscape.training.history import save_metrics
from tests.figures.results import bowl, make_surface
from tests.studies.networks import save_network
from tests.studies.report.test_report import networks_in
from tests.studies.test_accuracies import save_runs


def test_networks_that_were_trained_differently_are_told_below_their_table(tmp_path: Path) -> None:
    for name, epochs in (("resnet20", 60), ("resnet20+se", 200)):
        save_network(tmp_path, name, recipe={"name": "upanets", "epochs": epochs})
    assert network_table(networks_in(tmp_path)).remarks == (
        "trained differently: resnet20 by the recipe upanets (epochs 60); "
        "resnet20+se by the recipe upanets (epochs 200)",
    )
    (command, _) = rebuild_commands(networks_in(tmp_path))
    assert "--loss" not in command


def test_a_loss_that_was_chosen_is_in_the_command_that_trains_again(tmp_path: Path) -> None:
    recipe = {"name": "digits", "loss": "focal"}
    save_network(tmp_path, "resnet20", data={"name": "digits", "images": 8}, recipe=recipe, scores={"seed": 0})
    (command,) = rebuild_commands(networks_in(tmp_path))[0:1] or [""]
    assert "--recipe digits --epochs 1 --loss focal" in str(command)


def test_seeds_of_a_network_are_one_row_of_accuracies_with_a_verdict(tmp_path: Path) -> None:
    save_runs(tmp_path / "se", "resnet20+se", (0.8, 0.82))
    save_runs(tmp_path / "plain", "resnet20", (0.9, 0.92))
    networks = networks_in(tmp_path)
    means, differences = seed_tables(networks)
    assert [cell.text for cell in means.rows[0].cells] == [
        "2",
        "91.00 %",
        "± 1.41 (std), median 91.00 (90.00 to 92.00)",
    ]
    assert differences.rows[0].heading == "test accuracy, resnet20 − resnet20+se"
    assert differences.rows[0].cells[1].text == "resnet20 is higher"
    page = write_report([tmp_path], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Test accuracy over trainings" in page
    own = proportion(160, 200)
    accuracy = next(row for row in network_table(networks).rows if row.cells[0].text == "80.00 %").cells[0]
    assert accuracy.range == f"{100 * own.low:.1f} to {100 * own.high:.1f}"


def test_trainings_without_a_test_accuracy_or_the_number_of_its_images_have_no_interval(tmp_path: Path) -> None:
    save_runs(tmp_path / "se", "resnet20+se", (0.8, 0.82))
    plain = save_runs(tmp_path / "plain", "resnet20", (0.9,)) / "seed0"
    amend_checkpoint(str(plain / "model.safetensors"), test=None)
    means, differences = seed_tables(networks_in(tmp_path))
    assert [row.cells[1].range == "" for row in means.rows] == [True, False]
    assert differences.rows[0].cells[1].text == "unknown"
    assert differences.remarks == ("unknown: one training of resnet20 says nothing about others",)
    for path in tmp_path.rglob("metrics.csv"):
        save_metrics(path, [{"epoch": 1, "train_loss": 0.5}])
    assert seed_tables(networks_in(tmp_path)) == []


def test_landscapes_of_seeds_are_one_network(tmp_path: Path) -> None:
    for seed, steepness in enumerate((1, 1.2, 4, 4.4)):
        name = "flat" if seed < 2 else "steep"
        training = {"alike": name, "seed": seed % 2, "epoch": 2}
        surface = make_surface(
            bowl(steepness), model=name, weights=f"{name}{seed}", directions=[str(seed)], training=training
        )
        surface.save(tmp_path / f"{name}{seed}" / "surface.h5")
    (means,) = metric_tables(networks_in(tmp_path))  # of one block of images there are no intervals
    assert means.columns == ("flat", "steep")
    assert means.remarks[0] == "trainings × draws of directions in each: flat 2 × 1, steep 2 × 1"
