"""The builders that DeepSpeed's accelerators return, one per file.

DeepSpeed lists the modules of the folder that ``op_builder_dir()`` names, except ``builder``, and
takes each name that ends in ``Builder`` for a class: only such classes may have such names here.
The module ``all`` adds the builders that remain DeepSpeed's own.

To add a builder, subclass :class:`.builder.Base` in a new file and add it to ``_MODULES``.
"""

from __future__ import annotations

import importlib
from typing import Any

#: The modules of our builders, by the class name that DeepSpeed looks up.
_MODULES = {
    "AsyncIOBuilder": "async_io",
    "CPUAdagradBuilder": "cpu_adagrad",
    "CPUAdamBuilder": "cpu_adam",
    "CPULionBuilder": "cpu_lion",
    "FusedAdamBuilder": "fused_adam",
    "FusedLambBuilder": "fused_lamb",
    "FusedLionBuilder": "fused_lion",
    "InferenceBuilder": "inference",
    "PinMemoryBuilder": "pin_memory",
    "QuantizerBuilder": "quantizer",
    "UtilsBuilder": "utils",
}


def find(class_name: str, accelerator: str) -> Any:
    """Return our builder for an accelerator, ``"npu"`` or ``"cpu"``; None if there is none."""
    if class_name not in _MODULES:
        return None
    builder = getattr(importlib.import_module(f".{_MODULES[class_name]}", __name__), class_name)
    return builder if accelerator in builder.ACCELERATORS else None


def names() -> list[str]:
    """Return the class names of our builders."""
    return list(_MODULES)
