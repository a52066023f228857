import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from gradscape._checkpoint import Classifier, amend_checkpoint, read_checkpoint, save_checkpoint
from gradscape._digest import digest_model
from gradscape._foreign_file import read_foreign_states
from gradscape._provenance import current_versions
from gradscape.models import create_model, load_checkpoint

META: dict[str, Any] = {
    "name": "resnet20",
    "num_classes": 4,
    "image_size": 8,
    "mean": (0.5, 0.25, 0.125),
    "std": (0.5, 1.0, 2.0),
}


def _network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5))


def test_checkpoint_gives_back_the_state_and_the_description(tmp_path: Path) -> None:
    network = _network()
    path = tmp_path / "deep" / "model.safetensors"
    save_checkpoint(path, network, **META, labels=["a", "b", "c", "d"], scores={"error": 0.25}, recipe="upanets")
    state, meta = read_checkpoint(path)
    assert state.keys() == network.state_dict().keys()
    assert all(torch.equal(state[key], tensor) for key, tensor in network.state_dict().items())
    assert meta == {
        **META,
        "mean": [0.5, 0.25, 0.125],
        "std": [0.5, 1.0, 2.0],
        "labels": ["a", "b", "c", "d"],
        "scores": {"error": 0.25},
        "recipe": "upanets",
        "weights": digest_model(Classifier(network, meta)),
        "versions": current_versions(),
    }


def test_checkpoint_is_one_safetensors_file_with_json_metadata(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "model.safetensors", _network(), **META)
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]
    assert load_file(tmp_path / "model.safetensors")["0.weight"].shape == (5, 3, 3, 3)
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["gradscape"])["num_classes"] == 4


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    network = _network()
    for name in ("a", "b"):
        save_checkpoint(tmp_path / f"{name}.safetensors", network, **META, seed=3)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_classifier_normalizes_and_only_its_network_is_saved(tmp_path: Path) -> None:
    network = _network().eval()
    classifier = Classifier(network, {**META, "labels": None})
    images = torch.rand(2, 3, 8, 6)
    expected = network(
        (images - torch.tensor([0.5, 0.25, 0.125]).view(3, 1, 1)) / torch.tensor([0.5, 1, 2]).view(3, 1, 1)
    )
    torch.testing.assert_close(classifier(images), expected)
    assert set(classifier.state_dict()) == {f"network.{key}" for key in network.state_dict()}
    save_checkpoint(tmp_path / "model.safetensors", classifier, **META)
    assert read_checkpoint(tmp_path / "model.safetensors")[0].keys() == network.state_dict().keys()


def test_classifier_of_one_channel_sees_color_as_gray_and_gray_to_the_bit() -> None:
    gray = Classifier(nn.Conv2d(1, 2, 3), {**META, "mean": (0.25,), "std": (0.5,), "labels": None})
    images = torch.rand(4, 1, 8, 6)
    assert torch.equal(gray(images.expand(4, 3, 8, 6)), gray(images))
    color = torch.zeros(1, 3, 5, 4)
    color[:, 1] = 1.0  # the luma of green in ITU-R BT.601
    torch.testing.assert_close(gray(color), gray(torch.full((1, 1, 5, 4), 0.587)))


def test_classifier_refuses_channels_that_it_cannot_make() -> None:
    four = Classifier(nn.Conv2d(4, 2, 3), {**META, "mean": (0.5,) * 4, "std": (0.5,) * 4, "labels": None})
    for channels in (1, 3):
        with pytest.raises(ValueError, match=f"`images` must have the 4 channels of `mean`, got {channels}"):
            four(torch.rand(2, channels, 8, 6))


def test_classifier_refuses_integer_images() -> None:
    classifier = Classifier(_network(), {**META, "labels": None})
    with pytest.raises(TypeError, match=r"`images` must be floating point in \[0, 1\], got torch.uint8; divide by 255"):
        classifier(torch.zeros(2, 3, 8, 6, dtype=torch.uint8))


def test_tied_and_channels_last_tensors_survive(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)).to(memory_format=torch.channels_last)
    network[1].weight = network[0].weight
    save_checkpoint(tmp_path / "model.safetensors", network, **META)
    state, _ = read_checkpoint(tmp_path / "model.safetensors")
    network.load_state_dict(state, strict=True)
    assert torch.equal(state["1.weight"], network.get_parameter("0.weight"))
    assert network[1].weight is network[0].weight


