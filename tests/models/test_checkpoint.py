import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from gradscape.explain import heatmaps
from gradscape.models import (
    Classifier,
    create_model,
    import_checkpoint,
    load_backbone,
    load_checkpoint,
    save_checkpoint,
)

GRAY: dict[str, Any] = {"mean": (0.5, 0.25, 0.125), "std": (0.5, 1.0, 2.0)}


def _import(source: Path, output: Path, name: str = "resnet20", *, num_classes: int | None = 7) -> None:
    import_checkpoint(source, output, name=name, num_classes=num_classes, image_size=16, **GRAY)


def test_loaded_model_gives_the_saved_networks_output_for_unit_range_images(tmp_path: Path) -> None:
    network = create_model("upanet16@cpa_shortcut=false", num_classes=7, image_size=16).eval()
    path = tmp_path / "model.safetensors"
    labels = list("abcdefg")
    save_checkpoint(
        path, network, name="upanet16@cpa_shortcut=false", num_classes=7, image_size=16, labels=labels, seed=3, **GRAY
    )
    model = load_checkpoint(path)
    images = torch.rand(2, 3, 16, 16)
    mean, std = (torch.tensor(GRAY[key]).view(3, 1, 1) for key in ("mean", "std"))
    torch.testing.assert_close(model(images), network((images - mean) / std))
    assert isinstance(model, Classifier)
    assert not any(module.training for module in model.modules())
    assert (model.labels, model.image_size, model.meta["seed"]) == (labels, 16, 3)


def test_saving_a_loaded_model_again_changes_no_byte(tmp_path: Path) -> None:
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_checkpoint(first, create_model("resnet20"), name="resnet20", num_classes=10, image_size=32, seed=3, **GRAY)
    model = load_checkpoint(first)
    save_checkpoint(second, model, **model.meta)
    assert first.read_bytes() == second.read_bytes()


def test_loading_and_importing_leave_the_random_state_alone(tmp_path: Path) -> None:
    torch.save(create_model("resnet20", num_classes=7).state_dict(), tmp_path / "net.pth")
    before = torch.get_rng_state()
    _import(tmp_path / "net.pth", tmp_path / "model.safetensors")
    load_checkpoint(tmp_path / "model.safetensors")
    assert torch.equal(torch.get_rng_state(), before)


def test_import_takes_the_number_of_classes_from_the_classifier(tmp_path: Path) -> None:
    torch.save({"net": create_model("resnet20", num_classes=7).state_dict()}, tmp_path / "net.pth")
    _import(tmp_path / "net.pth", tmp_path / "model.safetensors", num_classes=None)
    assert load_checkpoint(tmp_path / "model.safetensors").meta["num_classes"] == 7


def test_import_asks_for_the_classes_where_the_weights_do_not_tell_them(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(16, 3, 3, 3)}, tmp_path / "net.pth")
    with pytest.raises(ValueError, match=r"`num_classes` must be given: the tensors in .*net.pth do not tell it"):
        _import(tmp_path / "net.pth", tmp_path / "model.safetensors", num_classes=None)


def test_import_counts_and_names_keys_that_do_not_fit_in_one_line_and_writes_nothing(tmp_path: Path) -> None:
    state = create_model("resnet20", num_classes=7).state_dict()
    del state["bn1.weight"], state["layer1.0.conv1.weight"]
    state["extra"] = torch.zeros(2)
    state["linear.bias"] = torch.zeros(3)
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(ValueError, match="does not fit") as caught:
        _import(tmp_path / "net.pth", tmp_path / "model.safetensors")
    assert str(caught.value) == (
        f"{tmp_path}/net.pth does not fit resnet20 with 7 classes: 2 missing: bn1.weight, layer1.0.conv1.weight; "
        "1 unexpected: extra; 1 wrong shape: linear.bias is (3,) instead of (7,)"
    )
    assert not (tmp_path / "model.safetensors").exists()


def test_import_names_the_version_of_the_network_that_the_weights_are_of(tmp_path: Path) -> None:
    torch.save(create_model("resnet32_projection", num_classes=7).state_dict(), tmp_path / "net.pth")
    with pytest.raises(ValueError, match=r"does not fit resnet32 with 7 classes: .*; every one fits resnet32_proj"):
        _import(tmp_path / "net.pth", tmp_path / "model.safetensors", "resnet32")


