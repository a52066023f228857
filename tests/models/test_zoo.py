"""What every model of the zoo can do: the papers' leading ones always, each attention marked slow, all others zoo."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape._taps import collected_taps, find_taps
from gradscape.models import create_model, load_checkpoint, save_checkpoint
from gradscape.models.printed import COMBINATIONS
from gradscape.models.registry import ATTENTIONS, MODELS

_LEADS = (
    "upanet16",
    "resnet18+spa_a",
    "mobilenet_v1@width=0.5+ulsam@after=8:9,replace=11",
    "mobilenet_v2+ulsam@replace=14:17",
    "attention56",
    "attention92@activation=spatial,learning=nal",
    "cifar_resnet18+ba2m",
)
# BAM and the attentions whose groups or heads divide 64 channels or more need a wider network than the smallest.
_WIDE = {"sge", "nl", "a2", "bam", "aa", "sasa"}
_ALONE = tuple(f"{'cifar_resnet18' if name in _WIDE else 'resnet20'}+{name}" for name in ATTENTIONS if name != "ulsam")
_COMPOSED = ("cifar_resnet18+bam+ba2m", "resnet20+se_c+ba2m@place=inside,scale_by_batch=false")
# What the papers' texts describe beside their code.
_TURNED = (
    "attention56@p=2,t=1,r=2,tail=4,stem=strided,dropout=0.1,activation=spatial_map",
    "cifar_mobilenet_v2+spa_c@wider=true",
    "cifar_resnet50@stride=first+se@stages=1+bam@layout=equations",
    "mobilenet_v1@width=0.5+ulsam@after=11,layout=equations",
)
_ATTENTIONS = (*_ALONE, *_COMPOSED, *_TURNED)
_OTHERS = tuple(sorted({*MODELS, *COMBINATIONS} - {*_LEADS, *_ATTENTIONS}))


def _marked(chosen: Callable[[str], bool]) -> list[Any]:
    """The leading names, those of the attentions, and the long list, of which every tenth is run by CI too."""
    others = [name for name in _OTHERS if chosen(name)]
    return [
        *(name for name in _LEADS if chosen(name)),
        *(pytest.param(name, marks=pytest.mark.slow) for name in _ATTENTIONS if chosen(name)),
        *(
            pytest.param(name, marks=[pytest.mark.zoo, *([] if number % 10 else [pytest.mark.tenth])])
            for number, name in enumerate(others)
        ),
    ]


every_model = pytest.mark.parametrize("name", _marked(lambda _: True))


def _attends(name: str) -> bool:
    return "+" in name or (name.startswith(("attention", "upanet")) and "_no_cpa" not in name)


every_attentive_model = pytest.mark.parametrize("name", _marked(_attends))


def _for_imagenet(name: str) -> bool:
    return MODELS[name.partition("+")[0].partition("@")[0]].image_size == 224


def _side(name: str) -> int:
    return 64 if _for_imagenet(name) else 32


def _network(name: str, *, image_size: int | None = None) -> nn.Module:
    torch.manual_seed(0)
    return create_model(name, num_classes=5, image_size=image_size or _side(name))


def _images(name: str, count: int) -> Tensor:
    return torch.randn(count, 3, _side(name), _side(name), generator=torch.Generator().manual_seed(1))


@contextmanager
def _no_grad_eval(network: nn.Module) -> Iterator[nn.Module]:
    with torch.no_grad():
        yield network.eval()


def _settled(name: str) -> nn.Module:
    """A network whose running statistics are those of a batch: with fresh ones a deep network's outputs explode."""
    network = _network(name).train()
    momenta = {module: module.momentum for module in network.modules() if isinstance(module, nn.BatchNorm2d)}
    for module in momenta:
        module.momentum = 1.0
    with torch.no_grad():
        network(_images(name, 16))
    for module, momentum in momenta.items():
        module.momentum = momentum
    return network


def _assert_near(actual: Tensor, expected: Tensor, share: float) -> None:
    """Compare with the largest output, not each with itself: outputs near zero are differences of large numbers."""
    difference, largest = (actual.to(expected.dtype) - expected).abs().max(), expected.abs().max()
    assert difference <= share * largest, f"{difference:.3g} of {largest:.3g}"


@pytest.mark.slow
@every_model
def test_one_training_step_lowers_the_loss_on_its_batch(name: str) -> None:
    network = _network(name).train()
    images, labels = _images(name, 6), torch.tensor([0, 1, 2, 3, 4, 1])

    def loss() -> Tensor:
        torch.manual_seed(2)  # dropout
        return F.cross_entropy(network(images), labels)

    before = loss()
    before.backward()
    steepness = sum(float(p.grad.square().sum()) for p in network.parameters() if p.grad is not None)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter.sub_(0.01 * before / steepness * parameter.grad)  # to first order 1 % of the loss
        after = loss()
    assert 0.98 * before < after < 0.998 * before


@every_model
def test_every_parameter_has_a_share_in_the_training_loss(name: str) -> None:
    network = _network(name).train()
    F.cross_entropy(network(_images(name, 6)), torch.tensor([0, 1, 2, 3, 4, 1])).backward()
    assert [key for key, parameter in network.named_parameters() if parameter.grad is None] == []


@pytest.mark.slow
@every_model
def test_an_images_output_does_not_depend_on_its_batch_nor_on_the_memory_format(name: str) -> None:
    images = _images(name, 7).double()  # a deep network would make much of the rounding of single precision
    with _no_grad_eval(_settled(name).double()) as network:
        together = network(images)
        alone = torch.cat([network(image[None]) for image in images[:2]])
        last = copy.deepcopy(network).to(memory_format=torch.channels_last)
        other = last(images.contiguous(memory_format=torch.channels_last))
    assert together.shape == (7, 5)
    _assert_near(alone, together[:2], 1e-6)
    _assert_near(other, together, 1e-6)


