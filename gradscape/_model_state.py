"""The one promise of all computing: a model and the process are left as they were."""

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from gradscape._journal import undone
from gradscape._process_state import RandomStates

__all__ = [
    "Wiring",
    "changes_with_mode",
    "check_made",
    "has_memory",
    "kept_values",
    "model_device",
    "plain_items",
    "plain_tensors",
    "unchanged",
]

_INTERNALS = frozenset(vars(nn.Module()))  # `training`, parameters, buffers, children and hooks

_Container = dict[Any, Any] | list[Any] | set[Any]


def model_device(model: nn.Module) -> torch.device:
    """Where the model's first tensor is."""
    tensors = (*model.parameters(), *model.buffers())
    return tensors[0].device if tensors else torch.device("cpu")


def check_made(model: nn.Module, *, argument: str = "model") -> None:
    """Refuse a model that is not all there yet.

    Args:
        model: Any module.
        argument: What the caller calls it.

    Raises:
        ValueError: A tensor of a lazy module has no shape.
    """
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        if is_lazy(tensor):
            raise ValueError(f"`{argument}` must have run once before: {name} takes its shape from the first images")


def changes_with_mode(model: nn.Module) -> bool:
    """Whether a class of the model has a `train()` or `eval()` of its own, which may merge weights or cache them."""
    classes = {type(module) for module in model.modules()}
    return any(one.train is not nn.Module.train or one.eval is not nn.Module.eval for one in classes)


