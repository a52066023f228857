"""Hessians of networks side by side: their eigenvalues with what these are worth, traces by layer, densities."""

from collections.abc import Mapping

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradscape._names import one_line
from gradscape._provenance import Provenance
from gradscape.figures.caption import add_caption
from gradscape.figures.style import CYCLE, add_legend, line_look, new_axes, new_figure, page_width, styled
from gradscape.landscape.hessian.curvature import Curvature
from gradscape.landscape.hessian.image_mean import ImageMean

__all__ = ["figure_curvature", "plot_density", "plot_eigenvalues", "plot_trace"]

_BARS = 0.8  # of the distance between two eigenvalues
_UNSURE = "////"  # of bars that are not converged
_PLACES = 800
_LOWEST = 0.1  # eigenvalues: densities of less than so many in the width of the kernel are not drawn


@styled()
def plot_eigenvalues(curvatures: Mapping[str, Curvature], *, ax: Axes | None = None) -> Axes:
    """Draw the eigenvalues as bars, and beside each what its vectors are worth over all images, with its interval.

    Bars of eigenvalues that are not converged are hatched.

    Args:
        curvatures: By the name that the legend takes.
        ax: Axes to draw into; by default on a page of their own.

    Returns:
        The axes.
    """
    ax = ax or new_axes()
    width = _BARS / len(curvatures)
    handles: list[Artist] = []
    for number, (name, one) in enumerate(curvatures.items()):
        spectrum, color = one.spectrum, CYCLE[number % len(CYCLE)]
        places = np.arange(len(spectrum.values)) + (number - (len(curvatures) - 1) / 2) * width
        bars = ax.bar(places, spectrum.values, 0.9 * width, color=color, alpha=0.55)
        for bar, known in zip(bars.patches, spectrum.converged, strict=True):
            bar.set_hatch("" if known else _UNSURE)
        bars.patches[0].set_label(one_line(name))
        handles.append(bars.patches[0])
        if spectrum.held_out is None:
            continue
        middle, (low, high) = spectrum.held_out.values, spectrum.held_out.interval()
        sure = spectrum.held_out.reliable
        ends = np.array([middle - low, high - middle])
        ax.errorbar(places, middle, ends, fmt="none", ecolor="black", elinewidth=0.9, capsize=2)
        for chosen, face in ((sure, "black"), (~sure, "white")):
            ax.plot(places[chosen], middle[chosen], "o", color="black", markerfacecolor=face, markersize=3.5)
    first = next(iter(curvatures.values()))
    ax.set_xticks(range(len(first.spectrum.values)), _eigenvalue_names(first))
    ax.axhline(0, color="0.3", linewidth=0.6)
    ax.set(ylabel="eigenvalue of the Hessian")
    add_legend(ax, handles if len(handles) > 1 else [])
    return ax


@styled()
def plot_trace(curvatures: Mapping[str, Curvature], *, ax: Axes | None = None) -> Axes:
    """Draw the part of each layer in the trace, in the model's order, in bars of one standard error.

    Args:
        curvatures: By name; those without an exact trace are left out.
        ax: Axes to draw into.

    Returns:
        The axes.
    """
    ax = ax or new_axes()
    handles, lowest = [], 0.0
    for number, (name, one) in enumerate(curvatures.items()):
        layers = _by_layer(one)
        if not layers:
            continue
        look = line_look(number)
        values, errors = [part.value for part in layers], [part.stderr for part in layers]
        lowest = min(lowest, *values)
        places = np.arange(1, len(layers) + 1)
        ax.errorbar(places, values, errors, fmt="none", ecolor=look["color"], elinewidth=0.7, alpha=0.6)
        color = look["color"]
        handles += ax.plot(places, values, "o", markersize=2.5, label=one_line(name), color=color)
    ax.set(xlabel="layer, from the image to the answer", ylabel="part of the trace")
    if lowest < 0:  # of a loss that is not convex in the outputs
        ax.axhline(0, color="0.3", linewidth=0.6)
    else:
        ax.set_ylim(bottom=0)
    add_legend(ax, handles if len(handles) > 1 else [])
    return ax


