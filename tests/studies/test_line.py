"""A line from one checkpoint to another: both ends are the networks themselves, or it is refused."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gradscape._digest import digest_model
from gradscape.data import Split, load_split
from gradscape.landscape import Line, Options
from gradscape.models import Classifier
from gradscape.studies.line import make_path
from gradscape.studies.networks import check_classes

LABELS = ["ant", "bee", "cow", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay"]
SPLIT = load_split("digits", "test", limit=20, image_size=8)


def network(*, seed: int = 0, eps: float = 1e-5, **meta: Any) -> Classifier:
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=eps), nn.Flatten(), nn.Linear(144, 10))
    about = {"name": "own", "num_classes": 10, "image_size": 8, "labels": None, "mean": [0.5] * 3, "std": [0.25] * 3}
    return Classifier(net, {**about, **meta}).eval()


def path_between(first: Classifier, second: Classifier, **options: Any) -> Any:
    given = {"span": 1.0, "steps": 6, "seed": 0, **options}
    return make_path({"first": first, "second": second}, SPLIT, **given)


def test_both_ends_are_the_networks_with_their_own_normalization(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nets = network(mean=[0.1, 0.2, 0.3]), network(seed=1, mean=[0.6, 0.5, 0.4], std=[0.5, 1.0, 2.0])
    with caplog.at_level(logging.WARNING):
        path = path_between(*nets)
    assert "first and second normalize images differently: between them mean and std move" in caplog.text
    line = path.evaluate(SPLIT, tmp_path / "line.h5", report=lambda *_: None, options=Options(precision="fp32"))
    images, labels = next(iter(SPLIT))
    with torch.no_grad():
        own = [F.cross_entropy(net(images), labels).item() for net in nets]
    np.testing.assert_allclose(line.alphas, [0, 0.2, 0.4, 0.6, 0.8, 1])
    np.testing.assert_allclose(line.loss[[0, -1]], own, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"steps": 4}, [0, 1 / 3, 2 / 3, 1]),
        ({"alphas": np.linspace(-0.25, 1.25, 4)}, [-0.25, 0, 0.25, 0.75, 1, 1.25]),
        ({"alphas": np.linspace(1.2, 0.2, 3)}, [1.2, 1, 0.7, 0.2, 0]),
        ({"alphas": np.linspace(-0.2, 1.3, 16)}, [*np.linspace(-0.2, 1.3, 16)]),
    ],
)
def test_both_networks_are_points_of_the_line_between_them(options: dict[str, Any], expected: list[float]) -> None:
    alphas = path_between(network(), network(seed=1), **options).alphas
    np.testing.assert_allclose(alphas, expected, atol=1e-12)
    assert {0.0, 1.0} <= set(alphas.tolist()), "to the bit"


def test_the_network_is_a_point_of_a_random_line_through_it() -> None:
    def along(**options: Any) -> list[float]:
        given = {"span": 0.6, "steps": 4, "seed": 0, **options}
        return list(make_path({"net": network()}, SPLIT, **given).alphas)

    assert along() == pytest.approx([-0.6, -0.2, 0, 0.2, 0.6])
    assert along(steps=3) == pytest.approx([-0.6, 0, 0.6])
    assert along(alphas=np.array([0.5, 1.0])) == [0.5, 1.0], "which does not pass through it"
    with pytest.raises(ValueError, match="`alphas` must rise or fall throughout"):
        along(alphas=np.array([-1.0, 1.0, 0.5]))


def test_the_file_tells_both_networks_and_the_barrier(tmp_path: Path) -> None:
    first, second = network(), network(seed=1)
    first.path, second.path = "one.safetensors", "two.safetensors"
    path = path_between(first, second, alphas=np.linspace(-3, 1, 5))
    path.evaluate(SPLIT, tmp_path / "line.h5", report=lambda *_: None, options=Options(precision="fp32"))
    line = Line.load(tmp_path / "line.h5")
    assert (line.meta["checkpoint"], line.meta["other_checkpoint"]) == ("one.safetensors", "two.safetensors")
    assert line.meta["other_weights"] == digest_model(second)
    assert line.meta["barrier"]["height"] == line.barrier().height


def test_one_normalization_stays_out_of_the_way_and_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    path = path_between(network(), network(seed=1))
    assert not {"mean", "std"} & path.direction.keys()
    assert "normalize" not in caplog.text.replace("its normalization", "")


def test_weights_alone_between_two_normalizations_are_refused() -> None:
    with pytest.raises(ValueError, match="`space` must be states, as the networks differ in mean"):
        path_between(network(), network(seed=1, mean=[0.4] * 3), space="weights")


def test_a_network_that_computes_something_else_with_the_same_tensors_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no line leads from first to second: .*; give two networks with one"):
        path_between(network(), network(seed=1, eps=0.5))


def test_classes_in_another_order_are_refused() -> None:
    first, second = network(labels=LABELS), network(seed=1, labels=[*LABELS[:8], "jay", "ibis"])
    with pytest.raises(ValueError, match=r"'ibis' is class 8 of first, but class 9 of second: .*`gradscape import"):
        path_between(first, second)
    assert path_between(first, network(labels=[name.upper() for name in LABELS])), "other names are not another order"


def test_images_whose_classes_the_network_has_in_another_order_are_refused() -> None:
    split = load_split("digits", "test", limit=20)
    split.classes = tuple(reversed(LABELS))
    with pytest.raises(ValueError, match=r"'jay' is class 0 of digits, but class 9 of net: bring the classes into one"):
        check_classes({"net": network(labels=LABELS)}, split)
    split.classes = tuple(LABELS)
    check_classes({"net": network(labels=LABELS)}, split)
    split.classes = tuple(map(str, range(10)))  # what data without names have
    check_classes({"net": network(labels=[str(9 - number) for number in range(10)])}, split)


def images_of(classes: tuple[str, ...], *, present: int | None = None) -> Split:
    """Digits whose classes are called otherwise; of so many there are images."""
    split = load_split("digits", "test", limit=20)
    split.classes, split.present = classes, present or len(classes)
    return split


@pytest.mark.parametrize(
    ("classes", "present", "message"),
    [
        (("a", "b", "c"), 3, "digits has 3 classes, but net tells 10 apart"),
        (("0", "1", "2"), 3, "digits has 3 classes, but net tells 10 apart"),
        (("ant",), 1, None),
        (("ant", "bee"), 2, None),
        (("0", "1", "2"), 2, None),
        (("0",), 1, None),
        (tuple(map(str, range(11))), 4, "digits has 11 classes, but net tells only 10 apart"),
    ],
)
def test_other_counts_of_classes_are_refused_where_they_cannot_be_some_of_the_networks(
    classes: tuple[str, ...], present: int, message: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    models = {"net": network(labels=LABELS)}
    if message is None:
        check_classes(models, images_of(classes, present=present))
        assert not caplog.text
    else:
        with pytest.raises(ValueError, match=f"^{message}: take images of its own classes"):
            check_classes(models, images_of(classes, present=present))


def test_classes_of_a_network_without_names_are_counted() -> None:
    with pytest.raises(ValueError, match="digits has 2 classes, but net tells 10 apart"):
        check_classes({"net": network()}, images_of(("ant", "bee")))


def test_images_of_no_class_go_with_any_network() -> None:
    check_classes({"net": network(), "named": network(labels=LABELS)}, load_split("noise:4", "train", image_size=16))


def test_other_names_for_as_many_classes_are_warned_of_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    split = images_of(("ANT", "Bee", "kine", *LABELS[3:9], "crow"))
    check_classes({"net": network(labels=LABELS)}, split)
    (said,) = caplog.messages
    assert said == (
        "2 of the 10 classes of digits have other names in net, such as 'cow' for 'kine': see that the same are meant"
    )


def test_networks_without_names_are_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    for labels in (None, [str(number) for number in range(10)]):
        check_classes({"net": network(labels=labels)}, images_of(tuple(LABELS)))
    assert not caplog.text


def test_both_ends_of_a_line_that_only_guess_are_named(caplog: pytest.LogCaptureFixture) -> None:
    path = path_between(network(), network(seed=1))
    assert path.meta["at_chance"] == ["first", "second"]
    assert "second has 3 of 20 images of digits right, which is no better than chance (1 of 10): see" in caplog.text
    assert "at_chance" not in path_between(network(), network(seed=1), metric=None).meta
