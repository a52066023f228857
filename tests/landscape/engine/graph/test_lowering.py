import pytest
import torch
from torch import Tensor, nn

from gradscape.landscape.engine.graph import lower_to_bf16
from tests.landscape.engine.graph.graphs import folded, traced, uneven

IMAGES = torch.rand(8, 3, 9, 7, generator=torch.Generator().manual_seed(0))


def _network() -> nn.Sequential:
    """Normalization of the images, a convolution with batch norm, a leading batch norm, a head."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.BatchNorm2d(3, affine=False),
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 6, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 5),
    )


def test_products_are_taken_in_bf16_and_the_head_and_the_norms_stay_in_fp32() -> None:
    model = uneven(_network())
    module = folded(model, IMAGES).module
    seen: dict[str, torch.dtype] = {}

    class Recorder(torch.fx.Interpreter):
        def call_function(self, target, args, kwargs):  # type: ignore[no-untyped-def]
            found = super().call_function(target, args, kwargs)
            seen[f"{len(seen)} {target}"] = found.dtype
            if "batch_norm" in str(target):
                assert all(tensor.dtype == torch.float32 for tensor in args[1:5] if tensor is not None)
            return found

    lower_to_bf16(module)
    with torch.no_grad():
        output = Recorder(module).run(IMAGES)
        torch.testing.assert_close(output, model(IMAGES), rtol=0.03, atol=0.03)
    by_kind = {kind: {dtype for name, dtype in seen.items() if kind in name} for kind in ("conv2d", "pool", "linear")}
    assert by_kind == {"conv2d": {torch.bfloat16}, "pool": {torch.float32}, "linear": {torch.float32}}
    assert not torch.equal(output, model(IMAGES))
    assert module(IMAGES[:2]).shape == (2, 5)


def test_weights_that_are_only_read_in_bf16_are_held_in_bf16() -> None:
    module = traced(
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 6, 3), nn.Flatten(), nn.Linear(90, 5)).eval(), IMAGES
    )
    lower_to_bf16(module)
    dtypes = [tensor.dtype for tensor in module.buffers()]
    assert dtypes.count(torch.bfloat16) == 4
    assert dtypes.count(torch.float32) == 2


class _Mixed(nn.Module):
    """A parameter that is added to the images and to the maps after a product."""

    def __init__(self) -> None:
        super().__init__()
        self.shift, self.conv = nn.Parameter(torch.rand(3, 1, 1)), nn.Conv2d(3, 3, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.conv(images + self.shift) * self.shift


@pytest.mark.parametrize("model", [_Mixed(), nn.Sequential(nn.Linear(7, 4), nn.Conv2d(3, 2, 1))])
def test_graphs_without_a_head_and_with_mixed_readers_run(model: nn.Module) -> None:
    module = traced(model.eval(), IMAGES)
    lower_to_bf16(module)
    with torch.no_grad():
        torch.testing.assert_close(module(IMAGES).float(), model(IMAGES), rtol=0.03, atol=0.03)
