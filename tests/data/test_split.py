import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from gradscape.data import Split, load_split
from gradscape.data.split import balanced_order

HEIGHT, WIDTH = 6, 9


@pytest.fixture
def arrays() -> dict[str, Any]:
    """43 images of 5 classes, very unequally many."""
    generator = np.random.default_rng(0)
    labels = generator.permutation(np.repeat(np.arange(5), (20, 10, 7, 5, 1)))
    return {"images": generator.integers(0, 256, (43, HEIGHT, WIDTH, 3), dtype=np.uint8), "labels": labels}


@pytest.fixture
def name(tmp_path: Path, arrays: dict[str, Any]) -> str:
    np.savez(tmp_path / "some.npz", **arrays)
    return f"npz:{tmp_path / 'some.npz'}"


def everything(split: Split) -> tuple[torch.Tensor, torch.Tensor]:
    batches = list(split)
    return torch.cat([batch[0] for batch in batches]), torch.cat([batch[1] for batch in batches])


def test_batches_are_the_arrays_in_their_own_order(name: str, arrays: dict[str, np.ndarray]) -> None:
    split = load_split(name, "train", batch_size=16)
    got, labels = everything(split)
    np.testing.assert_array_equal(got.numpy(), (arrays["images"] / np.float32(255)).transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(labels.numpy(), arrays["labels"])
    assert got.dtype == torch.float32
    assert labels.dtype == torch.int64


def test_batches_have_the_asked_size_and_the_last_one_the_rest(name: str) -> None:
    split = load_split(name, "train", batch_size=16)
    assert [len(labels) for _, labels in split] == [16, 16, 11]
    assert len(split) == 3
    assert (split.num_images, split.population, split.batch_size) == (43, 43, 16)


@pytest.mark.parametrize("limit", [None, 30])
def test_order_is_the_same_at_every_iteration_and_every_load(name: str, limit: int | None) -> None:
    split = load_split(name, "train", limit=limit, seed=3, batch_size=7)
    again = load_split(name, "train", limit=limit, seed=3, batch_size=11)
    first = everything(split)
    for other in (everything(split), everything(again)):
        assert torch.equal(first[0], other[0])
        assert torch.equal(first[1], other[1])


@pytest.mark.parametrize("image_size", [None, 4, 13])
@pytest.mark.parametrize("limit", [None, 30])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_streamed_images_are_bitwise_those_held_in_memory(
    name: str, limit: int | None, image_size: int | None, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    if dtype is np.float64:
        path = name.removeprefix("npz:")
        with np.load(path) as archive:
            arrays = dict(archive)
        np.savez(path, images=arrays["images"] / 255.0, labels=arrays["labels"])
    held = load_split(name, "train", limit=limit, image_size=image_size, batch_size=8)
    monkeypatch.setattr("gradscape.data.held.free_memory", lambda: 0)
    streamed = load_split(name, "train", limit=limit, image_size=image_size, batch_size=8)
    assert held.dataset._images._stored is not None
    assert streamed.dataset._images._stored is None
    for (a, b), (c, d) in zip(held, streamed, strict=True):
        assert torch.equal(a, c)
        assert torch.equal(b, d)
    for index in (0, 29, -1):
        assert torch.equal(held.dataset[index][0], streamed.dataset[index][0])
        assert held.dataset[index][1] == streamed.dataset[index][1]


def test_a_set_is_held_in_memory_up_to_half_of_what_is_free(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 43 * 3 * HEIGHT * WIDTH
    monkeypatch.setattr("gradscape.data.held.free_memory", lambda: 2 * size)
    assert load_split(name, "train").dataset._images._stored is not None
    monkeypatch.setattr("gradscape.data.held.free_memory", lambda: 2 * size - 2)
    assert load_split(name, "train").dataset._images._stored is None


def test_data_set_has_the_images_of_the_batches_one_by_one(name: str) -> None:
    split = load_split(name, "train", limit=17, image_size=5)
    got, labels = everything(split)
    items = [split.dataset[index] for index in range(len(split.dataset))]
    assert torch.equal(torch.stack([image for image, _ in items]), got)
    assert [label for _, label in items] == labels.tolist()
    with pytest.raises(IndexError):
        split.dataset[17]


@pytest.mark.parametrize("free", [0, 2**30])
def test_data_set_can_be_pickled(name: str, free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradscape.data.held.free_memory", lambda: free)
    dataset = load_split(name, "train", limit=9).dataset
    copied = pickle.loads(pickle.dumps(dataset))
    assert len(copied) == 9
    assert all(torch.equal(copied[index][0], dataset[index][0]) for index in range(9))


def test_data_set_serves_a_shuffling_loader_with_workers(name: str) -> None:
    split = load_split(name, "train")
    loader = DataLoader(split.dataset, batch_size=10, shuffle=True, num_workers=1)
    labels = torch.cat([batch[1] for batch in loader])
    assert labels.bincount().tolist() == [20, 10, 7, 5, 1]
    assert labels.dtype == torch.int64


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_changing_a_batch_in_place_leaves_the_data_as_they_are(tmp_path: Path, dtype: type) -> None:
    np.savez(tmp_path / "ones.npz", images=np.ones((4, 3, 5), dtype), labels=np.arange(4))
    split = load_split(f"npz:{tmp_path / 'ones.npz'}", "train")
    before = everything(split)
    for taken, labels in split:
        taken.zero_()
        labels.zero_()
    split.dataset[2][0].zero_()
    assert torch.equal(everything(split)[0], before[0])
    assert torch.equal(everything(split)[1], before[1])


def slow_balanced_order(labels: list[int], seed: int) -> list[int]:
    piles = {}
    for label in sorted(set(labels)):
        members = [index for index, other in enumerate(labels) if other == label]
        ranks = np.random.default_rng((seed, label)).permutation(len(members))
        piles[label] = [member for _, member in sorted(zip(ranks, members, strict=True))]
    order = []
    while any(piles.values()):
        order += [pile.pop(0) for pile in piles.values() if pile]
    return order


@settings(max_examples=50, deadline=None)
@given(labels=st.lists(st.integers(0, 6), min_size=1, max_size=60), seed=st.integers(0, 2**32))
def test_balanced_order_deals_out_one_image_of_each_class_in_turn(labels: list[int], seed: int) -> None:
    order = balanced_order(np.array(labels), seed)
    assert order.tolist() == slow_balanced_order(labels, seed)
    assert sorted(order) == list(range(len(labels)))


def test_a_smaller_subset_is_the_beginning_of_a_larger_one(name: str) -> None:
    small, large = (everything(load_split(name, "train", limit=limit, seed=5)) for limit in (12, 31))
    assert torch.equal(small[0], large[0][:12])
    assert torch.equal(small[1], large[1][:12])


def test_a_subset_is_balanced_until_a_class_runs_out(name: str) -> None:
    counts = [load_split(name, "train", limit=limit).dataset.labels.bincount().tolist() for limit in (5, 9, 25)]
    assert counts == [[1, 1, 1, 1, 1], [2, 2, 2, 2, 1], [7, 6, 6, 5, 1]]


def test_another_seed_takes_other_images(name: str) -> None:
    first, second = (everything(load_split(name, "train", limit=10, seed=seed))[0] for seed in (0, 1))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("limit", [43, 44, 10**9])
def test_a_limit_beyond_the_population_gives_everything_in_balanced_order(name: str, limit: int) -> None:
    split = load_split(name, "train", limit=limit)
    assert (split.num_images, split.population) == (43, 43)
    assert split.dataset.labels[:4].tolist() == [0, 1, 2, 3]
    assert split.dataset.labels.bincount().tolist() == [20, 10, 7, 5, 1]


def test_real_training_images_give_a_balanced_subset(test_data: Path) -> None:
    name = f"npz:{test_data / 'cifar10' / 'cifar10_train4000_lossless.npz'}"
    split = load_split(name, "train", limit=256)
    assert (split.num_images, split.population, split.image_size) == (256, 4000, 32)
    assert split.dataset.labels.bincount().tolist() == [26] * 6 + [25] * 4


def test_statistics_are_those_of_every_pixel(name: str, arrays: dict[str, np.ndarray]) -> None:
    mean, std = load_split(name, "train", batch_size=10).channel_statistics()
    pixels = arrays["images"].reshape(-1, 3) / 255
    np.testing.assert_allclose(mean, pixels.mean(0), atol=1e-7)
    np.testing.assert_allclose(std, pixels.std(0), atol=1e-7)


def test_a_constant_channel_can_be_divided_by_its_standard_deviation(tmp_path: Path) -> None:
    pixels = np.zeros((2, 4, 5, 3), np.uint8)
    pixels[0, ..., 1] = 255
    np.savez(tmp_path / "flat.npz", images=pixels, labels=np.arange(2))
    assert load_split(f"npz:{tmp_path / 'flat.npz'}", "train").channel_statistics() == ((0, 0.5, 0), (1, 0.5, 1))


def test_non_square_images_stay_so_at_native_size(name: str) -> None:
    assert load_split(name, "train").image_size == (HEIGHT, WIDTH)
    assert load_split(name, "train", image_size=4).image_size == 4


def test_repr_says_what_it_is(name: str) -> None:
    assert repr(load_split("digits", "test", limit=20)) == (
        "Split('digits', 'test': 20 of 355 images, 10 classes, image_size=16, batch_size=256)"
    )
