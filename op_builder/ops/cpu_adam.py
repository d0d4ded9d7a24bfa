"""Builder of the CPU Adam and AdamW of ZeRO-Offload."""

from __future__ import annotations

from .cpu_optimizer import CPUOptimizerBuilder


class CPUAdamBuilder(CPUOptimizerBuilder):
    """``cpu_adam``, on the engine that all optimizers share."""

    BUILD_VAR = "DS_BUILD_CPU_ADAM"
    NAME = "cpu_adam"
    NAMESPACE = "ascend_ops_cpu_adam"
    OPTIMIZER = "adam"
