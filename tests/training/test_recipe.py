from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    StepLR,
)

from gradscape.training import RECIPES, Recipe, create_recipe
from tests.training.toy import toy_recipe

SCHEDULERS: dict[str, Callable[[Optimizer], LRScheduler]] = {
    "upanets": lambda optimizer: CosineAnnealingLR(optimizer, 200),
    "upanets_cifar100": lambda optimizer: CosineAnnealingLR(optimizer, 200),
    "upanets_ablation": lambda optimizer: CosineAnnealingLR(optimizer, 100),
    "upanets_ablation_cifar100": lambda optimizer: CosineAnnealingLR(optimizer, 100),
    "upanets_tiny_imagenet": lambda optimizer: CosineAnnealingLR(optimizer, 100),
    "spanet": lambda optimizer: StepLR(optimizer, 70),
    "spanet_downsampled_imagenet": lambda optimizer: StepLR(optimizer, 30),
    "spanet_imagenet_resnet": lambda optimizer: StepLR(optimizer, 30),
    "ulsam_mobilenet_v1": lambda optimizer: StepLR(optimizer, 30),
    "ulsam_mobilenet_v1_fine_grained": lambda optimizer: StepLR(optimizer, 30),
    "ulsam_mobilenet_v2": lambda optimizer: ExponentialLR(optimizer, 0.98),
    "ulsam_mobilenet_v2_fine_grained": lambda optimizer: ExponentialLR(optimizer, 0.98),
    "residual_attention": lambda optimizer: ConstantLR(optimizer, 1.0),
    "residual_attention_cifar10": lambda optimizer: ConstantLR(optimizer, 1.0),
    "residual_attention_92": lambda optimizer: MultiStepLR(optimizer, [65, 120, 180]),
    "residual_attention_92_cifar10": lambda optimizer: MultiStepLR(optimizer, [65, 120, 180]),
    "ba2m": lambda optimizer: MultiStepLR(optimizer, [150, 225]),
    "ba2m_imagenet": lambda optimizer: StepLR(optimizer, 30),
    "spanet_retinanet": lambda optimizer: MultiStepLR(optimizer, [18, 22]),
    "spanet_rcnn": lambda optimizer: MultiStepLR(optimizer, [18, 22]),
    "ba2m_boxes": lambda optimizer: MultiStepLR(optimizer, [16, 22]),
    "deeplabv3": lambda optimizer: CosineAnnealingLR(optimizer, 30),
    "digits": lambda optimizer: CosineAnnealingLR(optimizer, 5),
}


