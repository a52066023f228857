"""Other programs' weights for a network: which of several in a file, under which names, of how many classes."""

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from torch import Tensor, nn

from gradscape._foreign_file import read_foreign_states
from gradscape._names import unknown_name

__all__ = ["foreign_state", "tell_classes", "whole_prefixes"]

State = Mapping[str, Tensor]

_log = logging.getLogger(__name__)

# What torch puts between the names of modules, and no network has of its own.
_MARKS = re.compile(r"(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_AVERAGED = re.compile(r"(^|[^a-z])(ema|swa|avg|averaged?|shadow)([^a-z]|$)")
_COUNTER = "n_averaged"  # beside the weights of torch's AveragedModel
_SHOWN = 6


def foreign_state(
    file: str | os.PathLike[str], network: nn.Module, *, weights: str | None = None, prefix: str | None = None
) -> dict[str, Tensor]:
    """Read the weights of a network from another program's file, under the network's own names.

    Dicts around the weights are unwrapped. What compiling and parallelizing put into names is removed, and so is a
    beginning that all names share, such as `model.`, where the network's names lack it.

    Args:
        file: As `read_foreign_states` takes it.
        network: The network that the weights are for; it is only read.
        weights: Which, where the file holds the network more than once: "model" (as trained), "ema" (averaged over
            the training) or the place in the file, such as `state_dict_ema`.
        prefix: Takes only what has names that begin so, and removes it; the log says what is left aside.

    Returns:
        Tensors by name. Whether they fit is not checked.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no state dict, or `weights` or `prefix` is wrong, or `weights` is needed.
    """
    expected = network.state_dict()
    found: dict[str, State] = dict(read_foreign_states(file))
    if prefix is None:
        found = {name: part for place, state in found.items() for name, part in _parted(place, state, expected)}
    named = {place: _renamed(_begun(state, prefix), expected) for place, state in found.items()}
    shared = {place: len(expected.keys() & state.keys()) for place, state in named.items()}
    # A few names in common are chance: `weight` of a loss function.
    fitting = {place for place, count in shared.items() if count and 2 * count > max(shared.values())}
    if fitting:
        place = _chosen(file, {place: found[place] for place in fitting}, weights)
    else:
        place = max(named, key=lambda one: (len(named[one]), len(found[one])))
    if prefix is not None:
        _tell_left_aside(file, found[place], prefix)
    return named[place]


def tell_classes(state: State, build: Callable[[int], nn.Module]) -> int | None:
    """Tell for how many classes a network was built: from the sizes that change when it is built for one more.

    Args:
        state: Its weights.
        build: Builds such a network for a number of classes.

    Returns:
        The number of classes; None where the weights do not say, or contradict each other.
    """
    first, second = 10, 11
    sizes, more = (
        {key: tensor.shape for key, tensor in build(count).state_dict().items()} for count in (first, second)
    )
    told = set()
    for key in sizes.keys() & more.keys() & state.keys():
        if len(state[key].shape) != len(sizes[key]) or len(sizes[key]) != len(more[key]):
            continue
        for size, larger, given in zip(sizes[key], more[key], state[key].shape, strict=True):
            if larger > size:
                told.add(first + (given - size) / (larger - size))
    (count,) = told if len(told) == 1 else (0.0,)
    return int(count) if count >= 1 and count == int(count) else None


def whole_prefixes(state: State, expected: State) -> list[str]:
    """With which beginnings all names of a network are in a file, where the file has other names too."""
    wanted = [key for key in expected if not key.endswith(".num_batches_tracked")]
    beginnings = [key.removesuffix(wanted[0]) for key in state if wanted and key.endswith(f".{wanted[0]}")]
    return [begun for begun in beginnings if all(begun + key in state for key in wanted)]


def _begun(state: State, prefix: str | None) -> State:
    if prefix is None:
        return state
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


def _parted(place: str, state: State, expected: State) -> Iterator[tuple[str, State]]:
    """A state, in two where one dict has the network as trained and averaged, told apart by how names begin."""
    known = {key.partition(".")[0] for key in expected}
    beginnings = {key.partition(".")[0] for key in state if "." in key} - known
    for beginning in sorted(beginnings):
        part = {key: tensor for key, tensor in state.items() if key.startswith(f"{beginning}.")}
        rest = {key: tensor for key, tensor in state.items() if key not in part}
        both = (_renamed(one, expected).keys() for one in (part, rest))
        if _is_averaged(beginning, part) and all(not expected.keys().isdisjoint(names) for names in both):
            yield place, rest
            yield f"{place}.{beginning}".removeprefix("."), part
            return
    yield place, state


def _renamed(state: State, expected: State) -> dict[str, Tensor]:
    """The same tensors without what wrappers put into their names, and without what all names begin with."""
    if any(_MARKS.search(key) for key in expected):  # the network itself is wrapped
        return dict(state)
    plain = {_MARKS.sub("", key): tensor for key, tensor in state.items()}
    if all(key == _COUNTER or key.startswith("module.") for key in plain) and _COUNTER not in expected:
        plain.pop(_COUNTER, None)
    bare = plain
    while expected.keys().isdisjoint(bare):
        beginnings = {key.partition(".")[0] for key in bare}
        if len(beginnings) != 1 or not all("." in key for key in bare):
            return plain
        bare = {key.partition(".")[2]: tensor for key, tensor in bare.items()}
    return bare


def _is_averaged(place: str, state: State) -> bool:
    return _AVERAGED.search(place.lower()) is not None or _COUNTER in state


def _chosen(file: str | os.PathLike[str], fitting: Mapping[str, State], weights: str | None) -> str:
    """The place that was asked for, or the only one there is."""
    if weights is None and len(fitting) == 1:
        return next(iter(fitting))
    averaged = {place: _is_averaged(place, state) for place, state in fitting.items()}
    kinds = {"ema": [one for one in averaged if averaged[one]], "model": [one for one in averaged if not averaged[one]]}
    asked = [weights] if weights is not None and weights in fitting else kinds.get(weights or "", [])
    if len(asked) == 1:
        return asked[0]
    places = [place or "the file itself" for place in sorted(fitting)]
    if weights is not None and not asked:
        unknown = unknown_name("weights", weights, fitting, listed=False)
        raise ValueError(f"{unknown}; {os.fspath(file)} has {', '.join(places)}")
    ways = [kind for kind, found in kinds.items() if len(found) == 1] or [place for place in sorted(fitting) if place]
    raise ValueError(
        f"{os.fspath(file)} holds the network {len(places)} times: {', '.join(places[:_SHOWN])}; choose by `weights` "
        f"(`--weights {'|'.join(ways[:_SHOWN])}`)"
    )


def _tell_left_aside(file: str | os.PathLike[str], state: State, prefix: str) -> None:
    aside = [key for key in state if not key.startswith(prefix)]
    if len(aside) == len(state):
        begun = sorted({key.partition(".")[0] for key in state})
        raise ValueError(f"`prefix` {prefix!r} begins no name in {os.fspath(file)}: they begin with {_listed(begun)}")
    if aside:
        _log.warning("%s: left aside, as `prefix` asks: %s", os.fspath(file), _listed(aside))


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
