"""Calls of an NPU kernel without torch's dispatcher, if nothing observes them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch

from op_builder.errors import AscendOpsError
from op_builder.ops.direct_call import DirectCallBuilder

from .loading import load

logger = logging.getLogger(__name__)


def _nothing(*arguments: Any) -> None:
    """Take the place of a function that is not bound."""


class DirectCall:
    """The direct calls of one op, which ``csrc/npu/direct_call`` executes.

    Args:
        overload: the op.
        outputs: how many of the kernel's outputs :attr:`call` returns; 0 if it always returns None.

    Attributes:
        call: takes the op's arguments. Returns the first output, or a tuple of several; None if
            the dispatcher has to see the call, or if no call with arguments of the same dtypes,
            shapes, strides, devices and numbers is remembered.
        call_checked: takes arguments that have passed the op's checks. Returns what the op returns,
            or None if the dispatcher has to see the call. Remembers them for :attr:`call`.
    """

    def __init__(self, overload: torch._ops.OpOverload, outputs: int) -> None:
        self.call: Callable[..., Any] = _nothing
        self.call_checked: Callable[..., Any] = _nothing
        self._schema = overload._schema
        self._outputs = outputs

    def bind(self, address: int) -> None:
        """Set the functions, for a boxed kernel at ``address``.

        An op that writes to its arguments has none, since the dispatcher counts such changes. Nor
        have others if the library cannot be loaded: then every call goes through the dispatcher.
        """
        if self._schema.is_mutable:
            return
        try:
            library = load(DirectCallBuilder)
        except AscendOpsError as error:
            logger.info("%s goes through torch's dispatcher: %s", self._schema.name, error)
            return
        types = tuple(str(argument.type) for argument in self._schema.arguments)
        returns = len(self._schema.returns)
        self.call, self.call_checked = library.bind(address, types, returns, self._outputs)