def test_a_long_list_of_faults_stays_within_twelve_lines_and_names_the_nearest_first(tmp_path: Path) -> None:
    state = create_model("resnet110", num_classes=7).state_dict()
    wrong = {f"{key.replace('layer', 'stage_')}": tensor for key, tensor in state.items()}
    wrong["bn1.weights"] = wrong.pop("bn1.weight")
    torch.save(wrong, tmp_path / "net.pth")
    with pytest.raises(ValueError, match="does not fit") as caught:
        _import(tmp_path / "net.pth", tmp_path / "model.safetensors", "resnet110")
    told = str(caught.value)
    assert len(told) < 12 * 80
    assert "541 missing: bn1.weight (the file has bn1.weights), " in told
    assert ", 537 more, " in told


def test_import_of_a_gray_network_takes_one_mean_and_refuses_three(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "gradscape_test_gray"
    (tmp_path / f"{module}.py").write_text(
        "from torch import nn\n\n\ndef build(num_classes):\n"
        "    return nn.Sequential(nn.Conv2d(1, 2, 9), nn.Flatten(), nn.Linear(2, num_classes))\n"
    )
    monkeypatch.chdir(tmp_path)
    torch.save(create_model(f"{module}:build", num_classes=6).state_dict(), "net.pt")
    about: dict[str, Any] = {"name": f"{module}:build", "num_classes": None, "image_size": 9}
    with pytest.raises(ValueError, match=r"^`mean` and `std` must have 1 numbers, one for each channel that"):
        import_checkpoint("net.pt", "net.safetensors", mean=(0.5,) * 3, std=(0.5,) * 3, **about)
    import_checkpoint("net.pt", "net.safetensors", mean=(0.5,), std=(0.25,), **about)
    with pytest.raises(
        ValueError, match=r"takes no images of 1 channels and 8 pixels, so that `image_size`, or `mean`"
    ):
        import_checkpoint("net.pt", "net.safetensors", mean=(0.5,), std=(0.25,), **{**about, "image_size": 8})
    model = load_checkpoint("net.safetensors")
    gray = torch.rand(5, 1, 9, 9)
    torch.testing.assert_close(model(gray.expand(-1, 3, -1, -1)), model.network((gray - 0.5) / 0.25))
    assert heatmaps(model, torch.rand(5, 3, 9, 9), method="gradcam", target_layer="network.0").raw.shape == (5, 1, 1)
    sys.modules.pop(module)


def test_import_takes_states_from_before_batch_counters(tmp_path: Path) -> None:
    state = create_model("resnet20", num_classes=7).state_dict()
    torch.save({key: state[key] for key in state if "num_batches" not in key}, tmp_path / "net.pth")
    _import(tmp_path / "net.pth", tmp_path / "model.safetensors")
    assert torch.equal(
        load_checkpoint(tmp_path / "model.safetensors").network.state_dict()["bn1.bias"], state["bn1.bias"]
    )


def test_real_mobilenet_is_imported_with_its_classes_inferred(test_data: Path, tmp_path: Path) -> None:
    source = test_data / "checkpoints" / "converted-mobilenet_v2-inatbird965-from-coral-quant.pt"
    labels = (test_data / "checkpoints" / "coral-inat_bird_labels.txt").read_text().splitlines()
    output = tmp_path / "model.safetensors"
    import_checkpoint(source, output, name="mobilenet_v2", num_classes=None, image_size=224, labels=labels, **GRAY)
    model = load_checkpoint(output)
    assert model.labels is not None
    assert len(model.labels) == model.meta["num_classes"] == 965


def test_loading_a_foreign_file_says_how_to_import_it(tmp_path: Path) -> None:
    torch.save(create_model("resnet20").state_dict(), tmp_path / "net.pth")
    with pytest.raises(
        ValueError, match=r"is not a checkpoint of gradscape; run `gradscape import .*net.pth --model NAME"
    ):
        load_checkpoint(tmp_path / "net.pth")


def test_checkpoint_whose_state_does_not_fit_its_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, create_model("resnet20"), name="resnet32", num_classes=10, image_size=32, **GRAY)
    with pytest.raises(
        ValueError, match=r"^.*model.safetensors does not fit resnet32: 60 missing: layer1.3.conv1.weight, .*$"
    ):
        load_checkpoint(path)


