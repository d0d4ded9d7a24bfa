"""Compare the host time of calls on an NPU with that of torch_npu's functions.

The time of the device is not included: a sample makes some calls and waits for the device after
the measurement. Figures of an emulated NPU are therefore the cost of a call on the host, not the
speed of a device.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from .cases import CallCase
from .implementation import OURS, DisagreementError
from .measure import Sampler, interleave, no_garbage_collection
from .npu_optimizers import steps_beside_the_loop, steps_beside_torch
from .steps import Effort, Samples

Call = Callable[[], Any]

_DRAINING = f"{OURS}, draining the queue"
_TORCH_NPU = "torch_npu"
_CALLS_PER_SAMPLE = {
    "rms-norm": 200,
    "add-rms-norm": 200,
    "layer-norm": 200,
    "gelu": 200,
    "swiglu": 200,
    "rotary": 200,
    "flash-attention": 50,
    "fused-adamw": 1,
    "fused-adamw-torch": 1,
}


def measure_call(case: CallCase, effort: Effort, on_sample: Callable[[str], None]) -> Samples:
    """Measure all implementations of a call alternately.

    Raises:
        DisagreementError: They do not compute the same.
    """
    calls = _CONTENDERS[case.selector]()
    count = _CALLS_PER_SAMPLE[case.selector]
    with no_garbage_collection():
        samplers = {name: until_queued(call, count) for name, call in calls.items()}
        return Samples(interleave(samplers, effort.rounds, on_sample=on_sample))


def until_queued(call: Call, count: int) -> Sampler:
    """Return a sampler of the host time per call, and call once; the device is not waited for."""

    def sample() -> float:
        started = time.perf_counter()
        for _ in range(count):
            call()
        seconds = time.perf_counter() - started
        torch.npu.synchronize()  # type: ignore[attr-defined]
        return seconds / count

    sample()
    return sample


def _half(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float16).to("npu")


def _rms_norm() -> dict[str, Call]:
    import torch_npu  # type: ignore[import-not-found,import-untyped,unused-ignore]

    from ascend_ops import rms_norm

    x, weight = _half(4, 64), _half(64)

    def ours() -> Any:
        return rms_norm(x, weight, 1e-6)

    def draining() -> Any:
        _drain()
        return rms_norm(x, weight, 1e-6)

    def theirs() -> Any:
        return torch_npu.npu_rms_norm(x, weight, 1e-6)[0]

    return _agreeing({OURS: ours, _DRAINING: draining, _TORCH_NPU: theirs})


def _add_rms_norm() -> dict[str, Call]:
    import torch_npu  # type: ignore[import-not-found,import-untyped,unused-ignore]

    from ascend_ops import add_rms_norm

    x, residual, weight = _half(4, 64), _half(4, 64), _half(64)
    return _agreeing(
        {
            OURS: lambda: add_rms_norm(x, residual, weight, 1e-6)[0],
            _TORCH_NPU: lambda: torch_npu.npu_add_rms_norm(x, residual, weight, 1e-6)[0],
        }
    )


def _layer_norm() -> dict[str, Call]:
    from ascend_ops import layer_norm

    x, weight, bias = _half(4, 64), _half(64), _half(64)
    theirs = torch.nn.functional.layer_norm
    return _agreeing(
        {
            OURS: lambda: layer_norm(x, (64,), weight, bias),
            _TORCH_NPU: lambda: theirs(x, (64,), weight, bias),
        }
    )


def _gelu() -> dict[str, Call]:
    from ascend_ops import gelu

    x = _half(4, 64)
    theirs = torch.nn.functional.gelu
    return _agreeing(
        {OURS: lambda: gelu(x, "tanh"), _TORCH_NPU: lambda: theirs(x, approximate="tanh")}
    )


def _swiglu() -> dict[str, Call]:
    import torch_npu  # type: ignore[import-not-found,import-untyped,unused-ignore]

    from ascend_ops import swiglu

    x = _half(4, 128)
    return _agreeing({OURS: lambda: swiglu(x), _TORCH_NPU: lambda: torch_npu.npu_swiglu(x)})


def _rotary() -> dict[str, Call]:
    import torch_npu  # type: ignore[import-not-found,import-untyped,unused-ignore]

    from ascend_ops import rotary_embedding

    x, cos, sin = _half(1, 2, 4, 64), _half(1, 1, 4, 64), _half(1, 1, 4, 64)
    return _agreeing(
        {
            OURS: lambda: rotary_embedding(x, cos, sin),
            _TORCH_NPU: lambda: torch_npu.npu_rotary_mul(x, cos, sin),
        }
    )


def _flash_attention() -> dict[str, Call]:
    import torch_npu  # type: ignore[import-not-found,import-untyped,unused-ignore]

    from ascend_ops import flash_attention

    query, key, value = (_half(1, 2, 16, 64) for _ in range(3))
    mask = torch.ones(2048, 2048, dtype=torch.bool).triu(1).npu()  # type: ignore[attr-defined]

    def ours() -> Any:
        return flash_attention(query, key, value, is_causal=True)

    def theirs() -> Any:
        return torch_npu.npu_fusion_attention(
            query, key, value, 2, "BNSD", atten_mask=mask, scale=0.125, sparse_mode=2
        )[0]

    return _agreeing({OURS: ours, _TORCH_NPU: theirs})


def _drain() -> None:
    """Wait until torch_npu's task queue is empty, by getting the raw stream."""
    torch.npu.current_stream().npu_stream  # type: ignore[attr-defined]  # noqa: B018


def _agreeing(calls: dict[str, Call]) -> dict[str, Call]:
    expected = calls[_TORCH_NPU]().float().cpu()
    for name, call in calls.items():
        found = call().float().cpu()
        if not torch.allclose(found, expected, rtol=2e-3, atol=2e-3):
            worst = (found - expected).abs().max().item()
            raise DisagreementError(f"{name}: differs from {_TORCH_NPU} by {worst:.2g}")
    return calls


_CONTENDERS: dict[str, Callable[[], dict[str, Call]]] = {
    "rms-norm": _rms_norm,
    "add-rms-norm": _add_rms_norm,
    "layer-norm": _layer_norm,
    "gelu": _gelu,
    "swiglu": _swiglu,
    "rotary": _rotary,
    "flash-attention": _flash_attention,
    "fused-adamw": steps_beside_the_loop,
    "fused-adamw-torch": steps_beside_torch,
}
