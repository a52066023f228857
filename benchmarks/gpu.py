"""What only a GPU can show: that numbers are the CPU's, and what surfaces, heatmaps and a training cost there.

Run it from anywhere: `python benchmarks/gpu.py [right heatmaps speed surface training] [--help]`. *right* holds
surfaces in fp32 (TF32 off) against the CPU's, bf16 beside the error that it states, a run that was stopped against one
that never was, and the network's bits before against those after. *heatmaps* holds explanations against the CPU's and
times them against the grad-cam package. *speed* times points of ResNet-56's surface over 10,000 images, with and
without CUDA graphs, against the plain loop on the same card; *surface* times a whole one, *training* the first epochs
of a UPANet. It fails if a number is wrong.
"""

import argparse
import copy
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torchvision
from contestants import planned_engine
from peak import measured_peaks
from plain_loop import plain_loop
from subject import Subject, load_subject
from torch import nn

from gradscape.data import load_split
from gradscape.explain import attention_maps, heatmaps
from gradscape.landscape import Surface, evaluate_surface
from gradscape.landscape.engine.network import evaluable
from gradscape.models import count_macs
from gradscape.studies.training import train_networks
from gradscape.training import RECIPES, load_metrics

NETWORKS = (
    "resnet20",
    "resnet20+ba2m",
    "upanet16",
    "mobilenet_v1+ulsam@replace=11,groups=4",
    "resnet56_projection",
    "attention56",
)
METHODS = ("gradcam", "gradcam++", "hirescam", "layercam", "xgradcam")
MOST_FP32, MOST_HEATMAP = 1e-5, 1e-4
_TRACED_ANYHOW = 15  # steps, with so many points even 32 images are worth a graph: else the two runs differ in form
POSITIONS = ((0.0, 0.0), (0.3, -0.2), (-0.5, 0.5), (0.1, 0.4), (-0.2, -0.3))


def main() -> int:
    """Measure; the exit status."""
    sections = {
        "right": right,
        "heatmaps": explanations,
        "speed": speed,
        "surface": whole_surface,
        "training": training,
    }
    parser = argparse.ArgumentParser(description="Check and time gradscape on a GPU.")
    parser.add_argument("sections", nargs="*", choices=[[], *sections], default=list(sections))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--images", type=int, default=10_000, help="of the surface that is timed")
    parser.add_argument("--steps", type=int, default=51, help="of the surface that is timed")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else "this processor"
    print(f"{card}, torch {torch.__version__}", flush=True)
    faults = 0
    for name in arguments.sections:
        print(f"\n## {name}\n", flush=True)
        for line, fault in sections[name](device, arguments):
            faults += fault
            print(f"- {'**WRONG** ' if fault else ''}{line}", flush=True)
    return int(faults > 0)


def right(device: torch.device, _arguments: argparse.Namespace) -> Iterator[tuple[str, bool]]:
    """Surfaces of several networks, as the module and as its graph, against the CPU's."""
    for name in NETWORKS:
        subject = load_subject(name, 96)
        there = moved(subject, device)
        for steps in (3, 9):  # few points are evaluated by the module itself, more by its graph
            expected = surface(subject, steps, precision="fp32", batch_size=32)
            before = copy.deepcopy(there.net.state_dict())
            found = surface(there, steps, precision="fp32", batch_size=32)
            same = all(torch.equal(value, before[key]) for key, value in there.net.state_dict().items())
            form = "graph" if found.meta["plan"]["traced"] else "module"
            gap = largest_gap(found, expected)
            wrong = float(np.abs(found.error - expected.error).max())
            line = f"{name}, {form}: loss off by {gap:.1e} of itself, error by {wrong:.1e}, weights as before: {same}"
            yield line, not (gap <= MOST_FP32 and same)
        coarse = surface(there, 9, precision="bf16")
        notes = coarse.meta["plan_notes"]
        yield f"{name}, bf16: loss off by {largest_gap(coarse, found):.1e} of itself; {notes.get('precision')}", False
        yield stopped(there)


