"""What this machine can do at best: the rate of a big matrix product, or of a 3×3 convolution, whichever is larger."""

import time
from collections.abc import Callable

import torch
from torch.nn import functional as F

_CPU = torch.device("cpu")
_SIDE = 2048
_MAPS = ((16, 32), (32, 16), (64, 8), (128, 8))  # channels, side
_BATCH = 64
_SECONDS = 0.2  # spent on each candidate


def measured_peaks(device: torch.device = _CPU) -> dict[str, float]:
    """Floating-point operations per second by precision; on the CPU with torch's current number of threads."""
    types = {"fp32": torch.float32, "bf16": torch.bfloat16}
    with torch.inference_mode():
        return {
            name: max(_matrix_product(dtype, device), *(_convolution(dtype, device, *map_) for map_ in _MAPS))
            for name, dtype in types.items()
        }


def _matrix_product(dtype: torch.dtype, device: torch.device) -> float:
    left, right, out = (torch.randn(_SIDE, _SIDE).to(device, dtype) for _ in range(3))
    return 2 * _SIDE**3 / _fastest(lambda: torch.mm(left, right, out=out))


def _convolution(dtype: torch.dtype, device: torch.device, channels: int, side: int) -> float:
    images, weight = (
        torch.randn(shape).to(device, dtype).contiguous(memory_format=torch.channels_last)
        for shape in ((_BATCH, channels, side, side), (channels, channels, 3, 3))
    )
    operations = 2 * _BATCH * channels**2 * 9 * side**2
    return operations / _fastest(lambda: F.conv2d(images, weight, padding=1))


def _fastest(function: Callable[[], torch.Tensor]) -> float:
    """Seconds of the fastest call."""
    times: list[float] = []
    while len(times) < 3 or sum(times) < _SECONDS:
        start = time.perf_counter()
        function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times)
