"""How a paper trained its nets: optimizer, schedule and augmentation, as plain numbers."""

import difflib
import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Stochastic gradient descent along half a cosine, on randomly cropped and mirrored images.

    Attributes:
        epochs: Passes over the training images, also the length of the half cosine.
        batch_size: Images a step.
        learning_rate: Of the first epoch.
        momentum: Of stochastic gradient descent, without Nesterov's correction.
        weight_decay: Times the parameter, added to every parameter's gradient (biases and batch norm too).
        crop_padding: Black pixels added on each side before a crop of the old size at a random place; 0 for no crop.
        horizontal_flip: Whether every second image, at random, is mirrored.
    """

    epochs: int
    batch_size: int = 100
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    crop_padding: int = 4
    horizontal_flip: bool = True

    def __post_init__(self) -> None:
        least = {"epochs": 1, "batch_size": 2, "momentum": 0, "weight_decay": 0, "crop_padding": 0}
        for name, minimum in least.items():
            value = getattr(self, name)
            if not minimum <= value < math.inf:
                raise ValueError(f"`{name}` must be finite and at least {minimum}, got {value}; change the recipe")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"`learning_rate` must be finite and above 0, got {self.learning_rate}; try 0.1")

    def learning_rate_at(self, epoch: int) -> float:
        r"""Learning rate of a whole epoch: \(\eta\,(1 + \cos(\pi\,t / T)) / 2\).

        Args:
            epoch: t, from 0 to T − 1 with T = `epochs`; at T the half cosine would reach 0.

        Returns:
            The learning rate.

        Source:
            Loshchilov and Hutter, 2017, SGDR (arXiv 1608.03983), equation 5, without restarts.
        """
        return self.learning_rate * (1 + math.cos(math.pi * epoch / self.epochs)) / 2


RECIPES = {
    "upanets": Recipe(epochs=200),
    "upanets_ablation": Recipe(epochs=100),
    # The paper pads by 4; the authors' code, for the same table, by 8.
    "upanets_tiny_imagenet": Recipe(epochs=100),
    # A mirrored digit is none.
    "digits": Recipe(epochs=5, learning_rate=0.05, crop_padding=1, horizontal_flip=False),
}


def create_recipe(name: str, **changes: int | float | None) -> Recipe:
    """A recipe by name, with some of its numbers changed.

    Args:
        name: A key of `RECIPES`.
        changes: Fields of `Recipe` and their new values; None leaves a field as it is.

    Returns:
        The recipe.

    Raises:
        ValueError: The name is unknown, or a value is out of range.
        TypeError: A field is unknown.

    Source:
        UPANets (arXiv 2103.08640), section 4.1 and the authors' published training script.
    """
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, n=3, cutoff=0.4) or sorted(RECIPES)
        raise ValueError(f"`name` must be a known recipe, got {name!r}; did you mean {' or '.join(near)}?")
    unknown = sorted(set(changes) - set(Recipe.__dataclass_fields__))
    if unknown:
        known = ", ".join(Recipe.__dataclass_fields__)
        raise TypeError(f"`changes` must be fields of a recipe, got {', '.join(unknown)}; choose from {known}")
    return replace(RECIPES[name], **{field: value for field, value in changes.items() if value is not None})  # type: ignore[arg-type]
