import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.models as tv
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.functional import pil_to_tensor

from gradscape._checkpoint import Classifier
from gradscape.explain.cam import heatmaps, list_methods
from gradscape.explain.embedding import embed
from gradscape.explain.faithfulness import measure_faithfulness
from gradscape.explain.guided import guided_backprop
from gradscape.explain.heatmap import Heatmaps
from gradscape.explain.weightings import METHODS
from gradscape.models import import_checkpoint, load_checkpoint
from gradscape.models.ba2m import BA2M

ALL = list(METHODS)


class _Small(nn.Module):
    """Two convolutions, averages, a linear head; operations in place after the layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 5, 3, stride=2, padding=1), nn.BatchNorm2d(5)
        self.last = nn.Conv2d(5, 6, 3, padding=1)
        self.head = nn.Linear(6, 7)

    def forward(self, images: Tensor) -> Tensor:
        x = self.norm(self.first(images)).relu_()
        return self.head(self.last(x).mul_(1.5).mean((2, 3)))


def _small() -> _Small:
    torch.manual_seed(1)
    return _Small().eval()


def _images(count: int = 4) -> Tensor:
    return torch.rand(count, 3, 10, 14, generator=torch.Generator().manual_seed(2))


def _hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_the_map_of_averages_and_a_linear_head_is_the_heads_row_over_the_features() -> None:
    model, images = _small(), _images()
    classes = [3, 0, 6, 3]
    with torch.no_grad():
        features = model.last(model.norm(model.first(images)).relu())
        rows = 1.5 * model.head.weight[classes] / (5 * 7)
        closed_form = torch.einsum("nc,nchw->nhw", rows, features).numpy()
    found = heatmaps(model, images, method=["gradcam", "hirescam"], target_layer="last", class_index=classes)
    for one in found.values():
        np.testing.assert_allclose(one.raw, closed_form, rtol=0, atol=1e-6)
    logits = model(images)[range(4), classes].detach().numpy()
    np.testing.assert_allclose(found["gradcam"].score, logits, rtol=1e-5)
    np.testing.assert_allclose(closed_form.sum((1, 2)) + model.head.bias[classes].detach().numpy(), logits, atol=1e-5)


def test_one_method_gives_heatmaps_and_lists_give_them_by_name() -> None:
    model, images = _small(), _images()
    single = heatmaps(model, images, method="gradcam", target_layer="last")
    assert isinstance(single, Heatmaps)
    assert (single.method, single.target_layer, single.image_size) == ("gradcam", "last", (10, 14))
    assert list(heatmaps(model, images, method=["gradcam", "layercam"])) == ["gradcam", "layercam"]
    assert list(heatmaps(model, images, target_layer=["first", model.last])) == ["first", "last"]
    both = heatmaps(model, images, method=("gradcam", "xgradcam"), target_layer=["first", "last"])
    assert list(both) == ["gradcam@first", "xgradcam@first", "gradcam@last", "xgradcam@last"]
    np.testing.assert_array_equal(both["gradcam@last"].raw, single.raw)


def test_many_methods_and_layers_take_one_forward_and_one_differentiation(monkeypatch: pytest.MonkeyPatch) -> None:
    model, calls = _small(), {"forward": 0, "grad": 0}
    differentiate = torch.autograd.grad

    def counted(*arguments: Any, **options: Any) -> Any:
        calls["grad"] += 1
        return differentiate(*arguments, **options)

    def count(*_: Any) -> None:
        calls["forward"] += 1

    monkeypatch.setattr(torch.autograd, "grad", counted)
    model.register_forward_hook(count)
    heatmaps(model, _images(), method=ALL, target_layer=["first", "norm", "last"])
    assert calls == {"forward": 1, "grad": 1}


def test_layers_explained_together_are_as_each_alone() -> None:
    model, images = _small(), _images()
    together = heatmaps(model, images, method=ALL, target_layer=["first", "last"], class_index=2)
    for layer in ("first", "last"):
        for name, alone in heatmaps(model, images, method=ALL, target_layer=layer, class_index=2).items():
            np.testing.assert_allclose(together[f"{name}@{layer}"].raw, alone.raw, rtol=1e-5, atol=1e-7)


def test_an_images_map_does_not_depend_on_its_batch() -> None:
    model, images = _small(), _images()
    whole = heatmaps(model, images, method=ALL, class_index=[3, 0, 6, 1])
    for number, number_class in enumerate([3, 0, 6, 1]):
        alone = heatmaps(model, images[number : number + 1], method=ALL, class_index=number_class)
        for name in ALL:
            np.testing.assert_allclose(alone[name].raw[0], whole[name].raw[number], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("asked", ["heatmaps", "guided backpropagation", "faithfulness", "embedding"])
def test_a_model_that_weighs_images_against_each_other_is_refused_by_name(asked: str) -> None:
    model, images = _small(), _images()
    found = heatmaps(model, images, target_layer="last")
    bound = nn.Sequential(BA2M(3, evaluation="batch"), model)
    ask: dict[str, Callable[[], object]] = {
        "heatmaps": lambda: heatmaps(bound, images),
        "guided backpropagation": lambda: guided_backprop(bound, images),
        "faithfulness": lambda: measure_faithfulness(bound, images, found),
        "embedding": lambda: embed(bound, [(images, torch.arange(4))]),
    }
    with pytest.raises(ValueError, match="`model` must judge each image by itself, but 0 weighs the images of a batch"):
        ask[asked]()


@contextmanager
def _compiled(model: nn.Module) -> Iterator[nn.Module]:
    yield torch.compile(model, backend="eager")  # type: ignore[misc]
    torch.compiler.reset()


CONDITIONS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "plain": nullcontext,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
}


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("state", ["frozen", "training", "channels_last", "compiled", "compiled in place"])
def test_maps_are_the_same_under_every_condition(condition: str, state: str) -> None:
    expected = heatmaps(_small(), _images(), method=ALL, target_layer="last")
    model: Any = _small()
    images = _images()
    if state == "frozen":
        model.requires_grad_(False)
    elif state == "training":
        model.train()
    elif state == "channels_last":
        model, images = model.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    elif state == "compiled in place":
        model.compile(backend="eager")
    with _compiled(model) if state == "compiled" else nullcontext(model) as shown, CONDITIONS[condition]():
        shown(images.clone())
        _reset_statistics(model)
        found = heatmaps(shown, images.clone(), method=ALL, target_layer="last")
    for name in ALL:
        np.testing.assert_allclose(found[name].raw, expected[name].raw, rtol=1e-4, atol=1e-6)


def _reset_statistics(model: _Small) -> None:
    """A pass in train mode has moved them."""
    model.norm.reset_running_stats()


def test_a_model_made_under_inference_mode_is_explained() -> None:
    expected = heatmaps(_small(), _images(), method="layercam", target_layer="first")
    with torch.inference_mode():
        model = _small()
        inside = heatmaps(model, _images(), method="layercam", target_layer="first")
    outside = heatmaps(model, _images(), method="layercam", target_layer="first")
    np.testing.assert_allclose(inside.raw, expected.raw, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(outside.raw, expected.raw, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "layercam", "elementwise"])
def test_bfloat16_models_and_autocast_give_the_map_within_their_precision(method: str) -> None:
    images = _images()
    expected = heatmaps(_small(), images, method=method, target_layer="first", class_index=2).raw
    half = heatmaps(_small().bfloat16(), images, method=method, target_layer="first", class_index=2).raw
    with torch.autocast("cpu", torch.bfloat16):
        mixed = heatmaps(_small(), images, method=method, target_layer="first", class_index=2).raw
    for found in (half, mixed):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=0.05 * np.abs(expected).max())


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was_also_after_the_users_own_exception(fails: bool) -> None:
    model, images = _small().train(), _images()
    model.first.bias.requires_grad_(False)  # type: ignore[union-attr]
    model(images).sum().backward()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = {name: None if one.grad is None else one.grad.clone() for name, one in model.named_parameters()}

    def score(output: Tensor) -> Tensor:
        if fails:
            raise IndexError("mine")
        return output[:, 0]

    if fails:
        with pytest.raises(IndexError, match=r"^mine$"):
            heatmaps(model, images, score=score)
    else:
        heatmaps(model, images, score=score, method=ALL)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == (name != "first.bias")
        gradient = gradients[name]
        assert parameter.grad is None if gradient is None else torch.equal(parameter.grad, gradient)  # type: ignore[arg-type]
    assert _hooks(model) == 0
    assert torch.is_grad_enabled()


@pytest.mark.slow
def test_two_hundred_calls_leave_neither_hooks_nor_tensors() -> None:
    model, images = _small(), _images()

    def call() -> None:
        heatmaps(model, images, method=ALL, target_layer=["first", "last"])

    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(one), Tensor) for one in gc.get_objects())

    call()
    before = tensors()
    for _ in range(200):
        call()
    assert tensors() == before
    assert _hooks(model) == 0


def test_the_users_images_are_not_touched() -> None:
    images = _images()
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(5 * 8 * 12, 7))
    heatmaps(model, images.requires_grad_())
    assert images.grad is None
    assert torch.equal(images, _images())


@pytest.mark.parametrize(
    ("make", "score"),
    [
        (lambda: nn.Sequential(_small(), nn.Linear(7, 1), nn.Flatten(0)), lambda output: output),
        (lambda: nn.Sequential(_small(), nn.Linear(7, 1)), lambda output: output[:, 0].sigmoid()),
    ],
    ids=["regression", "binary"],
)
def test_other_outputs_are_explained_by_a_score(make: Callable[[], nn.Module], score: Callable[[Any], Tensor]) -> None:
    torch.manual_seed(0)
    model = make()
    found = heatmaps(model, _images(), target_layer="0.last", score=score)
    assert found.raw.shape == (4, 5, 7)
    assert (found.class_index == -1).all()
    np.testing.assert_allclose(found.score, score(model.eval()(_images())).detach(), rtol=1e-5)


def test_classes_go_by_the_checkpoints_labels() -> None:
    labels = ["crow", "owl", "wren", "kite", "rail", "coot", "swan"]
    meta = {"name": "own", "num_classes": 7, "image_size": 14, "mean": (0.5,) * 3, "std": (0.25,) * 3, "labels": labels}
    model = Classifier(_small(), meta)
    named = heatmaps(model, _images(), class_index=["owl", "swan", "crow", "owl"])
    assert named.class_index.tolist() == [1, 6, 0, 1]
    assert named.meta["model"] == "own"
    with pytest.raises(ValueError, match=r"unknown `class_index` 'kits'; did you mean kite\?"):
        heatmaps(model, _images(), class_index="kits")


def test_an_unknown_method_is_refused_with_its_neighbors() -> None:
    with pytest.raises(ValueError, match=r"unknown `method` 'gradcamm'; did you mean gradcam"):
        heatmaps(_small(), _images(), method="gradcamm")
    assert set(ALL) < set(list_methods())


@pytest.mark.parametrize("argument", ["method", "target_layer"])
def test_an_empty_list_is_refused(argument: str) -> None:
    empty: Any = {argument: []}
    with pytest.raises(ValueError, match=f"`{argument}` must hold at least one name, got an empty list"):
        heatmaps(_small(), _images(), **empty)


def test_images_that_are_not_finite_are_refused_by_number() -> None:
    images = _images()
    images[1, 0, 3, 3], images[3, 2, 0, 0] = torch.nan, torch.inf
    with pytest.raises(ValueError, match="`images` must be finite, but NaN or infinity is in image 1, 3"):
        heatmaps(_small(), images)


def test_weights_that_are_not_finite_are_refused_by_name() -> None:
    model = _small()
    model.last.weight.data[2, 1, 0, 0] = torch.nan
    with pytest.raises(
        ValueError, match=r"must give finite scores, and does not for image 0; its weights last\.weight are"
    ):
        heatmaps(model, _images())


def test_a_layer_beside_the_score_is_refused() -> None:
    model = _small()
    with pytest.raises(ValueError, match="`target_layer` last does not lead to the explained score"):
        heatmaps(model, _images(), target_layer="last", score=lambda output: output[:, 0].detach())


def test_maps_that_must_not_be_painted_are_named_in_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    model = _small()
    nn.init.zeros_(model.head.weight)
    with caplog.at_level(logging.WARNING, logger="gradscape.explain"):
        found = heatmaps(model, _images(2), method="layercam", target_layer="last")
    assert found.faults == {0: "all zero", 1: "all zero"}
    expected = "layercam at last has maps that must not be painted: image 0 is all zero, image 1 is all zero"
    assert [record.getMessage() for record in caplog.records] == [expected]


def test_a_package_method_goes_through_the_same_door() -> None:
    model, images = _small(), _images(2)
    found = heatmaps(model, images, method=["gradcam", "ablationcam"], target_layer="last", class_index=[3, 1])
    assert found["ablationcam"].raw.shape == found["gradcam"].raw.shape
    assert found["ablationcam"].class_index.tolist() == [3, 1]
    assert found["ablationcam"].method == "ablationcam"


DOG, CAT = 243, 282  # bull mastiff and tiger cat
BOXES = {DOG: (slice(14, 148), slice(78, 166)), CAT: (slice(118, 225), slice(45, 201))}


@pytest.fixture(scope="module")
def imagenet_model(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> nn.Module:
    source = test_data / "checkpoints" / "converted-mobilenet_v2-imagenet1000-from-coral-quant.pt"
    output = tmp_path_factory.mktemp("imagenet") / "model.safetensors"
    gray = (0.5, 0.5, 0.5)
    import_checkpoint(source, output, name="mobilenet_v2", num_classes=None, image_size=224, mean=gray, std=gray)
    return load_checkpoint(output)


def _rather_than_the_other(logits: Tensor) -> Tensor:
    return torch.stack([logits[0, DOG] - logits[0, CAT], logits[1, CAT] - logits[1, DOG]])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "asked"),
    [
        ("eigengradcam", {"class_index": [DOG, CAT]}),
        ("gradcam", {"score": _rather_than_the_other}),
        ("hirescam", {"score": _rather_than_the_other}),
    ],
)
def test_dog_and_cat_in_one_photograph_are_found_each_in_its_box(
    imagenet_model: nn.Module, test_data: Path, method: str, asked: dict[str, Any]
) -> None:
    photograph = Image.open(test_data / "imagenet" / "gradcam_both.png").convert("RGB")
    images = pil_to_tensor(photograph).expand(2, -1, -1, -1) / 255
    found = heatmaps(imagenet_model, images, method=method, **asked)
    for one, box in zip(found.display, BOXES.values(), strict=True):
        assert one[box].max() == one.max()
        assert one[box].sum() > one.sum() / 2


def test_grad_cam_of_each_animal_has_its_maximum_in_its_box(imagenet_model: nn.Module, test_data: Path) -> None:
    photograph = Image.open(test_data / "imagenet" / "gradcam_both.png").convert("RGB")
    images = pil_to_tensor(photograph).expand(2, -1, -1, -1) / 255
    found = heatmaps(imagenet_model, images, method=["gradcam", "gradcam++", "layercam"], class_index=[DOG, CAT])
    for maps in found.values():
        for one, box in zip(maps.display, BOXES.values(), strict=True):
            assert one[box].max() == one.max()


def test_a_real_network_gives_the_same_maps_in_channels_last_and_half_precision() -> None:
    torch.manual_seed(0)
    model = tv.resnet18(num_classes=7)
    images = torch.rand(2, 3, 64, 96)
    expected = heatmaps(model, images, class_index=[5, 2]).display
    last = model.to(memory_format=torch.channels_last)
    np.testing.assert_allclose(heatmaps(last, images, class_index=[5, 2]).display, expected, atol=1e-4)
    half = heatmaps(last.bfloat16(), images, class_index=[5, 2]).display
    assert all(np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.98 for one, other in zip(half, expected, strict=True))
