import gc
import importlib.util
import sys
import weakref
from typing import Any

import numpy as np
import pytest
import pytorch_grad_cam
import torch
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from gradscape.explain.package_cam import PACKAGE_METHODS
from tests.explain.package_peers import CLASSES, itself, ours, pictures, small_net, theirs


class _Snapshot:
    """Everything about a model and the process that must be as before."""

    def __init__(self, model: nn.Module) -> None:
        self.modules = [(name, id(module), module.training) for name, module in model.named_modules()]
        self.hooks = [dict(module._forward_hooks) for module in model.modules()]
        self.tensors = {name: (id(one), one.clone()) for name, one in model.state_dict(keep_vars=True).items()}
        self.gradients = [
            (one.requires_grad, id(one.grad), None if one.grad is None else one.grad.clone())
            for one in model.parameters()
        ]
        self.random = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002

    def check(self, model: nn.Module) -> None:
        now = _Snapshot(model)
        assert now.modules == self.modules
        assert now.hooks == self.hooks
        for name, (identity, value) in self.tensors.items():
            assert now.tensors[name][0] == identity
            assert torch.equal(now.tensors[name][1], value)
        for (needed, identity, value), before in zip(now.gradients, self.gradients, strict=True):
            assert (needed, identity) == before[:2]
            assert value is None or (before[2] is not None and torch.equal(value, before[2]))
        assert torch.equal(now.random[0], self.random[0])
        assert (now.random[1] == self.random[1]).all()


def trained_net() -> Any:
    """In training mode, with gradients, and partly frozen."""
    net = small_net()
    net(pictures()).sum().backward()
    net[0].requires_grad_(False)
    net[3].register_forward_hook(lambda _module, _inputs, _output: None)
    return net.train()


@pytest.mark.parametrize("method", PACKAGE_METHODS)
def test_everything_about_the_model_is_as_before(method: str) -> None:
    net = trained_net()
    before = _Snapshot(net)
    ours(net, method, net[3])
    before.check(net)


@pytest.mark.parametrize("method", [method for method in PACKAGE_METHODS if method != "finercam"])
def test_everything_is_as_before_when_the_users_score_fails_in_the_middle(method: str) -> None:
    net, calls = trained_net(), []

    def score(output: Tensor) -> Tensor:
        calls.append(len(output))
        if len(calls) >= 3 or method in ("shapleycam", "fullgrad", "kpcacam"):
            raise IndexError("no such thing")
        return output[:, 0]

    before = _Snapshot(net)
    with pytest.raises(IndexError, match="no such thing"):
        ours(net, method, net[3], score=score)
    before.check(net)


def test_the_package_itself_leaves_its_layer_in_the_model_and_swallows_the_error() -> None:
    net, calls = small_net(), []
    layer = net[4]

    def failing(_output: Tensor) -> Tensor:
        calls.append(1)
        if len(calls) > 4:
            raise IndexError("no such thing")
        return torch.tensor(1.0)

    with pytorch_grad_cam.AblationCAM(net, [layer]) as cam:
        cam(pictures(), [failing] * 4)
    assert net[4] is not layer


def test_the_package_itself_wipes_gradients_and_leaves_evaluation_mode() -> None:
    net = trained_net()
    pytorch_grad_cam.GradCAM(net, [net[3]])(pictures(), [ClassifierOutputTarget(1)] * 4)
    assert not net.training
    assert net[0].weight.grad is None


@pytest.mark.parametrize("method", PACKAGE_METHODS)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_frozen_parameters_and_switched_off_gradients_change_nothing(method: str, mode: Any) -> None:
    net = small_net()
    expected = ours(net, method, net[4])
    net.requires_grad_(False)
    with mode():
        found = ours(net, method, net[4], images=pictures().clone())
    np.testing.assert_array_equal(found, expected)
    if method in ("shapleycam", "finercam"):
        with mode(), pytest.raises((RuntimeError, IndexError, TypeError, AttributeError, ValueError)):
            theirs(net, method, net[4])


@pytest.mark.parametrize("method", PACKAGE_METHODS)
def test_bfloat16_models_give_about_the_same_maps(method: str) -> None:
    net = small_net()
    expected = ours(net, method, net[4])
    found = ours(net.bfloat16(), method, net[4])
    assert found.dtype == np.float32
    similarity = [np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(found, expected, strict=True)]
    # a channel's ablation changes the score by little more than bfloat16 can tell
    assert min(similarity) > (0.5 if method == "ablationcam" else 0.9)
    if method != "fullgrad":
        with pytest.raises((TypeError, RuntimeError)):
            theirs(net, method, net[4], images=pictures().bfloat16())


