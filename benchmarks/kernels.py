"""Builders of this project's optimizer kernels, and the instruction sets that they use."""

from __future__ import annotations

import itertools

from op_builder.ops.cpu_adagrad import CPUAdagradBuilder
from op_builder.ops.cpu_adam import CPUAdamBuilder
from op_builder.ops.cpu_lion import CPULionBuilder
from op_builder.ops.cpu_optimizer import VARIANTS, CPUOptimizerBuilder

from .cases import StepCase

#: Builders by :attr:`StepCase.optimizer`.
BUILDERS: dict[str, type[CPUOptimizerBuilder]] = {
    "adamw": CPUAdamBuilder,
    "lion": CPULionBuilder,
    "adagrad": CPUAdagradBuilder,
}


def isa_in_use(case: StepCase) -> str:
    """Return the instruction set that the kernels use on this machine."""
    return str(BUILDERS[case.optimizer]().load().cpu_capability())


def lower_isas(case: StepCase) -> tuple[str, ...]:
    """Return the lower ones of this architecture, to show what wider vectors gain."""
    in_use = isa_in_use(case)
    below = itertools.takewhile(lambda isa: isa != in_use, VARIANTS)
    machine = VARIANTS[in_use].machine
    return tuple(isa for isa in below if VARIANTS[isa].machine == machine)[::-1]
