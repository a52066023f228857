"""What can be chosen about an evaluation, stated once: the functions that evaluate take it as keyword arguments."""

import inspect
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, Generic, Literal, ParamSpec, TypeVar, final, get_args, overload

from gradscape.landscape.batch_norm import BatchNorm, check_batch_norm
from gradscape.landscape.engine import (
    ForwardFunction,
    LossFunction,
    MetricFunction,
    Precision,
    Report,
    call,
    cross_entropy,
    top1,
)

__all__ = ["Estimator", "Options", "Preview", "options_as_keywords"]

Estimator = Literal["auto", "mean", "regression"]

Preview = Callable[[Any], None]  # of a surface or a line, whichever is evaluated


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Options:
    """How a surface or a line is evaluated; every field has a default.

    Attributes:
        loss: (output, labels) -> one number per image; cross-entropy in nats by default. It may read the network or
            call it: at every point that is the moved one. Where it differentiates, it does so within
            `with torch.enable_grad():`, and it calls the network in there too. Images whose label the default, `nll`,
            `nn.CrossEntropyLoss` or `nn.NLLLoss` ignores (−100, or its `ignore_index`) do not count; with class
            weights the loss is torch's weighted mean.
        metric: (output, labels) -> right or wrong per image; top-1 by default, of a single logit whether it is above 0
            where the label is 1; None where there is none.
        forward: (model, inputs) -> output, where the model does not take a tensor or give one.
        batch_norm: What becomes of batch norms' running statistics. "stored": they stay where they are, also where
            directions would move them; "moving": they move along directions, which must do so; "recalibrated": at
            every point they are measured on the images of `calibration`, as `recalibrated` does. By default the
            directions decide between the first two.
        calibration: Pairs (inputs, labels) to recalibrate with, training images without augmentation. All inputs are
            held in memory; labels are not looked at.
        precision: "fp32" is exact to 1e-5; "bf16" takes bfloat16 products, and its error is measured and told;
            "auto" is fp32, or that of the file or plan that is followed.
        batch_size: Images in a forward pass; by default the smallest that is about as fast as any.
        plan: A surface or line file whose plan is followed: precision, batches and form of the network. On the same
            machine the same evaluation then gives the same bits, whatever else keeps it busy.
        estimator: Of a surface. "mean": every point sees the same images. "regression": few points see many images,
            all points few, and the mean over all images is estimated everywhere from what the many say of the few; it
            is the plain mean where nothing ends the evaluation. "auto": the second where it pays: `tolerance` or
            `seconds` may end it, and a grid of 13 × 13 points or more sees 1,024 images or more.
        tolerance: Stop when the median standard error is at most this share of the range of the loss.
        seconds: Stop so many seconds after the call, at the latest when every point has seen the first images.
        population: Number of images that those in `batches` were drawn from; by default what `batches` says in
            an attribute `population`, or their own number. Standard errors are about the mean over these. Images
            without a label are not among them.
        path: An `.h5` file that is kept up to date while the evaluation runs. If it exists, what it
            already holds is not evaluated again.
        allow_plan_change: Go on with a file, or follow a plan, although device, threads or versions have changed.
        ray: Evaluate in other processes by Ray (`pip install "gradscape[ray]"`): "local" takes all GPUs or cores of
            this machine, "auto" or an address a cluster that runs.
        meta: More provenance to store, such as model, data and seed.
        report: Called with the progress, about twice a second.
        preview: Called now and then with the result so far: NaN where no image was evaluated yet, else every
            point on the same images, or estimated over them.

    Raises:
        ValueError: A number, the precision or the treatment of batch norms is none of the allowed, or calibration
            images and recalibration are not given together.
    """

    loss: LossFunction = cross_entropy
    metric: MetricFunction | None = top1
    forward: ForwardFunction = call
    batch_norm: BatchNorm | None = None
    calibration: Iterable[Any] | None = None
    precision: Precision = "auto"
    batch_size: int | None = None
    plan: str | os.PathLike[str] | None = None
    estimator: Estimator = "auto"
    tolerance: float | None = None
    seconds: float | None = None
    population: int | None = None
    path: str | os.PathLike[str] | None = None
    allow_plan_change: bool = False
    ray: str | None = None
    meta: Mapping[str, Any] | None = None
    report: Report | None = None
    preview: Preview | None = None

    def __post_init__(self) -> None:
        if self.precision not in ("auto", "fp32", "bf16"):
            raise ValueError(f"`precision` must be auto, fp32 or bf16, got {self.precision!r}")
        check_batch_norm(self.batch_norm, calibrated=self.calibration is not None)
        if self.estimator not in get_args(Estimator):
            raise ValueError(f"`estimator` must be auto, mean or regression, got {self.estimator!r}")
        for name, value in (("tolerance", self.tolerance), ("seconds", self.seconds)):
            if value is not None and not value > 0:
                raise ValueError(f"`{name}` must be positive, got {value}")
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1, got {self.batch_size}")


Fields = ParamSpec("Fields")
Evaluated = TypeVar("Evaluated")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")


@final
class _AsKeywords(Generic[Fields]):
    """Decorator of functions whose last parameter is `options: Options`: its fields become their keyword arguments.

    Types, signature and documentation of the function then list the fields, from the one place where they stand.
    """

    def __init__(self, options: Callable[Fields, Options]) -> None:
        self._options: Callable[..., Options] = options
        self._fields = inspect.signature(options).parameters
        _, _, described = (options.__doc__ or "").partition("Attributes:")
        self._described = described.partition("Raises:")[0].strip()

    # Python's types can only put a known number of parameters before those of another callable.
    @overload
    def __call__(
        self, function: Callable[[A, B, C, D, Options], Evaluated]
    ) -> Callable[Concatenate[A, B, C, D, Fields], Evaluated]: ...

    @overload
    def __call__(
        self, function: Callable[[A, B, C, D, E, Options], Evaluated]
    ) -> Callable[Concatenate[A, B, C, D, E, Fields], Evaluated]: ...

    def __call__(self, function: Callable[..., Evaluated]) -> Callable[..., Evaluated]:
        *own, _ = inspect.signature(function).parameters.values()
        signature = inspect.signature(function).replace(parameters=[*own, *self._fields.values()])

        @wraps(function)
        def evaluating(*args: Any, **keywords: Any) -> Evaluated:
            try:
                given = signature.bind(*args, **keywords).arguments
            except TypeError as problem:
                raise TypeError(f"{function.__name__}() {problem}") from None
            chosen = {name: given.pop(name) for name in self._fields if name in given}
            return function(**given, options=self._options(**chosen))

        evaluating.__signature__ = signature  # type: ignore[attr-defined]
        evaluating.__doc__ = re.sub(r"options: .*", lambda _: self._described, function.__doc__ or "")
        return evaluating


options_as_keywords = _AsKeywords(Options)
