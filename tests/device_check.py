"""A device that is not there: tensors that say they lie on it, computed on the CPU, and refused beside others.

A first run on a GPU dies of a tensor that was made on the CPU, or runs at a crawl in float64. With `moved` a module
and a batch lie on a pretended device, whose name is "meta"; an operation on a tensor of it and one of the CPU raises,
and so does one whose result is float64. What is brought back by `.cpu()` or `.item()` is the CPU's again.
"""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

DEVICE = torch.device("meta")
MAY_MIX = ("aten::copy_", "aten::_to_copy")


class Pretended(torch.Tensor):
    """Says that it is on DEVICE; its values are in `inner`."""

    @staticmethod
    def __new__(cls, inner: Tensor) -> Tensor:
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            layout=inner.layout,
            device=DEVICE,
        )

    def __init__(self, inner: Tensor) -> None:
        self.inner = inner

    def tolist(self):
        return self.inner.tolist()

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return call(func, args, kwargs or {})


class _Factories(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return call(func, args, kwargs or {})


def call(func, args: tuple, kwargs: dict):
    """An operation on the inner tensors, if all of them are on one device."""
    given, _ = tree_flatten((args, kwargs))
    tensors = [value for value in given if isinstance(value, Tensor)]
    there = [value for value in tensors if isinstance(value, Pretended)]
    to = kwargs.get("device")
    name = func._schema.name
    if there and name not in MAY_MIX:
        for value in tensors:
            if not isinstance(value, Pretended) and value.dim() > 0:
                raise RuntimeError(f"{name}: a tensor {tuple(value.shape)} of the CPU on a device")
    inner = lambda value: value.inner if isinstance(value, Pretended) else value
    plain, options = tree_map(inner, args), tree_map(inner, kwargs)
    if to is not None:
        options["device"] = torch.device("cpu")
    out = func(*plain, **options)
    if name.endswith("_") and there:  # in place
        if torch.Tag.inplace_view in func.tags:
            with no_dispatch():  # the outer tensor has another shape now, too
                func(*args, **kwargs)
        return args[0]
    stays = there and to is None or to is not None and torch.device(to).type == DEVICE.type

    def outer(value):
        if not isinstance(value, Tensor) or not stays:
            return value
        if value.dtype == torch.float64:
            raise RuntimeError(f"{name}: float64 on a device")
        return Pretended(value)

    return tree_map(outer, out)


@contextmanager
def device():
    """Tensors that are made on DEVICE inside are pretended ones; autocast is left out."""
    with pytest.MonkeyPatch.context() as patch:
        off = lambda kind, *rest, **options: (
            torch.enable_grad() if torch.is_grad_enabled() else torch.no_grad()
        )
        patch.setattr(torch, "autocast", off)
        with _Factories():
            yield


def moved(module: nn.Module) -> nn.Module:
    """The module with its weights and buffers on the pretended device."""
    for part in module.modules():
        for name, value in part._parameters.items():
            if value is not None:
                new = nn.Parameter(Pretended(value.detach()), requires_grad=value.requires_grad)
                part._parameters[name] = new
        for name, value in part._buffers.items():
            if value is not None:
                part._buffers[name] = Pretended(value)
    return module


def one_step(objective: nn.Module, batch: dict[str, Tensor]) -> float:
    """Loss and gradients of a step on the pretended device -> the loss."""
    objective = moved(objective)
    batch = {name: Pretended(value) for name, value in batch.items()}
    with device():
        loss, _ = objective(batch)
        loss.backward()
        learned = [w for w in objective.model.parameters() if w.requires_grad]
        assert any(w.grad is not None for w in learned)
        return loss.item()
