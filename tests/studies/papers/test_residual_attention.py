from pathlib import Path

import numpy as np
import pytest
import torch

from gradscape.models import create_model
from gradscape.studies.papers.from_trainings import TrainingFigure
from gradscape.studies.papers.published import published_table
from gradscape.studies.papers.residual_attention import ACCURACIES, FIGURES, TIMES, Configuration
from gradscape.studies.recipe_choice import recipe_for
from gradscape.training import create_recipe
from tests.studies.training_folders import caption_of, draw, metrics_of, save_training

CURVES = {name: figure for name, figure in FIGURES.items() if isinstance(figure, TrainingFigure)}
# Figure of the accuracy; that of the loss is the next: depth, learning, activation and data of sections 6.1 to 6.6.
CONFIGURATIONS = {
    8: ("56", "arl", "mixed", "cifar10"),
    12: ("56", "arl", "spatial", "cifar10"),
    16: ("56", "nal", "mixed", "cifar10"),
    20: ("92", "arl", "spatial", "cifar10"),
    24: ("56", "nal", "mixed", "cifar100"),
    28: ("56", "arl", "spatial", "cifar100"),
}
# Total parameters that the report prints for these trainings, with the statistics of batch normalization.
TOTALS = {8: 2_892_970, 12: 2_893_866, 16: 2_892_970, 20: 9_396_778, 24: 2_939_140, 28: 2_940_036}


def curve_run(folder: Path, name: str | None = "attention56", **changes: bool) -> Path:
    return save_training(
        folder, name, recipe="residual_attention", seeds=(metrics_of(**{"held_out": True, **changes}),)
    )


def test_the_twelve_curves_and_the_two_tables_are_there() -> None:
    numbers = [*(number + step for number in CONFIGURATIONS for step in (0, 1)), 30, 31]
    assert list(FIGURES) == [f"residual_attention:{number}" for number in numbers]


@pytest.mark.slow
@pytest.mark.parametrize("number", CONFIGURATIONS)
def test_commands_train_the_networks_of_the_report_with_images_held_out(number: int) -> None:
    depth, learning, activation, data = CONFIGURATIONS[number]
    for figure in (CURVES[f"residual_attention:{number}"], CURVES[f"residual_attention:{number + 1}"]):
        (command,) = figure.trainings.values()
        model, flag, trained_on = command.split()
        assert (flag, trained_on) == ("--data", data)
        assert Configuration.of(model) == Configuration(depth, learning, activation)
        with torch.device("meta"):
            network = create_model(model, num_classes=100 if data == "cifar100" else 10, image_size=32)
        statistics = sum(one.numel() for name, one in network.named_buffers() if name.endswith(("_mean", "_var")))
        assert sum(one.numel() for one in network.parameters()) + statistics == TOTALS[number]
        assert create_recipe(recipe_for(model, data)).validation_share == 0.2


def test_accuracy_is_drawn_in_training_and_on_what_was_held_out(tmp_path: Path) -> None:
    drawing = draw(CURVES["residual_attention:8"], curve_run(tmp_path / "run"))
    (ax,) = drawing.figure.axes
    drawn = {line.get_label(): np.asarray(line.get_ydata()) for line in ax.lines}
    assert list(drawn) == ["train", "validation"]
    np.testing.assert_allclose(drawn["train"], 25 + 6.25 * np.arange(6))
    np.testing.assert_allclose(drawn["validation"], 3.125 * np.arange(6))
    assert ax.get_title() == "digits Attention-56 ARL mixed"
    np.testing.assert_array_equal(drawing.arrays["0.validation_accuracy"], 0.03125 * np.arange(6))
    assert caption_of(drawing) == (
        "6 epochs · validation accuracy after the last 15.62 % · attention56 trained on 1,200 images of digits by the "
        "recipe residual_attention"
    )


def test_loss_is_drawn_of_another_configuration(tmp_path: Path) -> None:
    run = curve_run(tmp_path / "run", "attention92@activation=spatial")
    (ax,) = draw(CURVES["residual_attention:21"], run).figure.axes
    np.testing.assert_allclose(np.asarray(ax.lines[1].get_ydata()), 3 - 0.5 * np.arange(6))
    assert ax.get_title() == "digits Attention-92 ARL spatial"


def test_metrics_without_a_checkpoint_are_drawn_and_said_to_be_of_an_unknown_training(tmp_path: Path) -> None:
    drawing = draw(CURVES["residual_attention:9"], curve_run(tmp_path / "mine", None))
    assert caption_of(drawing) == "6 epochs · mine of a training that is not recorded"
    assert drawing.figure.axes[0].get_title() == "mine"


def test_a_training_of_another_configuration_is_refused_with_the_command(tmp_path: Path) -> None:
    for name in ("attention56@learning=nal", "attention92", "resnet20"):
        with pytest.raises(
            ValueError,
            match=rf"must be a training of attention56_as_reported@activation=spatial, got {name}; make one with "
            "`gradscape train attention56_as_reported@activation=spatial --data cifar100`",
        ):
            draw(CURVES["residual_attention:28"], curve_run(tmp_path / name, name))


