import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection

from gradscape.figures.caption import caption_of
from gradscape.figures.charts.training import TrainingQuantity, figure_curve, figure_training, plot_training

EPOCHS = np.arange(5.0)


def run(shift: float = 0.0, epochs: int = 5) -> dict[str, np.ndarray]:
    return {
        "epoch": EPOCHS[:epochs],
        "train_loss": (2.0 - 0.3 * EPOCHS + shift)[:epochs],
        "train_accuracy": (0.2 + 0.1 * EPOCHS)[:epochs],
        "test_loss": (2.1 - 0.2 * EPOCHS + shift)[:epochs],
        "test_accuracy": (0.15 + 0.1 * EPOCHS + shift / 100)[:epochs],
        "learning_rate": (0.1 * 0.1**EPOCHS)[:epochs],
        "seconds": np.full(epochs, 2.5),
    }


def test_train_and_test_are_drawn_together() -> None:
    ax = plot_training(run())
    train, test = ax.lines
    np.testing.assert_allclose(np.asarray(train.get_ydata()), 2.0 - 0.3 * EPOCHS)
    np.testing.assert_allclose(np.asarray(test.get_ydata()), 2.1 - 0.2 * EPOCHS)
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["train", "test"]


def test_one_epoch_alone_is_marked_by_its_whole_number() -> None:
    ax = plot_training(run(epochs=1))
    low, high = ax.get_xlim()
    assert [tick for tick in ax.get_xticks() if low <= tick <= high] == [1]


def test_accuracies_are_drawn_in_percent() -> None:
    ax = plot_training(run(), value="accuracy")
    np.testing.assert_allclose(np.asarray(ax.lines[0].get_ydata()), [20, 30, 40, 50, 60])
    assert ax.get_ylabel() == "accuracy (%)"


def test_seeds_are_drawn_as_their_median_between_lowest_and_highest() -> None:
    ax = plot_training([run(0.0), run(5.0), run(1.0)])
    np.testing.assert_allclose(np.asarray(ax.lines[0].get_ydata()), 3.0 - 0.3 * EPOCHS)
    band = next(artist for artist in ax.collections if isinstance(artist, PolyCollection))
    outline = np.asarray(band.get_paths()[0].vertices)
    at_start = outline[outline[:, 0] == 1, 1]
    assert (at_start.min(), at_start.max()) == (2.0, 7.0)


def test_a_run_that_stopped_early_counts_with_its_last_values() -> None:
    ax = plot_training([run(0.0), run(0.0, epochs=2), run(0.0, epochs=2)])
    np.testing.assert_allclose(np.asarray(ax.lines[0].get_ydata()), [2.0, 1.7, 1.7, 1.7, 1.7])


def test_epochs_that_were_not_tested_are_passed_over() -> None:
    metrics = run()
    metrics["test_loss"][[1, 3]] = np.nan
    np.testing.assert_allclose(np.asarray(plot_training(metrics).lines[1].get_xdata()), [1, 3, 5])


def test_the_page_shows_what_was_recorded_and_says_how_it_ended() -> None:
    figure = figure_training([run(0.0), run(1.0), run(2.0)])
    FigureCanvasAgg(figure).draw()
    assert [ax.get_ylabel() for ax in figure.axes] == ["loss", "accuracy (%)", "learning rate"]
    assert figure.axes[2].get_yscale() == "log"
    assert " ".join(figure.get_supxlabel().split()) == (
        "5 epochs · test accuracy after the last 56.00 ± 1.00 (std), median 56.00 (55.00 to 57.00) % · "
        "median of 3 runs, band from lowest to highest"
    )


def test_the_caption_says_what_the_network_was_tested_on() -> None:
    figure = figure_training(run(), about="tested on 4 images held out of npz:own.npz")
    assert " ".join(figure.get_supxlabel().split()).endswith(" · tested on 4 images held out of npz:own.npz")


