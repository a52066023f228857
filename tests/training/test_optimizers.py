"""The optimizers written out, step by step."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradscape.training import Recipe
from gradscape.training.augmentation import EpochOrder
from gradscape.training.classification import Classification
from tests.training.toy import MEAN, STD, ToyImages, toy_network, toy_recipe, train_toy

EPOCHS, COUNT, BATCH = 3, 40, 7

Update = Callable[[str, Tensor, float, int], Tensor]


def rate_at(epoch: int, step: int) -> float:
    """0.05, a tenth of it from epoch 2 on, with Keras' decay of 0.02."""
    return (0.05 if epoch < 2 else 0.005) * (1 / (1 + 0.02 * step))


def nesterov() -> Update:
    velocity: dict[str, Tensor] = {}

    def update(name: str, gradient: Tensor, rate: float, step: int) -> Tensor:
        velocity[name] = 0.9 * velocity.get(name, torch.zeros_like(gradient)) + gradient
        return rate * (gradient + 0.9 * velocity[name])

    return update


def adam() -> Update:
    first: dict[str, Tensor] = {}
    second: dict[str, Tensor] = {}

    def update(name: str, gradient: Tensor, rate: float, step: int) -> Tensor:
        first[name] = 0.9 * first.get(name, torch.zeros_like(gradient)) + 0.1 * gradient
        second[name] = 0.999 * second.get(name, torch.zeros_like(gradient)) + 0.001 * gradient**2
        mean, spread = first[name] / (1 - 0.9 ** (step + 1)), second[name] / (1 - 0.999 ** (step + 1))
        return rate * mean / (spread.sqrt() + 1e-7)

    return update


def train_slowly(network: nn.Module, data: ToyImages, update: Update, *, weight_decay: float, scale: float) -> None:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    step = 0
    for epoch in range(EPOCHS):
        indices = [index for index, _ in EpochOrder(COUNT, seed=3, epoch=epoch, batch_size=BATCH)]
        for start in range(0, COUNT, BATCH):
            batch = indices[start : start + BATCH]
            loss = F.cross_entropy(network((data.images[batch] - mean) / std), data.labels[batch])
            gradients = torch.autograd.grad(loss, list(network.parameters()))
            with torch.no_grad():
                for (name, value), gradient in zip(network.named_parameters(), gradients, strict=True):
                    value.sub_(update(name, gradient + weight_decay * value, scale * rate_at(epoch, step), step))
            step += 1


@pytest.mark.parametrize(
    ("create", "recipe", "scale"),
    [
        (nesterov, toy_recipe(nesterov=True, weight_decay=0.01), 1),
        (adam, toy_recipe(optimizer="adam", weight_decay=0.0), 1),
        (nesterov, toy_recipe(nesterov=True, weight_decay=0.01, learning_rate_batch=14), 0.5),
    ],
    ids=["nesterov", "adam", "half the batch size"],
)
def test_training_is_the_optimizer_written_out_with_a_decay_at_every_step(
    tmp_path: Path, create: Callable[[], Update], recipe: Recipe, scale: float
) -> None:
    data, expected = ToyImages(COUNT, seed=0), toy_network(dropout=0)
    options = {"crop_padding": 0, "horizontal_flip": False, "schedule": "steps", "milestones": (2,)}
    chosen = toy_recipe(**{**vars(recipe), **options, "epochs": EPOCHS, "decay_per_step": 0.02})
    trained = toy_network(dropout=0)
    run = train_toy(tmp_path, trained, recipe=chosen, train=data, seed=3)
    train_slowly(expected, data, create(), weight_decay=chosen.weight_decay, scale=scale)
    # The bias before batch norm has no gradient but noise, which Adam makes as large as any.
    for name, value in expected.state_dict().items():
        if name not in ("0.bias", "1.running_mean"):
            torch.testing.assert_close(trained.state_dict()[name], value, rtol=2e-3, atol=1e-4)
    steps = -(-COUNT // BATCH)
    last = [scale * rate_at(epoch, (epoch + 1) * steps - 1) for epoch in range(EPOCHS)]
    assert run.metrics["learning_rate"] == pytest.approx(last, rel=1e-12)


def optimizer_of(recipe: Recipe) -> torch.optim.Optimizer:
    return Classification(toy_network(), recipe, mean=MEAN, std=STD, seed=0).configure_optimizers()


def test_adam_is_torchs_with_keras_numbers() -> None:
    optimizer = optimizer_of(toy_recipe(optimizer="adam", learning_rate=1e-3, weight_decay=0.0))
    assert type(optimizer) is torch.optim.Adam
    chosen = {name: optimizer.defaults[name] for name in ("lr", "betas", "eps", "weight_decay", "amsgrad")}
    assert chosen == {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-7, "weight_decay": 0, "amsgrad": False}


@pytest.mark.parametrize("ahead", [False, True])
def test_sgd_is_torchs_with_the_recipes_numbers(ahead: bool) -> None:
    optimizer = optimizer_of(toy_recipe(nesterov=ahead, momentum=0.8, weight_decay=1e-4))
    assert type(optimizer) is torch.optim.SGD
    chosen = {name: optimizer.defaults[name] for name in ("lr", "momentum", "weight_decay", "nesterov", "dampening")}
    assert chosen == {"lr": 0.05, "momentum": 0.8, "weight_decay": 1e-4, "nesterov": ahead, "dampening": 0}
