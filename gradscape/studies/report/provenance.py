"""Where everything comes from: the commands that make it, what is missing, and what each number rests on."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gradscape._provenance import Provenance
from gradscape.studies.report.commands import IMAGES, network_path
from gradscape.studies.report.definition import ReportKind, Suggestion
from gradscape.studies.report.facts import Fact, state
from gradscape.studies.report.found import ReportedNetwork
from gradscape.studies.report.kinds import KINDS

__all__ = ["describe_network", "rebuild_commands", "suggest_commands"]


def rebuild_commands(networks: Sequence[ReportedNetwork]) -> list[str]:
    """Command lines, quoted for a shell, in the order in which they have to be run.

    CKPT, FILE and the like stand for files that no result tells the path of.
    """
    return list(dict.fromkeys(line for _, kind in _in_order() for line in kind.commands(networks)))


def suggest_commands(networks: Sequence[ReportedNetwork]) -> list[tuple[str, str]]:
    """What is not there, and the command that makes it, for networks for which it makes sense."""
    told = _told(networks)
    missing = [
        kind.suggestion
        for name, kind in _in_order()
        if kind.suggestion and not any(name in network.results for network in networks)
    ]
    lines = []
    for suggestion in missing:
        fitting = [network for network in networks if _fits(network, suggestion)]
        fitting = [network for network in fitting if network.path] or fitting
        if fitting:
            paths = list(dict.fromkeys(network_path(network) for network in fitting))
            known = {
                "networks": shlex.join(paths),
                "network": shlex.quote(paths[0]),
                "model": shlex.quote(_model(fitting[0])),
            }
            lines.append((suggestion.what, f"gradscape {suggestion.command.format(**known, **told)} -o out"))
    return lines


def _told(networks: Sequence[ReportedNetwork]) -> dict[str, str]:
    """The data and the images that networks were shown before, quoted for a shell."""
    metas = [found.meta for network in networks for several in network.results.values() for found in several]
    trained = [network.checkpoint.meta.get("data") for network in networks if network.checkpoint]
    names = [meta["data"] for meta in metas if "data" in meta]
    names += [data["name"] for data in trained if isinstance(data, Mapping) and "name" in data]
    images = next((meta["image_files"] for meta in metas if meta.get("image_files")), [IMAGES])
    return {"data": shlex.quote(str(names[0] if names else "DATA")), "images": shlex.join(map(str, images))}


def _model(network: ReportedNetwork) -> str:
    """The network's name as `train` takes it."""
    metas = [network.checkpoint.meta] if network.checkpoint else []
    metas += [found.meta for several in network.results.values() for found in several]
    return next((str(meta[name]) for meta in metas for name in ("name", "model") if meta.get(name)), network.name)


def _fits(network: ReportedNetwork, suggestion: Suggestion) -> bool:
    """Whether a command is of use for a network; of one without a checkpoint nobody can tell."""
    if suggestion.fits is None:
        return True
    return network.checkpoint is not None and suggestion.fits(network.checkpoint.result)


def describe_network(network: ReportedNetwork) -> list[Fact]:
    """The checkpoint's provenance, then that of each result, with everything that their files tell."""
    facts = [fact for _, kind in _in_order() for fact in kind.describe(network)]
    if network.checkpoint:
        meta = Provenance.of({name: value for name, value in network.checkpoint.meta.items() if name != "labels"})
        facts.insert(0, state("checkpoint", replace(network.checkpoint, meta=meta)))
    return facts


def _in_order() -> list[tuple[str, ReportKind]]:
    """Kinds by name as their results are made: first what the others rest on."""
    return sorted(KINDS.items(), key=lambda item: not item[1].precedes)
