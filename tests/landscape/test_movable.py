import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import weight_norm

from gradscape.landscape import difference_direction, random_directions
from gradscape.landscape.movable import unmovable_weights

# Of old ways that networks are still made in.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")


class _Holding(nn.Module):
    """A layer, and one thing more."""

    def __init__(self, **held: object) -> None:
        super().__init__()
        self.out = nn.Linear(4, 2)
        for name, value in held.items():
            setattr(self, name, value)


def _int8(*shape: int) -> Tensor:
    return torch.randint(-100, 100, shape, dtype=torch.int8)


def _moved(model: nn.Module, parameters: str) -> set[str]:
    directions = random_directions(model, seed=0, ignore="none", parameters=parameters)
    return {name for name, change in directions[0].items() if change.any()}


def test_patterns_choose_exclude_and_combine() -> None:
    net = nn.ModuleDict({"stem": nn.Linear(5, 4), "body": nn.Linear(4, 4), "head": nn.Linear(4, 3)})
    net["stem"].requires_grad_(False)
    everything = dict(net.named_parameters()).keys()
    assert _moved(net, "*") == everything
    assert _moved(net, "!head*") == {name for name in everything if not name.startswith("head")}
    assert _moved(net, "body*, head*,!*.bias") == {"body.weight", "head.weight"}
    assert _moved(net, "!body* !head* !*.bias") == {"stem.weight"}
    assert _moved(net, "trainable") == {name for name in everything if not name.startswith("stem")}
    assert _moved(net, "trainable !head*") == {"body.weight", "body.bias"}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("!hed*", "`parameters` must match .* but 'hed\\*' matches none"),
        ("out*, no*", "'no\\*' matches none"),
        ("out.* !out*", "leaves none"),
        ("*.bias", '`ignore`="none" lets them move'),
    ],
)
def test_patterns_that_name_nothing_are_refused(parameters: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        random_directions(_Holding(), seed=0, parameters=parameters)


@pytest.mark.parametrize(
    ("held", "kind"),
    [
        (nn.Parameter(_int8(3, 4), requires_grad=False), "integers"),
        (nn.Buffer(torch.randint(200, (3, 4), dtype=torch.uint8)), "integers"),
        (_int8(3, 4), "integers"),
        (nn.Buffer(torch.randn(3, 4).to(torch.float8_e4m3fn)), "float8_e4m3fn"),
        (torch.randn(3, 4), "a tensor that is no parameter"),
        ([nn.Parameter(torch.randn(3, 4))], "a tensor that is no parameter"),
        ([nn.Linear(3, 4)], "a module that is not registered"),
    ],
)
def test_weights_that_cannot_move_are_refused_by_name(held: object, kind: str) -> None:
    net = _Holding(inner=held)
    (name,) = unmovable_weights(net)
    with pytest.raises(ValueError, match="these would stay in place") as refusal:
        random_directions(net, seed=0)
    assert f"{name} ({kind})" in str(refusal.value)
    assert f'"!{name}"' in str(refusal.value)
    with pytest.raises(ValueError, match=f"stay those of `model`: {name[:5]}"):
        difference_direction(net, _Holding())


@pytest.mark.parametrize("table", [torch.randn(3, 4), _int8(3, 4), torch.randn(3, 4).to(torch.float8_e5m2)])
def test_what_two_networks_share_stays_rightly(table: Tensor) -> None:
    first, second = _Holding(table=table), _Holding(table=table.clone())
    assert difference_direction(first, second).keys() == {"out.weight", "out.bias"}
    with pytest.raises(ValueError, match=r"stay those of `model`: table"):
        difference_direction(first, _Holding(table=table.flip(0)))


def test_what_is_in_a_list_may_be_left_out_by_its_name() -> None:
    net = _Holding(tables=[nn.Parameter(torch.randn(3, 4 + index)) for index in range(7)])
    with pytest.raises(ValueError, match=r'Register them, or leave them out: .*!tables\[4\]" …$') as refusal:
        random_directions(net, seed=0)
    assert "quantized" not in str(refusal.value)
    assert _moved(net, " ".join(f"!tables[{index}]" for index in range(7))) == {"out.weight", "out.bias"}


def test_what_is_said_to_stay_in_place_may() -> None:
    net = _Holding(inner=nn.Parameter(_int8(3, 4), requires_grad=False))
    for parameters in ("!inner", "out.*", "trainable"):
        assert _moved(net, parameters) == {"out.weight", "out.bias"}


def test_indices_masks_tables_and_derived_weights_are_no_weights() -> None:
    net = _Holding(
        index=nn.Buffer(torch.arange(12).reshape(3, 4)),
        mask=nn.Buffer(torch.ones(4, 4, dtype=torch.uint8).tril()),
        table=torch.randn(1, 5, 4),
        mean=torch.zeros(3),
        causal=torch.full((4, 4), -torch.inf).triu(1),
        window=torch.ones(4, 4).tril(),
        normed=weight_norm(nn.Linear(3, 4)),
        recurrent=nn.LSTM(3, 4),
        itself=[nn.Identity()],
    )
    assert not unmovable_weights(net)


def test_static_quantized_and_scripted_quantized_modules_are_refused() -> None:
    net = nn.Sequential(torch.ao.nn.quantized.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    with pytest.raises(ValueError, match="packed by quantization"):
        random_directions(net, seed=0)
    quantized = torch.quantize_per_tensor(torch.randn(3, 4), 0.1, 0, torch.qint8)
    with pytest.raises(ValueError, match=r"inner \(qint8\)"):
        random_directions(_Holding(inner=quantized), seed=0)
    with pytest.raises(ValueError, match="packed by quantization"):
        random_directions(torch.jit.script(net), seed=0)


def test_modules_without_tensors_and_without_shapes_are_refused() -> None:
    frozen = torch.jit.freeze(torch.jit.script(nn.Linear(4, 2).eval()))
    with pytest.raises(ValueError, match="no tensors that could move"):
        random_directions(frozen, seed=0)
    with pytest.raises(ValueError, match=r"must have run once before: 1\.weight"):
        random_directions(nn.Sequential(nn.ReLU(), nn.LazyLinear(2)), seed=0)
