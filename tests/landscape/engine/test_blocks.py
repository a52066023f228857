from collections import OrderedDict, UserDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.landscape import evaluate_surface, random_directions
from gradscape.landscape.engine.blocks import count_images, cut_blocks, join_blocks, map_tensors, tensors_in

AXIS = [-1.0, 0.0, 0.5]


class _Pair(NamedTuple):
    logits: Tensor
    hidden: Tensor | None = None


@dataclass(frozen=True)
class _Frozen:
    logits: Tensor
    name: str = "frozen"


@dataclass(slots=True)
class _Slotted:
    logits: Tensor
    cache: list[tuple[Tensor, Tensor]] = field(default_factory=list)


class _Attributed(OrderedDict[str, Any]):
    """As libraries' outputs: entries are attributes, too."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(name)


class _Mirrored(dict[str, Any]):
    def __init__(self, *args: Any, **entries: Any) -> None:
        super().__init__(*args, **entries)
        self.__dict__ = self


@dataclass
class _ByField(OrderedDict[str, Any]):
    """As transformers' outputs: a data class and a dict of what is not None."""

    logits: Tensor
    loss: Tensor | None = None

    def __post_init__(self) -> None:
        super().__setitem__("logits", self.logits)

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        super().__setattr__(key, value)

    def __reduce__(self) -> Any:
        return type(self), (self.logits, self.loss)


OUTPUTS = [_Pair, _Frozen, _Slotted, _Attributed, _Mirrored, _ByField]


@pytest.mark.parametrize("kind", OUTPUTS)
def test_an_output_stays_of_its_kind_and_its_attributes_are_mapped(kind: Any) -> None:
    logits = torch.rand(6, 3)
    output = kind(logits=logits)
    part = map_tensors(lambda tensor: tensor[:2], output)
    assert type(part) is kind
    torch.testing.assert_close(part.logits, logits[:2])
    assert isinstance(part, (_Frozen, _Slotted)) or torch.equal(part[0 if kind is _Pair else "logits"], logits[:2])
    assert output.logits is logits  # the output itself is left alone
    assert [tensor.shape for tensor in tensors_in(part)] == [(2, 3)]


def test_what_is_no_tensor_stays_where_it_is() -> None:
    tree = (torch.rand(4, 2), None, [(torch.rand(4), torch.rand(4))], {"steps": 3, "kind": "greedy"})
    mapped = map_tensors(lambda tensor: tensor[0], tree)
    assert (mapped[1], mapped[3]) == (None, {"steps": 3, "kind": "greedy"})
    assert isinstance(mapped[2][0], tuple)
    assert len(list(tensors_in(mapped))) == 3


def test_batches_may_be_dicts_of_a_class_of_their_own() -> None:
    tokens, mask = torch.arange(40).reshape(10, 4), torch.ones(10, 4)
    batches = [(UserDict(ids=tokens[a : a + 5], mask=mask[a : a + 5]), torch.zeros(5)) for a in (0, 5)]
    first, second = cut_blocks(batches, 7)
    (joined,) = join_blocks([first, second], 0, 2)
    assert isinstance(joined.inputs, UserDict)
    torch.testing.assert_close(joined.inputs["ids"], tokens)
    assert [len(batch[0]["ids"]) for batch in batches] == [5, 5]


class _Encoding(UserDict[str, Any]):
    """As tokenizers give them: entries, and beside them what is none."""

    def __init__(self, entries: dict[str, Any], count: int) -> None:
        super().__init__(entries)
        self.count = count


def test_what_a_dict_of_a_class_of_its_own_knows_beside_stays() -> None:
    tokens = torch.arange(18).reshape(6, 3)
    given = _Encoding({"ids": tokens}, 6)
    (block,) = cut_blocks([(given, torch.zeros(6))], 8)
    part = block.part(1, 3).inputs
    assert (type(part), part.count) == (_Encoding, 6)
    torch.testing.assert_close(part["ids"], tokens[1:3])
    assert given["ids"] is tokens


