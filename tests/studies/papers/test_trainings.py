import re
from pathlib import Path

import numpy as np
import pytest
import torch

from gradscape.models import create_model
from gradscape.models.ba2m import BA2M
from gradscape.studies.papers.ba2m import BATCH_SIZES
from gradscape.studies.papers.catalog import FIGURES
from gradscape.studies.papers.from_trainings import TrainingFigure
from gradscape.studies.papers.published import published_table
from gradscape.studies.papers.spanet import LATE_LOSSES, LOSSES
from gradscape.studies.papers.training_log import describe_epochs, describe_logs, load_logs
from gradscape.studies.recipe_choice import recipe_for
from gradscape.training import RECIPES, create_recipe
from tests.studies.training_folders import caption_of, draw, metrics_of, save_training

COMMAND = re.compile(r"(?P<model>\S+) --data cifar100 --recipe (?P<recipe>\S+)(?: --batch-size (?P<size>\d+))?")


def commands(figure: TrainingFigure) -> list[dict[str, str]]:
    found = [COMMAND.fullmatch(options) for options in figure.trainings.values()]
    assert all(found)
    return [one.groupdict() for one in found if one]


def ba2m_run(folder: Path, size: int, *errors: float, rate: float | None = None) -> Path:
    seeds = tuple(metrics_of(last_error=error, rate=rate or size * 0.1 / 128) for error in errors)
    return save_training(folder, "resnet20+ba2m", recipe="ba2m", seeds=seeds, batch_size=size)


@pytest.mark.parametrize("figure", [LOSSES, LATE_LOSSES])
def test_networks_that_are_compared_are_trained_alike(figure: TrainingFigure) -> None:
    assert {one["recipe"] for one in commands(figure)} == {"spanet"}
    with torch.device("meta"):
        networks = [create_model(one["model"], num_classes=100, image_size=32) for one in commands(figure)]
    counts = {sum(one.numel() for one in network.parameters()) for network in networks}
    # The gate of GE that is meant has no parameters.
    assert len(counts) == len(networks) - (figure is LOSSES)
    assert create_recipe("spanet").epochs == 300


def test_losses_of_training_and_test_stand_side_by_side(tmp_path: Path) -> None:
    names = ("resnet20", "resnet20+se")
    folders = [save_training(tmp_path / name, name, recipe="spanet") for name in names]
    drawing = draw(LOSSES, *folders)
    train, test = drawing.figure.axes
    for ax, first, step in ((train, 2.0, 0.25), (test, 2.5, 0.125)):
        assert [line.get_label() for line in ax.lines] == ["ResNet20", "ResNet20 + SE"]
        for line in ax.lines:
            np.testing.assert_allclose(np.asarray(line.get_ydata()), first - step * np.arange(6))
    assert set(drawing.arrays) == {
        f"{name}.0.{column}" for name in names for column in ("epoch", "train_loss", "test_loss")
    }
    assert caption_of(drawing).endswith("· trained on 1,200 images of digits by the recipe spanet")


def test_late_losses_begin_after_a_third_of_the_shortest_training(tmp_path: Path) -> None:
    folders = [
        save_training(tmp_path / str(epochs), name, seeds=(metrics_of(epochs=epochs),))
        for name, epochs in (("cifar_mobilenet_v2", 7), ("cifar_mobilenet_v2+spa_a", 6))
    ]
    drawing = draw(LATE_LOSSES, *folders)
    (ax,) = drawing.figure.axes
    for line, epochs in zip(ax.lines, (7, 6), strict=True):
        np.testing.assert_array_equal(np.asarray(line.get_xdata()), np.arange(3, epochs + 1))
    assert "drawn from epoch 3" in caption_of(drawing)


def test_a_single_network_is_no_comparison_and_the_next_ones_command_is_told(tmp_path: Path) -> None:
    expected = "Make one with `gradscape train resnet20+se --data cifar100 --recipe spanet -o runs/resnet20+se`"
    with pytest.raises(ValueError, match=re.escape(expected)):
        draw(LOSSES, save_training(tmp_path / "run", "resnet20"))


def test_different_trainings_are_told_for_the_networks_that_share_them(tmp_path: Path) -> None:
    folders = [
        save_training(tmp_path / "a", "resnet20", recipe="spanet"),
        save_training(tmp_path / "b", "resnet20+ge", recipe="spanet"),
        save_training(tmp_path / "c", "resnet20+se", recipe="upanets", data="folder:some/where/pets"),
        save_training(tmp_path / "d", None),
    ]
    assert describe_logs(load_logs(folders)) == (
        "resnet20, resnet20+ge trained on 1,200 images of digits by the recipe spanet; "
        "resnet20+se trained on 1,200 images of folder:pets by the recipe upanets; "
        "d of a training that is not recorded"
    )