@pytest.mark.slow
@every_model
def test_bf16_autocast_gives_nearly_the_same_output(name: str) -> None:
    images = _images(name, 3)
    with _no_grad_eval(_settled(name)) as network:
        exact = network(images)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(images)
        rounding = (network(images.bfloat16().float()) - exact).abs().max()
    # A deep network fresh from its initialization answers to the rounding of its images alone by a third.
    share = float(10 * rounding / exact.abs().max())
    _assert_near(rough, exact, max(0.1, share))


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
@every_model
def test_compiled_whole_graph_gives_the_same_output(name: str) -> None:
    images = _images(name, 2)
    torch.compiler.reset()
    with _no_grad_eval(_settled(name)) as network:
        compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
        _assert_near(compiled(images), network(images), 1e-4)


@pytest.mark.slow
@every_model
def test_exported_program_gives_the_same_output(name: str) -> None:
    images = _images(name, 2)
    with _no_grad_eval(_settled(name)) as network:
        program = torch.export.export(network, (images,))
        _assert_near(program.module()(images), network(images), 1e-4)


@every_model
def test_checkpoint_round_trip_keeps_the_output(name: str, tmp_path: Path) -> None:
    network = _network(name).train()
    network(_images(name, 6))  # moves the running statistics
    path, side = tmp_path / "x.safetensors", _side(name)
    save_checkpoint(path, network, name=name, num_classes=5, image_size=side, mean=(0.0,) * 3, std=(1.0,) * 3)
    images = _images(name, 2)
    with _no_grad_eval(network):
        expected = network(images)
        assert torch.equal(load_checkpoint(path).network(images), expected)


@pytest.mark.slow
@every_model
def test_other_image_sizes_and_a_single_image_work(name: str) -> None:
    sizes = (96, 224) if _for_imagenet(name) else (40, 64)
    for side in sizes:
        with _no_grad_eval(_network(name, image_size=side)) as network:
            output = network(torch.randn(1, 3, side, side))
        assert output.shape == (1, 5)
        assert torch.isfinite(output).all()


@pytest.mark.slow
@every_model
def test_stem_stages_and_head_are_parts_that_run(name: str) -> None:
    network = _settled(name).eval()
    ran: list[int] = []
    parts = [network.get_submodule("stem"), *network.get_submodule("stages"), network.get_submodule("head")]  # type: ignore[misc]
    for number, part in enumerate(parts):
        part.register_forward_hook(lambda *_, number=number: ran.append(number))
    images = _images(name, 2)
    with torch.no_grad():
        logits = network(images)
        assert ran == list(range(len(parts)))
        features = network.forward_features(images)  # type: ignore[operator]
        _assert_near(network.get_submodule("head")(features), logits, 1e-5)


@every_model
def test_feature_maps_are_what_stem_and_stages_yield_and_the_last_is_averaged(name: str) -> None:
    network = _settled(name).eval()
    seen: dict[int, Tensor] = {}
    parts = [network.get_submodule("stem"), *network.get_submodule("stages")]  # type: ignore[misc]
    for number, part in enumerate(parts):
        part.register_forward_hook(lambda _module, _inputs, output, number=number: seen.update({number: output}))
    images = _images(name, 2)
    with torch.no_grad():
        network(images)
        yielded = dict(seen)
        maps: list[Tensor] = network.feature_maps(images)  # type: ignore[operator]
        features = network.forward_features(images)  # type: ignore[operator]
    assert len(parts) <= len(maps) <= len(parts) + 1
    for number, own in enumerate(maps[: len(parts)]):
        assert torch.equal(own, yielded[number])
    if not name.startswith("upanet"):  # whose classifier sees more
        _assert_near(maps[-1].mean((2, 3)), features, 1e-5)


@every_attentive_model
def test_taps_of_every_attention_pass_what_goes_in_and_what_comes_out(name: str) -> None:
    network = _network(name).eval()
    taps = find_taps(network)
    blocks = {tap.rpartition(".")[0] for tap in taps}
    assert blocks
    images = _images(name, 3)
    with torch.no_grad(), collected_taps(network) as collected:
        observed = network(images)
    with torch.no_grad():
        torch.testing.assert_close(network(images), observed)
    assert all(len(tensors) >= 1 for tensors in collected.values())
    for tap, (tensor, *_) in collected.items():
        assert torch.isfinite(tensor).all()
        assert _fits(taps[tap].kind, tensor, batch=3), (tap, taps[tap].kind, tensor.shape)
    for block in blocks:
        kinds = {taps[tap].kind for tap in taps if tap.rpartition(".")[0] == block}
        if not kinds <= {"part"}:  # a list of a block's own taps
            assert {"before", "result"} < kinds


def _fits(kind: str, tensor: Tensor, *, batch: int) -> bool:
    """Whether a tensor has a shape that its tap's kind allows."""
    shape = tuple(tensor.shape)
    match kind:
        case "channel":
            return len(shape) == 2 or (len(shape) == 4 and shape[0] == batch and shape[2:] == (1, 1))
        case "spatial":
            return len(shape) == 4 and shape[1] == 1 and shape[0] in (1, batch)
        case "scale weights":
            return len(shape) == 1
        case "batch weights":
            return shape == (batch,)
        case "affinity":
            return len(shape) == 4 and torch.allclose(tensor.sum(3), torch.ones(shape[:3]), atol=1e-4)
        case "subspace":
            return len(shape) == 4 and torch.allclose(tensor.sum((2, 3)), torch.ones(shape[:2]), atol=1e-4)
        case _:
            return shape[0] == batch and len(shape) in (2, 4)
