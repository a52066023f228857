"""One evaluation from beginning to end: its account, its provenance, its file."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np

from gradscape._digest import digest_model, digest_tensors
from gradscape._profile import spent_on
from gradscape._provenance import current_versions
from gradscape._refuge import save_or_keep
from gradscape.landscape.engine.blocks import Block
from gradscape.landscape.engine.identity import same_identity
from gradscape.landscape.engine.ledger import Ledger
from gradscape.landscape.engine.pace import Pace
from gradscape.landscape.engine.plan import FORM, ExecutionPlan, plan_changes
from gradscape.landscape.engine.remeasurement import Remeasurement
from gradscape.landscape.engine.rounds import Clock, Limits, Report, evaluate_points
from gradscape.landscape.engine.schedule import coarse_to_fine
from gradscape.landscape.engine.staged import StagedLedger, evaluate_stages
from gradscape.landscape.engine.trials import RATE, ChosenPlan
from gradscape.landscape.engine.work import Work
from gradscape.landscape.engine.workers import Workers
from gradscape.landscape.image_counts import IMAGES_ASKED, IMAGES_LEAST
from gradscape.landscape.line import Line
from gradscape.landscape.surface import Surface

__all__ = ["Result", "Run"]

_GO_ON = "move it to {} and start the same again, which goes on from there"

Result = TypeVar("Result", Surface, Line)


class Run(Generic[Result]):
    """A surface or a line that is being evaluated.

    Args:
        kind: `Surface` or `Line`.
        axes: Its coordinates by name.
        work: What is evaluated.
        planned: How.
        meta: More provenance to store.
    """

    def __init__(
        self,
        kind: type[Result],
        axes: Mapping[str, np.ndarray],
        work: Work,
        planned: ChosenPlan,
        meta: Mapping[str, Any],
    ) -> None:
        self._kind: type[Result] = kind
        self._axes, self._work, self._plan = axes, work, planned.plan
        population = work.population or work.images
        self._staged = None if work.levels is None else StagedLedger(work.levels, population)
        self._ledger = self._staged or Ledger(len(work.coordinates), population)
        self._provenance = {**meta, **_provenance(work, planned)}
        self._remeasurement: Remeasurement | None = None
        self._kept_elsewhere = False

    def resume(self, stored: Result, *, allow_plan_change: bool) -> None:
        """Take over what a file holds, if it is of the same model, directions, grid, task and plan.

        Names and digests are compared here; `evaluate` then measures some of it again.

        Raises:
            ValueError: It is another run's, or was begun under another plan.
        """
        differing = [name for name, values in self._axes.items() if not np.array_equal(values, getattr(stored, name))]
        differing += [name for name in ("weights", "directions") if stored.meta.get(name) != self._provenance[name]]
        functions = stored.meta.get("functions", {})
        differing += [
            role for role, name in self._provenance["functions"].items() if not same_identity(functions.get(role), name)
        ]
        if not _same_treatment(stored.meta.get("batch_norm"), self._provenance["batch_norm"]):
            differing.append("batch norm or calibration images")
        digests, sample = stored.meta.get("blocks", ()), stored.sample
        differing += ["estimator"] if (sample is None) != (self._staged is None) else []
        sizes = {len(stored.blocks.count), len(stored.origin.count)} if sample is None else {len(sample.blocks.count)}
        differing += ["images"] if "plan" not in stored.meta or sizes != {len(digests)} else []
        if differing:
            raise ValueError(
                f"`path` holds another run (other {', '.join(differing)}): choose another output or delete it"
            )
        population = self._work.population
        if population and stored.blocks.population != population:
            raise ValueError(
                f"`path` holds images drawn from {stored.blocks.population}, not from {population}: "
                "choose another output"
            )
        then: dict[str, Any] = stored.meta["plan"]
        changed: bool = _check_plans(then, self._plan, allow_change=allow_plan_change)
        if self._staged is not None and sample is not None:
            self._staged.take_over(sample, digests)
        else:
            self._ledger.restore(stored.origin.reshape((1,)).join(stored.blocks.reshape((-1,))), digests)
        self._remeasurement = Remeasurement(
            self._ledger, self._work.coordinates, self._plan, exact=not allow_plan_change
        )
        if earlier := [*stored.meta.get("earlier_plans", []), *([then] if changed else [])]:
            self._provenance["earlier_plans"] = earlier

    def evaluate(
        self,
        workers: Workers,
        blocks: Iterable[Block],
        limits: Limits,
        *,
        path: str | os.PathLike[str] | None,
        report: Report | None,
        preview: Callable[[Result], None] | None,
    ) -> None:
        """Evaluate what is missing, within limits, and keep the file up to date.

        Raises:
            ValueError: What was taken over comes out otherwise today.
            OSError: `path` cannot be written; the error says where the result is instead.
        """
        levels = [[1 + point for point in level] for level in coarse_to_fine(self._work.shape)]
        levels[0].insert(0, 0)
        clock = Clock(
            len(self._work.coordinates),
            self._work.images,
            self._ledger,
            limits,
            pace=Pace(self._provenance["plan_notes"].get(RATE), self._plan.batch_size),
            save=partial(self._save, path) if path else None,
            report=report,
            calibration=self._work.recalibration.images if self._work.recalibration else 0,
            preview=(lambda complete: preview(self.result(complete))) if preview else None,
        )
        how: Any = {"plan": self._plan, "clock": clock, "limits": limits, "remeasurement": self._remeasurement}
        if self._staged is not None:
            evaluate_stages(workers, blocks, ledger=self._staged, images=self._work.images or 0, **how)
        else:
            evaluate_points(workers, blocks, levels, ledger=self._ledger, **how)

    @spent_on("writing")
    def _save(self, path: str | os.PathLike[str]) -> None:
        if self._kept_elsewhere:  # the run is ending, and nothing was added since
            return
        try:
            save_or_keep(self.result().save, path, go_on=_GO_ON.format(os.fspath(path)))
        except OSError:
            self._kept_elsewhere = True
            raise

    @property
    def digests(self) -> list[str]:
        """Of the blocks that were evaluated."""
        return self._ledger.digests

    def add_stored_ends(self, ends: Mapping[str, Any], path: str | os.PathLike[str] | None) -> None:
        """Let the provenance tell what networks have with their own statistics, where these are measured anew."""
        self._provenance["batch_norm"] = {**self._provenance["batch_norm"], "stored_ends": dict(ends)}
        if path:
            self._save(path)

    def result(self, blocks: int | None = None) -> Result:
        """What was evaluated so far, of the first `blocks` or all; what was estimated from it, always of all."""
        staged = self._staged
        statistics = self._ledger.statistics(blocks) if staged is None else staged.estimates()
        extent = {"images": int(statistics.images.max(initial=0)), "population": statistics.population}
        if blocks is None:  # what is shown on the way is not yet less than asked for
            least = int(statistics.images.min(initial=extent["images"]))
            extent |= {IMAGES_ASKED: self._work.images} if self._work.images else {}
            extent |= {IMAGES_LEAST: least} if least < extent["images"] else {}
        meta = {**self._provenance, **extent, "blocks": self._ledger.digests[: staged.opened if staged else blocks]}
        axes: dict[str, Any] = dict(self._axes)
        sample = None
        if staged is not None:
            sample = staged.sample()
            gain = sample.gain(statistics.points(slice(1, None))) if len(statistics.count) else np.nan
            known = {"gain": gain} if np.isfinite(gain) else {}
            meta["estimator"] = {"kind": "regression", "levels": staged.extents(), **known}
        return self._kind(
            **axes,
            blocks=statistics.points(slice(1, None)).reshape(tuple(self._work.shape)),
            origin=statistics.points(0),
            meta=meta,
            sample=sample,
        )


def _provenance(work: Work, planned: ChosenPlan) -> dict[str, Any]:
    return {
        "versions": current_versions(),
        "plan": asdict(planned.plan),
        "plan_notes": dict(planned.notes),
        "weights": digest_model(work.model),
        "batch_norm": work.batch_norm_record(),
        "directions": [digest_tensors(direction.items()) for direction in work.directions],
        **work.task.names(),
        "functions": work.task.identities(),
    }


def _same_treatment(stored: Mapping[str, Any] | None, now: Mapping[str, Any]) -> bool:
    """Whether batch norms were treated as they are now; of older files, without that entry, directions tell."""
    if stored is None:
        return now["statistics"] != "recalibrated"
    return {name: stored.get(name) for name in now} == now


def _check_plans(then: Mapping[str, Any], now: ExecutionPlan, *, allow_change: bool) -> bool:
    """Whether something changed between two plans.

    Raises:
        ValueError: The form of the network changed, or something else without being allowed to.
    """
    changes = plan_changes(then, now)
    mixed = [name for name in FORM if name in changes]
    if mixed or (changes and not allow_change):
        fix = f"a surface never mixes {' or '.join(mixed)}" if mixed else "or allow the change of plan"
        raise ValueError(
            f"`path` was begun under another plan ({'; '.join(changes.values())}): choose another output; {fix}"
        )
    return bool(changes)
