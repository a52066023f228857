"""Reference numbers of a trained ResNet-20 on 256 images, which another implementation gave."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gradscape.landscape import hessian_spectrum, hessian_trace

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TOP = (102.28227, 80.82914, 62.90563, 56.32503, 45.34648)
BOTTOM = (-4.56934, -4.40616, -4.22679)
TOP_OF_MATRICES = (82.85751, 63.79901, 50.59165, 45.46349, 36.87527)


@pytest.fixture(scope="module")
def first_images(cifar_images: Any) -> Any:
    """The first 256."""
    ((images, labels),) = cifar_images
    return [(images[:256], labels[:256])]


@pytest.mark.slow
def test_top_five_eigenvalues_are_the_reference_by_20_products(akamaster: nn.Module, first_images: Any) -> None:
    spectrum = hessian_spectrum(akamaster, first_images, bottom=0, steps=20, held_out=False)
    assert spectrum.values == pytest.approx(TOP, rel=1e-4)
    assert spectrum.converged.all()


@pytest.mark.reference
def test_the_lowest_three_eigenvalues_are_the_reference_by_60_products(akamaster: nn.Module, first_images: Any) -> None:
    spectrum = hessian_spectrum(akamaster, first_images, top=5, bottom=3, steps=60, held_out=False)
    assert spectrum.values == pytest.approx((*TOP, *BOTTOM), rel=1e-4)


@pytest.mark.reference
def test_without_tensors_of_one_dimension_they_are_the_reference_too(akamaster: nn.Module, first_images: Any) -> None:
    spectrum = hessian_spectrum(akamaster, first_images, bottom=0, ignore="biasbn", steps=30, held_out=False)
    assert spectrum.values == pytest.approx(TOP_OF_MATRICES, rel=1e-4)


@pytest.mark.reference
def test_the_exact_trace_is_the_reference_by_image_layer_and_scalar(
    akamaster: nn.Module, first_images: Any, test_data: Path
) -> None:
    ((_, labels),) = first_images
    # Rounded to single precision, one of these has a trace that is 1.69 lower, of 4,627: some unit lies at its kink.
    arrays = np.load(test_data / "cifar10" / "cifar10_test1000_lossless.npz")
    images = (arrays["images"][:256] / 255 - MEAN) / STD
    trace = hessian_trace(copy.deepcopy(akamaster).double(), [(torch.from_numpy(images.transpose(0, 3, 1, 2)), labels)])
    assert trace.inexact == ""
    assert trace.value == pytest.approx(896.78277, rel=1e-6)
    parts = {name: part.value for name, part in trace.by_parameter().items()}
    tensors = dict(akamaster.named_parameters())
    assert sum(parts[name] for name, one in tensors.items() if one.dim() > 1) == pytest.approx(750.03785, rel=1e-6)
    assert trace.mean.effective_images == pytest.approx(28.7, abs=0.05)
    assert trace.images.std(ddof=1) / 16 == pytest.approx(158.0, abs=0.05)
    assert (np.median(trace.images), trace.images.max()) == pytest.approx((0.155, 12_598), rel=5e-3)
    reference = np.load(test_data.parent / "science" / "diag_akamaster.npz")
    assert list(parts.values()) == pytest.approx(reference["layer_trace"], rel=1e-5)
    assert trace.diagonal is not None
    diagonal = np.concatenate([one.numpy().ravel() for one in trace.diagonal.values()])
    largest = np.abs(reference["diagonal"]).max()
    assert np.allclose(diagonal, reference["diagonal"], rtol=1e-5, atol=1e-6 * largest)
    weights = np.concatenate([tensors[name].detach().numpy().ravel() for name in trace.names]).astype(float)
    assert float(diagonal.astype(float) @ weights**2) == pytest.approx(61.771949, rel=1e-5)
    per_image = np.load(test_data.parent / "science" / "trace_per_image.npz")
    assert np.allclose(trace.images, per_image["trace"], rtol=1e-4, atol=1e-5)
