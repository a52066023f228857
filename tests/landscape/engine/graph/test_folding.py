from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from gradscape.landscape.engine.graph import fold_batch_norms
from gradscape.landscape.engine.moving import named_tensors
from tests.landscape.engine.graph.graphs import fill, folded, operators, traced, uneven

IMAGES = torch.rand(3, 4, 6, 5, generator=torch.Generator().manual_seed(0))
NORM = "aten.batch_norm.default"


class _PerPixel(nn.Module):
    """A linear layer over channels, as UPANets' pixel attention has it."""

    def __init__(self, dims: tuple[int, int, int, int] = (0, 3, 1, 2)) -> None:
        super().__init__()
        self.linear, self.norm, self.dims = nn.Linear(4, 7), nn.BatchNorm2d(7 if dims[1] == 3 else 6), dims

    def forward(self, images: Tensor) -> Tensor:
        return self.norm(self.linear(images.permute(0, 2, 3, 1)).permute(*self.dims))


class _Twice(nn.Module):
    """A convolution that somebody else listens to as well."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 7, 3), nn.BatchNorm2d(7)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images)
        return self.norm(maps) + maps


class _Shared(nn.Module):
    """One convolution before two batch norms: each use has its own folded weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.first, self.second = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> Tensor:
        return self.second(self.conv(torch.relu(self.first(self.conv(images)))))


@pytest.mark.parametrize(
    ("make", "left"),
    [
        (lambda: nn.Sequential(nn.Conv2d(4, 7, 3), nn.BatchNorm2d(7), nn.ReLU()), 0),
        (lambda: nn.Sequential(nn.Conv2d(4, 6, 3, groups=2, bias=False), nn.BatchNorm2d(6, affine=False)), 0),
        (lambda: nn.Sequential(nn.Conv2d(4, 7, 1, bias=False), nn.BatchNorm2d(7)), 0),
        (lambda: nn.Sequential(nn.Flatten(2), nn.Conv1d(4, 7, 3), nn.BatchNorm1d(7)), 0),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(120, 7), nn.BatchNorm1d(7)), 0),
        (_PerPixel, 0),
        (_Shared, 0),
        (lambda: _PerPixel((0, 1, 2, 3)), 1),
        (_Twice, 1),
        (lambda: nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 7, 3)), 1),
        (lambda: nn.Sequential(nn.ConvTranspose2d(4, 7, 3), nn.BatchNorm2d(7)), 1),
        (lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.GroupNorm(2, 6), nn.LayerNorm(3)), 0),
    ],
)
def test_a_folded_graph_gives_the_modules_outputs(make: Callable[[], nn.Module], left: int) -> None:
    torch.manual_seed(1)
    model = uneven(make())
    graph = folded(model, IMAGES)
    assert operators(graph.module).count(NORM) == left
    assert len(graph.folds) == graph.batch_norms - left
    for images in (IMAGES, IMAGES[:2] * 3):
        torch.testing.assert_close(graph.module(images), model(images), rtol=1e-5, atol=1e-5)


def test_the_fold_of_a_moved_model_is_the_moved_fold() -> None:
    model = uneven(nn.Sequential(nn.Conv2d(4, 7, 3), nn.BatchNorm2d(7)).double())
    (fold,) = fold_batch_norms(traced(model, IMAGES.double())).folds.values()
    tensors = {name: tensor.detach() for name, tensor in named_tensors(model).items()}
    names = {"0.weight", "0.bias", "1.bias"}
    direction = {name: torch.randn_like(tensors[name]) for name in names}
    assert fold.linear_in(names)
    assert not fold.linear_in({"1.weight"})
    assert not fold.linear_in({"1.running_var"})
    moved = fold.folded({**tensors, **{name: tensors[name] + 0.3 * direction[name] for name in names}})
    for there, here, change in zip(moved, fold.folded(tensors), fold.change(tensors, direction), strict=True):
        torch.testing.assert_close(there, here + 0.3 * change)


def test_the_graph_follows_the_models_own_tensors() -> None:
    model = uneven(nn.Sequential(nn.Conv2d(4, 7, 3), nn.BatchNorm2d(7), nn.Conv2d(7, 2, 1)))
    graph = folded(model, IMAGES)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(-1.7)
    fill(graph, named_tensors(model))
    torch.testing.assert_close(graph.module(IMAGES), model(IMAGES), rtol=1e-5, atol=1e-5)
    assert set(graph.sources.values()) == {"2.weight", "2.bias"}
