"""DeepSpeed on the ops of this project, with DeepSpeed's files unchanged.

``import torch`` activates it through an entry point (:mod:`ascend_ops.integrations.autoload`).
DeepSpeed's accelerator for NPUs, and the one for CPUs, then finds builders here first and its own
builders otherwise. ASCEND_OPS_DEEPSPEED=0 turns it off. See docs/deepspeed.md.

In import order:

    counters        how often DeepSpeed has called each function of these ops
    inference       the functions of DeepSpeed's inference layers
    quantization    the functions of ZeRO++'s quantized weights and gradients
    zenflow         AdamW in a second process, for ZenFlow's overlap_step
    builders        the builders that DeepSpeed's accelerators return
    accelerator     subclasses of DeepSpeed's accelerators that return them
"""

from __future__ import annotations

import sys

from op_builder import envs

from ..post_import import after_import
from .counters import calls, reset_calls

__all__ = ["activate", "calls", "is_active", "reset_calls"]

#: The accelerators of DeepSpeed that get our builders: their modules and classes.
_ACCELERATORS = {
    "deepspeed.accelerator.npu_accelerator": "NPU_Accelerator",
    "deepspeed.accelerator.cpu_accelerator": "CPU_Accelerator",
}

_active = False


def activate() -> bool:
    """Make DeepSpeed use these ops in this process; call it before ``import deepspeed``.

    You only need it if TORCH_DEVICE_BACKEND_AUTOLOAD=0 disables torch's entry points. Child
    processes that do not inherit this process's modules (``spawn``, ``forkserver``) must call it
    too. A second call changes nothing.

    Returns:
        Whether DeepSpeed uses these ops: False if ASCEND_OPS_DEEPSPEED=0.

    Raises:
        RuntimeError: DeepSpeed has been imported already and has its own builders.
        EnvironmentVariableError: ASCEND_OPS_DEEPSPEED is neither 0 nor 1.

    Example:
        >>> from ascend_ops.integrations import deepspeed
        >>> deepspeed.activate()
        True
    """
    global _active
    if _active or not envs.DEEPSPEED.get():
        return _active
    imported = [name for name in _ACCELERATORS if name in sys.modules]
    if imported:
        raise RuntimeError(
            f"{imported[0]} was imported before ascend_ops.integrations.deepspeed.activate(), so "
            "DeepSpeed keeps its own ops. Call activate() before `import deepspeed`."
        )
    from .accelerator import replace_accelerator

    for module, name in _ACCELERATORS.items():
        after_import(module, replace_accelerator(name))
    _active = True
    return True


def is_active() -> bool:
    """Return whether :func:`activate` or the entry point has taken effect in this process.

    Example:
        >>> from ascend_ops.integrations import deepspeed
        >>> deepspeed.activate(), deepspeed.is_active()
        (True, True)
    """
    return _active
