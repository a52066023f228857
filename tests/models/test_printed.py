"""Every parameter and multiply-add count that the papers print, and those measured of the authors' own code."""

import math
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import pytest
from torch import nn

from gradscape.models import PrintedCell, count_macs, count_parameters
from gradscape.models.cards import create_weightless
from gradscape.models.printed import CELLS, PRINTED, SIZES
from tests.models.printed_counts import count_operations, count_statistics

# Measured by building the authors' published networks: model, classes, side, parameters.
_MEASURED = [
    ("resnet50+spa_a@scales=2:1", 1000, 224, 28_073_896),
    ("resnet50+spa_a@scales=4:2:1", 1000, 224, 28_073_912),
    ("resnet50+spa_a@scales=7:4:2:1", 1000, 224, 28_073_928),
    ("mobilenet_v2+spa_a@reduction=16", 1000, 224, 3_533_525),
    ("mobilenet_v2+se@reduction=16", 1000, 224, 3_534_885),
    ("cifar_preact_resnet18", 100, 32, 11_217_316),
    ("cifar_preact_resnet50", 100, 32, 23_693_476),
    ("cifar_preact_resnet101", 100, 32, 42_685_604),
    ("cifar_preact_resnet18+se", 100, 32, 11_304_356),
    ("cifar_preact_resnet50+se", 100, 32, 26_208_420),
    ("cifar_preact_resnet101+se", 100, 32, 47_428_772),
    ("cifar_preact_resnet18+se_b", 100, 32, 11_293_604),
    ("cifar_preact_resnet50+se_b", 100, 32, 26_033_316),
    ("cifar_preact_resnet101+se_b", 100, 32, 47_253_668),
    ("cifar_preact_resnet18+se_c", 100, 32, 11_338_516),
    ("cifar_preact_resnet50+se_c", 100, 32, 26_737_796),
    ("cifar_preact_resnet101+se_c", 100, 32, 47_958_148),
    ("cifar_preact_resnet18+ge", 100, 32, 11_217_316),
    ("cifar_preact_resnet18+spa_a", 100, 32, 11_304_620),
    ("cifar_preact_resnet50+spa_a", 100, 32, 26_210_356),
    ("cifar_preact_resnet101+spa_a", 100, 32, 47_432_935),
    ("cifar_preact_resnet18+spa_b", 100, 32, 11_293_868),
    ("cifar_preact_resnet50+spa_b", 100, 32, 26_035_252),
    ("cifar_preact_resnet101+spa_b", 100, 32, 47_257_831),
    ("cifar_preact_resnet18+spa_c", 100, 32, 11_338_780),
    ("cifar_preact_resnet50+spa_c", 100, 32, 26_739_732),
    ("cifar_preact_resnet101+spa_c", 100, 32, 47_962_311),
    ("cifar_mobilenet_v2", 100, 32, 2_412_212),
    ("cifar_mobilenet_v2+ge", 100, 32, 2_412_212),
    ("cifar_mobilenet_v2+se", 100, 32, 2_440_628),
    ("cifar_mobilenet_v2+spa_a", 100, 32, 2_440_865),
    ("cifar_mobilenet_v2+spa_b", 100, 32, 2_436_697),
    ("cifar_mobilenet_v2+spa_c", 100, 32, 2_456_081),
    ("cifar_vgg16", 100, 32, 14_774_436),
    ("cifar_vgg16+se", 100, 32, 15_000_740),
    ("cifar_vgg16+spa_a", 100, 32, 15_001_307),
    ("cifar_densenet121", 10, 32, 6_956_298),
    ("cifar_densenet121+se", 10, 32, 6_993_418),
    ("cifar_densenet121+spa_a", 10, 32, 6_994_752),
    ("cifar_densenet121+spa_b", 10, 32, 14_407_814),
    ("cifar_densenet121+spa_c", 10, 32, 14_449_806),
    ("resnet50+eca", 1000, 224, 25_557_118),
    ("upanet16", 200, 64, 1_614_013),
    ("upanet32", 200, 64, 6_214_061),
    ("attention56", 10, 32, 1_836_010 - 15_680),
    ("attention56@activation=spatial", 10, 32, 1_836_906 - 15_680),
    ("attention56", 100, 32, 1_882_180 - 15_680),
    ("attention56@activation=spatial", 100, 32, 1_883_076 - 15_680),
    ("attention56_imagenet", 1000, 224, 31_810_728),
    ("attention92_imagenet", 1000, 224, 52_466_344),
    ("cifar_densenet100", 10, 32, 769_162),
    ("mobilenet_v2", 100, 32, 2_351_972),
    ("shufflenet_v2_x1_0", 100, 32, 1_356_104),
    ("efficientnet_b0", 100, 32, 4_135_648),
    ("cifar_resnet50+ba2m@layout=table", 100, 32, 24_210_436),
    ("resnet34+ba2m@layout=table", 1000, 224, 21_924_072),
]
_OPERATIONS = [
    ("resnet50", 4_121_924_096),
    ("resnet50+spa_a", 4_261_853_200),
    ("mobilenet_v2", 320_236_288),
    ("mobilenet_v2+spa_a", 324_770_356),
]
# SPANet's text prints none of these; its authors' counter gives them to four digits.
_BILLIONS = [
    ("resnet50+spa_a@scales=2:1", "4.1430"),
    ("resnet50+spa_a@scales=4:2:1", "4.1788"),
    ("resnet50+spa_a@scales=7:4:2:1", "4.2674"),
]


