import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.landscape import (
    Surface,
    bce_with_logits,
    binary,
    evaluate_line,
    evaluate_surface,
    find_span,
    mse,
    nll,
    random_directions,
    top5,
)
from gradscape.landscape.engine.blocks import cut_blocks

AXIS = [-0.5, 0.25]
IMAGES = 70


class _Loader:
    """Batches that are loaded as they are asked for."""

    def __init__(self, batches: list[Any]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iter(self._batches)


def _net(classes: int = 4) -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(6, classes))


def _images(count: int = IMAGES) -> Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(4))


def _labels(classes: int = 4, count: int = IMAGES) -> Tensor:
    return torch.randint(0, classes, (count,), generator=torch.Generator().manual_seed(5))


def _surface(net: nn.Module, labels: Any, *, images: Tensor | None = None, **options: Any) -> Surface:
    given = _images() if images is None else images
    batches = (
        list(zip(given.split(11), labels.split(11), strict=True)) if isinstance(labels, Tensor) else [(given, labels)]
    )
    return evaluate_surface(net, batches, random_directions(net, seed=1), AXIS, AXIS[:1], **options)


def _moved(net: nn.Module) -> nn.Module:
    """The network at the grid's first point."""
    first, second = random_directions(net, seed=1)
    moved = _net(len(net.get_parameter("0.bias")))
    for name, tensor in moved.named_parameters():
        tensor.data = net.get_parameter(name).data + AXIS[0] * (first[name] + second[name])
    return moved


IGNORING = [
    (None, -100),
    (nn.CrossEntropyLoss(ignore_index=2, reduction="none"), 2),
    (nn.CrossEntropyLoss(ignore_index=255, reduction="none", label_smoothing=0.1), 255),
    (partial(F.cross_entropy, ignore_index=9, reduction="none"), 9),
]


@pytest.mark.parametrize(("loss", "ignored"), IGNORING)
def test_images_without_a_label_do_not_count(loss: Any, ignored: int) -> None:
    net, labels = _net(), _labels()
    labels[torch.arange(IMAGES) % 5 < 2] = ignored
    smoothing = 0.1 if ignored == 255 else 0.0
    surface = _surface(net, labels, **({} if loss is None else {"loss": loss}))
    for statistics, at in ((surface.origin, net), (surface.blocks.reshape((2,)).points(0), _moved(net))):
        output = at(_images())
        wanted = F.cross_entropy(output, labels, ignore_index=ignored, label_smoothing=smoothing).item()
        assert float(statistics.loss) == pytest.approx(wanted, rel=1e-5)
        counted = labels != ignored
        assert float(statistics.error) == pytest.approx((output.argmax(1) != labels)[counted].double().mean().item())
        assert int(statistics.images) == int(counted.sum()) == statistics.population
        assert statistics.stderr == 0


def test_a_whole_block_without_labels_leaves_no_trace() -> None:
    net, labels = _net(), _labels()
    labels[20:60] = -100
    kept = labels != -100
    surface, plain = _surface(net, labels), _surface(net, labels[kept], images=_images()[kept])
    np.testing.assert_array_equal(surface.loss, plain.loss)
    assert surface.meta["blocks"] == plain.meta["blocks"]
    with pytest.raises(ValueError, match="`batches` must hold at least one image whose label is not -100"):
        _surface(net, torch.full((IMAGES,), -100))


def test_a_file_goes_on_with_images_without_labels(tmp_path: Path) -> None:
    net, labels = _net(), _labels()
    labels[::3] = -100
    path = tmp_path / "surface.h5"
    _surface(net, labels[:44], images=_images()[:44], path=path, population=60)
    grown = _surface(net, labels, path=path, population=60)
    np.testing.assert_array_equal(grown.loss, _surface(net, labels).loss)
    assert Surface.load(path).meta["blocks"] == grown.meta["blocks"]


@pytest.mark.slow
def test_lines_and_the_search_for_a_span_leave_them_out_too() -> None:
    net, images, labels = _net(), _images(300), _labels(count=300)
    labels[::2] = -100
    directions = random_directions(net, seed=1)
    line = evaluate_line(net, [(images, labels)], directions[0], [0.0])
    assert line.loss[0] == pytest.approx(F.cross_entropy(net(images), labels).item(), rel=1e-5)
    kept = labels != -100
    searches = [find_span([(net, directions)], [batch]) for batch in ((images, labels), (images[kept], labels[kept]))]
    assert searches[0] == searches[1]


