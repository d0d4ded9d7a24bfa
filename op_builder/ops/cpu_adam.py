"""Builder of the CPU Adam and AdamW."""

from __future__ import annotations

from .cpu_optimizer import CPUOptimizerBuilder


class CPUAdamBuilder(CPUOptimizerBuilder):
    """``cpu_adam``: Adam and AdamW, on the engine that all CPU optimizers share."""

    BUILD_VAR = "DS_BUILD_CPU_ADAM"
    NAME = "cpu_adam"
    NAMESPACE = "ascend_ops_cpu_adam"
    OPTIMIZER = "adam"
