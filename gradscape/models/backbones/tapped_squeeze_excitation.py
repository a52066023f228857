"""Squeeze-and-excitation as torchvision has it, with taps: Hu, Shen, Albanie, Sun and Wu, 2017, arXiv:1709.01507.

"Squeeze-and-Excitation Networks". Keys are torchvision's, so that its weights load.
"""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from gradscape._taps import Tap

__all__ = ["TappedSqueezeExcitation"]


class TappedSqueezeExcitation(SqueezeExcitation):
    """Torchvision's block, x · σ(W₂ δ(W₁ mean(x))) with 1×1 convolutions.

    Taps: `before`, `channel` (N, C, 1, 1), `result`.

    Source: Hu et al., equations 2 to 4, with biases.

    Args:
        channels: Channels C of x.
        squeezed: Channels between W₁ and W₂.
        activation: Makes δ.
    """

    def __init__(self, channels: int, squeezed: int, activation: Callable[[], nn.Module] = nn.ReLU) -> None:
        super().__init__(channels, squeezed, activation)
        self.before, self.channel, self.result = Tap("before"), Tap("channel"), Tap("result")

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels height width"]:
        """Weigh the channels; see the class."""
        x = self.before(x)
        squeezed = self.activation(self.fc1(self.avgpool(x)))
        return self.result(x * self.channel(self.scale_activation(self.fc2(squeezed))))
