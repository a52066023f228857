"""Whether weights fit a network: loaded where every name and shape does, else told what differs."""

import difflib
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from gradscape.models.foreign_state import whole_prefixes

__all__ = ["fits", "load_fitting"]

State = Mapping[str, Tensor]

_SHOWN = 4  # of each fault: the message has to stay within a screen
_COMPARED = 30, 1000  # so many missing names with so many others: comparing takes 20 µs


def load_fitting(network: nn.Module, state: Mapping[str, Tensor], context: str) -> None:
    """Load weights of which every one fits.

    Args:
        network: What they go to; unchanged if they do not fit.
        state: Tensors by name.
        context: What the message begins with.

    Raises:
        ValueError: Names are missing or unexpected, or shapes differ: counted, those nearest to a fit named first.
    """
    expected = network.state_dict()
    missing, unexpected, others = _differences(expected, state)
    reshaped = [f"{key} is {tuple(state[key].shape)} instead of {tuple(expected[key].shape)}" for key in others]
    pairs = _similar(missing, unexpected)
    near = [f"{key} (the file has {other})" for key, other in pairs.items()]
    groups = (
        ("missing", len(missing), [*near, *(key for key in missing if key not in pairs)]),
        ("unexpected", len(unexpected), [key for key in unexpected if key not in pairs.values()] or unexpected),
        ("wrong shape", len(reshaped), reshaped),
    )
    faults = "; ".join(f"{count} {fault}: {_listed(names, count)}" for fault, count, names in groups if count)
    if faults:
        prefixes = whole_prefixes(state, expected)
        advice = f"; all names are there behind `prefix` {' or '.join(map(repr, prefixes[:3]))}" if prefixes else ""
        raise ValueError(f"{context}: {faults}{advice}")
    network.load_state_dict(state, strict=False)


def fits(network: nn.Module, state: Mapping[str, Tensor]) -> bool:
    """Whether every name and shape does; nothing is loaded.

    Args:
        network: It may be on the meta device.
        state: Tensors by name.
    """
    return not any(_differences(network.state_dict(), state))


def _differences(expected: State, state: State) -> tuple[list[str], list[str], list[str]]:
    """Names that are missing, that are unexpected, and of other shapes."""
    # Files from before PyTorch 0.4.1 have no batch counters, and inference does not use them.
    missing = [key for key in expected if key not in state and not key.endswith(".num_batches_tracked")]
    unexpected = [key for key in state if key not in expected]
    reshaped = [key for key in expected if key in state and state[key].shape != expected[key].shape]
    return missing, unexpected, reshaped


def _similar(missing: Sequence[str], unexpected: Sequence[str]) -> dict[str, str]:
    """Missing names with the unexpected one that each is most like, the most alike first."""
    found = {}
    for key in missing[: _COMPARED[0]]:
        if near := difflib.get_close_matches(key, unexpected[: _COMPARED[1]], n=1, cutoff=0.8):
            found[key] = near[0]
    alike = {key: difflib.SequenceMatcher(None, key, other).ratio() for key, other in found.items()}
    return {key: found[key] for key in sorted(found, key=alike.__getitem__, reverse=True)}


def _listed(names: Sequence[str], count: int) -> str:
    if len(names) <= _SHOWN:
        return ", ".join(names)
    half = _SHOWN // 2  # the classifier, which differs most often, comes last
    return f"{', '.join(names[:half])}, {count - 2 * half} more, {', '.join(names[-half:])}"
