"""Models that one cannot look into: one true sentence for each, and what still works."""

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from gradscape.explain.attention import attention_maps
from gradscape.explain.cam import heatmaps
from gradscape.explain.embedding_features import extract_features
from gradscape.explain.faithfulness import measure_faithfulness
from gradscape.explain.features import feature_maps
from gradscape.explain.guided import guided_backprop, guided_gradcam
from gradscape.explain.target_layer import find_target_layer
from gradscape.explain.weightings import eigencam
from tests.explain.test_features import images, untouched


def small_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3),
        nn.ReLU(),
        nn.Conv2d(6, 8, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )


class Halves(nn.Module):
    """Features by one half, then a head; the first half in its own way."""

    def __init__(self) -> None:
        super().__init__()
        net = small_net()
        self.early, self.late, self.head = net[:2], net[2:4], net[4:]

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.late(self.features(images)))

    def features(self, images: Tensor) -> Tensor:
        return self.early(images)


class Reentrant(Halves):
    reentrant = True

    def forward(self, images: Tensor) -> Tensor:
        features = checkpoint(self.late, self.features(images), use_reentrant=self.reentrant)
        assert isinstance(features, Tensor)
        return self.head(features)


class NotReentrant(Reentrant):
    reentrant = False


class Deployed(Halves):
    @torch.inference_mode()
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images)


class HalfFrozen(Halves):
    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            features = self.late(self.early(images))
        return self.head(features)


class Detached(Halves):
    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.late(self.early(images)).detach())


TORCHSCRIPT: dict[str, Callable[[], nn.Module]] = {
    "scripted": lambda: torch.jit.script(small_net()),
    "traced": lambda: torch.jit.trace(small_net().eval(), images()),
    "a scripted part": lambda: nn.Sequential(torch.jit.script(small_net()[:4]), *small_net()[4:]),
}
USES: dict[str, Callable[[nn.Module], Any]] = {
    "heatmaps": lambda model: heatmaps(model, images(), method="gradcam"),
    "eigencam": lambda model: heatmaps(model, images(), method="eigencam", target_layer="0"),
    "guided": lambda model: guided_backprop(model, images()),
    "attention": lambda model: attention_maps(model, images()),
    "features": lambda model: feature_maps(model, images(), layer="0"),
    "embedding": lambda model: extract_features(model, [(images(), torch.arange(3))]),
    "layer": lambda model: find_target_layer(model, images()),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", TORCHSCRIPT)
def test_torchscript_is_refused_by_its_name(name: str, use: str) -> None:
    model = TORCHSCRIPT[name]()
    with pytest.raises(ValueError, match=r"^`model` must be made of Python's modules, but .* is TorchScript"):
        USES[use](model)


@pytest.mark.parametrize("use", USES)
def test_an_exported_program_is_refused_by_its_name(use: str) -> None:
    model = torch.export.export(small_net().eval(), (images(),)).module()
    with pytest.raises(ValueError, match=r"^`model` must be made of Python's modules, but this is .*torch.export"):
        USES[use](model)


def test_a_graph_that_runs_without_its_modules_is_refused() -> None:
    model = torch.fx.symbolic_trace(small_net(), concrete_args=None)
    plain = small_net()

    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3)

        def forward(self, images: Tensor) -> Tensor:
            return torch.conv2d(images, self.conv.weight).mean((2, 3))

    for method, layer in (("gradcam", None), ("gradcam", "conv"), ("eigencam", "conv")):
        with pytest.raises(ValueError, match=r"^`model` must run the modules .* this Graph runs none of its 1"):
            heatmaps(Graph(), images(), method=method, target_layer=layer)
    expected = heatmaps(plain, images(), method="gradcam", target_layer="2").raw
    np.testing.assert_array_equal(heatmaps(model, images(), method="gradcam", target_layer="2").raw, expected)


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "reentrant": (Reentrant, "must not run blocks under torch.utils.checkpoint with use_reentrant=True"),
    "under inference_mode": (Deployed, r"runs (early|late|head) under torch.no_grad\(\) or inference_mode"),
    "half of it under no_grad": (HalfFrozen, r"runs (early|late) under torch.no_grad\(\) or inference_mode"),
}


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("layer", [None, "early", "late", "late.0"])
@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_no_gradients_lead_through_is_refused_by_the_cause(name: str, layer: str | None) -> None:
    build, cause = REFUSED[name]
    model = build()
    with untouched(model), pytest.raises(ValueError, match=f"^`model` .*{cause}") as caught:
        heatmaps(model, images(), method=["gradcam", "eigencam"], target_layer=layer)
    assert "larger images" not in str(caught.value)


