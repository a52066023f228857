"""Every public function that takes a model, called with what may fail."""

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import gradscape
from gradscape import explain, landscape, models, training
from tests.aborts.networks import CLASSES, IMAGE
from tests.aborts.place_calls import PLACES
from tests.aborts.study_calls import STUDIES
from tests.aborts.trip import Trip
from tests.landscape.forms import force, put_back

__all__ = ["CALLS", "READERS", "Call", "functions_of_models"]

_COUNT = 24
_WORDS = ("Module", "Classifier", "Subject")

_CALLBACKS = ("forward", "save", "loss", "metric", "score")
_ROOT = Path(gradscape.__file__).parent

READERS = {
    "landscape.box_losses": "a forward function: modes are its caller's",
    "landscape.box_losses_and_precision": "the same",
    "landscape.summarize_direction": "reads tensors",
    "models.load_backbone": "takes weights from a file, as it was asked to",
    "models.count_parameters": "reads sizes",
    "studies.common_image_size": "reads a number",
    "studies.describe_directions": "reads names",
    "studies.describe_search": "reads names",
    "studies.draw_subjects": "reads titles",
    "studies.explain_segments": "is explain_pixels, picture by picture",
    "studies.store_scores": "writes into files of checkpoints",
}


@dataclass(frozen=True)
class Call:
    """A way to call a public function.

    Attributes:
        function: Its room and name.
        run: Takes a model and what may fail.
        trains: Whether weights, modes and gradients are the function's to change.
        share: How often it is tried, since some take long.
    """

    function: str
    run: Callable[[nn.Module, Trip], object]
    trains: bool = False
    share: float = 1.0


def functions_of_models() -> Iterator[str]:
    """Room and name of every function in a public list that takes a model, as the sources say: nothing is imported."""
    for room in ("landscape", "explain", "models", "training", "studies"):
        folder = _ROOT / room
        for line in ast.parse((folder / "__init__.pyi").read_text(encoding="utf-8")).body:
            if isinstance(line, ast.ImportFrom) and line.module:
                path = folder / f"{line.module.replace('.', '/')}.py"
                for name in _takers(path, {alias.name for alias in line.names}):
                    yield f"{room}.{name}"


def _takers(path: Path, names: set[str]) -> set[str]:
    """Those of some functions of a file that take models, or what makes or holds one."""
    found = set()
    for one in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(one, ast.FunctionDef) and one.name in names:
            given = [each for each in (*one.args.args, *one.args.kwonlyargs) if each.arg not in _CALLBACKS]
            if any(word in ast.unparse(each) for each in given for word in _WORDS):
                found.add(one.name)
        elif isinstance(one, ast.ImportFrom) and (passed_on := names & {each.name for each in one.names}):
            found |= _takers(_ROOT.parent / f"{str(one.module).replace('.', '/')}.py", passed_on)
    return found


def _images(model: nn.Module, count: int = _COUNT) -> Tensor:
    dtype = next(model.parameters()).dtype
    return torch.rand(count, *IMAGE, generator=torch.Generator().manual_seed(1)).to(dtype)


def _batches(model: nn.Module, trip: Trip) -> Any:
    class Batches:
        num_images = _COUNT  # else an evaluation may be long enough to compile for

        def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
            for images in _images(model).split(8):
                trip.met("data")
                yield images, torch.arange(len(images)) % CLASSES

    return Batches()


def _loss(trip: Trip) -> Callable[[Any, Tensor], Tensor]:
    def loss(output: Any, labels: Tensor) -> Tensor:
        trip.met("loss")
        return F.cross_entropy(output.float(), labels, reduction="none")

    return loss


def _metric(trip: Trip) -> Callable[[Any, Tensor], Tensor]:
    def metric(output: Any, labels: Tensor) -> Tensor:
        trip.met("metric")
        return output.argmax(1) == labels

    return metric


def _forward(trip: Trip) -> Callable[[nn.Module, Any], Any]:
    def forward(model: nn.Module, inputs: Any) -> Any:
        trip.met("forward")
        return model(inputs)

    return forward


def _score(trip: Trip) -> Callable[[Any], Tensor]:
    def score(output: Any) -> Tensor:
        trip.met("score")
        return output[:, 0]

    return score


