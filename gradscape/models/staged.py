"""Networks as all of them here are read: a stem, stages, and a head."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from gradscape.models.bottleneck import BottleneckChoice

__all__ = ["FeaturesNetwork", "StagedNetwork", "bottleneck_of", "head_name"]


class StagedNetwork(nn.Module):
    """A classifier made of a stem, stages and a head; abstract.

    A subclass has these as submodules, or as properties where its weights have other names. It overrides `_last_map`
    and `feature_maps` where more than the stem and the stages, one after the other, leads to the last map, and
    `_stem_map` where more than one module leads to the stem's. It comes before a class of torchvision's among the
    bases.

    Attributes:
        stem: What the first stage's input comes from, or the last module of it.
        stages: A `ModuleList`, each module with a stage's output.
        head: The classifier, from `forward_features` to logits.
    """

    attention_bottleneck: ClassVar[BottleneckChoice] = BottleneckChoice()
    """What SPANet's authors choose for attention in this network."""

    if TYPE_CHECKING:  # what is a submodule in one network is a property in another, or torchvision's, without types

        def __getattr__(self, name: str) -> Any: ...

    def forward_features(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch features"]:
        """Return what the classifier sees: the last map's averages.

        Args:
            images: Normalized images.
        """
        return self._last_map(images).mean((2, 3))

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes"]:
        """Return logits.

        Args:
            images: Normalized images.
        """
        return self.head(self.forward_features(images))

    def feature_maps(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """Return the maps that lead to the classifier, each made from the one before, (N, channels, height, width).

        They are the stem's, each stage's, and the map that is averaged where further layers lead from the last stage
        to it.

        Args:
            images: Normalized images.
        """
        maps = [self._stem_map(images)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps

    def _stem_map(self, images: Tensor) -> Tensor:
        return self.stem(images)

    def _last_map(self, images: Tensor) -> Tensor:
        """From images to the map that is averaged, (N, features, height, width)."""
        x = self._stem_map(images)
        for stage in self.stages:
            x = stage(x)
        return x


class FeaturesNetwork(StagedNetwork):
    """A network whose `features` are all layers before the averages, in order, the stem first; abstract.

    Attributes:
        features: A `Sequential` of the layers.
        classifier: The head.
    """

    @property
    def stem(self) -> nn.Module:
        """The first convolution, normalized and activated."""
        return self.features[0]

    @property
    def head(self) -> nn.Module:
        """The classifier, from `forward_features` to logits."""
        return self.classifier

    def feature_maps(self, images: Float[Tensor, "batch 3 height width"]) -> list[Tensor]:
        """Return the maps that lead to the classifier; see `StagedNetwork.feature_maps`."""
        named = {id(module) for module in (self.stem, *self.stages, self.features[-1])}
        maps = []
        x = images
        for layer in self.features:
            x = layer(x)
            if id(layer) in named:
                maps.append(x)
        return maps

    def _last_map(self, images: Tensor) -> Tensor:
        return self.features(images)


def bottleneck_of(network: nn.Module, *, reduction: int | None = None) -> BottleneckChoice:
    """Return the bottleneck for attention in a network.

    Args:
        network: One with stages has its own choice; any other one gets the usual.
        reduction: Channels to one, if not those of the network's choice.
    """
    usual = network.attention_bottleneck if isinstance(network, StagedNetwork) else BottleneckChoice()
    return usual if reduction is None else replace(usual, reduction=reduction)


def head_name(network: StagedNetwork) -> str:
    """Return the name of the child that is a network's classifier.

    Args:
        network: It still has its classifier.
    """
    return next(name for name, module in network.named_children() if module is network.head)
