"""The entry point that ``import torch`` calls, of the group ``torch.backends``.

It imports no framework. ``TORCH_DEVICE_BACKEND_AUTOLOAD=0`` disables it, like all entry points of
the group; ``ascend_ops.integrations.deepspeed.activate()`` then does the same by hand.
"""

from __future__ import annotations

import logging

logger = logging.getLogger(__name__)


def autoload() -> None:
    """Prepare the integrations that need no call from the user.

    Errors are logged, since an exception would make ``import torch`` fail.
    """
    try:
        from . import deepspeed

        deepspeed.activate()
    except Exception as error:  # noqa: BLE001
        logger.warning(
            "DeepSpeed keeps its own ops, since ascend_ops could not prepare its import: %s: %s",
            type(error).__name__,
            error,
        )
        logger.debug("the error in full", exc_info=True)
