"""How networks, data sets and pictures are called in captions and commands."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["as_in_the_paper", "path_end", "readable", "short_name", "training_command", "training_data"]


def short_name(name: str) -> str:
    """A model's name without its options."""
    return re.sub(r"@[^+]*", "", name)


def path_end(data: str) -> str:
    """A data set's name; of a path in it only the end."""
    kind, colon, rest = data.partition(":")
    return f"{kind}{colon}{rest.rstrip('/').rpartition('/')[2]}"


def training_data(meta: Mapping[str, Any]) -> str:
    """How many images of which data set a network was trained on, as far as its checkpoint's metadata tell."""
    data = meta.get("data")
    if not isinstance(data, dict) or "name" not in data:
        return ""
    images = f"{data['images']:,} images of " if isinstance(data.get("images"), int) else ""
    return images + path_end(str(data["name"]))


def readable(picture: str) -> str:
    """A picture's name in words: without the file's ending."""
    return re.sub(r"\.\w{2,5}$", "", picture).replace("_", " ")


def training_command(network: str, options: str) -> str:
    """The command that trains a network into a folder of its name."""
    return f"gradscape train {network} {options} -o runs/{short_name(network)}"


def as_in_the_paper(titles: Iterable[str], names: Mapping[str, str]) -> dict[str, str]:
    """What a paper calls networks: `resnet20+se` is ResNet-20 + SE; as they are where two would be called alike.

    Args:
        titles: Names of networks, with attention behind a `+`.
        names: What the paper calls a network or an attention.

    Returns:
        For each title what stands on the page.
    """
    called = {title: " + ".join(names.get(part, part) for part in title.split("+")) for title in titles}
    return called if len(set(called.values())) == len(called) else {title: title for title in called}
