"""What a model's numbers are: told by the operation that they come from and by the numbers, or stated and checked."""

import logging
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradscape.explain import heatmaps, list_methods, measure_faithfulness, randomize_parameters
from gradscape.explain.explained import pick_scores
from gradscape.explain.output_kind import OutputKind, find_output_kind

CLASSES = 4
IMAGES = torch.rand(3, 3, 10, 14, generator=torch.Generator().manual_seed(1))


class Ending(nn.Module):
    """A small classifier whose numbers go through a function at last."""

    def __init__(self, end: Callable[[Tensor], Tensor], classes: int = CLASSES, scale: float = 20) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.features = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.ReLU())
            self.head = nn.Linear(6, classes)
        self.head.weight.data *= scale
        self.end = end

    def logits(self, images: Tensor) -> Tensor:
        found: Tensor = self.head(self.features(images).mean((2, 3)))
        return found

    def forward(self, images: Tensor) -> Tensor:
        return self.end(self.logits(images))


def softmax(logits: Tensor) -> Tensor:
    return logits.softmax(1)


def averaged(logits: Tensor) -> Tensor:
    """Of two members, without the graph's last operation being a softmax."""
    return torch.stack([logits.softmax(1), (logits / 2).softmax(1)]).mean(0)


def normalized(logits: Tensor) -> Tensor:
    return logits.exp() / logits.exp().sum(1, keepdim=True)


def kind_of(end: Callable[[Tensor], Tensor], classes: int = CLASSES, count: int = 3) -> OutputKind:
    return find_output_kind(Ending(end, classes)(IMAGES[:count]))


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (nn.Identity(), "logits"),
        (softmax, "probabilities"),
        (lambda logits: logits.softmax(1).bfloat16(), "probabilities"),
        (averaged, "probabilities"),
        (normalized, "probabilities"),
        (lambda logits: logits.log_softmax(1), "log_probabilities"),
        (torch.sigmoid, "multi_label_probabilities"),
        (lambda logits: torch.stack([logits.sigmoid(), (logits / 3).sigmoid()]).mean(0), "multi_label_probabilities"),
        (lambda logits: logits.sigmoid().clamp(1e-6, 1 - 1e-6), "multi_label_probabilities"),
        (lambda logits: 5 * logits.softmax(1), "logits"),
        (torch.relu, "logits"),
    ],
)
def test_the_kind_is_measured(end: Callable[[Tensor], Tensor], kind: OutputKind, count: int) -> None:
    assert kind_of(end, count=count) == kind


@pytest.mark.parametrize(("end", "kind"), [(nn.Identity(), "logits"), (torch.sigmoid, "probabilities")])
def test_the_kind_of_one_number_is_measured(end: Callable[[Tensor], Tensor], kind: OutputKind) -> None:
    assert kind_of(end, classes=1) == kind


def test_logits_that_lie_between_zero_and_one_stay_logits(caplog: pytest.LogCaptureFixture) -> None:
    net = Ending(nn.Identity(), scale=0)
    net.head.bias.data = torch.tensor([0.1, 0.2, 0.3, 0.4])  # which even sum to 1, the same for every image
    assert find_output_kind(net(IMAGES)) == "logits"
    assert not caplog.messages


def test_numbers_between_zero_and_one_of_unknown_origin_are_said_to_count_as_logits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert find_output_kind(torch.tensor([[0.2, 0.9, 0.4]])) == "logits"
    assert "which are taken for logits" in caplog.text
    assert find_output_kind(torch.tensor([[0.2, 0.5, 0.3]])) == "probabilities"