def test_a_single_epoch_is_visible() -> None:
    figure = figure_training({name: column[:1] for name, column in run().items() if name != "learning_rate"})
    FigureCanvasAgg(figure).draw()
    assert len(figure.axes) == 2
    assert figure.axes[0].lines[0].get_marker() == "."
    assert figure.get_supxlabel().startswith("1 epoch ")


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ([], r"`metrics` must hold at least one run"),
        ({"epoch": EPOCHS}, r"`metrics` must have a column such as train_loss or test_accuracy, got epoch"),
        ([run(), {**run(), "epoch": EPOCHS + 1}], r"`metrics` must be of runs whose epochs begin alike"),
    ],
)
def test_metrics_that_cannot_be_drawn_are_refused(metrics, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        figure_training(metrics)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(ValueError, match=r"`metrics` must have the column learning_rate, got epoch, train_loss"):
        plot_training({"epoch": EPOCHS, "train_loss": EPOCHS}, value="learning_rate")


def held_out_run() -> dict[str, np.ndarray]:
    """A run of a recipe that holds images out."""
    return {**run(), "validation_loss": 2.2 - 0.25 * EPOCHS, "validation_accuracy": 0.1 + 0.12 * EPOCHS}


@pytest.mark.parametrize(("value", "expected"), [("loss", 2.2 - 0.25 * EPOCHS), ("accuracy", 10 + 12 * EPOCHS)])
def test_images_held_out_have_a_curve_of_their_own(value: TrainingQuantity, expected: np.ndarray) -> None:
    drawn = {line.get_label(): line for line in plot_training(held_out_run(), value=value).lines}
    assert set(drawn) == {"train", "validation", "test"}
    np.testing.assert_allclose(np.asarray(drawn["validation"].get_ydata()), expected)


def test_splits_are_told_apart_without_their_colors() -> None:
    dashes = [(line.get_linestyle(), line._dash_pattern) for line in plot_training(held_out_run()).lines]  # type: ignore[attr-defined]
    assert len(set(map(str, dashes))) == 3


def test_a_single_curve_has_its_title_and_says_how_it_ended_without_test_images() -> None:
    metrics = {name: column for name, column in held_out_run().items() if not name.startswith("test")}
    figure = figure_curve(metrics, value="accuracy", title="of $\\alpha$")
    FigureCanvasAgg(figure).draw()
    (ax,) = figure.axes
    assert ax.get_title() == "of $\\alpha$"
    assert [line.get_label() for line in ax.lines] == ["train", "validation"]
    assert "validation accuracy after the last 58.00 %" in figure.get_supxlabel()
    width, height = ax.get_window_extent().size
    assert 1.3 < width / height < 2


def detector_run(**others: np.ndarray) -> dict[str, np.ndarray]:
    learned = {"test_ap": 0.05 * EPOCHS, "test_ap50": 0.1 * EPOCHS}
    return {"epoch": EPOCHS, "train_loss": 9 - EPOCHS, "test_loss": 9.5 - EPOCHS, **learned, **others}


def test_average_precision_is_drawn_in_percent_each_by_its_name() -> None:
    ax = plot_training(detector_run(), value="precision")
    drawn = {str(line.get_label()): np.asarray(line.get_ydata()) for line in ax.lines}
    assert list(drawn) == ["test AP50", "test AP"]
    np.testing.assert_allclose(drawn["test AP"], 5 * EPOCHS)
    assert ax.get_ylabel() == "average precision (%)"
    both = plot_training(detector_run(validation_ap=EPOCHS, validation_ap50=EPOCHS), value="precision")
    assert len({line.get_color() for line in both.lines}) == len({str(line._dash_pattern) for line in both.lines}) == 4  # type: ignore[attr-defined]


def test_a_page_of_a_detectors_training_tells_its_ap50_and_of_a_segmenters_its_overlap() -> None:
    page = figure_training(detector_run(learning_rate=0.1 + EPOCHS))
    assert [ax.get_ylabel() for ax in page.axes] == ["loss", "average precision (%)", "learning rate"]
    assert f"test AP50 after the last {10 * EPOCHS[-1]:.2f} %" in caption_of(page)
    overlap = figure_training({"epoch": EPOCHS, "test_iou": 0.1 * EPOCHS, "train_loss": 9 - EPOCHS})
    assert [ax.get_ylabel() for ax in overlap.axes] == ["loss", "mean IoU (%)"]
    assert f"test mean IoU after the last {10 * EPOCHS[-1]:.2f} %" in caption_of(overlap)
