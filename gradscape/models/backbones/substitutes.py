"""Networks whose layers a paper counts, so that attention can come after one of them or stand in its stead."""

from torch import Tensor, nn

from gradscape.models.sites import AttendedBlock

__all__ = ["NumberedLayers", "Substitute"]


class Substitute(AttendedBlock):
    """Any module in the stead of a block, with places for attention on what it computes.

    Args:
        module: Called with the features.
        name: Its name as a submodule.
    """

    def __init__(self, module: nn.Module, name: str) -> None:
        super().__init__()
        self.add_module(name, module)
        self.substitute = name

    def forward(self, x: Tensor) -> Tensor:
        """Apply the module, and the attentions that were added.

        Args:
            x: Features.
        """
        return self.attend_output(self.attend_branch(self.get_submodule(self.substitute)(x), x))


class NumberedLayers(nn.Module):
    """A network whose `features` are its layers, counted from 1; abstract.

    Attributes:
        features: The layers.
        replaceable_layers: Numbers of those that keep channels and size, and so may be replaced.
    """

    features: nn.Sequential
    replaceable_layers: tuple[int, ...]

    @property
    def layers(self) -> dict[int, nn.Module]:
        """The layers by their number."""
        return dict(enumerate(self.features, 1))

    @property
    def insertable_layers(self) -> tuple[int, ...]:
        """Numbers of the layers after which attention may come: blocks with an output place."""
        return tuple(number for number, layer in self.layers.items() if isinstance(layer, AttendedBlock))

    def replace_layer(self, number: int, module: nn.Module) -> None:
        """Put a module in a layer's stead.

        Args:
            number: The layer, counted from 1.
            module: Called with the layer's input, whose shape it keeps; a `Substitute` lets attention be added to it.

        Raises:
            ValueError: If the layer changes the channels or the size, or if there is none.
        """
        if number not in self.replaceable_layers:
            able = ", ".join(map(str, self.replaceable_layers))
            raise ValueError(f"`number` must be a layer that keeps channels and size, one of {able}; got {number}")
        self.features[number - 1] = module
