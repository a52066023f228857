"""As much of Ray as `Cluster` uses, in one process: for what real workers never do."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, final

import pytest
import ray

from gradscape.landscape.cluster import pool, remote

__all__ = ["Fault", "PretendedRay", "pretended"]

Fault = Callable[[str, Callable[[], Any]], Any]  # (which method, what answers) -> what is sent instead


@final
class _Method:
    """What is called when its answer is asked for."""

    def __init__(self, later: "Callable[[Callable[[], Any]], ray.ObjectRef[Any]]", call: Callable[..., Any]) -> None:
        self._later, self._call = later, call

    def remote(self, *arguments: Any) -> "ray.ObjectRef[Any]":
        """What stands for the answer."""
        return self._later(lambda: self._call(*arguments))


@final
class _Actor:
    """A worker, with its fault."""

    def __init__(self, ray: "PretendedRay", number: int, fault: Fault) -> None:
        self.number, self.evaluator = number, remote.RemoteEvaluator()
        self.prepare = _Method(ray.later, lambda *given: fault("prepare", lambda: self.evaluator.prepare(*given)))
        self.measure = _Method(ray.later, lambda *given: fault("measure", lambda: self.evaluator.measure(*given)))


@final
class _Hiring:
    """What gives an actor at once."""

    def __init__(self, hire: Callable[[], _Actor]) -> None:
        self.remote = hire


@final
class PretendedRay:
    """Actors that answer in turn, each with its own fault or none.

    Args:
        faults: Of the actors in the order in which they are asked for; later ones have none.
        cores: How many of them there is room for.
    """

    ObjectRef = ray.ObjectRef

    def __init__(self, faults: Sequence[Fault | None], cores: int) -> None:
        self._faults, self._cores, self._turn = faults, cores, 0
        self._later: dict[ray.ObjectRef[Any], Callable[[], Any]] = {}
        self._found: dict[ray.ObjectRef[Any], Any] = {}
        self.actors: list[_Actor] = []
        self.killed: list[int] = []

    def remote(self, **_: int) -> Callable[[type[remote.RemoteEvaluator]], Any]:
        """As the decorator: what it gives is told to make actors."""
        return lambda _: _Hiring(self._hired)

    def _hired(self) -> _Actor:
        number = len(self.actors)
        fault = self._faults[number] if number < len(self._faults) else None
        self.actors.append(_Actor(self, number, fault or _nothing))
        return self.actors[-1]

    def later(self, find: Callable[[], Any]) -> "ray.ObjectRef[Any]":
        """What stands for what will be found."""
        reference: ray.ObjectRef[Any] = ray.ObjectRef.from_random()
        self._later[reference] = find
        return reference

    def put(self, value: object) -> "ray.ObjectRef[Any]":
        """Keep it."""
        return self.later(lambda: value)

    def get(self, reference: "ray.ObjectRef[Any]") -> Any:
        """What it stands for."""
        if reference not in self._found:
            self._found[reference] = self._later[reference]()
        return self._found[reference]

    def wait(
        self, references: "Sequence[ray.ObjectRef[Any]]", timeout: float
    ) -> "tuple[list[ray.ObjectRef[Any]], list[ray.ObjectRef[Any]]]":
        """One after the other is ready, so that all actors get something to do."""
        assert timeout > 0
        self._turn += 1
        chosen = [references[self._turn % len(references)]] if references else []
        return chosen, [one for one in references if one not in chosen]

    def kill(self, actor: _Actor) -> None:
        """Remember that."""
        self.killed.append(actor.number)

    def nodes(self) -> list[dict[str, Any]]:
        """One."""
        return [{"Alive": True, "Resources": {"CPU": float(self._cores)}}]


def _nothing(_: str, answer: Callable[[], Any]) -> Any:
    return answer()


@contextmanager
def pretended(*faults: Fault | None, cores: int | None = None) -> Iterator[PretendedRay]:
    """Inside, `Cluster` has such workers, each in its turn.

    Args:
        faults: What is wrong with each; None is an honest one.
        cores: Room for so many workers; as many as there are faults unless said otherwise.
    """
    there = PretendedRay(faults, cores or len(faults))
    with pytest.MonkeyPatch.context() as patch:
        for module in (pool, remote):
            patch.setattr(module, "ray", there)
        patch.setattr(pool, "ray_session", lambda *_, **__: nullcontext())
        patch.setattr(pool, "whereabouts", lambda actor: f"process {actor.number} on the moon")
        try:
            yield there
        finally:
            # Each holds gradients off and what else an evaluation needs, for as long as its process lives.
            for actor in reversed(there.actors):
                actor.evaluator._contexts.close()
