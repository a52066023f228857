import doctest
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

# What users call first.
_SHOWN = {
    "data": ["load_split"],
    "explain": ["attention_maps", "embed", "fusion_maps", "heatmaps"],
    "figures": [
        "figure_comparison",
        "figure_embeddings",
        "figure_heatmaps",
        "figure_landscape",
        "figure_line",
        "interactive_surface",
        "save_figure",
    ],
    "landscape": [
        "Surface",
        "difference_direction",
        "evaluate_line",
        "evaluate_surface",
        "find_span",
        "load_directions",
        "load_landscape",
        "measure_landscape",
        "random_directions",
        "save_directions",
    ],
    "models": ["count_macs", "count_parameters", "create_model", "list_models", "load_checkpoint", "save_checkpoint"],
    "training": ["create_recipe", "train_model"],
}


def _public() -> Iterator[tuple[str, object]]:
    for room in _SHOWN:
        package = importlib.import_module(f"gradscape.{room}")
        for name in package.__all__:
            if inspect.isclass(thing := getattr(package, name)) or inspect.isfunction(thing):
                yield f"{room}.{name}", thing


def _example(name: str, thing: object) -> doctest.DocTest | None:
    """The example in a docstring, with the names of the module it stands in."""
    names = vars(importlib.import_module(thing.__module__))
    lines = inspect.getdoc(thing) or ""
    found = doctest.DocTestParser().get_doctest(lines, dict(names), name, None, 0)
    return found if found.examples else None


_EXAMPLES = {name: example for name, thing in _public() if (example := _example(name, thing))}


@pytest.mark.parametrize("name", _EXAMPLES)
def test_an_example_in_a_docstring_runs_and_shows_what_comes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # examples write files
    report: list[str] = []
    with torch.random.fork_rng():
        torch.manual_seed(0)
        outcome = doctest.DocTestRunner().run(_EXAMPLES[name], out=report.append)
    assert not outcome.failed, "".join(report)


def test_what_users_call_first_shows_how() -> None:
    wanted = {f"{room}.{name}" for room, names in _SHOWN.items() for name in names}
    assert wanted <= _EXAMPLES.keys()