def _surface(model: nn.Module, trip: Trip, *, form: str = "module", **options: Any) -> object:
    before = force(form)
    try:
        directions = landscape.random_directions(model, seed=0)
        return landscape.evaluate_surface(
            model,
            _batches(model, trip),
            directions,
            [-0.5, 0.0],
            [0.0, 0.25, 1.0],
            loss=_loss(trip),
            metric=_metric(trip),
            report=lambda _: trip.met("report"),
            preview=lambda _: trip.met("preview"),
            **options,
        )
    finally:
        put_back(before)


def _surface_in_file(model: nn.Module, trip: Trip) -> object:
    with TemporaryDirectory() as folder:
        return _surface(model, trip, path=Path(folder) / "surface.h5", forward=_forward(trip))


def _line(model: nn.Module, trip: Trip) -> object:
    (direction, _) = landscape.random_directions(model, seed=0, space="states", ignore="none")
    return landscape.evaluate_line(
        model, _batches(model, trip), direction, [0.0, 1.0], loss=_loss(trip), metric=None, precision="bf16"
    )


def _recalibrated(model: nn.Module, trip: Trip) -> object:
    given: Any = {"batch_norm": "recalibrated", "calibration": _batches(model, trip), "forward": _forward(trip)}
    return _surface(model, trip, **given)


def _seconds(model: nn.Module, trip: Trip) -> object:
    directions = landscape.random_directions(model, seed=0)
    return landscape.estimate_seconds(model, _batches(model, trip), directions, [0.0], [0.0, 1.0], loss=_loss(trip))


def _span(model: nn.Module, trip: Trip) -> object:
    directions = landscape.random_directions(model, seed=0)
    return landscape.find_span(
        [(model, directions)], _batches(model, trip), loss=_loss(trip), report=lambda _: trip.met("report")
    )


def _sharpness(model: nn.Module, trip: Trip) -> object:
    return landscape.measure_sharpness(
        model,
        _batches(model, trip),
        kinds=("average", "worst"),
        rhos=[0.1],
        m=8,
        steps=2,
        draws=2,
        loss=_loss(trip),
        report=lambda *_: trip.met("report"),
    )


def _curvature_map(model: nn.Module, trip: Trip) -> object:
    return landscape.evaluate_curvature(
        model,
        _batches(model, trip),
        landscape.random_directions(model, seed=0),
        [0.0, 0.25],
        [0.0],
        loss=_loss(trip),
        most=10,
        checks=1,
        report=lambda *_: trip.met("report"),
    )


def _random(model: nn.Module, trip: Trip) -> object:
    return landscape.random_directions(model, seed=0, normalize="dfilter", ignore="none", space="states")


def _difference(model: nn.Module, trip: Trip) -> object:
    return landscape.difference_direction(model, model)


def _spectrum(model: nn.Module, trip: Trip) -> object:
    return landscape.hessian_spectrum(model, _batches(model, trip), top=2, steps=6, **_watched(trip))


def _density(model: nn.Module, trip: Trip) -> object:
    return landscape.hessian_density(model, _batches(model, trip), probes=2, steps=4, **_watched(trip))


def _trace(model: nn.Module, trip: Trip) -> object:
    return landscape.hessian_trace(model, _batches(model, trip), probes=6, **_watched(trip))


def _watched(trip: Trip) -> dict[str, Any]:
    return {"loss": _loss(trip), "forward": _forward(trip), "report": lambda *_: trip.met("report")}


def _others(model: nn.Module) -> list[dict[str, Tensor]]:
    """Networks near a model that do not lie on a line, none of which is called."""
    draw = torch.Generator().manual_seed(2)

    def moved(tensor: Tensor) -> Tensor:
        return tensor + torch.rand(tensor.shape, generator=draw).to(tensor) if tensor.is_floating_point() else tensor

    return [{name: moved(tensor.detach()) for name, tensor in model.state_dict().items()} for _ in range(3)]


def _principal(model: nn.Module, trip: Trip) -> object:
    return landscape.pca_directions(model, _others(model))


def _projected(model: nn.Module, trip: Trip) -> object:
    return landscape.project(_others(model), model, landscape.random_directions(model, seed=0))


def _projected_each(model: nn.Module, trip: Trip) -> object:
    return landscape.project_each(_others(model), model, landscape.random_directions(model, seed=0))


def _plane(model: nn.Module, trip: Trip) -> object:
    # What networks keep of their last answer cannot be copied, and need not be.
    kept = {
        id(one): one
        for module in model.modules()
        for one in vars(module).values()
        if isinstance(one, Tensor) and not one.is_leaf
    }
    second, third = copy.deepcopy(model, dict(kept)), copy.deepcopy(model, dict(kept))
    for other, state in zip((second, third), _others(model), strict=False):
        other.load_state_dict(state)
    return landscape.plane_directions(model, second, third)


