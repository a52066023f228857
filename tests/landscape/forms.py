"""The forms in which the engine can evaluate a network, each forced where a test wants it."""

import math
from typing import Any

import pytest

FORMS: dict[str, dict[str, Any]] = {
    "module": {"_WORTH_TRACING": math.inf},
    "graph": {"_WORTH_TRACING": 0, "_TINY": 0.0, "_WORTH_COMPILING": math.inf},
    "side by side": {"_WORTH_TRACING": 0, "_TINY": math.inf, "_OTHER_FORM": 0.0, "_SIDE_BY_SIDE": 3},
}


def force(form: str) -> None:
    """Let the planner of this process choose a form, for good."""
    from gradscape.landscape.engine import trials

    for name, value in FORMS[form].items():
        setattr(trials, name, value)


@pytest.fixture(params=list(FORMS))
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every form in turn."""
    from gradscape.landscape.engine import trials

    for name, value in FORMS[request.param].items():
        monkeypatch.setattr(trials, name, value)
    return request.param
