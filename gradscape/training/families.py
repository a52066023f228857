"""Which of a paper's recipes belongs to a network on a data set, and which one several networks have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import final

__all__ = ["ABLATION", "BACKBONE", "FAMILIES", "TABLES", "Candidate", "agree_on_recipe", "find_recipe", "other_recipes"]

ABLATION = "upanets_ablation"
"""Family of the variants of UPANets, to which `upanet16` itself is compared."""

BACKBONE = "backbone"
"""Family of what belongs to no paper, whose training is known here, by itself."""

_BOXES = {
    ("retinanet:*", "*"): "spanet_retinanet",
    ("fcos:*", "*"): "spanet_retinanet",
    ("faster_rcnn:*", "*"): "spanet_rcnn",
    ("mask_rcnn:*", "*"): "spanet_rcnn",
    ("deeplabv3:*", "*"): "deeplabv3",
}

FAMILIES: dict[str, dict[tuple[str, str], str]] = {
    "ba2m": {
        **_BOXES,
        ("faster_rcnn:*", "*"): "ba2m_boxes",
        ("mask_rcnn:*", "*"): "ba2m_boxes",
        ("*", "imagenet"): "ba2m_imagenet",
        ("*", "tiny_imagenet"): "ba2m_imagenet",
        ("*", "*"): "ba2m",
    },
    "ulsam": {
        **_BOXES,
        ("*mobilenet_v2*", "imagenet"): "ulsam_mobilenet_v2",
        ("*mobilenet_v2*", "tiny_imagenet"): "ulsam_mobilenet_v2",
        ("*mobilenet_v2*", "*"): "ulsam_mobilenet_v2_fine_grained",
        ("*", "imagenet"): "ulsam_mobilenet_v1",
        ("*", "tiny_imagenet"): "ulsam_mobilenet_v1",
        ("*", "*"): "ulsam_mobilenet_v1_fine_grained",
    },
    "spanet": {
        **_BOXES,
        ("*mobilenet_v2*", "imagenet"): "spanet_imagenet_mobilenet_v2",
        ("*", "imagenet"): "spanet_imagenet_resnet",
        ("*", "imagenet32"): "spanet_downsampled_imagenet",
        ("*", "tiny_imagenet"): "spanet_downsampled_imagenet",
        ("*", "*"): "spanet",
    },
    "residual_attention": {
        **_BOXES,
        # The report has no training on ImageNet: as a ResNet's.
        ("*", "imagenet"): "spanet_imagenet_resnet",
        ("*", "cifar10"): "residual_attention_cifar10",
        ("*", "*"): "residual_attention",
    },
    "residual_attention_92": {
        **_BOXES,
        ("*", "imagenet"): "spanet_imagenet_resnet",
        ("*", "cifar10"): "residual_attention_92_cifar10",
        ("*", "*"): "residual_attention_92",
    },
    ABLATION: {
        ("*", "cifar100"): "upanets_ablation_cifar100",
        ("*", "imagenet"): "upanets_tiny_imagenet",
        ("*", "tiny_imagenet"): "upanets_tiny_imagenet",
        ("*", "*"): "upanets_ablation",
    },
    "upanets": {
        ("*", "cifar100"): "upanets_cifar100",
        ("*", "imagenet"): "upanets_tiny_imagenet",
        ("*", "tiny_imagenet"): "upanets_tiny_imagenet",
        ("*", "*"): "upanets",
    },
    # By the tables in which they stand without attention; UPANets' where there is none.
    BACKBONE: {
        **_BOXES,
        ("*mobilenet_v1*", "imagenet"): "ulsam_mobilenet_v1",
        ("*mobilenet_v2*", "imagenet"): "spanet_imagenet_mobilenet_v2",
        ("*", "imagenet"): "spanet_imagenet_resnet",
        ("*", "imagenet32"): "spanet_downsampled_imagenet",
        ("*", "tiny_imagenet"): "upanets_tiny_imagenet",
        ("*", "cifar100"): "upanets_cifar100",
        ("mobilenet_v1", "*"): "ulsam_mobilenet_v1_fine_grained",
        ("mobilenet_v2", "*"): "ulsam_mobilenet_v2_fine_grained",
        ("*", "*"): "upanets",
    },
}
"""Which recipe a family has for which network and data, both as shell patterns: the first that fits.

