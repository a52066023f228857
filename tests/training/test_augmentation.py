from typing import Any

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gradscape.training.augmentation import AugmentedImages, EpochOrder, shift_image
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


def slowly_shifted(image: np.ndarray, down: float, right: float) -> np.ndarray:
    """Every pixel by itself: bilinear between the four around the place it comes from, which stays in the image."""
    shifted = np.empty_like(image)
    for row in range(HEIGHT):
        for column in range(WIDTH):
            y, x = min(max(row + down, 0), HEIGHT - 1), min(max(column + right, 0), WIDTH - 1)
            top, left = min(int(y), HEIGHT - 2), min(int(x), WIDTH - 2)
            v, u = y - top, x - left
            block = image[:, top : top + 2, left : left + 2]
            shifted[:, row, column] = np.einsum("cij,i,j->c", block, [1 - v, v], [1 - u, u])
    return shifted


@given(
    down=st.floats(-2 * HEIGHT, 2 * HEIGHT, allow_subnormal=False),
    right=st.floats(-2 * WIDTH, 2 * WIDTH, allow_subnormal=False),
)
def test_a_shift_is_bilinear_interpolation_pixel_by_pixel(down: float, right: float) -> None:
    image = ToyImages(1, seed=0).images[0]
    shifted = shift_image(shift_image(image, down, dim=1), right, dim=2)
    np.testing.assert_allclose(shifted.numpy(), slowly_shifted(image.numpy(), down, right), atol=2e-6)
    assert shifted.min() >= 0
    assert shifted.max() <= 1


def test_shifts_are_drawn_evenly_up_to_the_part_of_each_side() -> None:
    """On a ramp whose value is the place, the middle pixel tells where it comes from."""
    data = ToyImages(2, seed=0)
    places = torch.linspace(0, 1, HEIGHT)[:, None].expand(-1, WIDTH), torch.linspace(0, 1, WIDTH).expand(HEIGHT, -1)
    data.images = torch.stack([torch.stack([places[0], places[1], places[1]])] * 2)
    images = AugmentedImages(data, toy_recipe(crop_padding=0, horizontal_flip=False, shift=0.25))
    for channel, side in ((0, HEIGHT), (1, WIDTH)):
        moved = torch.stack(
            [image[channel, 4, 3] for image, _ in images.__getitems__([(0, seed) for seed in range(800)])]
        )
        shifts = ((moved - data.images[0, channel, 4, 3]) * (side - 1)).numpy() / side
        assert np.abs(shifts).max() <= 0.25 + 1e-6
        np.testing.assert_allclose(np.quantile(shifts, [0.1, 0.5, 0.9]), [-0.2, 0, 0.2], atol=0.03)


def test_a_resized_crop_shows_a_part_of_the_image_at_its_size() -> None:
    data = ToyImages(2, seed=0)
    data.images = torch.linspace(0, 1, WIDTH).expand(2, 3, HEIGHT, WIDTH)
    images = AugmentedImages(data, toy_recipe(crop_padding=0, horizontal_flip=False, resized_crop=True))
    widths = []
    for image, _ in images.__getitems__([(0, seed) for seed in range(60)]):
        assert image.shape == (3, HEIGHT, WIDTH)
        assert (image.diff(dim=2) >= -1e-6).all()
        widths.append(float(image.max() - image.min()))
    assert min(widths) < 0.5
    assert max(widths) > 0.9


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


def test_a_data_set_that_is_random_itself_gives_the_same_image_for_the_same_seed() -> None:
    class Noisy(ToyImages):
        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            image, label = super().__getitem__(index)
            return image * torch.rand(()), label

    images = AugmentedImages(Noisy(5, seed=0), toy_recipe())
    assert torch.equal(images[2, 13][0], images.__getitems__([(0, 11), (2, 13)])[1][0])


def test_a_class_in_an_array_of_its_own_stays_a_class() -> None:
    class InArrays(ToyImages):
        def __getitem__(self, index: int) -> tuple[Tensor, Any]:
            image, label = super().__getitem__(index)
            return image, torch.tensor([label])

    taken = AugmentedImages(InArrays(6, seed=0), toy_recipe(horizontal_flip=True))
    assert [taken[index, 0][1] for index in range(6)] == ToyImages(6, seed=0).labels.tolist()
