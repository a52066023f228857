"""Everything about a model and the process that a call must leave as it was."""

import gc
import logging
import os
import random
import signal
import sys
import threading
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils import deterministic

__all__ = ["differences", "model_state", "process_state"]

_HOOKS = [name for name in vars(nn.Module()) if "hooks" in name]


def model_state(model: nn.Module) -> dict[str, Any]:
    """What a model is, by name: values, memory and identity of its tensors, modes, hooks, gradients, attributes."""
    state: dict[str, Any] = {}
    for name, module in model.named_modules():
        state[f"{name}: class"] = type(module)
        state[f"{name}: training"] = module.training
        for hooks in _HOOKS:
            held = vars(module)[hooks]
            state[f"{name}: {hooks}"] = list(held.items()) if isinstance(held, dict) else held
        for kind in ("_parameters", "_buffers", "_modules"):
            held = vars(module)[kind]
            state[f"{name}: {kind}"] = [(key, id(one)) for key, one in held.items()]
        state[f"{name}: not saved"] = set(module._non_persistent_buffers_set)
        state[f"{name}: attributes"] = {
            key: _seen(one) for key, one in vars(module).items() if key not in _HOOKS and not isinstance(one, nn.Module)
        }
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        gradient = tensor.grad if tensor.is_leaf else None
        state[f"{name}: gradient"] = None if gradient is None else (id(gradient), _seen(gradient))
        state[f"{name}: required"] = tensor.requires_grad
        state[f"{name}: values"] = _seen(tensor)
        if not is_lazy(tensor):
            state[f"{name}: memory"] = (tensor.data_ptr(), tensor.stride(), tensor.dtype, tensor.is_inference())
    return state


def process_state() -> dict[str, Any]:
    """What is global, by name."""
    backends: Any = torch.backends
    precise = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn, backends.mkldnn.matmul)
    cuda = backends.cuda
    autograd: Any = torch._C._autograd
    return {
        "random": random.getstate(),
        "numpy": _seen(np.random.get_state()),  # noqa: NPY002
        "torch": _seen(torch.get_rng_state()),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "anomalies": (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu"), torch.is_autocast_enabled()),
        "autocast cache": torch.is_autocast_cache_enabled(),
        "autocast depth": (torch.autocast_increment_nesting(), torch.autocast_decrement_nesting()),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "determinism": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
            backends.cudnn.benchmark,
            backends.cudnn.deterministic,
        ),
        "precision": [one.fp32_precision for one in precise],
        "tf32": (backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()),
        "attention": (
            cuda.flash_sdp_enabled(),
            cuda.math_sdp_enabled(),
            cuda.mem_efficient_sdp_enabled(),
            cuda.cudnn_sdp_enabled(),
        ),
        "onednn": backends.mkldnn.enabled,
        "modes": (torch._C._len_torch_function_stack(), torch._C._len_torch_dispatch_stack()),
        "transforms": torch._C._functorch.maybe_current_level(),
        "stance": _stance(),
        "saving": (autograd._top_saved_tensors_default_hooks(True), autograd._saved_tensors_hooks_is_enabled()),
        "dispatch": str((torch._C._dispatch_tls_local_include_set(), torch._C._dispatch_tls_local_exclude_set())),
        "forward gradients": torch._C._is_fwd_grad_enabled(),
        "warnings": (list(warnings.filters), warnings.showwarning),
        "rc": dict(sys.modules["matplotlib"].rcParams) if "matplotlib" in sys.modules else None,
        "figures": sys.modules["matplotlib.pyplot"].get_fignums() if "matplotlib.pyplot" in sys.modules else [],
        "logging": [(one.level, one.disabled) for one in map(logging.getLogger, _LOGGERS)],
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "signals": [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "streams": (id(sys.stdout), id(sys.stderr)),
        "numpy errors": np.geterr(),
        "path": list(sys.path),
        "collecting": gc.isenabled(),
        "excepthook": (sys.excepthook, threading.excepthook),
    }


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Names of what is not the same."""
    return [name for name in before.keys() | after.keys() if not _same(before.get(name), after.get(name))]


_LOGGERS = ("", "torch", "torch.export", "torch.__trace", "torch.fx", "lightning", "lightning.pytorch", "gradscape")


def _stance() -> Any:
    frames = sys.modules.get("torch._dynamo.eval_frame")  # which only a network that was compiled needs
    return None if frames is None or frames._stance == frames.DynamoStance() else frames._stance


def _same(one: Any, other: Any) -> bool:
    return bool(one == other)


def _seen(value: Any) -> Any:
    """A value as something that can be compared."""
    if isinstance(value, Tensor):
        if is_lazy(value):
            return "lazy"
        return (
            str(value.dtype),
            tuple(value.shape),
            value.detach().contiguous().view(-1).clone().numpy(force=True).tobytes()
            if value.dtype != torch.bfloat16
            else value.detach().clone().float().numpy().tobytes(),
        )
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, dict):
        return {key: _seen(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_seen(one) for one in value]
    if isinstance(value, (int, float, str, bool, type(None), set, torch.Size, torch.dtype)):
        return value
    return id(value)
