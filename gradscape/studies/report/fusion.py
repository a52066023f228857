"""Feature fusion: a block's features before its attention, the attention's part, and both together."""

from collections.abc import Sequence
from pathlib import Path

from gradscape._provenance import Provenance
from gradscape.data.pictures import ShownPictures
from gradscape.explain.fusion import list_blocks
from gradscape.explain.fusion_map import FusionMaps
from gradscape.figures.web.packed_maps import packed_maps, shrunk
from gradscape.models import Classifier
from gradscape.studies.fusion import NOISE
from gradscape.studies.report.commands import command, image_options, network_path
from gradscape.studies.report.definition import ReportKind, Section, Shown, Suggestion
from gradscape.studies.report.facts import Fact, state
from gradscape.studies.report.found import Found, ReportedNetwork, owned
from gradscape.studies.report.gallery import GalleryPanel, make_galleries, show_galleries

__all__ = ["FUSION"]

_TILES, _LARGEST_TILE = 16, 32


def _read(path: Path) -> Found[FusionMaps]:
    maps = FusionMaps.load(path)
    return Found(path, maps, Provenance.of(maps.meta))


def _show(networks: Sequence[ReportedNetwork], pictures: Sequence[Found[ShownPictures]]) -> Shown | None:
    return show_galleries(
        make_galleries(networks, pictures, FusionMaps, count=lambda maps: len(maps.before), panel=_panel)
    )


def _panel(network: ReportedNetwork, maps: FusionMaps, names: Sequence[str]) -> GalleryPanel:
    stages = []
    for name, values in zip(maps.names, (maps.before, maps.part, maps.fused), strict=True):
        pictures = [packed_maps(shrunk(one[:_TILES], _LARGEST_TILE)) for one in values[: len(names)]]
        stages.append({"name": name, "pictures": pictures})
    return {
        "network": network.title,
        "block": maps.block,
        "formula": str(maps.meta.get("formula", "")),
        "channels": maps.before.shape[1],
        "stages": stages,
    }


def _describe(network: ReportedNetwork) -> list[Fact]:
    return [state("fusion", found, block=found.result.block) for found in network.of(FusionMaps)]


def _commands(networks: Sequence[ReportedNetwork]) -> list[str]:
    return [_command(network, found) for network, found in owned(networks, FusionMaps)]


def _command(network: ReportedNetwork, found: Found[FusionMaps]) -> str:
    shown = ["--noise"] if found.picture_names == [NOISE] else image_options(found)
    return command("fusion", network_path(network), *shown, "--block", found.result.block, "-o", found.path.parent)


def _fuses(model: Classifier) -> bool:
    return bool(list_blocks(model))


FUSION = ReportKind(
    section=Section("fusion", "Feature fusion"),
    readers={".npz:fusion": _read},
    show=_show,
    describe=_describe,
    commands=_commands,
    suggestion=Suggestion("feature fusion", "fusion {network} --images {images}", fits=_fuses),
)