Where several families have a part in one network, the first of them here decides: attention before the network that it
is added to.
"""

TABLES: dict[str, str] = {
    "upanets": "UPANets, table 4",
    "upanets_cifar100": "UPANets, table 5",
    "upanets_ablation": "UPANets, tables 2, 3, 7 and 8 on CIFAR-10",
    "upanets_ablation_cifar100": "UPANets, tables 2, 3, 7 and 8 on CIFAR-100",
    "upanets_tiny_imagenet": "UPANets, table 6",
    "spanet": "SPANet, tables I and IV",
    "spanet_downsampled_imagenet": "SPANet, table II",
    "spanet_imagenet_resnet": "SPANet, table III (ResNet-50) and table V",
    "spanet_imagenet_mobilenet_v2": "SPANet, table III (MobileNetV2)",
    "ulsam_mobilenet_v1": "ULSAM, tables 6 and 7",
    "ulsam_mobilenet_v1_fine_grained": "ULSAM, table 9",
    "ulsam_mobilenet_v2": "ULSAM, tables 6 and 8",
    "ulsam_mobilenet_v2_fine_grained": "ULSAM, tables 10, 11 and 12",
    "residual_attention": "the report on residual attention, figure 30 (Attention-56 on CIFAR-100)",
    "residual_attention_cifar10": "the report on residual attention, figure 30 (Attention-56 on CIFAR-10)",
    "residual_attention_92": "the report on residual attention, figure 30 (Attention-92)",
    "residual_attention_92_cifar10": "the report on residual attention, figure 30 (Attention-92 on CIFAR-10)",
    "spanet_retinanet": "SPANet, table VI (RetinaNet)",
    "spanet_rcnn": "SPANet, table VI (Cascade R-CNN)",
    "ba2m_boxes": "BA²M, tables XIV to XVI",
    "ba2m": "BA²M, tables I, VI to XI and XIII",
    "ba2m_imagenet": "BA²M, tables II, V and XII",
}
"""Recipe -> the tables of accuracies whose rows were all trained by it."""


@final
@dataclass(frozen=True)
class Candidate:
    """A network that is to be trained.

    Attributes:
        network: Its name, without attentions and options.
        families: Those that have a part in it, keys of `FAMILIES`; none of a backbone by itself, or with attention that
            no paper proposes whose training is known here.
    """

    network: str
    families: tuple[str, ...] = ()

    @property
    def family(self) -> str | None:
        """The one that decides."""
        return next((family for family in FAMILIES if family in self.families), None)


def find_recipe(family: str, *, network: str, data: str) -> str:
    """Name of the recipe that a family has for a network on a data set; digits have one of their own.

    Args:
        family: A key of `FAMILIES`.
        network: The network's name, without its attentions and options.
        data: Name of the data set.

    Returns:
        A key of `RECIPES`.
    """
    if data == "digits":
        return "digits"
    return next(
        recipe
        for (networks, sets), recipe in FAMILIES[family].items()
        if fnmatchcase(network, networks) and fnmatchcase(data, sets)
    )


def agree_on_recipe(candidates: Mapping[str, Candidate], *, data: str) -> str:
    """Name of the one recipe by which networks are trained to be compared, as the rows of a paper's table are.

    It is that of the paper which the set has in common: networks without a family are the baselines of those with one,
    and `upanet16` is that of its variants, with which it was trained for fewer epochs.

    Args:
        candidates: What the networks are called -> what they are; at least one.
        data: Name of the data set.

    Returns:
        A key of `RECIPES`.

    Raises:
        ValueError: They are of several papers, or of one that trains them differently.
    """
    families = {candidate.family for candidate in candidates.values()} - {None}
    if ABLATION in families:
        families.discard("upanets")
    found: dict[str, list[str]] = {}
    for name, candidate in candidates.items():
        own = candidate.family if candidate.family in families else None
        # A baseline among networks of several papers belongs to each: it decides nothing.
        shared = next(iter(families)) if len(families) == 1 else None if families else BACKBONE
        if (family := own or shared) is not None:
            found.setdefault(find_recipe(family, network=candidate.network, data=data), []).append(name)
    if len(found) == 1:
        return next(iter(found))
    told = "; ".join(f"{', '.join(names)} by {recipe}" for recipe, names in found.items())
    raise ValueError(
        f"`recipe` must be named for networks that papers train differently ({told}): one recipe trains all, "
        "or train them one by one"
    )


def other_recipes(candidates: Sequence[Candidate], *, data: str, besides: str) -> list[str]:
    """Recipes by which papers train backbones like these as baselines of their attention.

    Args:
        candidates: The networks.
        data: Name of the data set.
        besides: The recipe that is taken.

    Returns:
        Keys of `RECIPES`; none where a network belongs to a paper, which has decided, and of digits.
    """
    if data == "digits" or any(candidate.family for candidate in candidates):
        return []
    attentions = ["ba2m", "spanet"]
    attentions += ["ulsam"] if all("mobilenet" in candidate.network for candidate in candidates) else []
    found = (
        find_recipe(family, network=candidate.network, data=data) for family in attentions for candidate in candidates
    )
    return [recipe for recipe in dict.fromkeys(found) if recipe != besides]
