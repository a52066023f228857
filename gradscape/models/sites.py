"""The one way in which attention comes into a network: blocks with places for it.

A backbone is made of blocks that inherit from `AttendedBlock`. Each has three places: its residual branch, before the
shortcut is added; its spatial convolution, which attention may replace; and its output. `find_sites` measures what
arrives there, so that a module can be made to fit; `attend_branches`, `gate_branches`, `replace_convolutions` and
`attend_stages` put it in.
"""

import copy
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn

__all__ = [
    "AttendedBlock",
    "Host",
    "Shape",
    "Site",
    "attend_branches",
    "attend_stages",
    "choose_sites",
    "find_sites",
    "gate_branches",
    "group_by_stage",
    "replace_convolutions",
    "spatial_convolution",
]


class AttendedBlock(nn.Module):
    """A block of a network that attention can be added to; abstract.

    A subclass calls `attend_branch` on what its residual branch computes, and `attend_output` on what it returns. What
    is added becomes a submodule of the block itself, under the attention's name: the backbone's keys stay as they are.
    """

    spatial_convolution: ClassVar[str | None] = None
    """Name of the convolution that looks at neighbors and that attention may replace, and of the normalization after
    it, separated by a comma."""

    def __init__(self) -> None:
        super().__init__()
        self.branch_attentions: list[tuple[str, bool]] = []
        self.output_attentions: list[str] = []

    def add_attention(self, name: str, attention: nn.Module, *, place: str) -> None:
        """Add a module, after those that are there.

        Args:
            name: The submodule's name.
            attention: Called with the features, and on the branch as a gate with the block's input too.
            place: "branch", "gate" (on the branch too), or "output".

        Raises:
            ValueError: If the name is taken.
        """
        if hasattr(self, name):
            raise ValueError(f"attention `{name}` is there already; add it once")
        self.add_module(name, attention)
        if place == "output":
            self.output_attentions.append(name)
        else:
            self.branch_attentions.append((name, place == "gate"))

    def attend_branch(self, branch: Tensor, block_input: Tensor) -> Tensor:
        """Apply the attentions on the branch, in the order in which they were added."""
        for name, gate in self.branch_attentions:
            attention = self.get_submodule(name)
            branch = attention(branch, block_input) if gate else attention(branch)
        return branch

    def attend_output(self, output: Tensor) -> Tensor:
        """Apply the attentions on the output, in the order in which they were added."""
        for name in self.output_attentions:
            output = self.get_submodule(name)(output)
        return output


@dataclass(frozen=True)
class Shape:
    """What one image becomes: channels, height and width in pixels."""

    channels: int
    height: int
    width: int


@dataclass(frozen=True)
class Site:
    """A block of a network, and what passes through it.

    Attributes:
        name: The block's name in the network.
        block: The block itself.
        input: What comes in.
        branch: What its residual branch yields.
        output: What goes out.
        convolved: What its spatial convolution sees; None if it has none.
    """

    name: str
    block: AttendedBlock
    input: Shape
    branch: Shape
    output: Shape
    convolved: Shape | None


@final
@dataclass(frozen=True)
class Host:
    """A network that attention is added to.

    Attributes:
        network: The network itself.
        sites: Its blocks that attention can be added to, one at least.
        image_size: Side of the images in pixels.
    """

    network: nn.Module
    sites: Sequence[Site]
    image_size: int


class _ShapeRecorder(nn.Module):
    """Stands where attention would, and notes the shapes."""

    def __init__(self, shapes: dict[str, Shape]) -> None:
        super().__init__()
        self.shapes = shapes

    def forward(self, branch: Tensor, block_input: Tensor) -> Tensor:
        self.shapes["input"], self.shapes["branch"] = _shape(block_input), _shape(branch)
        return branch


def _shape(features: Tensor) -> Shape:
    return Shape(*features.shape[1:])


def find_sites(network: nn.Module, image_size: int) -> list[Site]:
    """Return a network's blocks that attention can be added to, with what passes through them.

    Args:
        network: Any module; one forward pass of a copy without memory tells the shapes.
        image_size: Side of the images in pixels.
    """
    blocks = {name: module for name, module in network.named_modules() if isinstance(module, AttendedBlock)}
    if not blocks:
        return []
    shapes: dict[str, dict[str, Shape]] = {name: {} for name in blocks}
    shadow = copy.deepcopy(network).to("meta").eval()
    for name, seen in shapes.items():
        block = shadow.get_submodule(name)
        assert isinstance(block, AttendedBlock)
        block.add_attention("_recorder", _ShapeRecorder(seen), place="gate")
        _listen(block, "output", seen)
        if block.spatial_convolution is not None:
            _listen(block.get_submodule(block.spatial_convolution.partition(",")[0]), "convolved", seen)
    with torch.no_grad():
        shadow(torch.empty(1, 3, image_size, image_size, device="meta", dtype=next(network.parameters()).dtype))
    return [Site(name, block, **{"convolved": None, **shapes[name]}) for name, block in blocks.items()]  # type: ignore[arg-type]


