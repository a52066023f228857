"""Weights as other programs wrap them come under the network's own names, or are asked for by an argument."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from gradscape.models import create_model, import_checkpoint, load_checkpoint
from gradscape.models.foreign_state import foreign_state, tell_classes, whole_prefixes


def small_net(classes: int = 4) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(5, classes))


def prefixed(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + key: tensor for key, tensor in state.items()}


def changed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor + 1 for key, tensor in state.items()}


def assert_found(path: Path, expected: Mapping[str, Tensor], **how: Any) -> None:
    found = foreign_state(path, small_net(), **how)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize("wrap", ["state_dict", "model", "net", "network", "model_state_dict", None])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module.", "net.backbone._orig_mod.", "learner.model."])
def test_wrapped_states_are_found_and_renamed(tmp_path: Path, wrap: str | None, prefix: str) -> None:
    state = small_net().state_dict()
    named = prefixed(state, prefix)
    beside = {"epoch": 3, "best": torch.tensor(0.5), "optimizer": {"state": {}}, "loss": {"0.weight": torch.ones(4)}}
    torch.save({wrap: named, **beside} if wrap else named, tmp_path / "x.ckpt")
    assert_found(tmp_path / "x.ckpt", state)


def test_parts_compiled_by_themselves_get_their_names_back(tmp_path: Path) -> None:
    state = small_net().state_dict()
    torch.save({key.replace("0.", "0._orig_mod.", 1): tensor for key, tensor in state.items()}, tmp_path / "x.pt")
    assert_found(tmp_path / "x.pt", state)


def test_a_network_whose_own_names_begin_alike_keeps_them(tmp_path: Path) -> None:
    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = small_net()

    torch.save(Wrapper().state_dict(), tmp_path / "x.pt")
    assert foreign_state(tmp_path / "x.pt", Wrapper()).keys() == Wrapper().state_dict().keys()


def test_an_averaged_model_alone_is_taken(tmp_path: Path) -> None:
    net = small_net()
    torch.save(AveragedModel(net).state_dict(), tmp_path / "x.pt")
    assert_found(tmp_path / "x.pt", net.state_dict())


LAYOUTS: dict[str, Callable[[Any, Any], Any]] = {
    "two dicts": lambda raw, ema: {"net": raw, "ema": ema},
    "counted": lambda raw, ema: {"a": raw, "b": {"n_averaged": torch.tensor(2), **prefixed(ema, "module.")}},
    "one dict": lambda raw, ema: {"state_dict": {**prefixed(raw, "model."), **prefixed(ema, "model_ema.module.")}},
    "bare and averaged": lambda raw, ema: {**raw, **prefixed(ema, "ema.")},
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=list(LAYOUTS))
def test_of_averaged_and_trained_weights_none_is_taken_unasked(tmp_path: Path, layout: Callable) -> None:
    raw = small_net().state_dict()
    ema = changed(raw)
    torch.save(layout(raw, ema), tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"the network 2 times: .*; choose by `weights` \(`--weights ema\|model`\)"):
        foreign_state(tmp_path / "x.pt", small_net())
    assert_found(tmp_path / "x.pt", raw, weights="model")
    assert_found(tmp_path / "x.pt", ema, weights="ema")


def test_other_networks_in_a_file_are_chosen_by_their_place(tmp_path: Path) -> None:
    state = small_net().state_dict()
    torch.save({"student": state, "teacher": changed(state)}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"2 times: student, teacher; choose by .*--weights student\|teacher"):
        foreign_state(tmp_path / "x.pt", small_net())
    assert_found(tmp_path / "x.pt", changed(state), weights="teacher")
    with pytest.raises(ValueError, match=r"unknown `weights` 'ema'; .*x.pt has student, teacher"):
        foreign_state(tmp_path / "x.pt", small_net(), weights="ema")


def test_averaged_weights_that_are_not_there_are_not_replaced_by_others(tmp_path: Path) -> None:
    torch.save({"state_dict": small_net().state_dict()}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"unknown `weights` 'ema'; .*x.pt has state_dict"):
        foreign_state(tmp_path / "x.pt", small_net(), weights="ema")


def test_a_prefix_takes_its_part_and_tells_what_it_leaves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = small_net().state_dict()
    save_file({**prefixed(state, "encoder."), "criterion.weight": torch.ones(4)}, tmp_path / "x.safetensors")
    found = foreign_state(tmp_path / "x.safetensors", small_net())
    assert "criterion.weight" in found, "never left out unasked"
    assert whole_prefixes(found, state) == ["encoder."]
    with caplog.at_level(logging.WARNING):
        assert_found(tmp_path / "x.safetensors", state, prefix="encoder.")
    assert "left aside, as `prefix` asks: criterion.weight" in caplog.text
    with pytest.raises(ValueError, match=r"`prefix` 'decoder.' begins no name in .*: they begin with criterion, en"):
        foreign_state(tmp_path / "x.safetensors", small_net(), prefix="decoder.")


def test_import_advises_the_prefix_behind_which_everything_fits(tmp_path: Path) -> None:
    state = create_model("resnet20", num_classes=3).state_dict()
    torch.save({**prefixed(state, "online."), "queue": torch.ones(4)}, tmp_path / "x.pt")
    about: dict[str, Any] = {
        "name": "resnet20",
        "num_classes": 3,
        "image_size": 8,
        "mean": (0.5,) * 3,
        "std": (1.0,) * 3,
    }
    with pytest.raises(ValueError, match=r"all names are there behind `prefix` 'online.'$"):
        import_checkpoint(tmp_path / "x.pt", tmp_path / "x.safetensors", **about)
    import_checkpoint(tmp_path / "x.pt", tmp_path / "x.safetensors", prefix="online.", **about)
    loaded = load_checkpoint(tmp_path / "x.safetensors").network.state_dict()
    assert torch.equal(loaded["conv1.weight"], state["conv1.weight"])


@pytest.mark.parametrize("name", ["squeezenet1_1", "googlenet", "timm:resnet10t", "resnet20"])
def test_classes_are_told_from_sizes_whatever_the_order(name: str) -> None:
    build = partial(lambda name, classes: create_model(name, num_classes=classes), name)
    state = build(7).state_dict()
    assert tell_classes(dict(sorted(state.items())), build) == 7


def test_classes_that_contradict_each_other_are_not_told() -> None:
    state = small_net(classes=6).state_dict()
    assert tell_classes(state, small_net) == 6
    state["3.bias"] = torch.zeros(5)
    assert tell_classes(state, small_net) is None
    assert tell_classes({"3.bias": torch.zeros(0)}, small_net) is None
