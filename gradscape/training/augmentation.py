"""Training images in a random order, each randomly cropped and mirrored: the same for the same seed and epoch."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from torchvision.transforms import v2

from gradscape.training.recipes import Recipe

Item = tuple[Float[Tensor, "3 _ _"], int]
_SEEDS = 2**31


class EpochOrder(Sampler[tuple[int, int]]):
    """The order of one epoch: pairs of an image's index and a seed for its augmentation.

    Both follow from (`seed`, `epoch`) alone, so that neither the number of workers nor a restart changes what an
    image looks like.

    Args:
        count: Images in the data set.
        seed: Of the run.
        epoch: The first epoch wanted, from 0.
        batch_size: Known only to leave out a last batch of a single image, on which batch norm cannot train.
    """

    def __init__(self, count: int, *, seed: int, epoch: int, batch_size: int) -> None:
        self.count = count
        self.seed = seed
        self.epoch = epoch
        self.kept = count - (count % batch_size == 1)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0, whose order comes next; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.kept

    def __iter__(self) -> Iterator[tuple[int, int]]:
        generator = torch.Generator().manual_seed(epoch_seed(self.seed, self.epoch))
        order = torch.randperm(self.count, generator=generator).tolist()
        seeds = torch.randint(_SEEDS, (self.count,), generator=generator).tolist()
        return iter(list(zip(order, seeds, strict=True))[: self.kept])


class AugmentedImages(Dataset[Item]):
    """Images of a data set, randomly changed as a recipe says; taken by the pairs of `EpochOrder`.

    Args:
        images: Map-style data set of (image, label).
        recipe: Says how to crop and mirror.
    """

    def __init__(self, images: Dataset[Item], recipe: Recipe) -> None:
        self.images = images
        self.recipe = recipe
        self.flip = v2.RandomHorizontalFlip()

    def __len__(self) -> int:
        return len(self.images)  # type: ignore[arg-type]

    def __getitem__(self, pair: tuple[int, int]) -> Item:
        return self.__getitems__([pair])[0]

    def __getitems__(self, pairs: list[tuple[int, int]]) -> list[Item]:
        """Take one batch: torch's loader prefers this to a call per image."""
        with torch.random.fork_rng(devices=[]):
            return [self._augmented(*pair) for pair in pairs]

    def _augmented(self, index: int, seed: int) -> Item:
        image, label = self.images[index]
        torch.default_generator.manual_seed(seed)
        if self.recipe.crop_padding:
            image = v2.RandomCrop(image.shape[-2:], padding=self.recipe.crop_padding)(image)
        if self.recipe.horizontal_flip:
            image = self.flip(image)
        return image, int(label)


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed for all that is random in one epoch of a run: a number drawn, so that close seeds share no epochs."""
    draws = torch.randint(_SEEDS, (epoch + 1,), generator=torch.Generator().manual_seed(seed))
    return int(draws[epoch])