def test_failed_save_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, _network(), **META)
    before = path.read_bytes()
    with pytest.raises(TypeError, match=r"`meta` must be what JSON can hold: .*Tensor.*"):
        save_checkpoint(path, _network(), **META, scores=torch.zeros(3))
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_classes": 0}, "`num_classes` must be a positive integer, got 0"),
        ({"image_size": -8}, "`image_size` must be a positive integer, got -8"),
        ({"mean": (0.5, 0.5)}, "`mean` and `std` must be of as many channels, got .*"),
        ({"mean": (), "std": ()}, "`mean` must be finite numbers, one for each channel, got .*"),
        ({"std": (1.0, float("nan"), 1.0)}, "`std` must be finite numbers, one for each channel, got .*"),
        ({"std": (1.0, 0.0, 1.0)}, "`std` must be positive, got .*"),
        ({"labels": ["a"]}, "`labels` must name each of the 4 classes, got 1 names"),
    ],
)
def test_wrong_description_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        save_checkpoint(tmp_path / "model.safetensors", _network(), **{**META, **change})
    assert not list(tmp_path.iterdir())


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`path` must end in .safetensors, got model.pth"):
        save_checkpoint(tmp_path / "model.pth", _network(), **META)


def test_foreign_files_are_no_checkpoints_and_say_how_to_import(tmp_path: Path) -> None:
    torch.save(_network().state_dict(), tmp_path / "model.pth")
    save_file(_network().state_dict(), tmp_path / "model.safetensors")
    for name in ("model.pth", "model.safetensors"):
        with pytest.raises(
            ValueError, match=rf"{name} is not a checkpoint of gradscape; run `gradscape import .*{name}"
        ):
            read_checkpoint(tmp_path / name)


@pytest.mark.parametrize("name", ["absent.safetensors", "absent.pth"])
def test_missing_files_are_said_to_be_missing(tmp_path: Path, name: str) -> None:
    for read in (read_checkpoint, read_foreign_states):
        with pytest.raises(FileNotFoundError, match=f"there is no file .*{name}"):
            read(tmp_path / name)


@pytest.mark.parametrize("name", ["folder.safetensors", "folder.pth"])
def test_a_folder_is_not_said_to_be_missing_or_damaged(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    for read in (read_checkpoint, read_foreign_states):
        with pytest.raises(IsADirectoryError, match=name):
            read(tmp_path / name)


@pytest.mark.parametrize("text", ["[]", "{", '{"name": "resnet20"}', '{"name": 3}'])
def test_damaged_metadata_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    save_file(_network().state_dict(), tmp_path / "model.safetensors", metadata={"gradscape": text})
    with pytest.raises(ValueError, match=r"^.*model.safetensors is a damaged checkpoint: .*$"):
        read_checkpoint(tmp_path / "model.safetensors")


def _header(path: Path) -> int:
    """How long the part of the file is that describes it."""
    return 8 + int.from_bytes(path.read_bytes()[:8], "little")


def test_amending_changes_the_description_and_no_byte_of_the_tensors(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, _network(), **META, recipe="upanets", scores={"error": 0.25})
    before, meta = path.read_bytes()[_header(path) :], read_checkpoint(path)[1]
    amend_checkpoint(path, scores={"error": 0.5}, new=[1, 2])
    assert path.read_bytes()[_header(path) :] == before
    assert read_checkpoint(path)[1] == {**meta, "scores": {"error": 0.5}, "new": [1, 2]}
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def test_what_weights_rest_on_is_not_amended_and_a_refusal_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, _network(), **META)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="must not change mean, weights"):
        amend_checkpoint(path, mean=[0.0] * 3, weights="0")
    with pytest.raises(TypeError, match="must be what JSON can hold"):
        amend_checkpoint(path, scores=object())
    with pytest.raises(FileNotFoundError, match="there is no file"):
        amend_checkpoint(tmp_path / "none.safetensors", scores={})
    assert path.read_bytes() == before


