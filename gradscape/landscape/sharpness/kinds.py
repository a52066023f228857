"""The kinds of sharpness: which disturbance of the weights each takes, of which size, and who defined it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, final

from gradscape._names import unknown_name

__all__ = ["NORMS", "SHARPNESS_KINDS", "Case", "Norm", "SharpnessKind", "list_cases", "spelled_case", "split_case"]

Norm = Literal["l2", "linf"]
Case = tuple[str, float]  # a kind and its rho

NORMS = ("l2", "linf")


@final
@dataclass(frozen=True)
class SharpnessKind:
    """What a kind of sharpness means.

    Attributes:
        called: What people call it.
        definition: How it is computed.
        source: Where the definition comes from.
        adaptive: Whether a disturbance of weight w is in units of |w|, so that rescaling the network changes nothing.
        steps: Steps of the ascent: 0 for random disturbances, 1 for one step along the gradient, None for as many as
            are asked for.
        rhos: The sizes by default, in "l2".
        rhos_linf: The sizes by default in "linf"; random disturbances have none.
    """

    called: str
    definition: str
    source: str
    adaptive: bool
    steps: int | None
    rhos: tuple[float, ...]
    rhos_linf: tuple[float, ...] = ()

    @property
    def random(self) -> bool:
        """Whether disturbances are drawn, and not sought."""
        return self.steps == 0


_SAM = "Foret et al. 2021, Sharpness-Aware Minimization, equation 2"
_ASAM = "Kwon et al. 2021, ASAM, equations 2 and 5 (elementwise, eta 0)"
_MODERN = "Andriushchenko et al. 2023, A Modern Look at the Relationship between Sharpness and Generalization"

SHARPNESS_KINDS: dict[str, SharpnessKind] = {
    "average": SharpnessKind(
        "average case",
        "mean rise of the loss at w + rho·z, z standard normal",
        f"{_MODERN}, equation 1",
        adaptive=False,
        steps=0,
        rhos=(0.005, 0.01, 0.02),
    ),
    "adaptive_average": SharpnessKind(
        "adaptive average case",
        "mean rise of the loss at w + rho·|w|·z, z standard normal",
        f"{_MODERN}, equation 1",
        adaptive=True,
        steps=0,
        rhos=(0.05, 0.1, 0.2),
    ),
    "sam": SharpnessKind(
        "SAM",
        "rise of the loss of m images after one step of length rho along their gradient",
        _SAM,
        adaptive=False,
        steps=1,
        rhos=(0.01, 0.05, 0.1),
        rhos_linf=(0.0001, 0.0002, 0.0005),
    ),
    "asam": SharpnessKind(
        "ASAM",
        "the same in weights divided by |w|",
        _ASAM,
        adaptive=True,
        steps=1,
        rhos=(0.1, 0.5, 1.0),
        rhos_linf=(0.001, 0.002, 0.005),
    ),
    "worst": SharpnessKind(
        "worst case",
        "largest rise of the loss of m images found within distance rho by projected gradient ascent, a lower bound of "
        "the largest there is",
        f"{_SAM}; {_MODERN}, section 3",
        adaptive=False,
        steps=None,
        rhos=(0.01, 0.05, 0.1),
        rhos_linf=(0.0001, 0.0002, 0.0005),
    ),
    "adaptive_worst": SharpnessKind(
        "adaptive worst case",
        "the same in weights divided by |w|",
        f"{_ASAM}; {_MODERN}, section 3",
        adaptive=True,
        steps=None,
        rhos=(0.1, 0.5, 1.0),
        rhos_linf=(0.001, 0.002, 0.005),
    ),
}
"""Kinds of sharpness by name."""


def list_cases(
    kinds: Sequence[str], rhos: Sequence[float] | Mapping[str, Sequence[float]] | None, norm: Norm
) -> list[Case]:
    """Every kind with each of its sizes.

    Args:
        kinds: Names among `SHARPNESS_KINDS`.
        rhos: Sizes for all kinds, or of each; None takes those by default.
        norm: In which worst cases have their size.

    Raises:
        ValueError: A name is unknown, given twice or lacks sizes, a size is not positive, or there is none.
    """
    if norm not in NORMS:
        raise unknown_name("norm", norm, NORMS)
    cases: list[Case] = []
    for kind in kinds:
        if kind not in SHARPNESS_KINDS:
            raise unknown_name("kinds", kind, SHARPNESS_KINDS)
        cases += [(kind, float(rho)) for rho in _sizes(kind, rhos, norm)]
    if not cases:
        raise ValueError(f"`kinds` must name at least one of {', '.join(SHARPNESS_KINDS)}, got none")
    if len(set(cases)) < len(cases):
        raise ValueError("`kinds` and `rhos` must hold each kind and size once, but one comes twice")
    if wrong := [rho for _, rho in cases if not 0 < rho < float("inf")]:
        raise ValueError(f"`rhos` must be positive and finite, got {wrong[0]:g}")
    return cases


def spelled_case(kind: str, rho: float) -> str:
    """A kind with its size as one name: "sam 0.05"."""
    return f"{kind} {float(rho):.15g}"


def split_case(name: str) -> Case:
    """The kind and its size of such a name."""
    kind, _, rho = name.rpartition(" ")
    return kind, float(rho)


def _sizes(kind: str, rhos: Sequence[float] | Mapping[str, Sequence[float]] | None, norm: Norm) -> Sequence[float]:
    if isinstance(rhos, Mapping):
        if kind not in rhos:
            raise ValueError(f"`rhos` must hold sizes for {kind}, but holds some for {', '.join(rhos) or 'none'}")
        return rhos[kind]
    if rhos is not None:
        return rhos
    usual = SHARPNESS_KINDS[kind]
    return usual.rhos_linf if norm == "linf" and not usual.random else usual.rhos
