import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from gradscape.models import count_parameters, create_model

OWN = """
from torch import nn


def build(num_classes, image_size, depth=1):
    return nn.Sequential(nn.Flatten(), *[nn.Linear(3 * image_size**2, num_classes) for _ in range(depth)])


def headless(num_classes):
    return nn.Linear(3, num_classes)


def number(num_classes):
    return num_classes


constant = 3
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = "gradscape_test_networks"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    yield name
    sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["mobilenet_v2", "torchvision:mobilenet_v2"])
def test_torchvision_model_has_the_published_parameters_for_its_classes(name: str) -> None:
    with torch.device("meta"):
        assert count_parameters(create_model(name, num_classes=1000)) == 3_504_872
        assert create_model(name, num_classes=7).get_parameter("classifier.1.weight").shape == (7, 1280)


def test_transformer_of_torchvision_learns_the_image_size() -> None:
    with torch.device("meta"):
        network = create_model("vit_b_16", num_classes=7, image_size=48)
    assert network.get_parameter("encoder.pos_embedding").shape == (1, 1 + 9, 768)


def test_torchvision_takes_its_own_options() -> None:
    with torch.device("meta"):
        narrow = create_model("torchvision:mobilenet_v2@width_mult=0.5", num_classes=1000)
    assert narrow.get_parameter("features.0.0.weight").shape == (16, 3, 3, 3)


def test_timm_model_gets_classes_and_the_image_size_where_it_takes_one() -> None:
    with torch.device("meta"):
        assert create_model("timm:resnet18", num_classes=7).get_parameter("fc.weight").shape == (7, 512)
        network = create_model("timm:vit_tiny_patch16_224", num_classes=7, image_size=48)
    assert network.get_parameter("pos_embed").shape == (1, 1 + 9, 192)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torchvision:resnet19", "unknown `torchvision model` 'resnet19'; did you mean resnet18.*"),
        ("timm:resnet1a", "unknown `timm model` 'resnet1a'; did you mean .*resnet18.*"),
        ("mnasnet1_0@depth=3", "mnasnet1_0 cannot be built so: .*depth.*"),
        ("timm:resnet18@profundity=3", "resnet18 cannot be built so: .*profundity.*"),
        ("vit_b_16@patch_size=5", "vit_b_16 cannot be built so: .*patch_size.*"),
        ("vgg11@weights=DEFAULT", "vgg11 takes no option `weights`; bring .* `gradscape import`"),
        ("timm:resnet18@pretrained=true", "resnet18 takes no option `pretrained`; bring .* `gradscape import`"),
        ("gradscape_no_such:build", "cannot import `model` 'gradscape_no_such:build': No module named .*"),
    ],
)
def test_wrong_foreign_names_are_refused_in_one_line(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        create_model(name)


def test_image_size_that_a_transformer_cannot_take_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"^vit_b_16 cannot be built so: .*$"):
        create_model("vit_b_16", image_size=17)


def test_own_function_is_imported_from_the_current_directory(own_module: str) -> None:
    path = list(sys.path)
    network = create_model(f"{own_module}:build@depth=1", num_classes=7, image_size=4)
    assert network(torch.zeros(2, 3, 4, 4)).shape == (2, 7)
    assert sys.path == path


def test_own_function_without_an_image_size_is_not_given_one(own_module: str) -> None:
    assert create_model(f"{own_module}:headless", num_classes=7)(torch.zeros(2, 3)).shape == (2, 7)


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        ("absent", ValueError, "cannot import `model` '.*:absent': .*no attribute 'absent'"),
        ("constant", TypeError, "`model` '.*:constant' must name a function, got int"),
        ("number", TypeError, ".*:number must return a torch.nn.Module, got int"),
        ("build@width=3", ValueError, ".*:build must take .*'width'; it takes num_classes, image_size, depth"),
    ],
)
def test_own_function_that_gives_no_model_is_refused_in_one_line(
    own_module: str, function: str, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=f"^{message}$"):
        create_model(f"{own_module}:{function}")
