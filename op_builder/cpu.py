"""The base of ops that run on the host."""

from __future__ import annotations

from .builder import OpBuilder


class CPUOpBuilder(OpBuilder):
    """An op of the host: it links nothing of CANN and builds where there is none.

    Elsewhere a CPU optimizer needs the accelerator's toolkit because all ops share one base
    (DeepSpeed #7174, #5813, #2337, #7452).
    """