def _aligned(model: nn.Module, trip: Trip) -> object:
    return landscape.align(model, model, restarts=2, inputs=_images(model, 2))


def _curve(model: nn.Module, trip: Trip) -> object:
    with TemporaryDirectory() as folder:
        return landscape.fit_curve(
            model,
            model,
            _batches(model, trip),
            epochs=1,
            loss=_loss(trip),
            forward=_forward(trip),
            path=Path(folder) / "curve.safetensors",
            report=lambda *_: trip.met("report"),
        )


def _directions_file(model: nn.Module, trip: Trip) -> object:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "directions.h5"
        landscape.save_directions(path, landscape.random_directions(model, seed=0), model)
        return landscape.load_directions(path, model)


def _heatmaps(method: str | list[str], **options: Any) -> Callable[[nn.Module, Trip], object]:
    def run(model: nn.Module, trip: Trip) -> object:
        return explain.heatmaps(
            model, _images(model, 3), method=method, score=_score(trip), forward=_forward(trip), **options
        )

    return run


def _attention(model: nn.Module, trip: Trip) -> object:
    return explain.attention_maps(model, _images(model, 3), forward=_forward(trip))


def _embed(model: nn.Module, trip: Trip) -> object:
    return explain.embed(model, _batches(model, trip), perplexity=3, layer="attended", forward=_forward(trip))


def _features(model: nn.Module, trip: Trip) -> object:
    return explain.extract_features(model, _batches(model, trip))


def _factors(model: nn.Module, trip: Trip) -> object:
    return explain.factorize_features(
        model, _images(model, 3), components=2, target_layer="attended", layout="channels_first"
    )


def _maps(model: nn.Module, trip: Trip) -> object:
    return explain.feature_maps(model, _images(model, 3), layer="mixed", forward=_forward(trip))


def _layer(model: nn.Module, trip: Trip) -> object:
    return explain.find_target_layer(model, _images(model, 3), score=_score(trip))


def _fusion(model: nn.Module, trip: Trip) -> object:
    return explain.fusion_maps(model, _images(model, 3), forward=_forward(trip))


def _decision(model: nn.Module, trip: Trip) -> object:
    return explain.decision_map(model, _images(model, 3), steps=3, batch_size=4, forward=_forward(trip))


def _gradient(model: nn.Module, trip: Trip) -> object:
    return explain.gradient_map(model, _images(model, 1)[0], class_index=1, steps=3, forward=_forward(trip))


def _guided(model: nn.Module, trip: Trip) -> object:
    return explain.guided_backprop(model, _images(model, 3), score=_score(trip))


def _guided_cam(model: nn.Module, trip: Trip) -> object:
    return explain.guided_gradcam(model, _images(model, 3), score=_score(trip), target_layer="mixed")


@cache
def _explained() -> Any:
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, CLASSES))
    return explain.heatmaps(net, _images(net, 2), target_layer="0", layout="channels_first")


def _faithfulness(model: nn.Module, trip: Trip) -> object:
    return explain.measure_faithfulness(model, _images(model, 2), _explained(), forward=_forward(trip), steps=3)


def _randomization(model: nn.Module, trip: Trip) -> object:
    return explain.randomize_parameters(
        model, _images(model, 2), method="gradcam", target_layer="mixed", score=_score(trip)
    )


def _macs(model: nn.Module, trip: Trip) -> object:
    return models.count_macs(model, 8)


_SHAPE: dict[str, Any] = {"name": "net", "num_classes": CLASSES, "image_size": 8, "mean": [0.5] * 3, "std": [0.2] * 3}


def _checkpoint(model: nn.Module, trip: Trip) -> object:
    with TemporaryDirectory() as folder:
        models.save_checkpoint(Path(folder) / "net.safetensors", model, **_SHAPE)
    return None


class _Pictures(torch.utils.data.Dataset[tuple[Tensor, int]]):
    def __init__(self, trip: Trip) -> None:
        self._images = torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(1))
        self._trip = trip

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        self._trip.met("data")
        return self._images[index], index % CLASSES


