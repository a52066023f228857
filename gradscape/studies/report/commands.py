"""The commands that make what was found, as far as its provenance tells."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradscape.explain.heatmap import Heatmaps
from gradscape.landscape import Line, Surface
from gradscape.studies.fusion import NOISE
from gradscape.studies.report.collect import Found
from gradscape.studies.report.networks import Network
from gradscape.training import RECIPES

__all__ = ["rebuild_commands", "suggest_commands"]

_UNKNOWN = "CKPT"  # stands for a checkpoint that is in none of the folders
_MAKING = {"normalize": "filter", "ignore": "biasbn", "space": "weights"}

Owned = tuple[Network, Found[Any]]
Parts = Sequence[object]


def rebuild_commands(networks: Sequence[Network]) -> list[str]:
    """Command lines, quoted for a shell, in the order in which they have to be run.

    Image files are named without their folder, which no result tells.
    """
    lines = [line for network in networks for line in _training(network)]
    lines += [line for group in _together(networks, "surfaces", _surface_key) for line in _landscapes(group)]
    lines += [_line_command(network, found) for network, found in _owned(networks, "lines")]
    lines += [_cam(group) for group in _together(networks, "heatmaps", _heatmap_key)]
    lines += [
        _command("attention", _path(network), *_images(found.result.meta), "-o", found.path.parent)
        for network, found in _owned(networks, "attention")
    ]
    lines += [
        _command("fusion", _path(network), *_images(found.result.meta), "--block", found.result.block, "-o", _in(found))
        for network, found in _owned(networks, "fusion")
    ]
    lines += [_tsne(group) for group in _together(networks, "embeddings", _embedding_key)]
    return list(dict.fromkeys(lines))


def suggest_commands(networks: Sequence[Network]) -> list[tuple[str, str]]:
    """What is not there, and the command that makes it."""
    paths = [_path(network) for network in networks if network.checkpoint] or [_UNKNOWN]
    data = next(
        (found.result.meta["data"] for _, found in _owned(networks, "surfaces") if "data" in found.result.meta), "DATA"
    )
    images = ("--images", "IMAGES")
    possible: dict[str, tuple[str, Parts]] = {
        "training": ("training curves", ("train", "MODEL", "--data", data)),
        "surfaces": ("landscapes", ("landscape", *paths, "--data", data)),
        "heatmaps": ("heatmaps", ("cam", *paths, *images)),
        "faithfulness": ("faithfulness of heatmaps", ("cam", *paths, *images, "--faithfulness")),
        "attention": ("attention maps", ("attention", paths[0], *images)),
        "fusion": ("feature fusion", ("fusion", paths[0], *images)),
        "embeddings": ("embeddings", ("tsne", *paths, "--data", data)),
    }
    present = {name for name in possible if any(getattr(network, name) for network in networks)}
    if any(row.get("road") for network in networks for row in network.heatmap_rows):
        present.add("faithfulness")
    return [(what, _command(*parts, "-o", "out")) for name, (what, parts) in possible.items() if name not in present]


def _command(*parts: object) -> str:
    return shlex.join(["gradscape", *map(str, parts)])


def _path(network: Network) -> str:
    return str(network.checkpoint.path) if network.checkpoint else _UNKNOWN


def _in(found: Found[Any]) -> Path:
    return found.path.parent


def _owned(networks: Sequence[Network], kind: str) -> Iterator[Owned]:
    for network in networks:
        for found in getattr(network, kind):
            yield network, found


def _together(networks: Sequence[Network], kind: str, key: Any) -> list[list[Owned]]:
    """Results of one kind that one command made: of one folder, with the same settings."""
    groups: dict[str, list[Owned]] = {}
    for network, found in _owned(networks, kind):
        groups.setdefault(json.dumps(key(found), default=str), []).append((network, found))
    return list(groups.values())


def _paths(group: Sequence[Owned]) -> list[str]:
    return list(dict.fromkeys(_path(network) for network, _ in group))


def _training(network: Network) -> list[str]:
    if network.checkpoint is None:
        return []
    meta, path = network.checkpoint.result.meta, network.checkpoint.path
    recipe, data, scores = (meta.get(name) or {} for name in ("recipe", "data", "scores"))
    if "name" in recipe and "name" in data:
        seed = scores.get("seed", 0)
        folder = path.parent.parent if path.parent.name == f"seed{seed}" else path.parent
        said = ("--recipe", recipe["name"], "--epochs", recipe.get("epochs", 1), *_changes(recipe), "--seed", seed)
        return [_command("train", meta["name"], "--data", data["name"], *said, "-o", folder)]
    shape = ("--num-classes", meta["num_classes"], "--image-size", meta["image_size"])
    colors = [",".join(f"{value:.6g}" for value in meta[name]) for name in ("mean", "std")]
    return [
        _command("import", "FILE", "--model", meta["name"], *shape, "--mean", colors[0], "--std", colors[1], "-o", path)
    ]


def _changes(recipe: Mapping[str, Any]) -> list[Any]:
    """What was other than the recipe says, as options."""
    usual = RECIPES.get(recipe["name"])
    return [
        part
        for name in ("batch_size", "learning_rate")
        if usual and recipe.get(name) not in (None, getattr(usual, name))
        for part in (f"--{name.replace('_', '-')}", recipe[name])
    ]


def _surface_key(found: Found[Surface]) -> Any:
    surface, meta = found.result, found.result.meta
    settings = {name: meta.get(name) for name in ("data", "split", "images", "direction_file", *_MAKING)}
    return [str(_root(found)), settings, surface.alphas.tolist(), surface.betas.tolist()]


def _root(found: Found[Surface]) -> Path:
    """The folder of the run: above the folders of networks and of seeds, if the file lies in such."""
    folder = found.path.parent
    if folder.name == f"seed{found.result.meta.get('seed')}":
        folder = folder.parent
    return folder.parent


def _landscapes(group: Sequence[Owned]) -> list[str]:
    """One command for networks that lie in folders of one run, else one for each."""
    if "data" not in group[0][1].result.meta:
        return []  # of another program
    seeds = sorted({found.result.meta.get("seed", 0) for _, found in group})
    repeated = len(seeds) > 1
    if len(_paths(group)) > 1:
        return [_landscape(group, seeds, _root(group[0][1]))]
    folder = group[0][1].path.parent
    return [_landscape(group, seeds, folder.parent if repeated else folder)]


def _landscape(group: Sequence[Owned], seeds: Sequence[int], output: Path) -> str:
    surface = group[0][1].result
    meta = surface.meta
    parts: list[object] = [*_paths(group), *_data(meta), *_grid(surface)]
    for name, usual in _MAKING.items():
        if meta.get(name, usual) != usual:
            parts += [f"--{name}", meta[name]]
    if "direction_file" in meta:
        parts += ["--directions", meta["direction_file"]]
    else:
        parts += ["--seed", seeds[0]]
    if len(seeds) > 1:
        parts += ["--repeats", len(seeds)]
    if precision := meta.get("plan", {}).get("precision"):
        parts += ["--precision", precision]
    return _command("landscape", *parts, "-o", output)


def _data(meta: Mapping[str, Any]) -> list[object]:
    parts: list[object] = ["--data", meta.get("data", "DATA")]
    if meta.get("split") == "test":
        parts += ["--split", "test"]
    images, population = meta.get("images"), meta.get("population")
    return [*parts, "--limit", images] if images and population and images < population else parts


def _grid(surface: Surface) -> list[object]:
    alphas, betas = surface.alphas, surface.betas
    if np.array_equal(alphas, betas) and np.isclose(alphas[0], -alphas[-1]):
        return ["--span", f"{alphas[-1]:g}", "--steps", len(alphas)]
    spelled = ",".join(f"{axis[0]:g}:{axis[-1]:g}:{len(axis)}" for axis in (alphas, betas))
    return ["--grid", spelled]


def _line_command(network: Network, found: Found[Line]) -> str:
    line, meta = found.result, found.result.meta
    parts: list[object] = [_path(network)]
    if "other" in meta:
        parts.append(_UNKNOWN)
    parts += [*_data(meta), "--steps", len(line.alphas)]
    if "other" not in meta:
        parts += ["--span", f"{np.abs(line.alphas).max():g}", "--seed", meta.get("seed", 0)]
    return _command("line", *parts, "-o", found.path.parent)


def _heatmap_key(found: Found[Heatmaps]) -> Any:
    return [str(found.path.parent.parent), found.result.meta.image_digest]


def _cam(group: Sequence[Owned]) -> str:
    maps: list[Heatmaps] = [found.result for _, found in group]
    methods = [part for method in dict.fromkeys(one.method for one in maps) for part in ("--method", method)]
    layers = {one.target_layer for one in maps}
    layer = ["--layer", *layers] if len(layers) == 1 else []
    # One class for all may have been asked for; several can only be what was predicted.
    classes = {int(index) for one in maps for index in one.class_index}
    asked = len(classes) == 1 and not all((one.probability > 0.5).all() for one in maps)
    class_index = ["--class", *classes] if asked else []
    measured = any(row.get("road") for network, _ in group for row in network.heatmap_rows)
    faithful = ["--faithfulness"] if measured else []
    output = group[0][1].path.parent.parent
    images = _images(maps[0].meta)
    return _command("cam", *_paths(group), *images, *methods, *layer, *class_index, *faithful, "-o", output)


def _images(meta: Mapping[str, Any]) -> list[object]:
    names = meta.get("image_names") or ["IMAGES"]
    return ["--noise"] if names == [NOISE] else ["--images", *names]


def _embedding_key(found: Found[Any]) -> Any:
    embedding, meta = found.result, found.result.meta
    settings = (embedding.backend, embedding.perplexity, embedding.seed, len(embedding))
    return [str(found.path.parent.parent), meta.get("data"), meta.get("split"), settings]


def _tsne(group: Sequence[Owned]) -> str:
    found = group[0][1]
    embedding, meta = found.result, found.result.meta
    output = found.path.parent.parent if len(group) > 1 else found.path.parent
    layer = [] if embedding.layer.startswith("input of") else ["--layer", embedding.layer]
    split = ["--split", meta["split"]] if meta.get("split", "test") != "test" else []
    asked = meta.get("perplexity_asked", embedding.perplexity)
    making = ("--backend", embedding.backend, "--perplexity", f"{asked:g}", "--seed", embedding.seed)
    data = ("--data", meta.get("data", "DATA"), *split, "--limit", len(embedding))
    return _command("tsne", *_paths(group), *data, *layer, *making, "-o", output)
