"""What fixes the bits of a result: device, threads, precision, batch size, the form of the network, versions."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import autocast, nn

from gradscape._journal import undone
from gradscape._model_state import model_device

__all__ = [
    "BLOCK_IMAGES",
    "FORM",
    "ExecutionPlan",
    "Precision",
    "block_images",
    "check_same_plan",
    "plain_plan",
    "plan_changes",
]

Precision = Literal["auto", "fp32", "bf16"]

BLOCK_IMAGES = 32

# The parts of a plan that decide the bits on one machine: a surface never mixes two of them, whatever is allowed.
FORM = ("precision", "block_size", "batch_size", "memory_format", "traced", "compiled", "points_per_forward")


@dataclass(frozen=True)
class ExecutionPlan:
    """How the numbers are computed; resuming under the same plan is bitwise the same as never having stopped.

    Attributes:
        device: Type and name of the device.
        threads: Threads of torch's operators on the CPU: all that torch has, or one where that is faster.
        precision: "fp32" or "bf16" (matrix products and convolutions; weights, loss and sums stay in fp32 or more).
        block_size: Images in a block, for which sums are stored.
        batch_size: Images in a forward pass: whole blocks.
        memory_format: "channels_last" or "contiguous", of images and convolutions.
        traced: Whether the model's graph of operators is evaluated, batch norms folded; else the module itself.
        compiled: Whether `torch.compile` made code of the graph.
        points_per_forward: Grid points evaluated side by side in one forward pass.
        torch: Version of torch.
        instructions: Vector instructions that torch uses on the CPU.
    """

    device: str
    threads: int
    precision: str
    block_size: int
    batch_size: int
    memory_format: str
    traced: bool
    compiled: bool
    points_per_forward: int
    torch: str
    instructions: str

    def arithmetic(self, *, exact: bool = False) -> autocast:
        """The context in which the forward pass runs; `exact` for what stays in fp32 under every precision.

        A surrounding autocast is overruled, and no cast weights are kept: they would outlive the weights' move.
        """
        coarse = self.precision == "bf16" and not self.traced and not exact
        return autocast(self.device.split()[0], torch.bfloat16, enabled=coarse, cache_enabled=False)

    @contextmanager
    def own_threads(self) -> Iterator[None]:
        """Inside, torch's operators have the plan's threads; afterwards as many as before."""
        with undone(partial(torch.set_num_threads, torch.get_num_threads())):
            torch.set_num_threads(self.threads)
            yield


def block_images(batch_size: int | None) -> int:
    """Images in a block: 32 if that divides the batch, else as many as the batch has."""
    return BLOCK_IMAGES if batch_size is None or batch_size % BLOCK_IMAGES == 0 else batch_size


def plain_plan(model: nn.Module, *, precision: Literal["fp32", "bf16"], batch_size: int) -> ExecutionPlan:
    """The plan that takes the module as it is, where it now is.

    Args:
        model: Its parameters' device is the device.
        precision: "fp32" or "bf16".
        batch_size: Images in a forward pass.
    """
    device = model_device(model)
    return ExecutionPlan(
        device=f"cuda {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type,
        threads=torch.get_num_threads(),
        precision=precision,
        block_size=block_images(batch_size),
        batch_size=batch_size,
        memory_format="channels_last" if any(map(_is_channels_last, model.parameters())) else "contiguous",
        traced=False,
        compiled=False,
        points_per_forward=1,
        torch=torch.__version__,
        instructions=torch.backends.cpu.get_cpu_capability(),
    )


def plan_changes(then: Mapping[str, Any], now: ExecutionPlan) -> dict[str, str]:
    """What changed between a stored plan and another one: by the name of the entry, in words."""
    return {
        name: f"{name}: {then.get(name)} → {value}" for name, value in asdict(now).items() if then.get(name) != value
    }


def check_same_plan(followed: Mapping[str, Any], plan: ExecutionPlan, *, allow_change: bool) -> None:
    """Refuse what is not the plan that was to be followed.

    Raises:
        ValueError: The form of the network is another one, or something else without being allowed to.
    """
    changes = plan_changes(followed, plan)
    if not changes.keys().isdisjoint(FORM) or (changes and not allow_change):
        fix = "leave it out" + ("" if allow_change else ", or allow the change of plan to be the same but for rounding")
        raise ValueError(f"`plan` cannot be followed here ({'; '.join(changes.values())}): {fix}")


def _is_channels_last(tensor: torch.Tensor) -> bool:
    return tensor.dim() == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)
