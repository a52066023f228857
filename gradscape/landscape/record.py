"""What the engine writes into the provenance of a surface or a line, and relies on when it reads it again."""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from gradscape._schema import check_record
from gradscape.landscape.paths.trajectory import Trajectory

__all__ = ["check_landscape_record"]


class _PlanEntry(TypedDict, total=False):
    device: str
    threads: int
    precision: str
    block_size: int
    batch_size: int
    memory_format: str
    traced: bool
    compiled: bool
    points_per_forward: int
    torch: str
    instructions: str


class _RoundingEntry(TypedDict):
    bias: float
    spread: float
    same_mask: bool
    points: int
    images: int


class _NotesEntry(TypedDict, total=False):
    rounding: _RoundingEntry
    images_per_second: float


class _FrameEntry(TypedDict):
    number: int
    frames: int


class _StoredEndsEntry(TypedDict):
    alphas: list[float]
    loss: list[float | None]
    loss_stderr: list[float | None]
    error: list[float | None]
    images: int


class _BatchNormEntry(TypedDict, total=False):
    statistics: str
    images: int
    batches: int
    definition: str
    digest: str
    stored_ends: _StoredEndsEntry


class _HighestEntry(TypedDict, total=False):
    value: str
    curve_highest: float
    curve_at: float
    line_highest: float
    line_at: float
    difference: float
    stderr: float
    low: float
    high: float
    images: int
    verdict: str


class _CurveAlongEntry(TypedDict, total=False):
    kind: str
    length: float
    distance: float
    height: float
    epochs: int
    learning_rate: float
    seed: int
    taught: dict[str, str]
    highest: dict[str, _HighestEntry]


class _AlignmentEntry(TypedDict, total=False):
    objective_before: float
    objectives: list[float]
    cosine_before: float
    cosine: float
    groups: dict[str, int]
    fixed: dict[str, str]
    deviation: float
    seed: int
    weights: str
    of: str


class _LevelEntry(TypedDict):
    points: int
    images: int


class _EstimatorEntry(TypedDict):
    kind: str
    levels: list[_LevelEntry]
    gain: NotRequired[float]


class _LandscapeEntries(TypedDict, total=False):
    plan: _PlanEntry
    plan_notes: _NotesEntry
    earlier_plans: list[_PlanEntry]
    batch_norm: _BatchNormEntry
    estimator: _EstimatorEntry
    alignment: _AlignmentEntry
    functions: dict[str, str]
    directions: list[str]
    blocks: list[str]
    images: int | None
    images_asked: int | None
    images_least: int | None
    population: int | None
    trajectories: list[dict[str, Any]]
    curve: _CurveAlongEntry
    frame: _FrameEntry


def check_landscape_record(meta: Mapping[str, Any]) -> None:
    """Refuse provenance whose entries cannot be the engine's; any may be missing, and a user's own are left alone.

    Raises:
        ValueError: What is wrong with it.
    """
    check_record(meta, _LandscapeEntries, closed=False)
    for entry in meta.get("trajectories", []):
        Trajectory.from_entry(entry)
