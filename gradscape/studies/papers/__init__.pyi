from .catalog import FIGURES, find_figure, make_figure, tabulate_figures
from .from_surfaces import SurfaceFigure

__all__ = ["FIGURES", "SurfaceFigure", "find_figure", "make_figure", "tabulate_figures"]