@lru_cache(maxsize=8)
def _network(name: str, num_classes: int, image_size: int) -> nn.Module:
    return create_weightless(name, num_classes=num_classes, image_size=image_size)


def _count(row: PrintedCell) -> int:
    network = _network(row.model, row.num_classes, row.image_size)
    match row.quantity:
        case "parameters":
            return count_parameters(network)
        case "parameters of the head":
            return sum(parameter.numel() for parameter in network.get_submodule("head").parameters())
        case "trained parameters":
            return count_parameters(network) - _frozen(network)
        case "statistics":
            return count_statistics(network)
        case "parameters and statistics":
            return count_parameters(network) + count_statistics(network)
        case "macs":
            return count_macs(network, row.image_size)
        case "operations":
            return count_operations(network, (800, 1280) if row.data == "coco" else row.image_size)
        case quantity:
            raise AssertionError(f"nothing here counts {quantity}")


def _frozen(detector: nn.Module) -> int:
    """What mmdetection does not train of a detector's ResNet: its stem and first stage."""
    backbone: Any = detector.backbone
    return sum(map(count_parameters, (backbone.conv1, backbone.bn1, backbone.layer1)))


def is_printed(row: PrintedCell, count: int) -> bool:
    """Whether a count, rounded or cut to the printed digits, is what is printed."""
    if not row.unit:
        return int(row.number.replace(",", "")) == count
    steps = count / row.factor * 10**row.decimals
    return round(row.value * 10**row.decimals) in (round(steps), math.floor(steps + 1e-9))


def _label(row: PrintedCell) -> str:
    return f"{row.paper}-{row.table}-{row.row}-{row.model}-{row.num_classes}-{row.quantity}"


_BY_NETWORK: dict[tuple[str, str], list[PrintedCell]] = {}
for _row in PRINTED:
    _BY_NETWORK.setdefault((_row.model, _row.data), []).append(_row)


def _some(cases: Iterable[tuple[Any, ...]], *, each: int) -> list[Any]:
    """Every so many-th by `make test`, all by `make test-all`."""
    return [pytest.param(*case, marks=pytest.mark.slow if number % each else ()) for number, case in enumerate(cases)]


@pytest.mark.parametrize("network", _some(((one,) for one in _BY_NETWORK), each=10), ids="-".join)
def test_every_printed_count_is_hit_or_its_miss_is_explained(network: tuple[str, str]) -> None:
    counts: dict[str, int] = {}
    for row in _BY_NETWORK[network]:
        if row.quantity not in counts:
            counts[row.quantity] = _count(row)
        assert counts[row.quantity] == row.count, _label(row)
        assert (row.verdict == "hit") == is_printed(row, counts[row.quantity]), _label(row)
        assert row.verdict == "hit" or row.reason, _label(row)


@pytest.mark.parametrize(("name", "num_classes", "image_size", "parameters"), _some(_MEASURED, each=5))
def test_networks_have_as_many_parameters_as_the_authors_own(
    name: str, num_classes: int, image_size: int, parameters: int
) -> None:
    assert count_parameters(_network(name, num_classes, image_size)) == parameters


@pytest.mark.parametrize(("name", "operations"), _OPERATIONS)
def test_operations_are_those_of_spanets_own_counter(name: str, operations: int) -> None:
    assert count_operations(_network(name, 1000, 224), 224) == operations


@pytest.mark.parametrize(("name", "billions"), _some(_BILLIONS, each=3))
def test_operations_of_other_scales_agree_in_the_known_digits(name: str, billions: str) -> None:
    assert f"{count_operations(_network(name, 1000, 224), 224) / 1e9:.4f}" == billions


# ULSAM's rule: a base network of 3.4 million parameters and 300 million multiply-adds, which none has.
_BLOCKS = {9: (52_608, 64, 196), 13: (115_776, 96, 196), 14: (115_776, 96, 196)} | dict.fromkeys(
    (16, 17), (315_840, 160, 49)
)


