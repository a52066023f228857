from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from gradscape.training import load_metrics
from gradscape.training.validation import hold_out
from tests.training.toy import MEAN, STD, ToyImages, toy_network, toy_recipe, train_toy

SHARE = 0.3
PLAIN: dict[str, Any] = {"crop_padding": 0, "horizontal_flip": False, "validation_share": SHARE}


class Watched(nn.Module):
    """A network that remembers the images it was trained with."""

    def __init__(self) -> None:
        super().__init__()
        self.network = toy_network(dropout=0)
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self.seen += [image.clone() for image in images]
        return self.network(images)


def images_seen(network: Watched, data: ToyImages) -> set[int]:
    normalized = (data.images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    distances = torch.cdist(
        torch.stack(network.seen).flatten(1), normalized.flatten(1), compute_mode="donot_use_mm_for_euclid_dist"
    )
    assert distances.min(dim=1).values.max() < 1e-3
    return set(distances.argmin(dim=1).tolist())


def test_held_out_images_are_never_trained_with_and_their_accuracy_is_recorded(tmp_path: Path) -> None:
    data, network = ToyImages(40, seed=0), Watched()
    run = train_toy(tmp_path, network, train=data, recipe=toy_recipe(**PLAIN), seed=2)
    seen = images_seen(network, data)
    held_out = sorted(set(range(40)) - seen)
    assert len(held_out) == 12
    network.eval()
    right, losses = [], []
    for index in held_out:
        image = (data.images[index] - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
        logits = network(image[None])[0].double()
        right.append(int(logits.argmax()) == int(data.labels[index]))
        losses.append(-logits.log_softmax(0)[data.labels[index]].item())
    assert run.metrics["validation_accuracy"][-1] == pytest.approx(sum(right) / 12)
    assert run.metrics["validation_loss"][-1] == pytest.approx(sum(losses) / 12, rel=1e-5)
    columns = list(load_metrics(tmp_path / "metrics.csv"))
    assert columns[1:7] == [
        f"{split}_{what}" for split in ("train", "test", "validation") for what in ("loss", "accuracy")
    ]


def test_the_test_scores_do_not_mix_with_those_of_the_held_out_images(tmp_path: Path) -> None:
    frozen = {"learning_rate": 1e-30, "momentum": 0.0, "weight_decay": 0.0}
    network = [nn.Sequential(nn.Flatten(), nn.Linear(144, 4)) for _ in range(2)]
    network[1].load_state_dict(network[0].state_dict())
    runs = [
        train_toy(tmp_path / str(share), net, recipe=toy_recipe(**{**PLAIN, **frozen, "validation_share": share}))
        for net, share in zip(network, (0.0, SHARE), strict=True)
    ]
    assert runs[0].metrics["test_loss"][0] == pytest.approx(runs[1].metrics["test_loss"][0], rel=1e-6)
    assert "validation_loss" not in runs[0].metrics


def indices_of(data: Dataset[Any] | None) -> list[int]:
    assert data is not None
    return [data[position][1] for position in range(len(data))]  # type: ignore[arg-type]


class Numbers(Dataset[Any]):
    """Every label is its index."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.zeros(3, 4, 5), index


@pytest.mark.parametrize(("count", "share", "held"), [(50, 0.2, 10), (7, 0.3, 2), (3, 0.2, 1)])
def test_every_image_is_on_one_side_and_the_share_is_rounded(count: int, share: float, held: int) -> None:
    taught, held_out = (indices_of(side) for side in hold_out(Numbers(count), share, seed=4))
    assert len(held_out) == held
    assert sorted(taught + held_out) == list(range(count))


def test_the_seed_chooses_the_images() -> None:
    torch.manual_seed(1)
    sides = [indices_of(hold_out(Numbers(50), 0.2, seed=seed)[1]) for seed in (0, 0, 1)]
    assert sides[0] == sides[1] != sides[2]


def test_no_share_leaves_the_data_as_they_are() -> None:
    data = Numbers(5)
    assert hold_out(data, 0.0, seed=0) == (data, None)
