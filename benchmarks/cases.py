"""What each bench measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

#: The names of each optimizer's states in torch.
STATES = {"adamw": ("exp_avg", "exp_avg_sq"), "lion": ("exp_avg",), "adagrad": ("sum",)}
#: The dtype of the gradients and of the copied parameters in a step of ZeRO-Offload.
OFFLOAD_DTYPE = "bfloat16"

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_LARGE = 64 << 20
_QUICK = 1 << 20


@dataclass(frozen=True)
class StepCase:
    """One optimizer step over ``tensors`` parameters of ``numel`` elements each.

    ``selector`` is the value for ``--case``. Gradients have ``dtype`` too, except for an
    ``offload`` step: its gradients are bfloat16, are unscaled and clipped by their global norm, and
    it writes a bfloat16 copy of its parameters.
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
        """Return the names of the states."""
        return STATES[self.optimizer]

    @property
    def grad_dtype(self) -> str:
        """Return the dtype of the gradients that are passed to the step."""
        return OFFLOAD_DTYPE if self.offload else self.dtype

    @property
    def elements(self) -> int:
        """Return the number of elements of all parameters."""
        return self.tensors * self.numel

    @property
    def bytes(self) -> int:
        """Return the bytes that an in-place step must move."""
        return self.elements * self.bytes_per_element

    @property
    def bytes_per_element(self) -> int:
        """Return the bytes per element that are read, and written except for the gradient.

        An offload step reads the gradient twice, once for its norm.
        """
        of_states = 2 * _BYTES[self.state_dtype] * len(self.states)
        of_grad = _BYTES[self.grad_dtype] * (2 if self.offload else 1)
        of_copy = _BYTES[OFFLOAD_DTYPE] if self.offload else 0
        return 2 * _BYTES[self.dtype] + of_states + of_grad + of_copy


@dataclass(frozen=True)
class LoadCase:
    """Work of whole processes; :mod:`loads` measures it by its ``selector``."""

    selector: str
    name: str
    target: str
    target_s: float | None = None


@dataclass(frozen=True)
class CallCase:
    """A call on an NPU, chosen by ``selector``; ``target`` is text.

    :mod:`npu_calls` measures the host time until the call returns, :mod:`emulated` the time until
    its work is done, and :mod:`ascend_c` kernels.
    """

    selector: str
    name: str
    target: str
    target_s: float | None = None


@dataclass(frozen=True)
class CompileCase:
    """The sources of a build, or the headers that they include, each compiled by itself.

    :mod:`compile_times` measures the CPU time of ``cpu_adam`` or, with ``npu``, of all NPU ops.
    """

    selector: str
    name: str
    npu: bool
    headers: bool
    target: str = "none"
    target_s: float | None = None


Case = StepCase | LoadCase | CallCase | CompileCase

_AT_THE_LIMIT = "at least 0.97"
_OFFLOAD = "limit 0.91, peer 1.4"
_BF16 = "peer 1.6"
_NO_SLOWER = "at most 1.0 of it"
_MANY = "peer 1.4"

LOAD_CASES = (
    LoadCase("load-cold", "cold load", "at most 4 s", 4.0),
    LoadCase("load-warm", "warm load", "at most 3 ms", 3e-3),
    LoadCase("first-use", "first use: import and warm load", "at most 6 ms", 6e-3),
    LoadCase("load-again", "second load", "at most 5 us", 5e-6),
    LoadCase("load-together", "8 cold loads at once", "one compile"),
    LoadCase("import", "import", "at most 50 ms", 0.05),
)


def adam_cases(quick: bool = False) -> list[Case]:
    """Return all cases; with ``quick``, the large ones are 64 times smaller and named so."""
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
    """Return one step per kind and optimizer; ``quick`` as in :func:`adam_cases`."""
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
    """Return host times of NPU calls, and the build of all NPU ops; ``quick`` has no effect."""
    del quick
    return [
        CallCase("rms-norm", "rms_norm, 4 x 64, fp16", _NO_SLOWER),
        CallCase("add-rms-norm", "add_rms_norm, 4 x 64, fp16", _NO_SLOWER),
        CallCase("layer-norm", "layer_norm, 4 x 64, fp16", _NO_SLOWER),
        CallCase("gelu", "gelu, 4 x 64, fp16", _NO_SLOWER),
        CallCase("swiglu", "swiglu, 4 x 128, fp16", _NO_SLOWER),
        CallCase("rotary", "rotary_embedding, 1 x 2 x 4 x 64, fp16", _NO_SLOWER),
        CallCase("flash-attention", "flash_attention, causal, 1 x 2 x 16 x 64", "at most 0.7"),
        CallCase("fused-adamw", "AdamW, 300 x 64, beside the loop", "at most 0.2 of it"),
        CallCase("fused-adamw-torch", "AdamW, 300 x 64, beside torch fused", "none"),
        LoadCase("build-npu", "cold build, all NPU ops", "at most 20 s", 20.0),
    ]


