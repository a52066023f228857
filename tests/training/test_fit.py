import csv
import logging
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file
from sklearn.metrics import top_k_accuracy_score
from torch import Tensor, nn
from torch.utils.data import IterableDataset, get_worker_info

from gradscape.training import TrainingRun, load_metrics
from gradscape.training.augmentation import EpochOrder
from tests.training.toy import MEAN, STD, ToyImages, toy_batches, toy_network, toy_recipe, train_toy

COLUMNS = ["epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "learning_rate", "seconds"]


def normalized(images: Tensor) -> Tensor:
    return (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def measured(weights: Path) -> tuple[float, float]:
    """Test loss and accuracy of a weight file, image by image."""
    network = toy_network().eval()
    network.load_state_dict(load_file(weights))
    losses, right = [], []
    for images, labels in toy_batches():
        for image, label in zip(images, labels, strict=True):
            logits = network(normalized(image[None]))[0].double()
            losses.append(-logits.log_softmax(0)[label].item())
            right.append(int(logits.argmax()) == int(label))
    return float(np.mean(losses)), float(np.mean(right))


def same_weights(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


class InWorkers(ToyImages):
    """Gives the main process nothing but the first image."""

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        assert index == 0 or get_worker_info() is not None
        return super().__getitem__(index)


class Poisoned(nn.Module):
    """A network that does something at its n-th training step."""

    def __init__(self, network: nn.Module, step: int, poison: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.step, self.poison, self.steps = network, step, poison, 0

    def forward(self, images: Tensor) -> Tensor:
        logits = self.network(images)
        self.steps += self.training
        return self.poison(logits) if self.training and self.steps == self.step else logits


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainingRun:
    return train_toy(tmp_path_factory.mktemp("run"), recipe=toy_recipe(epochs=6))


def test_training_is_gradient_descent_with_momentum_and_weight_decay_written_out(tmp_path: Path) -> None:
    recipe = toy_recipe(crop_padding=0, horizontal_flip=False, epochs=3)
    data, network = ToyImages(40, seed=0), toy_network(dropout=0)
    trained = toy_network(dropout=0)
    run = train_toy(tmp_path, trained, recipe=recipe, train=data, seed=3)
    velocity = {name: torch.zeros_like(value) for name, value in network.named_parameters()}
    for epoch in range(3):
        indices = [index for index, _ in EpochOrder(40, seed=3, epoch=epoch, batch_size=7)]
        losses = []
        for start in range(0, 40, 7):
            batch = indices[start : start + 7]
            loss = F.cross_entropy(network(normalized(data.images[batch])), data.labels[batch])
            losses += [loss.item()] * len(batch)
            gradients = torch.autograd.grad(loss, list(network.parameters()))
            rate = 0.05 * (1 + np.cos(np.pi * epoch / 3)) / 2
            with torch.no_grad():
                for (name, value), gradient in zip(network.named_parameters(), gradients, strict=True):
                    velocity[name] = 0.9 * velocity[name] + gradient + 5e-4 * value
                    value.sub_(rate * velocity[name])
        assert run.metrics["train_loss"][epoch] == pytest.approx(np.mean(losses), rel=1e-5)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(trained.state_dict()[name], value, rtol=1e-4, atol=1e-6)


def test_metrics_csv_has_a_row_an_epoch_and_says_what_the_result_says(run: TrainingRun) -> None:
    path = run.checkpoint.with_name("metrics.csv")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(run.metrics) == COLUMNS
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    loaded = load_metrics(path)
    for name in COLUMNS:
        np.testing.assert_array_equal(loaded[name], run.metrics[name])
    expected = [0.05 * (1 + np.cos(np.pi * epoch / 6)) / 2 for epoch in range(6)]
    np.testing.assert_allclose(run.metrics["learning_rate"], expected, rtol=1e-12)


def test_the_last_checkpoint_scores_as_the_last_row_says(run: TrainingRun) -> None:
    loss, accuracy = measured(run.checkpoint)
    assert run.metrics["test_loss"][-1] == pytest.approx(loss, rel=1e-5)
    assert run.final_accuracy == run.metrics["test_accuracy"][-1] == accuracy


def test_the_best_checkpoint_is_the_first_with_the_highest_test_accuracy(tmp_path: Path) -> None:
    saved: list[tuple[str, float]] = []
    accuracies: list[float] = []

    def save(path: Path, network: nn.Module, scores: dict[str, float]) -> None:
        saved.append((path.name.rpartition("-")[2], scores["epoch"]))
        path.write_bytes(b"weights")
        accuracies[len(accuracies) : int(scores["epoch"])] = [scores["test_accuracy"]]

    run = train_toy(tmp_path, recipe=toy_recipe(epochs=8, learning_rate=0.3), save=save)
    first_best = accuracies.index(max(accuracies))
    assert first_best < 7, "the last epoch is the best: this run shows nothing"
    assert [epoch for name, epoch in saved if name == "best.safetensors"][-1] == first_best + 1
    assert [epoch for name, epoch in saved if name == "model.safetensors"] == list(range(1, 9))
    assert run.best_accuracy == max(accuracies)


def test_the_scores_given_to_save_are_the_row_and_the_seed(run: TrainingRun) -> None:
    with safe_open(run.checkpoint, "pt") as file:
        scores = file.metadata()
    assert float(scores.pop("seed")) == 0
    assert {name: float(value) for name, value in scores.items()} == {
        name: values[-1] for name, values in run.metrics.items()
    }


def test_it_learns(tmp_path: Path) -> None:
    run = train_toy(tmp_path, recipe=toy_recipe(epochs=12, learning_rate=0.2))
    assert run.best_accuracy > 0.9


def test_the_same_seed_gives_bitwise_the_same_weights_whatever_the_random_state_and_workers(tmp_path: Path) -> None:
    networks = [toy_network() for _ in range(3)]
    torch.manual_seed(1)
    train_toy(tmp_path / "a", networks[0], seed=4)
    torch.manual_seed(2)
    train_toy(tmp_path / "b", networks[1], seed=4, workers=2, train=InWorkers(40, seed=0))
    train_toy(tmp_path / "c", networks[2], seed=5)
    assert same_weights(networks[0], networks[1])
    assert not same_weights(networks[0], networks[2])


def test_a_finished_run_returns_its_numbers_and_weights_without_training(tmp_path: Path) -> None:
    trained, fresh = toy_network(), toy_network(seed=8)
    run = train_toy(tmp_path, trained)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again = train_toy(tmp_path, fresh)
    assert same_weights(trained, fresh)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    for name in COLUMNS:
        np.testing.assert_array_equal(again.metrics[name], run.metrics[name])


def test_without_resume_a_finished_run_is_trained_anew(tmp_path: Path) -> None:
    train_toy(tmp_path)
    run = train_toy(tmp_path, recipe=toy_recipe(epochs=2), resume=False)
    assert len(run.metrics["epoch"]) == len(load_metrics(tmp_path / "metrics.csv")["epoch"]) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"recipe": toy_recipe(epochs=4)}, "`epochs` was 6, is 4"),
        ({"recipe": toy_recipe(epochs=6, learning_rate=0.1)}, "`learning_rate` was 0.05, is 0.1"),
        ({"recipe": toy_recipe(epochs=6, batch_size=8)}, "`batch_size` was 7, is 8"),
        ({"recipe": toy_recipe(epochs=6, optimizer="adam")}, "`optimizer` was sgd, is adam"),
        (
            {"recipe": toy_recipe(epochs=6, schedule="steps", milestones=(2, 4))},
            r"`schedule` was cosine, is steps, `milestones` was \(\), is \(2, 4\)",
        ),
        ({"recipe": toy_recipe(epochs=6, shift=0.1)}, "`shift` was 0.0, is 0.1"),
        ({"recipe": toy_recipe(epochs=6, validation_share=0.2)}, "`validation_share` was 0.0, is 0.2"),
        ({"seed": 1}, "`seed` was 0, is 1"),
        ({"train": ToyImages(41, seed=0)}, "`images` was 40, is 41"),
        ({"train": ToyImages(40, seed=7)}, "`first_image` was"),
        ({"precision": "bf16-mixed"}, "`precision` was 32-true, is bf16-mixed"),
        ({"network": nn.Sequential(nn.Flatten(), nn.Linear(144, 4))}, "`network` was Sequential with 174 parameters"),
    ],
)
def test_another_run_in_the_same_folder_is_refused(run: TrainingRun, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as refusal:
        train_toy(run.checkpoint.parent, **({"recipe": toy_recipe(epochs=6)} | options))
    assert f"remove {run.checkpoint.parent} to start anew" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_state_file_of_another_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.ckpt").write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"`output` must hold a state to go on from"):
        train_toy(tmp_path)


def test_a_loss_that_is_not_finite_stops_with_the_epoch_and_keeps_what_was_done(tmp_path: Path) -> None:
    network = Poisoned(toy_network(), 2 * 6 + 3, lambda logits: logits * torch.nan)
    with pytest.raises(RuntimeError, match=r"the loss is nan in epoch 3, step 3; try a `learning_rate` below 0\.05"):
        train_toy(tmp_path, network, recipe=toy_recipe(epochs=4))
    assert load_metrics(tmp_path / "metrics.csv")["epoch"].tolist() == [1, 2]
    assert all(value.isfinite().all() for value in load_file(tmp_path / "model.safetensors").values())


@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_arrives_as_keyboard_interrupt_and_the_run_can_go_on(tmp_path: Path, workers: int) -> None:
    def interrupt(logits: Tensor) -> Tensor:
        os.kill(os.getpid(), signal.SIGINT)
        return logits

    handler = signal.getsignal(signal.SIGINT)
    whole, stopped = Poisoned(toy_network(), 0, interrupt), Poisoned(toy_network(), 6 + 2, interrupt)
    train_toy(tmp_path / "whole", whole)
    with pytest.raises(KeyboardInterrupt):
        train_toy(tmp_path / "stopped", stopped)
    assert signal.getsignal(signal.SIGINT) is handler
    resumed = Poisoned(toy_network(), 0, interrupt)
    train_toy(tmp_path / "stopped", resumed, workers=workers)
    assert same_weights(whole, resumed)
    assert resumed.steps == 2 * 6


def test_a_run_whose_state_counts_from_zero_goes_on_counting_from_one(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the loss is nan"):
        train_toy(tmp_path, Poisoned(toy_network(), 6 + 2, lambda logits: logits * torch.nan))
    state = torch.load(tmp_path / "state.ckpt", weights_only=True)
    state["gradscape"]["rows"] = [{**row, "epoch": row["epoch"] - 1} for row in state["gradscape"]["rows"]]
    torch.save(state, tmp_path / "state.ckpt")
    run = train_toy(tmp_path, Poisoned(toy_network(), 0, lambda logits: logits))
    assert run.metrics["epoch"].tolist() == load_metrics(run.checkpoint.with_name("metrics.csv"))["epoch"].tolist()
    assert run.metrics["epoch"].tolist() == list(range(1, len(run.metrics["epoch"]) + 1))


def epochs_until(accuracies: list[float], patience: int) -> int:
    """Epochs that Keras' callback lets pass, counting those without progress one by one."""
    best, waited = -1.0, 0
    for epoch, accuracy in enumerate(accuracies):
        waited += 1
        if accuracy > best:
            best, waited = accuracy, 0
        if waited >= patience:
            return epoch + 1
    return len(accuracies)


def test_early_stopping_waits_for_the_chosen_accuracy_and_a_stopped_run_stays_stopped(tmp_path: Path) -> None:
    options = {"epochs": 14, "learning_rate": 0.1}
    whole = train_toy(tmp_path / "whole", recipe=toy_recipe(**options))
    ends = {}
    for metric in ("train_accuracy", "test_accuracy"):
        recipe = toy_recipe(**options, early_stopping_patience=2, early_stopping_metric=metric)
        run = train_toy(tmp_path / metric, recipe=recipe)
        ends[metric] = len(run.metrics["epoch"])
        assert ends[metric] == epochs_until(whole.metrics[metric].tolist(), 2)
        again = train_toy(tmp_path / metric, recipe=recipe)
        np.testing.assert_array_equal(again.metrics["epoch"], run.metrics["epoch"])
    assert len({14, *ends.values()}) == 3, f"{ends}: these runs show nothing"


def test_everything_around_the_weights_is_as_before(tmp_path: Path) -> None:
    network = toy_network()
    network[1].eval()
    frozen = network.get_parameter("0.bias").requires_grad_(False)
    value = frozen.clone()

    def surroundings() -> list[Any]:
        return [
            torch.get_rng_state().tolist(),
            torch.are_deterministic_algorithms_enabled(),
            torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
            torch.backends.cudnn.benchmark,
            torch.get_num_threads(),
            dict(os.environ),
            signal.getsignal(signal.SIGTERM),
            logging.getLogger("lightning.pytorch").level,
            [module.training for module in network.modules()],
            [value.grad for value in network.parameters()],
            [value.requires_grad for value in network.parameters()],
        ]

    before = surroundings()
    assert not torch.are_deterministic_algorithms_enabled()
    train_toy(tmp_path, network)
    assert surroundings() == before
    assert torch.equal(frozen, value)


def test_it_writes_its_four_files_and_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train_toy(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best.safetensors",
        "metrics.csv",
        "model.safetensors",
        "state.ckpt",
    ]
    assert capfd.readouterr() == ("", "")


def test_the_progress_bar_shows_epochs_from_1_steps_of_all_and_the_loss(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    network = Poisoned(toy_network(), 6 + 1, lambda logits: logits * torch.nan)
    with pytest.raises(RuntimeError, match="the loss is nan"):
        train_toy(tmp_path, network, recipe=toy_recipe(epochs=3), progress=True)
    assert re.search(r"epoch 2/3 .* 6/18 steps, .* left, loss \d", capfd.readouterr().err)
    train_toy(tmp_path, Poisoned(toy_network(), 99, torch.neg), recipe=toy_recipe(epochs=3), progress=True)
    assert re.search(r"epoch 3/3 .* 18/18 steps, 0:00:00 left, loss \d", capfd.readouterr().err)


class Endless(IterableDataset[tuple[Tensor, int]]):
    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        return iter(ToyImages(40, seed=0))


def wrong_images(change: Callable[[Tensor], Tensor]) -> ToyImages:
    data = ToyImages(40, seed=0)
    data.images = change(data.images)
    return data


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        (
            {"test": iter(toy_batches())},
            TypeError,
            "`test` must be batches that can be iterated every epoch, got a list_it",
        ),
        ({"train": Endless()}, TypeError, "`train` must be a map-style data set"),
        ({"train": ToyImages(1, seed=0)}, ValueError, "`train` must hold at least 2 images, got 1"),
        ({"train": wrong_images(Tensor.double)}, TypeError, r"float32 tensors, got torch\.float64"),
        (
            {"train": wrong_images(lambda images: images[:, :1])},
            ValueError,
            r"must give images \(3, H, W\), got \(1, 8, 6\)",
        ),
        ({"train": wrong_images(lambda images: images * 255)}, ValueError, r"must give images in \[0, 1\], got"),
        ({"network": nn.Sequential(nn.Flatten(), nn.Linear(144, 3))}, ValueError, "knows 3 classes, but came as 0 … 3"),
        (
            {"network": nn.Conv2d(3, 4, 1)},
            ValueError,
            r"`network` must give logits \(7, classes\), but gave \(7, 4, 8, 6\)",
        ),
        ({"seed": -1}, ValueError, "`seed` must be 0 or more, got -1"),
        (
            {"recipe": toy_recipe(validation_share=0.01)},
            ValueError,
            "`validation_share` must hold out at least 1 image and leave 2, got 0.01 of 40 images, which is 0",
        ),
        ({"recipe": toy_recipe(validation_share=0.99)}, ValueError, "got 0.99 of 40 images, which is 40"),
        ({"device": "abacus"}, ValueError, "`device` and `precision` must fit this machine, got abacus"),
        ({"precision": "31-true"}, ValueError, "`device` and `precision` must fit this machine, got cpu, 31-true"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(
    tmp_path: Path, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as refusal:
        train_toy(tmp_path, **options)
    assert "\n" not in str(refusal.value)


def test_an_output_that_is_a_file_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        train_toy(tmp_path / "file")


def test_a_csv_that_holds_no_numbers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "words.csv").write_text("epoch\none\n")
    with pytest.raises(ValueError, match=r"`path` must be a csv of numbers"):
        load_metrics(tmp_path / "words.csv")


def seven_classes(seed: int = 0) -> nn.Sequential:
    """The toy network with classes to spare, of which top-5 can be told."""
    network = toy_network(seed)
    network[-1] = nn.Linear(5, 7)
    return network


def test_the_top_five_of_more_classes_are_scored_too(tmp_path: Path) -> None:
    network = seven_classes()
    run = train_toy(tmp_path, network, recipe=toy_recipe(epochs=1, validation_share=0.3))
    assert list(run.metrics) == [
        *COLUMNS[:5], "test_top5_accuracy", "validation_loss", "validation_accuracy", "validation_top5_accuracy",
        *COLUMNS[5:],
    ]  # fmt: skip
    images, labels = (torch.cat(parts) for parts in zip(*toy_batches(), strict=True))
    with torch.no_grad():
        logits = network.eval()(normalized(images))
    expected = top_k_accuracy_score(labels, logits, k=5, labels=range(7))
    assert run.metrics["test_top5_accuracy"].tolist() == [pytest.approx(expected)]


def test_a_run_of_an_older_version_goes_on_with_the_new_column(tmp_path: Path) -> None:
    train_toy(tmp_path, seven_classes(), recipe=toy_recipe(epochs=2))
    whole = load_metrics(tmp_path / "metrics.csv")
    state = torch.load(tmp_path / "state.ckpt", weights_only=True)
    for row in state["gradscape"]["rows"]:
        del row["test_top5_accuracy"]
    state["gradscape"]["plan"]["epochs"] = 3
    torch.save(state, tmp_path / "state.ckpt")
    run = train_toy(tmp_path, seven_classes(), recipe=toy_recipe(epochs=3))
    columns = load_metrics(tmp_path / "metrics.csv")
    assert list(columns) == list(whole) == list(run.metrics)
    np.testing.assert_array_equal(np.isnan(columns["test_top5_accuracy"]), [True, True, False])
    np.testing.assert_array_equal(columns["test_accuracy"][:2], whole["test_accuracy"])


def test_an_answer_that_is_not_finite_is_wrong(tmp_path: Path) -> None:
    """Of logits that are all NaN the first class would seem the largest."""

    class Nothing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(4))

        def forward(self, images: Tensor) -> Tensor:
            return self.bias.expand(len(images), 4) / (1.0 if self.training else torch.nan)

    run = train_toy(tmp_path, Nothing(), recipe=toy_recipe(epochs=1))
    assert run.final_accuracy == 0