def _training(model: nn.Module, trip: Trip) -> Iterator[dict[str, Any]]:
    pictures = _Pictures(trip)
    tested = [(pictures._images[:6], torch.arange(6) % CLASSES)]

    def save(path: Path, network: nn.Module, scores: Any) -> None:
        trip.met("save")
        path.write_bytes(b"")

    with TemporaryDirectory() as folder:
        yield {
            "train": pictures,
            "test": tested,
            "recipe": training.create_recipe("digits", epochs=1),
            "mean": [0.5] * 3,
            "std": [0.2] * 3,
            "output": Path(folder),
            "save": save,
            "progress": False,
        }


def _train(model: nn.Module, trip: Trip) -> object:
    for options in _training(model, trip):
        training.train_model(model, **options)
    return None


def _train_seeds(model: nn.Module, trip: Trip) -> object:
    for options in _training(model, trip):
        training.train_seeds(lambda: model, seeds=1, **options)
    return None


CALLS: dict[str, Call] = {
    "surface": Call("landscape.evaluate_surface", _surface, share=3),
    "surface in a file": Call("landscape.evaluate_surface", _surface_in_file),
    "surface, traced": Call("landscape.evaluate_surface", lambda *given: _surface(*given, form="graph"), share=0.02),
    "surface, side by side": Call(
        "landscape.evaluate_surface", lambda *given: _surface(*given, form="side by side"), share=0.02
    ),
    "surface, recalibrated": Call("landscape.evaluate_surface", _recalibrated),
    "line in bf16": Call("landscape.evaluate_line", _line, share=0.5),
    "seconds": Call("landscape.estimate_seconds", _seconds, share=0.1),
    "span": Call("landscape.find_span", _span, share=0.05),
    "sharpness": Call("landscape.measure_sharpness", _sharpness, share=0.3),
    "curvature map": Call("landscape.evaluate_curvature", _curvature_map, share=0.1),
    "spectrum": Call("landscape.hessian_spectrum", _spectrum, share=0.2),
    "density": Call("landscape.hessian_density", _density, share=0.1),
    "trace": Call("landscape.hessian_trace", _trace, share=0.2),
    "principal plane": Call("landscape.pca_directions", _principal, share=0.3),
    "projected": Call("landscape.project", _projected, share=0.3),
    "projected one by one": Call("landscape.project_each", _projected_each, share=0.2),
    "plane of three": Call("landscape.plane_directions", _plane, share=0.3),
    "aligned": Call("landscape.align", _aligned, share=0.2),
    "random directions": Call("landscape.random_directions", _random, share=0.5),
    "difference": Call("landscape.difference_direction", _difference, share=0.5),
    "curve": Call("landscape.fit_curve", _curve, share=0.2),
    "directions written": Call("landscape.save_directions", _directions_file, share=0.2),
    "directions read": Call("landscape.load_directions", _directions_file, share=0.2),
    "heatmaps": Call(
        "explain.heatmaps", _heatmaps(["gradcam", "gradcam++", "eigencam"], target_layer="mixed"), share=3
    ),
    "heatmaps, layer found": Call("explain.heatmaps", _heatmaps("layercam")),
    "heatmaps of the package": Call(
        "explain.heatmaps",
        _heatmaps(["scorecam", "ablationcam", "shapleycam", "kpcacam", "fullgrad"], target_layer="mixed"),
        share=0.1,
    ),
    "attention": Call("explain.attention_maps", _attention),
    "embedding": Call("explain.embed", _embed, share=0.2),
    "features": Call("explain.extract_features", _features),
    "factors": Call("explain.factorize_features", _factors),
    "feature maps": Call("explain.feature_maps", _maps),
    "layer": Call("explain.find_target_layer", _layer),
    "fusion": Call("explain.fusion_maps", _fusion),
    "blocks": Call("explain.list_blocks", lambda model, _: explain.list_blocks(model), share=0.2),
    "decisions": Call("explain.decision_map", _decision, share=0.5),
    "gradient": Call("explain.gradient_map", _gradient, share=0.5),
    "guided": Call("explain.guided_backprop", _guided),
    "guided gradcam": Call("explain.guided_gradcam", _guided_cam),
    "faithfulness": Call("explain.measure_faithfulness", _faithfulness),
    "randomization": Call("explain.randomize_parameters", _randomization, share=2),
    "macs": Call("models.count_macs", _macs),
    "checkpoint": Call("models.save_checkpoint", _checkpoint, share=0.5),
    **{name: Call(function, run, share=share) for name, (function, run, share) in {**STUDIES, **PLACES}.items()},
    "trainings of seeds": Call("training.train_seeds", _train_seeds, trains=True, share=0.1),
    "training": Call("training.train_model", _train, trains=True, share=0.2),
}
