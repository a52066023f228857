"""Hessian products against closed forms, torch's own dense Hessian and curvlinops."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.landscape import HessianProducts, mse
from gradscape.landscape.engine import LossFunction
from tests.landscape.networks import Quadratic, images_and_labels, small_net


def dense(products: HessianProducts) -> Tensor:
    """The whole matrix, column by column."""
    return products.product(torch.eye(products.dimension, dtype=torch.float64))


def dense_by_torch(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """By torch.autograd.functional.hessian, of the mean cross-entropy."""
    parameters = dict(model.named_parameters())
    sizes = [one.numel() for one in parameters.values()]

    def loss(flat: Tensor) -> Tensor:
        parts = zip(parameters.items(), flat.split(sizes), strict=True)
        moved = {name: part.reshape(one.shape) for (name, one), part in parts}
        return F.cross_entropy(torch.func.functional_call(model, moved, (images,)), labels)

    flat = torch.cat([one.detach().reshape(-1) for one in parameters.values()])
    return torch.autograd.functional.hessian(loss, flat)


def quadratic_loss(matrix: Tensor) -> LossFunction:
    def loss(output: Tensor, labels: Tensor) -> Tensor:
        return 0.5 * torch.einsum("ni,ij,nj->n", output, matrix.to(output), output) * labels

    return loss


def test_products_of_a_quadratic_are_those_of_its_matrix() -> None:
    matrix = torch.tensor([[2.0, 0.5, 0.0], [0.5, -1.0, 0.25], [0.0, 0.25, 4.0]], dtype=torch.float64)
    weights = torch.tensor([1.0, 3.0, 1.0, 1.0, 4.0], dtype=torch.float64)
    model = Quadratic(torch.ones(3, dtype=torch.float64))
    products = HessianProducts(model, [(torch.zeros(5, 2, dtype=torch.float64), weights)], loss=quadratic_loss(matrix))
    assert torch.allclose(dense(products), matrix * weights.mean(), atol=1e-12)
    vector = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    forms = products.image_forms(vector)
    assert np.allclose(forms, float(vector @ matrix @ vector) * weights.numpy(), atol=1e-12)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.GELU()])
def test_products_are_those_of_torchs_dense_hessian(activation: nn.Module) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 5), activation, nn.Linear(5, 3)).double()
    images, labels = torch.randn(11, 4).double(), torch.arange(11) % 3
    products = HessianProducts(net, [(images, labels)], batch_size=4)
    expected = dense_by_torch(net, images, labels)
    assert torch.allclose(dense(products), expected, atol=1e-12)
    vector = torch.randn(products.dimension).double()
    assert products.image_forms(vector).mean() == pytest.approx(float(vector @ expected @ vector), rel=1e-10)


def test_softmax_regression_has_its_closed_form_and_null_space() -> None:
    torch.manual_seed(0)
    net, images, labels = nn.Linear(4, 3, bias=False).double(), torch.randn(20, 4).double(), torch.arange(20) % 3
    p = net(images).detach().softmax(dim=1)
    inner = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    expected = torch.einsum("nab,ni,nj->aibj", inner, images, images).reshape(12, 12) / 20
    found = dense(HessianProducts(net, [(images, labels)]))
    assert torch.allclose(found, expected, atol=1e-12)
    assert int((torch.linalg.eigvalsh(found) < 1e-10).sum()) == 4  # the features: adding one vector to all classes


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:FutureWarning")
def test_a_conv_net_with_batch_norm_agrees_with_curvlinops() -> None:
    curvlinops = pytest.importorskip("curvlinops")
    net = small_net()
    images, labels = images_and_labels(23)
    products = HessianProducts(net, [(images, labels)], batch_size=10)
    parameters = [one for one in net.parameters() if one.requires_grad]
    theirs = curvlinops.HessianLinearOperator(
        net, nn.CrossEntropyLoss(), parameters, [(images, labels)], check_deterministic=False
    )
    vector = torch.randn(products.dimension, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(products.product(vector), theirs @ vector, rtol=1e-4, atol=1e-5)


def test_images_weigh_the_same_whatever_the_batches() -> None:
    """Eigenthings gives every batch the same weight: 84.14 instead of 8.56."""
    torch.manual_seed(0)
    images, answers = torch.randn(100, 5).double(), torch.randn(100, 1).double()
    images[96:] *= 5
    net = nn.Linear(5, 1, bias=False).double()
    expected = 2 * images.T @ images / 100
    for sizes in ([100], [96, 4]):
        batches = list(zip(images.split(sizes), answers.split(sizes), strict=True))
        assert torch.allclose(dense(HessianProducts(net, batches, loss=mse)), expected, rtol=1e-12)


def test_ignored_labels_do_not_count() -> None:
    net = small_net()
    images, labels = images_and_labels(23)
    labels[::4] = -100
    vector = torch.ones(sum(one.numel() for one in net.parameters()))
    kept = labels != -100
    all_of_them, known = (
        HessianProducts(net, [pair]).product(vector) for pair in [(images, labels), (images[kept], labels[kept])]
    )
    assert torch.equal(all_of_them, known)


def test_a_part_of_the_parameters_has_its_block_of_the_hessian() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).double()
    data = [(torch.randn(11, 4).double(), torch.arange(11) % 3)]
    whole = dense(HessianProducts(net, data))
    head = HessianProducts(net, data, parameters="2.*", ignore="biasbn")
    assert head.names == ("2.weight",)
    assert torch.allclose(dense(head), whole[25:40, 25:40], atol=1e-12)


def test_some_images_have_their_own_hessian() -> None:
    net = small_net()
    images, labels = images_and_labels(23)
    products = HessianProducts(net, [(images, labels)])
    vector, some = torch.ones(products.dimension), [1, 4, 5, 20]
    alone = HessianProducts(net, [(images[some], labels[some])]).product(vector)
    assert torch.allclose(products.part(some).product(vector), alone, rtol=1e-5, atol=1e-6)
    assert np.allclose(products.image_forms(vector)[some], products.part(some).image_forms(vector), rtol=1e-4)
    assert products.block_products(vector) == pytest.approx([products.image_forms(vector).mean()])


def test_a_vector_goes_to_a_direction_and_back() -> None:
    products = HessianProducts(small_net(), [images_and_labels(5)])
    vector = torch.randn(products.dimension)
    direction = products.to_direction(vector)
    assert {name: one.shape for name, one in direction.items()} == dict(
        zip(products.names, products.shapes, strict=True)
    )
    assert torch.equal(products.to_vector(direction).float(), vector)


def test_the_model_is_as_before_also_after_an_exception() -> None:
    """PyHessian leaves it in eval(), with gradients that hold a graph."""
    net = small_net().train()
    first, later = net.get_parameter("0.weight"), net.get_parameter("3.weight")
    first.requires_grad_(False)
    gradient = later.grad = torch.ones_like(later)
    before = {name: one.clone() for name, one in net.state_dict().items()}
    products = HessianProducts(net, [images_and_labels(9)])
    products.product(torch.ones(products.dimension))
    with pytest.raises(ValueError, match="finite Hessian"):
        products.product(torch.full((products.dimension,), torch.nan))
    assert net.training
    assert later.grad is gradient
    assert first.grad is None
    assert not first.requires_grad
    assert later.requires_grad
    assert all(torch.equal(one, before[name]) for name, one in net.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


class _Once(torch.autograd.Function):
    """The identity, with a backward pass that cannot be differentiated."""

    @staticmethod
    def forward(ctx, values):  # type: ignore[no-untyped-def]
        return values.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        return gradient.clone()


class _Reverse(torch.autograd.Function):
    """The square, with derivatives backward but none forward."""

    @staticmethod
    def forward(ctx, values):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(values)
        return values**2

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        return 2 * ctx.saved_tensors[0] * gradient


class _Through(nn.Module):
    def __init__(self, function: type[torch.autograd.Function]) -> None:
        super().__init__()
        self.linear, self.function = nn.Linear(4, 3), function

    def forward(self, images: Tensor) -> Tensor:
        return self.function.apply(self.linear(images))


def test_without_forward_derivatives_products_go_the_other_way() -> None:
    torch.manual_seed(0)
    net, images, labels = _Through(_Reverse).double(), torch.randn(7, 4).double(), torch.arange(7) % 3
    products = HessianProducts(net, [(images, labels)])
    expected = dense_by_torch(net, images, labels)
    assert torch.allclose(dense(products), expected, atol=1e-12)
    vector = torch.randn(products.dimension).double()
    assert products.image_forms(vector).mean() == pytest.approx(float(vector @ expected @ vector))


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (_Through(_Once), {}, "`model` must be twice differentiable"),
        (nn.Linear(4, 3), {"loss": nn.CrossEntropyLoss()}, "`loss` must give one number per image"),
        (nn.Linear(4, 3), {"parameters": "head*"}, "`parameters` must match a tensor"),
        (nn.Linear(4, 3), {"parameters": "bias", "ignore": "biasbn"}, "`parameters` 'bias' means tensors of one"),
        (nn.Linear(4, 3), {"batch_size": 0}, "`batch_size` must be at least 1"),
    ],
)
def test_what_has_no_hessian_is_refused(model: nn.Module, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HessianProducts(model, [(torch.randn(7, 4), torch.arange(7) % 3)], **options)


def test_a_forward_pass_without_gradients_is_refused() -> None:
    def forward(model: nn.Module, images: Tensor) -> Tensor:
        with torch.no_grad():
            return model(images)

    with pytest.raises(ValueError, match="does the forward pass detach"):
        HessianProducts(nn.Linear(4, 3), [(torch.randn(7, 4), torch.arange(7) % 3)], forward=forward)


class _Held(nn.Module):
    """A layer, its weight and bias given to a function of its own."""

    def __init__(self, held: Callable[[Tensor], Tensor], *, merges: bool = False) -> None:
        super().__init__()
        self.layer, self.head, self.auxiliary = nn.Linear(4, 5), nn.Linear(5, 3), nn.Linear(5, 3)
        self.held, self.merges = held, merges
        self.merged: Tensor | None = None

    def train(self, mode: bool = True) -> "_Held":
        super().train(mode)
        self.merged = self.layer.weight.detach() + 0 if self.merges and not mode else None
        return self

    def forward(self, images: Tensor) -> Tensor:
        weight = self.layer.weight if self.merged is None else self.merged
        return self.head(F.linear(images, weight, self.held(self.layer.bias)).relu())


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (_Held(Tensor.detach), "layer.bias"),
        (_Held(lambda bias: bias.data), "layer.bias"),
        (_Held(lambda bias: bias, merges=True), "layer.weight"),
    ],
)
def test_a_parameter_that_losses_follow_but_no_gradient_reaches_is_refused(model: nn.Module, name: str) -> None:
    data = [(torch.randn(7, 4, generator=torch.Generator().manual_seed(0)), torch.arange(7) % 3)]
    with pytest.raises(ValueError, match=f"none reaches {name}"):
        HessianProducts(model, data)
    products = HessianProducts(model, data, parameters="head*")
    assert bool(products.product(torch.arange(float(products.dimension))).any())


def test_a_parameter_that_losses_do_not_follow_has_no_curvature() -> None:
    data = [(torch.randn(7, 4, generator=torch.Generator().manual_seed(0)), torch.arange(7) % 3)]
    products = HessianProducts(_Held(lambda bias: bias), data)
    found = products.to_direction(products.product(torch.arange(float(products.dimension))))
    assert {name for name, one in found.items() if not bool(one.any())} == {"auxiliary.weight", "auxiliary.bias"}


def test_frozen_parameters_count_as_well() -> None:
    net, data = nn.Linear(4, 3).requires_grad_(False), [(torch.randn(7, 4), torch.arange(7) % 3)]
    assert bool(HessianProducts(net, data).product(torch.arange(15.0)).any())
    assert not net.weight.requires_grad


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused(kind: torch.dtype) -> None:
    with pytest.raises(ValueError, match=f"weight is in {str(kind)[6:]}"):
        HessianProducts(nn.Linear(4, 3).to(kind), [(torch.randn(7, 4).to(kind), torch.arange(7) % 3)])