@pytest.mark.parametrize("layer", [None, "late"])
def test_detached_features_are_told_by_the_first_layer_behind_them(layer: str | None) -> None:
    with pytest.raises(ValueError, match=r"what head\.4 gives has none: it is detached or computed outside of torch"):
        heatmaps(Detached(), images(), method="gradcam", target_layer=layer)


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("build", [Reentrant, Deployed, HalfFrozen, Detached])
def test_what_needs_no_gradients_works_where_features_are_seen(build: Callable[[], nn.Module]) -> None:
    model, plain = build(), Halves()
    found = heatmaps(model, images(), method="eigencam", target_layer="late")
    np.testing.assert_array_equal(found.raw, heatmaps(plain, images(), method="eigencam", target_layer="late").raw)
    np.testing.assert_array_equal(
        feature_maps(model, images(), layer="late"), feature_maps(plain, images(), layer="late")
    )


def test_guided_backpropagation_tells_the_cause_too() -> None:
    with pytest.raises(ValueError, match=r"under torch.no_grad\(\) or inference_mode"):
        guided_backprop(Deployed(), images(), score=lambda output: output[:, 0].clone())


@pytest.mark.parametrize("layer", ["early", "late.0", "late"])
def test_checkpointing_that_is_not_reentrant_changes_nothing_and_is_not_said_to_run_twice(
    layer: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = heatmaps(NotReentrant(), images(), method=["layercam", "gradcam++"], target_layer=layer)
    assert not caplog.text
    expected = heatmaps(Halves(), images(), method=["layercam", "gradcam++"], target_layer=layer)
    for method, one in found.items():
        np.testing.assert_allclose(one.raw, expected[method].raw, rtol=1e-6)


def quantized() -> nn.Module:
    """Statically, to eight bits."""
    torch.backends.quantized.engine = torch.backends.quantized.supported_engines[-1]
    ao: Any = torch.ao.quantization
    net = nn.Sequential(ao.QuantStub(), *small_net(), ao.DeQuantStub()).eval()
    net.qconfig = ao.get_default_qconfig(torch.backends.quantized.engine)
    prepared = ao.prepare(net)
    prepared(images())
    return ao.convert(prepared)


@pytest.mark.filterwarnings("ignore")
def test_a_statically_quantized_network_shows_its_features_and_refuses_gradients() -> None:
    model = quantized()
    for layer in (None, "3"):
        with pytest.raises(ValueError, match=r"^`model` must compute in floating point .* quantized \(torch.quint8\)"):
            heatmaps(model, images(), method="gradcam", target_layer=layer)
    found = heatmaps(model, images(), method="eigencam", target_layer="3")
    seen: list[Tensor] = []
    model.get_submodule("3").register_forward_hook(lambda _module, _inputs, output: seen.append(output.dequantize()))
    model(images())
    np.testing.assert_allclose(found.raw, eigencam(seen[0], seen[0]).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_a_dynamically_quantized_network_is_refused_by_its_missing_derivative() -> None:
    torch.backends.quantized.engine = torch.backends.quantized.supported_engines[-1]
    ao: Any = torch.ao.quantization
    model = ao.quantize_dynamic(small_net(), {nn.Linear})
    with pytest.raises(ValueError, match=r"^`model` must be made of operations that have a derivative"):
        heatmaps(model, images(), method="gradcam", target_layer="1")
    np.testing.assert_array_equal(
        heatmaps(model, images(), method="eigencam", target_layer="1").raw,
        heatmaps(small_net(), images(), method="eigencam", target_layer="1").raw,
    )


class Pair(nn.Module):
    """Two images through one encoder, and how alike they are."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = small_net()[:6]

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return nn.functional.cosine_similarity(self.encoder(first), self.encoder(second))


class FirstOnly(nn.Module):
    """The same with the second image stored."""

    def __init__(self, pair: Pair, second: Tensor) -> None:
        super().__init__()
        self.encoder = pair.encoder
        with torch.no_grad():
            self.other = self.encoder(second)

    def forward(self, first: Tensor) -> Tensor:
        return nn.functional.cosine_similarity(self.encoder(first), self.other)


@pytest.mark.parametrize("swapped", [False, True])
def test_of_two_inputs_the_images_are_explained_whichever_comes_first(
    *, swapped: bool, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(1)
    pair, others = Pair(), torch.rand(3, 3, 32, 48)

    def forward(model: nn.Module, shown: Tensor) -> Tensor:
        return model(others, shown) if swapped else model(shown, others)

    def score(output: Tensor) -> Tensor:
        return output

    options: dict[str, Any] = {"method": ["gradcam", "eigencam"], "score": score}
    with untouched(pair):
        found = heatmaps(pair, images(), target_layer="encoder.3", forward=forward, **options)
    expected = heatmaps(FirstOnly(pair, others), images(), target_layer="encoder.3", **options)
    for method, one in found.items():
        np.testing.assert_allclose(one.raw, expected[method].raw, rtol=1e-5, atol=1e-9)
    assert "encoder.3 runs 2 times in a forward pass" in caplog.text
    assert ("run 1, the last on the images" in caplog.text) != swapped
    default = heatmaps(pair, images(), method="gradcam", score=score, forward=forward)
    assert (
        default.target_layer == heatmaps(FirstOnly(pair, others), images(), method="gradcam", score=score).target_layer
    )


def test_every_function_takes_a_forward() -> None:
    torch.manual_seed(1)
    pair, others = Pair(), torch.rand(3, 3, 32, 48)
    alone = FirstOnly(pair, others)

    def forward(model: nn.Module, shown: Tensor) -> Tensor:
        return model(others, shown)

    def score(output: Tensor) -> Tensor:
        return output

    np.testing.assert_array_equal(
        feature_maps(pair, images(), layer="encoder.3", forward=forward),
        feature_maps(alone, images(), layer="encoder.3"),
    )
    for of in (guided_backprop, guided_gradcam):
        np.testing.assert_allclose(
            of(pair, images(), score=score, forward=forward), of(alone, images(), score=score), rtol=1e-4, atol=1e-9
        )
    found = [find_target_layer(pair, images(), forward=forward), find_target_layer(alone, images())]
    assert found[0] == found[1]

    def one_by_one(model: nn.Module, shown: Tensor) -> Tensor:
        return model(others[:1].expand_as(shown), shown)

    maps = heatmaps(pair, images(), method="gradcam", target_layer="encoder.3", score=score, forward=one_by_one)
    measured = [measure_faithfulness(pair, images(), maps, score=score, forward=one_by_one, steps=2)]
    alone.other = alone.other[:1]
    measured.append(measure_faithfulness(alone, images(), maps, score=score, steps=2))
    np.testing.assert_allclose(measured[0].deletion, measured[1].deletion, rtol=1e-5)
    batches = [(images(), torch.arange(3))]
    np.testing.assert_array_equal(
        extract_features(pair, batches, layer="encoder.5", forward=forward).values,
        extract_features(alone, batches, layer="encoder.5").values,
    )


class Named(dict[str, Any]):
    """As Hugging Face's outputs: keys that are attributes."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


@pytest.mark.parametrize("wrap", [lambda y: Named(loss=None, logits=y), lambda y: (y, None), lambda y: {"logits": y}])
def test_logits_are_found_in_what_holds_them(wrap: Callable[[Tensor], Any]) -> None:
    class Wrapped(Halves):
        def forward(self, images: Tensor) -> Any:
            return wrap(super().forward(images))

    expected = heatmaps(Halves(), images(), method=["gradcam", "scorecam"])
    found = heatmaps(Wrapped(), images(), method=["gradcam", "scorecam"])
    for method, one in found.items():
        np.testing.assert_array_equal(one.raw, expected[method].raw)
        np.testing.assert_array_equal(one.class_index, expected[method].class_index)
