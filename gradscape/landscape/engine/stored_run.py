"""Whether what a file says of its run can be said of one, before anything is made to measure by it."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from gradscape.landscape.engine.plan import ExecutionPlan
from gradscape.landscape.measured import Measured

__all__ = ["check_stored_plan", "check_stored_run", "whole_plan"]

_WORDS = {"precision": ("fp32", "bf16"), "memory_format": ("channels_last", "contiguous")}
_COUNTS = ("threads", "block_size", "batch_size", "points_per_forward")
_SWITCHES = ("traced", "compiled")
_MOST_POINTS = 16  # that go through a network side by side: a copy of its tensors each


def check_stored_plan(plan: Any, role: str) -> None:
    """Refuse a plan that no version can have made; entries may be missing, such as in a file of an older one.

    Args:
        plan: As a file holds it.
        role: The option that names the file, for the message.

    Raises:
        ValueError: An entry is of another type, or outside its range: tensors and loops would be sized by it.
    """
    if not isinstance(plan, Mapping):
        raise _damaged(role, f"its plan is {plan!r:.60}")
    for name, value in plan.items():
        whole = type(value) is int
        if (
            (name in _COUNTS and not (whole and 1 <= value < 2**53))
            or (name in _SWITCHES and type(value) is not bool)
            or (name in _WORDS and value not in _WORDS[name])
            or (name == "points_per_forward" and value > _MOST_POINTS)
        ):
            raise _damaged(role, f"`{name}` of its plan is {value!r:.60}")
    batch, block = plan.get("batch_size"), plan.get("block_size")
    if batch is not None and block is not None and batch % block:
        raise _damaged(role, f"its plan has batches of {batch} images in blocks of {block}")


def whole_plan(meta: Mapping[str, Any], role: str) -> Mapping[str, Any] | None:
    """The plan that a surface's or a line's provenance holds; None of what was evaluated elsewhere.

    Args:
        meta: The provenance.
        role: What its file was given as.

    Raises:
        ValueError: It lacks an entry, or has one that no evaluation writes.
    """
    plan = meta.get("plan")
    if plan is None:
        return None
    check_stored_plan(plan, role)
    if lacking := [one.name for one in fields(ExecutionPlan) if one.name not in plan]:
        raise _damaged(role, f"its plan lacks {', '.join(lacking)}")
    return plan


def check_stored_run(stored: Measured, role: str) -> None:
    """Refuse a run to go on with whose parts do not fit together. What another tool has written is left alone.

    Args:
        stored: What the file holds.
        role: The option that names the file, for the message.

    Raises:
        ValueError: Something is missing, its plan cannot be, or its blocks are not those of one row of images.
    """
    if "weights" not in stored.meta:
        return
    if missing := [name for name in ("plan", "blocks") if name not in stored.meta]:
        raise _damaged(role, f"it lacks {' and '.join(missing)}")
    check_stored_plan(stored.meta["plan"], role)
    digests, size = stored.meta["blocks"], stored.meta["plan"].get("block_size")
    if stored.sample is None:
        grid, origin = stored.blocks.count, stored.origin.count
    else:
        grid, origin = stored.sample.blocks.count[:, 1:], stored.sample.blocks.count[:, 0]
    if not isinstance(digests, list) or {len(digests), len(grid)} != {len(origin)}:
        raise _damaged(role, f"the images of {len(grid)} blocks are not named, or its origin has {len(origin)} blocks")
    counts = np.concatenate([origin.reshape(-1, 1), grid.reshape(len(grid), -1)], axis=1)
    largest = counts.max(axis=1)
    uneven = ((counts != 0) & (counts != largest[:, None])).any(axis=1)
    begun = int(np.flatnonzero(largest)[-1]) + 1 if largest.any() else 0
    full = largest[: max(0, begun - 1)]
    if uneven.any() or (full != size).any() or largest.max(initial=0) > (size or 0):
        raise _damaged(role, f"its blocks do not have {size} images each at every point, the last one as many or fewer")


def _damaged(role: str, what: str) -> ValueError:
    fix = "choose another output or delete it" if role == "path" else "give another file"
    return ValueError(f"`{role}` holds what no run can have ({what}): {fix}")
