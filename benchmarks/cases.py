"""What ``bench adam`` measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_LARGE = 64 << 20
_QUICK = 1 << 20


@dataclass(frozen=True)
class StepCase:
    """One optimizer step over ``tensors`` parameters of ``numel`` elements each.

    ``selector`` is what ``--case`` takes. Gradients are in ``dtype`` too.
    """

    selector: str
    name: str
    tensors: int
    numel: int
    dtype: str = "float32"
    state_dtype: str = "float32"
    target: str | None = None

    @property
    def elements(self) -> int:
        """Of all parameters together."""
        return self.tensors * self.numel

    @property
    def bytes(self) -> int:
        """What a step in place has to move: read all four, write all but the gradient."""
        return self.elements * (3 * _BYTES[self.dtype] + 4 * _BYTES[self.state_dtype])


@dataclass(frozen=True)
class LoadCase:
    """Something that whole processes do; the selector says what, to :mod:`loads`."""

    selector: str
    name: str
    target: str
    target_s: float | None = None


Case = StepCase | LoadCase

_AT_THE_LIMIT = "at least 0.97"

LOAD_CASES = (
    LoadCase("load-cold", "cold load", "at most 4 s", 4.0),
    LoadCase("load-warm", "warm load", "at most 3 ms", 3e-3),
    LoadCase("load-again", "second load", "at most 5 us", 5e-6),
    LoadCase("load-together", "8 cold loads at once", "one compile"),
    LoadCase("import", "import", "at most 50 ms", 0.05),
)


def adam_cases(quick: bool = False) -> list[Case]:
    """All cases; ``quick`` makes the large ones 64 times smaller, and says so in their names."""
    large = _QUICK if quick else _LARGE
    size = format_count(large)
    tensors = 100 if quick else 1000
    steps = [
        _fp32("fp32", large, _AT_THE_LIMIT),
        StepCase("bf16-fp32-states", f"bf16, fp32 states, {size}", 1, large, "bfloat16"),
        StepCase("bf16", f"bf16, {size}", 1, large, "bfloat16", "bfloat16"),
        StepCase("fp16", f"fp16, {size}", 1, large, "float16", "float16"),
        StepCase("many-tensors", f"fp32, {tensors:,} x 10,000", tensors, 10_000),
    ]
    sizes = [1 << power for power in range(10, large.bit_length() - 1, 2)]
    curve = [_fp32("sizes", numel) for numel in sizes]
    return [*steps, *curve, replace(steps[0], selector="sizes"), *LOAD_CASES]


def select(cases: Sequence[Case], patterns: Sequence[str]) -> list[Case]:
    """The cases whose selector matches one of the patterns (all where there is none), each once.

    Raises KeyError with the first pattern that matches none.
    """
    for pattern in patterns:
        if not any(fnmatchcase(case.selector, pattern) for case in cases):
            raise KeyError(pattern)
    chosen: dict[str, Case] = {}
    for case in cases:
        if not patterns or any(fnmatchcase(case.selector, pattern) for pattern in patterns):
            chosen.setdefault(case.name, case)
    return list(chosen.values())


def selectors(cases: Sequence[Case]) -> list[str]:
    """What ``--case`` takes, in order."""
    return list(dict.fromkeys(case.selector for case in cases))


@dataclass(frozen=True)
class Arrays:
    """The memory of one case: the same for all contenders, so that none has the better pages."""

    params: list[torch.nn.Parameter]
    exp_avgs: list[torch.Tensor]
    exp_avg_sqs: list[torch.Tensor]

    @property
    def grads(self) -> list[torch.Tensor]:
        """Of the parameters."""
        return [param.grad for param in self.params if param.grad is not None]

    @classmethod
    def allocate(cls, case: StepCase) -> Arrays:
        """Normally distributed values, and the states that such gradients leave after a while.

        Not zeros: pages that were never written share one physical page, and subnormal states cost
        a CPU cycles that training does not.
        """
        import torch

        generator = torch.Generator().manual_seed(0)
        arrays = cls([], [], [])
        for _ in range(case.tensors):
            values = torch.randn(case.numel, generator=generator)
            param = torch.nn.Parameter(values.to(getattr(torch, case.dtype)))
            grad = torch.randn(case.numel, generator=generator)
            param.grad = grad.to(param.dtype)
            state_dtype = getattr(torch, case.state_dtype)
            arrays.params.append(param)
            arrays.exp_avgs.append(grad.mul(0.1).to(state_dtype, copy=True))
            arrays.exp_avg_sqs.append(grad.square().add_(0.1).to(state_dtype))
        return arrays


def format_count(count: int) -> str:
    """64 Mi, 4 Ki: a power of two the way memory is counted."""
    for unit, size in (("Mi", 1 << 20), ("Ki", 1 << 10)):
        if count >= size and count % size == 0:
            return f"{count // size} {unit}"
    return f"{count:,}"


def format_seconds(seconds: float) -> str:
    """Three digits and a unit: 37.0 ms, never 37 ms beside 36.6 ms."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if abs(seconds) >= size:
            return f"{_three_digits(seconds / size)} {unit}"
    return f"{_three_digits(seconds / 1e-9)} ns"


def _three_digits(value: float) -> str:
    return f"{value:#.3g}".rstrip(".") if abs(value) < 1000 else f"{value:.0f}"


def _fp32(selector: str, numel: int, target: str | None = None) -> StepCase:
    return StepCase(selector, f"fp32, {format_count(numel)}", 1, numel, target=target)
