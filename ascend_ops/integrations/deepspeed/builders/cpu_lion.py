"""``cpu_lion``: the functions of DeepSpeedCPULion."""

from __future__ import annotations

from op_builder.ops import cpu_lion

from .cpu_optimizer import CPUOptimizer


class CPULionBuilder(CPUOptimizer):
    """Lion for parameters in host memory."""

    BUILD_VAR = "DS_BUILD_CPU_LION"
    NAME = "cpu_lion"
    OWN = cpu_lion.CPULionBuilder
    FUNCTIONS = ("create_lion", "lion_update", "destroy_lion")
