"""Explanations of what is no image: rows of a table, tokens, and dicts that a user's `forward` hands to the model."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.explain import attention_maps, embed, fusion_maps, heatmaps, measure_faithfulness
from gradscape.explain.embedding_features import extract_features
from gradscape.explain.inputs import input_count, inputs_for
from gradscape.figures import figure_heatmaps, plot_heatmap
from gradscape.models import create_model
from tests.explain.test_features import untouched

TOKENS, WIDTH, WORDS = 7, 12, 20


class Reader(nn.Module):
    """A small transformer over tokens, called as Hugging Face's are."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.places = nn.Embedding(WORDS, WIDTH), nn.Parameter(torch.randn(TOKENS, WIDTH))
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.mix, self.head = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        tokens = self.words(input_ids) + self.places
        query, key, value = (one(tokens).unflatten(2, (2, -1)).transpose(1, 2) for one in self.heads())
        mask = None if attention_mask is None else attention_mask[:, None, None].bool()
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.head(self.mix(tokens + attended.transpose(1, 2).flatten(2)).relu().mean(1))

    def heads(self) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
        return self.query, self.key, self.value


class Backwards(nn.Module):
    """Reads its tokens from the last to the first."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.mix, self.head = nn.Embedding(WORDS, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.mix(self.words(tokens).flip(1)).relu().mean(1))


def table_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))


def table(count: int = 12) -> Tensor:
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(1))


def sentences(count: int = 12) -> Tensor:
    return torch.randint(WORDS, (count, TOKENS), generator=torch.Generator().manual_seed(1))


def as_dict(tokens: Tensor) -> dict[str, Tensor]:
    return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}


def unpacked(model: nn.Module, batch: Any) -> Any:
    return model(**batch)


INPUTS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "tokens": (Reader, sentences, {}),
    "dict": (Reader, lambda: as_dict(sentences()), {"forward": unpacked}),
    "table": (table_net, table, {}),
    "tuple": (table_net, lambda: (table(), table()), {"forward": lambda model, pair: model(pair[0] + 0 * pair[1])}),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_whatever_a_model_takes_can_be_embedded(kind: str) -> None:
    build, data, options = INPUTS[kind]
    model, labels = build(), torch.arange(12) % 3
    with untouched(model):
        embedding = embed(model, [(data(), labels)], perplexity=3, **options)
    assert embedding.points.shape == (12, 2)
    assert embedding.layer == ("input of head" if build is Reader else "input of 4")


def test_a_tables_features_are_those_of_the_layer() -> None:
    model, labels = table_net(), torch.zeros(12, dtype=torch.long)
    found = extract_features(model, [(table(), labels)]).values
    np.testing.assert_allclose(found, model[:4](table()).detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize("layer", ["words", "mix"])
def test_tokens_features_are_averaged_over_the_tokens(layer: str) -> None:
    model, labels = Reader(), torch.zeros(12, dtype=torch.long)
    given: list[Tensor] = []
    with model.get_submodule(layer).register_forward_hook(lambda _m, _i, out: given.append(out.detach())):
        model(sentences())
    found = extract_features(model, [(sentences(), labels)], layer=layer).values
    np.testing.assert_allclose(found, given[0].mean(1).numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", ["tokens", "dict"])
def test_a_heatmap_of_tokens_has_a_number_for_each_and_the_values_of_the_equation(kind: str) -> None:
    build, data, options = INPUTS[kind]
    model = build()
    with untouched(model):
        found = heatmaps(model, data(), method=["gradcam", "layercam"], target_layer="mix", **options)
    kept: list[Tensor] = []
    with model.mix.register_forward_hook(lambda _m, _i, out: kept.append(out)):
        scores = model(sentences()).amax(1).sum()
    (gradients,) = torch.autograd.grad(scores, kept)
    expected = (kept[0] * gradients.mean(1, keepdim=True)).sum(2).detach().numpy()
    np.testing.assert_allclose(found["gradcam"].raw, expected, rtol=1e-4, atol=1e-7)
    assert found["gradcam"].raw.shape == found["gradcam"].display.shape == (12, TOKENS)
    assert found["layercam"].image_size == (TOKENS,)


def test_a_tables_row_has_no_heatmap_which_one_sentence_says() -> None:
    with pytest.raises(ValueError, match="rows of a table that no layer gives places to have no heatmap, but `embed`"):
        heatmaps(table_net(), table())
    with pytest.raises(
        ValueError, match=r"`target_layer` 2 must give places .*, got \(12, 8\): .* `embed` can draw it"
    ):
        heatmaps(table_net(), table(), method="gradcam", target_layer="2")


def test_tokens_in_another_order_and_of_unclear_layout_are_refused() -> None:
    with pytest.raises(ValueError, match="`target_layer` mix must give places that lie as the tokens do"):
        heatmaps(Backwards(), sentences(), method="gradcam", target_layer="mix")
    square = torch.randint(WORDS, (4, WIDTH))
    net = nn.Sequential(nn.Embedding(WORDS, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Flatten(), nn.Linear(WIDTH**2, 3))
    with pytest.raises(ValueError, match="`layout` must say how 1 gives its places"):
        heatmaps(net, square, method="gradcam", target_layer="1")
    found = heatmaps(net, square, method="gradcam", target_layer="1", layout="channels_last")
    assert found.raw.shape == (4, WIDTH)
    with pytest.raises(ValueError, match=r"`method` must be one of .* for what is no image, got scorecam"):
        heatmaps(Reader(), sentences(), method="scorecam", target_layer="mix")


def test_a_layout_that_the_number_of_tokens_contradicts_is_refused() -> None:
    options: Any = {"method": "gradcam", "target_layer": "mix"}
    stated = heatmaps(Reader(), sentences(), layout="channels_last", **options)
    assert np.array_equal(stated.raw, heatmaps(Reader(), sentences(), **options).raw)
    with pytest.raises(
        ValueError, match=r'`layout` "channels_first" contradicts mix, whose shape .* in "channels_last"'
    ):
        heatmaps(Reader(), sentences(), layout="channels_first", **options)


def test_what_needs_pixels_refuses_maps_of_tokens() -> None:
    tokens = sentences()
    found = heatmaps(Reader(), tokens, method="gradcam", target_layer="mix")
    with pytest.raises(ValueError, match=r"`heatmaps` must be of images \(N, C, H, W\), whose pixels are deleted"):
        measure_faithfulness(Reader(), torch.rand(len(tokens), 3, 8, 8), found)
    for draw in (lambda: figure_heatmaps(tokens.float(), found), lambda: plot_heatmap(tokens[0].float(), found, 0)):
        with pytest.raises(ValueError, match="`images` must be images, volumes or signals to have maps drawn over"):
            draw()


@pytest.mark.parametrize("kind", ["tokens", "dict"])
def test_attention_among_tokens_is_collected(kind: str) -> None:
    build, data, options = INPUTS[kind]
    model = build()
    with untouched(model):
        (found,) = attention_maps(model, data(), **options).values()
    tokens = model.words(sentences()) + model.places
    query, key = (one(tokens).unflatten(2, (2, -1)).transpose(1, 2) for one in (model.query, model.key))
    expected = (query @ key.mT / math.sqrt(WIDTH / 2)).softmax(-1)
    assert (found.kind, found.grid) == ("affinity", None)
    np.testing.assert_allclose(found.values, expected.detach().numpy(), rtol=1e-4, atol=1e-6)


def test_fusion_of_a_model_that_takes_a_dict_is_that_of_its_images() -> None:
    net, images = create_model("resnet20+se", image_size=8), torch.randn(2, 3, 8, 8)
    batch: dict[str, Any] = {"image": images, "id": torch.arange(2)}

    def of_image(model: nn.Module, given: Any) -> Any:
        return model(given["image"])

    found = fusion_maps(net, batch, forward=of_image)
    np.testing.assert_array_equal(found.fused, fusion_maps(net, images).fused)


def test_inputs_are_copied_with_the_models_precision_and_integers_as_they_are() -> None:
    given: dict[str, Any] = {"a": table(), "b": [sentences()]}
    found: Any = inputs_for(table_net().double(), given)
    assert (found["a"].dtype, found["b"][0].dtype) == (torch.float64, torch.int64)
    assert found["b"][0] is not given["b"][0]
    assert input_count(given) == 12


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        ({"a": table(), "b": sentences(4)}, ValueError, r"must have an entry for each example .* \(12, 5\), \(4, 7\)"),
        ({"a": "text"}, TypeError, "must be a tensor, or a dict, list or tuple of tensors .* got str"),
        (torch.rand(5), ValueError, r"got the shape \(5,\)"),
        ({}, ValueError, "got the shape none"),
        (torch.full((3, 5), math.nan), ValueError, "NaN or infinity is in image 0, 1, 2"),
    ],
)
def test_what_is_no_batch_is_refused(inputs: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        heatmaps(table_net(), inputs, method="gradcam", target_layer="0")
