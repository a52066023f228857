"""What a model returns taken apart: its tensors, and its logits, the output itself or the part that is called so."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

__all__ = ["logits_in", "tensors_in"]


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


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in an output of any kind.

    Args:
        value: A tensor, or mappings, lists and tuples of them.
    """
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from tensors_in(one)
