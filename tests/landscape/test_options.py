import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from torch import nn

from gradscape.landscape import Options, estimate_seconds, evaluate_line, evaluate_surface, random_directions
from tests.landscape.networks import images_and_labels, small_net

EVALUATIONS = (evaluate_surface, evaluate_line, estimate_seconds)


@pytest.mark.parametrize("function", EVALUATIONS)
def test_a_signature_lists_every_option_with_its_default(function: Callable[..., Any]) -> None:
    keywords = {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    assert keywords == {field.name: field.default for field in fields(Options)}


@pytest.mark.parametrize("function", EVALUATIONS)
def test_help_explains_every_option(function: Callable[..., Any]) -> None:
    told = inspect.getdoc(function) or ""
    assert all(f"\n    {field.name}: " in told for field in fields(Options))
    assert "options:" not in told
    assert "Raises" not in told.partition("Returns:")[0]


@pytest.mark.parametrize("function", EVALUATIONS)
def test_a_misspelled_option_is_refused(function: Callable[..., Any]) -> None:
    kinds = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
    own = [None] * kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD)
    with pytest.raises(TypeError, match="unexpected keyword argument 'tolerence'"):
        function(*own, tolerence=0.1)


def test_coordinates_may_be_named() -> None:
    net = small_net()
    named = {"directions": random_directions(net, seed=0), "alphas": [0.0], "betas": [0.0]}
    evaluate: Callable[..., Any] = evaluate_surface
    assert evaluate(net, [images_and_labels()], **named, precision="fp32").loss.shape == (1, 1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"tolerance": 0.0}, "`tolerance` must be positive, got 0.0"),
        ({"seconds": float("nan")}, "`seconds` must be positive, got nan"),
        ({"batch_size": 0}, "`batch_size` must be at least 1, got 0"),
    ],
)
def test_options_that_mean_nothing_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Options(**wrong)


def test_a_surface_takes_a_pair_of_directions() -> None:
    net: nn.Module = small_net()
    axis = np.zeros(1)
    with pytest.raises(ValueError, match="`directions` must be a pair for a surface, got 1"):
        evaluate_surface(net, [images_and_labels()], random_directions(net, seed=0)[:1], axis, axis)
