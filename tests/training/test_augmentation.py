import numpy as np
import torch
from torch import Tensor

from gradscape.training.augmentation import AugmentedImages, EpochOrder
from tests.training.toy import HEIGHT, WIDTH, ToyImages, toy_recipe


def order(count: int = 30, *, seed: int = 0, epoch: int = 0, batch_size: int = 7) -> list[tuple[int, int]]:
    return list(EpochOrder(count, seed=seed, epoch=epoch, batch_size=batch_size))


def every_variant(image: Tensor, padding: int, *, mirrored: bool) -> list[np.ndarray]:
    padded = np.zeros((3, HEIGHT + 2 * padding, WIDTH + 2 * padding), dtype=np.float32)
    padded[:, padding : padding + HEIGHT, padding : padding + WIDTH] = image.numpy()
    crops = [
        padded[:, top : top + HEIGHT, left : left + WIDTH]
        for top in range(2 * padding + 1)
        for left in range(2 * padding + 1)
    ]
    return crops + [crop[:, :, ::-1] for crop in crops] if mirrored else crops


def variants_seen(data: ToyImages, *, padding: int, mirrored: bool) -> set[int]:
    images = AugmentedImages(data, toy_recipe(crop_padding=padding, horizontal_flip=mirrored))
    expected = every_variant(data.images[3], padding, mirrored=mirrored)
    seen = set()
    for image, label in images.__getitems__([(3, seed) for seed in range(300)]):
        matches = [number for number, variant in enumerate(expected) if np.array_equal(image.numpy(), variant)]
        assert len(matches) == 1
        assert label == 3
        seen.add(matches[0])
    return seen


def test_every_crop_and_its_mirror_image_occurs_and_nothing_else() -> None:
    assert variants_seen(ToyImages(5, seed=0), padding=1, mirrored=True) == set(range(18))


def test_without_mirroring_only_crops_occur() -> None:
    assert variants_seen(ToyImages(5, seed=0), padding=1, mirrored=False) == set(range(9))


def test_without_padding_and_mirroring_an_image_stays_as_it_is() -> None:
    assert variants_seen(ToyImages(5, seed=0), padding=0, mirrored=False) == {0}


def test_an_epoch_takes_every_image_once() -> None:
    assert sorted(index for index, _ in order(30)) == list(range(30))
    assert [index for index, _ in order(30)] != list(range(30))


def test_a_last_batch_of_one_image_is_left_out_and_another_one_each_epoch() -> None:
    left_out = set()
    for epoch in range(5):
        taken = {index for index, _ in order(29, epoch=epoch)}
        assert len(taken) == 28
        left_out |= set(range(29)) - taken
    assert len(left_out) > 1


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    torch.manual_seed(5)
    first = order(seed=1, epoch=2)
    torch.manual_seed(6)
    assert order(seed=1, epoch=2) == first
    assert order(seed=1, epoch=3) != first
    assert order(seed=2, epoch=2) != first
    # seed + epoch would make these two the same
    assert order(seed=2, epoch=1) != first


def test_set_epoch_is_the_same_as_starting_there() -> None:
    moved = EpochOrder(30, seed=0, epoch=0, batch_size=7)
    moved.set_epoch(4)
    assert list(moved) == order(epoch=4)


def test_an_image_looks_the_same_in_every_batch_it_comes_in() -> None:
    images = AugmentedImages(ToyImages(5, seed=0), toy_recipe(crop_padding=2))
    batch = images.__getitems__([(0, 11), (4, 12), (2, 13)])
    for (image, label), pair in zip(batch, [(0, 11), (4, 12), (2, 13)], strict=True):
        alone, same_label = images[pair]
        assert torch.equal(alone, image)
        assert label == same_label


def test_augmentation_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    AugmentedImages(ToyImages(5, seed=0), toy_recipe()).__getitems__(order(5))
    assert torch.equal(torch.get_rng_state(), before)
