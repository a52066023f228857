"""How the papers' landscapes are scaled: what a person may ask for, and what captions say of it."""

from typing import Literal, get_args

from gradscape._names import unknown_name

__all__ = ["Scaling", "describe_scaling", "find_scaling"]

Scaling = Literal["raw", "minmax", "minmax-column"]
"""Values as they are; scaled to [0, 1] as a whole; each column, the points of one alpha, by itself."""

_BESIDE: dict[Scaling, str] = {
    "raw": "the original alone: in the paper the scaled surface stands beside it",
    "minmax": "scaled as a whole: both panels are the same picture with other ticks, while in the paper shapes differ, "
    "as they do where each column is scaled by itself",
    "minmax-column": "scaled by column, as all figures that have the original beside: in the paper shapes differ, "
    "while a surface that is scaled as a whole would be the same picture with other ticks",
}
_ALONE: dict[Scaling, str] = {
    "raw": "",
    "minmax": "each surface scaled as a whole, so that networks compare from 0 to 1 and shapes stay what they are",
    "minmax-column": "each surface scaled by column, so that shapes are others than those of the original",
}


def find_scaling(name: str) -> Scaling:
    """Return the scaling of this name.

    Raises:
        ValueError: There is none.
    """
    known: tuple[Scaling, ...] = get_args(Scaling)
    for scaling in known:
        if scaling == name:
            return scaling
    raise unknown_name("--scale", name, known)


def describe_scaling(scaling: Scaling, *, beside: bool, printed: Scaling) -> str:
    """What a caption says of a figure's scaling, and why it is this one; nothing of values as they are.

    Args:
        scaling: How the figure is scaled here.
        beside: Whether the paper's has original and scaled surface side by side.
        printed: How it is scaled unless someone asks for another.

    Source: UPANets, on figure 8, and appendix C.
    """
    said = (_BESIDE if beside else _ALONE)[scaling]
    asked = "" if scaling == printed else f"--scale {scaling} instead of {printed}"
    return ": ".join(part for part in (asked, said) if part)
