"""Make every kind of picture from real networks and photographs, and put two versions of gradscape side by side.

    GRADSCAPE_TEST_DATA=… python docs/gallery.py FOLDER [--old PROGRAM]

PROGRAM is the `gradscape` of another version in an environment of its own. What each command writes goes to FOLDER/old
and FOLDER/new, and is not made again if it is there. FOLDER/NAME.jpg then holds the pictures of one command, those of
the other version on the left; pages are pictures as Chromium shows them.
"""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

_IMPORTS = {
    "resnet56": "tomgoldstein-resnet56-model_300.t7 --model resnet56_projection --num-classes 10 --image-size 32 "
    "--mean 125.3/255,123.0/255,113.9/255 --std 63.0/255,62.1/255,66.7/255",
    "resnet20_a": "akamaster-resnet20-12fca82f.th --model resnet20 --num-classes 10 --image-size 32 "
    "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225",
    "resnet20_b": "zheng-resnet20-model.th --model resnet20 --num-classes 10 --image-size 32 "
    "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225",
    "birds": "converted-mobilenet_v2-inatbird965-from-coral-quant.pt --model mobilenet_v2 --num-classes 965 "
    "--image-size 224 --mean 0.5,0.5,0.5 --std 0.5,0.5,0.5 --labels DATA/checkpoints/coral-inat_bird_labels.txt",
}
"""Network -> its file and the options of `gradscape import`."""

_TRAIN, _TEST = (f"npz:DATA/cifar10/cifar10_{name}_lossless.npz" for name in ("train4000", "test1000"))

COMMANDS: dict[str, str] = {
    "demo": "demo",
    "landscape": f"landscape NETS/resnet56.safetensors --data {_TRAIN} --limit 64 --span 0.5 --steps 15",
    "landscapes": f"landscape NETS/resnet56.safetensors NETS/resnet20_a.safetensors --data {_TRAIN} --limit 64 "
    "--span 1 --steps 11",
    "line": f"line NETS/resnet56.safetensors --data {_TRAIN} --limit 128 --span 0.5",
    "between": f"line NETS/resnet20_a.safetensors NETS/resnet20_b.safetensors --data {_TRAIN} --limit 128",
    **{
        f"plot_{kind}": f"plot OUT/landscape/surface.h5 --kind {kind}"
        for kind in ("contour", "filled", "heat", "surface")
    },
    "plot_log": "plot OUT/landscape/surface.h5 --kind surface --scale log",
    "repeats": f"landscape NETS/resnet20_a.safetensors NETS/resnet20_b.safetensors --data {_TRAIN} --limit 256 "
    "--steps 7 --span 0.5 --repeats 2",
    "compare": "compare OUT/repeats",
    "cam_birds": "cam NETS/birds.safetensors --images BIRDS --method gradcam --method gradcam++ --method layercam",
    "cam_cifar": "cam NETS/resnet20_a.safetensors NETS/resnet20_b.safetensors --images BIRDS --method gradcam",
    "tsne": f"tsne NETS/resnet20_a.safetensors NETS/resnet20_b.safetensors --data {_TEST} --limit 500",
}
"""Name -> a command; DATA, NETS, OUT and BIRDS stand for what is there, `-o` is added."""

_WIDTH = 900  # pixels of one version's column
_GAP, _HEADING = 24, 30
_PAGE = "1280,2600"


def main() -> None:
    """Run what is missing, and lay out."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("folder", type=Path)
    reader.add_argument("--old", type=Path, help="another version's program")
    given = reader.parse_args()
    versions = {"new": Path(sys.executable).with_name("gradscape")}
    if given.old is not None:
        versions = {"old": given.old, **versions}
    for version, program in versions.items():
        make(program, given.folder / version)
    for name in COMMANDS:
        columns = {version: pictures(given.folder / version / name) for version in versions}
        beside(columns, name).save(given.folder / f"{name}.jpg", quality=88)


def make(program: Path, folder: Path) -> None:
    """Import the networks, and run each command whose folder is not there."""
    data = Path(os.environ["GRADSCAPE_TEST_DATA"]).resolve()
    nets = folder / "nets"
    birds = sorted((data / "birds").glob("*_1.jpg"))
    places = {"DATA": str(data), "NETS": str(nets), "OUT": str(folder), "BIRDS": shlex.join(map(str, birds))}
    for name, options in _IMPORTS.items():
        output = nets / f"{name}.safetensors"
        if not output.is_file():
            _run([program, "import", *_filled(f"DATA/checkpoints/{options}", places), "-o", output])
    for name, command in COMMANDS.items():
        if not (folder / name).exists():
            # A folder for each command, also where it asks for the name of a picture.
            output = folder / name / name if command.startswith("plot ") else folder / name
            _run([program, *_filled(command, places), "-o", output])


def pictures(folder: Path) -> list[Path]:
    """All PNGs of a command, and its pages as pictures; taken anew where the page is newer."""
    for page in sorted(folder.glob("**/*.html")):
        shot = page.with_suffix(".page.png")
        if not shot.is_file() or shot.stat().st_mtime < page.stat().st_mtime:
            flags = ["--headless", "--no-sandbox", "--hide-scrollbars", "--virtual-time-budget=8000"]
            _run(["chromium", *flags, f"--window-size={_PAGE}", f"--screenshot={shot}", page.resolve().as_uri()])
    return sorted(folder.glob("**/*.png"))


def beside(columns: dict[str, Sequence[Path]], name: str) -> Image.Image:
    """One sheet, a column for each version, each picture below its file's name."""
    scaled = {version: [_scaled(path) for path in paths] for version, paths in columns.items()}
    heights = [sum(one.height + _HEADING + _GAP for one in several) for several in scaled.values()]
    sheet = Image.new("RGB", ((_WIDTH + _GAP) * len(columns) + _GAP, max(heights) + 2 * _HEADING), "#e6e6e6")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf", 18)
    for number, (version, several) in enumerate(scaled.items()):
        left, top = _GAP + number * (_WIDTH + _GAP), _HEADING
        draw.text((left, 6), f"{version}: {name}, {len(several)} pictures", fill="#333333", font=font)
        for path, image in zip(columns[version], several, strict=True):
            draw.text((left, top + 6), path.name, fill="#333333", font=font)
            sheet.paste(image, (left, top + _HEADING))
            top += image.height + _HEADING + _GAP
    return sheet


def _scaled(path: Path) -> Image.Image:
    image = Image.open(path).convert("RGB")
    image.thumbnail((_WIDTH, 10_000), Image.Resampling.LANCZOS)
    return image


def _filled(command: str, places: dict[str, str]) -> list[str]:
    for name, value in places.items():
        command = command.replace(name, value)
    return shlex.split(command)


def _run(command: Sequence[str | Path]) -> None:
    sys.stderr.write(f"{shlex.join(map(str, command))}\n")
    subprocess.run(command, check=True)  # noqa: S603 — commands of this file


if __name__ == "__main__":
    main()
