"""Builder of the CPU Adagrad."""

from __future__ import annotations

from .cpu_optimizer import CPUOptimizerBuilder


class CPUAdagradBuilder(CPUOptimizerBuilder):
    """``cpu_adagrad``: Adagrad, on the engine that all CPU optimizers share."""

    BUILD_VAR = "DS_BUILD_CPU_ADAGRAD"
    NAME = "cpu_adagrad"
    NAMESPACE = "ascend_ops_cpu_adagrad"
    OPTIMIZER = "adagrad"
