"""Landscapes of UPANets, arXiv:2103.08640: figures 8, 9, 12 to 18 and 20.

Differs from the paper: unscaled surfaces that stand side by side share one range, so that they can be compared. The
paper does not say which DenseNet it took; here it is the one for CIFAR of the collection that it names, whose growth
rate is 12.
"""

from typing import Any

from gradscape.studies.paper_figure import PaperFigure, short_name
from gradscape.studies.surface_figure import SurfaceFigure

__all__ = ["LANDSCAPES"]

_WIDE = 1.0
_NARROW = 0.0375
_DENSENET = "cifar_densenet121@growth_rate=12"
_TITLES = {
    "upanet16": "UPANets16",
    "upanet16_final_gap": "UPANets16 final GAP",
    "upanet16_final_spa": "UPANets16 final SPA",
    "upanet16_exc_gap": "UPANets16 exc GAP",
    "upanet16_exc_spa": "UPANets16 exc SPA",
    "cifar_densenet121": "DenseNet",
}
_ORIGINAL = "trained on CIFAR-10, 50 samples an axis"


def _landscape(title: str, *networks: str, span: float = _WIDE, **looks: Any) -> SurfaceFigure:
    *first, last = (_TITLES[short_name(network)] for network in networks)
    named = f"{', '.join(first)} and {last}" if first else last
    return SurfaceFigure(
        title=f"{title}, ±{span:g}",
        original=f"{named} {_ORIGINAL}",
        networks=networks,
        span=span,
        titles=_TITLES,
        **looks,
    )


LANDSCAPES: dict[str, PaperFigure] = {
    "upanets:8": _landscape("min-max scaled loss of two heads", "upanet16_final_gap", "upanet16", scale="minmax"),
    "upanets:9": _landscape("top-1 error of two heads", "upanet16_final_gap", "upanet16", value="error"),
    "upanets:12": _landscape(
        "loss, original and scaled by column, of a DenseNet",
        _DENSENET,
        span=_NARROW,
        scale="minmax-column",
        with_original=True,
    ),
    "upanets:13": _landscape(
        "loss, original and min-max scaled", "upanet16", span=_NARROW, scale="minmax", with_original=True
    ),
    "upanets:14": _landscape("loss of two heads", "upanet16_final_gap", "upanet16"),
    "upanets:15": _landscape(
        "loss, original and min-max scaled, of final SPA", "upanet16_final_spa", scale="minmax", with_original=True
    ),
    "upanets:16": _landscape(
        "loss, original and min-max scaled, of exc GAP", "upanet16_exc_gap", scale="minmax", with_original=True
    ),
    "upanets:17": _landscape(
        "loss, original and min-max scaled, of exc SPA", "upanet16_exc_spa", scale="minmax", with_original=True
    ),
    "upanets:18": _landscape(
        "top-1 error of three heads", "upanet16_final_spa", "upanet16_exc_gap", "upanet16_exc_spa", value="error"
    ),
    "upanets:20": _landscape(
        "top-1 error of UPANets and a DenseNet", "upanet16", _DENSENET, span=_NARROW, value="error"
    ),
}
