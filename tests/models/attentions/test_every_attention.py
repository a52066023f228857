import importlib
import pkgutil
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from gradscape._taps import collected_taps, find_taps
from gradscape.models import attentions
from gradscape.models.attentions.attention_augmented import AttentionAugmentedConv2d
from gradscape.models.attentions.bam import BAM
from gradscape.models.attentions.cbam import CBAM
from gradscape.models.attentions.double_attention import DoubleAttention
from gradscape.models.attentions.efficient_channel import EfficientChannelAttention
from gradscape.models.attentions.gather_excite import GatherExcite, GatherExciteTheta
from gradscape.models.attentions.global_context import GlobalContext
from gradscape.models.attentions.non_local import NonLocal
from gradscape.models.attentions.selective_kernel import SelectiveKernel
from gradscape.models.attentions.spatial_group_enhance import SpatialGroupEnhance
from gradscape.models.attentions.squeeze_excitation import SqueezeExcitation, SqueezeExcitationGate
from gradscape.models.attentions.stand_alone import StandAloneAttention2d
from gradscape.models.attentions.style_recalibration import StyleRecalibration
from tests.models.attentions.conftest import Settle

EVERY: dict[str, Callable[[], nn.Module]] = {
    "BAM": lambda: BAM(8, reduction=2, dilation=2),
    "CBAM": lambda: CBAM(8, reduction=2),
    "AttentionAugmentedConv2d": lambda: AttentionAugmentedConv2d(8, 12, side=5, stride=2, heads=3),
    "DoubleAttention": lambda: DoubleAttention(8, reduction=2),
    "EfficientChannelAttention": lambda: EfficientChannelAttention(8),
    "GatherExcite": GatherExcite,
    "GatherExciteTheta": lambda: GatherExciteTheta(8, extent=4),
    "GlobalContext": lambda: GlobalContext(8, reduction=2),
    "NonLocal": lambda: NonLocal(8),
    "SelectiveKernel": lambda: SelectiveKernel(8, 12, stride=2, groups=2),
    "SpatialGroupEnhance": lambda: SpatialGroupEnhance(4),
    "SqueezeExcitation": lambda: SqueezeExcitation(8, reduction=2),
    "SqueezeExcitationGate": lambda: SqueezeExcitationGate(6, 8, reduction=2, match=True),
    "StandAloneAttention2d": lambda: StandAloneAttention2d(8, 12, kernel_size=3, stride=2, heads=3),
    "StyleRecalibration": lambda: StyleRecalibration(8),
}
every = pytest.mark.parametrize("name", EVERY)


def _inputs(name: str) -> tuple[Tensor, ...]:
    features = torch.randn(3, 8, 4, 5).double()
    return (features, torch.randn(3, 6, 7, 9).double()) if name == "SqueezeExcitationGate" else (features,)


def test_every_public_attention_is_tested_here() -> None:
    files = [file.name for file in pkgutil.iter_modules(attentions.__path__, f"{attentions.__name__}.")]
    exported = [name for file in files for name in importlib.import_module(file).__all__]
    assert sorted(EVERY) == sorted(name for name in exported if not name.startswith("attach_"))


@every
@pytest.mark.parametrize("train", [False, True])
def test_gradients_equal_finite_differences(settle: Settle, name: str, *, train: bool) -> None:
    module = EVERY[name]()
    settle(module)
    module.train(train)
    inputs = tuple(x.requires_grad_() for x in _inputs(name))
    names = [key for key, _ in module.named_parameters()]
    parameters = tuple(parameter.requires_grad_() for parameter in module.parameters())

    def run(*tensors: Tensor) -> Tensor:
        state = dict(zip(names, tensors[len(inputs) :], strict=True))
        return functional_call(module, state, tensors[: len(inputs)])

    assert torch.autograd.gradcheck(run, (*inputs, *parameters), fast_mode=True)


@every
def test_an_image_alone_gives_what_it_gives_in_a_batch(settle: Settle, name: str) -> None:
    module = EVERY[name]()
    settle(module)
    inputs = _inputs(name)
    torch.testing.assert_close(module(*(x[1:2] for x in inputs)), module(*inputs)[1:2])


@every
def test_memory_format_makes_no_difference(settle: Settle, name: str) -> None:
    module = EVERY[name]()
    settle(module)
    inputs = _inputs(name)
    expected = module(*inputs)
    module.to(memory_format=torch.channels_last)
    torch.testing.assert_close(module(*(x.contiguous(memory_format=torch.channels_last) for x in inputs)), expected)


@every
def test_autocast_to_half_the_precision_stays_close(settle: Settle, name: str) -> None:
    module = EVERY[name]()
    settle(module)
    inputs = _inputs(name)
    expected = module(*inputs)
    module.float()
    with torch.autocast("cpu", torch.bfloat16):
        out = module(*(x.float() for x in inputs))
    assert (out.double() - expected).abs().max() < 0.05 * expected.abs().max()


@every
def test_taps_show_the_input_the_attention_and_the_result(settle: Settle, name: str) -> None:
    module = EVERY[name]()
    settle(module)
    inputs = _inputs(name)
    with collected_taps(module) as collected:
        out = module(*inputs)
    kinds = [tap.kind for tap in find_taps(module).values()]
    assert kinds[0] == "before"
    assert kinds[-1] == "result"
    assert list(collected) == kinds
    shown = {kind: tensors[0] for kind, tensors in collected.items()}
    assert torch.equal(shown["before"], inputs[0])
    assert torch.equal(shown["result"], out)
    assert len(shown) > 2


@every
def test_taps_have_the_shapes_of_their_kinds(settle: Settle, name: str) -> None:
    module = EVERY[name]()
    settle(module)
    with collected_taps(module) as collected:
        out = module(*_inputs(name))
    shown = {kind: tensors[0] for kind, tensors in collected.items()}
    if "channel" in shown:
        assert shown["channel"].flatten(1).shape == (3, out.shape[1])
    if "spatial" in shown:
        assert shown["spatial"].shape == (3, 1, 4, 5)
    if "mask" in shown:
        assert shown["mask"].shape == ((3, 8, 1, 2) if name == "GatherExciteTheta" else (3, 8, 4, 5))
    if "part" in shown:
        torch.testing.assert_close(shown["before"] + shown["part"], out)
    if "affinity" in shown:
        rows, columns = shown["affinity"].shape[2:]
        assert rows == columns == (6 if name == "AttentionAugmentedConv2d" else 20)
        torch.testing.assert_close(shown["affinity"].sum(3), torch.ones_like(shown["affinity"][..., 0]))
