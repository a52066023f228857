"""Networks in the planes of a page: where a browser draws them on maps and reliefs, and what it says of each."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from gradscape._names import one_line
from gradscape.figures.surfaces.raised_trajectories import finer_path, heights_above
from gradscape.figures.surfaces.shading import Shading
from gradscape.figures.surfaces.trajectories import labelled, network_name, path_look, sizes_of
from gradscape.figures.surfaces.trajectory_wording import farthest, point_text, trajectories_of
from gradscape.figures.web.panels import Panel, in_plotly
from gradscape.landscape import Trajectory

__all__ = ["panel_paths"]

_STEPS = 100  # of a path on a relief, about
_NETWORK, _END = 6.0, 9.0  # pixels across, at least
_PLACES = ("top center", "bottom center", "middle right", "middle left")  # of names: paths often end at one point


def panel_paths(panel: Panel, shadings: Mapping[str, Shading]) -> list[dict[str, Any]]:
    """What a page needs to draw the networks that a panel's provenance places in its plane.

    Args:
        panel: Fields on one grid.
        shadings: By the keys of the page's views.

    Returns:
        For each trajectory its `color`, whether it is `joined`, the `place` of names beside their points, and as
        `line` and `points` alphas, betas and heights by view, null where the relief has none; of points also `names`
        (empty where none is written), what is read off (`texts`), `symbols`, and `sizes` in pixels.
    """
    trajectories = trajectories_of(panel[0])
    most = farthest(trajectories)
    paths = []
    for number, one in enumerate(trajectories):
        named = labelled(panel[0], one)
        texts = [in_plotly(point_text(one, which)) for which in range(len(one.labels))]
        names = [network_name(one, which, alone=len(trajectories) == 1) for which in range(len(one.labels))]
        sizes = np.maximum(1.5 * sizes_of(one, most) if most else 0.0, np.full(len(one.labels), _NETWORK))
        sizes[[0, -1]] = np.maximum(sizes[[0, -1]], _END)
        path = finer_path(one, _STEPS)
        paths.append(
            {
                "name": in_plotly(one_line(one.name)),
                "color": path_look(number)["color"],
                "joined": one.joined,
                "place": _PLACES[number % len(_PLACES)],
                "line": _placed(panel, shadings, path[:, 0], path[:, 1]) if one.joined else None,
                "points": {
                    **_placed(panel, shadings, one.alphas, one.betas),
                    "names": [in_plotly(name) if which in named else "" for which, name in enumerate(names)],
                    "texts": texts,
                    "sizes": _numbers(sizes),
                    "symbols": _symbols(one),
                },
            }
        )
    return paths


def _placed(
    panel: Panel,
    shadings: Mapping[str, Shading],
    alphas: Float[np.ndarray, " places"],
    betas: Float[np.ndarray, " places"],
) -> dict[str, Any]:
    heights = {}
    for view, shading in shadings.items():
        (field,) = (field for field in panel if field.name == shading.value)
        values = shading.drawn(field).filled(np.nan)
        relief = np.log10(values) if shading.scale == "log" else values
        heights[view] = _numbers(heights_above(field, relief, alphas, betas))
    return {"alphas": _numbers(alphas), "betas": _numbers(betas), "heights": heights}


def _symbols(trajectory: Trajectory) -> list[str]:
    """Ends of a path differ from what is between them, and from each other."""
    last = len(trajectory.labels) - 1
    if not trajectory.joined:
        return ["circle"] * (last + 1)
    return ["diamond" if number == last else "square" if number == 0 else "circle" for number in range(last + 1)]


def _numbers(values: Float[np.ndarray, " numbers"]) -> list[float | None]:
    return [float(f"{value:.5g}") if np.isfinite(value) else None for value in values.tolist()]
