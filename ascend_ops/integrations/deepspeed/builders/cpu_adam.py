"""``cpu_adam``: the functions of DeepSpeedCPUAdam."""

from __future__ import annotations

from op_builder.ops import cpu_adam

from .. import zenflow
from .builder import Functions
from .cpu_optimizer import CPUOptimizer


class CPUAdamBuilder(CPUOptimizer):
    """Adam and AdamW for parameters in host memory."""

    BUILD_VAR = "DS_BUILD_CPU_ADAM"
    NAME = "cpu_adam"
    OWN = cpu_adam.CPUAdamBuilder
    FUNCTIONS = ("create_adam", "adam_update", "adam_rollback", "destroy_adam")

    def functions(self) -> Functions:
        """Return the functions of DeepSpeedCPUAdam, and those of ZenFlow's second process."""
        found = super().functions()
        return {**found, **zenflow.functions(found["adam_update"])}
