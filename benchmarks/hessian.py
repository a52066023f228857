"""Time products of the Hessian with a vector against curvlinops, pytorch-hessian-eigenthings and PyHessian.

Run it from anywhere: `python benchmarks/hessian.py CKPT --images FILE.npz [--count 256] [--repeats 9] [--whole]`. The
contestants take turns in one process on the same network, images and vector, in batches of 64; every other turn goes
backwards. Those that are not installed are named and left out. Products must agree to 1e-3 of the largest entry. It
prints seconds of the processor (which other programs disturb less) for a product, the ratio to ours with quartiles, and
fails if the best of the others is faster by more than 3 %. With `--whole` it also prints what the five largest and the
three smallest eigenvalues cost, in products and seconds.
"""

import argparse
import importlib
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gradscape.landscape import HessianProducts, hessian_spectrum
from gradscape.models import load_checkpoint

Product = Callable[[Tensor], Tensor]
Batches = list[tuple[Tensor, Tensor]]

BATCH = 64
MOST_BEHIND = 1.03


def contestants(net: nn.Module, batches: Batches) -> dict[str, Product]:
    """Products of a vector with the Hessian of the mean cross-entropy, by who computes them."""
    found: dict[str, Product] = {"gradscape": HessianProducts(net, batches, batch_size=BATCH).product}
    parameters = list(net.parameters())
    sizes = [one.numel() for one in parameters]
    for name, make in {"curvlinops": _curvlinops, "hessian_eigenthings": _eigenthings, "pyhessian": _pyhessian}.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                module = importlib.import_module(name)
            found[name] = make(module, net, batches, sizes)
        except ImportError:
            print(f"{name} is not installed: left out")
    return found


def _curvlinops(module, net: nn.Module, batches: Batches, sizes: Iterable[int]) -> Product:  # type: ignore[no-untyped-def]
    del sizes
    made = module.HessianLinearOperator(
        net, nn.CrossEntropyLoss(), list(net.parameters()), batches, check_deterministic=False
    )
    return lambda vector: made @ vector


def _eigenthings(module, net: nn.Module, batches: Batches, sizes: Iterable[int]) -> Product:  # type: ignore[no-untyped-def]
    del sizes
    made = module.HessianOperator(net, batches, module.supervised_loss(nn.functional.cross_entropy))
    return lambda vector: made.matvec(vector)


def _pyhessian(module, net: nn.Module, batches: Batches, sizes: Iterable[int]) -> Product:  # type: ignore[no-untyped-def]
    made = module.hessian(net, nn.CrossEntropyLoss(), dataloader=batches, cuda=False)

    def product(vector: Tensor) -> Tensor:
        parts = [part.reshape(one.shape) for part, one in zip(vector.split(list(sizes)), net.parameters(), strict=True)]
        return torch.cat([one.reshape(-1) for one in made.dataloader_hv_product(parts)[1]])

    return product


def times(products: dict[str, Product], vector: Tensor, repeats: int) -> dict[str, np.ndarray]:
    """Processor seconds of each turn, after one that warms up and is compared."""
    ours = products["gradscape"](vector)
    for name, product in products.items():
        difference = float((product(vector) - ours).abs().max() / ours.abs().max())
        print(f"{name}: differs by {difference:.1e} of the largest entry")
        if difference > 1e-3:
            sys.exit(f"{name} computes something else")
    taken: dict[str, list[float]] = {name: [] for name in products}
    for turn in range(repeats):
        for name in list(products)[:: 1 if turn % 2 else -1]:
            began = time.process_time()
            products[name](vector)
            taken[name].append(time.process_time() - began)
    return {name: np.array(seconds) for name, seconds in taken.items()}


def main() -> None:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--images", type=Path, required=True, help="npz file with `images` and `labels`")
    parser.add_argument("--count", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--whole", action="store_true")
    asked = parser.parse_args()
    net = load_checkpoint(asked.checkpoint).eval()
    arrays = np.load(asked.images)
    images = torch.from_numpy(arrays["images"][: asked.count]).permute(0, 3, 1, 2).float() / 255
    labels = torch.from_numpy(arrays["labels"][: asked.count]).long()
    batches = list(zip(images.split(BATCH), labels.split(BATCH), strict=True))
    print(
        f"{asked.checkpoint.name}, {asked.count} images, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    products = contestants(net, batches)
    vector = torch.randn(sum(one.numel() for one in net.parameters()), generator=torch.Generator().manual_seed(0))
    found = times(products, vector, asked.repeats)
    ratios = {name: seconds / found["gradscape"] for name, seconds in found.items()}
    for name, seconds in found.items():
        low, middle, high = np.percentile(ratios[name], [25, 50, 75])
        print(f"{name}: {np.median(seconds):.3f} s a product, {middle:.2f} times ours ({low:.2f} to {high:.2f})")
    if asked.whole:
        each = float(np.median(found["gradscape"]))
        for top, bottom in ((5, 0), (5, 3)):
            began = time.process_time()
            spectrum = hessian_spectrum(net, batches, top=top, bottom=bottom, held_out=False)
            taken = time.process_time() - began
            cost = f"{taken:.1f} s, as {taken / each:.1f} products; {spectrum.steps} steps"
            print(f"{top} largest, {bottom} smallest: {cost}")
            print(f"{np.array2string(spectrum.values, precision=5)}, residuals up to {spectrum.residuals.max():.1e}")
    best = min((float(np.median(one)) for name, one in ratios.items() if name != "gradscape"), default=np.inf)
    if best * MOST_BEHIND < 1:
        sys.exit(f"another program is faster: {best:.2f} times ours")


if __name__ == "__main__":
    main()
