from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gradscape.explain.fusion import fusion_maps
from gradscape.explain.fusion_map import FusionMaps
from gradscape.models import create_model, load_checkpoint, save_checkpoint
from tests.cli.conftest import Command


@pytest.fixture(scope="module")
def upanet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("upanet") / "upanet.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = create_model("upanet16", num_classes=10, image_size=16)
    save_checkpoint(path, net, name="upanet16", num_classes=10, image_size=16, mean=(0.3,) * 3, std=(0.4,) * 3)
    return path


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "cat.png"
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    return path


def test_pictures_give_features_before_part_and_sum(
    gradscape: Command, upanet: Path, picture: Path, tmp_path: Path
) -> None:
    done = gradscape("fusion", upanet, "--images", picture, "--device", "cpu", "-o", tmp_path)
    assert done.code == 0, done.err
    assert "block layer2.0.att: convolution, CPA, sum" in done.out
    maps = FusionMaps.load(tmp_path / "fusion.npz")
    np.testing.assert_allclose(maps.fused, maps.before + maps.part, rtol=1e-4, atol=1e-5)
    image = torch.from_numpy(np.asarray(Image.open(picture)).transpose(2, 0, 1) / np.float32(255))[None]
    expected = fusion_maps(load_checkpoint(upanet), image)
    np.testing.assert_allclose(maps.part, expected.part, rtol=1e-3, atol=1e-5)
    assert maps.meta["image_names"] == ["cat.png"]
    files = ["fusion.npz", "fusion_cat.pdf", "fusion_cat.png", "fusion_cat.txt", "pictures.npz"]
    assert sorted(path.name for path in tmp_path.iterdir()) == files


@pytest.mark.slow
def test_noise_goes_to_the_bare_network_and_depends_on_the_seed(
    gradscape: Command, upanet: Path, tmp_path: Path
) -> None:
    for folder, seed in (("first", 3), ("other", 4)):
        done = gradscape("fusion", upanet, "--noise", "--seed", seed, "-q", "--device", "cpu", "-o", tmp_path / folder)
        assert (done.code, done.out) == (0, ""), done.err
    first, other = (FusionMaps.load(tmp_path / name / "fusion.npz") for name in ("first", "other"))
    noise = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    expected = fusion_maps(load_checkpoint(upanet).network, noise)
    np.testing.assert_allclose(first.before, expected.before, rtol=1e-3, atol=1e-5)
    assert not np.allclose(first.before, other.before)
    assert (tmp_path / "first" / "fusion.png").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "`--images` and `--noise` say what the network is shown: give one of them"),
        (("--noise", "--images", "PICTURE"), "`--images` and `--noise` say what the network is shown"),
        (("--noise", "--block", "layer9.0"), "layer9.0"),
    ],
)
def test_a_mistake_is_one_line(
    gradscape: Command, upanet: Path, picture: Path, tmp_path: Path, arguments: tuple[str, ...], text: str
) -> None:
    filled = [picture if argument == "PICTURE" else argument for argument in arguments]
    done = gradscape("fusion", upanet, *filled, "-o", tmp_path / "out")
    assert done.code == 2
    assert text in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_network_without_attention_is_told(gradscape: Command, checkpoint: Path, tmp_path: Path) -> None:
    done = gradscape("fusion", checkpoint, "--noise", "-o", tmp_path / "out")
    assert done.code == 2
    assert "attention" in done.err
    assert done.err.count("\n") == 1
