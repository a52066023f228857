from .catalog import FIGURES, find_figure, make_figure, tabulate_figures
from .from_surfaces import SurfaceFigure
from .paper_table import TABLES, find_table
from .published_cells import write_published_cells
from .typesetting import set_table, write_table

__all__ = [
    "FIGURES",
    "TABLES",
    "SurfaceFigure",
    "find_figure",
    "find_table",
    "make_figure",
    "set_table",
    "tabulate_figures",
    "write_published_cells",
    "write_table",
]
