"""Alignment by weight matching: planted orders, published networks, and permutations that would change a network."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gradscape.landscape import align, difference_direction, evaluate_line
from gradscape.landscape.engine import evaluable
from gradscape.landscape.paths.matching import inner_product, match_weights
from gradscape.landscape.paths.symmetry import find_channel_groups, permuted
from gradscape.landscape.paths.symmetry.channels import ChannelBook
from gradscape.models import Classifier, create_model, import_checkpoint, load_checkpoint

RESNET20 = {"akamaster": "akamaster-resnet20-12fca82f.th", "zheng": "zheng-resnet20-model.th"}


def normed(seed: int) -> nn.Sequential:
    """Convolution and batch norm with statistics of its own."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 12, 5))
        net.train()(torch.randn(40, 3, 5, 6) * 2 + 1)
    return net.eval()


IMAGES = torch.rand(4, 3, 5, 6, generator=torch.Generator().manual_seed(0))


def bits(net: nn.Module) -> list[Tensor]:
    return [tensor.clone() for tensor in net.state_dict().values()]


def mlp(depth: int, seed: int) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        hidden = [layer for _ in range(depth - 1) for layer in (nn.Linear(16, 16), nn.ReLU())]
        return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), *hidden, nn.Linear(16, 5)).eval()


@pytest.mark.parametrize(("depth", "least"), [(1, 40), (2, 40), (4, 30)])
def test_planted_orders_are_found(depth: int, least: int) -> None:
    first = mlp(depth, 0)
    with evaluable(first):
        groups = find_channel_groups(first, torch.rand(4, 8))
    found = 0
    for seed in range(40):
        weights = {name: tensor.detach().double() for name, tensor in mlp(depth, seed).named_parameters()}
        draw = np.random.default_rng(seed)
        planted = groups.permuted(weights, {name: draw.permutation(size) for name, size in groups.sizes.items()})
        orders = match_weights(weights, weights | planted, groups, np.random.default_rng(0))
        back = weights | groups.permuted(weights | planted, orders)
        found += all(torch.equal(back[name], tensor) for name, tensor in weights.items())
    assert found >= least


def test_running_statistics_follow_their_channels() -> None:
    # rebasin 0.0.47 leaves them in place: such a network changes by 0.97 in eval().
    first, second = normed(0), normed(1)
    states = [bits(net) for net in (first, second)]
    aligned, alignment = align(first, second, inputs=IMAGES)
    order = torch.as_tensor(alignment.permutations["0"])
    assert not torch.equal(order, torch.arange(8))
    for name in ("weight", "bias", "running_mean", "running_var"):
        assert torch.equal(getattr(aligned[1], name), getattr(second[1], name)[order])
    heads = [net.state_dict()["4.weight"].view(5, 8, 12) for net in (aligned, second)]
    assert torch.equal(heads[0], heads[1][:, order]), "each channel is a run of twelve features"
    with torch.no_grad():
        torch.testing.assert_close(aligned(IMAGES), second(IMAGES))
    for net, state in zip((first, second), states, strict=True):
        assert all(map(torch.equal, bits(net), state)), "both networks are only read"
    assert not aligned.training
    assert type(aligned) is type(second)


def test_a_permutation_that_leaves_statistics_in_place_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    use = ChannelBook.use

    def forgetful(book: ChannelBook, tensor: str, *args: object) -> None:
        if "running_mean" not in tensor:
            use(book, tensor, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(ChannelBook, "use", forgetful)
    first, second = normed(0), normed(1)
    states = [bits(net) for net in (first, second)]
    with pytest.raises(ValueError, match="`other` must compute the same with its channels in another order, but an"):
        align(first, second, inputs=IMAGES)
    for net, state in zip((first, second), states, strict=True):
        assert all(map(torch.equal, bits(net), state))


class Ordered(nn.Sequential):
    """Its channels have places that the other network's graph does not show."""

    def forward(self, images: Tensor) -> Tensor:
        images = self[0](images) * torch.arange(1.0, 9.0).view(8, 1, 1)
        return self[4](self[3](self[2](self[1](images))))


def test_another_network_that_uses_the_places_of_its_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="in a way that its graph does not show, so that it cannot be aligned"):
        align(normed(0), Ordered(*normed(1)).eval(), inputs=IMAGES)


