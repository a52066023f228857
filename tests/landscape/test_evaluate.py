import copy
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.landscape import (
    Progress,
    Surface,
    difference_direction,
    evaluate_line,
    evaluate_surface,
    random_directions,
)
from gradscape.models.ba2m import BA2M
from tests.landscape.networks import Coordinates, Quadratic, images_and_labels, small_net

pytestmark = pytest.mark.usefixtures("form")

ALPHAS, BETAS = np.linspace(-1, 0.4, 4), np.linspace(-0.25, 2, 3)


def test_each_point_of_a_grid_gets_its_own_coordinates() -> None:
    model = Coordinates()
    directions = ({"first": torch.ones(1, 1)}, {"second": torch.ones(1, 1)})
    coordinates = []
    for axis in (0, 1):

        def loss(output: Tensor, labels: Tensor, axis: int = axis) -> Tensor:
            return output[:, axis]

        surface = evaluate_surface(model, [images_and_labels()], directions, ALPHAS, BETAS, loss=loss, metric=None)
        coordinates.append(surface.loss)
    assert coordinates[0].shape == (3, 4)
    np.testing.assert_allclose(coordinates[0], np.tile(ALPHAS, (3, 1)), atol=1e-7)
    np.testing.assert_allclose(coordinates[1], np.tile(BETAS[:, None], (1, 4)), atol=1e-7)


def test_a_quadratic_loss_gives_its_closed_form() -> None:
    generator = torch.Generator().manual_seed(3)
    root = torch.randn(6, 6, dtype=torch.float64, generator=generator)
    hessian, theta = root @ root.T, torch.randn(1, 6, dtype=torch.float64, generator=generator)
    directions = tuple({"theta": torch.randn(1, 6, dtype=torch.float64, generator=generator)} for _ in range(2))

    def loss(output: Tensor, labels: Tensor) -> Tensor:
        return 0.5 * ((output @ hessian) * output).sum(dim=1)

    surface = evaluate_surface(
        Quadratic(theta), [images_and_labels()], directions, ALPHAS, BETAS, loss=loss, metric=None
    )
    for row, beta in enumerate(BETAS):
        for column, alpha in enumerate(ALPHAS):
            point = theta + alpha * directions[0]["theta"] + beta * directions[1]["theta"]
            assert surface.loss[row, column] == pytest.approx((0.5 * point @ hessian @ point.T).item(), rel=1e-12)


def test_the_surface_is_that_of_a_plain_loop_that_sets_every_weight() -> None:
    net, (images, labels) = small_net(), images_and_labels(70)
    directions = random_directions(net, seed=4)
    surface = evaluate_surface(net, [(images, labels)], directions, ALPHAS, BETAS)
    for row, beta in enumerate(BETAS):
        for column, alpha in enumerate(ALPHAS):
            moved = copy.deepcopy(net)
            for name, parameter in moved.named_parameters():
                parameter.data += alpha * directions[0][name] + beta * directions[1][name]
            with torch.no_grad():
                output = moved(images)
            assert surface.loss[row, column] == pytest.approx(F.cross_entropy(output, labels).item(), rel=1e-5)
            assert surface.error[row, column] == pytest.approx((output.argmax(1) != labels).double().mean().item())


@pytest.mark.parametrize("batch_size", [1, 16, 64])
def test_the_origin_is_a_plain_evaluation_loop_to_the_bit(batch_size: int, form: str) -> None:
    net, (images, labels) = small_net(), images_and_labels(150)
    surface = evaluate_surface(
        net, [(images, labels)], random_directions(net, seed=0), ALPHAS, BETAS, batch_size=batch_size
    )
    assert 0.0 not in ALPHAS
    total, right = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(images), surface.meta["plan"]["batch_size"]):
            part = slice(start, start + batch_size)
            output = net(images[part])
            losses = F.cross_entropy(output, labels[part], reduction="none").double()
            total += losses.mean().item() * len(losses)
            right += int((output.argmax(1) == labels[part]).sum())
    assert surface.origin.loss == (total / len(images) if form == "module" else pytest.approx(total / len(images)))
    assert surface.origin.error == 1 - right / len(images)


