"""What the public functions of all ops share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch

_P = ParamSpec("_P")
_R = TypeVar("_R")


def public_op(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make ``function`` raise TypeError for an argument that is not a tensor but must be one.

    The argument is only looked for after an AttributeError, so that other calls need no check.
    """

    @functools.wraps(function)
    def call(*args: _P.args, **options: _P.kwargs) -> _R:
        try:
            return function(*args, **options)
        except AttributeError:
            _check_tensors(function, args, options)
            raise

    return call


def _check_tensors(function: Callable[..., Any], args: Any, options: Any) -> None:
    signature = inspect.signature(function)
    for name, value in signature.bind(*args, **options).arguments.items():
        annotation = signature.parameters[name].annotation
        if annotation not in ("Tensor", "Tensor | None") or isinstance(value, torch.Tensor):
            continue
        if value is None and annotation != "Tensor":
            continue
        raise TypeError(f"{name} must be a tensor, got {type(value).__name__}") from None