def test_compiled_models_give_the_same_maps() -> None:
    net = small_net()
    expected = {method: ours(net, method, net[4]) for method in PACKAGE_METHODS}
    compiled: Any = torch.compile(net, backend="eager")
    compiled(pictures())
    for method in PACKAGE_METHODS:
        np.testing.assert_array_equal(ours(compiled, method, net[4]), expected[method])


class Renamed(nn.Module):
    """Gives a dict, or one number an image."""

    def __init__(self, net: nn.Module, *, key: str | None) -> None:
        super().__init__()
        self.net, self.key = net, key

    def forward(self, images: Tensor) -> Any:
        logits = self.net(images)
        return {self.key: logits} if self.key else logits[:, 1]


@pytest.mark.parametrize("method", [method for method in PACKAGE_METHODS if method != "finercam"])
def test_a_score_reads_outputs_of_any_kind(method: str) -> None:
    net = small_net()
    expected = ours(net, method, net[4], classes=np.ones(4, np.int64))
    no_class = np.full(4, -1)
    of_dict = ours(Renamed(net, key="out"), method, net[4], classes=no_class, score=lambda output: output["out"][:, 1])
    of_numbers = ours(Renamed(net, key=None), method, net[4], classes=no_class, score=itself)
    np.testing.assert_array_equal(of_dict, expected)
    np.testing.assert_array_equal(of_numbers, expected)


def test_finercam_finds_the_logits_in_a_dict() -> None:
    net = small_net()
    np.testing.assert_array_equal(ours(Renamed(net, key="logits"), "finercam", net[4]), ours(net, "finercam", net[4]))


@pytest.mark.parametrize("method", ["scorecam", "ablationcam", "shapleycam", "finercam", "kpcacam"])
def test_features_overwritten_in_place_are_explained_as_they_were(method: str) -> None:
    plain, inplace = small_net(), small_net(inplace=True)
    np.testing.assert_array_equal(ours(inplace, method, inplace[3]), ours(plain, method, plain[3]))


def test_the_package_itself_explains_what_overwrote_the_features() -> None:
    plain, inplace = small_net(), small_net(inplace=True)
    right, wrong = theirs(plain, "finercam", plain[3]), theirs(inplace, "finercam", inplace[3])
    assert np.abs(wrong - right).max() > 0.1 * np.abs(right).max()
    np.testing.assert_allclose(ours(inplace, "finercam", inplace[3]), right, atol=1e-6)


@pytest.mark.parametrize("method", PACKAGE_METHODS)
def test_features_that_are_not_finite_give_a_map_that_says_so(method: str) -> None:
    net, images = small_net(), pictures()
    images[2, :, 4, 4] = np.nan
    maps = ours(net, method, net[4], images=images)
    assert np.isnan(maps[2]).all()
    assert np.isfinite(maps[[0, 1, 3]]).all()


def test_the_package_itself_hides_what_is_not_finite() -> None:
    net, images = small_net(), pictures()
    images[2, :, 4, 4] = np.nan
    assert np.isfinite(theirs(net, "kpcacam", net[4], images=images)).all()


@pytest.mark.parametrize("method", ["scorecam", "ablationcam"])
def test_no_progress_bar_is_shown(method: str, capfd: pytest.CaptureFixture[str]) -> None:
    net = small_net()
    ours(net, method, net[4])
    assert capfd.readouterr() == ("", "")
    theirs(net, method, net[4])
    assert "it/s" in capfd.readouterr().err


def test_scorecam_lets_go_of_masked_batches() -> None:
    net = small_net()
    net[3], net[7] = nn.Conv2d(6, 70, 3), nn.Linear(70, 8)
    passed: list[weakref.ref[Tensor]] = []
    alive = []
    net[3].register_forward_hook(lambda _module, _inputs, output: passed.append(weakref.ref(output)))

    def score(output: Tensor) -> Tensor:
        alive.append(sum(one() is not None for one in passed))
        return output[:, 0]

    ours(net, "scorecam", net[4], score=score)
    assert len(passed) == 4 * (1 + 5)
    assert max(alive) <= 2
    cam = pytorch_grad_cam.ScoreCAM(net, [net[4]])
    cam(pictures(), [ClassifierOutputTarget(0)] * 4)
    assert len(cam.activations_and_grads.activations) == 1 + 4 * 5


