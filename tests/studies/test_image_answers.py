"""What networks answer to images, against answers that are written into them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, top_k_accuracy_score
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.models import Classifier
from gradscape.studies.image_answers import ImageAnswers, answer_images, count_confusions


class Rows(nn.Module):
    """Answers image after image by the rows of a table; an image's first pixel is its number over 100."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, images: Tensor) -> Tensor:
        return self.logits[(100 * images[:, 0, 0, 0]).round().long()]


def network(logits: Tensor) -> Classifier:
    classes = logits.shape[1] if logits.dim() > 1 else 1
    about = {"name": "own", "num_classes": classes, "image_size": 4, "labels": None}
    return Classifier(Rows(logits), {**about, "mean": [0.0] * 3, "std": [1.0] * 3})


def numbered(labels: Tensor, *, size: int = 7) -> list[tuple[Tensor, Tensor]]:
    images = (torch.arange(len(labels)) / 100)[:, None, None, None].expand(-1, 3, 4, 6).clone()
    return list(zip(images.split(size), labels.split(size), strict=True))


def answered(logits: Tensor, labels: Tensor, classes: int) -> ImageAnswers:
    names = tuple(f"class {number}" for number in range(classes))
    return answer_images({"net": network(logits)}, numbered(labels), classes=names)["net"]


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(23, 8, generator=torch.Generator().manual_seed(0))


def test_answers_are_those_of_torch_and_scikit_learn(logits: Tensor) -> None:
    labels = torch.arange(23) % 8
    found = answered(logits, labels, 8)
    exact = logits.double()
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_allclose(found.loss, F.cross_entropy(exact, labels, reduction="none"), rtol=1e-12)
    np.testing.assert_allclose(found.confidence, exact.softmax(1).max(1).values, rtol=1e-12)
    np.testing.assert_array_equal(found.right, exact.argmax(1) == labels)
    assert found.among_five is not None
    assert found.among_five.mean() == top_k_accuracy_score(labels, exact, k=5, labels=range(8))
    np.testing.assert_array_equal(count_confusions(found), confusion_matrix(labels, exact.argmax(1), labels=range(8)))


def test_networks_share_every_batch_and_stay_as_they_were(logits: Tensor) -> None:
    models = {"a": network(logits).train(), "b": network(-logits)}
    batches, seen = iter(numbered(torch.arange(23) % 8)), []
    found = answer_images(models, batches, classes=("x",) * 8, watch=lambda images, _: seen.append(len(images)))
    assert seen == [7, 7, 7, 2]
    np.testing.assert_array_equal(found["b"].predicted, (-logits).argmax(1))
    assert (models["a"].training, models["b"].training) == (True, True)
    assert models["a"].network.logits.requires_grad


def test_answers_that_are_not_finite_are_wrong_and_have_no_confidence(logits: Tensor) -> None:
    logits[3, 3], logits[4, 0], logits[5, 5] = (
        torch.nan,
        -torch.inf,
        torch.inf,
    )  # the largest, none, and the right class
    found = answered(logits, torch.arange(23) % 8, 8)
    assert np.flatnonzero(~found.finite).tolist() == [3, 4, 5]
    assert found.predicted[3:6].tolist() == [-1] * 3
    assert not found.right[3:6].any()
    assert found.among_five is not None
    assert not found.among_five[3:6].any()
    assert np.isnan(found.confidence[3:6]).all()
    counts = count_confusions(found)
    assert counts.shape == (8, 9)
    assert (counts[:, 8].sum(), counts.sum()) == (3, 23)


def test_five_classes_or_fewer_have_no_top_five(logits: Tensor) -> None:
    labels = torch.arange(23) % 5
    assert answered(logits[:, :5], labels, 5).among_five is None
    assert answered(logits[:, :6], labels, 6).among_five is not None


def test_answers_beyond_the_classes_of_the_images_are_counted_together(logits: Tensor) -> None:
    labels = torch.arange(23) % 3
    counts = count_confusions(answered(logits, labels, 3))
    assert counts.shape == (3, 4)
    assert counts[:, 3].sum() == (logits.argmax(1) > 2).sum()


@pytest.mark.parametrize("flat", [True, False])
def test_a_single_logit_tells_two_classes_apart(flat: bool) -> None:
    logits = torch.linspace(-3, 3, 23)
    labels = torch.arange(23) % 2
    found = answered(logits if flat else logits[:, None], labels, 2)
    exact = logits.double()
    expected = F.binary_cross_entropy_with_logits(exact, labels.double(), reduction="none")
    np.testing.assert_allclose(found.loss, expected, rtol=1e-12)
    np.testing.assert_array_equal(found.predicted, logits > 0)
    np.testing.assert_allclose(found.confidence, torch.maximum(exact.sigmoid(), (-exact).sigmoid()), rtol=1e-12)


def test_answers_are_read_as_they_were_written(logits: Tensor, tmp_path: Path) -> None:
    for classes in (4, 8):
        found = answered(logits[:, :classes], torch.arange(23) % 4, 4)
        found.save(tmp_path / "answers.npz")
        read = ImageAnswers.load(tmp_path / "answers.npz")
        assert read.classes == ("class 0", "class 1", "class 2", "class 3")
        assert (read.among_five is None) == (classes == 4)
        for name in ("labels", "predicted", "confidence", "loss", "right"):
            np.testing.assert_array_equal(getattr(read, name), getattr(found, name))


def test_what_is_no_logit_is_refused(logits: Tensor) -> None:
    labels = torch.arange(23) % 8
    with pytest.raises(ValueError, match="gives probabilities"):
        answered(logits.softmax(1), labels, 8)
    with pytest.raises(ValueError, match=r"net gives \(7, 8, 2\) for 7 images"):
        answered(torch.stack([logits, logits], 2), labels, 8)