def test_a_function_that_ignores_a_label_is_found_out() -> None:
    def loss(output: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(output, labels, ignore_index=3, reduction="none")

    with pytest.raises(ValueError, match=r"`loss` ignores the images labelled 3: .*CrossEntropyLoss\(ignore_index=3"):
        _surface(_net(), _labels(), loss=loss)


def test_a_sure_network_whose_loss_is_0_is_not_taken_for_one() -> None:
    net = _net()
    net.get_parameter("0.weight").data *= 1e4
    labels = net(_images()).argmax(1)
    labels[labels == 0] = 1

    def loss(output: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(output, labels, reduction="none")

    assert _surface(net, labels, loss=loss).origin.loss == pytest.approx(F.cross_entropy(net(_images()), labels).item())


def _margins(output: Tensor, labels: Tensor) -> Tensor:
    own = output.gather(1, labels[:, None])
    others = output.scatter(1, labels[:, None], -torch.inf)
    return F.relu(2e-3 + others.amax(1, keepdim=True) - own).squeeze(1)


def _distances(output: Tensor, labels: Tensor) -> Tensor:
    """Wants an embedding far from 0, or near it, as contrastive losses do; the order of columns has no say."""
    return torch.where(labels == 0, F.relu(0.1 - output.norm(dim=1)), output.norm(dim=1))


@pytest.mark.parametrize("loss", [_margins, _distances])
def test_a_loss_with_a_margin_that_is_met_leaves_out_nothing(loss: Any) -> None:
    net = _net()
    net.get_parameter("0.weight").data *= 1e4
    labels = net(_images()).argmax(1)
    if loss is _distances:
        labels = (labels > 1).long()
    assert np.isfinite(_surface(net, labels, loss=loss, metric=None).loss).all()


@pytest.mark.parametrize("at_once", [True, False])
def test_an_ignored_label_is_found_in_any_output_and_in_any_block(at_once: bool) -> None:
    def loss(output: dict[str, Tensor], labels: Tensor) -> Tensor:
        return F.cross_entropy(output["logits"], labels, ignore_index=1, reduction="none")

    labels = torch.where(_labels() == 1, 2, _labels())
    labels[5 if at_once else -2] = 1
    with pytest.raises(ValueError, match="`loss` ignores the images labelled 1"):
        _surface(
            _net(),
            labels,
            loss=loss,
            metric=None,
            forward=lambda net, images: {"logits": net(images), "count": torch.tensor(3)},
            batch_size=16,
        )


@pytest.mark.parametrize("options", [{}, {"loss": lambda o, y: F.cross_entropy(o, y % 4, reduction="none")}])
@pytest.mark.parametrize("place", [3, IMAGES - 1])
@pytest.mark.parametrize("label", [4, -1])
def test_labels_past_the_classes_are_refused(options: dict[str, Any], place: int, label: int) -> None:
    labels = _labels()
    labels[place] = label
    with pytest.raises(ValueError, match=rf"`batches` must have labels from 0 to 3, .* but one is {label}"):
        _surface(_net(), labels, **options)


SINGLE = {
    "(N, 1), integers": (
        lambda y: y,
        lambda o, y: F.binary_cross_entropy_with_logits(o[:, 0], y.double().float(), reduction="none"),
    ),
    "(N, 1), bool": (lambda y: y.bool(), lambda o, y: F.soft_margin_loss(o[:, 0], 2.0 * y - 1, reduction="none")),
    "(N, 1), numbers of that shape": (lambda y: y[:, None].float(), nn.BCEWithLogitsLoss(reduction="none")),
    "weighted": (lambda y: y[:, None].float(), nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0), reduction="none")),
    "−1 and 1": (lambda y: 2 * y - 1, lambda o, y: (1 - o[:, 0] * y).clamp(min=0)),
    "ours": (lambda y: y, bce_with_logits),
}


@pytest.mark.parametrize(("labelled", "loss"), SINGLE.values(), ids=SINGLE.keys())
def test_the_error_of_one_logit_is_on_which_side_of_0_it_lies(labelled: Callable[[Tensor], Tensor], loss: Any) -> None:
    net = _net(1)
    right = (net(_images())[:, 0] > 0).long()
    assert _surface(net, labelled(right), loss=loss).origin.error == 0
    noisy = right.clone()
    noisy[:14] = 1 - noisy[:14]
    surface = _surface(net, labelled(noisy), loss=loss)
    assert surface.origin.error == pytest.approx(14 / IMAGES)
    wrong = ((_moved(net)(_images())[:, 0] > 0) != noisy).double().mean().item()
    assert surface.error[0, 0] == pytest.approx(wrong)


def test_later_labels_are_on_one_of_the_two_sides_too() -> None:
    labels = _labels(2)[:, None].float()
    labels[-1] = 0.7
    with pytest.raises(ValueError, match=r"labels from 0 to 1, .* but one is 0\.69"):
        _surface(_net(1), labels, loss=nn.BCEWithLogitsLoss(reduction="none"))


