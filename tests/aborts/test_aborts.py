"""No aborted call leaves a trace in the user's model or process."""

import logging
import random
from collections.abc import Iterator

import pytest

from tests.aborts.calls import CALLS, READERS, functions_of_models
from tests.aborts.campaign import Case, abort, stop
from tests.aborts.networks import NETWORKS
from tests.aborts.trip import Place

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("unchecked")]

_QUICK = ("heatmaps", "surface", "attention", "feature maps", "macs", "randomization")
_KINDS = ("step", "signal", "entry", "event")
_SLOW_NETWORKS = {"compiled"}  # whose compiler takes seconds to import

KEPT = (  # what campaigns have found: where a call was cut off
    ("macs", "merging", ("layer", 2)),
    ("heatmaps", "plain", "ExitStack.__exit__"),
    ("heatmaps, layer found", "plain", "saved_tensors_hooks.__exit__"),
    ("attention", "inference", "inferring"),
    ("randomization", "old norms", "_State.restore"),
    ("surface", "merging", "moving.<locals>.put_back"),
    ("path", "channels last", "_exact_products.<locals>.put_back"),
)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def test_every_public_function_that_takes_a_model_is_aborted() -> None:
    public, called = set(functions_of_models()), {one.function for one in CALLS.values()}
    assert public - called - READERS.keys() == set()
    assert (called | READERS.keys()) - public == set()


@pytest.mark.parametrize("call", _QUICK)
def test_an_aborted_call_leaves_no_trace(call: str) -> None:
    draw = random.Random(call)
    networks = sorted(NETWORKS.keys() - _SLOW_NETWORKS)
    for number in range(12):
        case = Case(call, draw.choice(networks), _KINDS[number % len(_KINDS)], draw.randrange(10**6))
        assert abort(case).changed == (), case


@pytest.mark.parametrize(("call", "network", "where"), KEPT)
def test_what_a_campaign_found_stays_mended(call: str, network: str, where: str | tuple[str, int]) -> None:
    if isinstance(where, tuple):
        outcomes = [stop(call, network, event=where)]
    else:
        outcomes = [stop(call, network, place=Place(where, 0, time)) for time in (1, 2)]
    assert outcomes[0].ended != "ran"
    assert all(outcome.changed == () for outcome in outcomes)
