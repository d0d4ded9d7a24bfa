"""This project's kernels of an optimizer: their builder, and the instruction set they chose."""

from __future__ import annotations

import itertools

from op_builder.ops.cpu_adagrad import CPUAdagradBuilder
from op_builder.ops.cpu_adam import CPUAdamBuilder
from op_builder.ops.cpu_lion import CPULionBuilder
from op_builder.ops.cpu_optimizer import VARIANTS, CPUOptimizerBuilder

from .cases import StepCase

#: By :attr:`StepCase.optimizer`.
BUILDERS: dict[str, type[CPUOptimizerBuilder]] = {
    "adamw": CPUAdamBuilder,
    "lion": CPULionBuilder,
    "adagrad": CPUAdagradBuilder,
}


def isa_in_use(case: StepCase) -> str:
    """The instruction set that the kernels chose here."""
    return str(BUILDERS[case.optimizer]().load().cpu_capability())


def lower_isas(case: StepCase) -> tuple[str, ...]:
    """Those with vectors below that: what wider vectors and more instructions bring."""
    in_use = isa_in_use(case)
    below = itertools.takewhile(lambda isa: isa != in_use, VARIANTS)
    machine = VARIANTS[in_use].machine
    return tuple(isa for isa in below if VARIANTS[isa].machine == machine)[::-1]
