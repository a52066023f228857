import pytest
import torch

from gradscape.training import RECIPES, create_recipe


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_the_learning_rate_is_that_of_torchs_cosine_schedule(name: str) -> None:
    recipe = RECIPES[name]
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=recipe.epochs)
    for epoch in range(recipe.epochs):
        assert recipe.learning_rate_at(epoch) == pytest.approx(schedule.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        schedule.step()
    assert recipe.learning_rate_at(recipe.epochs) == 0


@pytest.mark.parametrize(
    ("name", "epochs"), [("upanets", 200), ("upanets_ablation", 100), ("upanets_tiny_imagenet", 100)]
)
def test_the_upanets_recipes_hold_the_papers_numbers(name: str, epochs: int) -> None:
    recipe = RECIPES[name]
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate) == (epochs, 100, 0.1)
    assert (recipe.momentum, recipe.weight_decay) == (0.9, 5e-4)
    assert (recipe.crop_padding, recipe.horizontal_flip) == (4, True)


def test_digits_are_not_mirrored() -> None:
    assert not RECIPES["digits"].horizontal_flip


def test_a_change_of_none_leaves_the_recipe_as_it_is() -> None:
    recipe = create_recipe("upanets", epochs=7, batch_size=None)
    assert (recipe.epochs, recipe.batch_size) == (7, 100)


def test_an_unknown_recipe_is_refused_with_near_names() -> None:
    with pytest.raises(ValueError, match=r"`name` must be a known recipe, got 'upanet'; did you mean upanets"):
        create_recipe("upanet")


def test_an_unknown_field_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        TypeError, match=r"`changes` must be fields of a recipe, got lr; choose from epochs, batch_size"
    ):
        create_recipe("upanets", lr=0.1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("batch_size", 1),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("momentum", -0.1),
        ("weight_decay", float("inf")),
        ("crop_padding", -1),
    ],
)
def test_a_number_out_of_range_is_refused_by_its_name(field: str, value: int | float) -> None:
    with pytest.raises(ValueError, match=f"`{field}` must be"):
        create_recipe("upanets", **{field: value})
