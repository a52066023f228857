"""Results sorted by the network that they belong to."""

from collections.abc import Sequence

from gradscape._digest import digest_model
from gradscape.figures.caption import one_line
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
    """Call networks by their names; those of one name by the end of their path too, and by numbers where it is one."""
    names = [network.name for network in networks]
    for network in networks:
        network.title = network.name
        if names.count(network.name) > 1:
            network.title += f" ({_tail(network, networks)})"
    titles = [network.title for network in networks]
    for number, network in enumerate(networks, 1):
        if titles.count(network.title) > 1:
            network.title += f" {number}"


def _tail(network: ReportedNetwork, networks: Sequence[ReportedNetwork]) -> str:
    """As much of the end of its path as tells a network from the others of its name."""
    others = [_path_parts(other) for other in networks if other is not network and other.name == network.name]
    parts = _path_parts(network)
    for length in range(1, len(parts) + 1):
        if all(other[-length:] != parts[-length:] for other in others):
            return "/".join(parts[-length:])
    return parts[-1]


def _path_parts(network: ReportedNetwork) -> tuple[str, ...]:
    """Folders, and the checkpoint's file where it is not called as training calls it."""
    file = network.checkpoint.path if network.checkpoint else None
    return (*network.folder.parts, *([file.stem] if file and file.name != LAST else []))
