"""Images, and lists of classes' names."""

from pathlib import Path
from random import Random

import torch
from PIL import Image

from gradscape.data.pictures import load_pictures
from gradscape.models import load_checkpoint
from tests.fuzz.attempt import Input
from tests.fuzz.bytes_damage import damage_bytes
from tests.fuzz.originals import KEPT, Original
from tests.fuzz.pictures import FORMATS, hostile_picture, picture
from tests.fuzz.plain_readers import Numbers
from tests.fuzz.text_damage import damage_list

__all__ = ["damaged_labels", "image_files"]

_SIDE = 16


def image_files(folder: Path) -> list[Original]:
    """One picture of every format."""
    originals = []
    for ending in FORMATS:
        path = folder / f"picture.{ending}"
        path.write_bytes(picture(ending))
        originals.append(Original(path, _read, _plain, _swap, sealed=ending == "png"))
    return originals


def damaged_labels(folder: Path, random: Random, place: Path) -> Input:
    """A list of names that an import is to take.

    Args:
        folder: Of what is made once.
        random: Chooses.
        place: An empty folder.
    """
    weights = folder / "labeled.pt"
    if not weights.exists():
        torch.save(load_checkpoint(KEPT / "model.safetensors").network.state_dict(), weights)
    names = [f"digit {number}" for number in range(10)]
    data = "\n".join(names).encode()
    if random.random() < 0.5:
        data, how = damage_bytes(data, random)
    else:
        text, how = damage_list("\n".join(names), random)
        data = text.encode("utf-8", "surrogatepass")
    path, made = place / "labels.txt", place / "out.safetensors"
    path.write_bytes(data)
    command = (
        "import", str(weights), "--model", "kept_network:small_net", "--num-classes", "10", "--image-size", "16",
        "--mean", "0.3,0.3,0.3",
        "--std", "0.4,0.4,0.4", "--labels", str(path), "-o", str(made), "-q",
    )  # fmt: skip
    return Input(
        how=f"labels.txt: {how}",
        read=lambda: {"labels": load_checkpoint(made).labels},
        expected={"labels": names},
        plain=lambda: {"labels": path.read_text(encoding="utf-8").splitlines()},
        command=command,
        named=("labels",),
    )


def _read(path: Path) -> Numbers:
    return {"images": load_pictures([path], _SIDE).images.numpy()}


def _plain(path: Path) -> Numbers:
    """What Pillow sees, upright and on white, through a file that cannot be misread."""
    with Image.open(path) as image:
        image.load()
        rgba = image.convert("RGBA")
    file = path.with_name("plain.png")
    Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB").save(file)
    return _read(file)


def _swap(path: Path, random: Random, canary: Path) -> str:
    data, how = hostile_picture(path.suffix[1:], random)
    path.write_bytes(data)
    return how
