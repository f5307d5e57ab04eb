"""A GPU that every machine has: tensors that say they are on "cuda:0" and are as strict about it as real ones.

Inside `with FakeGpu():` a tensor moved to "cuda" becomes an `OnGpu`. It computes on the CPU, but mixing it with CPU
tensors raises, and so does `.numpy()`, as on a real GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_iter, tree_map

GPU, CPU = torch.device("cuda:0"), torch.device("cpu")
MAY_MIX = {Tensor.copy_, Tensor.__getitem__, Tensor.to}
"""What real tensors of two devices may do together: be copied, and be indexed by a tensor on the CPU."""


class OnGpu(Tensor):
    """A tensor on the GPU that is not there."""

    __torch_function__ = torch._C._disabled_torch_function_impl


class FakeGpu(TorchFunctionMode):
    """While it is entered, "cuda" is a device."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        on_gpu = any(isinstance(tensor, OnGpu) for tensor in _tensors((args, kwargs)))
        if func == Tensor.device.__get__:  # type: ignore[attr-defined]
            return GPU if on_gpu else CPU
        if func in (Tensor.numpy, Tensor.__array__) and on_gpu:
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")
        if on_gpu and func not in MAY_MIX:
            _check_alike((args, kwargs))
        args, wanted = _without_device(func, args, kwargs)
        result = func(*tree_map(_plain, args), **tree_map(_plain, kwargs))
        goes_to_gpu = on_gpu if wanted is None else torch.device(wanted).type == "cuda"
        return tree_map(_moved, result) if goes_to_gpu else result


def _without_device(func: Callable, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, Any]:
    """The arguments without the device that they name, and that device; kwargs are changed in place."""
    wanted = kwargs.pop("device", None)
    if func is Tensor.cpu:
        wanted = CPU
    if func is Tensor.to:
        named = [arg for arg in args[1:] if isinstance(arg, (str, torch.device))]
        like = [arg for arg in args[1:] if isinstance(arg, Tensor)]
        wanted = named[0] if named else wanted
        wanted = (GPU if isinstance(like[0], OnGpu) else CPU) if like else wanted
        args = tuple(arg for arg in args if not isinstance(arg, (str, torch.device)))
        if len(args) == 1 and not kwargs:
            args = (*args, args[0].dtype)
    return args, wanted


def _check_alike(arguments: Any) -> None:
    """As real tensors do: only numbers, which have no dimension, may be on another device."""
    if any(not isinstance(tensor, OnGpu) and tensor.ndim for tensor in _tensors(arguments)):
        raise RuntimeError("Expected all tensors to be on the same device, but found cuda:0 and cpu!")


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in tree_iter(tree) if isinstance(leaf, Tensor))


def _plain(leaf: Any) -> Any:
    return leaf.as_subclass(Tensor) if isinstance(leaf, OnGpu) else leaf


def _moved(leaf: Any) -> Any:
    return leaf.as_subclass(OnGpu) if isinstance(leaf, Tensor) else leaf
