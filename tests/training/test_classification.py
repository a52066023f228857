from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gradscape.training import Recipe
from gradscape.training.classification import Classification
from tests.training.toy import MEAN, STD, ToyImages, toy_network, toy_recipe, train_toy


def step(recipe: Recipe) -> tuple[Tensor, Tensor, Classification]:
    """The loss of a step over 9 images, the cross-entropy of each, and what took the step."""
    data, network = ToyImages(9, seed=0), toy_network(dropout=0).eval()
    module = Classification(network, recipe, mean=MEAN, std=STD, seed=0)
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    batch = (data.images, data.labels)
    module.on_before_batch_transfer(batch, 0)
    loss = module.training_step(batch, 0)
    images = (data.images - module.mean) / module.std
    return loss, F.cross_entropy(network(images), data.labels, reduction="none"), module


def test_a_step_lowers_the_mean_of_its_images() -> None:
    loss, losses, _ = step(toy_recipe())
    torch.testing.assert_close(loss, losses.mean())


def test_with_the_focal_loss_sure_answers_count_less() -> None:
    loss, losses, module = step(toy_recipe(loss="focal"))
    expected = (1 - torch.exp(-losses)).square() * losses
    torch.testing.assert_close(loss, expected.mean())
    assert module.scores()["train_loss"] == pytest.approx(expected.mean().item())


def test_ohem_lowers_the_hardest_half_and_its_metrics_are_of_all() -> None:
    loss, losses, module = step(toy_recipe(loss="ohem"))
    torch.testing.assert_close(loss, losses.sort(descending=True).values[:5].mean())
    assert module.scores()["train_loss"] == pytest.approx(losses.mean().item())


def test_a_run_of_the_time_before_there_was_a_choice_goes_on(tmp_path: Path) -> None:
    train_toy(tmp_path, recipe=toy_recipe(epochs=1))
    state = torch.load(tmp_path / "state.ckpt", weights_only=True)
    del state["gradscape"]["plan"]["loss"]
    torch.save(state, tmp_path / "state.ckpt")
    assert len(train_toy(tmp_path, recipe=toy_recipe(epochs=1)).metrics["epoch"]) == 1
    with pytest.raises(ValueError, match="`loss` was cross_entropy, is focal"):
        train_toy(tmp_path, recipe=toy_recipe(epochs=1, loss="focal"))
