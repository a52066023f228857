"""Which trainings differ in nothing but the seed, and so are one network for whoever compares."""

import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, final

from gradscape._schema import fits
from gradscape.studies.tested_images import as_trained

__all__ = [
    "BACKBONE",
    "TRAINING",
    "TrainingIdentity",
    "common_name",
    "group_alike",
    "identify_training",
    "read_identity",
    "warn_of_apart",
]

_log = logging.getLogger(__name__)

TRAINING = "training"
"""Entry of a surface: of which training its network is, as `TrainingIdentity` as a mapping."""

BACKBONE = "backbone"
"""Entry of a checkpoint: `checkpoint` and `weights`, the digest, of the backbone that its training began with."""

_NETWORK = ("name", "num_classes", "image_size", "mean", "std", "labels")
_SEED = re.compile(r"[-_/ ]*(seed\d*)?[-_/ ]*$")


@final
@dataclass(frozen=True)
class TrainingIdentity:
    """What tells a training from others.

    Attributes:
        alike: Digest of everything that defines it but the seed: network, recipe, training and test images.
        seed: Its seed.
        epoch: After which epoch these weights were kept.
    """

    alike: str
    seed: int
    epoch: int


def identify_training(meta: Mapping[str, Any]) -> TrainingIdentity | None:
    """Read from a checkpoint which training it is of.

    How often a recipe is run is no part of how it trains, and neither are scores and versions.

    Args:
        meta: The checkpoint's metadata.

    Returns:
        None where it does not tell: it was imported, or is older.
    """
    recipe, data, scores = (meta.get(name) for name in ("recipe", "data", "scores"))
    if not (isinstance(recipe, Mapping) and "name" in recipe and isinstance(data, Mapping) and data):
        return None
    if not isinstance(scores, Mapping) or not all(isinstance(scores.get(name), int) for name in ("seed", "epoch")):
        return None
    defining = {name: meta.get(name) for name in _NETWORK}
    defining |= {"data": dict(data), "test": as_trained(meta).get("test")}
    defining["recipe"] = {name: value for name, value in recipe.items() if name != "seeds"}
    if isinstance(backbone := meta.get(BACKBONE), Mapping):
        defining[BACKBONE] = backbone.get("weights")
    text = json.dumps(defining, sort_keys=True)
    return TrainingIdentity(hashlib.sha256(text.encode()).hexdigest()[:16], scores["seed"], scores["epoch"])


def read_identity(entries: Mapping[str, Any]) -> TrainingIdentity | None:
    """Read a surface's entry `TRAINING`; None where there is none, or a user's own of that name."""
    entry = entries.get(TRAINING)
    if not isinstance(entry, Mapping) or entry.keys() != {"alike", "seed", "epoch"}:
        return None
    whole = all(fits(entry[name], int) for name in ("seed", "epoch"))
    return TrainingIdentity(str(entry["alike"]), entry["seed"], entry["epoch"]) if whole else None


def group_alike(trainings: Mapping[str, TrainingIdentity | None]) -> tuple[list[list[str]], list[str]]:
    """Put together trainings that differ in nothing but the seed.

    Where a seed occurs twice, as in a training's last and best weights, nobody knows which of them is meant: such
    trainings stay apart.

    Args:
        trainings: By the digest of their weights, or another name of each; None for those of which nothing is known.

    Returns:
        The groups, in the order of their first members, and digests `alike` of those that stay apart because of that.
    """
    known = [one for one in trainings.values() if one is not None]
    times = Counter((one.alike, one.seed) for one in known)
    apart = list(dict.fromkeys(one.alike for one in known if times[one.alike, one.seed] > 1))
    groups: dict[str, list[str]] = {}
    for name, one in trainings.items():
        alone = one is None or one.alike in apart
        groups.setdefault(f"one {name}" if alone or one is None else f"alike {one.alike}", []).append(name)
    return list(groups.values()), apart


def warn_of_apart(apart: Sequence[str]) -> None:
    """Say that there are trainings which `group_alike` keeps apart; nothing of none."""
    if apart:
        _log.warning(
            "some trainings come with several checkpoints of one seed, as their last and their best: each is a network "
            "of its own here; give one checkpoint of each for seeds to count as one network"
        )


def common_name(names: Sequence[str]) -> str:
    """Return what trainings of one network are called together: of `a/seed0` and `a/seed1` that is `a`."""
    if len(names) == 1:
        return names[0]
    # Of seed10 and seed11 the beginning of a number is shared, too.
    shared = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return _SEED.sub("", "".join(letters[0] for letters in shared)) or names[0]
