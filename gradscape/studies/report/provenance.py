"""Where everything comes from: the commands that make it, what is missing, and what each number rests on."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gradscape._provenance import Provenance
from gradscape.studies.report.commands import DATA, IMAGES, network_path
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
            known = _known(fitting, "data" if "{data}" in suggestion.command else "image_files")
            lines.append((suggestion.what, f"gradscape {suggestion.command.format(**known)} -o out"))
    return lines


def _known(networks: Sequence[ReportedNetwork], entry: str) -> dict[str, str]:
    """What stands in a suggested command, quoted for a shell: one for networks that take the same images.

    Args:
        networks: To which it could apply, at least one.
        entry: What of their results tells the images: "data" or "image_files".
    """
    given = next((value for network in networks for value in _shown_to(network, entry)), None)
    first = [network for network in networks if given is not None and given in _shown_to(network, entry)]
    takes = {_takes(network) for network in first} - {None} if first else {_takes(networks[0])}
    together = [network for network in networks if network in first or _takes(network) in takes]
    paths = list(dict.fromkeys(map(network_path, together)))
    files = [str(file) for file in given] if isinstance(given, list) else [IMAGES]
    return {
        "networks": shlex.join(paths),
        "network": shlex.quote(paths[0]),
        "model": shlex.quote(_model(together[0])),
        "data": shlex.quote(given if isinstance(given, str) else DATA),
        "images": shlex.join(files),
    }


def _shown_to(network: ReportedNetwork, entry: str) -> list[object]:
    """The data sets or lists of image files that a network was shown, or trained on."""
    shown = [found.meta[entry] for several in network.results.values() for found in several if entry in found.meta]
    trained = network.checkpoint.meta.get(entry) if network.checkpoint else None
    return [*shown, trained["name"]] if isinstance(trained, Mapping) and "name" in trained else shown


def _takes(network: ReportedNetwork) -> tuple[int, int] | None:
    """Size of the images and number of the classes; None where the checkpoint is not at hand."""
    model = network.checkpoint.result if network.checkpoint else None
    return (model.image_size, model.meta["num_classes"]) if model else None


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
