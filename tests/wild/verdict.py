"""What gradscape makes of a stranger's network: right, refused with a sentence, or wrong."""

import copy
import warnings
from dataclasses import dataclass
from functools import partial
from itertools import combinations, product
from typing import Any

import numpy as np
import torch
from torch import nn

from gradscape.explain import heatmaps
from gradscape.landscape import evaluate_line, evaluate_surface, random_directions
from gradscape.landscape.directions import Direction
from tests.wild.attempt import Verdict, Word, WrongError, attempt
from tests.wild.plain_heatmaps import METHODS, plain_heatmaps
from tests.wild.plain_landscape import State, loaded, plain_losses
from tests.wild.subject import IMAGES, Subject, built, ready

__all__ = ["Judged", "judge"]

Directions = tuple[Direction, Direction]

_ALPHAS, _BETAS = (-0.1, 0.15), (0.0, 0.12)  # two of the four points lie off the axes
_LINE = (-0.2, -0.07, 0.1, 0.25)
_POSITIONS = [*((alpha, beta) for beta, alpha in product(_BETAS, _ALPHAS)), *((alpha, 0.0) for alpha in _LINE)]
_TOLERANCE = 3e-6  # of the loss
_ROUNDINGS = 3  # times what the last bits of the weights change, where that is more: some networks make much of it
_APART = 100  # tolerances that losses differ by: else weights that stay in place would pass
_RESCALED = 3.0
_DRAWN = 8  # directions, until the losses are apart


@dataclass(frozen=True)
class Judged:
    """The verdicts on a network; each also says whether the network was left as it was.

    Attributes:
        name: The network's.
        family: Its library's module.
        classifier: Whether its library calls it a classifier.
        landscape: On four points of a surface and of a line.
        heatmaps: On five methods' maps of two images.
        layer: Which layer gradscape explained.
    """

    name: str
    family: str
    classifier: bool
    landscape: Verdict
    heatmaps: Verdict
    layer: str = ""

    @property
    def word(self) -> Word:
        """The worst of them."""
        words = {self.landscape.word, self.heatmaps.word}
        return next(word for word in ("wrong", "refused", "right") if word in words)


@dataclass(frozen=True, eq=False)
class _Awaited:
    """The losses of a plain loop at positions, the factor of these, and by how much other losses may differ."""

    directions: Directions
    near: float
    losses: np.ndarray
    tolerances: np.ndarray


def judge(subject: Subject) -> Judged:
    """Compare gradscape with the slow ways, and look whether the network is as it was."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # strangers' code has many
        model = ready(subject)
        state = copy.deepcopy(model.state_dict())
        other = built(subject)
        landscape = _judge_landscape(model, other, state, subject)
        _used(model, state, subject)
        loaded(other, state)
        maps, layer = _judge_heatmaps(model, other, subject)
    return Judged(subject.name, subject.family, subject.classifier, landscape, maps, layer)


def _used(model: nn.Module, state: State, subject: Subject) -> None:
    """Bring the network to a state, with all that it caches or derives at its first call."""
    loaded(model, state)
    with torch.no_grad():
        subject.output(model, subject.inputs(IMAGES))


def _judge_landscape(model: nn.Module, other: nn.Module, state: State, subject: Subject) -> Verdict:
    """At positions whose losses are far enough apart: other ones, or a larger head, until they are."""
    near = 1.0
    for seed in range(_DRAWN):
        _used(model, state, subject)
        drawn, directions = attempt(model, partial(_draw_directions, model, seed=seed))
        if drawn.word != "right":
            return drawn
        positions = [(near * alpha, near * beta) for alpha, beta in _POSITIONS]
        expected, rounded = (
            plain_losses(other, state, subject, directions, positions, rounded=last) for last in (False, True)
        )
        rounding = _ROUNDINGS * float(np.abs(rounded / expected - 1).max())
        tolerances = max(_TOLERANCE, rounding) * np.abs(expected)
        if _are_apart(expected, tolerances):
            awaited = _Awaited(directions, near, expected, tolerances)
            return attempt(model, partial(_compare_landscapes, model, subject, awaited))[0]
        if rounding > _TOLERANCE:
            near /= 2
        elif seed % 2:
            near *= 1.5
        else:
            _rescale_head(model, state)
    return Verdict("wrong", f"the losses of this network do not tell its weights apart: {expected} ± {tolerances}")


def _draw_directions(model: nn.Module, *, seed: int) -> Directions:
    """Random directions, of which each filter must be as long as the network's; transposed ones lie otherwise."""
    directions = random_directions(model, seed=seed)
    transposed = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d
    left_out = {f"{name}.weight" for name, one in model.named_modules() if isinstance(one, transposed)}
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2 or name in left_out:
            continue
        wanted, *found = (
            one.detach().flatten(1).norm(dim=1) for one in (parameter, *(each[name] for each in directions))
        )
        if not all(torch.allclose(lengths, wanted, rtol=1e-3) for lengths in found):
            raise WrongError(f"the direction of {name} has filters of another length than the network's")
        if parameter.is_complex() and not all(each[name].imag.any() for each in directions):
            raise WrongError(f"the direction of {name} is real, and the weights are complex")
    return directions


