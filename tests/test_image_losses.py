import pytest
import torch
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

from gradscape._image_losses import cross_entropy_of, focal_of

LOGITS = 3 * torch.randn(11, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.arange(11) % 7


def test_the_focal_loss_is_the_cross_entropy_weighted_by_how_wrong_the_answer_is() -> None:
    expected = [
        -((1 - p) ** 2) * p.log() for p in (row.softmax(0)[label] for row, label in zip(LOGITS, LABELS, strict=True))
    ]
    torch.testing.assert_close(focal_of(LOGITS, LABELS), torch.stack(expected))


def test_of_two_classes_it_is_torchvisions_without_its_balance() -> None:
    score, labels = LOGITS[:, 0], LABELS % 2
    ours = focal_of(torch.stack([torch.zeros_like(score), score], dim=1), labels)
    torch.testing.assert_close(ours, sigmoid_focal_loss(score, labels.double(), alpha=-1, gamma=2))


def test_images_without_a_label_count_nothing_and_sure_answers_have_a_gradient() -> None:
    logits = torch.tensor([[90.0, 0.0], [0.0, 1.0]], requires_grad=True)
    losses = focal_of(logits, torch.tensor([0, -100]))
    losses.sum().backward()
    assert losses.tolist() == [0, 0]
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_probabilities_as_labels_are_for_the_cross_entropy_alone() -> None:
    soft = LOGITS.softmax(1)
    torch.testing.assert_close(cross_entropy_of(LOGITS, soft), F.cross_entropy(LOGITS, soft, reduction="none"))
    with pytest.raises(ValueError, match=r"`loss` focal takes class indices as labels, got torch\.float64"):
        focal_of(LOGITS, soft)
