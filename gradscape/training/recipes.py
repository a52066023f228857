"""How the papers trained their networks."""

from dataclasses import replace
from typing import Any

from gradscape._names import unknown_name
from gradscape.training.recipe import Recipe, check_choices

__all__ = ["RECIPES", "create_recipe"]

# Those that others are variations of.
_UPANETS = Recipe(epochs=200)
_ULSAM_V1 = Recipe(
    epochs=90,
    batch_size=128,
    # The paper states a weight decay for MobileNetV2 alone: it is taken here too.
    weight_decay=4e-5,
    schedule="steps",
    milestones=(30, 60),
    # The paper states 224 × 224 pixels and not how they were changed: as usual with ImageNet.
    crop_padding=0,
    resized_crop=True,
    seeds=3,
)
_ULSAM_V2 = replace(
    _ULSAM_V1, epochs=400, batch_size=98, learning_rate=0.045, schedule="exponential", milestones=(), factor=0.98
)
_ATTENTION_56 = Recipe(
    epochs=250,
    batch_size=64,
    optimizer="adam",
    # Keras' own: the paper names none.
    learning_rate=1e-3,
    weight_decay=0.0,
    schedule="constant",
    crop_padding=0,
    # How far is in the authors' code alone, as is what the patience waits for. Their held-out images are the last
    # fifth, shifted and mirrored too; ours are chosen by seed and left as they are.
    shift=0.15,
    validation_share=0.2,
    early_stopping_patience=15,
    early_stopping_metric="train_accuracy",
)
_ATTENTION_92 = replace(
    _ATTENTION_56,
    optimizer="sgd",
    learning_rate=0.1,
    nesterov=True,
    # "Reduce learning rates by 10 for the epochs 65, 120 and 180": read as for good, one after the other.
    schedule="steps",
    milestones=(65, 120, 180),
    # The paper's "decay = 0.0001" is Keras' option of that name: of the learning rate, not of the weights.
    decay_per_step=1e-4,
)
_SPANET_BOXES = Recipe(
    epochs=24,
    batch_size=16,
    learning_rate=0.01,
    weight_decay=1e-4,
    schedule="steps",
    milestones=(18, 22),
    crop_padding=0,
    loss="detection_loss",
)
_CIFAR10_AS_UPANETS: dict[str, Any] = {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2023, 0.1994, 0.2010)}
_CIFAR10_PIXELS: dict[str, Any] = {
    "mean": (125.3 / 255, 123.0 / 255, 113.9 / 255),
    "std": (63.0 / 255, 62.1 / 255, 66.7 / 255),
}

