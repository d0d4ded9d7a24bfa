"""Every builder of the current accelerator, for ``deepspeed.ops.op_builder.all_ops``.

It adds the builders that remain DeepSpeed's own, because ``all_ops`` looks into one folder only.
"""

from __future__ import annotations

import importlib
from typing import Any

from deepspeed.accelerator import get_accelerator

from . import names


def __dir__() -> list[str]:
    accelerator = get_accelerator()
    unchanged = getattr(accelerator, "unchanged", accelerator)
    own = dir(importlib.import_module(unchanged.op_builder_dir()))
    own = [n for n in own if n.endswith("Builder") and n != "NotImplementedBuilder"]
    return list(dict.fromkeys([*names(), *own]))


def __getattr__(name: str) -> Any:
    if not name.endswith("Builder"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return get_accelerator().get_op_builder(name)
