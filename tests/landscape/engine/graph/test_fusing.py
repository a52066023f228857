from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.landscape.engine.graph import can_fuse, fuse_operators, leaking
from tests.landscape.engine.graph.graphs import operators, traced

IMAGES = torch.randn(3, 4, 6, 5, generator=torch.Generator().manual_seed(0))


class _Residual(nn.Module):
    """A convolution and what is added to it, in one of many ways."""

    def __init__(self, join: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.shortcut, self.join = nn.Conv2d(4, 6, 3, padding=1), nn.Conv2d(4, 6, 1), join

    def forward(self, images: Tensor) -> Tensor:
        return self.join(self.conv(images), F.softplus(self.shortcut(images)))


JOINS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], int]] = {
    "sum": (lambda maps, other: maps + other, 1),
    "sum the other way": (lambda maps, other: other + maps, 1),
    "sum and relu": (lambda maps, other: F.relu(maps + other), 1),
    "sum and relu in place": (lambda maps, other: F.relu_(maps.add_(other)), 1),
    "added into the other": (lambda maps, other: other.add_(maps) * other, 0),
    "scaled": (lambda maps, other: torch.add(maps, other, alpha=2), 0),
    "a number": (lambda maps, other: maps + 3, 0),
    "broadcast": (lambda maps, other: maps + other.mean(dim=(2, 3), keepdim=True), 0),
    "doubled": (lambda maps, other: maps + maps, 0),
    "heard twice": (lambda maps, other: F.relu(maps) + maps, 0),
    "relu of the convolution first": (lambda maps, other: F.relu(maps) + other, 0),
    "relu of a view": (lambda maps, other: F.relu(maps[:, :3]) + maps[:, 3:], 0),
    "relu6 and sum": (lambda maps, other: F.relu6(maps + other) + other, 1),
}


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
@pytest.mark.parametrize("join", JOINS)
def test_a_fused_graph_gives_the_same_outputs(join: str) -> None:
    torch.manual_seed(2)
    function, gone = JOINS[join]
    model = _Residual(function).eval()
    module = traced(model, IMAGES)
    assert can_fuse(module)
    with torch.no_grad():
        expected, before = model(IMAGES), len(operators(module))
        fuse_operators(module)
        assert before - len(operators(module)) == gone
        torch.testing.assert_close(module(IMAGES), expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(module(IMAGES[:1]), expected[:1], rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
@pytest.mark.parametrize("activation", [nn.Hardswish(), nn.Hardswish(True), nn.SiLU(), nn.SiLU(True), nn.Sigmoid()])
@pytest.mark.parametrize("layer", [nn.Conv2d(4, 6, 3, stride=2, groups=2), nn.Linear(5, 6)])
def test_activations_go_into_the_layer_before_them(layer: nn.Module, activation: nn.Module) -> None:
    model = nn.Sequential(layer, activation).eval()
    module = traced(model, IMAGES)
    with torch.no_grad():
        expected = model(3 * IMAGES)
        fuse_operators(module)
        torch.testing.assert_close(module(3 * IMAGES), expected, rtol=1e-5, atol=1e-6)
    assert [name for name in operators(module) if "pointwise" not in name] == []
    assert len(operators(module)) == 1


@pytest.mark.parametrize(("activation", "name"), [(nn.ReLU(), "aten.relu_"), (nn.ReLU6(), "aten.hardtanh_")])
def test_other_activations_work_in_place(activation: nn.Module, name: str) -> None:
    module = traced(nn.Sequential(nn.Conv2d(4, 6, 3), activation).eval(), IMAGES)
    fuse_operators(module)
    assert operators(module)[-1].startswith(name)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU6(), nn.Hardswish(), nn.SiLU(), nn.Sigmoid()])
@pytest.mark.parametrize(
    "layer", [nn.Conv2d(4, 6, 3, padding=1), nn.Linear(5, 6), _Residual(lambda maps, other: maps + other)]
)
def test_what_is_not_finite_stays_so(layer: nn.Module, activation: nn.Module, value: float) -> None:
    images = IMAGES.clone()
    images[1, 2, 3, 4] = value
    model = nn.Sequential(layer, activation).eval()
    module = traced(model, IMAGES)
    with torch.no_grad():
        fuse_operators(module)
        expected, found = model(images), module(images)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5, equal_nan=True)
    assert not torch.isfinite(model[0](images)).all()