RECIPES = {
    # UPANets (arXiv 2103.08640), section IV, and the authors' training script.
    "upanets": _UPANETS,
    # The code normalizes CIFAR-100 with its numbers for CIFAR-10.
    "upanets_cifar100": replace(_UPANETS, **_CIFAR10_AS_UPANETS),
    "upanets_ablation": replace(_UPANETS, epochs=100),
    "upanets_ablation_cifar100": replace(_UPANETS, epochs=100, **_CIFAR10_AS_UPANETS),
    # The paper pads by 4; the authors' code, for the same table, by 8.
    "upanets_tiny_imagenet": replace(_UPANETS, epochs=100, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    # SPANet, sections IV-B, IV-C and IV-D. The code for CIFAR-100 has batches of 512 and no Nesterov momentum.
    "spanet": Recipe(epochs=300, batch_size=256, nesterov=True, schedule="steps", milestones=(70, 140, 210, 280)),
    # The paper has "the same data processing" and Nesterov momentum for all; the rest is that of the authors' read-me
    # and code, whose optimizer is without Nesterov and whose batches are 1024 unless told otherwise.
    "spanet_downsampled_imagenet": Recipe(
        epochs=100, batch_size=512, nesterov=True, schedule="steps", milestones=(30, 60, 90)
    ),
    "spanet_imagenet_resnet": Recipe(
        epochs=100,
        batch_size=256,
        weight_decay=1e-4,
        schedule="steps",
        milestones=(30, 60, 90),
        crop_padding=0,
        resized_crop=True,
    ),
    # The warm-up is in the code alone, whose weight decay is 4e-5 and spares biases and batch norm.
    "spanet_imagenet_mobilenet_v2": Recipe(
        epochs=150, batch_size=512, weight_decay=1e-4, warmup_epochs=5, crop_padding=0, resized_crop=True
    ),
    # ULSAM, section 4.
    "ulsam_mobilenet_v1": _ULSAM_V1,
    "ulsam_mobilenet_v1_fine_grained": replace(_ULSAM_V1, epochs=150, milestones=(30, 60, 90, 120)),
    "ulsam_mobilenet_v2": _ULSAM_V2,
    "ulsam_mobilenet_v2_fine_grained": replace(_ULSAM_V2, epochs=200),
    # The reproduction of residual attention networks, sections 4 and 6, and the authors' notebooks.
    "residual_attention": _ATTENTION_56,
    "residual_attention_cifar10": replace(_ATTENTION_56, **_CIFAR10_PIXELS),
    "residual_attention_92": _ATTENTION_92,
    "residual_attention_92_cifar10": replace(_ATTENTION_92, **_CIFAR10_PIXELS),
    # BA2M, section IV: batches, learning rate and runs; "hyper-parameters the same as" those of BAM (Park et al.,
    # 2018, arXiv 1807.06514), whose numbers for CIFAR-100 are the epochs, the weight decay and the steps.
    "ba2m": Recipe(
        epochs=300, batch_size=256, learning_rate_batch=128, schedule="steps", milestones=(150, 225), seeds=5
    ),
    # Not stated but for the runs and the crop of 224: as ResNet's.
    "ba2m_imagenet": Recipe(
        epochs=90,
        batch_size=256,
        learning_rate_batch=256,
        weight_decay=1e-4,
        schedule="steps",
        milestones=(30, 60),
        crop_padding=0,
        resized_crop=True,
        seeds=5,
    ),
    # SPANet, section IV-F, whose learning rate of 0.02 is Cascade R-CNN's, here that of the detectors with proposals.
    "spanet_retinanet": _SPANET_BOXES,
    "spanet_rcnn": replace(_SPANET_BOXES, learning_rate=0.02),
    # BA2M, appendix G; the batch is MMDetection's.
    "ba2m_boxes": replace(_SPANET_BOXES, milestones=(16, 22)),
    # No paper's here: torchvision's script for it, but for a cosine in the place of its power of 0.9.
    "deeplabv3": Recipe(
        epochs=30, batch_size=16, learning_rate=0.01, weight_decay=1e-4, crop_padding=0, loss="pixel_cross_entropy"
    ),
    # A mirrored digit is none.
    "digits": Recipe(epochs=5, learning_rate=0.05, crop_padding=1, horizontal_flip=False),
}


def create_recipe(name: str, **changes: Any) -> Recipe:
    """A recipe by name, with some of its fields changed.

    Args:
        name: A key of `RECIPES`.
        changes: Fields of `Recipe` and their new values; None leaves a field as it is.

    Returns:
        The recipe.

    Raises:
        ValueError: The name is unknown, or a value is out of range.
        TypeError: A field is unknown, or a value of the wrong kind.

    Example:
        >>> recipe = create_recipe("upanets", epochs=2)
        >>> recipe.epochs, recipe.optimizer
        (2, 'sgd')
    """
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    unknown = sorted(set(changes) - set(Recipe.__dataclass_fields__))
    if unknown:
        known = ", ".join(Recipe.__dataclass_fields__)
        raise TypeError(f"`changes` must be fields of a recipe, got {', '.join(unknown)}; choose from {known}")
    chosen = {field: value for field, value in changes.items() if value is not None}
    check_choices(chosen)
    return replace(RECIPES[name], **chosen)
