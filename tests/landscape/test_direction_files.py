from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from gradscape.landscape import load_directions, random_directions, save_directions
from tests.landscape.networks import small_net


@pytest.mark.parametrize("space", ["weights", "states"])
def test_directions_survive_the_file(tmp_path: Path, space: str) -> None:
    net = small_net()
    directions = random_directions(net, seed=1, space=space, ignore="none")  # type: ignore[arg-type]
    save_directions(tmp_path / "d.h5", directions, net)
    loaded = load_directions(tmp_path / "d.h5", net)
    assert len(loaded) == 2
    for one, other in zip(directions, loaded, strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_file_numbers_tensors_in_the_models_order(tmp_path: Path) -> None:
    net = small_net()
    directions = random_directions(net, seed=1)
    save_directions(tmp_path / "d.h5", directions[:1], net)
    with h5py.File(tmp_path / "d.h5") as file:
        assert list(file) == ["xdirection"]
        for index, (name, _) in enumerate(net.named_parameters()):
            values = file[f"xdirection/{index}"][()]
            assert values.dtype == np.float32
            np.testing.assert_array_equal(values, directions[0][name].numpy())


@pytest.mark.parametrize("space", ["weights", "states"])
def test_tied_weights_and_half_precision_survive_the_file(tmp_path: Path, space: str) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 3)).bfloat16()
    net[2].weight = net[0].weight
    direction, _ = random_directions(net, seed=1, space=space, ignore="none")  # type: ignore[arg-type]
    save_directions(tmp_path / "d.h5", [direction], net)
    (loaded,) = load_directions(tmp_path / "d.h5", net)
    assert loaded.keys() == direction.keys()
    assert all(torch.equal(loaded[name], direction[name]) for name in direction)


def test_the_original_tools_file_fits_its_network(test_data: Path) -> None:
    from gradscape.models import create_model

    net = create_model("resnet56_projection", num_classes=10, image_size=32)
    pair = load_directions(test_data / "goldstein" / "resnet56_directions.h5", net)
    assert [len(direction) for direction in pair] == [len(list(net.parameters()))] * 2
    assert not pair[0]["bn1.weight"].any()
    assert pair[0]["conv1.weight"].any()


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    net = small_net()
    with pytest.raises(FileNotFoundError, match="no direction file"):
        load_directions(tmp_path / "none.h5", net)
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(ValueError, match="not an HDF5 file"):
        load_directions(tmp_path / "text.h5", net)
    save_directions(tmp_path / "d.h5", random_directions(net, seed=1), net)
    with pytest.raises(ValueError, match=r"shape \(5, 4\) for tensor 6, but the model's 7.weight has \(9, 4\)"):
        load_directions(tmp_path / "d.h5", small_net(classes=9))
    with pytest.raises(ValueError, match="8 tensors in /xdirection, but the model has 2 parameters"):
        load_directions(tmp_path / "d.h5", torch.nn.Linear(2, 2))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["something"] = 1
    with pytest.raises(ValueError, match="no `xdirection`"):
        load_directions(tmp_path / "other.h5", net)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: file["xdirection/2"].__setitem__(..., np.nan), "`xdirection` is not what was written"),
        (
            lambda file: file.__delitem__("ydirection/1"),
            "7 tensors in /ydirection",
        ),
        (lambda file: file.move("ydirection", "zdirection"), "`ydirection` is missing"),
        (lambda file: file.move("ydirection/1", "ydirection/01"), "`ydirection/1` is missing"),
        (lambda file: _put(file, "xdirection/3", "text"), "`xdirection/3` must be numbers"),
        (lambda file: _put(file, "ydirection", 1.0), "`ydirection` must be a group"),
        (
            lambda file: _put(file, "xdirection/0", h5py.ExternalLink("b.h5", "x")),
            "`xdirection/0` is a link to another",
        ),
    ],
)
def test_damaged_direction_files_are_refused(tmp_path: Path, change: Callable[[h5py.File], object], said: str) -> None:
    net, path = small_net(), tmp_path / "d.h5"
    save_directions(path, random_directions(net, seed=1), net)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(ValueError, match=said) as caught:
        load_directions(path, net)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("dtype", [">f4", "<f8", "f2", "g"])
def test_directions_of_any_float_are_read(tmp_path: Path, dtype: str) -> None:
    net, path, values = torch.nn.Linear(2, 2), tmp_path / "d.h5", np.array([[1.0, -2.0], [0.5, 3.0]])
    with h5py.File(path, "w") as file:
        file["xdirection/0"], file["xdirection/1"] = values.astype(dtype), np.zeros(2, dtype)
    np.testing.assert_array_equal(load_directions(path, net)[0]["weight"].numpy(), values)


def test_complex_directions_of_a_real_network_are_refused(tmp_path: Path) -> None:
    net, path = torch.nn.Linear(2, 2), tmp_path / "d.h5"
    with h5py.File(path, "w") as file:
        file["xdirection/0"], file["xdirection/1"] = np.ones((2, 2), "F"), np.zeros(2, "f4")
    with pytest.raises(ValueError, match=r"`xdirection/0` must be real numbers, as the model's weight is"):
        load_directions(path, net)


def test_a_direction_that_is_not_finite_leads_nowhere(tmp_path: Path) -> None:
    net, path = torch.nn.Linear(2, 2), tmp_path / "d.h5"
    with h5py.File(path, "w") as file:
        file["xdirection/0"], file["xdirection/1"] = np.full((2, 2), np.inf, "f4"), np.zeros(2, "f4")
    with pytest.raises(ValueError, match=r"d.h5 cannot be read: `xdirection/0` must be finite numbers"):
        load_directions(path, net)


def _put(file: h5py.File, item: str, value: object) -> None:
    del file[item]
    file[item] = value
