"""The forms in which the engine can evaluate a network, each forced where a test wants it."""

import math
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

_ENGINE = "gradscape.landscape.engine"
_TRACED = {"budget._PAYS_BACK": 0.0, "budget._SHARE": math.inf}

FORMS: dict[str, dict[str, Any]] = {
    "module": {"budget._PAYS_BACK": math.inf},
    "graph": {**_TRACED, "trials._TINY": 0.0, "trials._WORTH_COMPILING": math.inf},
    "side by side": {**_TRACED, "trials._TINY": math.inf, "trials._OTHER_FORM": 0.0, "trials._SIDE_BY_SIDE": 3},
}


def force(form: str) -> dict[str, Any]:
    """Let the planner of this process choose a form, for good; what `put_back` undoes it by."""
    before = {name: getattr(*_constant(name)) for name in FORMS[form]}
    put_back(FORMS[form])
    return before


def put_back(values: Mapping[str, Any]) -> None:
    """Give the planner's constants these values."""
    for name, value in values.items():
        setattr(*_constant(name), value)


def _constant(name: str) -> tuple[ModuleType, str]:
    module, _, constant = name.partition(".")
    return import_module(f"{_ENGINE}.{module}"), constant


def trace_whatever_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the planner trace and try as if it took no time."""
    for name, value in _TRACED.items():
        monkeypatch.setattr(f"{_ENGINE}.{name}", value)


def choose(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the planner choose a form in one test."""
    for name, value in FORMS[form].items():
        monkeypatch.setattr(f"{_ENGINE}.{name}", value)


@pytest.fixture(params=list(FORMS))
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every form in turn."""
    choose(request.param, monkeypatch)
    return request.param