class _Chain(nn.Module):
    """A residual block whose shortcut is read by `reader` before the sum and by `later` after it."""

    def __init__(
        self, reader: Callable[[Tensor], Tensor], later: Callable[[Tensor], Tensor], *, direct: bool = False
    ) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Conv2d(4, 6, 1), nn.Conv2d(6, 6, 1), nn.Conv2d(6, 6, 3, padding=1)
        self.reader, self.later, self.direct = reader, later, direct

    def forward(self, images: Tensor) -> Tensor:
        shortcut = F.relu(self.first(images))
        seen = self.reader(shortcut)
        maps = self.third(shortcut if self.direct else F.relu(self.second(shortcut)))
        return F.relu(maps + shortcut) + seen.mean() + self.later(shortcut).mean()


def _nothing(maps: Tensor) -> Tensor:
    return torch.zeros(1)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
@pytest.mark.parametrize(
    ("reader", "later", "in_place"),
    [
        (_nothing, _nothing, True),
        (lambda maps: maps + 1, _nothing, True),
        (_nothing, lambda maps: maps + 1, False),
        (lambda maps: maps[:, :2], _nothing, False),
        (lambda maps: maps.permute(0, 2, 3, 1), _nothing, False),
    ],
)
def test_a_sum_takes_the_place_of_a_term_that_nobody_reads_afterwards(
    reader: Callable[[Tensor], Tensor], later: Callable[[Tensor], Tensor], in_place: bool
) -> None:
    torch.manual_seed(4)
    model = _Chain(reader, later).eval()
    module = traced(model, IMAGES)
    with torch.no_grad():
        fuse_operators(module)
        for _ in range(2):
            torch.testing.assert_close(module(IMAGES), model(IMAGES), rtol=1e-5, atol=1e-5)
    assert ("mkldnn._convolution_pointwise_.binary" in operators(module)) == in_place


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
def test_a_sum_never_takes_the_place_of_what_the_convolution_reads() -> None:
    model = _Chain(_nothing, _nothing, direct=True).eval()
    module = traced(model, IMAGES)
    with torch.no_grad():
        fuse_operators(module)
        torch.testing.assert_close(module(IMAGES), model(IMAGES), rtol=1e-5, atol=1e-5)
    assert "mkldnn._convolution_pointwise.binary" in operators(module)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
def test_a_sum_with_the_images_themselves_leaves_them_alone() -> None:
    class OntoImages(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, images: Tensor) -> Tensor:
            return self.conv(images) + images

    images = IMAGES.clone()
    module = traced(OntoImages().eval(), images)
    with torch.no_grad():
        fuse_operators(module)
        module(images)
    assert torch.equal(images, IMAGES)


def test_double_precision_is_left_alone() -> None:
    assert not can_fuse(traced(nn.Conv2d(4, 6, 3).double(), IMAGES.double()))


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
@pytest.mark.parametrize("inplace", [False, True])
def test_a_leaking_graph_gives_the_same_outputs_with_less_operators_and_the_same_tensors(inplace: bool) -> None:
    torch.manual_seed(5)
    model = nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU(inplace), nn.Conv2d(6, 6, 3), nn.ReLU(inplace)).eval()
    module = traced(model, IMAGES)
    with torch.no_grad():
        fuse_operators(module)
        quick = leaking(module)
        assert quick is not None
        assert (len(operators(module)), len(operators(quick))) == (4, 3)  # the last one is read by nobody's sum
        torch.testing.assert_close(quick(IMAGES), model(IMAGES), rtol=1e-5, atol=1e-6)
        assert (quick(IMAGES) == 0).any()
        for tensor in module.buffers():
            tensor.mul_(1.5)
        torch.testing.assert_close(quick(IMAGES), module(IMAGES), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("reader", [lambda maps: 1 / maps, torch.sign, lambda maps: maps == 0, torch.log])
def test_nothing_leaks_into_what_tells_a_little_from_nothing(reader: Callable[[Tensor], Tensor]) -> None:
    class Reading(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(4, 6, 3), nn.Conv2d(6, 6, 1)

        def forward(self, images: Tensor) -> Tensor:
            maps = F.relu(self.first(images))
            return self.second(maps) * reader(maps)

    module = traced(Reading().eval(), IMAGES)
    fuse_operators(module)
    assert leaking(module) is None


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_leaks_to_the_end(value: float) -> None:
    torch.manual_seed(6)
    model = nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.ReLU(), nn.Conv2d(6, 2, 1)).eval()
    module = traced(model, IMAGES)
    images = IMAGES.clone()
    images[1, 2, 3, 4] = value
    with torch.no_grad():
        fuse_operators(module)
        quick = leaking(module)
        assert quick is not None
        assert not torch.isfinite(quick(images)[1]).all()