def test_what_is_told_of_it_is_right() -> None:
    first, second = normed(0), normed(1)
    aligned, alignment = align(first, second, restarts=3, seed=5, inputs=IMAGES)

    def flat(net: nn.Module) -> Tensor:
        return torch.cat([parameter.detach().double().flatten() for parameter in net.parameters()])

    assert alignment.objective_before == pytest.approx(float(flat(first) @ flat(second)))
    assert alignment.objective == pytest.approx(float(flat(first) @ flat(aligned)))
    assert alignment.objective == alignment.objectives.max() > alignment.objective_before
    assert alignment.cosine == pytest.approx(float(torch.cosine_similarity(flat(first), flat(aligned), dim=0)))
    assert alignment.cosine_before == pytest.approx(float(torch.cosine_similarity(flat(first), flat(second), dim=0)))
    assert (len(alignment.objectives), alignment.fixed) == (3, {"4": "they are the output"})
    assert alignment.deviation < 1e-12
    again = align(first, second, restarts=3, seed=5, inputs=IMAGES)[1]
    np.testing.assert_array_equal(alignment.objectives, again.objectives)
    entry = alignment.to_entry()
    assert (entry["groups"], entry["seed"]) == ({"0": 8}, 5)


def test_a_network_is_aligned_with_itself() -> None:
    aligned, alignment = align(normed(0), normed(0), restarts=2, inputs=IMAGES)
    assert alignment.cosine == pytest.approx(1)
    assert all(map(torch.equal, bits(aligned), bits(normed(0))))
    assert alignment.spread == 0


def test_what_cannot_be_aligned_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="`restarts` must be at least 1, got 0"):
        align(normed(0), normed(1), restarts=0)
    with pytest.raises(ValueError, match="`inputs` must be given, at least two images: `model` does not tell the size"):
        align(normed(0), normed(1))
    with pytest.raises(ValueError, match=r"`other` must have the tensors of `model`; these differ: 4\.bias"):
        align(normed(0), nn.Sequential(*normed(1)[:4], nn.Linear(96, 4)), inputs=IMAGES)
    with pytest.raises(ValueError, match=r"must have channels that can change places, but all stay: weight \(they"):
        align(nn.Linear(3, 2), nn.Linear(3, 2), inputs=torch.rand(2, 3))
    with pytest.raises(ValueError, match="`inputs` must hold at least two images"):
        align(normed(0), normed(1), inputs=IMAGES[:1])


def test_a_checkpoint_tells_its_own_images() -> None:
    about = {"num_classes": 10, "image_size": 32, "labels": None, "mean": [0.5] * 3, "std": [0.25] * 3}
    with torch.random.fork_rng():
        pair = [Classifier(create_model("resnet20"), {"name": "resnet20", **about}).eval() for _ in range(2)]
    aligned, alignment = align(*pair, restarts=1)
    assert isinstance(aligned, Classifier)
    assert alignment.deviation < 1e-12
    assert {"network.conv1", "network.layer3.2.conv1"} <= alignment.permutations.keys()


@pytest.fixture(scope="module")
def resnets(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Classifier]:
    """Akamaster's ResNet-20 and Zheng's, independently trained."""
    folder, nets = tmp_path_factory.mktemp("resnets"), []
    for name, file in RESNET20.items():
        path = folder / f"{name}.safetensors"
        about = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "image_size": 32, "num_classes": 10}
        import_checkpoint(test_data / "checkpoints" / file, path, name="resnet20", **about)  # type: ignore[arg-type]
        nets.append(load_checkpoint(path))
    return nets


