"""Sharpness as tables, files and a picture."""

from dataclasses import asdict
from pathlib import Path

from gradscape._files import save_rows
from gradscape.figures.charts.sharpness import figure_sharpness
from gradscape.figures.style import save_figure
from gradscape.landscape import SHARPNESS_KINDS
from gradscape.landscape.sharpness.kinds import split_case
from gradscape.studies.comparison import Comparison, save_differences

__all__ = ["save_sharpness"]


def save_sharpness(comparison: Comparison, folder: Path) -> list[Path]:
    """Write sharpness.csv, of several networks sharpness_differences.csv, and a picture.

    Args:
        comparison: What `compare_sharpness` made of the networks.
        folder: Where to; made if it is not there.

    Returns:
        The files.
    """
    cases = {name: split_case(name) for measures in comparison.means.values() for name in measures}
    rows = [
        {"network": network, "kind": kind, "rho": rho, **asdict(measures[name])}
        for network, measures in comparison.means.items()
        for name, (kind, rho) in cases.items()
    ]
    save_rows(folder / "sharpness.csv", list(rows[0]), rows)
    written = [folder / "sharpness.csv"]
    if comparison.differences:
        written.append(save_differences(folder / "sharpness_differences.csv", comparison.differences))
    rises = {
        SHARPNESS_KINDS[one].called: {
            network: {rho: measures[name] for name, (kind, rho) in cases.items() if kind == one}
            for network, measures in comparison.means.items()
        }
        for one in dict.fromkeys(kind for kind, _ in cases.values())
    }
    caption = f"{comparison.about[0]}; bars: {100 * comparison.confidence:g} % intervals"
    return [*written, *save_figure(figure_sharpness(rises, caption=caption), folder / "sharpness")]
