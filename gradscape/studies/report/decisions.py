"""Decision maps: what networks see over a plane of images."""

from collections.abc import Sequence
from pathlib import Path

from gradscape._names import one_line, tell_apart
from gradscape._provenance import Provenance
from gradscape.data.pictures import ShownPictures
from gradscape.explain.decision_regions import DecisionMap
from gradscape.figures.images.decision import figure_decisions
from gradscape.studies.report.commands import command, exact, image_options, network_paths
from gradscape.studies.report.definition import ReportKind, Section, Shown
from gradscape.studies.report.facts import Fact, state
from gradscape.studies.report.found import Found, ReportedNetwork, together
from gradscape.studies.report.still_pictures import StillPicture, still_picture

__all__ = ["DECISIONS"]

_Group = Sequence[tuple[ReportedNetwork, Found[DecisionMap]]]


def _read(path: Path) -> Found[DecisionMap]:
    decisions = DecisionMap.load(path)
    return Found(path, decisions, Provenance.of(decisions.meta))


def _show(networks: Sequence[ReportedNetwork], _: Sequence[Found[ShownPictures]]) -> Shown | None:
    pictures = [_shown(group) for group in together(networks, DecisionMap, _plane)]
    return Shown(pictures) if pictures else None


def _plane(found: Found[DecisionMap]) -> object:
    """What maps that stand side by side share."""
    return [found.picture_digest, found.result.norm, found.result.images.shape]


def _shown(group: _Group) -> StillPicture:
    titles = [network.title for network, _ in group]
    folders = [f"{title} ({found.path.parent})" for title, (_, found) in zip(titles, group, strict=True)]
    maps = dict(zip(tell_apart([titles, folders]), (found.result for _, found in group), strict=True))
    names = [one_line(name) for name in group[0][1].picture_names] or None
    return still_picture(
        figure_decisions(maps, names=names), f"Which classes {', '.join(maps)} see over a plane of images"
    )


def _describe(network: ReportedNetwork) -> list[Fact]:
    return [state("decision map", found, points=found.result.class_index.size) for found in network.of(DecisionMap)]


def _commands(networks: Sequence[ReportedNetwork]) -> list[str]:
    return [_command(group) for group in together(networks, DecisionMap, _run)]


def _run(found: Found[DecisionMap]) -> object:
    """What maps of one run share."""
    one = found.result
    return [str(found.path.parent.parent), _plane(found), one.alphas.tolist(), one.betas.tolist()]


def _command(group: _Group) -> str:
    found = group[0][1]
    one, folder = found.result, found.path.parent
    parts: list[object] = [*network_paths(group), *image_options(found), "--steps", max(one.class_index.shape)]
    if one.norm:
        parts += ["--norm", one.norm, "--radius", exact(one.alphas[-1])]
        if all(other.result.label == one.label for _, other in group):  # else each network's own predicted class
            parts += ["--class", one.label]
        parts += ["--seed", found.meta.seed] if found.meta.seed else []
    elif "margin" in found.meta:
        parts += ["--margin", found.meta["margin"]]
    return command("decision", *parts, "-o", folder.parent if len(group) > 1 else folder)


DECISIONS = ReportKind(
    section=Section("decisions", "Decisions"),
    readers={".npz:decision": _read},
    show=_show,
    describe=_describe,
    commands=_commands,
)
