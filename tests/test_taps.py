import pytest
import torch
from torch import Tensor, nn

from gradscape._taps import Tap, check_images_apart, collected_taps, find_taps


class _Compared(nn.Module):
    """Says that it weighs images against each other in evaluation, or not."""

    def __init__(self, *, binds_images: bool) -> None:
        super().__init__()
        self.batch_weights = Tap("batch weights")
        self.binds_images = binds_images


class _Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.5, 2.0, 1.0]))
        self.before = Tap("before")
        self.channel = Tap("channel")
        self.result = Tap("result")

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(x)
        return self.result(x * self.channel(self.weight.view(1, 3, 1, 1)))


def test_taps_are_found_by_name_and_kind_and_leave_no_trace_in_the_state() -> None:
    network = nn.Sequential(_Gate(), _Gate())
    assert list(find_taps(network)) == [f"{i}.{name}" for i in (0, 1) for name in ("before", "channel", "result")]
    assert list(find_taps(network, {"channel"})) == ["0.channel", "1.channel"]
    assert list(network.state_dict()) == ["0.weight", "1.weight"]


def test_collected_tensors_are_those_that_passed_once_for_each_forward() -> None:
    network = nn.Sequential(_Gate(), _Gate())
    images = torch.rand(2, 3, 4, 5)
    with collected_taps(network, ("before", "result")) as collected:
        assert find_taps(network)["0.before"].observed
        output = network(images)
        network(2 * images)
    assert {name: len(tensors) for name, tensors in collected.items()} == dict.fromkeys(
        ("0.before", "0.result", "1.before", "1.result"), 2
    )
    assert torch.equal(collected["0.before"][0], images)
    assert torch.equal(collected["1.before"][1], collected["0.result"][1])
    assert torch.equal(collected["1.result"][0], output)
    assert not collected["1.result"][0].requires_grad


def test_nobody_listens_afterwards_even_after_an_error() -> None:
    network = _Gate()
    with pytest.raises(RuntimeError), collected_taps(network):
        network(torch.rand(2, 4, 4, 5))
    assert not any(tap.observed for tap in find_taps(network).values())


def test_a_tap_says_its_kind_and_what_its_paper_calls_what_passes() -> None:
    assert str(Tap("mask", word="SPA")) == "Tap(mask)"
    assert [Tap(kind).word for kind in ("before", "result", "part", "mask")] == [
        "features",
        "result",
        "attention",
        "attention",
    ]
    assert (Tap("before", word="trunk").word, Tap("mask", word="SPA").word) == ("trunk", "SPA")


def test_blocks_that_weigh_images_against_each_other_are_refused_by_name() -> None:
    check_images_apart(nn.Sequential(_Gate(), _Compared(binds_images=False)))
    one = nn.Sequential(_Gate(), _Compared(binds_images=True))
    with pytest.raises(
        ValueError, match=r"^`model` must judge each image by itself, but 1 weighs the images of a batch"
    ):
        check_images_apart(one)
    with pytest.raises(ValueError, match=r"but 0\.1 and 1 more weigh the .* without `evaluation=batch`$"):
        check_images_apart(nn.Sequential(one, _Compared(binds_images=True)))
    with pytest.raises(ValueError, match="but _Compared weighs the images"):
        check_images_apart(_Compared(binds_images=True))