def test_losses_that_are_torchs_are_its_means() -> None:
    net, several = _net(3), torch.randint(0, 2, (IMAGES, 3)).float()
    output = net(_images())
    found = _surface(net, several, loss=bce_with_logits, metric=binary).origin
    assert found.loss == pytest.approx(F.binary_cross_entropy_with_logits(output, several).item(), rel=1e-5)
    assert found.error == pytest.approx(1 - ((output > 0) == several.bool()).all(1).double().mean().item())
    assert _surface(net, several, loss=mse, metric=None).origin.loss == pytest.approx(
        F.mse_loss(output, several).item()
    )
    logarithms = nn.Sequential(*_net(7), nn.LogSoftmax(dim=1))
    labels = _labels(7)
    labels[::4] = -100
    found = _surface(logarithms, labels, loss=nll, metric=top5).origin
    output = logarithms(_images())
    assert found.loss == pytest.approx(F.nll_loss(output, labels).item(), rel=1e-5)
    among = (output.topk(5).indices == labels[:, None]).any(1)[labels >= 0].double().mean().item()
    assert found.error == pytest.approx(1 - among)


REFUSED: dict[str, tuple[int, Any, dict[str, Any], str]] = {
    "several labels": (4, torch.randint(0, 2, (IMAGES, 4)), {}, "`loss` is a cross-entropy, .* give the `loss`"),
    "several labels as numbers": (
        4,
        torch.ones(IMAGES, 4),
        {},
        "do not sum to 1: give another `loss`, such as .*bce_with",
    ),
    "soft labels": (4, torch.rand(IMAGES, 4).softmax(1), {}, "`metric` is the top-1 error.* give metric=None"),
    "several labels, their own loss": (4, torch.ones(IMAGES, 4), {"loss": bce_with_logits}, "give metric=None"),
    "labels (N, 1)": (4, _labels()[:, None], {}, r"takes class indices \(N\).* but they are int64 \(N, 1\)"),
    "numbers": (4, torch.rand(IMAGES), {}, r"but they are float32 \(N\) for .*: give the `loss`"),
    "one logit and the default loss": (
        1,
        _labels(2),
        {},
        "over one class.* give another `loss`, such as .*bce_with_logits",
    ),
    "one number to be met": (1, torch.rand(IMAGES), {"loss": mse}, "`metric` is right or wrong.* give metric=None"),
    "one number to be near 0 or 1": (
        1,
        _labels(2),
        {"loss": mse},
        "`metric` must be told.*metric=gradscape.landscape.binary",
    ),
    "three labels and one number": (1, _labels(3), {"loss": mse}, "`metric` is right or wrong.* give metric=None"),
    "missing labels": (
        1,
        torch.full((IMAGES,), torch.nan),
        {"loss": mse, "metric": None},
        "labels that are NaN, .* image 0",
    ),
    "labels of another kind": (
        4,
        [_labels(), _labels()],
        {"loss": lambda o, y: o[:, 0]},
        "`metric` is the top-1 error",
    ),
}


