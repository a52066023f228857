"""A network whose channels are brought into another's order, with what its checkpoint and its lines say of that."""

from collections.abc import Mapping
from pathlib import Path

from gradscape._digest import digest_model
from gradscape.data.named_batches import NamedBatches
from gradscape.landscape import align
from gradscape.models import Classifier, save_checkpoint
from gradscape.studies.networks import check_classes, check_same_classes

__all__ = ["ALIGNED_FILE", "ALIGNMENT", "align_second"]

ALIGNMENT = "alignment"
"""Of the provenance of an aligned network, and of lines to it."""

ALIGNED_FILE = "aligned.safetensors"


def align_second(
    models: Mapping[str, Classifier], split: NamedBatches, folder: Path, *, restarts: int, seed: int
) -> dict[str, Classifier]:
    """Align the second of two networks with the first, and keep it as a checkpoint.

    Args:
        models: Two, by name.
        split: Its first images tell whether the network still computes the same.
        folder: Where it becomes `aligned.safetensors`.
        restarts: As in `align`.
        seed: As in `align`.

    Returns:
        The first network, and the aligned one in the place of the second: its `meta` has an entry `alignment`.

    Raises:
        ValueError: Their classes differ, or they cannot be aligned.
    """
    (name, model), (other_name, other) = models.items()
    check_classes(models, split)
    check_same_classes(models)
    images, _ = next(iter(split))
    aligned, alignment = align(model, other, restarts=restarts, seed=seed, inputs=images)
    made = {"with": name, "weights": digest_model(model), **alignment.to_entry()}
    made |= {"of": other.path} if other.path else {}
    aligned.meta = {**aligned.meta, ALIGNMENT: made}
    save_checkpoint(folder / ALIGNED_FILE, aligned, **aligned.meta)
    return {name: model, other_name: aligned}
