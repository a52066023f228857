"""All kinds of results that the report shows, in the order of the page.

A new kind is a file beside those of the others, a template of its name in `figures/web/templates/report/sections`, and
an entry here.
"""

from gradscape.studies.report.attention import ATTENTION
from gradscape.studies.report.curvature_maps import CURVATURE_MAPS
from gradscape.studies.report.curvatures import CURVATURES
from gradscape.studies.report.definition import ReportKind
from gradscape.studies.report.embeddings import EMBEDDINGS
from gradscape.studies.report.evaluations import EVALUATIONS
from gradscape.studies.report.faithfulness import FAITHFULNESS
from gradscape.studies.report.fusion import FUSION
from gradscape.studies.report.heatmaps import HEATMAPS
from gradscape.studies.report.landscapes import LANDSCAPES
from gradscape.studies.report.lines import LINES
from gradscape.studies.report.sharpness import SHARPNESS
from gradscape.studies.report.trainings import TRAININGS

__all__ = ["KINDS"]

KINDS: dict[str, ReportKind] = {
    "evaluations": EVALUATIONS,
    "curvature_maps": CURVATURE_MAPS,  # before landscapes, whose files have axes of the same names
    "landscapes": LANDSCAPES,
    "lines": LINES,
    "sharpness": SHARPNESS,
    "curvatures": CURVATURES,
    "heatmaps": HEATMAPS,
    "faithfulness": FAITHFULNESS,
    "attention": ATTENTION,
    "fusion": FUSION,
    "embeddings": EMBEDDINGS,
    "trainings": TRAININGS,
}
