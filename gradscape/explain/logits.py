"""Logits in what a model returns: the output itself, or the part of it that is called so."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

__all__ = ["logits_in"]


@runtime_checkable
class _HasLogits(Protocol):
    logits: Tensor


def logits_in(output: Any) -> Any:
    """Return an output's `logits`, as Hugging Face's models have them by key and by attribute; else the output.

    So is the only tensor in a tuple beside nothing but None, such as (logits, None).

    Args:
        output: What the model returned.
    """
    if isinstance(output, tuple) and sum(one is not None for one in output) == 1:
        return next(one for one in output if one is not None)
    if isinstance(output, Mapping):
        return output.get("logits", output)
    return output.logits if isinstance(output, _HasLogits) else output
