import json
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradscape._arrays import load_arrays, load_result, save_arrays
from gradscape._checkpoint import read_checkpoint
from gradscape._digest import digest_model, digest_tensors
from gradscape._provenance import Provenance, current_versions
from gradscape.models import load_checkpoint, save_checkpoint

FIELDS = ("model", "title", "weights", "data", "split", "images", "image_digest", "image_names", "population", "seed")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
ENTRIES = st.dictionaries(st.sampled_from((*FIELDS, "versions", "plan", "span")) | st.text(), VALUES, max_size=6)


@given(ENTRIES)
def test_everything_that_json_can_hold_comes_back(entries: dict[str, Any]) -> None:
    provenance = Provenance.of(entries)
    assert dict(provenance) == entries
    again = Provenance.from_json(provenance.to_json())
    assert again == provenance == entries
    assert [getattr(again, name) for name in FIELDS] == [getattr(provenance, name) for name in FIELDS]


@given(model=st.text(), images=st.integers(), names=st.lists(st.text()), versions=st.dictionaries(st.text(), st.text()))
def test_filled_fields_are_entries(model: str, images: int, names: list[str], versions: dict[str, str]) -> None:
    provenance = Provenance(model=model, images=images, image_names=tuple(names), versions=versions)
    assert provenance == {"model": model, "images": images, "image_names": names, "versions": versions}
    assert Provenance.of(dict(provenance)).image_names == tuple(names)
    assert "seed" not in provenance
    assert provenance.get("seed") is None


def test_an_entry_of_another_type_than_its_field_is_kept_among_the_others() -> None:
    provenance = Provenance.of({"data": {"name": "digits"}, "seed": True, "images": 3})
    assert (provenance.data, provenance.seed, provenance.images) == (None, None, 3)
    assert provenance["data"] == {"name": "digits"}
    assert provenance.others == {"data": {"name": "digits"}, "seed": True}


def test_a_network_is_called_by_its_title_else_by_its_model() -> None:
    assert Provenance(model="resnet20", title="net").called == "net"
    assert Provenance(model="resnet20").called == "resnet20"
    assert Provenance().called == ""


def test_any_mapping_becomes_a_provenance_and_stays_one() -> None:
    meta = Provenance.of({"images": 3, "plan": {"threads": 1}})
    assert (meta.images, meta["plan"]["threads"]) == (3, 1)
    assert Provenance.of(meta) is meta
    with pytest.raises(FrozenInstanceError):
        meta.images = 4  # type: ignore[misc]


def test_entries_of_0_1_0_are_read_under_their_names_of_today() -> None:
    surface = {"model": "resnet20", "gradscape": "0.1.0", "images": 64, "directions": ["a", "b"],
        "functions": {"loss": "gradscape.landscape.task.cross_entropy", "metric": "mine.right#12345678"}}  # fmt: skip
    assert Provenance.from_json(json.dumps(surface)) == {
        "model": "resnet20",
        "images": 64,
        "directions": ["a", "b"],
        "versions": {"gradscape": "0.1.0"},
        "functions": {"loss": "gradscape.cross_entropy", "metric": "mine.right#12345678"},
    }
    fusion = {"torch": "2.1", "model": "net", "images": "0123456789abcdef", "image_names": ["a.png", "b.png"]}
    assert Provenance.from_json(json.dumps(fusion)) == {
        "title": "net",
        "images": 2,
        "image_digest": "0123456789abcdef",
        "image_names": ["a.png", "b.png"],
        "versions": {"torch": "2.1"},
    }
    line = {"model": "net", "directions": ["a"]}
    assert Provenance.from_json(json.dumps(line)) == {"model": "net", "directions": ["a"]}


@pytest.mark.parametrize(("data", "split"), [("npz:a.npz", "all"), ("digits", "test"), ("folder:pets", "test")])
def test_an_array_file_was_never_less_than_all_of_it_whatever_an_older_file_says(data: str, split: str) -> None:
    for entries in ({"data": data, "split": "test"}, {"data": data, "split": "test", "provenance_layout": 2}):
        assert Provenance.from_json(json.dumps(entries)) == {"data": data, "split": split}


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [("[1]", TypeError, "must be a JSON object, got list"), ('{"provenance_layout": 3}', ValueError, "layout 3")],
)
def test_what_is_no_provenance_of_ours_is_refused(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Provenance.from_json(text)


def test_arrays_are_stored_with_their_provenance(tmp_path: Path) -> None:
    save_arrays(tmp_path / "x.npz", {"points": np.arange(3)}, {"seed": 3, "kind": {"name": "k"}})
    arrays, meta = load_arrays(tmp_path / "x.npz")
    np.testing.assert_array_equal(arrays["points"], np.arange(3))
    assert (meta.seed, meta["kind"]) == (3, {"name": "k"})
    _, entry, rest = load_result(tmp_path / "x.npz", "kind", lambda *found: found, called="a kind", entry=Any)
    assert (entry, dict(rest)) == ({"name": "k"}, {"seed": 3})


def test_a_checkpoint_tells_the_digest_that_results_about_it_have(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1), torch.nn.BatchNorm2d(2))
    described: dict[str, Any] = {"num_classes": 2, "image_size": 4, "mean": (0.5,) * 3, "std": (0.25,) * 3}
    save_checkpoint(path, net, name="tests.test_provenance:make_net", weights="0123456789abcdef", **described)
    meta = read_checkpoint(path)[1]
    assert meta["versions"] == current_versions()
    assert meta["weights"] == digest_model(load_checkpoint(path)) != "stale"


def make_net(num_classes: int) -> torch.nn.Sequential:
    return torch.nn.Sequential(torch.nn.Conv2d(3, num_classes, 1), torch.nn.BatchNorm2d(num_classes))


def test_the_digest_of_a_model_is_of_parameters_then_buffers() -> None:
    net = make_net(2)
    assert digest_model(net) == digest_tensors([*net.named_parameters(), *net.named_buffers()])
    before = digest_model(net)
    for buffer in net.buffers():
        buffer += 1
    assert digest_model(net) != before


def test_versions_name_gradscape_torch_and_what_else_is_asked_for() -> None:
    assert list(current_versions("numpy")) == ["gradscape", "torch", "numpy"]
    assert current_versions("numpy")["torch"] == torch.__version__


def test_what_users_had_under_todays_names_stays_theirs() -> None:
    old = {
        "versions": 3,
        "title": "Figure 3",
        "model": "resnet20",
        "embedding": "tsne",
        "functions": ["f"],
        "images": "abc",
    }
    meta = Provenance.from_json(json.dumps(old))
    assert (meta["versions"], meta["functions"], meta["images"]) == (3, ["f"], "abc")
    assert (meta.model, meta.called, meta["user_title"]) == ("resnet20", "resnet20", "Figure 3")
    again = Provenance.from_json(Provenance.of({"provenance_layout": 7}).to_json())
    assert len(again) == 0


def test_a_users_own_entries_of_a_checkpoint_stay(tmp_path: Path) -> None:
    described: dict[str, Any] = {"num_classes": 2, "image_size": 4, "mean": (0.5,) * 3, "std": (0.25,) * 3}
    given: dict[str, Any] = {"weights": "IMAGENET1K_V2", "versions": "mine"}
    save_checkpoint(
        tmp_path / "net.safetensors", make_net(2), name="tests.test_provenance:make_net", **described, **given
    )
    assert given.items() <= read_checkpoint(tmp_path / "net.safetensors")[1].items()
