from .embeddings import interactive_embedding, thumbnail_side
from .line_chart import Chart, ChartCurve, place_chart
from .live import live_page
from .notebook import notebook_html
from .packed_maps import color_tables, packed_maps, picture_sheet, shrunk
from .pages import WebPage, render_page, render_piece
from .policy import page_policy
from .report_surface import plotly_script, surface_content, surface_picture
from .scatter import place_embeddings
from .surfaces import interactive_surface

__all__ = [
    "Chart",
    "ChartCurve",
    "WebPage",
    "color_tables",
    "interactive_embedding",
    "interactive_surface",
    "live_page",
    "notebook_html",
    "packed_maps",
    "page_policy",
    "picture_sheet",
    "place_chart",
    "place_embeddings",
    "plotly_script",
    "render_page",
    "render_piece",
    "shrunk",
    "surface_content",
    "surface_picture",
    "thumbnail_side",
]
