"""Builder of the CPU Lion."""

from __future__ import annotations

from .cpu_optimizer import CPUOptimizerBuilder


class CPULionBuilder(CPUOptimizerBuilder):
    """``cpu_lion``: Lion, on the engine that all CPU optimizers share."""

    BUILD_VAR = "DS_BUILD_CPU_LION"
    NAME = "cpu_lion"
    NAMESPACE = "ascend_ops_cpu_lion"
    OPTIMIZER = "lion"
