"""A line between two networks ends at the second one, or is refused."""

import pytest
import torch
from torch import Tensor, nn

from gradscape.landscape import difference_direction, evaluate_line, random_directions
from tests.landscape.networks import images_and_labels, small_net


class Scaled(nn.Module):
    """A network behind constants that no state dict holds, as rotary tables and normalizations of images are."""

    def __init__(self, scale: float, order: tuple[int, ...] = (0, 1, 2), *, seed: int = 0) -> None:
        super().__init__()
        self.net = small_net(seed=seed)
        self.register_buffer("scale", torch.tensor([scale, 1.0, 2.0]).view(3, 1, 1), persistent=False)
        self.register_buffer("order", torch.tensor(order), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.net(images[:, self.get_buffer("order")] * self.get_buffer("scale"))


def test_constants_in_which_networks_differ_move_along() -> None:
    first, second = Scaled(0.5, seed=0).eval(), Scaled(3.0, seed=1).eval()
    images, labels = images_and_labels()
    line = evaluate_line(first, [(images, labels)], difference_direction(first, second), [0.0, 1.0])
    with torch.no_grad():
        own = [nn.functional.cross_entropy(net(images), labels).item() for net in (first, second)]
    torch.testing.assert_close(torch.tensor(line.loss), torch.tensor(own, dtype=torch.float64), rtol=1e-5, atol=0)
    assert abs(own[0] - own[1]) > 1e-3


def test_equal_constants_are_in_no_direction() -> None:
    assert not {"scale", "order"} & difference_direction(Scaled(0.5), Scaled(0.5, seed=1)).keys()
    assert "scale" not in random_directions(Scaled(0.5), seed=0, space="states")[0]


def test_a_line_of_weights_between_different_constants_is_refused() -> None:
    with pytest.raises(ValueError, match="`space` must be states, as the networks differ in scale"):
        difference_direction(Scaled(0.5), Scaled(3.0), space="weights")


def test_integers_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="the integers of `model`, between which no line leads: order differs"):
        difference_direction(Scaled(0.5), Scaled(0.5, (2, 1, 0)))


def test_a_network_in_half_precision_is_no_beginning_of_a_line_to_a_finer_one() -> None:
    with pytest.raises(ValueError, match=r"as precise as `other`, but has 0.weight as torch.float16, the"):
        difference_direction(small_net().half(), small_net(seed=1))
    assert difference_direction(small_net().half(), small_net(seed=1).half())["0.weight"].dtype == torch.float16
    assert difference_direction(small_net(), small_net(seed=1).double())["0.weight"].dtype == torch.float32


def test_networks_that_differ_in_shape_have_no_difference() -> None:
    with pytest.raises(ValueError, match="these differ: 7"):
        difference_direction(small_net(), small_net(classes=9))
