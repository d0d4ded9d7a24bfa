"""``ascend-ops report --npu``: the aclnn function that computes each op on this NPU."""

from __future__ import annotations

import warnings
from typing import Any

import ascend_ops
from ascend_ops import emulator

from .output import fail, print_table, print_text

_ON_THE_EMULATED = (
    "`ascend-ops doctor` finds out why. To use an emulated NPU: `ascend-ops emulate -- ascend-ops "
    "report --npu`."
)


def state() -> dict[str, Any]:
    """Return the device and the implementation of each op; build ops that are not cached.

    Raises:
        typer.Exit: This machine has no NPU; the reason has been printed.
    """
    torch, torch_npu = _import_torch_npu()
    if not torch.npu.is_available():
        raise fail(f"torch_npu {torch_npu.__version__} finds no NPU. {_ON_THE_EMULATED}")
    from ascend_ops.dispatch import npu_op

    for name in ascend_ops.__all__:  # registers every family
        getattr(ascend_ops, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", npu_op.FallbackWarning)  # they are what is reported
        implementations = [
            {"family": family.builder.NAME, **vars(implementation)}
            for family in npu_op.families()
            for implementation in family.load()
        ]
    return {
        "device": torch.npu.get_device_name(0),
        "emulated": emulator.is_active(),
        "torch_npu": torch_npu.__version__,
        "implementations": implementations,
    }


def show(content: dict[str, Any]) -> None:
    """Print a table of the ops and their implementations."""
    kind = "EMULATED, computed on the CPU" if content["emulated"] else "real"
    print_text(f"NPU: {content['device']} ({kind}), torch_npu {content['torch_npu']}")
    print_text()
    rows = [
        (row["family"], row["op"], row["function"] or "torch fallback", row["reason"])
        for row in content["implementations"]
    ]
    print_table("What computes each op", ("family", "op", "by", "why no newer one"), rows)


def _import_torch_npu() -> tuple[Any, Any]:
    try:
        import torch
        import torch_npu  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except (ImportError, OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise fail(f"torch_npu cannot be imported: {reason}. {_ON_THE_EMULATED}") from error
    return torch, torch_npu
