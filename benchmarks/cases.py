"""What the benches ``adam``, ``optimizers``, ``npu`` and ``emulator`` measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

#: The names of an optimizer's states, as torch has them.
STATES = {"adamw": ("exp_avg", "exp_avg_sq"), "lion": ("exp_avg",), "adagrad": ("sum",)}
#: What gradients come in and parameters go out as in a step of ZeRO-Offload.
OFFLOAD_DTYPE = "bfloat16"

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_LARGE = 64 << 20
_QUICK = 1 << 20


@dataclass(frozen=True)
class StepCase:
    """One optimizer step over ``tensors`` parameters of ``numel`` elements each.

    ``selector`` is what ``--case`` takes. Gradients are in ``dtype`` too, but for an ``offload``
    step: that has bfloat16 gradients, which are unscaled and clipped by their global norm, and
    gives a bfloat16 copy of its parameters.
    """

    selector: str
    name: str
    tensors: int
    numel: int
    dtype: str = "float32"
    state_dtype: str = "float32"
    target: str | None = None
    optimizer: str = "adamw"
    offload: bool = False

    @property
    def states(self) -> tuple[str, ...]:
        """The names of the states."""
        return STATES[self.optimizer]

    @property
    def grad_dtype(self) -> str:
        """Of the gradients that the step is given."""
        return OFFLOAD_DTYPE if self.offload else self.dtype

    @property
    def elements(self) -> int:
        """Of all parameters together."""
        return self.tensors * self.numel

    @property
    def bytes(self) -> int:
        """What a step in place has to move."""
        return self.elements * self.bytes_per_element

    @property
    def bytes_per_element(self) -> int:
        """Read everything, write all but the gradient; offload reads that twice, for its norm."""
        of_states = 2 * _BYTES[self.state_dtype] * len(self.states)
        of_grad = _BYTES[self.grad_dtype] * (2 if self.offload else 1)
        of_copy = _BYTES[OFFLOAD_DTYPE] if self.offload else 0
        return 2 * _BYTES[self.dtype] + of_states + of_grad + of_copy


@dataclass(frozen=True)
class LoadCase:
    """Something that whole processes do; the selector says what, to :mod:`loads`."""

    selector: str
    name: str
    target: str
    target_s: float | None = None


@dataclass(frozen=True)
class CallCase:
    """A call on an NPU: ``selector`` says which, by the host's time until it returns to
    :mod:`npu_calls`, until it is done to :mod:`emulated`. ``target`` is in words.
    """

    selector: str
    name: str
    target: str
    target_s: float | None = None


Case = StepCase | LoadCase | CallCase

_AT_THE_LIMIT = "at least 0.97"
_OFFLOAD = "limit 0.91, peer 1.4"
_BF16 = "peer 1.6"
_MANY = "peer 1.4"

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


def optimizer_cases(quick: bool = False) -> list[Case]:
    """A step of each kind, of each optimizer; ``quick`` as in :func:`adam_cases`."""
    large = _QUICK if quick else _LARGE
    size = format_count(large)
    tensors = 100 if quick else 1000
    return [
        StepCase("adamw", f"AdamW fp32, {size}", 1, large, target=_AT_THE_LIMIT),
        StepCase("offload", f"AdamW offload, {size}", 1, large, target=_OFFLOAD, offload=True),
        StepCase("adamw-bf16", f"AdamW bf16, {size}", 1, large, "bfloat16", "bfloat16", _BF16),
        StepCase("many-tensors", f"AdamW {tensors:,} x 10,000", tensors, 10_000, target=_MANY),
        StepCase("lion", f"Lion fp32, {size}", 1, large, optimizer="lion"),
        StepCase("adagrad", f"Adagrad fp32, {size}", 1, large, optimizer="adagrad"),
    ]


def npu_cases(quick: bool = False) -> list[Case]:
    """Host times of NPU calls, and the build of all NPU ops; the same where ``quick``."""
    del quick
    return [
        CallCase("rms-norm", "rms_norm, 4 x 64, fp16", "at most 0.6 of it"),
        CallCase("flash-attention", "flash_attention, causal, 1 x 2 x 16 x 64", "at most 0.7"),
        CallCase("fused-adamw", "AdamW, 300 x 64, beside the loop", "at most 0.2 of it"),
        CallCase("fused-adamw-torch", "AdamW, 300 x 64, beside torch fused", "none"),
        LoadCase("build-npu", "cold build, all NPU ops", "at most 20 s", 20.0),
    ]


def emulator_cases(quick: bool = False) -> list[Case]:
    """What the emulated NPU costs: its build, its start, an op, a training step."""
    del quick
    return [
        CallCase("add", "add of 16 floats, until it is done", "at most 8 us", 8e-6),
        CallCase("training-step", "training step of a transformer", "at most 1.5 of the CPU's"),
        LoadCase("start-emulator", "activate(), after `import torch`", "at most 30 ms", 0.03),
        LoadCase("build-emulator", "cold build of the emulator", "at most 45 s", 45.0),
    ]


#: The names of the benches, and their cases.
ADAM = "adam"
OPTIMIZERS = "optimizers"
NPU = "npu"
EMULATOR = "emulator"
BENCHES = {
    ADAM: adam_cases,
    OPTIMIZERS: optimizer_cases,
    NPU: npu_cases,
    EMULATOR: emulator_cases,
}


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
