"""Networks' sharpness compared side by side, from the files of what was measured; torch is not needed."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from gradscape._intervals import joint_level
from gradscape._names import tell_apart, telling_parts, unknown_name
from gradscape._provenance import CHANCE, Provenance
from gradscape.landscape import SHARPNESS_KINDS, Sharpness, paired_rises
from gradscape.landscape.image_counts import describe_images
from gradscape.landscape.metrics.measure import Measure
from gradscape.landscape.sharpness.kinds import Case, spelled_case
from gradscape.studies.comparison import Comparison
from gradscape.studies.differences import PairDifference, verdict_of

__all__ = ["SHARPNESS_FILE", "compare_sharpness", "holds_sharpness", "load_sharpness"]

SHARPNESS_FILE = "sharpness.npz"
"""What the file of a network's sharpness is called."""

_UNKNOWN = "unknown: no interval, as the notes say"


def load_sharpness(paths: Iterable[Path]) -> dict[str, Sharpness]:
    """Load what was measured, under names that tell the networks apart.

    Args:
        paths: Files, and folders in which every sharpness.npz is taken.
    """
    files = list(dict.fromkeys(file.resolve() for path in paths for file in _files(path)))
    found = [Sharpness.load(file) for file in files]
    names = [Provenance.of(one.meta).called or "model" for one in found]
    own = telling_parts([file.parent if file.name == SHARPNESS_FILE else file.with_suffix("") for file in files])
    return dict(zip(tell_apart([names, own]), found, strict=True))


def holds_sharpness(path: Path) -> bool:
    """Whether a path is a file of a network's sharpness, by its ending, or a folder that has some."""
    return bool(_files(path)) if path.is_dir() else path.suffix == ".npz"


def compare_sharpness(
    networks: Mapping[str, Sharpness], *, metrics: Sequence[str] | None = None, confidence: float = 0.95
) -> Comparison:
    """Compare networks by their sharpness, with intervals of differences paired over images and draws.

    Args:
        networks: By name, measured in one way on the same images.
        metrics: Kinds ("sam") and cases ("sam 0.05") that are compared; all that every network has by default.
        confidence: Coverage of each interval of a mean, and of all those of differences together.

    Raises:
        ValueError: They were measured otherwise or on other images, or have no case in common.

    Source: Dunn 1961 (Bonferroni intervals).
    """
    networks = _on_common_images(networks)
    cases = _chosen(networks, metrics)
    pairs = list(combinations(networks, 2))
    level = joint_level(confidence, len(pairs) * len(cases))
    return Comparison(
        means={
            name: {spelled_case(*case): one.measure(*case, confidence=confidence) for case in cases}
            for name, one in networks.items()
        },
        draws={
            name: {spelled_case(*case): one.spread(*case).tolist() for case in cases} for name, one in networks.items()
        },
        differences=[
            _difference(pair, paired_rises(networks[pair[0]], networks[pair[1]], *case, confidence=level))
            for case in cases
            for pair in pairs
        ],
        confidence=confidence,
        about=_remarks(networks, cases),
    )


def _on_common_images(networks: Mapping[str, Sharpness]) -> dict[str, Sharpness]:
    """The networks on the first sets of images that all have seen: one may have been stopped before another."""
    if not networks:
        raise ValueError("`networks` must hold the sharpness of at least one network")
    sets = min(one.drawn.shape[2] for one in networks.values())
    return {name: one.first(sets) for name, one in networks.items()}


def _chosen(networks: Mapping[str, Sharpness], metrics: Sequence[str] | None) -> list[Case]:
    """The cases that all networks have, as far as they are asked for."""
    first, *others = networks.values()
    shared = [case for case in first.cases if all(case in one.cases for one in others)]
    known = dict.fromkeys([*(kind for kind, _ in shared), *(spelled_case(*case) for case in shared)])
    for name in metrics or ():
        if name not in known:
            raise unknown_name("metric", name, list(known))
    chosen = [case for case in shared if metrics is None or {case[0], spelled_case(*case)} & set(metrics)]
    if not chosen:
        raise ValueError("networks must have a kind and rho of sharpness in common: measure all with the same ones")
    return chosen


def _difference(pair: tuple[str, str], found: Measure) -> PairDifference:
    if np.isnan(found.low):
        return PairDifference(found.name, *pair, found.value, np.nan, np.nan, np.nan, _UNKNOWN)
    verdict = verdict_of(pair, found.low, found.high, more="sharper")
    return PairDifference(found.name, *pair, found.value, found.low, found.high, np.nan, verdict)


def _remarks(networks: Mapping[str, Sharpness], cases: Sequence[Case]) -> list[str]:
    """What is counted, what each kind means, and what the intervals do not know."""
    first = next(iter(networks.values()))
    kinds = dict.fromkeys(kind for kind, _ in cases)
    counted = describe_images(first.meta, used=len(first), population=first.population)
    sought = [kind for kind in kinds if not SHARPNESS_KINDS[kind].random]
    draws = first.drawn.shape[1] if len(sought) < len(kinds) else 0
    said = [f"worst cases: sets of {first.m:,} of them, rho in {first.norm}"] if sought else []
    said += [f"average cases: {draws} draws"] if draws else []
    lines = [f"rise of the loss over {counted} ({'; '.join(said)})"]
    lines += [f"{kind}: {SHARPNESS_KINDS[kind].definition}" for kind in kinds]
    guessing = [name for name, one in networks.items() if CHANCE in one.meta]
    if guessing:
        lines.append(f"answers no better than chance on these images: {', '.join(guessing)}")
    return lines


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob(SHARPNESS_FILE)) if path.is_dir() else [path]
