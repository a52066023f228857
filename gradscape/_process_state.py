"""What of the process a call may leave behind where it is cut off within somebody else's context manager."""

import operator
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.utils import deterministic

__all__ = ["ProcessState", "RandomStates", "same_values"]


@dataclass(frozen=True, eq=False)
class _Setting:
    """Something global that can be read without a trace, and written."""

    read: Callable[[], Any]
    write: Callable[[Any], object]


@final
class RandomStates:
    """The global random states now, Python's, NumPy's and torch's, to be put back.

    Args:
        device: Where torch draws, beside the CPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._before = [(one, one.read()) for one in _random_settings({device})]

    def restore(self) -> None:
        """Write all of them."""
        for setting, before in self._before:
            setting.write(before)


@final
class ProcessState:
    """What global settings are now, to be put back.

    Args:
        devices: Those whose random states and autocast count, beside the CPU.
    """

    def __init__(self, devices: Iterable[torch.device] = ()) -> None:
        self._before = [(one, one.read()) for one in _settings(set(devices))]

    def restore(self) -> None:
        """Write what has changed."""
        for setting, before in self._before:
            if not same_values(setting.read(), before):
                setting.write(before)


def same_values(one: Any, other: Any) -> bool:
    """Whether two settings are equal; arrays and tensors by what they hold."""
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(same_values, one, other))
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return one is other or bool(one == other)


def _settings(devices: set[torch.device]) -> list[_Setting]:
    """All of them; first those that would watch the others being read."""
    kinds = {"cpu", *(device.type for device in devices)}
    found = [
        _Setting(torch._C._len_torch_function_stack, _leave_modes),
        _Setting(_saving_hooks, _leave_saving_hooks),
        _Setting(torch.is_grad_enabled, torch.set_grad_enabled),
        _Setting(torch.get_default_dtype, torch.set_default_dtype),
        _Setting(torch.get_num_threads, torch.set_num_threads),
        *_random_settings(devices),
        _Setting(_determinism, _set_determinism),
        _Setting(_attention_kernels, _set_attention_kernels),
        _Setting(_anomalies, _set_anomalies),
        _Setting(lambda: (warnings.filters, [*warnings.filters]), _set_warning_filters),
        _Setting(lambda: warnings.showwarning, lambda one: setattr(warnings, "showwarning", one)),
        _Setting(lambda: sys.stdout, lambda one: setattr(sys, "stdout", one)),
        _Setting(lambda: sys.stderr, lambda one: setattr(sys, "stderr", one)),
        _Setting(lambda: dict(np.geterr()), lambda one: np.seterr(**one)),
        _Setting(_autocast_depth, _set_autocast_depth),
        _Setting(torch.is_autocast_cache_enabled, torch.set_autocast_cache_enabled),
        *(_autocast_of(kind) for kind in sorted(kinds) if torch.amp.is_autocast_available(kind)),
    ]
    if (frames := sys.modules.get("torch._dynamo.eval_frame")) is not None:
        found.append(_Setting(lambda: frames._stance, frames._set_stance))
    if threading.current_thread() is threading.main_thread():
        found.append(_Setting(lambda: signal.getsignal(signal.SIGINT), lambda one: signal.signal(signal.SIGINT, one)))
    return found


def _leave_modes(depth: int) -> None:
    while torch._C._len_torch_function_stack() > depth:
        torch._C._pop_torch_function_stack()


def _saving_hooks() -> Any:
    """What autograd does with the tensors that it saves: two functions, if there are any."""
    return torch._C._autograd._top_saved_tensors_default_hooks(True)


def _leave_saving_hooks(before: Any) -> None:
    while _saving_hooks() not in (None, before):
        torch._C._autograd._pop_saved_tensors_default_hooks()


def _determinism() -> tuple[bool, ...]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark,
    )


def _set_determinism(before: tuple[bool, ...]) -> None:
    if _determinism()[:2] != before[:2]:  # which takes seconds where it has to import torch's compiler
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
    deterministic.fill_uninitialized_memory = before[2]  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = before[3]


def _attention_kernels() -> dict[str, bool]:
    cuda = torch.backends.cuda
    return {
        "flash": cuda.flash_sdp_enabled(),
        "mem_efficient": cuda.mem_efficient_sdp_enabled(),
        "math": cuda.math_sdp_enabled(),
        "cudnn": cuda.cudnn_sdp_enabled(),
    }


def _set_attention_kernels(before: Mapping[str, bool]) -> None:
    for name, enabled in before.items():
        getattr(torch.backends.cuda, f"enable_{name}_sdp")(enabled)


def _anomalies() -> tuple[bool, bool]:
    return torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()


def _set_anomalies(before: tuple[bool, bool]) -> None:
    torch.autograd.set_detect_anomaly(before[0], check_nan=before[1])


def _set_warning_filters(before: tuple[Any, list[Any]]) -> None:
    own, content = before
    own[:] = content
    warnings.filters = own
    warnings._filters_mutated()  # type: ignore[attr-defined]


def _autocast_depth() -> int:
    # Up and down in one call from C, between which no signal is handled.
    return min(map(operator.call, (torch.autocast_increment_nesting, torch.autocast_decrement_nesting)))


def _set_autocast_depth(before: int) -> None:
    while _autocast_depth() > before:
        torch.autocast_decrement_nesting()
    torch.clear_autocast_cache()  # which may hold weights that have moved


def _autocast_of(kind: str) -> _Setting:
    def read() -> tuple[bool, torch.dtype]:
        return torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)

    def write(before: tuple[bool, torch.dtype]) -> None:
        torch.set_autocast_enabled(kind, before[0])
        torch.set_autocast_dtype(kind, before[1])

    return _Setting(read, write)


def _random_settings(devices: set[torch.device]) -> list[_Setting]:
    return [
        _Setting(random.getstate, random.setstate),
        _Setting(np.random.get_state, np.random.set_state),
        _Setting(torch.get_rng_state, torch.set_rng_state),
        *(_random_state_of(device) for device in devices if device.type == "cuda"),
    ]


def _random_state_of(device: torch.device) -> _Setting:
    return _Setting(lambda: torch.cuda.get_rng_state(device), lambda state: torch.cuda.set_rng_state(state, device))