class _Net(nn.Module):
    """Logits in an output of some kind, beside what is no entry for each image."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.linear, self.kind = nn.Linear(4, 3), kind

    def forward(self, inputs: Tensor) -> Any:
        return self.kind(self.linear(inputs))


def _data(count: int = 40) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(2)
    return [(torch.randn(count, 4, generator=generator), torch.randint(0, 3, (count,), generator=generator))]


@pytest.mark.slow
@pytest.mark.usefixtures("form")
@pytest.mark.parametrize(
    "kind",
    [
        *[lambda logits, kind=kind: kind(logits=logits) for kind in OUTPUTS],
        lambda logits: (logits, None),
        lambda logits: {"loss": logits.mean(), "logits": logits},
        lambda logits: (logits, logits.square().mean(), [(logits[:, None, None], logits[:, None, None])]),
    ],
)
def test_the_default_loss_finds_the_logits_in_every_form(kind: Any) -> None:
    net, data = _Net(kind), _data()
    directions = random_directions(net, seed=0)
    surface = evaluate_surface(net, data, directions, AXIS, AXIS[:2], precision="fp32")
    plain = evaluate_surface(
        net, data, directions, AXIS, AXIS[:2], forward=lambda model, x: model.get_submodule("linear")(x)
    )
    assert surface.loss == pytest.approx(plain.loss, rel=1e-6)
    assert (surface.error == plain.error).all()
    assert surface.origin.loss == pytest.approx(F.cross_entropy(net.linear(data[0][0]), data[0][1]).item(), rel=1e-6)


@pytest.mark.usefixtures("form")
def test_a_users_loss_gets_the_attributes_at_every_point() -> None:
    net, data = _Net(_Attributed_of), _data()
    directions = random_directions(net, seed=0)

    def loss(output: Any, labels: Tensor) -> Tensor:
        return F.cross_entropy(output.logits, labels, reduction="none")

    surface = evaluate_surface(net, data, directions, AXIS, AXIS, loss=loss, metric=None)
    plain = evaluate_surface(net, data, directions, AXIS, AXIS)
    assert surface.loss == pytest.approx(plain.loss, rel=1e-6)


def _Attributed_of(logits: Tensor) -> _Attributed:
    return _Attributed(logits=logits)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            lambda logits: (logits, logits.square()),
            r"`forward` must say which part .*0: \(32, 3\), 1: \(32",
        ),
        (lambda logits: {"text": "no", "score": None}, "`model` must give tensors, but it gives dict"),
        (lambda logits: (logits[:, None], 1), "take out one prediction for each image by `forward`"),
    ],
)
def test_where_the_logits_are_not_plain_forward_is_asked_for(kind: Any, message: str) -> None:
    net = _Net(kind)
    with pytest.raises((TypeError, ValueError), match=message):
        evaluate_surface(net, _data(), random_directions(net, seed=0), AXIS, AXIS)


def test_a_number_over_the_batch_that_enters_the_loss_is_refused() -> None:
    net = _Net(lambda logits: (logits, logits.square().mean()))

    def loss(output: tuple[Tensor, Tensor], labels: Tensor) -> Tensor:
        return F.cross_entropy(output[0], labels, reduction="none") + output[1]

    with pytest.raises(ValueError, match="`loss` must judge each image by itself"):
        evaluate_surface(net, _data(), random_directions(net, seed=0), AXIS, AXIS, loss=loss, metric=None)


class _Lengths(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.embedding(tokens).mean(dim=1)


@pytest.mark.parametrize("lengths", [(5, 5, 6), (5, 6, 5)])
@pytest.mark.parametrize("size", [11, 32])
@pytest.mark.parametrize("in_memory", [True, False])
def test_batches_of_other_lengths_are_refused(lengths: tuple[int, ...], size: int, in_memory: bool) -> None:
    batches = [(torch.randint(0, 9, (size, length)), torch.randint(0, 4, (size,))) for length in lengths]
    given = batches if in_memory else _Loader(batches)
    calls: list[int] = []
    model = _Lengths()
    model.register_forward_hook(lambda *_: calls.append(1))
    with pytest.raises(ValueError, match=r"`batches` must hold images .* inputs is \(6,\) int64 where .* \(5,\) int64"):
        evaluate_surface(model, given, random_directions(model, seed=0), AXIS, AXIS)
    assert not (calls and in_memory)  # before any work


class _Loader:
    """Batches that are loaded as they are asked for."""

    def __init__(self, batches: list[Any]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iter(self._batches)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((torch.rand(4, 2), None), "got NoneType in its labels"),
        (({"image": torch.rand(4, 2), "size": 3}, torch.zeros(4)), "got int in its inputs size"),
        ((torch.rand(4, 2), torch.tensor(1)), "got a single number in its labels"),
        ((torch.rand(4, 2), torch.zeros(3)), r"got the lengths \[3, 4\]"),
        (torch.rand(2, 4), "must give pairs"),
    ],
)
def test_batches_that_are_none_are_refused(batch: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        list(cut_blocks([batch], 8))


def test_batches_with_other_entries_are_refused() -> None:
    batches = [({"a": torch.rand(4, 2)}, torch.zeros(4)), ({"b": torch.rand(4, 2)}, torch.zeros(4))]
    with pytest.raises(ValueError, match="inputs a is nothing where the first batch has"):
        list(cut_blocks(batches, 8))


def test_images_without_a_label_make_no_block() -> None:
    images, labels = torch.arange(50.0)[:, None], torch.arange(50) % 7
    labels[labels > 3] = 255
    kept = images[labels != 255]
    batches = list(zip(images.split(9), labels.split(9), strict=True))
    blocks = list(cut_blocks(batches, 8, ignored=255))
    assert [block.count for block in blocks] == [8] * (len(kept) // 8) + [len(kept) % 8]
    torch.testing.assert_close(torch.cat([block.inputs for block in blocks]), kept)
    assert count_images(batches, ignored=255) == len(kept)
    assert count_images(batches) == 50
    with pytest.raises(ValueError, match="at least one image whose label is not 255"):
        list(cut_blocks([(images, torch.full((50,), 255))], 8, ignored=255))
