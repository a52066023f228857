import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_grad_cam.feature_factorization.deep_feature_factorization import dff
from torch import Tensor, nn

from gradscape.explain.factorization import FeatureFactors, factorize_features
from gradscape.explain.heatmap import Heatmaps
from gradscape.explain.layout import Layout


class Shown(nn.Module):
    """Its layer `features` gives what was put there, whatever the images."""

    def __init__(self, shown: Tensor) -> None:
        super().__init__()
        self.shown, self.features, self.head = shown, nn.Identity(), nn.Linear(shown.shape[1], 5)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(self.shown[: len(images)].to(images)).mean((2, 3)))


def planted(*, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray, Tensor]:
    """Two concepts of seven channels on separate places of three images of 4×6 places."""
    concepts = np.array([[4, 2, 0, 0, 1, 0, 3], [0, 0, 2, 1, 1, 3, 0]], np.float32)
    maps = np.zeros((3, 2, 4, 6), np.float32)
    maps[0, 0, :2, :3], maps[1, 0, 3, 5], maps[2, 0, 1] = 0.5, 1, 0.25
    maps[0, 1, 3, :], maps[1, 1, :2, 1] = 0.75, 1
    features = np.einsum("nkhw,kc->nchw", maps, concepts) + offset
    return concepts, maps, torch.from_numpy(features.astype(np.float32))


def pictures(count: int = 3) -> Tensor:
    return torch.rand(count, 3, 8, 12, generator=torch.Generator().manual_seed(0))


def net() -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 7, 3),
            nn.ReLU(inplace=True),
            nn.Conv2d(7, 6, 1),
            nn.AvgPool2d((6, 10)),
            nn.Flatten(),
            nn.Linear(6, 5),
        )


def test_planted_concepts_are_found_with_their_places_and_sizes() -> None:
    concepts, maps, features = planted()
    factors = factorize_features(Shown(features), pictures(), components=2, target_layer="features")
    np.testing.assert_allclose(factors.concepts, concepts, atol=1e-3)
    np.testing.assert_allclose(factors.maps, maps, atol=1e-3)
    np.testing.assert_array_equal(factors.offset, np.zeros(7))
    assert factors.relative_error < 1e-3
    assert factors.image_size == (8, 12)
    assert factors.target_layer == "features"
    assert factors.class_scores is None


def test_negative_features_are_explained_with_the_offset_added() -> None:
    concepts, _, features = planted(offset=-2)
    factors = factorize_features(Shown(features), pictures(), components=2, target_layer="features")
    np.testing.assert_allclose(factors.offset, np.full(7, -2))
    np.testing.assert_allclose(factors.concepts, concepts, atol=1e-3)
    rebuilt = np.einsum("nkhw,kc->nchw", factors.maps, factors.concepts) + factors.offset[:, None, None]
    np.testing.assert_allclose(rebuilt, features, atol=1e-2)


def test_the_head_sees_a_place_that_holds_one_concept_alone() -> None:
    concepts, _, features = planted(offset=-2)
    model = Shown(features)
    factors = factorize_features(model, pictures(), components=2, target_layer="features", head=model.head)
    assert factors.class_scores is not None
    assert factors.class_scores.shape == (2, 5)
    with torch.no_grad():
        expected = model.head(torch.from_numpy(concepts - 2))
    np.testing.assert_allclose(factors.class_scores, expected, atol=1e-2)


def test_no_more_is_left_unexplained_than_by_the_package() -> None:
    model, images = net().eval(), pictures()
    with torch.no_grad():
        features = model[:2](images).numpy()
    assert (features.min(axis=(0, 2, 3)) == 0).all()
    factors = factorize_features(model, images, components=3, target_layer="1")
    rebuilt = np.einsum("nkhw,kc->nchw", factors.maps, factors.concepts)
    concepts, maps = dff(features.copy(), n_components=3)
    theirs = np.einsum("nkhw,ck->nchw", maps, concepts)
    error, peer = np.linalg.norm(rebuilt - features), np.linalg.norm(theirs - features)
    assert error <= 1.01 * peer
    assert factors.relative_error == pytest.approx(error / np.linalg.norm(features), rel=1e-3)
    assert factors.maps.min() >= 0
    np.testing.assert_allclose(factors.maps.max(axis=(0, 2, 3)), 1, rtol=1e-6)
    sizes = [np.linalg.norm(factors.concepts[k]) * np.linalg.norm(factors.maps[:, k]) for k in range(3)]
    assert sizes == sorted(sizes, reverse=True)


def test_features_are_those_before_something_overwrote_them() -> None:
    model = net().eval()
    with torch.no_grad():
        features = model[0](pictures())
    factors = factorize_features(model, pictures(), components=2, target_layer="0")
    np.testing.assert_allclose(factors.offset, np.minimum(features.numpy().min(axis=(0, 2, 3)), 0), atol=1e-6)
    assert factors.offset.min() < 0


