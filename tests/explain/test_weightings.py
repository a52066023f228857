import time

import numpy as np
import pytest
import torch
from torch import Tensor

from gradscape.explain.weightings import METHODS
from tests.explain.plain_cams import PLAIN


def _random(*, seed: int, channels: int = 7, signed: bool = True) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(3, channels, 4, 5, generator=generator, dtype=torch.float64)
    gradients = torch.randn(3, channels, 4, 5, generator=generator, dtype=torch.float64)
    return features if signed else features.relu(), gradients * (gradients > -0.5)


def test_every_method_has_a_plain_form_to_be_compared_with() -> None:
    assert set(METHODS) == set(PLAIN)


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "rectified"])
@pytest.mark.parametrize("channels", [7, 33], ids=["more places", "more channels"])
@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_its_equation(method: str, channels: int, signed: bool) -> None:
    features, gradients = _random(seed=0, channels=channels, signed=signed)
    found = METHODS[method](features, gradients).numpy()
    plain = np.stack([PLAIN[method](a.numpy(), g.numpy()) for a, g in zip(features, gradients, strict=True)])
    np.testing.assert_allclose(found, plain, rtol=0, atol=1e-9 * np.abs(plain).max())


@pytest.mark.parametrize("method", METHODS)
def test_zero_features_and_gradients_give_a_zero_map(method: str) -> None:
    zero = torch.zeros(2, 7, 4, 5)
    assert not METHODS[method](zero, zero).any()


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "layercam", "xgradcam", "elementwise"])
def test_a_score_counted_in_other_units_scales_the_map(method: str) -> None:
    features, gradients = _random(seed=1)
    torch.testing.assert_close(METHODS[method](features, 3 * gradients), 3 * METHODS[method](features, gradients))


@pytest.mark.parametrize("method", ["eigencam", "eigengradcam"])
def test_the_sign_of_a_principal_component_follows_the_evidence(method: str) -> None:
    for seed in range(20):
        features, gradients = _random(seed=seed)
        evidence = features if method == "eigencam" else gradients * features
        found = METHODS[method](features, gradients)
        for component, total in zip(found, evidence.sum(1), strict=True):
            assert np.corrcoef(component.flatten(), total.flatten())[0, 1] > 0


def test_the_component_of_normalized_features_has_its_largest_deviation_above_zero() -> None:
    for seed in range(20):
        features, gradients = _random(seed=seed)
        normalized = features - features.mean(1, keepdim=True)
        for component in METHODS["eigencam"](normalized.float(), gradients.float()):
            assert component.max() > -component.min()


def test_a_principal_component_of_a_large_layer_costs_milliseconds() -> None:
    features = torch.rand(1, 64, 112, 112, generator=torch.Generator().manual_seed(0))
    METHODS["eigencam"](features, features)
    start = time.process_time()
    METHODS["eigencam"](features, features)
    assert time.process_time() - start < 1  # a full singular value decomposition takes 12 s and 3.6 GB
