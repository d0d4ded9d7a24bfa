"""This project's kernels of an optimizer: their builder, and the instruction set they chose."""

from __future__ import annotations

from op_builder.ops.cpu_adagrad import CPUAdagradBuilder
from op_builder.ops.cpu_adam import CPUAdamBuilder
from op_builder.ops.cpu_lion import CPULionBuilder
from op_builder.ops.cpu_optimizer import CPUOptimizerBuilder

from .cases import StepCase

#: By :attr:`StepCase.optimizer`.
BUILDERS: dict[str, type[CPUOptimizerBuilder]] = {
    "adamw": CPUAdamBuilder,
    "lion": CPULionBuilder,
    "adagrad": CPUAdagradBuilder,
}
_LOWER_ISAS = {"avx512_bf16": ("avx512", "avx2"), "avx512": ("avx2",), "sve": ("neon",)}


def isa_in_use(case: StepCase) -> str:
    """The instruction set that the kernels chose here."""
    return str(BUILDERS[case.optimizer]().load().cpu_capability())


def lower_isas(case: StepCase) -> tuple[str, ...]:
    """Those with vectors below that: what wider vectors and more instructions bring."""
    return _LOWER_ISAS.get(isa_in_use(case), ())
