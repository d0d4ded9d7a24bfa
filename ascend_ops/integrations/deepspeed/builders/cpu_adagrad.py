"""``cpu_adagrad``: the functions of DeepSpeedCPUAdagrad."""

from __future__ import annotations

from op_builder.ops import cpu_adagrad

from .cpu_optimizer import CPUOptimizer


class CPUAdagradBuilder(CPUOptimizer):
    """Adagrad for parameters in host memory."""

    BUILD_VAR = "DS_BUILD_CPU_ADAGRAD"
    NAME = "cpu_adagrad"
    OWN = cpu_adagrad.CPUAdagradBuilder
    FUNCTIONS = ("create_adagrad", "adagrad_update", "destroy_adagrad")