@pytest.mark.parametrize(("outputs", "labels", "options", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_fit_is_refused_with_the_argument_to_give(
    outputs: int, labels: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        _surface(_net(outputs), labels, **options)


@pytest.mark.parametrize("ends_in", [nn.Softmax(dim=1), nn.Sigmoid()])
def test_probabilities_are_not_taken_for_logits(ends_in: nn.Module) -> None:
    several = isinstance(ends_in, nn.Softmax)
    net = nn.Sequential(_net(4 if several else 1), ends_in)
    loss: dict[str, Any] = (
        {} if several else {"loss": lambda o, y: F.binary_cross_entropy(o[:, 0], y.float(), reduction="none")}
    )
    with pytest.raises(ValueError, match="the model gives probabilities" if several else "`metric` must be told"):
        _surface(net, _labels(4 if several else 2), **loss)
    if several:
        given = _surface(net, _labels(), loss=lambda output, labels: nll(output.log(), labels))
        assert given.origin.loss == pytest.approx(F.cross_entropy(net[0](_images()), _labels()).item(), rel=1e-5)


class _Pixels(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(3, 5, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.convolution(images)


def test_a_loss_of_each_pixel_is_told_how_to_be_reduced() -> None:
    images, labels = torch.rand(24, 3, 4, 6), torch.randint(0, 5, (24, 4, 6))
    labels[:, :2, ::2] = 255
    net, plain = _Pixels(), nn.CrossEntropyLoss(ignore_index=255, reduction="none")
    with pytest.raises(ValueError, match=r"\(24, 4, 6\): it is unreduced, but .*flatten\(1\)\.mean.*not torch's mean"):
        _surface(net, labels, images=images, loss=plain, metric=None)

    def told(output: Tensor, labels: Tensor) -> Tensor:
        return plain(output, labels).flatten(1).sum(1) / (labels != 255).flatten(1).sum(1)

    found = _surface(net, labels, images=images, loss=told, metric=None).origin.loss
    assert found == pytest.approx(F.cross_entropy(net(images), labels, ignore_index=255).item(), rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (
            lambda o, y: F.mse_loss(o, F.one_hot(y, 4).float(), reduction="none"),
            "it is unreduced, but has a number for each",
        ),
        (
            lambda o, y: (o - F.one_hot(y, 4)).square().flatten(),
            r"several numbers for each image.*\.view\(len\(labels\)",
        ),
        (lambda o, y: (o[:, :1] - y).square(), "seem to have been broadcast"),
        (lambda o, y: F.cross_entropy(o, y), 'take the unreduced form.*reduction="none"'),
    ],
)
def test_losses_of_another_shape_say_what_is_to_be_done(loss: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _surface(_net(), _labels(), loss=loss)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int32])
def test_class_indices_of_any_kind_of_integer_are_taken(dtype: torch.dtype) -> None:
    labels = _labels(2)
    found, usual = (_surface(_net(2), given) for given in (labels.to(dtype), labels))
    np.testing.assert_array_equal(found.loss, usual.loss)
    np.testing.assert_array_equal(found.error, usual.error)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            torch.zeros(24, 6, dtype=torch.int64),
            r"but they are int64 \(N, 6\) for outputs float32 \(N, 5, 4, 6\): give the `loss`",
        ),
        (torch.zeros(24, dtype=torch.int64), r"one label an image, but the model gives float32 \(N, 5, 4, 6\)"),
        (torch.zeros(24, 4, 6, dtype=torch.int64), r"\(24, 4, 6\): it is unreduced"),
    ],
)
def test_the_default_loss_of_maps_is_told_what_to_give(labels: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _surface(_Pixels(), labels, images=torch.rand(24, 3, 4, 6))


def test_losses_in_a_column_are_taken() -> None:
    net, labels = _net(1), _labels(2)[:, None].float()
    found = _surface(net, labels, loss=nn.BCEWithLogitsLoss(reduction="none"), metric=lambda o, y: (o > 0) == (y > 0))
    assert found.origin.loss == pytest.approx(
        F.binary_cross_entropy_with_logits(net(_images()), labels).item(), rel=1e-5
    )
    assert found.origin.error == pytest.approx(((net(_images()) > 0) != (labels > 0)).double().mean().item())


WEIGHT = torch.tensor([0.2, 3.0, 1.0, 0.0])


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(weight=WEIGHT, ignore_index=-1, reduction="none"),
        partial(F.cross_entropy, weight=WEIGHT, ignore_index=-1, reduction="none"),
    ],
)
@pytest.mark.parametrize("in_memory", [True, False])
def test_class_weights_give_torchs_weighted_mean(
    loss: Any, in_memory: bool, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    net, images, labels = _net(), _images(), _labels()
    labels[::6] = -1
    batches = list(zip(images.split(9), labels.split(9), strict=True))
    arguments = (random_directions(net, seed=1), AXIS, AXIS)
    with caplog.at_level(logging.WARNING):
        given = batches if in_memory else _Loader(batches)
        surface = evaluate_surface(net, given, *arguments, loss=loss, path=tmp_path / "s.h5")
    wanted = [F.cross_entropy(at(images), labels, weight=WEIGHT, ignore_index=-1).item() for at in (net, _moved(net))]
    assert [surface.origin.loss, surface.loss[0, 0]] == pytest.approx(wanted, rel=1e-5)
    assert "torch's weighted mean" in caplog.text
    with pytest.raises(ValueError, match="`path` holds another run"):  # whose unit, the mean weight, is another
        evaluate_surface(net, batches[:3], *arguments, loss=loss, path=tmp_path / "s.h5")
    with pytest.raises(ValueError, match="`batches` must be a list or a DataLoader, not an iterator"):
        evaluate_surface(net, iter(batches), *arguments, loss=loss)


def test_where_every_image_has_a_label_none_is_copied() -> None:
    images, labels = _images(64), _labels(count=64)
    first, second = cut_blocks([(images, labels)], 32, ignored=-100)
    assert first.inputs.data_ptr() == images.data_ptr()
    assert second.labels.data_ptr() == labels[32:].data_ptr()


@pytest.mark.parametrize("label", [7, -2])
def test_labels_past_the_class_weights_are_refused_in_words(label: int) -> None:
    labels = _labels()
    labels[-3] = label
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5, 3.0]), reduction="none")
    with pytest.raises(ValueError, match=f"`batches` must have labels from 0 to 3.* but one is {label}"):
        _surface(_net(), labels, loss=loss)
