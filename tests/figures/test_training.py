import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection

from gradscape.figures import figure_training, plot_training

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


def test_accuracies_are_drawn_in_percent() -> None:
    ax = plot_training(run(), value="accuracy")
    np.testing.assert_allclose(np.asarray(ax.lines[0].get_ydata()), [20, 30, 40, 50, 60])
    assert ax.get_ylabel() == "accuracy (%)"


def test_seeds_are_drawn_as_their_median_between_lowest_and_highest() -> None:
    ax = plot_training([run(0.0), run(5.0), run(1.0)])
    np.testing.assert_allclose(np.asarray(ax.lines[0].get_ydata()), 3.0 - 0.3 * EPOCHS)
    band = next(artist for artist in ax.collections if isinstance(artist, PolyCollection))
    outline = np.asarray(band.get_paths()[0].vertices)
    at_start = outline[outline[:, 0] == 0, 1]
    assert (at_start.min(), at_start.max()) == (2.0, 7.0)


def test_a_run_that_stopped_early_counts_with_its_last_values() -> None:
    ax = plot_training([run(0.0), run(0.0, epochs=2), run(0.0, epochs=2)])
    np.testing.assert_allclose(np.asarray(ax.lines[0].get_ydata()), [2.0, 1.7, 1.7, 1.7, 1.7])


def test_epochs_that_were_not_tested_are_passed_over() -> None:
    metrics = run()
    metrics["test_loss"][[1, 3]] = np.nan
    np.testing.assert_allclose(np.asarray(plot_training(metrics).lines[1].get_xdata()), [0, 2, 4])


def test_the_page_shows_what_was_recorded_and_says_how_it_ended() -> None:
    figure = figure_training([run(0.0), run(1.0), run(2.0)])
    FigureCanvasAgg(figure).draw()
    assert [ax.get_ylabel() for ax in figure.axes] == ["loss", "accuracy (%)", "learning rate"]
    assert figure.axes[2].get_yscale() == "log"
    assert " ".join(figure.get_supxlabel().split()) == (
        "5 epochs · test accuracy after the last 56.00 % (55.00 to 57.00) · 2.5 s an epoch · "
        "median of 3 runs, band from lowest to highest"
    )


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
