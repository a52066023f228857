"""Several networks' landscapes in numbers: is one really smoother, or was it the choice of directions or seeds?"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from gradscape._intervals import joint_level
from gradscape._names import tell_apart, telling_parts, unknown_name
from gradscape._provenance import CHANCE, Provenance
from gradscape._recipe_record import describe_recipe_differences
from gradscape._schema import fitting
from gradscape.landscape import Surface
from gradscape.landscape.common_images import on_common_images, unlike_images
from gradscape.landscape.metrics.measure import METRICS, measure_resamples
from gradscape.landscape.rounding import describe_precision
from gradscape.studies.accuracies import compare_trainings, holds_training, is_training, load_trainings
from gradscape.studies.comparison import Comparison
from gradscape.studies.differences import Draws, pair_difference
from gradscape.studies.sharpness_comparison import compare_sharpness, holds_sharpness, load_sharpness
from gradscape.studies.training_identity import common_name, group_alike, read_identity, warn_of_apart

__all__ = ["compare_found", "compare_surfaces", "load_networks"]

_SURFACE = "surface.h5"
_Draw = tuple[Path, Surface]


def compare_found(
    paths: Sequence[Path], *, metrics: Sequence[str] | None = None, confidence: float = 0.95, seed: int = 0
) -> Comparison:
    """Compare the surfaces that paths hold, or their sharpness, or, where they hold none, the accuracies of trainings.

    Args:
        paths: Surfaces and folders of them; files and folders of `gradscape sharpness`; or run folders of `gradscape
            train`, their metrics.csv, checkpoints.
        metrics: Some of the metrics that there are of these.
        confidence: Coverage of each interval of a mean, and of all those of differences together.
        seed: Of bootstrap and permutations.

    Raises:
        ValueError: Some hold surfaces and others trainings, and as `compare_surfaces` and `compare_trainings` do.
    """
    if sharp := [path for path in paths if _holds_sharpness_alone(path)]:
        if len(sharp) < len(paths):
            raise ValueError(f"{sharp[0]} holds sharpness, other paths hold something else: give one kind")
        return compare_sharpness(load_sharpness(paths), metrics=metrics, confidence=confidence)
    trained = [path for path in paths if not _holds_surface(path)]
    options: dict[str, Any] = {"metrics": metrics, "confidence": confidence, "seed": seed}
    if not trained:
        return compare_surfaces(load_networks(paths), **options)
    if len(trained) < len(paths):
        raise ValueError(f"{trained[0]} holds trainings and no {_SURFACE}, other paths hold surfaces: give one kind")
    return compare_trainings(load_trainings(trained), **options)


def load_networks(paths: Iterable[Path]) -> dict[str, list[Surface]]:
    """Load surfaces and tell their networks apart; trainings that differ in nothing but the seed are one network.

    Weights are told apart by their digest, trainings by what their checkpoints said of them. Surfaces that do not tell
    of which training they are belong to a network of their own.

    Args:
        paths: Surface files, and folders in which every surface.h5 is taken.

    Returns:
        Network -> its surfaces, one for each training and draw of directions; a network has its model's name where
        that tells it from the others, else what its path has of its own, else a part of its digest.

    Raises:
        ValueError: A folder without surfaces, a file of another program, or the same draw twice.
    """
    found: dict[str, dict[str, _Draw]] = {}
    for file in dict.fromkeys(file.resolve() for path in paths for file in _surface_files(path)):
        surface = Surface.load(file)
        if not {"weights", "directions", "blocks"} <= surface.meta.keys():
            raise ValueError(f"{file} does not say which network, directions and images it is of: evaluate it here")
        draws = found.setdefault(str(surface.meta["weights"]), {})
        known = draws.setdefault(str(surface.meta["directions"]), (file, surface))
        if known[0] != file:
            raise ValueError(f"{known[0]} and {file} hold one network along the same directions: give one of them")
    first = {weights: next(iter(draws.values())) for weights, draws in found.items()}
    groups, apart = group_alike({weights: read_identity(surface.meta) for weights, (_, surface) in first.items()})
    warn_of_apart(apart)
    called = _call([[(weights, *first[weights]) for weights in group] for group in groups])
    several = [[surface for weights in group for _, surface in found[weights].values()] for group in groups]
    return dict(zip(called, several, strict=True))


def _call(groups: Sequence[Sequence[tuple[str, Path, Surface]]]) -> list[str]:
    """Names of the networks, by the trainings of each: digest of the weights, file, surface."""
    names = [Provenance.of(group[0][2].meta).called or "model" for group in groups]
    folders = iter(telling_parts([_run(file) for group in groups for _, file, _ in group]))
    shared = [common_name([next(folders) for _ in group]) for group in groups]
    digests = [f"{name} {group[0][0][:8]}" for name, group in zip(names, groups, strict=True)]
    return tell_apart([names, shared, digests])


def compare_surfaces(
    networks: Mapping[str, Sequence[Surface]],
    *,
    metrics: Sequence[str] | None = None,
    confidence: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
) -> Comparison:
    """Compare networks by the metrics of their landscapes.

    Each network has K draws of random directions in each of T trainings. Where there are several trainings, these are
    the sample (see `Draws`), and the answer is about what such trainings give; with one each, the draws are, and it is
    about these two. Networks share neither trainings nor directions that mean the same to them, so that the difference
    of their means has Welch's interval. They do share the images: what other images would change is a bootstrap over
    blocks that resamples the same images for all; its half-width is added in quadrature. Where some have seen more
    images than others, all are taken over those that all have (see `on_common_images`).

    Args:
        networks: Name -> surfaces, one for each training and draw of directions; surfaces whose weights have the same
            digest are of one training.
        metrics: Some of `METRICS`; all by default. The fewer, the narrower the intervals of the differences.
        confidence: Coverage of each interval of a mean, and of all those of differences together.
        resamples: Number of bootstrap resamples.
        seed: Of bootstrap and permutations.

    Raises:
        ValueError: The surfaces differ in coordinates, images, loss or normalization, or there is no such metric.

    Source: Welch 1947; Zou and Donner 2008 (half-widths in quadrature); Dunn 1961 (Bonferroni intervals).
    """
    chosen = list(METRICS if metrics is None else dict.fromkeys(metrics))
    for name in chosen:
        if name not in METRICS:
            raise unknown_name("metric", name, METRICS)
    if not networks or not all(networks.values()) or not chosen:
        raise ValueError("`networks` must hold at least one network with a surface, and `metrics` at least one name")
    _check_comparable(networks)
    networks, cut = _on_common_images(networks)
    found = {
        name: [
            measure_resamples(surface, resamples=resamples, confidence=confidence, seed=seed) for surface in surfaces
        ]
        for name, surfaces in networks.items()
    }
    trainings = {name: [_training(surface) for surface in surfaces] for name, surfaces in networks.items()}
    pairs = list(combinations(networks, 2))
    level = joint_level(confidence, len(pairs) * len(chosen))
    samples = {
        (network, metric): Draws.of([draw[metric] for draw in draws], trainings[network], bounds=METRICS[metric].bounds)
        for network, draws in found.items()
        for metric in chosen
    }
    return Comparison(
        means={name: {metric: samples[name, metric].mean(confidence) for metric in chosen} for name in networks},
        draws={name: {metric: samples[name, metric].values.tolist() for metric in chosen} for name in networks},
        differences=[
            pair_difference(metric, pair, *(samples[name, metric] for name in pair), confidence=level, seed=seed)
            for metric in chosen
            for pair in pairs
        ],
        confidence=confidence,
        about=[*_remarks(networks, trainings), *cut],
        trainings=trainings,
        precisions={name: _precision(surfaces) for name, surfaces in networks.items()},
    )


def _training(surface: Surface) -> str:
    """A name of the training, the same for its surfaces alone."""
    identity, weights = read_identity(surface.meta), str(surface.meta.get("weights", ""))[:8]
    return f"seed {identity.seed} {weights}" if identity else weights


def _remarks(networks: Mapping[str, Sequence[Surface]], trainings: Mapping[str, Sequence[str]]) -> list[str]:
    """What is counted, and what the intervals do not know."""
    several = any(len(set(of_draws)) > 1 for of_draws in trainings.values())
    lines = [_counted(trainings)]
    if several:
        lines.append(
            "intervals of networks with several trainings count these as the sample: the mean over its draws is one "
            "number of each"
        )
        alone = [name for name, of_draws in trainings.items() if len(set(of_draws)) == 1]
        lines += [f"one training of {', '.join(alone)}: train more by gradscape train --seeds 5"] if alone else []
    else:
        single = [name for name, of_draws in trainings.items() if len(of_draws) == 1]
        lines += [_one_draw(single)] if single else []
    lines += _epochs_remark(networks)
    guessing = [name for name, surfaces in networks.items() if any(CHANCE in one.meta for one in surfaces)]
    if guessing:
        lines.append(
            f"answers no better than chance on these images: {', '.join(guessing)}; see that the images, "
            "their labels and the normalization are the networks' own"
        )
    trained = describe_recipe_differences({name: surfaces[0].meta for name, surfaces in networks.items()})
    return [*lines, trained] if trained else lines


def _counted(trainings: Mapping[str, Sequence[str]]) -> str:
    if all(len(set(of_draws)) == 1 for of_draws in trainings.values()):
        counts = ", ".join(f"{name} {len(of_draws)}" for name, of_draws in trainings.items())
        return f"draws of directions: {counts}"
    said = []
    for name, of_draws in trainings.items():
        each = [of_draws.count(one) for one in dict.fromkeys(of_draws)]
        draws = f"{min(each)}" if min(each) == max(each) else f"{min(each)} to {max(each)}"
        said.append(f"{name} {len(each)} × {draws}")
    return f"trainings × draws of directions in each: {', '.join(said)}"


def _one_draw(single: Sequence[str]) -> str:
    return (
        f"one draw of directions for {', '.join(single)}: intervals of its means are over images and not over "
        "directions; evaluate more by gradscape landscape --repeats 5"
    )


def _epochs_remark(networks: Mapping[str, Sequence[Surface]]) -> list[str]:
    """Say of which networks the trainings' weights are of different epochs."""
    lines = []
    for name, surfaces in networks.items():
        known = (read_identity(surface.meta) for surface in surfaces)
        epochs = sorted({one.epoch for one in known if one is not None})
        if len(epochs) > 1:
            lines.append(f"the trainings of {name} ended after {epochs[0]} to {epochs[-1]} epochs")
    return lines


