"""A page of heatmaps: what stands where, and what is written beside and below it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, product
from typing import Any, final

import numpy as np
from torch import Tensor

from gradscape._names import class_label, one_line
from gradscape.explain.heatmap import Heatmaps
from gradscape.figures.images.grid import LINE, ImageGrid, fitted, fitted_lines, lay_out_grid
from gradscape.figures.images.heatmap_panel import Style, draw_input, draw_panel
from gradscape.figures.images.overlay import Background
from gradscape.figures.images.signals import SIGNAL_PROPORTION

__all__ = ["LINES_BELOW", "MOST_ACROSS", "HeatmapPage", "HeatmapSeries", "Labels"]

Labels = Sequence[str] | None

LINES_BELOW = 3
"""Lines of text below a row, at most."""

MOST_ACROSS = 6
"""Images side by side, where each is a column."""

_TITLE_LINES = 5  # for each a network's and a method's name in full
_TITLED = 0.2  # inches that a row's title of one line takes
_TOGETHER = 0.18  # inches more where rows have a title together


@final
@dataclass(frozen=True, eq=False)
class HeatmapSeries:
    """What is drawn for every image: the maps of one method and model in one style.

    Attributes:
        model: The model's name.
        method: The method's name.
        style: How they are drawn.
        heatmaps: The maps.
        shown: (N, H, W), what is drawn of them, from 0 to 1.
    """

    model: str
    method: str
    style: Style
    heatmaps: Heatmaps
    shown: np.ndarray

    def title(self, parts: Sequence[str]) -> str:
        """What tells this series from the others, a line each."""
        return "\n".join(one_line(getattr(self, part)) for part in parts)


@dataclass(frozen=True, eq=False)
class _PlacedPanel:
    """A panel: an image, or its map in a series."""

    image: int
    series: HeatmapSeries | None = None


@dataclass(frozen=True, eq=False)
class _PlacedText:
    """A text below panels of one row, from the first column to the last: what their maps explain."""

    first: int
    last: int
    cell: _PlacedPanel


@dataclass(eq=False)
class _PlacedRow:
    """Cells by column, the texts below them, a title beside the cell of a column, and one of this row and the next."""

    cells: dict[int, _PlacedPanel]
    told: list[_PlacedText] = field(default_factory=list)
    title: str = ""
    titled: int = 0
    together: str = ""
    following: int = 0


@final
@dataclass(frozen=True, eq=False)
class HeatmapPage:
    """What panels are made of.

    Attributes:
        images: (N, C, H, W), or signals (N, C, L), as they are drawn.
        numbers: Which of them are on this page.
        names: A name for each image.
        labels: Names of the classes, for all models or by model.
        caption: Text for the foot of the page.
        background: As `draw_panel` takes it.
        right: Inches for a color bar.
    """

    images: Tensor
    numbers: Sequence[int]
    names: Sequence[str]
    labels: Labels | Mapping[str, Labels]
    caption: str
    background: Background | None
    right: float

    def in_rows(self, series: Sequence[HeatmapSeries]) -> ImageGrid:
        """A row for each image, itself first."""
        rows = [
            _PlacedRow(
                {0: _PlacedPanel(image), **{1 + place: _PlacedPanel(image, one) for place, one in enumerate(series)}},
                list(self._told(series, image, first=1)),
            )
            for image in self.numbers
        ]
        return self._drawn(rows, ["", *_titles(series)])

    def in_columns(self, series: Sequence[HeatmapSeries]) -> ImageGrid:
        """A column for each image, itself on top; what does not fit across goes into a second band."""
        bands = -(-len(self.numbers) // MOST_ACROSS)
        across = -(-len(self.numbers) // bands)
        rows = []
        for start in range(0, len(self.numbers), across):
            band = list(enumerate(self.numbers[start : start + across]))
            rows.append(_PlacedRow({column: _PlacedPanel(image) for column, image in band}))
            rows += self._rows_of(series, band)
        return self._drawn(rows, [""] * across)

    def by_model(self, series: Sequence[HeatmapSeries], models: int) -> ImageGrid:
        """For each image a row of each model, a column for each method and style."""
        columns = len(series) // models
        rows = []
        for image, model in product(self.numbers, range(models)):
            own = series[model * columns : (model + 1) * columns]
            cells = {1 + place: _PlacedPanel(image, one) for place, one in enumerate(own)}
            told = list(self._told(own, image, first=1))
            rows.append(_PlacedRow({**cells, **({} if model else {0: _PlacedPanel(image)})}, told, own[0].model, 1))
        parts = [part for part in _differing(series) if part != "model"]
        return self._drawn(rows, ["", *(one.title(parts) for one in series[:columns])])

    def _rows_of(self, series: Sequence[HeatmapSeries], band: Sequence[tuple[int, int]]) -> Iterator[_PlacedRow]:
        """A row for each series; where a model has several, its name is written once along them."""
        parts = _differing(series) or ["method"]
        models = [one.model for one in series]
        shared = parts[0] == "model" and len(parts) > 1
        for place, one in enumerate(series):
            row = _PlacedRow({column: _PlacedPanel(image, one) for column, image in band})
            row.title = one.title(parts[1:] if shared else parts)
            if shared and one.model not in models[:place]:
                row.together, row.following = one.model, models.count(one.model) - 1
            for column, image in band:
                if any(told.last == place for told in self._told(series, image, first=0)):
                    row.told.append(_PlacedText(column, column, _PlacedPanel(image, one)))
            yield row

    def _told(self, series: Sequence[HeatmapSeries], image: int, *, first: int) -> Iterator[_PlacedText]:
        """What is explained, once for all maps of a model that explain the same."""
        place = first
        for _, group in groupby(series, lambda one: (one.model, self._explained(one, image))):
            own = list(group)
            yield _PlacedText(place, place + len(own) - 1, _PlacedPanel(image, own[0]))
            place += len(own)

    def _drawn(self, rows: Sequence[_PlacedRow], titles: Sequence[str]) -> ImageGrid:
        grid = self._grid(rows, titles)
        for (number, row), column in product(enumerate(rows), range(len(titles))):
            if column in row.cells:
                self._draw_cell(grid, (number, column), row.cells[column])
            else:
                grid.panels[number, column].set_visible(False)
        for number, row in enumerate(rows):
            for told in row.told:
                panels = list(grid.panels[number, told.first : told.last + 1])
                grid.describe_together(panels, self._text(told, grid.panel_width))
            if row.title:
                grid.title_row(number, row.title, column=row.titled, lines=_TITLE_LINES)
            if row.together:
                several = range(number, number + row.following + 1)
                grid.title_rows(several, row.together, _beside(rows, grid.panel_height))
        grid.title_columns(titles, lines=_TITLE_LINES)
        return grid

    def _grid(self, rows: Sequence[_PlacedRow], titles: Sequence[str]) -> ImageGrid:
        """Panels with as many lines around them as their texts take in their width."""
        proportion = SIGNAL_PROPORTION if self.images.ndim == 3 else self.images.shape[2] / self.images.shape[3]
        make = partial(lay_out_grid, len(rows), len(titles), self.caption, proportion=proportion, right=self.right)
        side: dict[str, Any] = {"left" if not row.titled else "first_gap": _TITLED for row in rows if row.title}
        first = make(lines_above=0, **side)
        wider = _beside(rows, first.panel_height) - _TITLED + (_TOGETHER if any(row.together for row in rows) else 0)
        side = {name: inches + wider for name, inches in side.items()}
        width = make(lines_above=0, **side).panel_width
        return make(
            lines_above=max(_lines(title, width, _TITLE_LINES) if title else 0 for title in titles),
            lines_below=[self._lines_below(row, width) for row in rows],
            **side,
        )

    def _lines_below(self, row: _PlacedRow, width: float) -> int:
        names = [self.names[cell.image] for cell in row.cells.values() if cell.series is None]
        told = [self._text(one, width).count("\n") + 1 for one in row.told]
        return max([*(_lines(name, width, LINES_BELOW) for name in names), *told], default=0)

    def _draw_cell(self, grid: ImageGrid, place: tuple[int, int], cell: _PlacedPanel) -> None:
        ax, image = grid.panels[place], self.images[cell.image]
        if cell.series is None:
            draw_input(ax, image)
            grid.describe(ax, self.names[cell.image], lines=LINES_BELOW)
            return
        draw_panel(
            ax,
            image,
            cell.series.shown[cell.image],
            style=cell.series.style,
            background=self.background,
            fault=cell.series.heatmaps.faults.get(cell.image),
            width=grid.panel_width,
        )

    def _text(self, told: _PlacedText, width: float) -> str:
        """Class and probability: on one line where it is wide enough, else the probability on a line of its own."""
        assert told.cell.series is not None
        explained, probability = self._explained(told.cell.series, told.cell.image)
        panels = told.last - told.first + 1
        together = f"{explained} · {probability}"
        if panels > 1 and _lines(together, panels * width, 2) == 1:
            return together
        return f"{fitted(explained, panels * width, LINES_BELOW - 1)}\n{probability}"

    def _explained(self, series: HeatmapSeries, image: int) -> tuple[str, str]:
        maps, labels = series.heatmaps, self.labels
        index, probability = int(maps.class_index[image]), float(maps.probability[image])
        if index < 0:
            return "score", f"{float(maps.score[image]):.3g}"
        name = class_label(labels.get(series.model) if isinstance(labels, Mapping) else labels, index)
        said = f"{100 * probability:.1f} %" if np.isfinite(probability) else "probability not finite"
        return one_line(name or f"class {index}"), said


def _beside(rows: Sequence[_PlacedRow], height: float) -> float:
    """Inches that the titles of single rows take."""
    longest = max((_lines(row.title, height, _TITLE_LINES) for row in rows if row.title), default=1)
    return _TITLED + (longest - 1) * LINE


def _lines(text: str, inches: float, most: int) -> int:
    return fitted_lines(text, inches, most).count("\n") + 1


def _differing(series: Sequence[HeatmapSeries]) -> list[str]:
    return [part for part in ("model", "method", "style") if len({getattr(one, part) for one in series}) > 1]


def _titles(series: Sequence[HeatmapSeries]) -> list[str]:
    parts = _differing(series) or ["method"]
    return [one.title(parts) for one in series]
