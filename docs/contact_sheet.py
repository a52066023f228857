"""Make every figure of the papers from small networks trained on digits, and put them all on one sheet.

    python docs/contact_sheet.py FOLDER [--arrange-only]

Networks go to FOLDER/runs and figures to FOLDER; what is there already is not made again. With --arrange-only nothing
is made, and what is missing is told. The sheet is docs/images/contact_sheet.jpg. All networks are trained
for few epochs on few images: the sheet shows how the figures look, not what the papers found.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

SHEET = Path(__file__).parent / "images" / "contact_sheet.jpg"

_LARGEST = 1_500_000
_COLUMNS = 3
_WIDTH = 640  # pixels of a figure across both columns of a paper
_DOUBLE = 2070  # the same at 300 dots an inch
_GAP = 24
_HEADING = 26

_DIGITS = "--data digits --epochs 8"
_SMALL = "--data digits --image-size 16 --epochs 4"
_HELD_OUT = "--data digits --image-size 16 --limit 700 --epochs 12 --batch-size 16 --recipe residual_attention"
_DENSENET = "cifar_densenet121@growth_rate=12"
_BATCHES = (4, 8, 16, 32, 64, 128, 256)
_MOBILE = {
    "mobilenet_v1": "mobilenet_v1@width=0.5",
    "mobilenet_v1+ulsam": "mobilenet_v1@width=0.5+ulsam@after=8:9,replace=11",
    "mobilenet_v2": "mobilenet_v2",
    "mobilenet_v2+ulsam": "mobilenet_v2+ulsam@replace=14:17",
}

TRAININGS: dict[str, str] = {
    **{
        f"upanet16{head}": f"upanet16{head} {_SMALL}"
        for head in ("", "_final_gap", "_final_spa", "_exc_gap", "_exc_spa")
    },
    "cifar_densenet121": f"{_DENSENET} {_SMALL}",
    **{
        f"resnet20{attention}": f"resnet20{attention} {_DIGITS}"
        for attention in ("", "+se", "+bam", "+cbam", "+ge", "+ba2m", "+spa_a")
    },
    **{
        f"cifar_mobilenet_v2{attention}": f"cifar_mobilenet_v2{attention} --data digits --epochs 12"
        for attention in ("", "+spa_a", "+spa_b", "+spa_c")
    },
    **{folder: f"{name} --data digits --image-size 64 --epochs 6" for folder, name in _MOBILE.items()},
    "attention56": f"attention56 {_HELD_OUT}",
    "attention56@activation=spatial": f"attention56@activation=spatial {_HELD_OUT}",
    "attention56@learning=nal": f"attention56@learning=nal {_HELD_OUT}",
    "attention92@activation=spatial": f"attention92@activation=spatial {_HELD_OUT}_92 --learning-rate 0.02",
    **{
        f"n{batch}": f"resnet20+ba2m --data digits --recipe ba2m --seeds 3 --batch-size {batch} --epochs 6 --limit 600"
        for batch in _BATCHES
    },
}
"""Folder in runs -> arguments of `gradscape train`."""

_SURFACES = "--data digits --limit 64 --steps 11"
_ATTENTION = (
    "attention56",
    "attention56@activation=spatial",
    "attention56@learning=nal",
    "attention92@activation=spatial",
)

FIGURES: dict[str, tuple[Sequence[str], str]] = {
    "upanets:1": (["upanet16"], "--data digits"),
    "upanets:7": (["upanet16"], "--data digits"),
    "upanets:8": (["upanet16_final_gap", "upanet16"], _SURFACES),
    "upanets:9": (["upanet16_final_gap", "upanet16"], _SURFACES),
    "upanets:10": (["upanet16", "upanet16_final_gap"], ""),
    "upanets:11": ([], ""),
    "upanets:12": (["cifar_densenet121"], _SURFACES),
    "upanets:13": (["upanet16"], _SURFACES),
    "upanets:14": (["upanet16_final_gap", "upanet16"], _SURFACES),
    "upanets:15": (["upanet16_final_spa"], _SURFACES),
    "upanets:16": (["upanet16_exc_gap"], _SURFACES),
    "upanets:17": (["upanet16_exc_spa"], _SURFACES),
    "upanets:18": (["upanet16_final_spa", "upanet16_exc_gap", "upanet16_exc_spa"], _SURFACES),
    "upanets:19": (["upanet16"], ""),
    "upanets:20": (["upanet16", "cifar_densenet121"], _SURFACES),
    "spanet:3": ([f"resnet20{attention}" for attention in ("", "+se", "+ge", "+cbam", "+spa_a")], ""),
    "spanet:4": ([f"cifar_mobilenet_v2{attention}" for attention in ("", "+spa_a", "+spa_b", "+spa_c")], ""),
    "spanet:5": ([f"resnet20{attention}" for attention in ("", "+se", "+spa_a")], "--data digits"),
    "spanet:6": (["resnet20+spa_a"], ""),
    "ulsam:3": (list(_MOBILE), "--data digits"),
    **{
        f"residual_attention:{number}": ([folder], "")
        for numbers, folder in (
            ((8, 9), "attention56"),
            ((12, 13), "attention56@activation=spatial"),
            ((16, 17), "attention56@learning=nal"),
            ((20, 21), "attention92@activation=spatial"),
            ((24, 25), "attention56@learning=nal"),
            ((28, 29), "attention56@activation=spatial"),
        )
        for number in numbers
    },
    "residual_attention:30": (_ATTENTION, ""),
    "residual_attention:31": (_ATTENTION, ""),
    "ba2m:1": ([f"resnet20{attention}" for attention in ("", "+se", "+bam", "+cbam", "+ge", "+ba2m")], "--data digits"),
    "ba2m:3": (["resnet20", "resnet20+ba2m"], "--data digits"),
    "ba2m:5": ([f"n{batch}" for batch in _BATCHES], ""),
}
"""Name -> the runs that it is made of, and options of `gradscape figure`."""

_FROM_RUNS = ("spanet:3", "spanet:4", "ba2m:5", "upanets:10", "upanets:11")


def main() -> None:
    """Make what is missing, and arrange everything."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("folder", type=Path)
    reader.add_argument("--arrange-only", action="store_true")
    given = reader.parse_args()
    for name in FIGURES:
        if not _picture(given.folder, name).is_file():
            if given.arrange_only:
                sys.stderr.write(f"missing: gradscape {' '.join(figure_command(name, given.folder))}\n")
            else:
                _make(name, given.folder)
    arrange([(name, path) for name in FIGURES if (path := _picture(given.folder, name)).is_file()], SHEET)


