"""Faithfulness against closed forms, slow loops over the definitions, and the grad-cam package."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_grad_cam.metrics.perturbation_confidence import (
    PerturbationConfidenceMetric,
    RemoveLeastRelevantFirst,
    RemoveMostRelevantFirst,
)
from pytorch_grad_cam.metrics.road import NoisyLinearImputer, ROADCombined
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from torch import Tensor, nn

from gradscape._checkpoint import Classifier
from gradscape._digest import digest_tensors
from gradscape.explain.faithfulness import MEASURES, Faithfulness, _road_images, measure_faithfulness
from gradscape.explain.heatmap import Heatmaps
from gradscape.explain.removal import blurred, impute, pixel_ranks

HEIGHT, WIDTH, CLASSES = 9, 13, 4

# grad-cam gives tensors to functions of NumPy in a way that NumPy means to drop.
of_grad_cam = pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")


class Brightness(nn.Module):
    """Its score is the weighted sum of the pixels: every curve of it is known."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, images: Tensor) -> Tensor:
        return (images * self.weights).flatten(1).sum(1)


def _net(seed: int = 0) -> nn.Sequential:
    """A smooth classifier of three-colored images."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.Tanh(),
            nn.Conv2d(6, 8, 3, stride=2),
            nn.Tanh(),
            nn.Flatten(),
            nn.Linear(8 * 4 * 6, CLASSES),
        )


def _images(count: int = 3, seed: int = 1) -> Tensor:
    return torch.rand(count, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed))


def _maps(raw: np.ndarray, *, class_index: int | np.ndarray = 2, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Heatmaps:
    count = len(raw)
    zeros = np.zeros(count, np.float32)
    classes = np.broadcast_to(np.asarray(class_index, np.int64), (count,)).copy()
    return Heatmaps(raw.astype(np.float32), size, "gradcam", "features.3", classes, zeros, zeros, {"model": "net"})


def _random_maps(count: int = 3, *, seed: int = 2, **options: Any) -> Heatmaps:
    """Maps at a layer's size, some of it negative."""
    return _maps(np.random.default_rng(seed).normal(0.3, 1, (count, 4, 5)), **options)


def _pixel_maps(values: np.ndarray, **options: Any) -> Heatmaps:
    """Maps at the images' own size."""
    return _maps(values, class_index=-1, size=values.shape[1:], **options)


def _slow_blur(image: np.ndarray) -> np.ndarray:
    kernel = np.array([[np.exp(-(y * y + x * x) / 50) for x in range(-5, 6)] for y in range(-5, 6)])
    kernel /= kernel.sum()
    result = np.zeros_like(image)
    for channel, row, column in np.ndindex(image.shape):
        for y in range(-5, 6):
            for x in range(-5, 6):
                source = min(max(row + y, 0), image.shape[1] - 1), min(max(column + x, 0), image.shape[2] - 1)
                result[channel, row, column] += kernel[y + 5, x + 5] * image[channel, *source]
    return result