def emulator_cases(quick: bool = False) -> list[Case]:
    """Return the costs of the emulated NPU: its build, its start, an op, a training step."""
    del quick
    return [
        CallCase("add", "add of 16 floats, until it is done", "at most 8 us", 8e-6),
        CallCase("training-step", "training step of a transformer", "at most 1.5 of the CPU's"),
        LoadCase("start-emulator", "activate(), after `import torch`", "at most 30 ms", 0.03),
        LoadCase("build-emulator", "cold build of the emulator", "at most 45 s", 45.0),
    ]


def kernel_cases(quick: bool = False) -> list[Case]:
    """Return what a vector kernel in Ascend C costs on the emulated NPU."""
    del quick
    return [
        CallCase("compile-kernel", "compile a vector kernel", "at most 2.5 s", 2.5),
        CallCase("first-launch", "first launch in a process, cached", "at most 10 ms", 0.01),
        CallCase("launch", "launch, 1,001 floats", "at most 1 of torch.add"),
        CallCase("add", "add 16 Mi fp32, until it is done", "at most 50 of the CPU's, 5 unchecked"),
    ]


def build_cases(quick: bool = False) -> list[Case]:
    """Return cold builds of one op and of all that a machine with an NPU needs; their parts."""
    del quick
    return [
        LOAD_CASES[0],
        LoadCase("build-cpu", "cold build, all CPU optimizers", "none"),
        LoadCase("build-npu", "cold build, all NPU ops", "at most 20 s", 20.0),
        LoadCase("build-emulator", "cold build of the emulator", "at most 45 s", 45.0),
        CompileCase("files-cpu", "CPU time, files of cpu_adam", npu=False, headers=False),
        CompileCase("headers-cpu", "CPU time, headers of cpu_adam", npu=False, headers=True),
        CompileCase("files-npu", "CPU time, files of the NPU ops", npu=True, headers=False),
        CompileCase("headers-npu", "CPU time, headers of the NPU ops", npu=True, headers=True),
    ]


def cache_cases(quick: bool = False) -> list[Case]:
    """Return what a cached op costs, whole processes and imports included."""
    del quick
    return list(LOAD_CASES[1:])


#: The benches by name, with their cases.
ADAM = "adam"
OPTIMIZERS = "optimizers"
NPU = "npu"
EMULATOR = "emulator"
KERNELS = "kernels"
BUILD = "build"
CACHE = "cache"
BENCHES = {
    ADAM: adam_cases,
    OPTIMIZERS: optimizer_cases,
    NPU: npu_cases,
    EMULATOR: emulator_cases,
    KERNELS: kernel_cases,
    BUILD: build_cases,
    CACHE: cache_cases,
}
#: Those that need an NPU, which may be emulated.
ON_AN_NPU = (NPU, EMULATOR, KERNELS)


def select(cases: Sequence[Case], patterns: Sequence[str]) -> list[Case]:
    """Return the cases whose selectors match a pattern, each case once.

    Args:
        cases: All cases.
        patterns: Patterns of :mod:`fnmatch`; without patterns, all cases are returned.

    Raises:
        KeyError: A pattern, given in the exception, does not match any case.
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
    """Return the values for ``--case``, in order."""
    return list(dict.fromkeys(case.selector for case in cases))


def format_count(count: int) -> str:
    """Return a count in binary units if it is even in them, for example 64 Mi or 4 Ki."""
    for unit, size in (("Mi", 1 << 20), ("Ki", 1 << 10)):
        if count >= size and count % size == 0:
            return f"{count // size} {unit}"
    return f"{count:,}"


def format_seconds(seconds: float) -> str:
    """Return three digits and a unit, for example 37.0 ms, so that columns align."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if abs(seconds) >= size:
            return f"{_three_digits(seconds / size)} {unit}"
    return f"{_three_digits(seconds / 1e-9)} ns"


def _three_digits(value: float) -> str:
    return f"{value:#.3g}".rstrip(".") if abs(value) < 1000 else f"{value:.0f}"


def _fp32(selector: str, numel: int, target: str | None = None) -> StepCase:
    return StepCase(selector, f"fp32, {format_count(numel)}", 1, numel, target=target)