def _precision(surfaces: Sequence[Surface]) -> str:
    return ", ".join(filter(None, dict.fromkeys(describe_precision(surface.meta) for surface in surfaces)))


def _check_comparable(networks: Mapping[str, Sequence[Surface]]) -> None:
    """Refuse surfaces that differ in more than network and directions."""
    named = [(name, surface) for name, surfaces in networks.items() for surface in surfaces]
    reference_name, reference = named[0]
    for name, surface in named:
        if not (surface.count > 0).all():
            raise ValueError(f"{name} is not evaluated at all points: let its evaluation end")
        for what, own, other, fix in (
            ("spans or steps", _axes(reference), _axes(surface), "use one --span R and --steps N"),
            ("calibrations of batch norm", _calibration(reference), _calibration(surface), _ONE_CALIBRATION),
            *((what, reference.meta.get(key), surface.meta.get(key), fix) for key, (what, fix) in _MUST_AGREE.items()),
        ):
            if own != other:
                raise ValueError(f"{reference_name} and {name} have different {what}: {fix} for all")
        if unlike := unlike_images(reference, surface):
            raise ValueError(f"{reference_name} and {name} have different {unlike}: {_ONE_DATA[unlike]} for all")


def _on_common_images(networks: Mapping[str, Sequence[Surface]]) -> tuple[dict[str, list[Surface]], list[str]]:
    """The surfaces over the images that all have seen, and a line that says so where some had seen more."""
    every = [surface for surfaces in networks.values() for surface in surfaces]
    common = on_common_images(every, (every[0].betas, every[0].alphas))
    following = iter(common)
    found = {name: [next(following) for _ in surfaces] for name, surfaces in networks.items()}
    if all(one is other for one, other in zip(every, common, strict=True)):
        return found, []
    line = f"all are taken over the images that all have seen, the first {int(common[0].count.max()):,}"
    estimated = [any(one.sample is not None for one in surfaces) for surfaces in (every, common)]
    if estimated[1]:
        line += " at the finest points and more at the coarse ones"
    elif estimated[0]:
        line += "; beside plain means, estimates by regression are plain means too"
    return found, [line]


