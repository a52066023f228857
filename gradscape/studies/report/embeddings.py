"""Embeddings: the same images in the plane by several networks, side by side."""

from collections.abc import Sequence
from pathlib import Path

from gradscape._provenance import Provenance
from gradscape.data.pictures import ShownPictures
from gradscape.explain.embedding import Embedding
from gradscape.figures.web.scatter import place_embeddings
from gradscape.studies.report.commands import command, network_paths, split_option
from gradscape.studies.report.definition import ReportKind, Section, Shown, Suggestion
from gradscape.studies.report.facts import Fact, state
from gradscape.studies.report.found import Found, ReportedNetwork, together

__all__ = ["EMBEDDINGS"]


def _read(path: Path) -> Found[Embedding]:
    embedding = Embedding.load(path)
    return Found(path, embedding, Provenance.of(embedding.meta))


def _show(networks: Sequence[ReportedNetwork], _: Sequence[Found[ShownPictures]]) -> Shown | None:
    scatters = [
        place_embeddings([found.result for _, found in group], titles=[network.title for network, _ in group])
        for group in together(networks, Embedding, _images)
    ]
    points = [{"labels": one.labels, "points": [panel.points for panel in one.panels]} for one in scatters]
    return Shown(scatters, points) if scatters else None


def _images(found: Found[Embedding]) -> object:
    """What embeddings of the same images share."""
    one, meta = found.result, found.meta
    return [str(meta.get("data")), str(meta.get("split")), one.classes, one.seed, one.labels.tolist()]


def _describe(network: ReportedNetwork) -> list[Fact]:
    return [
        state(
            "embedding",
            found,
            layer=found.result.layer,
            backend=found.result.backend,
            perplexity=found.result.perplexity,
            seed=found.result.seed,
        )
        for found in network.of(Embedding)
    ]


def _commands(networks: Sequence[ReportedNetwork]) -> list[str]:
    return [_command(group) for group in together(networks, Embedding, _run)]


def _run(found: Found[Embedding]) -> object:
    """What embeddings of one run share."""
    one, meta = found.result, found.meta
    settings = (one.backend, one.perplexity, one.seed, len(one))
    return [str(found.path.parent.parent), meta.get("data"), meta.get("split"), settings]


def _command(group: Sequence[tuple[ReportedNetwork, Found[Embedding]]]) -> str:
    embedding, meta, folder = group[0][1].result, group[0][1].meta, group[0][1].path.parent
    parts: list[object] = [*network_paths(group), "--data", meta.get("data", "DATA")]
    parts += [*split_option(meta, usual="test"), "--limit", len(embedding)]
    if not embedding.layer.startswith("input of"):
        parts += ["--layer", embedding.layer]
    asked = meta.get("perplexity_asked", embedding.perplexity)
    parts += ["--backend", embedding.backend, "--perplexity", f"{asked:g}", "--seed", embedding.seed]
    return command("tsne", *parts, "-o", folder.parent if len(group) > 1 else folder)


EMBEDDINGS = ReportKind(
    section=Section("embeddings", "Embeddings"),
    readers={".npz:embedding": _read},
    show=_show,
    describe=_describe,
    commands=_commands,
    suggestion=Suggestion("embeddings", "tsne {networks} --data {data}"),
)
