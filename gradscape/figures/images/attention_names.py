"""What attention is called by where it is: stage and block by a module's name, head or channel by its number."""

import re

from gradscape._names import one_line
from gradscape._taps import Kind

__all__ = ["column_titles", "layer_words", "place_name"]

_PART_WORDS: dict[Kind, str] = {
    "mask": "channel",
    "part": "channel",
    "subspace": "group",
    "affinity": "head",
    "spatial": "map",
}
_PLACES = (
    # torch's and timm's ResNets count their layers from 1 and the blocks in them from 0
    (re.compile(r"^layer(\d+)\.(\d+)(?=\.|$)"), lambda stage, block: (int(stage), int(block) + 1)),
    (re.compile(r"^stages?\.(\d+)(?:\.blocks)?\.(\d+)(?=\.|$)"), lambda stage, block: (int(stage) + 1, int(block) + 1)),
    (re.compile(r"^layers\.(\d+)\.blocks\.(\d+)(?=\.|$)"), lambda stage, block: (int(stage) + 1, int(block) + 1)),
)
_BLOCKS = re.compile(r"(?:^|\.)(?:blocks|layers?|encoder_layer|features)[._](\d+)(?=\.|$)")


def place_name(module: str) -> tuple[str, str]:
    """Stage and block that a module lies in, counted from 1, and what it is called in there.

    Args:
        module: A module's name, such as "layer2.0.att" or "encoder.layers.encoder_layer_3.self_attention".

    Returns:
        ("stage 2 · block 1", "att"), ("block 4", "self_attention"); of a name that tells neither the name and "".
    """
    name = one_line(module).removeprefix("network.")
    name = name.removeprefix("detector.").removeprefix("backbone.").removeprefix("body.")  # of detectors and segmenters
    for pattern, numbers in _PLACES:
        if found := pattern.match(name):
            stage, block = numbers(*found.groups())
            return f"stage {stage} · block {block}", name[found.end() :].lstrip(".")
    if found := _BLOCKS.search(name):
        return f"block {int(found.group(1)) + 1}", name[found.end() :].lstrip(".")
    return name, ""


def layer_words(kind: Kind, count: int) -> str:
    """How many maps an attention has: "8 heads"."""
    return f"{count} {_PART_WORDS[kind]}{'s' if count > 1 else ''}"


def column_titles(kinds: set[Kind], count: int) -> list[str]:
    """What the maps of a row are, counted from 1: "head 1"; only numbers where rows are of several kinds."""
    words = {_PART_WORDS[kind] for kind in kinds}
    word = f"{words.pop()} " if len(words) == 1 else ""
    return [f"{word}{number}" for number in range(1, count + 1)]
