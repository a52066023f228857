"""What fixes the bits of a result: device, threads, precision, batch size, versions."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import autocast, nn

from gradscape._model_state import model_device

Precision = Literal["auto", "fp32", "bf16"]

DEFAULT_BATCH_SIZE = 64


@dataclass(frozen=True)
class ExecutionPlan:
    """How the numbers are computed; resuming under the same plan is bitwise the same as never having stopped.

    Attributes:
        device: Type and name of the device.
        threads: Threads of torch's operators on the CPU.
        precision: "fp32" or "bf16" (matrix products and convolutions; weights, loss and sums stay in fp32 or more).
        batch_size: Images in a forward pass, which is also the size of a block.
        memory_format: "channels_last" if the model's convolutions are, else "contiguous".
        torch: Version of torch.
        instructions: Vector instructions that torch uses on the CPU.
    """

    device: str
    threads: int
    precision: str
    batch_size: int
    memory_format: str
    torch: str
    instructions: str

    def arithmetic(self, *, exact: bool = False) -> autocast:
        """The context in which the forward pass runs; `exact` for what stays in fp32 under every precision.

        A surrounding autocast is overruled, and no cast weights are kept: they would outlive the weights' move.
        """
        coarse = self.precision == "bf16" and not exact
        return autocast(self.device.split()[0], torch.bfloat16, enabled=coarse, cache_enabled=False)


def make_plan(model: nn.Module, *, precision: Precision, batch_size: int) -> ExecutionPlan:
    """Fix the plan for a model where it now is.

    Args:
        model: Its parameters' device is the device.
        precision: "auto" takes fp32, which is exact to 1e-5 everywhere.
        batch_size: Images in a forward pass.

    Raises:
        ValueError: An option is unknown.
    """
    if precision not in ("auto", "fp32", "bf16"):
        raise ValueError(f"`precision` must be auto, fp32 or bf16, got {precision!r}")
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1, got {batch_size}")
    device = model_device(model)
    return ExecutionPlan(
        device=f"cuda {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type,
        threads=torch.get_num_threads(),
        precision="fp32" if precision == "auto" else precision,
        batch_size=batch_size,
        memory_format="channels_last" if any(map(_is_channels_last, model.parameters())) else "contiguous",
        torch=torch.__version__,
        instructions=torch.backends.cpu.get_cpu_capability(),
    )


def _is_channels_last(tensor: torch.Tensor) -> bool:
    return tensor.dim() == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)