@pytest.mark.parametrize(
    ("end", "classes", "message"),
    [
        (softmax, 1, "ends in a softmax over one class, which is 1 for every image"),
        (lambda logits: logits.softmax(0), CLASSES, "ends in a softmax, but not over the classes"),
        (nn.LogSigmoid(), CLASSES, "ends in a log-sigmoid.*say with `score`"),
    ],
)
def test_endings_that_give_no_classes_probabilities_are_refused(
    end: Callable[[Tensor], Tensor], classes: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        kind_of(end, classes)


@pytest.mark.parametrize(
    ("end", "stated", "message"),
    [
        (nn.Identity(), "probabilities", r"the numbers are from -?\d.* to .*, not from 0 to 1"),
        (nn.Identity(), "multi_label_probabilities", "not from 0 to 1"),
        (torch.sigmoid, "probabilities", "the classes' numbers do not sum to 1"),
        (nn.Identity(), "log_probabilities", "the exponentials of the classes' numbers do not sum to 1"),
        (softmax, "multi_label_probabilities", "the classes exclude each other"),
        (softmax, "logits", "the numbers come out of a softmax or sigmoid"),
        (torch.sigmoid, "multi_label_logits", "the numbers come out of a softmax or sigmoid"),
    ],
)
def test_a_stated_kind_that_the_numbers_contradict_is_refused(
    end: Callable[[Tensor], Tensor], stated: OutputKind, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        heatmaps(Ending(end), IMAGES, outputs=stated)


def by_definition(net: Ending, stated: OutputKind | None) -> Tensor:
    with torch.no_grad():
        return net.logits(IMAGES).sigmoid() if stated else net(IMAGES)


@pytest.mark.parametrize(
    ("end", "stated", "said"),
    [
        (softmax, None, "probabilities, which are shown as they are"),
        (torch.sigmoid, None, "(multi-label)"),
        (nn.Identity(), "multi_label_logits", None),
    ],
)
def test_shown_probabilities_are_the_networks_own(
    end: Callable[[Tensor], Tensor], stated: OutputKind | None, said: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    net = Ending(end)
    with caplog.at_level(logging.WARNING):
        found = heatmaps(net, IMAGES, method="layercam", outputs=stated)
    expected = by_definition(net, stated)
    np.testing.assert_allclose(found.probability, expected.max(1)[0], rtol=1e-6)
    np.testing.assert_array_equal(found.class_index, expected.argmax(1))
    assert (said in caplog.text) if said else not caplog.messages
    measured = measure_faithfulness(net, IMAGES, found, steps=2)
    np.testing.assert_allclose(measured.confidence, found.probability, rtol=1e-6)


@pytest.mark.parametrize("end", [nn.Identity(), torch.sigmoid])
def test_one_number_speaks_for_class_one_and_its_complement_for_class_zero(end: Callable[[Tensor], Tensor]) -> None:
    net = Ending(end, classes=1)
    net.head.bias.data -= float(net.logits(IMAGES).detach()[1])  # the second image is undecided
    net.head.bias.data += 0.01
    with torch.no_grad():
        positive = net.logits(IMAGES).sigmoid()[:, 0]
    predicted = heatmaps(net, IMAGES, method="gradcam")
    np.testing.assert_array_equal(predicted.class_index, positive > 0.5)
    np.testing.assert_allclose(predicted.probability, torch.maximum(positive, 1 - positive), rtol=1e-5)
    one, zero = (heatmaps(net, IMAGES, method="gradcam", class_index=index) for index in (1, 0))
    np.testing.assert_allclose(one.probability, positive, rtol=1e-5)
    np.testing.assert_allclose(zero.probability, 1 - positive, rtol=1e-5)
    np.testing.assert_array_equal(one.raw, -zero.raw)
    for found in (one, zero):
        confidence = measure_faithfulness(net, IMAGES, found, steps=2).confidence
        np.testing.assert_allclose(confidence, found.probability, rtol=1e-5)
    with pytest.raises(ValueError, match=r"`class_index` must be in 0 … 1, as the model has it, got 2"):
        heatmaps(net, IMAGES, class_index=2)


def test_the_score_of_one_logit_is_that_logit_to_the_bit() -> None:
    net = Ending(nn.Identity(), classes=1)
    by_class = heatmaps(net, IMAGES, method="gradcam", class_index=1)
    by_score = heatmaps(net, IMAGES, method="gradcam", score=lambda output: output[:, 0])
    np.testing.assert_array_equal(by_class.raw, by_score.raw)
    np.testing.assert_array_equal(by_class.score, by_score.score)
    assert by_class.meta["outputs"] == "logits"
    assert "outputs" not in by_score.meta


def test_the_one_label_of_one_logit_is_that_of_class_one() -> None:
    output = torch.tensor([[-2.0], [3.0]])
    assert pick_scores(output, class_index="dog", labels=["dog"]).class_index.tolist() == [1, 1]
    assert pick_scores(output, class_index="no", labels=["no", "yes"]).scores.tolist() == [2, -3]


def test_heatmaps_from_elsewhere_are_measured_by_the_networks_own_kind(caplog: pytest.LogCaptureFixture) -> None:
    net = Ending(softmax)
    found = heatmaps(net, IMAGES[:1], method="gradcam")
    found = replace(found, meta={})
    caplog.clear()
    np.testing.assert_allclose(measure_faithfulness(net, IMAGES[:1], found, steps=1).confidence, found.probability)
    assert "probabilities" in caplog.text
    with pytest.raises(ValueError, match='`outputs` says "logits"'):
        measure_faithfulness(net, IMAGES[:1], found, outputs="logits")


@pytest.mark.parametrize("method", ["scorecam", "ablationcam"])
def test_the_packages_methods_explain_either_class_of_one_logit(method: str) -> None:
    assert method in list_methods()
    found = heatmaps(Ending(nn.Identity(), classes=1), IMAGES[:1], method=method, class_index=0)
    assert np.isfinite(found.raw).all()


def test_finercam_needs_more_than_one_number() -> None:
    with pytest.raises(ValueError, match="two classes or more for finercam, got 1"):
        heatmaps(Ending(nn.Identity(), classes=1), IMAGES[:1], method="finercam")


def test_randomized_networks_say_their_kind_once(caplog: pytest.LogCaptureFixture) -> None:
    randomize_parameters(Ending(softmax), IMAGES[:1], method="gradcam")
    assert sum("probabilities" in one for one in caplog.messages) == 1


@pytest.mark.usefixtures("unchecked")
def test_an_unknown_kind_is_refused_with_those_near_it() -> None:
    with pytest.raises(ValueError, match="unknown `outputs` 'logit'; did you mean logits"):
        heatmaps(Ending(nn.Identity()), IMAGES, outputs="logit")  # type: ignore[call-overload]