def test_a_training_without_images_held_out_is_refused_with_the_command(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must have a column validation_loss, .* attention56 has none; make one with"):
        draw(CURVES["residual_attention:9"], curve_run(tmp_path / "run", held_out=False))


def test_the_tables_have_the_reports_numbers() -> None:
    accuracies = {(row.row, row.data): row.accuracy for row in published_table("residual_attention", "30")}
    assert list(accuracies.values()) == [86.65, 86.26, 85.66, 78.74, 53.46, 54.76]
    times = {(row.row, row.data): row.seconds for row in published_table("residual_attention", "31")}
    assert list(times.values()) == [47.7, 48.6, 50.3, 65, 47, 47]
    assert list(times) == list(accuracies)
    assert list(accuracies)[3] == ("Attention-92, Nesterov SGD with momentum, Spatial, ARL", "cifar10")


def test_tables_are_drawn_without_any_network_and_tell_their_own_contradiction() -> None:
    drawing = draw(ACCURACIES)
    assert [text.get_text() for text in drawing.figure.axes[0].texts[-8:]] == [
        "CIFAR-100", "Attention-56", "Adam", "Mixed", "ARL", "54.76", "–", "–",
    ]  # fmt: skip
    assert np.isnan(drawing.arrays["measured"]).all()
    assert "CIFAR-100, Attention-56, Adam, Mixed, ARL: printed as mixed, trained as spatial" in caption_of(drawing)


def test_measured_accuracies_stand_in_the_rows_of_their_network_and_data(tmp_path: Path) -> None:
    trainings = (
        ("attention56@learning=nal", "cifar100", 0.5),
        ("attention56@learning=nal", "digits", 0.25),
        ("attention92_as_reported@activation=spatial", "cifar10", 0.125),
    )
    folders = [
        save_training(tmp_path / str(number), name, data=data, seeds=(metrics_of(last_error=error),))
        for number, (name, data, error) in enumerate(trainings)
    ]
    drawing = draw(ACCURACIES, *folders)
    np.testing.assert_array_equal(drawing.arrays["measured"], [np.nan, np.nan, 75.0, 87.5, 50.0, np.nan])
    np.testing.assert_array_equal(drawing.arrays["printed"], [86.65, 86.26, 85.66, 78.74, 53.46, 54.76])
    assert "measured after 6 epochs: 0 trained on 1,200 images of cifar100 by the recipe digits; 1 trained on" in (
        caption_of(drawing)
    )
    texts = [text.get_text() for text in drawing.figure.axes[0].texts]
    for measured, data in (("75.00", "digits"), ("87.50", "CIFAR-10"), ("50.00", "CIFAR-100")):
        assert texts[texts.index(measured) + 1] == data


def test_data_of_any_name_have_room_in_the_table(tmp_path: Path) -> None:
    run = save_training(tmp_path / "run", "attention56", data="folder:some/where/MAMMALS_OF_THE_WORLD")
    texts = [text.get_text() for text in draw(ACCURACIES, run).figure.axes[0].texts]
    assert "folder:MAMM…" in texts


def test_of_several_seeds_the_median_is_measured(tmp_path: Path) -> None:
    seeds = tuple(metrics_of(last_error=error) for error in (0.5, 0.125, 0.25))
    drawing = draw(ACCURACIES, save_training(tmp_path / "run", "attention56", seeds=seeds))
    assert drawing.arrays["measured"][1] == 75


def test_times_are_means_without_the_first_epoch(tmp_path: Path) -> None:
    drawing = draw(TIMES, save_training(tmp_path / "run", "attention56"))
    np.testing.assert_array_equal(drawing.arrays["measured"][[0, 1]], [np.nan, np.mean([3, 4, 5, 6, 7])])
    short = save_training(tmp_path / "short", "attention56", seeds=(metrics_of(epochs=1),))
    assert draw(TIMES, short).arrays["measured"][1] == 100


def test_a_network_that_the_table_has_no_row_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"must be trainings of the table's networks, .* resnet20 is of resnet20: leave"
    ):
        draw(ACCURACIES, save_training(tmp_path / "run", "resnet20"))
    twice = [save_training(tmp_path / folder, "attention56") for folder in ("a", "b")]
    with pytest.raises(ValueError, match=r"each once for a row, and b is of attention56: leave it out, or train att"):
        draw(ACCURACIES, *twice)


def test_configurations_are_read_from_names() -> None:
    assert Configuration.of("attention56") == Configuration("56", "arl", "mixed")
    both = Configuration.of("attention92_as_reported@learning=nal,activation=spatial")
    assert both == Configuration("92", "nal", "spatial")
    assert Configuration.of(both.model) == both
    for other in ("resnet20", "56", "attention56_imagenet", "attention128"):
        assert Configuration.of(other) is None