def test_checkpoint_of_an_own_function_loads_where_its_module_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "gradscape_test_own_checkpoint"
    (tmp_path / f"{module}.py").write_text(
        "from torch import nn\n\n\ndef build(num_classes, image_size):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(3 * image_size**2, num_classes))\n"
    )
    monkeypatch.chdir(tmp_path)
    name = f"{module}:build"
    network = create_model(name, num_classes=7, image_size=4)
    save_checkpoint("own.safetensors", network, name=name, num_classes=7, image_size=4, **GRAY)
    assert load_checkpoint("own.safetensors")(torch.rand(2, 3, 4, 4)).shape == (2, 7)
    sys.modules.pop(module)


@pytest.mark.parametrize("name", ["faster_rcnn:resnet18+se@reduction=8", "deeplabv3:resnet18"])
def test_detectors_and_segmenters_are_saved_and_loaded_by_their_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.safetensors"
    network = create_model(name, num_classes=7, image_size=64).eval()
    save_checkpoint(path, network, name=name, num_classes=7, image_size=64, **GRAY)
    model = load_checkpoint(path)
    images = torch.rand(1, 3, 64, 64)
    mean, std = (torch.tensor(GRAY[key]).view(3, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        found, expected = model(images), network((images - mean) / std)
    torch.testing.assert_close(found, expected)
    own, other = network.state_dict(), model.network.state_dict()
    assert own.keys() == other.keys()
    assert all(torch.equal(own[key], other[key]) for key in own)


@pytest.mark.parametrize("name", ["retinanet:resnet18", "faster_rcnn:resnet18", "deeplabv3:resnet18"])
def test_import_shows_a_detector_an_image_and_tells_its_classes(tmp_path: Path, name: str) -> None:
    source, output = tmp_path / "net.pth", tmp_path / "model.safetensors"
    torch.save(create_model(name, num_classes=7, image_size=64).state_dict(), source)
    import_checkpoint(source, output, name=name, num_classes=None, image_size=64, **GRAY)
    assert load_checkpoint(output).meta["num_classes"] == 7


@pytest.mark.parametrize(
    ("name", "backbone"),
    [("retinanet:resnet18+se", "detector.backbone.body"), ("deeplabv3:resnet18+se", "backbone")],
)
def test_a_backbone_takes_a_classifiers_weights_without_its_head(tmp_path: Path, name: str, backbone: str) -> None:
    path = tmp_path / "classifier.safetensors"
    classifier = create_model("resnet18+se", num_classes=7, image_size=96)
    torch.nn.init.uniform_(classifier.get_buffer("bn1.running_mean"))
    save_checkpoint(path, classifier, name="resnet18+se", num_classes=7, image_size=96, **GRAY)
    model = create_model(name, num_classes=3, image_size=64).train()
    rest = {key: tensor.clone() for key, tensor in model.state_dict().items() if "layer" not in key}
    load_backbone(model, path)
    state, given = model.get_submodule(backbone).state_dict(), classifier.state_dict()
    assert given.keys() - state.keys() == {"fc.weight", "fc.bias"}
    assert all(torch.equal(tensor, given[key]) for key, tensor in state.items())
    after = model.state_dict()
    heads = [key for key in rest if "fpn" in key or "head" in key]
    assert heads
    assert all(torch.equal(after[key], rest[key]) for key in heads)
    assert model.training


def test_a_backbone_refuses_another_networks_weights_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "classifier.safetensors"
    save_checkpoint(path, create_model("resnet18+se"), name="resnet18+se", num_classes=10, image_size=32, **GRAY)
    model = create_model("retinanet:resnet18", num_classes=3, image_size=64)
    message = f"{re.escape(str(path))}, a resnet18\\+se, does not fit the backbone: 32 unexpected: layer1.*"
    with pytest.raises(ValueError, match=message) as refused:
        load_backbone(model, path)
    assert "\n" not in str(refused.value)
    with pytest.raises(TypeError, match="`model` must be a detector or segmenter that create_model made, got ResNet"):
        load_backbone(create_model("resnet18"), path)