def scheduled(create: Callable[[Optimizer], LRScheduler], rate: float, epochs: int) -> list[float]:
    """Torch's learning rates, epoch by epoch."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=rate)
    scheduler, rates = create(optimizer), []
    for _ in range(epochs):
        rates.append(float(scheduler.get_last_lr()[0]))
        optimizer.step()
        scheduler.step()
    return rates


def rates_of(recipe: Recipe) -> list[float]:
    return [recipe.learning_rate_at(epoch) for epoch in range(recipe.epochs)]


@pytest.mark.parametrize("name", sorted(set(RECIPES) - {"spanet_imagenet_mobilenet_v2"}))
def test_the_learning_rate_is_that_of_torchs_own_schedule(name: str) -> None:
    recipe = RECIPES[name]
    rates = rates_of(recipe)
    assert rates == pytest.approx(scheduled(SCHEDULERS[name], rates[0], recipe.epochs), abs=1e-12)
    assert recipe.schedule == "constant" or rates[-1] < rates[0]


def test_a_warm_up_rises_by_equal_parts_and_the_cosine_begins_after_it() -> None:
    rates = rates_of(RECIPES["spanet_imagenet_mobilenet_v2"])
    rising = scheduled(lambda optimizer: LinearLR(optimizer, 0.2, total_iters=4), 0.1, 5)
    falling = scheduled(lambda optimizer: CosineAnnealingLR(optimizer, 145), 0.1, 145)
    assert rates == pytest.approx(rising + falling, abs=1e-12)


def test_steps_after_a_warm_up_come_at_their_epochs() -> None:
    recipe = toy_recipe(epochs=8, learning_rate=0.4, schedule="steps", milestones=(3, 6), factor=0.5, warmup_epochs=2)
    assert rates_of(recipe) == pytest.approx([0.2, 0.4, 0.4, 0.2, 0.2, 0.2, 0.1, 0.1])


def test_a_run_shorter_than_its_warm_up_only_rises() -> None:
    assert rates_of(toy_recipe(epochs=2, learning_rate=0.4, warmup_epochs=4)) == pytest.approx([0.1, 0.2])


def test_the_cosine_reaches_0_when_the_training_is_over() -> None:
    assert RECIPES["upanets"].learning_rate_at(200) == 0


def test_decay_per_step_is_keras_formula() -> None:
    recipe, steps = RECIPES["residual_attention_92"], 625
    iterations = 0
    for epoch in range(70):
        base = 0.1 if epoch < 65 else 0.01
        for _ in range(steps):
            if iterations % 997 == 0 or epoch >= 69:
                expected = base * (1.0 / (1.0 + 0.0001 * iterations))
                assert recipe.learning_rate_at(epoch, iterations) == pytest.approx(expected, rel=1e-12)
            iterations += 1


@pytest.mark.parametrize("batch_size", [4, 8, 16, 32, 64, 128, 256])
def test_the_learning_rate_changes_with_the_batch_size_in_proportion(batch_size: int) -> None:
    recipe = create_recipe("ba2m", batch_size=batch_size)
    assert recipe.learning_rate_at(0) * 128 == pytest.approx(0.1 * batch_size)


def test_without_a_batch_size_of_its_own_the_learning_rate_stays() -> None:
    assert create_recipe("spanet", batch_size=32).learning_rate_at(0) == 0.1


REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"epochs": 0}, ValueError, "`epochs` must be at least 1, got 0"),
    ({"epochs": 2.5}, TypeError, "`epochs` must be a whole number, got 2.5"),
    ({"epochs": True}, TypeError, "`epochs` must be a whole number, got True"),
    ({"batch_size": 1}, ValueError, "`batch_size` must be at least 2, got 1"),
    ({"learning_rate": 0.0}, ValueError, "`learning_rate` must be finite and above 0, got 0.0"),
    ({"learning_rate": float("nan")}, ValueError, "`learning_rate` must be finite and above 0, got nan"),
    ({"learning_rate": "0.1"}, TypeError, "`learning_rate` must be a number, got '0.1'"),
    ({"learning_rate_batch": 0}, ValueError, "`learning_rate_batch` must be at least 1, got 0"),
    ({"momentum": -0.1}, ValueError, "`momentum` must be at least 0 and below 1, got -0.1"),
    ({"momentum": 1.0}, ValueError, "`momentum` must be at least 0 and below 1, got 1.0"),
    ({"weight_decay": float("inf")}, ValueError, "`weight_decay` must be finite and at least 0, got inf"),
    ({"optimizer": "adamw"}, ValueError, "`optimizer` must be one of sgd, adam, got 'adamw'"),
    (
        {"loss": "hinge"},
        ValueError,
        "`loss` must be one of cross_entropy, focal, ohem, detection_loss, pixel_cross_entropy, got 'hinge'",
    ),
    ({"nesterov": 1}, TypeError, "`nesterov` must be True or False, got 1"),
    ({"nesterov": True, "momentum": 0.0}, ValueError, "`nesterov` must be False without sgd and a momentum"),
    ({"nesterov": True, "optimizer": "adam"}, ValueError, "got adam with momentum 0.9"),
    (
        {"schedule": "linear"},
        ValueError,
        "`schedule` must be one of cosine, steps, exponential, constant, got 'linear'",
    ),
    ({"schedule": "steps"}, ValueError, r"`milestones` must be given for the schedule steps .* got \(\) for steps"),
    ({"milestones": (3,)}, ValueError, r"got \(3,\) for cosine"),
    ({"schedule": "steps", "milestones": (4, 4)}, ValueError, r"a tuple of rising epochs above 0, got \(4, 4\)"),
    ({"schedule": "steps", "milestones": (0, 4)}, ValueError, r"rising epochs above 0, got \(0, 4\)"),
    ({"schedule": "steps", "milestones": ("a",)}, ValueError, r"rising epochs above 0, got \('a',\)"),
    ({"schedule": "steps", "milestones": [4]}, ValueError, r"must be a tuple of rising epochs above 0, got \[4\]"),
    ({"factor": 0.0}, ValueError, "`factor` must be finite and above 0, got 0.0"),
    ({"decay_per_step": -1.0}, ValueError, "`decay_per_step` must be finite and at least 0, got -1.0"),
    ({"warmup_epochs": -1}, ValueError, "`warmup_epochs` must be at least 0, got -1"),
    ({"crop_padding": -1}, ValueError, "`crop_padding` must be at least 0, got -1"),
    ({"shift": 1.0}, ValueError, "`shift` must be at least 0 and below 1, got 1.0"),
    ({"mean": (0.5, 0.5, 0.5)}, ValueError, "`mean` and `std` must both be given or both be None"),
    (
        {"mean": (0.5, 0.5), "std": (1.0, 1.0, 1.0)},
        ValueError,
        r"`mean` must be three finite numbers, got \(0.5, 0.5\)",
    ),
    (
        {"mean": (0.5, 0.5, 0.5), "std": (1.0, 0.0, 1.0)},
        ValueError,
        r"`std` must be three finite numbers above 0, got \(1.0, 0.0, 1.0\)",
    ),
    ({"validation_share": 1.0}, ValueError, "`validation_share` must be at least 0 and below 1, got 1.0"),
    ({"early_stopping_patience": 0}, ValueError, "`early_stopping_patience` must be at least 1, got 0"),
    ({"early_stopping_metric": "loss"}, ValueError, "`early_stopping_metric` must be one of test_accuracy, train_acc"),
    ({"seeds": 0}, ValueError, "`seeds` must be at least 1, got 0"),
]


@pytest.mark.parametrize(("changes", "error", "said"), REFUSED)
def test_what_is_no_recipe_is_refused_in_one_line_by_its_name(
    changes: dict[str, Any], error: type[Exception], said: str
) -> None:
    recipe = toy_recipe()
    # Set behind its back: what checks annotations under pytest would refuse wrong kinds with a message of its own.
    vars(recipe).update(changes)
    with pytest.raises(error, match=said) as refusal:
        recipe.__post_init__()
    assert "\n" not in str(refusal.value)


def test_a_recipe_is_checked_when_it_is_made() -> None:
    with pytest.raises(ValueError, match="`shift` must be at least 0 and below 1"):
        toy_recipe(shift=1.5)
