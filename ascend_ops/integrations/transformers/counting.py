"""The counter of the calls that Transformers models make."""

from __future__ import annotations

import logging

from ..calls import CallCounter, Calls

COUNTER = CallCounter(logging.getLogger("ascend_ops.integrations.transformers"))


def calls() -> Calls:
    """Return how often which op ran on the NPU, and how often which fell back and why.

    Example:
        >>> from ascend_ops.integrations.transformers import calls, reset_calls
        >>> reset_calls()
        >>> calls()
        Calls(ran={}, functions={}, fell_back={})
    """
    return COUNTER.calls()


def reset_calls() -> None:
    """Set the counts of :func:`calls` to 0."""
    COUNTER.reset()