def figure_command(name: str, folder: Path) -> list[str]:
    """Arguments of `gradscape` that draw a figure from networks in a folder."""
    runs, options = FIGURES[name]
    training = name in _FROM_RUNS or name.startswith("residual_attention")
    paths = [folder / "runs" / run if training else folder / "runs" / run / "model.safetensors" for run in runs]
    return ["figure", name, *map(str, paths), *options.split(), "-o", str(folder)]


def arrange(pictures: Sequence[tuple[str, Path]], sheet: Path) -> None:
    """Put pictures below their names into columns, and write them as one JPEG as good as its size allows.

    All keep their proportions to each other: two of a single column stand side by side.

    Args:
        pictures: Names and files with 300 dots an inch, in order.
        sheet: The file.
    """
    blocks = [_block(several) for several in _paired(pictures)]
    heights = [_GAP] * _COLUMNS
    places = []
    for block in blocks:
        column = heights.index(min(heights))
        places.append((_GAP + column * (_WIDTH + _GAP), heights[column]))
        heights[column] += block.height + _GAP
    page = Image.new("RGB", (_GAP + _COLUMNS * (_WIDTH + _GAP), max(heights)), "#e6e6e6")
    for block, place in zip(blocks, places, strict=True):
        page.paste(block, place)
    for quality in range(90, 30, -5):
        buffer = BytesIO()
        page.save(buffer, format="JPEG", quality=quality, optimize=True, progressive=True)
        if buffer.tell() <= _LARGEST:
            break
    sheet.write_bytes(buffer.getvalue())


def _make(name: str, folder: Path) -> None:
    for run in FIGURES[name][0]:
        # Of several seeds each has a folder of its own.
        if not any((folder / "runs" / run).glob("**/model.safetensors")):
            _run(["train", *TRAININGS[run].split(), "-q", "-o", str(folder / "runs" / run)])
    _run(figure_command(name, folder))


def _run(arguments: Sequence[str]) -> None:
    gradscape = Path(sys.executable).with_name("gradscape")
    subprocess.run([gradscape, *arguments], check=True)  # noqa: S603 — commands of this file


def _picture(folder: Path, name: str) -> Path:
    return folder / f"{name.replace(':', '_')}.png"


def _paired(pictures: Sequence[tuple[str, Path]]) -> list[list[tuple[str, Image.Image]]]:
    """Scaled pictures; those of half the width that follow each other two by two."""
    groups: list[list[tuple[str, Image.Image]]] = []
    for name, path in pictures:
        original = Image.open(path).convert("RGB")
        scale = _WIDTH / max(_DOUBLE, original.width)
        image = original.resize(
            (round(original.width * scale), round(original.height * scale)), Image.Resampling.LANCZOS
        )
        last = groups[-1] if groups else []
        if len(last) == 1 and last[0][1].width + image.width <= _WIDTH:
            last.append((name, image))
        else:
            groups.append([(name, image)])
    return groups


def _block(several: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    height = _HEADING + max(image.height for _, image in several)
    block = Image.new("RGB", (_WIDTH, height), "white")
    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf", 14)
    left = 0
    for name, image in several:
        ImageDraw.Draw(block).text((left + 6, 5), name, fill="#333333", font=font)
        block.paste(image, (left, _HEADING))
        left += _WIDTH // len(several)
    return block


if __name__ == "__main__":
    main()
