"""Results sorted by the network that they belong to."""

from collections.abc import Sequence
from pathlib import Path

from gradscape._digest import digest_model
from gradscape._names import one_line, telling_parts
from gradscape.studies.report.collect import Findings
from gradscape.studies.report.found import BEST, LAST, ReportedNetwork, ReportedNetworks
from gradscape.studies.report.kinds import KINDS

__all__ = ["sort_by_network"]


def sort_by_network(findings: Findings) -> list[ReportedNetwork]:
    """Sort results by the digest of the weights that they were made with.

    A training's best checkpoint is a network of its own only where a result is about it. Results without a digest
    belong to a network of their folder and model.
    """
    networks = ReportedNetworks()
    _add_checkpoints(findings, networks)
    for name, results in findings.results.items():
        for found in results:
            for network in KINDS[name].owners(networks, found):
                network.results.setdefault(name, []).append(found)
    kept = [network for network in networks if network.results or not network.has_best_checkpoint]
    _give_titles(kept)
    return kept


def _add_checkpoints(findings: Findings, networks: ReportedNetworks) -> None:
    # Of equal weights in two files the one after the last epoch gives the name.
    for found in sorted(findings.checkpoints, key=lambda found: found.path.name == BEST):
        model = found.result
        weights = digest_model(model)
        networks.join(
            ReportedNetwork(one_line(found.meta["name"]), weights, found.path.parent, checkpoint=found), weights
        )


def _give_titles(networks: Sequence[ReportedNetwork]) -> None:
    """Call networks by their names; those of one name by what their paths do not share, too, else by numbers."""
    names = [network.name for network in networks]
    for name in {name for name in names if names.count(name) > 1}:
        alike = [network for network in networks if network.name == name]
        for network, own in zip(alike, telling_parts([_path(network) for network in alike]), strict=True):
            network.title = f"{name} ({own})"
    for network in networks:
        network.title = network.title or network.name
    titles = [network.title for network in networks]
    for number, network in enumerate(networks, 1):
        if titles.count(network.title) > 1:
            network.title += f" {number}"


def _path(network: ReportedNetwork) -> Path:
    """Its checkpoint, of which the file counts where it is not called as training calls it; else its folder."""
    if not network.path:
        return network.folder
    file = Path(network.path)
    return file.parent if file.name == LAST else file.with_suffix("")