@styled()
def plot_density(curvatures: Mapping[str, Curvature], *, ax: Axes | None = None) -> Axes:
    """Draw the density of eigenvalues on a log scale, with a band of one standard error over probes.

    Args:
        curvatures: By name; those without a density are left out.
        ax: Axes to draw into.

    Returns:
        The axes.
    """
    ax = ax or new_axes()
    handles = []
    for number, (name, one) in enumerate(curvatures.items()):
        density = one.density
        if density is None:
            continue
        look, margin = line_look(number), 4 * density.sigma
        places = np.linspace(density.nodes.min() - margin, density.nodes.max() + margin, _PLACES)
        middle, error = density.smoothed(places)
        lowest = _LOWEST / density.dimension / density.sigma
        shown = np.where(middle > lowest, middle, np.nan)
        handles += ax.plot(places, shown, linewidth=1.0, label=one_line(name), **look)
        ax.fill_between(places, np.maximum(shown - error, lowest), shown + error, color=look["color"], alpha=0.2, lw=0)
    ax.set_yscale("log")
    ax.set(xlabel="eigenvalue of the Hessian", ylabel="density of eigenvalues")
    add_legend(ax, handles if len(handles) > 1 else [])
    return ax


@styled()
def figure_curvature(curvatures: Mapping[str, Curvature]) -> Figure:
    """A page of what was measured: eigenvalues, and trace by layer and density where they are there.

    Args:
        curvatures: By the name that legends take.

    Returns:
        The page, with a caption that says how many images, and what the intervals are.
    """
    draw = [plot_eigenvalues]
    draw += [plot_trace] if any(_by_layer(one) for one in curvatures.values()) else []
    draw += [plot_density] if any(one.density for one in curvatures.values()) else []
    figure = new_figure(page_width(double=len(draw) > 1), 2.5)
    for ax, one in zip(figure.subplots(1, len(draw), squeeze=False)[0], draw, strict=True):
        one(curvatures, ax=ax)
    add_caption(figure, _describe(curvatures))
    return figure


def _by_layer(curvature: Curvature) -> list[ImageMean]:
    """The parts of layers in the trace, those of their parameters together."""
    trace = curvature.trace
    if trace is None or trace.layers is None:
        return []
    owners = [name.rpartition(".")[0] for name in trace.names]
    columns = (np.array([own == layer for own in owners]) for layer in dict.fromkeys(owners))
    return [ImageMean(trace.layers[:, chosen].sum(axis=1), trace.population) for chosen in columns]


def _eigenvalue_names(curvature: Curvature) -> list[str]:
    top, count = curvature.spectrum.top, len(curvature.spectrum.values)
    return [f"$\\lambda_{{{index + 1}}}$" for index in range(top)] + [
        "lowest" if index == 0 else f"{index + 1}. lowest" for index in range(count - top)
    ]


def _describe(curvatures: Mapping[str, Curvature]) -> str:
    first = next(iter(curvatures.values()))
    meta = Provenance.of(first.meta)
    seen, population = first.spectrum.images, first.population
    images = f"{seen:,} of {population:,} images" if population > seen else f"all {seen:,} images"
    parts = [
        f"{', '.join(map(one_line, curvatures))} on {one_line(str(meta.data))} ({meta.split})",
        f"Hessian of the mean loss over {images}",
        "bars: eigenvalues on these images",
    ]
    if not all(one.spectrum.converged.all() for one in curvatures.values()):
        parts[-1] += " (hatched: not converged)"
    if any(one.spectrum.held_out for one in curvatures.values()):
        parts.append(
            "points: curvature over all images along eigenvectors of one half of these, read on the other, with 95 % "
            "intervals (white: fewer than 40 images carry it)"
        )
    if any(_by_layer(one) for one in curvatures.values()):
        parts.append("trace exactly, by layer, bars of one standard error over images")
    if density := next((one.density for one in curvatures.values() if one.density), None):
        probes, steps = density.nodes.shape
        parts.append(
            f"density by Lanczos quadrature ({probes} probes of {steps} steps), smoothed by Gaussians with a standard "
            "deviation of 1 % of the range, band of one standard error over probes"
        )
    return "; ".join(parts)
