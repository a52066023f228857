"""Sanity check: a heatmap that shows what a network learned changes when the learned parameters are lost."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypedDict

import numpy as np
import torch
from jaxtyping import Float, Shaped
from scipy.stats import rankdata
from torch import Tensor, nn

from gradscape._arrays import load_result, save_arrays
from gradscape._left_as_before import left_as_before
from gradscape._model_state import unchanged
from gradscape._provenance import Provenance
from gradscape.explain.cam import heatmaps
from gradscape.explain.explainable import ForwardFunction, called_by, explainable, images_for, inferring
from gradscape.explain.explained import ClassIndex, Score
from gradscape.explain.heatmap import Heatmaps
from gradscape.explain.target_layer import layer_names

__all__ = ["Randomization", "randomize_parameters"]

_REST = "rest"
_ARRAYS = dict.fromkeys(("rank_correlation", "overlap"), Float[np.ndarray, "groups images"])


class _RandomizationEntry(TypedDict):
    groups: list[str]
    faults: dict[str, dict[str, str]]


@dataclass(frozen=True, eq=False)
class Randomization:
    """How alike N heatmaps stay while a network loses its parameters from the head down.

    Attributes:
        groups: Names of the G module groups, in the order in which they were randomized; each stays so for the next.
        rank_correlation: (G, N) Spearman's between the raw maps, signed and at the layer's size, before and after;
            NaN where either is constant or not finite.
        overlap: (G, N) share of the displayed heatmaps' mass that they have in common, in [0, 1]; NaN where
            either shows nothing.
        faults: Group -> image number -> why its map after randomization must not be painted; "" is the trained model.
        meta: Provenance, with method, target layer and seed.
    """

    groups: tuple[str, ...]
    rank_correlation: np.ndarray
    overlap: np.ndarray
    faults: Mapping[str, Mapping[int, str]]
    meta: Mapping[str, Any]

    def __post_init__(self) -> None:
        shapes = self.rank_correlation.shape, self.overlap.shape
        if shapes[0] != shapes[1] or shapes[0][:1] != (len(self.groups),):
            raise ValueError(
                f"`rank_correlation` and `overlap` must be ({len(self.groups)}, images), "
                f"got {shapes[0]} and {shapes[1]}"
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one `.npz` file."""
        arrays = {"rank_correlation": self.rank_correlation, "overlap": self.overlap}
        named = {"groups": list(self.groups), "faults": self.faults}
        save_arrays(path, arrays, {**self.meta, "randomization": named})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Randomization":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It holds no randomization.
        """

        def made(arrays: dict[str, np.ndarray], named: _RandomizationEntry, meta: Provenance) -> Randomization:
            faults = {
                group: {int(number): reason for number, reason in found.items()}
                for group, found in named["faults"].items()
            }
            return cls(**arrays, groups=tuple(named["groups"]), faults=faults, meta=meta)

        called, entry = "a randomization", _RandomizationEntry
        return load_result(path, "randomization", made, called=called, entry=entry, arrays=_ARRAYS)


@left_as_before
def randomize_parameters(
    model: nn.Module,
    images: Shaped[Tensor, "batch channels height width"],
    *,
    method: str = "gradcam++",
    target_layer: str | None = None,
    class_index: ClassIndex | None = None,
    score: Score | None = None,
    forward: ForwardFunction | None = None,
    seed: int = 0,
) -> Randomization:
    """Compare heatmaps before and while a model's parameters are randomized, group by group from the head down.

    A method whose maps stay alike shows the image (its edges, say) and not what the model learned. Each parameter is
    drawn anew from the normal distribution with its own mean and standard deviation, which are near those of its
    initialization in most layers, so that the signal neither dies nor overflows; one whose values are all equal stays.
    Running statistics stay too. What was explained of the trained model, such as its predicted classes, is explained
    throughout. On return, also after an exception, the model is as before to the bit.

    A group is a module right below the model, or below a container there (`layer4.1`, `stages.2`, `features.17`), or
    below a module with more than half of all parameters; parameters outside of these come last, as the group "rest".
    Groups are randomized in the reverse of the order in which the model calls them.

    Args:
        model: The trained model.
        images: (N, C, H, W), as the model takes them.
        method: As in `heatmaps`.
        target_layer: As in `heatmaps`, by name.
        class_index: As in `heatmaps`.
        score: As in `heatmaps`.
        forward: As in `heatmaps`.
        seed: Of the new parameters.

    Raises:
        ValueError: The model has no parameters, or `heatmaps` refuses what it was given.

    Source: Adebayo et al. 2018, Sanity Checks for Saliency Maps, arXiv 1810.03292, cascading randomization.
    """
    model = called_by(model, forward)
    explain = partial(_heatmaps, model, images, method=method, score=score)
    trained = explain(target_layer=target_layer, class_index=class_index)
    explained = trained.class_index if score is None else None
    kind = trained.meta.get("outputs")
    groups = _groups(model, images)
    after: dict[str, Heatmaps] = {}
    with _parameters_kept(model):
        generator = torch.Generator().manual_seed(seed)
        for group, parameters in groups.items():
            for parameter in parameters:
                _redraw(parameter, generator)
            after[group] = explain(target_layer=trained.target_layer, class_index=explained, outputs=kind)
    correlations = [[_spearman(*pair) for pair in zip(trained.raw, one.raw, strict=True)] for one in after.values()]
    overlaps = [[_overlap(*pair) for pair in zip(trained.display, one.display, strict=True)] for one in after.values()]
    faults = {group: one.faults for group, one in {"": trained, **after}.items()}
    meta = {**trained.meta, "method": method, "target_layer": trained.target_layer, "seed": seed}
    return Randomization(tuple(groups), np.array(correlations), np.array(overlaps), faults, meta)


def _heatmaps(model: nn.Module, images: Tensor, **options: Any) -> Heatmaps:
    """Those of one method at one layer."""
    found = heatmaps(model, images, **options)
    assert isinstance(found, Heatmaps)
    return found


@contextmanager
def _parameters_kept(model: nn.Module) -> Iterator[None]:
    """Afterwards the values of the parameters, and all that `unchanged` keeps, are as before."""
    if any(parameter.is_inference() for parameter in model.parameters()):
        raise ValueError("`model` must not be made under inference_mode, which forbids to change its parameters")
    with inferring(False), unchanged(model, parameters=True):
        yield


def _groups(model: nn.Module, images: Tensor) -> dict[str, list[nn.Parameter]]:
    """Name -> parameters, each parameter once, in the order in which they are to be randomized."""
    modules = layer_names(model)
    units = _units("", modules, _size(model))
    called = _call_order(model, images, {name: modules[name] for name in units})
    ordered = [*reversed(called), *(name for name in reversed(units) if name not in called)]
    members = [(name, list(modules[name].parameters())) for name in ordered]
    members.append((_REST, list(model.parameters())))
    groups: dict[str, list[nn.Parameter]] = {}
    seen: set[nn.Parameter] = set()
    for name, parameters in members:
        if new := [parameter for parameter in parameters if parameter not in seen]:
            groups[name] = new
            seen.update(new)
    if not groups:
        raise ValueError("`model` must have parameters to randomize, and has none")
    return groups


def _units(name: str, modules: Mapping[str, nn.Module], total: int, *, held: bool = False) -> list[str]:
    """The modules that stay whole; opened are the root, containers outside of others, and what outweighs all else."""
    prefix = f"{name}." if name else ""
    children = [
        child
        for child in modules
        if child.startswith(prefix) and "." not in child[len(prefix) :] and _size(modules[child])
    ]
    container = bool(name) and isinstance(modules[name], nn.Sequential | nn.ModuleList | nn.ModuleDict)
    heavy = not name or 2 * _size(modules[name]) > total
    if not children or not (heavy or (container and not held)):
        return [name] if name else []
    return [unit for child in children for unit in _units(child, modules, total, held=container)]


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _call_order(model: nn.Module, images: Tensor, units: Mapping[str, nn.Module]) -> list[str]:
    """The units in the order in which they, or modules within them, are first called for one image."""
    called: dict[str, None] = {}

    def noting(name: str) -> Any:
        return lambda *_: called.setdefault(name)

    with explainable(model), torch.no_grad(), ExitStack() as hooks:
        for name, unit in units.items():
            for module in unit.modules():
                hooks.callback(module.register_forward_pre_hook(noting(name)).remove)
        model(images_for(model, images[:1]))
    return list(called)


def _redraw(parameter: nn.Parameter, generator: torch.Generator) -> None:
    """Drawn on the CPU, so that every device gets the same."""
    values = parameter.detach().float().cpu()
    noise = torch.randn(values.shape, generator=generator)
    with torch.no_grad():
        parameter.copy_(values.mean() + values.std(correction=0) * noise)


def _spearman(first: np.ndarray, second: np.ndarray) -> float:
    if not (np.isfinite(first).all() and np.isfinite(second).all()) or not (np.ptp(first) and np.ptp(second)):
        return np.nan
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Σ min of two maps that each sum to one."""
    sums = first.sum(dtype=np.float64), second.sum(dtype=np.float64)
    if not all(total > 0 for total in sums):  # nor is NaN
        return np.nan
    return float(np.minimum(first / sums[0], second / sums[1]).sum())
