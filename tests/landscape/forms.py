"""The forms in which the engine can evaluate a network, each forced where a test wants it."""

import math
from importlib import import_module
from typing import Any

import pytest

_ENGINE = "gradscape.landscape.engine"
_TRACED = {"budget._PAYS_BACK": 0.0, "budget._SHARE": math.inf}

FORMS: dict[str, dict[str, Any]] = {
    "module": {"budget._PAYS_BACK": math.inf},
    "graph": {**_TRACED, "trials._TINY": 0.0, "trials._WORTH_COMPILING": math.inf},
    "side by side": {**_TRACED, "trials._TINY": math.inf, "trials._OTHER_FORM": 0.0, "trials._SIDE_BY_SIDE": 3},
}


def force(form: str) -> None:
    """Let the planner of this process choose a form, for good."""
    for name, value in FORMS[form].items():
        module, _, constant = name.partition(".")
        setattr(import_module(f"{_ENGINE}.{module}"), constant, value)


def trace_whatever_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the planner trace and try as if it took no time."""
    for name, value in _TRACED.items():
        monkeypatch.setattr(f"{_ENGINE}.{name}", value)


@pytest.fixture(params=list(FORMS))
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every form in turn."""
    for name, value in FORMS[request.param].items():
        monkeypatch.setattr(f"{_ENGINE}.{name}", value)
    return request.param