def test_epochs_are_told_as_far_as_they_are_known(tmp_path: Path) -> None:
    folders = [save_training(tmp_path / str(epochs), None, seeds=(metrics_of(epochs=epochs),)) for epochs in (1, 6)]
    assert describe_epochs(load_logs(folders[:1])) == "after 1 epoch"
    assert describe_epochs(load_logs(folders)) == "after 1 to 6 epochs"
    only_weights = save_training(tmp_path / "weights", "resnet20")
    (only_weights / "metrics.csv").unlink()
    assert describe_epochs(load_logs([only_weights])) == ""


def test_commands_for_batch_sizes_scale_the_learning_rate_and_train_five_times() -> None:
    sizes = []
    for one in commands(BATCH_SIZES):
        recipe = create_recipe(one["recipe"], batch_size=int(one["size"]))
        assert recipe.learning_rate_at(0) == pytest.approx(0.1 * int(one["size"]) / 128)
        assert recipe.seeds == 5
        sizes.append(int(one["size"]))
        with torch.device("meta"):
            network = create_model(one["model"], num_classes=100, image_size=32)
        assert any(isinstance(module, BA2M) for module in network.modules())
    assert sizes == [4, 8, 16, 32, 64, 128, 256]


def test_errors_of_all_runs_with_a_batch_size_count_together(tmp_path: Path) -> None:
    folders = [
        ba2m_run(tmp_path / "n8", 8, 0.5, 0.25),
        ba2m_run(tmp_path / "n4", 4, 0.75),
        ba2m_run(tmp_path / "n8_again", 8, 0.125),
    ]
    drawing = draw(BATCH_SIZES, *folders)
    np.testing.assert_array_equal(drawing.arrays["n4"], [75])
    np.testing.assert_array_equal(drawing.arrays["n8"], [50, 25, 12.5])
    (ax,) = drawing.figure.axes
    (mean,) = [line for line in ax.lines if line.get_label() == "mean"]
    np.testing.assert_allclose(np.asarray(mean.get_ydata()), [75, 87.5 / 3])
    said = caption_of(drawing)
    assert "mean of 1 to 3 runs with each batch size" in said
    assert "test error after 6 epochs · learning rate 0.1 for N = 128, in proportion to N" in said
    assert "networks: resnet20+ba2m · trained on 1,200 images of digits by the recipe ba2m" in said


def test_the_value_that_the_paper_prints_for_256_is_laid_over(tmp_path: Path) -> None:
    drawing = draw(BATCH_SIZES, *(ba2m_run(tmp_path / str(size), size, 0.5) for size in (4, 16)))
    (printed,) = [line for line in drawing.figure.axes[0].lines if line.get_label() == "in the paper"]
    assert (list(printed.get_xdata()), list(printed.get_ydata())) == ([256], [17.60])  # type: ignore[arg-type]
    assert [row.error for row in published_table("ba2m", "VIII") if row.model == "cifar_resnet50+ba2m"] == [17.60]


def test_learning_rates_out_of_proportion_are_told(tmp_path: Path) -> None:
    folders = [ba2m_run(tmp_path / str(size), size, 0.5, rate=0.05) for size in (4, 16)]
    said = caption_of(draw(BATCH_SIZES, *folders))
    assert "learning rates not in proportion to N: 0.05 for 4, 0.05 for 16" in said


def test_runs_that_do_not_tell_their_batch_size_are_refused_with_a_command(tmp_path: Path) -> None:
    folders = [ba2m_run(tmp_path / "n4", 4, 0.5), save_training(tmp_path / "bare", None)]
    with pytest.raises(ValueError, match=r"must hold checkpoints that tell their batch size, and bare has none; make"):
        draw(BATCH_SIZES, *folders)


def test_one_recipe_that_a_command_changed_is_more_than_one_training(tmp_path: Path) -> None:
    folders = [
        save_training(tmp_path / "a", "resnet20", recipe="spanet"),
        save_training(tmp_path / "b", "resnet20+ge", recipe="spanet", loss="focal"),
    ]
    assert describe_logs(load_logs(folders)) == (
        "trained on 1,200 images of digits by the recipe spanet · trained differently: resnet20 by the recipe spanet "
        "(loss cross-entropy); resnet20+ge by the recipe spanet (loss focal)"
    )
    sizes = [ba2m_run(tmp_path / str(size), size, 0.5) for size in (4, 16)]
    assert "trained differently" not in caption_of(draw(BATCH_SIZES, *sizes))


@pytest.mark.parametrize("name", [name for name, one in FIGURES.items() if hasattr(one, "wanted")])
def test_the_networks_of_every_figure_are_trained_by_one_recipe(name: str) -> None:
    networks, options = FIGURES[name].wanted.names, FIGURES[name].wanted.training.split()  # type: ignore[attr-defined]
    data = options[options.index("--data") + 1]
    if "--recipe" in options:
        assert options[options.index("--recipe") + 1] in RECIPES
    else:
        # MobileNets of two versions are trained as their paper trains each.
        pairs = [networks[start : start + 2] for start in range(0, len(networks), 2)]
        assert all(len({recipe_for(network, data) for network in pair}) == 1 for pair in pairs)
