"""What a set of images loses under every disturbance that is asked for."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from gradscape.landscape.engine import Block
from gradscape.landscape.sharpness.ascent import ascend, one_step
from gradscape.landscape.sharpness.disturbed import DisturbedNetwork
from gradscape.landscape.sharpness.kinds import SHARPNESS_KINDS, Case, Norm

__all__ = ["Disturbances", "disturb"]

_START = -1  # number of the draw from which an ascent starts where there is no gradient


@final
@dataclass(frozen=True)
class Disturbances:
    """Which disturbances are tried.

    Attributes:
        cases: (kind, rho) of each.
        norm: In which rho is the size of worst cases.
        steps: Of an ascent.
        draws: Number of random ones, each with its mirror image.
        seed: Of the draws.
    """

    cases: tuple[Case, ...]
    norm: Norm
    steps: int
    draws: int
    seed: int

    def rows(self, *, random: bool) -> list[int]:
        """Where random disturbances stand among the cases, or those that are sought."""
        return [row for row, (kind, _) in enumerate(self.cases) if SHARPNESS_KINDS[kind].random is random]


def disturb(network: DisturbedNetwork, block: Block, search: Disturbances) -> tuple[Tensor, Tensor, Tensor]:
    """Measure how the loss of a set of images rises.

    Returns:
        Loss of each image, (images,); its rise in each case, (cases, images); mean rise in each draw, (cases, draws),
        NaN of worst cases. All float64.
    """
    sought = search.rows(random=False)
    losses, gradient = network.gradient(block) if sought else (network.losses(block), None)
    rises = torch.zeros(len(search.cases), block.count, dtype=torch.float64)
    drawn = torch.full((len(search.cases), search.draws), torch.nan, dtype=torch.float64)
    for row in sought:
        assert gradient is not None
        rises[row] = (_worst(network, block, search, row, (losses, gradient)) - losses).cpu()
    if random := search.rows(random=True):
        for number in range(search.draws):
            noise = network.draw(search.seed, number)
            for row in random:
                kind, rho = search.cases[row]
                change = rho * noise * _units(network, kind)
                # With its mirror image, so that the slope cancels: it says nothing of the mean, but drowns it.
                pair = [network.losses(block, change), network.losses(block, -change)]
                found = (torch.stack(pair).mean(dim=0) - losses).cpu()
                rises[row] += found / search.draws
                drawn[row, number] = found.mean()
    return losses.cpu(), rises, drawn


def _worst(
    network: DisturbedNetwork, block: Block, search: Disturbances, row: int, here: tuple[Tensor, Tensor]
) -> Tensor:
    """Losses at the worst disturbance that was found, in units of the kind."""
    kind, rho = search.cases[row]
    units, (losses, gradient) = _units(network, kind), here
    start = one_step(units * gradient, rho, search.norm)
    if SHARPNESS_KINDS[kind].steps == 1:
        return network.losses(block, units * start)
    if not start.any():
        start = one_step(network.draw(search.seed, _START), rho, search.norm)

    def probe(point: Tensor) -> tuple[Tensor, Tensor]:
        found, slope = network.gradient(block, units * point)
        return found, units * slope

    worst = ascend(probe, start, rho, norm=search.norm, steps=search.steps)
    return losses if worst.mean() < losses.mean() else worst  # the center is in the ball too


def _units(network: DisturbedNetwork, kind: str) -> Tensor:
    """What a disturbance of each weight is a multiple of."""
    return network.sizes if SHARPNESS_KINDS[kind].adaptive else torch.ones_like(network.sizes)
