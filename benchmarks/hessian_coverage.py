"""How often intervals of trace and held-out curvature hold what they are about, over draws of images.

Run it from anywhere: `python benchmarks/hessian_coverage.py [--images N] [--draws N]`. A small network is trained on
the digits, averaged to 4×4 pixels; the Hessian of every image is computed densely once, so that a draw costs an
eigendecomposition of each half. The truths are the trace over all images, and vᵀHv over all images for the very vectors
v that the draw found. It prints the share of draws whose 95 % interval holds the truth, and how many are marked as
carried by too few images; the share that matters is that of the others.

With `--checkpoint CKPT --data FILE.npz` it draws from that file's images instead, and reads the curvature along the
vector of a network's largest eigenvalue, as six products of each half find it: about four minutes a draw of 2,000.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradscape.data import load_split
from gradscape.landscape import HessianProducts, Trace
from gradscape.landscape.hessian.course import Course
from gradscape.landscape.hessian.held_out import HeldOutCurvature, draw_halves
from gradscape.landscape.hessian.spectrum import Search, find_spectrum
from gradscape.models import load_checkpoint

TOP = 3
HIDDEN = 6
STEPS = 150
LARGEST = Search(top=1, bottom=0, held_out=False, steps=6)


def trained_digits() -> tuple[nn.Sequential, Tensor, Tensor]:
    """A network of two layers, and all digits with their labels."""
    pairs = [pair for split in ("train", "test") for pair in load_split("digits", split, image_size=8)]
    images = F.avg_pool2d(torch.cat([images for images, _ in pairs])[:, :1], 2).flatten(1)
    labels = torch.cat([labels for _, labels in pairs])
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(16, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(STEPS):
        optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimizer.step()
    return net, images, labels


def image_hessians(net: nn.Module, images: Tensor, labels: Tensor) -> np.ndarray:
    """The Hessian of each image's loss, (images, dimension, dimension) float32."""
    parameters = {name: one.detach() for name, one in net.named_parameters()}
    sizes = [one.numel() for one in parameters.values()]
    flat = torch.cat([one.reshape(-1) for one in parameters.values()])

    def loss(flat: Tensor, image: Tensor, label: Tensor) -> Tensor:
        parts = zip(parameters.items(), flat.split(sizes), strict=True)
        moved = {name: part.reshape(one.shape) for (name, one), part in parts}
        return F.cross_entropy(torch.func.functional_call(net, moved, (image[None],)), label[None])

    hessian = torch.func.vmap(torch.func.hessian(loss), in_dims=(None, 0, 0), chunk_size=64)
    return hessian(flat, images, labels).numpy()


def held_out_of(hessians: np.ndarray, drawn: np.ndarray, seed: int) -> tuple[HeldOutCurvature, np.ndarray]:
    """What halves of the drawn images give, and vᵀHv over all images, the mean over the vectors of both halves."""
    second, population = draw_halves(len(drawn), seed), len(hessians)
    flat = hessians.reshape(population, -1)
    found, forms = np.empty((2, TOP)), np.full((2, TOP, len(drawn)), np.nan)
    truths = np.empty((2, TOP))
    for half, own in enumerate((~second, second)):
        weights = np.zeros(population, np.float32)
        weights[drawn[own]] = 1 / own.sum()
        values, vectors = np.linalg.eigh((weights @ flat).reshape(hessians.shape[1:]).astype(float))
        for row in range(TOP):
            vector = vectors[:, -1 - row].astype(np.float32)
            everywhere = (flat @ np.outer(vector, vector).ravel()).astype(float)
            found[half, row], forms[half, row, ~own] = values[-1 - row], everywhere[drawn[~own]]
            truths[half, row] = everywhere.mean()
    return HeldOutCurvature(second, found, forms, population), truths.mean(axis=0)


def covered(hessians: np.ndarray, *, images: int, draws: int) -> dict[str, tuple[float, float, float]]:
    """By number: share of draws covered, of those that are not marked, and share marked."""
    traces = np.trace(hessians, axis1=1, axis2=2).astype(float)
    names = ["trace", *(f"held out λ{row + 1}" for row in range(TOP))]
    holds, sure = np.empty((2, len(names), draws), bool)
    for draw in range(draws):
        drawn = np.random.default_rng(draw).permutation(len(hessians))[:images]
        trace = Trace(traces[drawn], len(hessians), ("all",))
        held_out, truths = held_out_of(hessians, drawn, draw)
        low, high = trace.interval()
        lows, highs = held_out.interval()
        holds[:, draw] = [low <= traces.mean() <= high, *((lows <= truths) & (truths <= highs))]
        sure[:, draw] = [trace.reliable, *held_out.reliable]
    return {
        name: (float(one.mean()), float(one[known].mean()) if known.any() else np.nan, float(1 - known.mean()))
        for name, one, known in zip(names, holds, sure, strict=True)
    }


def follow_network(checkpoint: Path, data: Path, *, images: int, draws: int) -> None:
    """Print for each draw of a network's images the interval of the curvature along what its halves find."""
    arrays = np.load(data)
    pictures = torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2).float() / 255
    products = HessianProducts(load_checkpoint(checkpoint), [(pictures, torch.from_numpy(arrays["labels"]).long())])
    held = sure = both = 0
    for draw in range(draws):
        drawn = np.random.default_rng(draw).permutation(products.images)[:images]
        second = draw_halves(images, draw)
        found, forms, truths = np.empty((2, 1)), np.full((2, 1, images), np.nan), np.empty(2)
        for half, own in enumerate((~second, second)):
            spectrum = find_spectrum(products.part(drawn[own]), LARGEST, Course(None))
            everywhere = products.image_forms(products.to_vector(spectrum.directions[0]).to(products.vector_type))
            found[half], forms[half, 0, ~own] = spectrum.values, everywhere[drawn[~own]]
            truths[half] = everywhere.mean()
        held_out = HeldOutCurvature(second, found, forms, products.images)
        (low,), (high,) = held_out.interval()
        holds, reliable = bool(low <= truths.mean() <= high), bool(held_out.reliable[0])
        held, sure, both = held + holds, sure + reliable, both + (holds and reliable)
        told = f"{truths.mean():.2f} in {low:.2f} to {high:.2f}, {held_out.effective_images[0]:.0f} effective images"
        print(f"draw {draw}: {told}; so far {held} of {draw + 1} held, {both} of {sure} unmarked", flush=True)


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[400], help="images of a draw")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--checkpoint", type=Path, help="of a network; then --data too")
    parser.add_argument("--data", type=Path, help="npz file with `images` and `labels`")
    asked = parser.parse_args()
    if asked.checkpoint:
        for count in asked.images:
            follow_network(asked.checkpoint, asked.data, images=count, draws=asked.draws)
        return
    net, images, labels = trained_digits()
    accuracy = float((net(images).argmax(dim=1) == labels).float().mean())
    hessians = image_hessians(net, images, labels)
    print(f"{len(images):,} digits, {hessians.shape[1]} parameters, accuracy {accuracy:.3f}")
    for count in asked.images:
        for name, (share, unmarked, marked) in covered(hessians, images=count, draws=asked.draws).items():
            told = f"{share:.3f} of {asked.draws} draws, {unmarked:.3f} of the unmarked, {marked:.3f} marked"
            print(f"{count} images, {name}: {told}")


if __name__ == "__main__":
    main()
