import warnings

import pytest
import torch
from torch import Tensor, nn

from gradscape.landscape.engine.graph import TracingError, trace

IMAGES = torch.rand(4, 3, 5, 7)


class _ByData(nn.Module):
    """Python decides by the images."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) if images.sum() > 0 else images.flatten(1) * 2


class _Counting(nn.Module):
    """A buffer that changes."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        self.get_buffer("calls").add_(1)
        return images.flatten(1)


@pytest.mark.parametrize(("model", "reason"), [(_ByData(), "data-dependent"), (_Counting(), "changes buffers")])
def test_what_is_no_graph_is_said(model: nn.Module, reason: str) -> None:
    with torch.no_grad(), pytest.raises(TracingError, match=reason):
        trace(model, IMAGES, lambda module, inputs: module(inputs))


def test_nested_inputs_and_outputs_and_any_number_of_images_go_through() -> None:
    layer = nn.Linear(7, 2)

    def forward(model: nn.Module, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        return model(inputs["left"]), inputs["right"] + 1

    given = {"left": IMAGES, "right": torch.arange(4.0)}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        module = trace(layer, given, forward)
        fewer = {name: tensor[:3] for name, tensor in given.items()}
        torch.testing.assert_close(module(fewer), forward(layer, fewer))


def test_tied_weights_are_one_tensor_of_the_graph() -> None:
    model = nn.Sequential(nn.Linear(7, 7), nn.ReLU(), nn.Linear(7, 7))
    model[2].weight = model[0].weight
    with torch.no_grad():
        module = trace(model, IMAGES, lambda module, inputs: module(inputs))
    sources = {node.meta["source"] for node in module.graph.find_nodes(op="get_attr")}
    assert sources == {"0.weight", "0.bias", "2.bias"}
    assert len(list(module.buffers())) == 3