def _compare_landscapes(model: nn.Module, subject: Subject, awaited: _Awaited) -> None:
    options: dict[str, Any] = {"loss": subject.loss(model)}
    if subject.metric != "default":
        options["metric"] = subject.metric
    if subject.forward is not None:
        options["forward"] = subject.forward
    batches = [(subject.inputs(subject.images), subject.labels(subject.images))]
    few = [awaited.near * np.array(axis) for axis in (_ALPHAS, _BETAS, _LINE)]
    more = np.linspace(-0.171, 0.223, subject.points - 2)
    alphas, betas = (np.sort([*axis, *more]) for axis in few[:2])
    surface = evaluate_surface(model, batches, awaited.directions, alphas, betas, **options)
    chosen = surface.loss[np.ix_(np.isin(betas, few[1]), np.isin(alphas, few[0]))]
    line = evaluate_line(model, batches, awaited.directions[0], few[2], **options)
    for called, found, part in (("surface", chosen.ravel(), slice(4)), ("line", line.loss, slice(4, None))):
        wanted, tolerances = awaited.losses[part], awaited.tolerances[part]
        if not (np.abs(found - wanted) <= tolerances).all():
            raise WrongError(f"the {called} has the losses {found}, a plain loop {wanted} ± {tolerances}")


def _are_apart(losses: np.ndarray, tolerances: np.ndarray) -> bool:
    """Whether the losses of the surface, and of the line, differ by many times the tolerance."""
    if not np.isfinite(losses).all():
        raise FloatingPointError(f"the network's losses are not finite: {losses}")
    pairs = [pair for some in (range(4), range(4, 8)) for pair in combinations(some, 2)]
    return all(abs(losses[i] - losses[j]) >= _APART * max(tolerances[i], tolerances[j]) for i, j in pairs)


def _rescale_head(model: nn.Module, state: State) -> None:
    """Make the last weights of the network larger, also where another library derives them from several."""
    owners = [name for name, one in model.named_modules() if any(each.dim() > 1 for each in one.parameters(False))]
    for name, one in dict(model.named_modules())[owners[-1]].named_parameters(owners[-1], recurse=False):
        if one.dim() > 1:  # a bias stays in place, and would drown what moves
            state[name] = state[name] * _RESCALED


def _judge_heatmaps(model: nn.Module, other: nn.Module, subject: Subject) -> tuple[Verdict, str]:
    if subject.places is None:
        return Verdict("not compared"), ""
    verdict, layer = attempt(model, lambda: _compare_heatmaps(model, other, subject))
    return verdict, layer or ""


def _compare_heatmaps(model: nn.Module, other: nn.Module, subject: Subject) -> str:
    images = subject.inputs(IMAGES)
    found = heatmaps(model, images, method=METHODS, score=subject.score)
    layer = found[METHODS[0]].target_layer
    telling = set()
    for number, plain in enumerate(plain_heatmaps(other, subject, layer, images)):
        for method, one in plain.items():
            raw, place = found[method].raw[number], f"{method} at {layer}"
            if raw.shape != one.values.shape:
                raise WrongError(f"{place} is a map of {raw.shape}, and should be of {one.values.shape}")
            off = np.abs(raw - one.values).max()
            if not off <= one.tolerance:
                raise WrongError(f"{place} is off by {off:.3g} of {np.abs(one.values).max():.3g}")
            if found[method].class_index[number] != one.class_index:
                raise WrongError(f"{place} explains another class than the largest")
            if np.ptp(one.values) > _APART * one.tolerance:
                telling.add(method)
    if len(telling) < len(METHODS) // 2:
        raise WrongError(f"the maps at {layer} are flat, so that no comparison tells anything")
    return layer