def test_opposite_directions_mirror_the_surface() -> None:
    net, data = small_net(), [images_and_labels()]
    directions = random_directions(net, seed=2)
    opposite = tuple({name: -tensor for name, tensor in direction.items()} for direction in directions)
    there = evaluate_surface(net, data, directions, ALPHAS, BETAS)
    mirrored = evaluate_surface(net, data, opposite, -ALPHAS, -BETAS)
    np.testing.assert_array_equal(there.loss, mirrored.loss)


def test_the_sizes_of_batches_leave_no_trace() -> None:
    net, (images, labels) = small_net(), images_and_labels(50)
    directions = random_directions(net, seed=2)
    whole = evaluate_surface(net, [(images, labels)], directions, ALPHAS, BETAS, batch_size=16)
    pieces = list(zip(images.split(7), labels.split(7), strict=True))
    cut = evaluate_surface(net, pieces, directions, ALPHAS, BETAS, batch_size=16)
    np.testing.assert_array_equal(whole.loss, cut.loss)
    assert whole.meta["blocks"] == cut.meta["blocks"]


def test_channels_last_weights_stay_so_and_give_the_same_surface() -> None:
    net, (images, labels) = small_net(), images_and_labels()
    directions = random_directions(net, seed=0)
    plain = evaluate_surface(net, [(images, labels)], directions, ALPHAS, BETAS)
    seen = []
    last = small_net().to(memory_format=torch.channels_last)

    def forward(model: nn.Module, inputs: Tensor) -> Tensor:
        seen.append(model.get_parameter("0.weight").is_contiguous(memory_format=torch.channels_last))
        return model(inputs)

    surface = evaluate_surface(last, [(images, labels)], directions, ALPHAS, BETAS, forward=forward)
    assert seen
    assert all(seen)
    np.testing.assert_allclose(surface.loss, plain.loss, rtol=1e-5)


def test_tied_weights_move_once() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 3, bias=False)
            self.second = nn.Linear(3, 3, bias=False)
            self.second.weight = self.first.weight

        def forward(self, images: Tensor) -> Tensor:
            return self.second(self.first(images))

    model = Tied()
    inputs, labels = torch.rand(5, 3), torch.tensor([0, 1, 2, 0, 1])
    directions = random_directions(model, seed=0)
    surface = evaluate_surface(model, [(inputs, labels)], directions, [1.0], [0.0])
    moved = model.first.weight + directions[0]["first.weight"]
    expected = F.cross_entropy(inputs @ moved.T @ moved.T, labels)
    assert surface.loss[0, 0] == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("file", [None, "s.h5"])
def test_a_scalar_loss_is_refused_with_the_fix(tmp_path: Path, file: str | None) -> None:
    net = small_net()
    with pytest.raises(ValueError, match=r'`loss` must give one number per image.*reduction="none"'):
        evaluate_surface(
            net,
            [images_and_labels()],
            random_directions(net, seed=0),
            ALPHAS,
            BETAS,
            loss=F.cross_entropy,
            path=tmp_path / file if file else None,
            report=print,
        )
    assert not list(tmp_path.iterdir())


def test_a_metric_of_the_wrong_shape_is_refused() -> None:
    net = small_net()
    with pytest.raises(ValueError, match=r"`metric` must give one number per image, \(16,\), got the shape \(\)$"):
        evaluate_surface(
            net,
            [images_and_labels()],
            random_directions(net, seed=0),
            ALPHAS,
            BETAS,
            metric=lambda output, labels: (output.argmax(1) == labels).sum(),
        )