def plain_items(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """Plain attributes of a module, and what is in those that are lists, tuples or dicts: `name`, `name[0]`, ….

    No parameters, no buffers, no children.
    """
    for name, value in _plain_attributes(module).items():
        yield name, value
        if isinstance(value, dict):
            yield from ((f"{name}[{key!r}]", one) for key, one in value.items())
        elif isinstance(value, (list, tuple)):
            yield from ((f"{name}[{index}]", one) for index, one in enumerate(value))


def plain_tensors(module: nn.Module) -> dict[str, Tensor]:
    """The tensors among `plain_items`, without parameters, of which recurrent layers keep a list."""
    items = plain_items(module)
    return {name: one for name, one in items if isinstance(one, Tensor) and not isinstance(one, nn.Parameter)}


@contextmanager
def unchanged(model: nn.Module, *, parameters: bool = False) -> Iterator[None]:
    """Afterwards modes, buffers, derived tensors, gradients, `requires_grad` and global random states are as before.

    A model of lazy layers has to have run once before.

    Derived tensors are plain attributes, such as the weight that `weight_norm` computes from its parameters. Where a
    class has a `train()` of its own, which may merge weights or cache them, modes are restored by it, and parameters,
    children and attributes are then put back to the bit.

    Landscapes and explanations add what each of them needs meanwhile (`evaluable`, `explainable`). Values of parameters
    are put back only where `parameters` asks for it, since that takes a copy of them. Where they may have moved, new
    attributes in which a forward pass has left tensors are taken away too; else they stay, as after any forward pass.

    Meanwhile fp32 products are fp32's own: TF32 on NVIDIA cards, for one, keeps 10 of its 23 bits.
    """
    check_made(model)
    gradients = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
    random_states = RandomStates(model_device(model))
    state = _State(model, parameters=parameters, additions=not parameters)

    def put_back() -> None:
        random_states.restore()
        try:
            state.restore()
        finally:
            for parameter, required, gradient in gradients:
                _restore_gradient(parameter, required, gradient)

    with undone(put_back), _exact_products():
        for parameter, _, _ in gradients:
            parameter.grad = None  # a backward pass would add to it in place
        yield


@contextmanager
def kept_values(model: nn.Module) -> Iterator[None]:
    """Afterwards what a model may change by itself has the same bits: buffers, attributes, what `train()` merges."""
    with undone(_State(model).restore):
        yield


@final
class Wiring:
    """How a model hangs together now, to be put back: what each module holds, its hooks, and where tensors lie.

    Values are no part of it, so that it costs no copy: `unchanged` keeps those that may change.

    Args:
        model: Any module.
    """

    def __init__(self, model: nn.Module) -> None:
        # A scripted module holds all of this in C++.
        modules = [module for module in model.modules() if not isinstance(module, torch.jit.ScriptModule)]
        held = [vars(module) for module in modules]
        self._attributes = [(one, name, one[name]) for one in held for name in _INTERNALS if name in one]
        self._containers = [(one, _copied(one)) for _, _, one in self._attributes if isinstance(one, dict | set)]
        # Lazy layers have tensors without a memory until their first forward pass.
        tensors = [one for one in chain(model.parameters(), model.buffers()) if not is_lazy(one) and has_memory(one)]
        self._storages = [(tensor, tensor.data) for tensor in tensors]
        self._gradients = [(one, one.requires_grad, one.grad) for one in model.parameters()]

    def restore(self) -> None:
        """Put back what has changed."""
        for attributes, name, value in self._attributes:
            attributes[name] = value
        for container, content in self._containers:
            _refill(container, content)
        for tensor, storage in self._storages:
            _restore_storage(tensor, storage)
        for parameter, required, gradient in self._gradients:
            _restore_gradient(parameter, required, gradient)


@final
class _State:
    """What a model holds now, to be put back.

    Args:
        model: Any module.
        parameters: Whether values of parameters are put back even where no class can change them by its `train()`.
        additions: Whether tensors in attributes that are new may stay.
    """

    def __init__(self, model: nn.Module, *, parameters: bool = False, additions: bool = False) -> None:
        self._model = model
        self._by_mode = changes_with_mode(model)
        self._modes = [(module, module.training) for module in model.modules()]
        self._attributes = [_Attributes(module, always=self._by_mode, additions=additions) for module, _ in self._modes]
        self._dicts: list[tuple[dict[str, Any], dict[str, Any]]] = []
        for module, _ in self._modes:
            # A scripted module holds its tensors in C++: they can neither be exchanged nor forgotten, only written to.
            if not isinstance(module, torch.jit.ScriptModule):
                structure = (module._parameters, module._modules) if self._by_mode else ()
                self._dicts += [(held, dict(held)) for held in (module._buffers, *structure)]
        kept = chain(model.buffers(), model.parameters() if parameters or self._by_mode else ())
        self._values = [(tensor, tensor.data, tensor.detach().clone()) for tensor in kept if has_memory(tensor)]

    def restore(self) -> None:
        if self._by_mode:
            # First by the classes' own ways, which may reach what lies outside of the model.
            for module, training in self._modes:
                if module.training != training:
                    module.train(training)
        for module, training in self._modes:
            module.training = training
        for attributes in self._attributes:
            attributes.restore()
        for held, before in self._dicts:
            _refill(held, before)
        for tensor, storage, value in self._values:
            _restore_storage(tensor, storage)
            _restore_values(tensor, value)


@final
class _Attributes:
    """The plain attributes of one module.

    They are put back together where one of their tensors is another one: what was computed is often known by a flag or
    a size beside it. All others are the module's own affair, such as how often it was called.
    """

    def __init__(self, module: nn.Module, *, always: bool, additions: bool) -> None:
        self._module, self._additions = module, additions
        self._attributes = _plain_attributes(module)
        self._contents = [
            (value, _copied(value)) for value in self._attributes.values() if isinstance(value, (dict, list))
        ]
        self._tensors = {name: (one, one.detach().clone()) for name, one in self._present().items()}
        self._settling = always

    def restore(self) -> None:
        # What was cut off half-way would no longer be told by its tensors.
        self._settling = self._settling or not self._same()
        if not self._settling:
            return
        held = vars(self._module)
        for name in _plain_attributes(self._module).keys() - self._attributes.keys():
            del held[name]
        held.update(self._attributes)
        for container, content in self._contents:
            _refill(container, content)
        for one, value in self._tensors.values():
            _restore_values(one, value)

    def _same(self) -> bool:
        if self._additions and not self._tensors:
            return True
        now = self._present()
        return (self._additions or now.keys() == self._tensors.keys()) and all(
            now.get(name) is one and _equal(one, value) for name, (one, value) in self._tensors.items()
        )

    def _present(self) -> dict[str, Tensor]:
        return {name: one for name, one in plain_tensors(self._module).items() if has_memory(one)}


def _plain_attributes(module: nn.Module) -> dict[str, Any]:
    if isinstance(module, torch.jit.ScriptModule):
        return {}
    return {name: value for name, value in vars(module).items() if name not in _INTERNALS}


def has_memory(tensor: Tensor) -> bool:
    """Whether a tensor holds its values by itself: subclasses and sparse ones hold others that do, meta ones none."""
    return not tensor.is_meta and tensor.layout == torch.strided and not is_traceable_wrapper_subclass(tensor)


def _copied(container: _Container) -> _Container:
    return dict(container) if isinstance(container, dict) else type(container)(container)


def _refill(container: Any, content: Any) -> None:
    """Give a container its content back; one that has it is not emptied first, where it might be left so."""
    pairs = [one.items() if isinstance(one, dict) else one for one in (container, content)]
    if not _same_objects(*pairs):
        container.clear()
        container.extend(content) if isinstance(container, list) else container.update(content)


def _same_objects(one: Any, other: Any) -> bool:
    """Whether two hold the same, in this order; pairs are compared by what stands in them."""
    return len(one) == len(other) and all(
        all(map(operator.is_, first, second)) if isinstance(first, tuple) else first is second
        for first, second in zip(one, other, strict=True)
    )


def _equal(one: Tensor, other: Tensor) -> bool:
    alike = one.shape == other.shape and one.dtype == other.dtype
    return alike and (one.is_meta or torch.equal(one, other))  # on the meta device there are no values


def _restore_storage(tensor: Tensor, storage: Tensor) -> None:
    if tensor.data_ptr() != storage.data_ptr() or tensor.stride() != storage.stride():
        tensor.data = storage


def _restore_gradient(parameter: nn.Parameter, required: bool, gradient: Tensor | None) -> None:  # noqa: FBT001
    # What has not changed is not set: of what was made under inference_mode it must not be.
    if parameter.requires_grad != required:
        parameter.requires_grad_(required)
    if parameter.grad is not gradient:
        parameter.grad = gradient


def _restore_values(tensor: Tensor, value: Tensor) -> None:
    if not _equal(tensor, value):
        with torch.no_grad():
            tensor.detach().copy_(value)


@contextmanager
def _exact_products() -> Iterator[None]:
    """Products in fp32's own precision; torch's newer settings and cuDNN's older one are kept in agreement."""
    cudnn: Any = torch.backends.cudnn
    mkldnn: Any = torch.backends.mkldnn
    backends = (torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn, mkldnn.matmul, mkldnn.conv, mkldnn.rnn)
    precisions = [(backend, backend.fp32_precision) for backend in backends]
    try:
        allowed = cudnn.allow_tf32
    except RuntimeError:  # the user's own settings disagree: so they may again afterwards
        allowed = None

    def put_back() -> None:
        if allowed is not None:
            cudnn.allow_tf32 = allowed
        for backend, precision in precisions:
            backend.fp32_precision = precision

    with undone(put_back):
        for backend in backends:
            backend.fp32_precision = "ieee"
        cudnn.allow_tf32 = False  # else torch.export refuses to work
        yield