def _rewritten(path: Path, **changes: Any) -> None:
    """The same file with other entries, as a version without a checksum wrote it."""
    state = load_file(path)
    with safe_open(path, framework="pt") as file:
        text = file.metadata()["gradscape"]
    meta = {**json.loads(text), **changes}
    meta.pop("checksum_of_file", None)
    save_file(state, path, metadata={"gradscape": json.dumps(meta)})


WRONG: dict[str, list[Any]] = {
    "num_classes": [True, 2.0, "4", 10**400, 10**9, [4]],
    "image_size": [True, 0, 10**9, {}],
    "mean": ["abc", 3, [True, 0.5, 0.5], [float("nan")] * 3, {"0": 1}, [[0.5]], ["0.5"]],
    "std": [[float("inf")] * 3, [0.5, 0.5, 10**400]],
    "labels": [{"a": 1}, "abcd", [[]] * 4, 4, ["x" * 100_000] * 3],
    "name": [3, ["resnet20"], {"a": "x" * 10_000}],
}


@pytest.mark.parametrize(
    ("entry", "value"),
    [(entry, value) for entry, values in WRONG.items() for value in values],
    ids=lambda value: str(value)[:20],
)
def test_entries_of_another_type_are_refused_in_a_short_line(tmp_path: Path, entry: str, value: object) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, _network(), **META)
    _rewritten(path, **{entry: value})
    with pytest.raises(ValueError, match=rf"model\.safetensors is a damaged checkpoint: .*{entry}") as raised:
        read_checkpoint(path)
    assert len(str(raised.value)) < 600


@pytest.mark.parametrize("text", ["3", "[]", "null", "[" * 5000, '"name"', "{", "1" * 5000])
def test_a_description_that_is_no_record_is_refused(tmp_path: Path, text: str) -> None:
    save_file(_network().state_dict(), tmp_path / "model.safetensors", metadata={"gradscape": text})
    with pytest.raises(ValueError, match=r"model\.safetensors is a damaged checkpoint: \S"):
        read_checkpoint(tmp_path / "model.safetensors")


def test_one_wrong_bit_anywhere_is_told_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, nn.Linear(2, 3, bias=False), **META)
    content, (state, meta) = path.read_bytes(), read_checkpoint(path)
    for place in range(0, len(content), 2):
        path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        try:
            found, said = read_checkpoint(path)
        except ValueError:
            continue
        assert torch.equal(found["weight"], state["weight"]), place
        assert said == meta, place


def test_an_older_file_is_held_against_the_digest_of_its_weights(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    network = create_model("resnet20", num_classes=4, image_size=8)
    save_checkpoint(path, network, **META)
    _rewritten(path)
    load_checkpoint(path)
    for changes in ({"mean": [0.5, 0.25, 0.126]}, {"weights": "0" * 16}):
        _rewritten(path, **changes)
        with pytest.raises(ValueError, match=r"model\.safetensors is a damaged checkpoint: its numbers are not those"):
            load_checkpoint(path)


def test_who_changes_a_description_on_purpose_is_told_how(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, _network(), **META)
    with safe_open(path, framework="pt") as file:
        text = file.metadata()["gradscape"]
    changed = {**json.loads(text), "seed": 1}
    save_file(load_file(path), path, metadata={"gradscape": json.dumps(changed)})
    with pytest.raises(ValueError, match=r"on purpose removes `checksum_of_file` and `weights` from its description$"):
        read_checkpoint(path)
    plain = {name: value for name, value in changed.items() if name not in ("checksum_of_file", "weights")}
    save_file(load_file(path), path, metadata={"gradscape": json.dumps(plain)})
    assert read_checkpoint(path)[1]["seed"] == 1


def test_a_checksum_is_no_entry_and_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, _network(), **META, seed=1)
    amend_checkpoint(path, seed=2)
    _, meta = read_checkpoint(path)
    assert meta["seed"] == 2
    assert not any("checksum" in name for name in meta)
    save_checkpoint(path, _network(), **{**meta, "checksum_of_file": "00000000"})
    assert read_checkpoint(path)[1].keys() == meta.keys()


def test_a_checkpoint_that_names_no_network_says_which_file_it_is(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "model.safetensors", _network(), **{**META, "name": "resnet21"})
    with pytest.raises(ValueError, match=r"model\.safetensors holds a network that cannot be built: unknown `model`"):
        load_checkpoint(tmp_path / "model.safetensors")
