"""Networks that only guess are told from those that know something."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from gradscape.landscape import binary, top1, top5
from gradscape.models import Classifier
from gradscape.studies.chance import models_at_chance


class Answers(nn.Module):
    """Reads its logit from the first pixel: the class is 10 times its red."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(classes))

    def forward(self, images: Tensor) -> Tensor:
        answer = (10 * images[:, 0, 0, 0]).round().long()
        if len(self.bias) == 1:
            return 2.0 * answer[:, None] - 1 + self.bias
        return nn.functional.one_hot(answer, len(self.bias)).float() + self.bias


def network(classes: int = 5) -> Classifier:
    about = {
        "name": "own",
        "num_classes": classes,
        "image_size": 4,
        "labels": None,
        "mean": [0.0] * 3,
        "std": [1.0] * 3,
    }
    return Classifier(Answers(classes), about)


def batches(count: int, right: int, *, classes: int = 5, size: int = 7) -> list[tuple[Tensor, Tensor]]:
    """So many images of which the network names so many rightly."""
    labels = torch.arange(count) % classes
    answers = torch.where(torch.arange(count) < right, labels, (labels + 1) % classes)
    images = (answers / 10)[:, None, None, None].expand(-1, 3, 4, 6).clone()
    return list(zip(images.split(size), labels.split(size), strict=True))


@pytest.mark.parametrize(
    # The probability that one who guesses gets so many of 50 right, each with one fifth, falls below 1 % at 18.
    ("right", "guesses"), [(0, True), (10, True), (17, True), (18, False), (50, False)]
)  # fmt: skip
def test_a_network_knows_something_if_guessing_would_hardly_get_as_many_right(right: int, guesses: bool) -> None:
    assert models_at_chance({"net": network()}, batches(50, right), data="d") == (["net"] if guesses else [])


def test_each_network_is_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    models_at_chance({"a": network(), "b": network()}, batches(40, 8), data="npz:x.npz")
    assert [said.partition(":")[0] for said in caplog.messages] == [
        f"{name} has 8 of 40 images of npz" for name in ("a", "b")
    ]
    assert caplog.messages[0].startswith(
        "a has 8 of 40 images of npz:x.npz right, which is no better than chance (1 of 5): see that"
    )


def test_so_few_images_that_all_may_be_guessed_say_nothing() -> None:
    assert models_at_chance({"net": network()}, batches(2, 0), data="d") == []
    assert models_at_chance({"net": network()}, batches(3, 0), data="d") == ["net"]


def test_a_network_with_most_of_few_images_right_is_not_called_guessing() -> None:
    # By guessing 7 of 8 come with 3.5 %, 12 of 16 with 3.8 %: too often to be sure, but nothing to warn of.
    for count, right in ((8, 7), (16, 12)):
        assert models_at_chance({"net": network(2)}, batches(count, right, classes=2), data="d") == []
    assert models_at_chance({"net": network(2)}, batches(16, 9, classes=2), data="d") == ["net"]


def test_a_single_logit_is_right_half_of_the_time() -> None:
    models = {"net": network(1)}
    assert models_at_chance(models, batches(40, 24, classes=2), data="d", metric=binary) == ["net"]
    assert models_at_chance(models, batches(40, 32, classes=2), data="d", metric=binary) == []


@pytest.mark.parametrize("metric", [None, top5, lambda output, labels: top1(output, labels)])
def test_of_other_metrics_chance_is_not_known(metric: object) -> None:
    assert models_at_chance({"net": network()}, batches(40, 0), data="d", metric=metric) == []  # type: ignore[arg-type]


def test_no_more_images_are_read_than_tell_it_and_the_network_stays_as_it_was() -> None:
    read = []

    def reading() -> Iterator[tuple[Tensor, Tensor]]:
        for batch in batches(700, 0, size=100):
            read.append(len(batch[1]))
            yield batch

    net = network().train()
    assert models_at_chance({"net": net}, reading(), data="d") == ["net"]
    assert read == [100, 100]
    assert net.training


def test_what_a_network_refuses_is_left_to_its_evaluation() -> None:
    class Broken(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            raise KeyError("no such part")

    about = {"name": "own", "num_classes": 5, "image_size": 4, "labels": None, "mean": [0.0] * 3, "std": [1.0] * 3}
    assert models_at_chance({"net": Classifier(Broken(), about)}, batches(40, 0), data="d") == []
