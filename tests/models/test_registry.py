import importlib
import inspect
import itertools
import pkgutil
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from gradscape import models
from gradscape.models import attentions
from gradscape.models.registry import ATTENTIONS, MODELS, AttentionEntry, ModelEntry
from gradscape.models.staged import StagedNetwork


def exports(package: Any = models) -> Iterator[Any]:
    """Everything that the files of a package export."""
    for file in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(file.name)
        yield from (getattr(module, name) for name in getattr(module, "__all__", ()) if not file.ispkg)


def unbound(function: Callable[..., Any]) -> Any:
    return function.func if isinstance(function, partial) else function


def made_by(function: Any) -> Any:
    """The class that a class or a function makes an instance of."""
    return function if isinstance(function, type) else inspect.signature(function).return_annotation


def is_network(made: Any) -> bool:
    return inspect.isclass(made) and issubclass(made, StagedNetwork) and made.__module__ != StagedNetwork.__module__


def test_models_are_made_by_all_that_the_files_export_to_make_one() -> None:
    builders = {unbound(entry.build) for entry in MODELS.values()}
    exported = set(filter(inspect.isfunction, exports()))
    assert set(filter(inspect.isfunction, builders)) == {one for one in exported if is_network(made_by(one))}
    assert set(map(made_by, builders)) == set(filter(is_network, exports()))


def test_attentions_are_attached_by_all_that_the_files_export_to_attach_one() -> None:
    exported = {one for one in exports() if inspect.isfunction(one) and one.__name__.startswith("attach_")}
    assert {unbound(entry.attach) for entry in ATTENTIONS.values()} == exported
    files = {file.name for file in pkgutil.iter_modules(attentions.__path__, f"{attentions.__name__}.")}
    assert files <= {one.__module__ for one in exported}


@pytest.mark.parametrize(
    "entry", [pytest.param(entry, id=name) for name, entry in [*MODELS.items(), *ATTENTIONS.items()]]
)
def test_every_entry_names_its_paper(entry: ModelEntry | AttentionEntry) -> None:
    assert re.search(r"\S, (arXiv:\d{4}\.\d{4,5}|doi:10\.\d{4}/\S+)", entry.paper)


def test_every_model_is_for_the_images_of_cifar_or_of_imagenet() -> None:
    shapes = {name: (entry.image_size, entry.num_classes) for name, entry in MODELS.items()}
    assert set(shapes.values()) == {(32, 10), (224, 1000)}
    assert {name for name, shape in shapes.items() if shape == (224, 1000)} == {
        *("attention56_imagenet", "attention92_imagenet", "attentioninception56_imagenet", "attentionnext56_imagenet"),
        *("efficientnet_b0", "mobilenet_v1", "mobilenet_v2", "preact_resnet200"),
        *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x4d"),
        *("shufflenet_v2_x1_0", "wide_resnet18_1_5", "wide_resnet18_2"),
    }


def test_registry_holds_every_depth_and_variant_of_the_design() -> None:
    upanets = ["", "_final_gap", "_final_spa", "_exc_gap", "_exc_spa", "_conv", "_slim", "_no_cpa"]
    expected = {f"upanet{width}{suffix}" for width, suffix in itertools.product((16, 32, 64), upanets)}
    depths, shortcuts = (20, 32, 44, 56, 110), ("", "_projection", "_noshort")
    expected |= {f"resnet{depth}{suffix}" for depth, suffix in itertools.product(depths, shortcuts)}
    expected |= {f"attention{depth}" for depth in (56, 92, 128, 164)}
    expected |= {f"attention{depth}_as_reported" for depth in (56, 92)}
    for depth in (18, 34, 50, 101, 152):
        expected |= {f"resnet{depth}", f"cifar_resnet{depth}", f"cifar_preact_resnet{depth}"}
    assert expected | {"mobilenet_v1", "mobilenet_v2"} < set(MODELS)


def test_attentions_hold_every_name_of_the_papers() -> None:
    compared = {"se", "ge", "ge_theta", "cbam", "bam", "gc", "srm", "sk", "sge", "nl", "a2", "aa", "sasa", "eca"}
    assert set(ATTENTIONS) == compared | {"se_b", "se_c", "spa_a", "spa_b", "spa_c", "ulsam", "ba2m"}