def _listen(module: nn.Module, what: str, seen: dict[str, Shape]) -> None:
    """Note what the module returns, or for its convolution what comes in."""

    def note(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen[what] = _shape(inputs[0] if what == "convolved" else output)

    module.register_forward_hook(note)


Make = Callable[[Site], nn.Module]


def attend_branches(sites: Sequence[Site], name: str, make: Make) -> None:
    """Put attention on every block's residual branch, before the shortcut is added."""
    for site in sites:
        site.block.add_attention(name, make(site), place="branch")


def gate_branches(sites: Sequence[Site], name: str, make: Make) -> None:
    """Put attention that looks at the block's input on every block's residual branch."""
    for site in sites:
        site.block.add_attention(name, make(site), place="gate")


def spatial_convolution(site: Site) -> nn.Conv2d:
    """Return the convolution of a block that attention may replace.

    Raises:
        ValueError: If the block has none.
    """
    name = (site.block.spatial_convolution or "").partition(",")[0]
    found = site.block.get_submodule(name)
    if not isinstance(found, nn.Conv2d):
        raise ValueError(f"attention must replace a spatial convolution, but {site.name} of this network has none")
    return found


def replace_convolutions(sites: Sequence[Site], make: Make, *, normalized: bool = False) -> None:
    """Replace the spatial convolution of every block.

    Args:
        sites: The blocks.
        make: Makes what takes the convolution's place.
        normalized: Whether that ends in a batch normalization and a ReLU of its own: then the normalization after the
            convolution goes.

    Raises:
        ValueError: If a block has no such convolution.
    """
    for site in sites:
        attention = make(site)
        convolution, _, normalization = (site.block.spatial_convolution or "").partition(",")
        setattr(site.block, convolution, attention)
        if normalized and normalization:
            setattr(site.block, normalization, nn.Identity())


def group_by_stage(network: nn.Module, sites: Sequence[Site]) -> list[list[Site]]:
    """Return the blocks of each of a network's stages, in order.

    Args:
        network: Has `stages`, each a module with blocks in it or a stage's last block itself.
        sites: The network's blocks.
    """
    by_block = {id(site.block): site for site in sites}
    stages: nn.ModuleList = network.stages  # type: ignore[assignment]
    return [[by_block[id(module)] for module in stage.modules() if id(module) in by_block] for stage in stages]


def sites_of_stages(
    network: nn.Module, sites: Sequence[Site], name: str, stages: Collection[int] = ()
) -> list[list[Site]]:
    """Return the blocks of chosen stages, stage by stage.

    Args:
        network: Has `stages`.
        sites: Its blocks.
        name: Of the attention that they are for.
        stages: Numbers of the stages, from 1; none given means all.

    Raises:
        ValueError: If there is no such stage.
    """
    grouped = group_by_stage(network, sites)
    _check_stages(name, stages, len(grouped))
    return [grouped[number - 1] for number in sorted(set(stages) or range(1, len(grouped) + 1))]


def _check_stages(name: str, stages: Collection[int], count: int) -> None:
    for number in stages:
        if not 1 <= number <= count:
            raise ValueError(f"`stages` of {name} must lie in 1 … {count}, got {number}")


def choose_sites(host: Host, name: str, stages: Collection[int] = ()) -> list[Site]:
    """Return all blocks up to the end of chosen stages, from the end of the stages before them; or all blocks.

    Args:
        host: Where attention goes. Blocks between two stages, as MobileNets have them, whose stages are their last
            blocks, belong to the later stage.
        name: Of the attention that they are for.
        stages: Numbers of the stages, from 1; none given means all blocks.

    Raises:
        ValueError: If there is no such stage.
    """
    if not stages:
        return list(host.sites)
    grouped = group_by_stage(host.network, host.sites)
    _check_stages(name, stages, len(grouped))
    stage_of = {id(site.block): number for number, inside in enumerate(grouped, 1) for site in inside}
    chosen: list[Site] = []
    current = 0
    for site in reversed(host.sites):
        current = stage_of.get(id(site.block), current)
        if current in stages:
            chosen.append(site)
    return chosen[::-1]


def attend_stages(
    network: nn.Module, sites: Sequence[Site], name: str, make: Make, *, stages: Collection[int] = ()
) -> None:
    """Put attention after the last block of stages.

    Args:
        network: Has `stages`.
        sites: Its blocks.
        name: Of the attention.
        make: Makes the attention.
        stages: Numbers of the stages, from 1; none given means all.

    Raises:
        ValueError: If there is no such stage.
    """
    for inside in sites_of_stages(network, sites, name, stages):
        inside[-1].block.add_attention(name, make(inside[-1]), place="output")