class _AlwaysDropout(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = small_net()

    def forward(self, images: Tensor) -> Tensor:
        return F.dropout(self.net(images), 0.5, training=True)


class _BatchAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = small_net()

    def forward(self, images: Tensor) -> Tensor:
        logits = self.net(images)
        return logits * torch.softmax(logits.mean(dim=1, keepdim=True), dim=0)


class _BatchMeanNearAMinimum(nn.Module):
    """Its losses are tiny, but its logits depend on the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.net = small_net(classes=1)

    def forward(self, images: Tensor) -> Tensor:
        logit = 9.5 + 20 * images[-1].mean() + 0 * self.net(images).sum()
        return torch.stack([logit.expand(len(images)), *[torch.zeros(len(images))] * 4], dim=1)


class _BatchNormWithoutStatistics(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.BatchNorm2d(3, track_running_stats=False), small_net())


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (_AlwaysDropout(), r"two passes in eval\(\) differ"),
        (_BatchAttention(), "depends on the others in its batch"),
        (_BatchMeanNearAMinimum(), "depends on the others in its batch"),
        (_BatchNormWithoutStatistics(), "depends on the others in its batch"),
        (nn.Sequential(BA2M(3, evaluation="batch"), small_net()), "but 0 weighs the images of a batch"),
    ],
)
def test_models_that_cannot_be_judged_image_by_image_are_refused(model: nn.Module, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        evaluate_surface(model, [images_and_labels()], random_directions(model, seed=0), ALPHAS, BETAS)


def test_non_finite_values_stay_what_they_are_and_are_counted(form: str) -> None:
    net, (images, labels) = small_net(), images_and_labels(80)
    bad = images.clone()
    bad[43] = torch.nan
    surface = evaluate_surface(net, [(bad, labels)], random_directions(net, seed=0), ALPHAS, BETAS)
    assert surface.meta["plan"]["traced"] == (form != "module")
    assert np.isnan(surface.loss).all()
    assert (surface.nonfinite == 1).all()
    with torch.no_grad():
        wrong = (net(images).argmax(1) != labels).tolist()
    wrong[43] = True
    assert surface.origin.error == pytest.approx(sum(wrong) / 80)


def test_points_where_the_network_breaks_down_are_the_same_in_every_form(form: str) -> None:
    net, data = small_net(), [images_and_labels(40)]
    directions = random_directions(net, seed=2, ignore="none", space="states")
    axis = np.linspace(3, -3, 5)  # running variances become negative, but not at the first corner
    surface = evaluate_surface(net, data, directions, axis, [0.0])
    assert surface.meta["plan"]["traced"] == (form != "module")
    moved = [copy.deepcopy(net) for _ in axis]
    for one, alpha in zip(moved, axis.tolist(), strict=True):
        for name, tensor in one.state_dict().items():
            if name in directions[0]:
                tensor += alpha * directions[0][name]
    with torch.no_grad():
        expected = [F.cross_entropy(one(data[0][0]), data[0][1]).item() for one in moved]
    assert 0 < np.isnan(expected).sum() < 5
    np.testing.assert_allclose(surface.loss[0], expected, rtol=1e-4)


def test_an_infinite_loss_is_not_turned_into_nan() -> None:
    def loss(output: Tensor, labels: Tensor) -> Tensor:
        return torch.full((len(labels),), torch.inf)

    net = small_net()
    surface = evaluate_surface(net, [images_and_labels()], random_directions(net, seed=0), ALPHAS, BETAS, loss=loss)
    assert np.isposinf(surface.loss).all()
    assert (surface.nonfinite == 23).all()


def test_models_with_dict_inputs_and_outputs_and_no_metric() -> None:
    class Regression(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 1)

        def forward(self, *, left: Tensor, right: Tensor) -> dict[str, Tensor]:
            return {"value": self.linear(torch.cat([left, right], dim=1))[:, 0]}

    model = Regression()
    inputs = {"left": torch.rand(9, 1), "right": torch.rand(9, 3)}
    labels = torch.rand(9)
    surface = evaluate_surface(
        model,
        [(inputs, labels)],
        random_directions(model, seed=0),
        ALPHAS,
        BETAS,
        forward=lambda net, given: net(**given)["value"],
        loss=lambda output, wanted: (output - wanted).square(),
        metric=None,
        batch_size=4,
    )
    with torch.no_grad():
        expected = F.mse_loss(model(**inputs)["value"], labels).item()
    assert surface.origin.loss == pytest.approx(expected, rel=1e-6)
    assert np.isnan(surface.error).all()


def test_bf16_is_near_fp32_and_marked_in_the_plan() -> None:
    net, data = small_net(), [images_and_labels(64)]
    directions = random_directions(net, seed=0)
    exact = evaluate_surface(net, data, directions, ALPHAS, BETAS)
    coarse = evaluate_surface(net, data, directions, ALPHAS, BETAS, precision="bf16")
    assert coarse.meta["plan"]["precision"] == "bf16"
    assert not np.array_equal(coarse.loss, exact.loss)
    np.testing.assert_allclose(coarse.loss, exact.loss, rtol=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_surrounding_autocast_changes_nothing(precision: Literal["fp32", "bf16"]) -> None:
    net, data = small_net(), [images_and_labels(64)]
    directions = random_directions(net, seed=0)
    alone = evaluate_surface(net, data, directions, ALPHAS, BETAS, precision=precision)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = evaluate_surface(net, data, directions, ALPHAS, BETAS, precision=precision)
    assert np.ptp(alone.loss) > 0
    np.testing.assert_array_equal(inside.loss, alone.loss)


def test_reduced_matmul_precision_is_lifted_for_the_surface_and_put_back() -> None:
    net, data = small_net(), [images_and_labels()]
    directions = random_directions(net, seed=0)
    exact = evaluate_surface(net, data, directions, ALPHAS, BETAS)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        again = evaluate_surface(net, data, directions, ALPHAS, BETAS)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    np.testing.assert_array_equal(again.loss, exact.loss)


def test_provenance_that_json_cannot_hold_is_refused_before_anything_is_computed() -> None:
    net = small_net()
    with pytest.raises(TypeError, match="`meta` must hold what JSON can"):
        evaluate_surface(
            net, [images_and_labels()], random_directions(net, seed=0), ALPHAS, BETAS, meta={"seed": np.int64(3)}
        )


def test_a_line_to_another_network_ends_in_it() -> None:
    first, second = small_net(seed=0), small_net(seed=1)
    images, labels = images_and_labels(30)
    line = evaluate_line(first, [(images, labels)], difference_direction(first, second), [0.0, 0.5, 1.0])
    with torch.no_grad():
        ends = [F.cross_entropy(net(images), labels).item() for net in (first, second)]
    assert line.loss[[0, 2]].tolist() == pytest.approx(ends, rel=1e-5)
    assert line.origin.loss == line.loss[0]


def test_standard_errors_vanish_when_all_images_were_seen_and_not_before() -> None:
    net, data = small_net(), [images_and_labels(40)]
    directions = random_directions(net, seed=0)
    assert (evaluate_surface(net, data, directions, ALPHAS, BETAS).loss_stderr == 0).all()
    part = evaluate_surface(net, data, directions, ALPHAS, BETAS, population=1000)
    assert (part.loss_stderr > 0).all()
    assert part.meta["population"] == 1000


def test_a_report_tells_points_rate_and_standard_error() -> None:
    net = small_net()
    reports: list[Progress] = []
    evaluate_surface(
        net, [images_and_labels()], random_directions(net, seed=0), ALPHAS, BETAS, population=99, report=reports.append
    )
    last = reports[-1]
    assert (last.done, last.total) == (13, 13)
    assert last.seconds_left == 0
    assert last.points_per_second > 0
    assert last.median_stderr > 0


def test_points_without_a_finite_loss_leave_the_standard_error_of_the_others() -> None:
    net = small_net()
    reports: list[Progress] = []

    def loss(output: Tensor, labels: Tensor) -> Tensor:
        each = F.cross_entropy(output, labels, reduction="none")
        return torch.where(each > each.mean() + 100, torch.nan, each)

    direction = {name: 1e4 * tensor for name, tensor in random_directions(net, seed=0)[0].items()}
    data = [images_and_labels()]
    line = evaluate_line(net, data, direction, [0.0, 1e-4, 1.0], population=99, report=reports.append, loss=loss)
    assert np.isnan(line.loss[2])
    assert reports[-1].median_stderr > 0


@pytest.mark.parametrize(("alphas", "message"), [([], "`alphas`"), ([0.0, float("nan")], "`alphas` must be a list")])
def test_axes_must_be_lists_of_finite_numbers(alphas: list, message: str) -> None:
    net = small_net()
    with pytest.raises(ValueError, match=message):
        evaluate_surface(net, [images_and_labels()], random_directions(net, seed=0), alphas, BETAS)


def test_directions_of_another_model_are_refused() -> None:
    net = small_net()
    with pytest.raises(ValueError, match="which the model lacks"):
        evaluate_surface(net, [images_and_labels()], random_directions(Coordinates(), seed=0), ALPHAS, BETAS)
    with pytest.raises(ValueError, match="shape"):
        evaluate_surface(net, [images_and_labels()], random_directions(small_net(classes=7), seed=0), ALPHAS, BETAS)


@pytest.mark.parametrize(
    ("batches", "error", "message"),
    [
        ([], ValueError, "at least one image"),
        ([torch.rand(3, 3, 5, 7)], TypeError, "pairs"),
        ([(torch.rand(3, 3, 5, 7), torch.zeros(2).long())], ValueError, "as many labels as inputs"),
        ([("a", "b")], TypeError, "must hold tensors"),
    ],
)
def test_batches_of_another_kind_are_refused(batches: list, error: type[Exception], message: str) -> None:
    net = small_net()
    with pytest.raises(error, match=message):
        evaluate_surface(net, batches, random_directions(net, seed=0), ALPHAS, BETAS)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["module", "graph"], indirect=True)
def test_the_original_tools_surface_is_met(test_data: Path, form: str) -> None:
    from gradscape.landscape import load_directions
    from gradscape.models import create_model
    from gradscape.models.foreign_state import foreign_state

    net = create_model("resnet56_projection", num_classes=10, image_size=32)
    net.load_state_dict(foreign_state(test_data / "checkpoints" / "tomgoldstein-resnet56-model_300.t7", net))
    arrays = np.load(test_data / "cifar10" / "cifar10_train4000_lossless.npz")
    pixels = torch.from_numpy(arrays["images"][:512]).permute(0, 3, 1, 2).float()
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ([125.3, 123.0, 113.9], [63.0, 62.1, 66.7]))
    batches = [(((pixels - mean) / std).contiguous(), torch.from_numpy(arrays["labels"][:512]))]
    directions = load_directions(test_data / "goldstein" / "resnet56_directions.h5", net)
    theirs = Surface.load(test_data / "goldstein" / "resnet56_surface_5x5.h5")
    ours = evaluate_surface(net, batches, directions, theirs.alphas, theirs.betas)
    np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-5)
    assert np.abs(ours.error - theirs.error).max() * 512 <= 1


class _Spectral(nn.Module):
    """Complex weights on frequencies, and a complex buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 5, dtype=torch.cfloat))
        self.register_buffer("window", torch.randn(2, 5, dtype=torch.cfloat))
        self.head = nn.Linear(24, 4)

    def forward(self, images: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(images)[:, None] * self.weight * self.window.sum(dim=0)  # type: ignore[operator]
        logits: Tensor = self.head(torch.fft.irfft(spectrum, n=8).flatten(1))
        return logits


@pytest.mark.parametrize("space", ["weights", "states"])
def test_complex_weights_are_at_every_point_where_a_plain_loop_puts_them(space: Literal["weights", "states"]) -> None:
    torch.manual_seed(0)
    model, images, labels = _Spectral(), torch.randn(40, 8), torch.arange(40) % 4
    directions = random_directions(model, seed=1, space=space)
    surface = evaluate_surface(model, [(images, labels)], directions, ALPHAS, BETAS)
    moved = copy.deepcopy(model)
    tensors = {**dict(moved.named_parameters()), **dict(moved.named_buffers())}
    origins = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    with torch.no_grad():
        for row, beta in enumerate(BETAS):
            for column, alpha in enumerate(ALPHAS):
                for name in directions[0]:
                    tensors[name].copy_(origins[name] + alpha * directions[0][name] + beta * directions[1][name])
                expected = F.cross_entropy(moved(images), labels).item()
                assert surface.loss[row, column] == pytest.approx(expected, rel=1e-5)
