"""Products of the Hessian with vectors: of the mean loss over images, every image with the same weight."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from gradscape._digest import digest_model, digest_tensors
from gradscape._left_as_before import left_as_before
from gradscape._model_state import model_device
from gradscape._profile import spent_on
from gradscape.landscape.directions import Direction, Ignore
from gradscape.landscape.engine import (
    Batch,
    ForwardFunction,
    LossFunction,
    Task,
    block_images,
    call,
    check_followed,
    check_labels,
    check_model,
    check_premade,
    cross_entropy,
    cut_blocks,
    evaluable,
    ignored_label,
    in_mean_weight,
    join_blocks,
    map_tensors,
    tensors_in,
)
from gradscape.landscape.engine.reached import check_precise, check_reached
from gradscape.landscape.hessian.differentiation import Differentiated, Tensors
from gradscape.landscape.movable import chosen_names, is_movable

__all__ = ["BATCH_IMAGES", "HessianProducts"]

BATCH_IMAGES = 64
"""Images that go through the network together, by default."""

_PROBED = 2  # images on which ways to differentiate are compared


@final
class HessianProducts:
    """The Hessian H of the mean loss over images, with respect to some parameters, by its products with vectors.

    The model is evaluated in `eval()`, where it is when a product is asked for: it may have moved since. It is as
    before after every call. Images are loaded once; every image has the same weight, whatever the batches' sizes.
    A vector is flat: the chosen parameters one after the other, in the model's order.

    Args:
        model: Any module with real parameters.
        batches: Pairs (inputs, labels), as in `evaluate_surface`.
        loss: One number an image, twice differentiable; kinks as those of ReLU are no obstacle.
        forward: (model, inputs) -> output.
        parameters: A pattern of names, as in `random_directions`; frozen ones (`requires_grad=False`) count as well.
        ignore: "none" takes all of these, "biasbn" only tensors with more than one dimension.
        batch_size: Images that go through the network together; the more, the more memory, the same result up to
            rounding.

    Attributes:
        names: Names of the chosen parameters.
        shapes: Their shapes.
        dimension: Number of their scalars.
        images: How many images there are.
        population: How many these were drawn from, as far as `batches` tell; else as many.
        digest: Name for the exact bits of the images and labels.

    Raises:
        TypeError: `batches` are of another kind, or a chosen parameter is complex.
        ValueError: Loss, labels or model are such as `evaluate_surface` refuses, or have no second derivative; the
            model is in half precision; or it merges or detaches a parameter, so that no derivative reaches it.

    Example:
        >>> import torch
        >>> from gradscape.landscape import HessianProducts
        >>> net = torch.nn.Linear(4, 3)
        >>> products = HessianProducts(net, [(torch.randn(64, 4), torch.arange(64) % 3)])
        >>> products.dimension, products.product(torch.ones(15)).shape
        (15, torch.Size([15]))
    """

    @left_as_before
    @spent_on("planning")
    def __init__(
        self,
        model: nn.Module,
        batches: Iterable[Any],
        *,
        loss: LossFunction = cross_entropy,
        forward: ForwardFunction = call,
        parameters: str = "*",
        ignore: Ignore = "none",
        batch_size: int = BATCH_IMAGES,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1, got {batch_size}")
        check_precise(model)
        self.model = model
        self.task = in_mean_weight(Task(loss, None, forward), batches)
        self.names = _chosen(model, parameters, ignore)
        tensors = dict(model.named_parameters())
        self.shapes = tuple(tensors[name].shape for name in self.names)
        self._sizes = [tensors[name].numel() for name in self.names]
        self.dimension = sum(self._sizes)
        self._batch_size = batch_size
        with evaluable(model):
            self._whole, self.digest = self._loaded(batches)
            self._differentiated = Differentiated(model, self.task, self.names, self._probe())
        self.images = self._whole.count
        self._chosen_digest = "all"
        self.population = int(getattr(batches, "population", None) or self.images)

    def part(self, images: Sequence[int] | np.ndarray) -> "HessianProducts":
        """The Hessian of the mean loss over some of the images, which share memory with these as far as can be.

        Args:
            images: Their numbers, from 0.
        """
        new = object.__new__(HessianProducts)
        new.__dict__.update(self.__dict__)
        new._whole = self._part(np.asarray(images))
        new.images = new._whole.count
        new._chosen_digest = digest_tensors([("images", torch.as_tensor(np.asarray(images)))])
        return new

    @property
    def named_shapes(self) -> dict[str, torch.Size]:
        """Shapes of the chosen parameters, by name."""
        return dict(zip(self.names, self.shapes, strict=True))

    @property
    def vector_type(self) -> torch.dtype:
        """Type that vectors need: double where a parameter is, else single."""
        tensors = dict(self.model.named_parameters())
        wide = any(tensors[name].dtype == torch.float64 for name in self.names)
        return torch.float64 if wide else torch.float32

    @property
    def identity(self) -> str:
        """All that products depend on to the bit: network, images, names, loss, batches and machine."""
        device = model_device(self.model)
        plan = (self._batch_size, self.images, device.type, torch.get_num_threads(), torch.__version__)
        content = (self.digest, self._chosen_digest, digest_model(self.model), *self.names)
        return " ".join(map(str, (*self.task.identities().values(), *content, *plan)))

    def product(self, vectors: Float[Tensor, "*columns dimension"]) -> Float[Tensor, "*columns dimension"]:
        """H·v of one vector, or of each row of several.

        Args:
            vectors: (dimension,) or (k, dimension).

        Returns:
            The same shape and type; sums over images are in double.

        Raises:
            ValueError: A product is not finite.
        """
        rows = vectors.reshape(-1, self.dimension)
        with self.ready() as differentiated:
            products = torch.stack([self._sum(row, differentiated) for row in rows]) / self.images
        if not bool(products.isfinite().all()):
            raise ValueError("`model` must have a finite Hessian, but a product with it is NaN or infinite")
        return products.reshape(vectors.shape).to(vectors)

    def image_forms(self, vector: Float[Tensor, " dimension"]) -> Float[np.ndarray, " images"]:
        """vᵀH_iv of every image i, whose mean over images is vᵀHv.

        Args:
            vector: (dimension,).
        """
        return np.concatenate(self._over_batches(self._differentiated.image_forms, self.to_direction(vector)))

    def block_products(self, vector: Float[Tensor, " dimension"]) -> Float[np.ndarray, " blocks"]:
        """vᵀHv over each block of 32 images (the last one may be smaller): means of `image_forms`."""
        forms, size = self.image_forms(vector), block_images(None)
        return np.array([forms[start : start + size].mean() for start in range(0, len(forms), size)])

    def to_direction(self, vector: Float[Tensor, " dimension"]) -> Direction:
        """A flat vector as tensors by name, of the parameters' shapes, types and devices."""
        tensors = dict(self.model.named_parameters())
        parts = vector.split(self._sizes)
        return {
            name: part.reshape(tensors[name].shape).to(tensors[name].detach())
            for name, part in zip(self.names, parts, strict=True)
        }

    def to_vector(self, direction: Direction) -> Float[Tensor, " dimension"]:
        """A direction as a flat vector in double, on the CPU; what is not among the chosen parameters is left out."""
        parts = [direction[name].detach().double().cpu().reshape(-1) for name in self.names]
        return torch.cat(parts)

    def batches(self) -> Iterator[Batch]:
        """The images as they go through the network, on the model's device."""
        device = model_device(self.model)
        for start in range(0, self.images, self._batch_size):
            part = self._part(np.arange(start, min(start + self._batch_size, self.images)))
            yield part.to(device, memory_format="contiguous")

    @contextmanager
    def ready(self) -> Iterator[Differentiated]:
        """Inside, the model can be differentiated; afterwards it is as before."""
        with spent_on("points"), torch.inference_mode(mode=False), evaluable(self.model):
            yield self._differentiated

    def _over_batches(self, function: Callable[[Tensors, Batch], Tensor], direction: Direction) -> list[np.ndarray]:
        with self.ready():
            return [function(direction, batch).cpu().numpy() for batch in self.batches()]

    def _sum(self, row: Tensor, differentiated: Differentiated) -> Tensor:
        direction = self.to_direction(row)
        total = torch.zeros(self.dimension, dtype=torch.float64, device=model_device(self.model))
        for batch in self.batches():
            parts = differentiated.product(direction, batch).values()
            total += torch.cat([one.double().reshape(-1) for one in parts])
        return total

    def _loaded(self, batches: Iterable[Any]) -> tuple[Batch, str]:
        """All images, checked as those of a surface are."""
        ignored = ignored_label(self.task.loss)
        blocks = cut_blocks(batches, block_images(None), ignored=ignored)
        block = next(blocks)
        first = block.to(model_device(self.model))
        check_premade(self.model, first, self.task.forward)
        labels = check_labels(self.model, first, self.task)
        check_model(self.model, first, self.task)
        everywhere = {name: torch.ones_like(one) for name, one in self.model.named_parameters() if name in self.names}
        check_followed(self.model, [everywhere], first, self.task.forward)
        check_reached(self.model, self.names, first, self.task)
        (whole,) = join_blocks([block, *labels.within(blocks)], 0, 2**62)
        named = ((str(index), one) for index, one in enumerate(tensors_in((whole.inputs, whole.labels))))
        return whole, digest_tensors(named)

    def _probe(self) -> Batch:
        """The images of the first block with the highest losses: of others little but rounding may be left."""
        device = model_device(self.model)
        first = self._part(np.arange(min(block_images(None), self._whole.count))).to(device, memory_format="contiguous")
        losses = self.task.loss(self.task.forward(self.model, first.inputs), first.labels).detach().reshape(-1)
        highest = losses.nan_to_num(-torch.inf).argsort(descending=True, stable=True)[:_PROBED].sort().values
        return self._part(highest.cpu().numpy()).to(device, memory_format="contiguous")

    def _part(self, images: np.ndarray) -> Batch:
        images = images[images < self._whole.count]
        if len(images) and (images == np.arange(images[0], images[0] + len(images))).all():
            chosen: Any = slice(int(images[0]), int(images[0]) + len(images))  # a view, no copy
        else:
            chosen = torch.as_tensor(images)
        inputs, labels = (
            map_tensors(lambda tensor: tensor[chosen], part) for part in (self._whole.inputs, self._whole.labels)
        )
        return Batch(inputs, labels, 0, len(images))


def _chosen(model: nn.Module, parameters: str, ignore: Ignore) -> tuple[str, ...]:
    if ignore not in ("none", "biasbn"):
        raise ValueError(f"`ignore` must be one of none, biasbn, got {ignore!r}")
    tensors = {name: one for name, one in model.named_parameters() if is_movable(one)}
    names = chosen_names(model, tensors, parameters)
    chosen = tuple(name for name, one in tensors.items() if name in names and (ignore == "none" or one.dim() > 1))
    if not chosen:
        raise ValueError(
            f'`parameters` {parameters!r} means tensors of one dimension alone: `ignore`="none" takes them'
        )
    if complex_ones := [name for name in chosen if tensors[name].is_complex()]:
        raise TypeError(f"`parameters` must mean real tensors for a Hessian, but {complex_ones[0]} is complex")
    return chosen