def reference(test_data: Path) -> dict[str, np.ndarray]:
    path = test_data.parent / "science" / "barrier_r20.npz"
    if not path.exists():
        pytest.skip("the reference numbers are not beside the test data")
    with np.load(path) as stored:
        return dict(stored)


def reference_orders(stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    streams = {"S0": "conv1", "S1": "layer2.0.conv2", "S2": "layer3.0.conv2"}
    names = (name.removeprefix("perm_") for name in stored if name.startswith("perm_"))
    return {f"network.{streams.get(name, f'{name}.conv1')}": stored[f"perm_{name}"] for name in names}


@pytest.mark.slow
def test_published_resnets_are_aligned_as_by_the_reference(resnets: list[Classifier], test_data: Path) -> None:
    stored = reference(test_data)
    first, second = resnets
    with evaluable(first):
        groups = find_channel_groups(first, torch.rand(4, 3, 32, 32))
    orders = reference_orders(stored)
    assert {name: len(order) for name, order in orders.items()} == groups.sizes
    theirs = permuted(second, groups, orders)
    ours, moved = ({name: one.detach().double() for name, one in net.named_parameters()} for net in (first, theirs))
    assert inner_product(ours, moved) == pytest.approx(stored["objective"].max(), rel=1e-6)
    images = torch.rand(8, 3, 32, 32)
    with torch.no_grad():
        assert (theirs(images) - second(images)).abs().max() < 5e-5
    still = match_weights(ours, moved, groups, np.random.default_rng(0))
    assert all(np.array_equal(order, np.arange(len(order))) for order in still.values()), "a local maximum for us too"

    _, alignment = align(first, second)
    assert alignment.cosine_before == pytest.approx(stored["cos_before"], rel=1e-6)
    assert alignment.objective_before == pytest.approx(482.65377, rel=1e-6)
    assert 0.99 * stored["objective"].max() < alignment.objective < 1.01 * stored["objective"].max()
    assert alignment.objectives.min() > 0.95 * stored["objective"].min()
    assert alignment.cosine == pytest.approx(stored["cos_after"], rel=0.01)
    assert alignment.deviation < 1e-12


@pytest.mark.slow
def test_losses_between_published_resnets_are_those_of_the_reference(
    resnets: list[Classifier], test_data: Path
) -> None:
    stored = reference(test_data)
    first, second = resnets
    with evaluable(first):
        groups = find_channel_groups(first, torch.rand(4, 3, 32, 32))
    ends = {"naive": second, "aligned": permuted(second, groups, reference_orders(stored))}
    with np.load(test_data / "cifar10" / "cifar10_train4000_lossless.npz") as data:
        images = torch.from_numpy(data["images"][:2000]).permute(0, 3, 1, 2).float() / 255
        labels = torch.from_numpy(data["labels"][:2000])
    measured = [(images[:512], labels[:512])]
    calibration = list(zip(images.split(250), labels.split(250), strict=True))
    places = {"naive": [0, 12, 16, 24], "aligned": [0, 12, 13, 24]}
    for name, end in ends.items():
        chosen = places[name]
        direction = difference_direction(first, end)
        line = evaluate_line(first, measured, direction, stored["alphas"][chosen], precision="fp32")
        np.testing.assert_allclose(line.loss, stored[name][chosen, 0], rtol=1e-4)
        np.testing.assert_allclose(line.error, stored[name][chosen, 1], atol=1.01 / 512)
        barrier = line.barrier()
        assert barrier.height == pytest.approx({"naive": 4.9194, "aligned": 4.2364}[name], rel=1e-4)
        assert barrier.loss["midpoint"].height == pytest.approx({"naive": 4.4040, "aligned": 4.1052}[name], rel=1e-4)
        anew = evaluate_line(
            first,
            measured,
            direction,
            [0.5],
            precision="fp32",
            batch_norm="recalibrated",
            calibration=calibration,
        )
        assert anew.loss[0] == pytest.approx(stored[f"{name}_bn"][12, 0], rel=1e-3)
        assert anew.origin.loss == pytest.approx(stored[f"{name}_bn"][0, 0], rel=1e-3)
