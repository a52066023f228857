import logging
import math
import os
import subprocess
import sys
from collections import UserList
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

from gradscape.explain import embedding as embedding_module
from gradscape.explain.embedding import Embedding, embed
from gradscape.explain.embedding_features import extract_features

HEIGHT, WIDTH = 12, 8
Batches = list[tuple[Tensor, Tensor]]
UMAP = """
import numpy
from gradscape.explain.embedding_backends import find_backend
backend = find_backend("umap")
features = numpy.random.default_rng(0).normal(size=(12, 4)).astype("float32")
first, again = (backend.place(features, 3.0, 5) for _ in range(2))
print(backend.package, first.points.shape, (first.points == again.points).all(), first.kl_divergence, sep="\\n")
"""


class Net(nn.Module):
    """Seven channels, five classes; what the classifier sees is squared in place afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 7, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(7)
        self.unused = nn.Linear(7, 5)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(7, 5))

    def forward(self, images: Tensor) -> Tensor:
        pooled = self.norm(self.stem(images)).mean((2, 3))
        logits: Tensor = self.head(pooled)
        pooled.square_()
        return logits


class Order(nn.Module):
    """Returns its input in another order of dimensions."""

    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.order)


@pytest.fixture
def net() -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Net().train()


@pytest.fixture
def batches() -> Batches:
    """Thirty-one images of five classes, the class being their brightness."""
    random = torch.Generator().manual_seed(1)
    labels = torch.arange(31) % 5
    images = 0.5 * torch.rand(31, 3, HEIGHT, WIDTH, generator=random) + labels.view(-1, 1, 1, 1) / 10
    return [(images[:20], labels[:20]), (images[20:], labels[20:])]


def computed(net: Net, batches: Batches, function: Callable[[Tensor], Tensor]) -> np.ndarray:
    images = torch.cat([images for images, _ in batches])
    with torch.no_grad():
        return function(images).numpy()


def test_features_are_what_the_last_linear_layer_takes_in(net: Net, batches: Batches) -> None:
    features = extract_features(net, batches)
    expected = computed(net.eval(), batches, lambda images: net.norm(net.stem(images)).mean((2, 3)))
    np.testing.assert_allclose(features.values, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(features.labels, np.arange(31) % 5)
    assert features.layer == "input of head.1"


def test_maps_of_a_named_layer_are_averaged_over_their_pixels(net: Net, batches: Batches) -> None:
    features = extract_features(net, batches, layer="stem")
    expected = computed(net, batches, lambda images: net.stem(images).mean((2, 3)))
    np.testing.assert_allclose(features.values, expected, rtol=1e-5, atol=1e-6)
    assert features.layer == "stem"


@pytest.mark.parametrize(
    ("order", "mean"), [((0, 2, 3, 1), (1, 2)), ((0, 1, 2, 3), (2, 3))], ids=["channels last", "channels first"]
)
def test_the_pixels_of_a_map_are_found_by_the_images_proportions(
    batches: Batches, order: tuple[int, ...], mean: tuple[int, int]
) -> None:
    chain = nn.Sequential(nn.Conv2d(3, 11, 1, stride=2), Order(*order), nn.Flatten(), nn.LazyLinear(2))
    chain(batches[0][0])
    features = extract_features(chain, batches, layer="1")
    assert features.values.shape == (31, 11)
    images = torch.cat([images for images, _ in batches])
    with torch.no_grad():
        expected = chain[1](chain[0](images)).mean(mean).numpy()
    np.testing.assert_allclose(features.values, expected, rtol=1e-5, atol=1e-6)


def test_sequences_are_averaged_over_their_tokens(batches: Batches) -> None:
    chain = nn.Sequential(nn.Conv2d(3, 11, 1), nn.Flatten(2), Order(0, 2, 1), nn.Flatten(), nn.LazyLinear(2))
    chain(batches[0][0])
    assert extract_features(chain, batches, layer="2").values.shape == (31, 11)


@pytest.mark.parametrize(
    ("name", "width", "layer"),
    [
        ("resnet18", 512, "fc"),
        ("mobilenet_v3_small", 1024, "classifier.3"),
        ("squeezenet1_1", 512, "classifier.1"),
        ("swin_t", 768, "head"),
    ],
)
def test_the_penultimate_layer_of_torchvisions_networks_is_found(name: str, width: int, layer: str) -> None:
    with torch.device("meta"):
        model = torchvision.models.get_model(name, num_classes=9, weights=None)
    model = model.to_empty(device="cpu")
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.fill_(0.01) if tensor.is_floating_point() else tensor.zero_()
    features = extract_features(model, [(torch.rand(2, 3, 224, 224), torch.tensor([0, 8]))])
    assert features.values.shape == (2, width)
    assert features.layer == f"input of {layer}"


def test_the_model_and_the_random_state_are_as_before(net: Net, batches: Batches) -> None:
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.stem.weight.requires_grad_(False)
    states = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    embed(net, batches)
    assert net.training
    assert net.head.training
    assert not net.stem.weight.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())
    assert torch.equal(torch.random.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])  # type: ignore[index]  # noqa: NPY002


def test_no_hook_stays_after_a_failure(net: Net, batches: Batches) -> None:
    with pytest.raises(RuntimeError):
        embed(net, [(images[:, :2], labels) for images, labels in batches], layer="stem")
    assert not any(module._forward_hooks for module in net.modules())


def test_half_precision_gives_single_precision_features(net: Net, batches: Batches) -> None:
    half = [(images.bfloat16(), labels) for images, labels in batches]
    exact = extract_features(net, batches).values
    features = extract_features(net.bfloat16(), half).values
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, exact, rtol=0.1, atol=0.05)


def test_compiled_and_frozen_networks_give_the_same_features(net: Net, batches: Batches) -> None:
    expected = extract_features(net, batches, layer="stem").values
    net.requires_grad_(False)
    compiled: Any = torch.compile(net, backend="eager")
    with torch.inference_mode():
        found = extract_features(compiled, batches, layer="stem")
    np.testing.assert_array_equal(found.values, expected)


@pytest.mark.parametrize("backend", ["sklearn", "opentsne"])
def test_the_same_seed_gives_the_same_points_and_another_seed_others(net: Net, batches: Batches, backend: str) -> None:
    first, again, other = (embed(net, batches, backend=backend, perplexity=8, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.points, again.points)
    assert first.quality == again.quality
    assert first.points.shape == (31, 2)
    assert other.seed == 4
    assert (first.backend, first.perplexity, first.layer) == (backend, 8, "input of head.1")
    assert first.quality.kl_divergence > 0
    assert first.quality.trustworthiness > 0.8
    assert first.meta["features"] == 7


@pytest.mark.slow
def test_umap_gives_the_same_points_again_and_no_divergence() -> None:
    pytest.importorskip("umap", reason="umap-learn is not installed")
    done = subprocess.run(
        [sys.executable, "-c", UMAP],
        # Compiling takes UMAP ten times as long as twelve points do.
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    package, shape, same, divergence = done.stdout.splitlines()
    assert package.startswith("umap-learn ")
    assert (shape, same, divergence) == ("(12, 2)", "True", "nan")


def test_classes_that_features_tell_apart_are_apart_in_the_plane() -> None:
    labels = torch.arange(60) % 3
    images = torch.zeros(60, 3, HEIGHT, WIDTH)
    images[torch.arange(60), labels] = 1 + 0.01 * torch.rand(60, HEIGHT, WIDTH, generator=torch.Generator())
    chain = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    found = embed(chain, [(images, labels)], perplexity=10)
    assert found.quality.knn_accuracy == found.quality.knn_accuracy_features == 1
    assert found.quality.silhouette > 0.5


def test_few_images_lower_the_perplexity_and_say_so(
    net: Net, batches: Batches, caplog: pytest.LogCaptureFixture
) -> None:
    found = embed(net, batches)
    assert found.perplexity == 10
    assert found.meta["perplexity_asked"] == 30
    assert "perplexity 30 is lowered to 10: it must stay below a third of the 31 images" in caplog.text


def test_repeated_images_are_said(net: Net, batches: Batches, caplog: pytest.LogCaptureFixture) -> None:
    assert "repeated" not in embed(net, batches, perplexity=5).meta
    assert "ties" not in caplog.text
    images, labels = batches[0]
    found = embed(net, [(images, labels), (images[:15], labels[:15])], perplexity=5)
    assert (
        "15 of the 35 images repeat the features of another one to the bit: as neighbors they are ties" in caplog.text
    )
    assert found.meta["repeated"] == 15
    assert found.quality.kl_divergence > 0


@pytest.mark.parametrize("backend", ["sklearn", "opentsne"])
@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_features_beyond_single_precisions_squares_are_embedded(backend: str, scale: float) -> None:
    random = torch.Generator().manual_seed(2)
    images = torch.cat([torch.ones(40, 1, 1, 1), torch.rand(40, 4, 1, 1, generator=random) * scale], 1)
    chain = nn.Sequential(nn.Flatten(), nn.Linear(5, 2))
    found = embed(chain, [(images, torch.arange(40) % 2)], backend=backend, perplexity=8)
    assert found.quality.trustworthiness > 0.8


def test_a_sample_and_its_errors_are_saved_and_shown(net: Net, batches: Batches, tmp_path: Path) -> None:
    found = embed(net, batches, perplexity=8)
    quality = replace(found.quality, sample=20, standard_errors={"trustworthiness": 0.0123, "kl_divergence": 0.04})
    found = replace(found, quality=quality)
    found.save(tmp_path / "embedding.npz")
    assert Embedding.load(tmp_path / "embedding.npz").quality == quality
    assert "± 0.012" in found._repr_html_()


def test_many_images_recommend_opentsne(
    net: Net, batches: Batches, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(embedding_module, "_MANY", 31)
    with caplog.at_level(logging.WARNING):
        embed(net, batches, perplexity=5)
    assert '31 images: `backend` "opentsne" is faster from 31 on' in caplog.text


def test_five_images_are_enough(net: Net, batches: Batches) -> None:
    found = embed(net, [(batches[0][0][:5], batches[0][1][:5])])
    assert found.points.shape == (5, 2)
    assert found.quality.neighbors == 2


def test_names_of_classes_come_from_the_batches_or_the_model(net: Net, batches: Batches) -> None:
    assert embed(net, batches).classes is None
    net.labels = list("vwxyz")  # type: ignore[assignment]
    assert embed(net, batches).classes == ("v", "w", "x", "y", "z")
    named: Any = UserList(batches)
    named.classes = ("a", "b", "c", "d", "e", "f")
    found = embed(net, named)
    assert found.classes == named.classes
    assert found.class_name(4) == "e"


def test_what_was_saved_comes_back(net: Net, batches: Batches, tmp_path: Path) -> None:
    found = embed(net, [(images, torch.zeros_like(labels)) for images, labels in batches], perplexity=8)
    assert math.isnan(found.quality.silhouette)
    found.save(tmp_path / "embedding.npz")
    loaded = Embedding.load(tmp_path / "embedding.npz")
    np.testing.assert_array_equal(loaded.points, found.points)
    np.testing.assert_array_equal(loaded.labels, found.labels)
    assert repr(loaded.quality) == repr(found.quality)
    for name in ("layer", "backend", "perplexity", "seed", "classes", "meta"):
        assert getattr(loaded, name) == getattr(found, name)
    np.savez(tmp_path / "other.npz", meta=np.array("{}"), numbers=np.arange(3))
    with pytest.raises(ValueError, match="must hold an embedding, but holds numbers"):
        Embedding.load(tmp_path / "other.npz")


def test_bad_options_are_refused_before_anything_runs(batches: Batches) -> None:
    class Never(nn.Module):
        def forward(self, _: Tensor) -> Tensor:
            raise AssertionError

    with pytest.raises(ValueError, match=r"unknown `backend` 'sklaern'; did you mean sklearn\?; known: sklearn, open"):
        embed(Never(), batches, backend="sklaern")
    with pytest.raises(ValueError, match=r"`perplexity` must be at least 1, got 0\.5"):
        embed(Never(), batches, perplexity=0.5)
    with pytest.raises(ValueError, match="`perplexity` must be at least 1, got nan"):
        embed(Never(), batches, perplexity=math.nan)
    with pytest.raises(ValueError, match="`seed` must be from 0 to 2³² - 1, got -1"):
        embed(Never(), batches, seed=-1)


def test_a_missing_backend_tells_how_to_install_it(net: Net, batches: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openTSNE", None)
    with pytest.raises(ValueError, match=r"needs openTSNE, which is not installed: pip install gradscape\[opentsne\]"):
        embed(net, batches, backend="opentsne")


def test_bad_layers_are_refused(net: Net, batches: Batches) -> None:
    with pytest.raises(ValueError, match=r"unknown `layer` 'stme'; did you mean stem\?"):
        extract_features(net, batches, layer="stme")
    with pytest.raises(ValueError, match="`layer` unused does not run in the forward pass"):
        extract_features(net, batches, layer="unused")
    with pytest.raises(ValueError, match="runs no linear layer whose input could be embedded: give a `layer`"):
        extract_features(nn.Flatten(), batches)
    recurrent = nn.Sequential(nn.Flatten(2), nn.LSTM(HEIGHT * WIDTH, 2))
    with pytest.raises(TypeError, match="`layer` 1 must return a tensor, got tuple"):
        extract_features(recurrent, batches, layer="1")
    narrow = nn.Sequential(nn.Conv2d(3, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2))
    with pytest.raises(ValueError, match="`layer` input of 3 must have at least 2 features, got 1"):
        embed(narrow, batches)


def test_bad_batches_are_refused(net: Net, batches: Batches) -> None:
    images, labels = batches[0]
    with pytest.raises(ValueError, match="`batches` must hold at least one image, got none"):
        embed(net, [])
    with pytest.raises(ValueError, match="at least 5 images to be embedded, got 4"):
        embed(net, [(images[:4], labels[:4])])
    with pytest.raises(TypeError, match="an integer label for each of the 20 images of a batch"):
        embed(net, [(images, labels.float())])
    with pytest.raises(TypeError, match="an integer label for each of the 20 images of a batch"):
        embed(net, [(images, labels[:3])])


def test_features_that_cannot_be_embedded_are_refused(net: Net, batches: Batches) -> None:
    images = batches[1][0].clone()
    images[3] = math.nan
    with pytest.raises(ValueError, match=r"at layer stem those of 1 of 31 images, image 23 first, are NaN or infinite"):
        embed(net, [batches[0], (images, batches[1][1])], layer="stem")
    nn.init.zeros_(net.stem.weight)
    with pytest.raises(ValueError, match="`layer` stem gives all 31 images the same features"):
        embed(net, batches, layer="stem")