_ONE_DATA = {
    "images": "use one --data, --limit and --seed",
    "numbers of images in a block": "use one --batch-size and --estimator",
    "numbers of images to draw from": "use one --data and --split",
}
_ONE_CALIBRATION = "use one --batch-norm and --calibration"
_MUST_AGREE = {
    "data": ("data", "use one --data"),
    "split": ("splits of the data", "use one --split"),
    "functions": ("loss or metric functions", "use the same ones"),
    "normalize": ("normalizations of directions", "use one --normalize"),
    "ignore": ("choices of what directions move", "use one --ignore"),
    "space": ("spaces of directions", "use one --space"),
}


def _calibration(surface: Surface) -> object:
    """Digest of the images that statistics were measured anew on; None where they were not."""
    return (fitting(surface.meta, "batch_norm", dict[str, Any]) or {}).get("digest")


def _axes(surface: Surface) -> Any:
    return surface.alphas.tolist(), surface.betas.tolist()


def _surface_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(path.rglob(_SURFACE))
    if not files:
        raise ValueError(f"{path} holds no {_SURFACE}: gradscape landscape makes them")
    return files


def _holds_surface(path: Path) -> bool:
    """Whether a path is to be read as surfaces, and not as trainings."""
    if not path.exists():
        raise FileNotFoundError(f"there is no {path}")
    if not path.is_dir():
        return not is_training(path)
    if next(path.rglob(_SURFACE), None) is not None:
        return True
    if not holds_training(path):
        raise ValueError(
            f"{path} holds no {_SURFACE} and no training: gradscape landscape and gradscape train make them"
        )
    return False


def _holds_sharpness_alone(path: Path) -> bool:
    """Whether a path is to be read as sharpness: a file of it, or a folder that has some and no surfaces."""
    if not path.exists():
        return False  # which is told where it is read
    return holds_sharpness(path) and not (path.is_dir() and next(path.rglob(_SURFACE), None) is not None)


def _run(file: Path) -> Path:
    """The folder of a surface, or of the draws that it is one of; the file where it has a name of its own."""
    if file.name != _SURFACE:
        return file.with_suffix("")
    return file.parent.parent if file.parent.name.removeprefix("seed").isdecimal() else file.parent
