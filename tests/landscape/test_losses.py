from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from gradscape.landscape import (
    bce_with_logits,
    cross_entropy,
    evaluate_line,
    find_loss,
    find_metric,
    focal,
    mse,
    nll,
    random_directions,
    top1,
    top5,
)


def test_names_give_the_functions() -> None:
    names = ("cross_entropy", "bce_with_logits", "mse", "nll", "focal")
    assert [find_loss(name) for name in names] == [cross_entropy, bce_with_logits, mse, nll, focal]
    assert [find_metric(name) for name in ("top1", "top5", "none")] == [top1, top5, None]


def test_a_users_function_is_imported_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_losses_of_a_user.py").write_text("def hinge(output, labels):\n    return 1 - output[:, 0]\n")
    monkeypatch.chdir(tmp_path)
    assert find_loss("own_losses_of_a_user:hinge")(torch.zeros(3, 1), None).tolist() == [1, 1, 1]
    found: object = find_metric("torch:isfinite")
    assert found is torch.isfinite
    with pytest.raises(ValueError, match="cannot import `loss` 'own_losses_of_a_user:hing'"):
        find_loss("own_losses_of_a_user:hing")


def test_unknown_names_are_told_with_those_that_are_known() -> None:
    with pytest.raises(
        ValueError, match=r"`?loss`? .*cross_entropi.*; known: cross_entropy, .*package\.module:function"
    ):
        find_loss("cross_entropi")
    with pytest.raises(ValueError, match="known: top1, top5, binary, pixel_accuracy, detection_ap50, none"):
        find_metric("accuracy")


def test_outputs_and_labels_are_never_broadcast() -> None:
    output, labels = torch.randn(7, 1), torch.randn(7)
    torch.testing.assert_close(mse(output, labels).mean(), F.mse_loss(output[:, 0], labels))
    for wrong in (torch.randn(7, 2), torch.randn(6), torch.randn(1, 7)):
        with pytest.raises(ValueError, match="`loss` needs a label for each output"):
            mse(output, wrong)


def test_the_label_among_the_five_largest() -> None:
    logits = torch.arange(14.0).reshape(2, 7)
    logits = torch.cat([logits, logits[:1] * torch.nan])
    assert top5(logits, torch.tensor([2, 1, 6])).tolist() == [True, False, False]


def test_a_loss_of_batches_is_refused_with_the_reason() -> None:
    with pytest.raises(
        ValueError, match=r"`loss` ohem is the mean cross-entropy of the hardest half .*Take cross_entropy"
    ):
        find_loss("ohem")


def test_a_surface_of_the_focal_loss_is_its_mean_over_the_images_that_have_a_label() -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 5))
    images, labels = torch.rand(40, 3, 2, 2), torch.arange(40) % 5
    labels[7] = -100
    line = evaluate_line(net, [(images, labels)], random_directions(net, seed=0)[0], [0.0], loss=focal)
    losses = focal(net(images), labels).detach()
    assert line.origin.loss == pytest.approx(losses.sum().item() / 39, rel=1e-5)
    assert line.meta["functions"]["loss"] == "gradscape.focal"
    with pytest.raises(ValueError, match="which takes logits, but the model gives probabilities"):
        evaluate_line(net.append(torch.nn.Softmax(1)), [(images, labels)], {}, [0.0], loss=focal)
