"""Where everything comes from: the commands that make it, what is missing, and what each number rests on."""

import shlex
from collections.abc import Sequence
from dataclasses import replace

from gradscape._provenance import Provenance
from gradscape.landscape import Surface
from gradscape.studies.report.commands import UNKNOWN, network_path
from gradscape.studies.report.definition import ReportKind
from gradscape.studies.report.facts import Fact, state
from gradscape.studies.report.found import ReportedNetwork, owned
from gradscape.studies.report.kinds import KINDS

__all__ = ["describe_network", "rebuild_commands", "suggest_commands"]


def rebuild_commands(networks: Sequence[ReportedNetwork]) -> list[str]:
    """Command lines, quoted for a shell, in the order in which they have to be run.

    Image files are named without their folder, which no result tells.
    """
    return list(dict.fromkeys(line for _, kind in _in_order() for line in kind.commands(networks)))


def suggest_commands(networks: Sequence[ReportedNetwork]) -> list[tuple[str, str]]:
    """What is not there, and the command that makes it."""
    paths = [network_path(network) for network in networks if network.checkpoint] or [UNKNOWN]
    data = next((str(found.meta["data"]) for _, found in owned(networks, Surface) if "data" in found.meta), "DATA")
    known = {"networks": shlex.join(paths), "network": shlex.quote(paths[0]), "data": shlex.quote(data)}
    return [
        (kind.suggestion.what, f"gradscape {kind.suggestion.command.format(**known)} -o out")
        for name, kind in _in_order()
        if kind.suggestion and not any(name in network.results for network in networks)
    ]


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