def stopped(subject: Subject) -> tuple[str, bool]:
    """A run that ended after 32 images and goes on is to the bit the one that never ended."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "surface.h5")
        first = replace(subject, images=subject.images[:32], labels=subject.labels[:32])
        surface(first, _TRACED_ANYHOW, precision="fp32", batch_size=32, path=path)
        resumed = surface(subject, _TRACED_ANYHOW, precision="fp32", batch_size=32, path=path)
    whole = surface(subject, _TRACED_ANYHOW, precision="fp32", batch_size=32)
    same = np.array_equal(resumed.loss, whole.loss)
    return f"{subject.name}, stopped and resumed: the same bits: {same}", not same


def explanations(device: torch.device, _arguments: argparse.Namespace) -> Iterator[tuple[str, bool]]:
    """Heatmaps and attention maps against the CPU's, and heatmaps' time against the grad-cam package's."""
    torch.manual_seed(0)
    images = torch.rand(8, 3, 224, 224)
    for name in ("resnet18", "mobilenet_v2", "swin_t"):
        model = torchvision.models.get_model(name).eval()
        expected = heatmaps(model, images, method=list(METHODS))
        found = heatmaps(model.to(device), images.to(device), method=list(METHODS))
        gap = max(float(np.abs(found[one].display - expected[one].display).max()) for one in METHODS)
        yield f"{name}: {len(METHODS)} methods off by {gap:.1e}", gap > MOST_HEATMAP
    for name in ("upanet16", "resnet20+ba2m"):
        subject = load_subject(name, 4)
        there = moved(subject, device)
        maps, others = attention_maps(subject.net, subject.images), attention_maps(there.net, there.images)
        gap = max(float(np.abs(np.asarray(maps[one].values) - np.asarray(others[one].values)).max()) for one in maps)
        yield f"{name}: {len(maps)} attention maps off by {gap:.1e}", gap > MOST_HEATMAP or maps.keys() != others.keys()
    yield package_ratio(torchvision.models.resnet18().eval().to(device), images.to(device)), False


def package_ratio(model: nn.Module, images: torch.Tensor) -> str:
    """Five methods by one pass against five objects of the package."""
    from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM

    def package() -> None:
        for kind in (GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM):
            with kind(model=model, target_layers=[model.layer4]) as one:
                one(images, None)

    ours = seconds(lambda: heatmaps(model, images, method=list(METHODS), target_layer="layer4"))
    theirs = seconds(package)
    return f"resnet18: {1e3 * ours:.0f} ms, package {1e3 * theirs:.0f} ms: {theirs / ours:.1f} times"


def speed(device: torch.device, arguments: argparse.Namespace) -> Iterator[tuple[str, bool]]:
    """A point of ResNet-56 over many images, in several forms."""
    there, images = _resnet56(device, arguments), arguments.images
    operations = 2 * count_macs(there.net, 32) * images
    loop = plain_loop(there.net, there.images, there.labels, there.directions, workers=0)
    plain = float(np.median([seconds(lambda at=at: loop(at), repeats=1) for at in POSITIONS[:3]]))
    yield f"plain loop, images on the card, TF32 as torch has it: {1e3 * plain:.0f} ms a point", False
    with evaluable(there.net):  # products in fp32's own precision
        peaks = measured_peaks(device)
        yield ", ".join(f"peak {name} {rate / 1e12:.1f} TFLOP/s" for name, rate in peaks.items()), False
        losses = [loop(at)[0] for at in POSITIONS]
        for precision in ("fp32", "bf16"):
            for compiled in (False, True):
                engine = planned_engine(there, precision, compiled=compiled)
                found = [engine.point(at)() for at in POSITIONS]  # makes the code too
                point = float(np.median([seconds(engine.point(at)) for at in POSITIONS]))
                gap = max(abs(one - loss) / loss for one, loss in zip(found, losses, strict=True))
                share = operations / point / peaks[precision]
                name = f"gradscape {precision}, {'CUDA graphs' if compiled else 'operators'}, {engine.note}"
                line = f"{name}: {1e3 * point:.1f} ms a point, {plain / point:.1f} times the loop's rate"
                yield f"{line}, {share:.0%} of peak; loss off by {gap:.1e}", precision == "fp32" and gap > MOST_FP32


