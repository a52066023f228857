"""Many networks of one architecture, and their parameters as rows of a matrix."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from gradscape.landscape import Direction
from tests.landscape.networks import small_net

State = Mapping[str, Tensor]


def wandering(count: int, *, seed: int = 0) -> list[nn.Module]:
    """Networks that move away from a first one, uneven steps and a drift; batch norm's statistics move, too."""
    generator = torch.Generator().manual_seed(seed)
    nets: list[nn.Module] = [small_net(seed=number) for number in range(count)]
    state = {name: one.clone() for name, one in small_net().state_dict().items()}
    for number, net in enumerate(nets):
        net.load_state_dict(state)
        for name, one in state.items():
            if one.is_floating_point():
                step = torch.randn(one.shape, generator=generator) * (0.1 + 0.05 * number) + 0.1 * np.cos(number)
                state[name] = one + step if "running" not in name else (one + 0.1 * step).abs()
    return nets


def row(net: nn.Module | State) -> np.ndarray:
    """The parameters of a network, or of a direction, in the order of `small_net`."""
    names = [name for name, _ in small_net().named_parameters()]
    state = net.state_dict() if isinstance(net, nn.Module) else net
    return np.concatenate([state[name].detach().double().numpy().ravel() for name in names])


def rows(nets: Sequence[nn.Module | State]) -> np.ndarray:
    """One row a network."""
    return np.stack([row(net) for net in nets])


def plane(directions: Sequence[Direction]) -> np.ndarray:
    """Both directions, (2, parameters)."""
    return rows(directions)


class Matrix(nn.Module):
    """One matrix as all parameters."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)


def walk(steps: int, *, axis: int = 0, length: float = 1.0) -> list[State]:
    """A walk whose every step has the same length and a right angle to all others, as random ones nearly have."""
    flat = length * torch.tril(torch.ones(steps + 1, steps), -1)
    wide = torch.zeros(steps + 1, 3 * steps)
    wide[:, axis * steps : (axis + 1) * steps] = flat
    return [{"weight": one.view(3, steps).double()} for one in wide]