@pytest.mark.parametrize(
    "row",
    [row for row in PRINTED if row.model.startswith("mobilenet_v2+ulsam") and row.printed != "224.16M"],
    ids=_label,
)
def test_contradictory_rows_of_ulsam_follow_its_rule(row: PrintedCell) -> None:
    place, layers = re.fullmatch(r".*@(after|replace)=([\d:]+)", row.model).groups()  # type: ignore[union-attr]
    value = 3.4e6 if row.quantity == "parameters" else 300e6
    for layer in layers.split(":"):
        weights, channels, pixels = _BLOCKS[int(layer)]
        area = 1 if row.quantity == "parameters" else pixels
        value += 2 * channels * area - (weights * area if place == "replace" else 0)
    assert row.verdict == "contradiction"
    assert is_printed(row, round(value))


@pytest.mark.parametrize(
    "row",
    _some(
        (
            (row,)
            for row in PRINTED
            if row.paper == "BA2M" and row.model.endswith("+ba2m") and row.quantity == "parameters"
        ),
        each=7,
    ),
    ids=_label,
)
def test_sizes_with_ba2m_are_equation_16_and_two_normalizations(row: PrintedCell) -> None:
    shape = (row.num_classes, row.image_size)
    base = count_parameters(_network(row.model.removesuffix("+ba2m"), *shape))
    network = _network(row.model, *shape)
    widths = [len(norm) for name, norm in network.named_parameters() if name.endswith("ba2m.fc_norm.weight")]
    assert len(widths) == len(network.get_submodule("stages"))  # type: ignore[arg-type]
    added = 0
    for channels in widths:
        group = channels // max(divisor for divisor in range(1, 33) if channels % divisor == 0)
        added += 2 * channels * group  # channel attention
        added += 2 * channels * group + 9 * group**2  # local spatial attention
        added += 3 * group**2  # global spatial attention
        added += 2 * 2 * channels  # normalizations
    assert row.count == base + added


@pytest.mark.parametrize(
    ("model", "num_classes", "image_size", "printed"),
    [
        ("resnet50", 1000, 224, "3.86"),
        ("resnet101", 1000, 224, "7.57"),
        ("resnext50_32x4d", 1000, 224, "3.77"),
        ("resnext101_32x4d", 1000, 224, "7.51"),
        ("cifar_resnet50", 100, 32, "1.22"),
    ],
)
def test_ba2ms_baselines_have_their_strides_in_the_first_convolutions(
    model: str, num_classes: int, image_size: int, printed: str
) -> None:
    network = create_weightless(model, num_classes=num_classes, image_size=image_size)
    for name, module in network.named_modules():
        if name.endswith("conv2") and isinstance(module, nn.Conv2d) and module.stride == (2, 2):
            first = network.get_submodule(name.removesuffix("2") + "1")
            assert isinstance(first, nn.Conv2d)
            first.stride, module.stride = (2, 2), (1, 1)
    assert f"{count_macs(network, image_size) / 1e9:.2f}" == printed


# Cascade R-CNN is not in torchvision: its three heads as mmdetection has them, which see no class in their boxes.
@pytest.mark.parametrize(
    ("backbone", "printed", "fits"),
    [("resnet50", "69.17M", True), ("resnet50+gc", "71.69M", True), ("resnet50+spa_a", "71.67M", False)],
)
def test_three_heads_on_faster_rcnns_pyramid_are_the_printed_cascade(
    backbone: str, printed: str, *, fits: bool
) -> None:
    (row,) = [cell for cell in CELLS if cell.printed == printed and cell.row.startswith("Cascade")]
    detector: Any = create_weightless(f"faster_rcnn:{backbone}", num_classes=80, image_size=800)
    held = detector.detector
    stage = [held.roi_heads.box_head, nn.Linear(1024, 81), nn.Linear(1024, 4)]
    count = sum(map(count_parameters, (held.backbone, held.rpn, *3 * stage))) - _frozen(detector)
    assert is_printed(row, count) == fits
    assert abs(count / 1e6 - row.value) < 0.02


def test_biases_in_the_attention_would_give_both_printed_sizes_of_detectors_with_spanet() -> None:
    detector: Any = create_weightless("retinanet:resnet50+spa_a", num_classes=80, image_size=800)
    trained = count_parameters(detector) - _frozen(detector)
    biases = sum(
        len(weight)
        for name, weight in detector.backbone.named_parameters()
        if re.search(r"layer[234].*spa.*\.weight", name) and weight.ndim == 4
    )
    (row,) = [
        cell for cell in PRINTED if cell.model == "retinanet:resnet50+spa_a" and cell.quantity.startswith("train")
    ]
    assert (row.count, biases) == (trained, 40_250_779 - trained)
    assert not is_printed(row, trained)
    assert is_printed(row, trained + biases)


def test_ba2ms_tables_of_detectors_print_no_size() -> None:
    quantities = {cell.quantity for cell in CELLS if cell.paper == "BA2M" and cell.data in ("coco", "voc2007")}
    assert quantities
    assert not quantities & {*SIZES}