def whole_surface(device: torch.device, arguments: argparse.Namespace) -> Iterator[tuple[str, bool]]:
    """A surface of ResNet-56 over many images, planning and all."""
    there, steps = _resnet56(device, arguments), arguments.steps
    for precision in ("bf16", "fp32"):
        began = time.perf_counter()
        whole = surface(there, steps, precision=precision)
        took = time.perf_counter() - began
        plan = whole.meta["plan"]
        form = f"{plan['precision']}, batches of {plan['batch_size']}{', compiled' if plan['compiled'] else ''}"
        yield f"{steps}×{steps} points × {arguments.images} images: {took:.0f} s ({form})", False


def _resnet56(device: torch.device, arguments: argparse.Namespace) -> Subject:
    subject = load_subject("resnet56_projection", min(arguments.images, 4000))
    return moved(enlarged(subject, arguments.images), device)


def training(device: torch.device, _arguments: argparse.Namespace) -> Iterator[tuple[str, bool]]:
    """The first epochs of a network on real images, 4,000 of them where there are any."""
    folder = os.environ.get("GRADSCAPE_TEST_DATA")
    data = f"npz:{folder}/cifar10/cifar10_train4000_lossless.npz" if folder else "digits"
    train = load_split(data, "train")
    recipe = replace(RECIPES["upanets"], epochs=3)
    with tempfile.TemporaryDirectory() as output:
        settings = {"recipe": recipe, "recipe_name": "upanets", "device": str(device), "progress": False}
        train_networks("upanet16", train, load_split(data, "test"), output=output, **settings)
        metrics = load_metrics(Path(output, "metrics.csv"))
    times = ", ".join(f"{one:.1f}" for one in metrics["seconds"])
    yield f"upanet16 on {train.num_images} images: epochs take {times} s, loss {metrics['train_loss'][-1]:.3f}", False


def moved(subject: Subject, device: torch.device) -> Subject:
    """The same subject, with all of it on a device."""
    directions = tuple({name: one.to(device) for name, one in each.items()} for each in subject.directions)
    net = copy.deepcopy(subject.net).to(device)
    return replace(
        subject, net=net, images=subject.images.to(device), labels=subject.labels.to(device), directions=directions
    )


def enlarged(subject: Subject, count: int) -> Subject:
    """The subject with its images over and over, so many."""
    repeats = -(-count // len(subject.images))
    images, labels = (torch.cat([one] * repeats)[:count] for one in (subject.images, subject.labels))
    return replace(subject, images=images, labels=labels)


def surface(subject: Subject, steps: int, **options: object) -> Surface:
    """A square surface of half-width 0.5."""
    axis = np.linspace(-0.5, 0.5, steps)
    batches = [(subject.images, subject.labels)]
    return evaluate_surface(subject.net, batches, subject.directions, axis, axis, **options)


def largest_gap(found: Surface, expected: Surface) -> float:
    """The largest difference of two losses at a point, as a share of the loss."""
    return float(np.abs(found.loss / expected.loss - 1).max())


def seconds(function: Callable[[], object], *, repeats: int = 5) -> float:
    """Median seconds of a call, the card's work included; with several, one more warms up."""
    times = []
    for _ in range(repeats + (repeats > 1)):
        synchronize()
        began = time.perf_counter()
        function()
        synchronize()
        times.append(time.perf_counter() - began)
    return float(np.median(times[-repeats:]))


def synchronize() -> None:
    """Wait for the card."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    sys.exit(main())