def test_tokens_are_laid_out_on_their_grid() -> None:
    concepts, maps, features = planted()
    tokens = torch.cat([torch.full((3, 1, 7), 50.0), features.flatten(2).movedim(1, 2)], dim=1)

    class Tokens(Shown):
        def forward(self, images: Tensor) -> Tensor:
            return self.head(self.features(self.shown).mean(1))

    model = Tokens(tokens)
    model.head = nn.Linear(7, 5)
    layout = Layout(grid=(4, 6), extra=(0,))  # what does not depend on the image cannot be measured
    factors = factorize_features(model, pictures(), components=2, target_layer="features", layout=layout)
    np.testing.assert_allclose(factors.maps, maps, atol=1e-3)
    np.testing.assert_allclose(factors.concepts, concepts, atol=1e-3)


def test_the_same_seed_gives_the_same_and_random_states_and_model_are_untouched() -> None:
    model = net().train().requires_grad_(False)
    numpy, torch_state = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    with torch.inference_mode():
        first = factorize_features(model, pictures(), components=3, target_layer="1", seed=4)
    again = factorize_features(model, pictures(), components=3, target_layer=model[1], seed=4)
    np.testing.assert_array_equal(first.maps, again.maps)
    np.testing.assert_array_equal(first.concepts, again.concepts)
    assert repr(np.random.get_state()) == repr(numpy)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_bfloat16_models_give_about_the_same() -> None:
    expected = factorize_features(net(), pictures(), components=2, target_layer="1")
    found = factorize_features(net().bfloat16(), pictures(), components=2, target_layer="1")
    assert np.corrcoef(found.maps.ravel(), expected.maps.ravel())[0, 1] > 0.99


def test_features_that_are_not_finite_are_refused_where_the_package_hides_them() -> None:
    images = pictures()
    images[1, :, 4, 4] = np.nan
    with pytest.raises(ValueError, match=r"`target_layer` gives features that are not finite for the images \[1\]"):
        factorize_features(net(), images, components=2, target_layer="1")
    with torch.no_grad():
        concepts, maps = dff(net()[:2](images).numpy(), n_components=2)
    assert np.isfinite(concepts).all()
    assert np.isfinite(maps).all()


@pytest.mark.parametrize("components", [0, -1, 8])
def test_a_number_of_components_that_does_not_fit_is_refused(components: int) -> None:
    with pytest.raises(ValueError, match=rf"`components` must be in 1 … 7, .* got {components}"):
        factorize_features(net(), pictures(), components=components, target_layer="1")


def test_features_without_anything_to_find_are_refused() -> None:
    with pytest.raises(ValueError, match="`target_layer` gives the same features everywhere"):
        factorize_features(Shown(torch.zeros(3, 7, 4, 6)), pictures(), components=2, target_layer="features")


def test_a_layer_or_a_head_that_does_not_fit_is_refused() -> None:
    model = nn.Sequential(net(), nn.Identity())
    model.add_module("idle", nn.Conv2d(3, 4, 1))
    model.forward = model[0].forward  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="`target_layer` must run in a forward pass, and does not"):
        factorize_features(model, pictures(), components=2, target_layer="idle")
    pooled = nn.Sequential(nn.MaxPool2d(2, return_indices=True))
    with pytest.raises(TypeError, match="`target_layer` must give a tensor, got tuple"):
        factorize_features(pooled, pictures(), components=2, target_layer="0")
    with pytest.raises(TypeError, match="`head` must give scores"):
        factorize_features(net(), pictures(), components=2, target_layer="1", head=lambda pooled: pooled[:, 0])


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    _, _, features = planted()
    model = Shown(features)
    for head in (None, model.head):
        factors = factorize_features(model, pictures(), components=2, target_layer="features", head=head)
        factors.save(tmp_path / "factors.npz")
        loaded = FeatureFactors.load(tmp_path / "factors.npz")
        for name in ("concepts", "maps", "offset", "class_scores"):
            np.testing.assert_array_equal(getattr(loaded, name), getattr(factors, name))
        assert (loaded.relative_error, loaded.image_size) == (factors.relative_error, (8, 12))
        assert loaded.target_layer == "features"
        assert loaded.meta == json.loads(json.dumps(dict(factors.meta)))
        assert loaded.meta["seed"] == 0


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    numbers = np.zeros(3, np.float32)
    Heatmaps(
        np.zeros((3, 4, 6), np.float32), (8, 12), "gradcam", "x", np.zeros(3, np.int64), numbers, numbers, {}
    ).save(tmp_path / "maps.npz")
    with pytest.raises(ValueError, match="must hold feature factors, but holds"):
        FeatureFactors.load(tmp_path / "maps.npz")


def test_factors_that_do_not_fit_together_are_refused() -> None:
    arrays = {"maps": np.zeros((3, 2, 4, 6)), "offset": np.zeros(7), "relative_error": 0.0, "image_size": (8, 12)}
    rest: Any = {**arrays, "target_layer": "x", "meta": {}}
    with pytest.raises(ValueError, match="must fit together"):
        FeatureFactors(concepts=np.zeros((7, 2)), class_scores=None, **rest)
    with pytest.raises(ValueError, match="`class_scores` must have a row for each of the 2 concepts"):
        FeatureFactors(concepts=np.zeros((2, 7)), class_scores=np.zeros((5, 2)), **rest)
