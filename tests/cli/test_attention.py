from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gradscape.explain.attention_map import load_attention_maps
from gradscape.models import create_model, save_checkpoint
from tests.cli.conftest import Command


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("album")
    generator = np.random.default_rng(2)
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / name)
    return folder


def saved(name: str, path: Path) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = create_model(name, num_classes=10, image_size=16)
    save_checkpoint(path, net, name=name, num_classes=10, image_size=16, mean=(0.3,) * 3, std=(0.4,) * 3)
    return path


@pytest.mark.slow
def test_maps_weights_and_ranking_are_drawn_as_far_as_a_network_has_them(
    gradscape: Command, album: Path, tmp_path: Path
) -> None:
    checkpoint = saved("cifar_resnet18+bam+ba2m", tmp_path / "net.safetensors")
    out = tmp_path / "out"
    done = gradscape("attention", checkpoint, "--images", album / "c.png", album / "a.png", "--block", "layer2.1.ba2m",
        "--device", "cpu", "-o", out)  # fmt: skip
    assert done.code == 0, done.err
    drawn = sorted(path.stem for path in out.glob("*.pdf"))
    assert drawn == ["attention_affinity", "attention_mask", "batch_weights", "channels"]
    maps, meta = load_attention_maps(out / "attention.npz")
    assert meta["image_names"] == ["c.png", "a.png"]
    weights = [one.values for one in maps.values() if one.kind == "batch weights"]
    assert all(values.shape == (2,) for values in weights)
    assert all(name in done.out for name in maps)


@pytest.mark.slow
def test_a_network_has_one_file_for_each_kind_of_attention(gradscape: Command, album: Path, tmp_path: Path) -> None:
    checkpoint = saved("cifar_resnet18+bam+ba2m", tmp_path / "net.safetensors")
    done = gradscape("attention", checkpoint, "--images", album, "-q", "-o", tmp_path / "out")
    assert done.code == 0, done.err
    drawn = sorted(path.name for path in (tmp_path / "out").glob("*.png"))
    assert drawn == ["attention_mask.png", "batch_weights.png", "channels.png"]


@pytest.mark.slow
def test_scale_weights_are_bars(gradscape: Command, album: Path, tmp_path: Path) -> None:
    checkpoint = saved("cifar_resnet18+spa_a", tmp_path / "net.safetensors")
    out = tmp_path / "out"
    done = gradscape("attention", checkpoint, "--images", album / "a.png", "--block", "layer1.0.spa", "-q", "-o", out)
    assert (done.code, done.out) == (0, ""), done.err
    assert sorted(path.name for path in out.glob("*.png")) == [
        "attention_mask.png",
        "attention_part.png",
        "scale_weights.png",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("PLAIN",), "`CKPT` must have attention blocks"),
        (("SE", "--block", "layer1.0.sse"), "did you mean layer1.0.se"),
        (("SE", "PLAIN"), "`CKPT` must be one checkpoint, got 2: take them one by one"),
    ],
)
def test_a_mistake_is_one_line(
    gradscape: Command, checkpoint: Path, album: Path, tmp_path: Path, arguments: tuple[str, ...], text: str
) -> None:
    places = {"PLAIN": checkpoint, "SE": saved("cifar_resnet18+se", tmp_path / "se.safetensors")}
    done = gradscape(
        "attention",
        *(places.get(argument, argument) for argument in arguments),
        "--images",
        album,
        "-o",
        tmp_path / "o",
    )
    assert done.code == 2
    assert text in done.err
    assert done.err.count("\n") == 1
    assert not list(tmp_path.rglob("*.pdf"))
