"""Checks that every NPU op passes, whatever it computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emulated_process import run

#: The maximum difference from fp64 on the same (rounded) inputs, relative to the largest value:
#: two roundings of the dtype, after sums in fp32.
TOLERANCE = {"float32": 2e-6, "float16": 2e-3, "bfloat16": 1.6e-2}


def assert_close(found: Any, wanted: Any, dtype: str, factor: float = 1.0) -> None:
    """Compare ``found`` on any device with ``wanted`` in fp64, within TOLERANCE."""
    import torch

    wide = found.detach().cpu().double()
    expected = wanted.detach().cpu().double()
    assert wide.shape == expected.shape
    assert torch.isfinite(wide).all()
    scale = max(expected.abs().max().item(), 1e-3) if expected.numel() else 1.0
    difference = (wide - expected).abs().max().item() if expected.numel() else 0.0
    assert difference <= factor * TOLERANCE[dtype] * scale, (difference, scale)


def value_and_gradients(
    function: Callable[..., Any], inputs: list[Any], grad_seed: int = 1
) -> list[Any]:
    """Return the first output and the gradients of the floating-point inputs."""
    import torch

    leaves = [x.detach().clone().requires_grad_(x.is_floating_point()) for x in inputs]
    output = function(*leaves)
    output = output[0] if isinstance(output, tuple) else output
    generator = torch.Generator().manual_seed(grad_seed)
    grad = torch.randn(output.shape, generator=generator, dtype=torch.float64)
    output.backward(grad.to(output.dtype).to(output.device))
    return [output, *(x.grad for x in leaves if x.is_floating_point())]


def assert_matches_fp64(function: Callable[..., Any], inputs: list[Any], factor: float = 4) -> None:
    """Compare values and gradients on the NPU with the reference implementation in fp64."""
    dtype = str(inputs[0].dtype).removeprefix("torch.")
    found = value_and_gradients(function, [x.npu() for x in inputs])
    wide = [x.double() if x.is_floating_point() else x for x in inputs]
    for got, wanted in zip(found, value_and_gradients(function, wide), strict=True):
        assert_close(got, wanted, dtype, factor)


def assert_compiles(function: Callable[..., Any], inputs: list[Any]) -> None:
    """Compare torch.compile(fullgraph=True) with eager mode on both devices."""
    import torch

    for device in ("cpu", "npu"):
        here = [x.to(device) for x in inputs]
        compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
        eager = value_and_gradients(function, here)
        for got, wanted in zip(value_and_gradients(compiled, here), eager, strict=True):
            torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)


def assert_refused_once(call: str, fault: str, agrees: str) -> None:
    """Check that a call that CANN refuses raises, that nothing leaks and that the next call works.

    ``call`` is code that defines ``step()``. The emulator refuses its first call by ``fault``; the
    next one prints ``agrees``.
    """
    code = """
for _ in range(2):
    try:
        step()
    except RuntimeError as error:
        print("raised", "an invalid argument" in str(error))
"""
    done = run(call + code, ASCEND_EMULATOR_FAULT=fault)
    assert "raised True" in done.stdout, done.stderr[-2000:]
    assert done.stdout.rstrip().endswith(agrees)
    assert "leak" not in done.stderr.lower()