def _slow_imputation(image: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Every equation written out, solved densely in float64."""
    places = [(int(y), int(x)) for y, x in np.argwhere(removed)]
    matrix, right = np.zeros((len(places), len(places))), np.zeros((len(places), len(image)))
    for number, (y, x) in enumerate(places):
        neighbors = {
            (y + down, x + along): 1 / 6 if down == 0 or along == 0 else 1 / 12
            for down in (-1, 0, 1)
            for along in (-1, 0, 1)
            if (down, along) != (0, 0) and 0 <= y + down < image.shape[1] and 0 <= x + along < image.shape[2]
        }
        matrix[number, number] = sum(neighbors.values())
        for place, weight in neighbors.items():
            if removed[place]:
                matrix[number, places.index(place)] -= weight
            else:
                right[number] += weight * image[:, *place]
    filled = image.astype(np.float64)
    for place, values in zip(places, np.linalg.solve(matrix, right), strict=True):
        filled[:, *place] = values
    return filled


def _slow_measures(
    ask: Callable[[np.ndarray], float], image: np.ndarray, display: np.ndarray, steps: int
) -> dict[str, float]:
    """One image, pixel by pixel, from the papers' definitions; the map must be without ties."""
    order = sorted(np.ndindex(display.shape), key=lambda place: -float(display[place]))
    total = len(order)
    counts = [round(total * step / steps) for step in range(steps + 1)]
    deletion, insertion = [], []
    blur = _slow_blur(image)
    for count in counts:
        less, more = image.copy(), blur.copy()
        for place in order[:count]:
            less[:, *place] = 0
            more[:, *place] = image[:, *place]
        deletion.append(ask(less))
        insertion.append(ask(more))
    whole, explained = ask(image), ask(image * display)
    seed = int(digest_tensors([("image", torch.from_numpy(image))]), 16)
    noise = 0.01 * np.random.default_rng(seed).standard_normal(image.shape, np.float32)
    changes: dict[str, float] = {}
    for name, places in (("road_morf", order), ("road_lerf", order[::-1])):
        answers = []
        for tenth in range(1, 10):
            removed = np.zeros(display.shape, bool)
            for place in places[: round(total * tenth / 10)]:
                removed[place] = True
            answers.append(ask((_slow_imputation(image, removed) + noise * removed).astype(np.float32)))
        changes[name] = sum(answers) / 9 - whole
    return {
        "deletion": _area(deletion, counts),
        "insertion": _area(insertion, counts),
        "drop": max(0.0, whole - explained) / whole,
        "increase": float(whole < explained),
        **changes,
        "road": (changes["road_lerf"] - changes["road_morf"]) / 2,
    }


def _area(values: list[float], counts: list[int]) -> float:
    pieces = zip(values, values[1:], counts, counts[1:], strict=False)
    return sum((first + second) / 2 * (after - before) for first, second, before, after in pieces) / counts[-1]


def test_every_measure_is_that_of_a_slow_loop_over_its_definition() -> None:
    net, images = _net().eval(), _images()
    maps = _maps(np.random.default_rng(5).random((3, HEIGHT, WIDTH)), class_index=np.array([2, 0, 3]))
    found = measure_faithfulness(net, images, maps, steps=7)
    for number, image in enumerate(images.numpy()):

        def ask(changed: np.ndarray, number: int = number) -> float:
            with torch.no_grad():
                return float(net(torch.from_numpy(changed)[None]).softmax(1)[0, maps.class_index[number]])

        assert found.confidence[number] == pytest.approx(ask(image), abs=1e-6)
        for name, value in _slow_measures(ask, image, maps.display[number], 7).items():
            assert getattr(found, name)[number] == pytest.approx(value, abs=2e-5), name


@pytest.mark.parametrize("right", [True, False])
def test_deletion_and_insertion_of_a_sum_of_pixels_are_those_of_the_closed_form(right: bool) -> None:
    """The n pixels of a sum, 1 … n, deleted from the largest: n²/2·(2 − x)·x is gone when a share of x is."""
    count = HEIGHT * WIDTH
    values = torch.from_numpy(np.random.default_rng(3).permutation(count) + 1.0).float().view(HEIGHT, WIDTH)
    relevance = (values if right else values.max() + 1 - values).numpy()
    model, images = Brightness(values), torch.ones(1, 3, HEIGHT, WIDTH)
    found = measure_faithfulness(model, images, _pixel_maps(relevance[None]), score=lambda output: output, steps=count)
    # Left after k deletions of the largest are 3·(n−k)(n−k+1)/2, of the smallest the rest of the whole.
    left = np.array([3 * (count - k) * (count - k + 1) / 2 for k in range(count + 1)])
    if not right:
        left = left[0] - left[::-1]
    assert found.confidence[0] == left[0]
    assert found.deletion[0] == pytest.approx((left.sum() - left[0] / 2) / count, rel=1e-6)
    # A constant image is its own blur, so that nothing is inserted.
    assert found.insertion[0] == pytest.approx(left[0], rel=1e-5)


def test_a_better_heatmap_has_better_numbers() -> None:
    weights = torch.zeros(HEIGHT, WIDTH)
    weights[2:6, 3:8] = 1
    images = _images(4)
    images[:, :, 2:6, 3:8] += 1
    good, bad = (np.repeat(map_.numpy()[None], 4, 0) for map_ in (weights, 1 - weights))
    right, wrong = (
        measure_faithfulness(
            Brightness(weights), images, _pixel_maps(maps), score=lambda output: output, boxes=[[3, 2, 8, 6]] * 4
        )
        for maps in (good, bad)
    )
    for name in ("insertion", "road_lerf", "road", "pointing", "energy"):
        assert (getattr(right, name) > getattr(wrong, name)).all(), name
    for name in ("deletion", "drop", "road_morf"):
        assert (getattr(right, name) < getattr(wrong, name)).all(), name


def test_an_explanation_map_that_leaves_all_evidence_drops_nothing() -> None:
    weights = torch.zeros(HEIGHT, WIDTH)
    weights[4, 6], weights[8, 1] = 1, -1
    relevance = (weights > 0).float().numpy()[None]
    found = measure_faithfulness(
        Brightness(weights), torch.full((1, 3, HEIGHT, WIDTH), 0.5), _pixel_maps(relevance), score=_negative_kept
    )
    assert (found.confidence[0], found.drop[0], found.increase[0]) == (1, 0, 1)  # 1 alone, 2.5 where −1 is hidden


def _negative_kept(output: Tensor) -> Tensor:
    return output + 1


def test_drop_has_no_number_where_the_score_is_not_positive() -> None:
    found = measure_faithfulness(
        Brightness(-torch.ones(HEIGHT, WIDTH)),
        _images(),
        _random_maps(class_index=-1),
        score=lambda output: output,
    )
    assert np.isnan(found.drop).all()
    assert np.isfinite(found.deletion).all()


@pytest.mark.parametrize("shape", [(9, 13), (12, 5), (1, 6), (6, 1)])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_imputation_solves_the_equations_of_a_dense_system(shape: tuple[int, int], share: float) -> None:
    random = np.random.default_rng(4)
    image = random.random((2, *shape), np.float32)
    removed = random.permutation(image[0].size).reshape(shape) < round(share * image[0].size)
    np.testing.assert_allclose(impute(image, removed), _slow_imputation(image, removed), atol=1e-5)


@of_grad_cam
def test_imputation_is_that_of_grad_cam_without_its_noise() -> None:
    image = torch.rand(3, 40, 30, generator=torch.Generator().manual_seed(6))
    ramp = torch.linspace(-1, 1, 40)[:, None] ** 2 + torch.linspace(-1, 2, 30) ** 2
    for removed in (ramp < 1.5, ramp > 1.5):
        theirs = NoisyLinearImputer(noise=0)(image, (~removed).float())
        np.testing.assert_allclose(impute(image.numpy(), removed.numpy()), theirs, atol=1e-5)


def test_imputation_needs_a_pixel_and_leaves_a_whole_image_alone() -> None:
    image = _images()[0].numpy()
    np.testing.assert_array_equal(impute(image, np.zeros((HEIGHT, WIDTH), bool)), image)
    with pytest.raises(ValueError, match="`removed` must leave at least one pixel of the image"):
        impute(image, np.ones((HEIGHT, WIDTH), bool))


@of_grad_cam
def test_road_is_that_of_grad_cam_without_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its percentiles remove 90 … 10 %, of a multiple of ten pixels as many as ours."""
    monkeypatch.setattr("gradscape.explain.faithfulness._ROAD_NOISE", 0)
    net, size = _net().eval(), (10, 13)
    images = torch.rand(3, 3, *size, generator=torch.Generator().manual_seed(8))
    maps = _maps(np.random.default_rng(5).random((3, *size)), size=size)
    targets = [ClassifierOutputSoftmaxTarget(2)] * 3
    found = measure_faithfulness(net, images, maps)
    for ours, removal in ((found.road_morf, RemoveMostRelevantFirst), (found.road_lerf, RemoveLeastRelevantFirst)):
        metrics = [
            PerturbationConfidenceMetric(removal(percentile, NoisyLinearImputer(noise=0)))
            for percentile in range(10, 100, 10)
        ]
        theirs = np.mean([metric(images, maps.display, targets, net) for metric in metrics], axis=0)
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
        assert np.ptp(theirs) > 1e-3  # so that the tolerance says something


@of_grad_cam
def test_roads_noise_hardly_moves_what_grad_cam_gives_with_its_own() -> None:
    net, images, maps = _net().eval(), _images(), _random_maps()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = ROADCombined()(images, maps.display, [ClassifierOutputSoftmaxTarget(2)] * 3, net)
    np.testing.assert_allclose(measure_faithfulness(net, images, maps).road, theirs, atol=2e-3)


def test_roads_noise_is_that_of_the_image_and_of_its_size() -> None:
    images = _images(2)
    ranks = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    noisy, other, again = (_road_images(images[0].numpy(), ranks, seed) for seed in (1, 2, 1))
    np.testing.assert_array_equal(noisy, again)
    assert (noisy != other).any()
    for one, count in zip(noisy, [*np.round(np.arange(1, 10) / 10 * ranks.size)] * 2, strict=True):
        noise = one - images[0].numpy()
        assert (noise != 0).any(axis=0).sum() == count
    removed = ranks < round(0.9 * ranks.size)
    assert (noisy[8] - impute(images[0].numpy(), removed))[:, removed].std() == pytest.approx(0.01, rel=0.1)


def test_neither_the_other_images_nor_their_order_change_a_bit() -> None:
    net, images, maps = _net(), _images(4), _random_maps(4)
    together = measure_faithfulness(net, images, maps)
    for number in range(4):
        alone = measure_faithfulness(
            net, images[number : number + 1], _maps(maps.raw[number : number + 1], class_index=2)
        )
        for name in MEASURES:
            np.testing.assert_array_equal(getattr(alone, name)[0], getattr(together, name)[number], err_msg=name)


def test_the_batch_size_changes_nothing_but_rounding() -> None:
    net, images, maps = _net(), _images(), _random_maps()
    whole, pieces = (measure_faithfulness(net, images, maps, batch_size=size) for size in (1000, 3))
    for name in MEASURES:
        np.testing.assert_allclose(getattr(pieces, name), getattr(whole, name), atol=1e-6, err_msg=name)


def test_ties_are_ranked_by_the_signed_map_and_then_by_a_shuffle_of_the_image() -> None:
    display = np.array([[0, 1, 0], [0, 0, 0.5]], np.float32)
    signed = np.array([[-3, 1, 0], [-1, 0, 0.5]], np.float32)
    ranks = pixel_ranks(display, signed, seed=0)
    assert (ranks[0, 1], ranks[1, 2], ranks[1, 0], ranks[0, 0]) == (0, 1, 4, 5)
    orders = {tuple(pixel_ranks(display, signed, seed=seed)[[0, 1], [2, 1]].tolist()) for seed in range(20)}
    assert orders == {(2, 3), (3, 2)}
    np.testing.assert_array_equal(pixel_ranks(display, signed, seed=7), pixel_ranks(display, signed, seed=7))


def test_a_map_that_shows_nothing_has_a_reason_and_no_number() -> None:
    raw = np.random.default_rng(2).normal(0.3, 1, (5, 4, 5))
    raw[0], raw[1], raw[2], raw[3, 1, 1] = 0, -(raw[1] ** 2), 3, np.nan
    found = measure_faithfulness(_net(), _images(5), _maps(raw), boxes=[[0, 0, 5, 5]] * 5)
    assert found.faults == {0: "all zero", 1: "nothing positive", 2: "constant", 3: "not finite"}
    for name in MEASURES:
        assert np.isnan(getattr(found, name)).tolist() == [True] * 4 + [False], name
        assert found.means[name].count == 1
    assert np.isfinite(found.confidence).all()


def test_an_answer_that_is_not_finite_has_a_reason_and_no_number() -> None:
    found = measure_faithfulness(
        Brightness(torch.ones(HEIGHT, WIDTH)),
        _images(),
        _random_maps(class_index=-1),
        score=lambda output: torch.where(output < 30, torch.nan, output),
    )
    assert found.faults == dict.fromkeys(range(3), "confidence not finite")
    assert np.isnan(found.deletion).all()


def test_the_maximum_and_the_energy_are_looked_for_in_the_box() -> None:
    raw = np.zeros((3, HEIGHT, WIDTH))
    raw[0, 2, 10], raw[0, 7, 1] = 3, 1
    raw[1], raw[1, 8, 12] = raw[0], 4
    raw[2] = raw[0]
    boxes = np.array([[9.5, 2, 11, 2.5], [10, 2, 11, 3], [np.nan] * 4])
    found = measure_faithfulness(_net(), _images(), _maps(raw), boxes=boxes)
    np.testing.assert_array_equal(found.pointing, [1, 0, np.nan])
    np.testing.assert_allclose(found.energy, [3 / 4, 3 / 8, np.nan], rtol=1e-6)
    assert found.means["pointing"].value == 0.5


def test_a_checkpoint_deletes_to_the_mean_color_of_its_data() -> None:
    mean = [0.2, 0.4, 0.7]
    meta = {"labels": None, "image_size": 9, "mean": mean, "std": [0.1, 0.2, 0.3]}
    network, images = Brightness(torch.ones(HEIGHT, WIDTH)), _images()
    maps = _random_maps(class_index=-1)
    found = measure_faithfulness(Classifier(network, meta), images, maps, score=lambda output: output, steps=1)
    # With one step the area lies halfway between the image and the gray, which is zero after normalization.
    np.testing.assert_allclose(found.deletion, found.confidence / 2, atol=1e-4)
    assert found.meta["gray"] == pytest.approx(mean)
    compiled = torch.compile(Classifier(network, meta), backend="eager")
    assert isinstance(compiled, nn.Module)
    again = measure_faithfulness(compiled, images, maps, score=lambda output: output, steps=1)
    np.testing.assert_allclose(again.deletion, found.deletion, rtol=1e-5)
    assert measure_faithfulness(_net(), images, _random_maps()).meta["gray"] == [0, 0, 0]


def test_the_blur_is_that_of_a_slow_loop_and_keeps_a_constant() -> None:
    image = _images()[0]
    np.testing.assert_allclose(blurred(image), _slow_blur(image.numpy()), atol=1e-6)
    np.testing.assert_allclose(blurred(torch.full((2, 3, 4), 0.7)), 0.7, atol=1e-6)


def test_the_model_is_as_before_also_after_an_exception() -> None:
    net = _net().train()
    net[6].weight.requires_grad_(False)
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    random = torch.get_rng_state()
    measure_faithfulness(net, _images(), _random_maps())
    with pytest.raises(ValueError, match="`class_index` must be in 0 … 3"):
        measure_faithfulness(net, _images(), _random_maps(class_index=9))
    assert all(module.training for module in net.modules())
    assert not net[6].weight.requires_grad
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(tensor, state[name]) for name, tensor in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


def test_half_precision_gives_nearly_the_same_numbers() -> None:
    net, images, maps = _net(), _images(), _random_maps()
    full = measure_faithfulness(net, images, maps)
    half = measure_faithfulness(net.bfloat16(), images, maps)
    for name in ("deletion", "insertion", "road"):
        np.testing.assert_allclose(getattr(half, name), getattr(full, name), atol=0.03, err_msg=name)


def test_means_have_standard_errors_over_the_images_that_count() -> None:
    found = measure_faithfulness(_net(), _images(), _random_maps())
    changed = replace(found, drop=np.array([0.2, np.nan, 0.6]), road=np.array([np.nan, 0.3, np.nan]))
    assert changed.means["drop"].value == pytest.approx(0.4)
    assert changed.means["drop"].standard_error == pytest.approx(0.2)  # √(2·0.2²/1)/√2
    assert changed.means["road"].value == 0.3
    assert np.isnan(changed.means["road"].standard_error)
    assert np.isnan(found.means["energy"].value)
    assert [changed.means[name].count for name in ("drop", "road", "energy")] == [2, 1, 0]


def test_a_saved_result_comes_back(tmp_path: Path) -> None:
    raw = np.random.default_rng(2).normal(0.3, 1, (3, 4, 5))
    raw[1] = 0
    found = measure_faithfulness(_net(), _images(), _maps(raw))
    found.save(tmp_path / "faithfulness.npz")
    again = Faithfulness.load(tmp_path / "faithfulness.npz")
    assert (again.faults, again.meta) == (found.faults, found.meta)
    assert again.meta["method"] == "gradcam"
    for name in ("confidence", *MEASURES):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    _random_maps().save(tmp_path / "maps.npz")
    with pytest.raises(ValueError, match="must hold measures of faithfulness, but holds raw"):
        Faithfulness.load(tmp_path / "maps.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": _images(2)}, "`images` must be .* 3 of 9×13 pixels, got the shape .2, 3, 9, 13.$"),
        ({"images": _images().mT}, "`images` must be .* 3 of 9×13 pixels, got the shape .3, 3, 13, 9.$"),
        ({"heatmaps": _random_maps(class_index=-1)}, "`heatmaps` explain a score of your own: give the same function"),
        ({"score": _negative_kept}, "`heatmaps` explain classes, so that there can be no `score`"),
        ({"steps": 0}, "`steps` must be at least 1, got 0"),
        ({"batch_size": 0}, "`batch_size` must be at least 1, got 0"),
        ({"boxes": [[0, 0, 2, 2]]}, r"`boxes` must be \(3, 4\), x0 y0 x1 y1 for each image, got \(1, 4\)"),
        ({"boxes": [[0, 0, 2, 2]] * 2 + [[0, 0, 9, 13]]}, r"13×9 pixels .* but number 2 is \[0.0, 0.0, 9.0, 13.0\]"),
        ({"boxes": [[0, 0, 2, np.nan]] * 3}, "but number 0 is"),
        ({"boxes": [[4, 0, 2, 2]] * 3}, "x0 < x1, y0 < y1 within the image"),
    ],
)
def test_what_does_not_belong_together_is_refused(changes: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"images": _images(), "heatmaps": _random_maps(), **changes}
    with pytest.raises(ValueError, match=message):
        measure_faithfulness(_net(), given.pop("images"), given.pop("heatmaps"), **given)


def test_integer_images_are_refused() -> None:
    with pytest.raises(TypeError, match=r"`images` must be a float tensor .* got torch.uint8"):
        measure_faithfulness(_net(), _images().byte(), _random_maps())
