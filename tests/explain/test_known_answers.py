"""Pictures whose evidence is in a known place: digits on textures, and a network trained to read them."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_sample_images
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.explain.cam import heatmaps
from gradscape.explain.faithfulness import Faithfulness, measure_faithfulness
from gradscape.explain.heatmap import Heatmaps
from gradscape.explain.randomization import randomize_parameters

pytestmark = pytest.mark.slow  # a network is trained

HEIGHT, WIDTH, DIGIT = 44, 52, 16
TRAINED_ON, EPOCHS, BATCH = 1500, 12, 60
JUDGED = 80  # of the 297 pictures held out, in the measures that ask the network often


class Reader(nn.Module):
    """A stem and three blocks down to a quarter of the size, averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _block(3, 24, stride=2)
        self.stages = nn.Sequential(_block(24, 32), nn.MaxPool2d(2), _block(32, 48), _block(48, 48))
        self.head = nn.Linear(48, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.stages(self.stem(images - 0.3)).mean((2, 3)))


def _block(channels: int, filters: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, filters, 3, stride, 1, bias=False), nn.BatchNorm2d(filters), nn.ReLU(inplace=True)
    )


class Painter:
    """Pastes digits of 16×16 pixels at random places of dimmed crops of two photographs."""

    def __init__(self) -> None:
        digits = load_digits()
        self.labels = torch.from_numpy(digits.target)
        small = torch.from_numpy(digits.images).float()[:, None] / 16
        self.ink = F.interpolate(small, (DIGIT, DIGIT), mode="bilinear").clamp(0, 1)[:, 0]
        self.photos = [torch.tensor(photo).permute(2, 0, 1) / 255 for photo in load_sample_images().images]

    def paint(self, numbers: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Pictures (N, 3, 44, 52), and their digits' boxes (N, 4)."""
        painted = [self._paint_one(self.ink[number], generator) for number in numbers]
        return torch.stack([picture for picture, _ in painted]), torch.tensor([box for _, box in painted])

    def _paint_one(self, ink: Tensor, generator: torch.Generator) -> tuple[Tensor, list[int]]:
        photo = self.photos[_below(2, generator)]
        top, left = (_below(of - size, generator) for of, size in zip(photo.shape[1:], (HEIGHT, WIDTH), strict=True))
        picture = 0.6 * photo[:, top : top + HEIGHT, left : left + WIDTH]
        y, x = (_below(size - DIGIT + 1, generator) for size in (HEIGHT, WIDTH))
        picture[:, y : y + DIGIT, x : x + DIGIT].lerp_(torch.ones(()), ink)
        return picture, [x, y, x + DIGIT, y + DIGIT]


def _below(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))


@dataclass(frozen=True, eq=False)
class Trained:
    """The network, and pictures that it has not seen."""

    model: Reader
    pictures: Tensor
    labels: Tensor
    boxes: Tensor


def _train(*, seed: int) -> Trained:
    painter, generator = Painter(), torch.Generator().manual_seed(seed)
    order = torch.randperm(len(painter.labels), generator=generator)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Reader()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=EPOCHS * TRAINED_ON // BATCH)
    for _ in range(EPOCHS):
        numbers = order[:TRAINED_ON][torch.randperm(TRAINED_ON, generator=generator)]
        pictures, _ = painter.paint(numbers, generator)
        for batch, labels in zip(pictures.split(BATCH), painter.labels[numbers].split(BATCH), strict=True):
            optimizer.zero_grad()
            F.cross_entropy(model(batch), labels).backward()
            optimizer.step()
            schedule.step()
    optimizer.zero_grad()
    held_out = order[TRAINED_ON:]
    pictures, boxes = painter.paint(held_out, generator)
    return Trained(model.eval(), pictures, painter.labels[held_out], boxes)


@pytest.fixture(scope="module")
def trained() -> Trained:
    return _train(seed=0)


def _maps(trained: Trained, count: int | None = None) -> Heatmaps:
    found = heatmaps(trained.model, trained.pictures[:count], class_index=trained.labels[:count])
    assert isinstance(found, Heatmaps)
    return found


def _judge(trained: Trained, maps: Heatmaps) -> Faithfulness:
    boxes = trained.boxes[:JUDGED]
    return measure_faithfulness(trained.model, trained.pictures[:JUDGED], maps, boxes=boxes, steps=20)


def test_the_network_reads_digits_that_it_has_not_seen(trained: Trained) -> None:
    with torch.no_grad():
        right = trained.model(trained.pictures).argmax(1) == trained.labels
    assert right.float().mean() > 0.9


def test_grad_cam_plus_plus_puts_most_of_its_mass_into_the_digits_box(trained: Trained) -> None:
    maps = _maps(trained)
    shares = []
    for map_, (x0, y0, x1, y1) in zip(maps.display, trained.boxes.tolist(), strict=True):
        shares.append(map_[y0:y1, x0:x1].sum() / map_.sum())
    assert len(shares) == 297
    assert not maps.faults
    # The box is an eighth of the picture, so that a map without preference has a share of 0.11.
    assert np.mean(np.array(shares) > 0.5) >= 0.8


def test_the_measures_find_the_digit_too(trained: Trained) -> None:
    maps = _maps(trained, JUDGED)
    found = _judge(trained, maps)
    for energy, map_, (x0, y0, x1, y1) in zip(found.energy, maps.display, trained.boxes.tolist(), strict=False):
        assert energy == pytest.approx(map_[y0:y1, x0:x1].sum() / map_.sum(), rel=1e-4)
    assert found.means["pointing"].value > 0.9


def test_maps_of_other_pictures_are_less_faithful_by_every_measure(trained: Trained) -> None:
    """Each picture gets its neighbor's map: as good a map, of another place."""
    maps = _maps(trained, JUDGED)
    own, others = _judge(trained, maps), _judge(trained, replace(maps, raw=np.roll(maps.raw, 1, axis=0)))
    for name in ("insertion", "road_lerf", "road", "pointing", "energy"):
        assert _gap(own, others, name) > 0, name
    for name in ("deletion", "drop", "road_morf"):
        assert _gap(own, others, name) < 0, name


def _gap(first: Faithfulness, second: Faithfulness, name: str) -> float:
    """Difference of the means, less three standard errors in size; 0 where it is not larger."""
    difference = first.means[name].value - second.means[name].value
    error = np.hypot(first.means[name].standard_error, second.means[name].standard_error)
    return float(np.sign(difference) * max(abs(difference) - 3 * error, 0))


def test_maps_drift_away_as_the_parameters_are_lost(trained: Trained) -> None:
    """Not to zero: the digits are bright, so that random filters see them too."""
    found = randomize_parameters(trained.model, trained.pictures[:JUDGED], class_index=trained.labels[:JUDGED])
    assert found.groups == ("head", "stages.3", "stages.2", "stages.0", "stem.1", "stem.0")
    for similarity in (found.rank_correlation, found.overlap):
        head, everything = np.nanmedian(similarity[[0, -1]], axis=1)
        assert everything < head - 0.15
        assert head < 0.95