@pytest.mark.slow
def test_two_hundred_calls_leave_neither_hooks_nor_tensors() -> None:
    net, images = small_net(), pictures(1)
    counts = []
    for calls in (20, 180):
        for method in ("finercam", "shapleycam") * (calls // 2):
            ours(net, method, net[4], images=images, classes=CLASSES[:1])
        gc.collect()
        counts.append(sum(issubclass(type(one), Tensor) for one in gc.get_objects()))
    assert counts[1] == counts[0]
    assert not any(module._forward_hooks for module in net.modules())


def test_an_image_without_a_class_is_refused_where_the_package_gives_a_zero_map() -> None:
    net = small_net()
    maps = pytorch_grad_cam.GradCAM(net, [net[4]])(pictures(), [ClassifierOutputTarget(1)] * 3)
    assert not maps[3].any()
    with pytest.raises(ValueError, match="`class_index` must be a class for each of the 4 images, got"):
        ours(net, "finercam", net[4], classes=CLASSES[:3])


class TwiceReLU(nn.Module):
    """Uses its ReLU twice, has a layer that is never run, one that gives two tensors, and a side path."""

    def __init__(self, *, shared: bool = True) -> None:
        super().__init__()
        self.conv, self.relu, self.unused, self.side = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(3, 4, 1), nn.ReLU()
        self.pair, self.again, self.head = nn.MaxPool2d(2, return_indices=True), nn.Conv2d(4, 4, 1), nn.Linear(4, 5)
        self.last = self.relu if shared else nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        features = self.last(self.again(self.relu(self.conv(images))))
        self.side(features)
        self.pair(features)
        return self.head(features.mean((2, 3)))


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        ("unused", ValueError, "`target_layer` must run in a forward pass, and does not"),
        ("pair", TypeError, "`target_layer` must give a tensor, got tuple"),
        ("side", ValueError, "`target_layer` must have an influence on the score"),
    ],
)
def test_a_layer_that_cannot_be_explained_is_refused(layer: str, error: type[Exception], message: str) -> None:
    net = TwiceReLU()
    with pytest.raises(error, match=message):
        ours(net, "finercam", net.get_submodule(layer))


@pytest.mark.parametrize("method", ["scorecam", "ablationcam", "shapleycam", "finercam", "kpcacam"])
def test_a_layer_that_runs_twice_is_explained_at_its_last_run(method: str) -> None:
    shared, apart = TwiceReLU(), TwiceReLU(shared=False)
    apart.load_state_dict(shared.state_dict())
    expected = ours(apart, method, apart.last)
    np.testing.assert_array_equal(ours(shared, method, shared.relu), expected)
    assert np.abs(ours(apart, method, apart.relu) - expected).max() > 0


def test_the_package_itself_explains_the_first_run_of_a_layer_that_runs_twice() -> None:
    shared, apart = TwiceReLU(), TwiceReLU(shared=False)
    apart.load_state_dict(shared.state_dict())
    np.testing.assert_allclose(
        theirs(shared, "finercam", shared.relu), theirs(apart, "finercam", apart.relu), atol=1e-7
    )


def test_finercam_needs_classes_to_compare() -> None:
    with pytest.raises(ValueError, match="`score` must be None for finercam"):
        ours(small_net(), "finercam", nn.ReLU(), score=itself)
    net = small_net(head=nn.Linear(8, 1))
    with pytest.raises(ValueError, match="`model` must have two classes or more for finercam"):
        ours(net, "finercam", net[4], classes=np.zeros(4, np.int64))


def test_fullgrad_needs_a_bias() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4, affine=False), nn.Flatten(), nn.Linear(252, 5)
    )
    with pytest.raises(ValueError, match="`model` must run a Conv2d or BatchNorm2d with a bias for fullgrad"):
        ours(net, "fullgrad", net[0])


def test_the_package_is_imported_when_it_is_needed_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pytorch_grad_cam", "cv2"):
        monkeypatch.setitem(sys.modules, name, None)
    source = importlib.util.find_spec("gradscape.explain.package_cam")
    assert source
    assert source.loader
    again = importlib.util.module_from_spec(source)
    source.loader.exec_module(again)
    with pytest.raises(ImportError):
        again.package_maps(
            small_net(),
            pictures(),
            method="kpcacam",
            target_layer=nn.ReLU(),
            class_index=CLASSES,
            score=None,
            to_maps=itself,
        )
