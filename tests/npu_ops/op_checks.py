"""What is tested of every NPU op, whatever it computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emulated_process import run

#: Largest difference from the same computed in fp64 on the same (rounded) inputs, in units of the
#: result's size: two roundings of the dtype, and fp32 sums behind them.
TOLERANCE = {"float32": 2e-6, "float16": 2e-3, "bfloat16": 1.6e-2}


def assert_close(found: Any, wanted: Any, dtype: str, factor: float = 1.0) -> None:
    """``found`` on any device against ``wanted`` in fp64, within TOLERANCE of the largest value."""
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
    """The first output and the gradient of each floating point input, for one random gradient."""
    import torch

    leaves = [x.detach().clone().requires_grad_(x.is_floating_point()) for x in inputs]
    output = function(*leaves)
    output = output[0] if isinstance(output, tuple) else output
    generator = torch.Generator().manual_seed(grad_seed)
    grad = torch.randn(output.shape, generator=generator, dtype=torch.float64)
    output.backward(grad.to(output.dtype).to(output.device))
    return [output, *(x.grad for x in leaves if x.is_floating_point())]


def assert_matches_fp64(function: Callable[..., Any], inputs: list[Any], factor: float = 4) -> None:
    """The NPU's values and gradients against the reference implementation in fp64 on the CPU."""
    dtype = str(inputs[0].dtype).removeprefix("torch.")
    found = value_and_gradients(function, [x.npu() for x in inputs])
    wide = [x.double() if x.is_floating_point() else x for x in inputs]
    for got, wanted in zip(found, value_and_gradients(function, wide), strict=True):
        assert_close(got, wanted, dtype, factor)


def assert_compiles(function: Callable[..., Any], inputs: list[Any]) -> None:
    """torch.compile(fullgraph=True) gives the same values and gradients, on both devices."""
    import torch

    for device in ("cpu", "npu"):
        here = [x.to(device) for x in inputs]
        compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
        eager = value_and_gradients(function, here)
        for got, wanted in zip(value_and_gradients(compiled, here), eager, strict=True):
            torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)


def assert_refused_once(call: str, fault: str, agrees: str) -> None:
    """``call`` defines ``step()``: CANN refuses the first one by ``fault``, and the next one works.

    ``agrees`` is what a ``step()`` that works prints. Nothing is left at the end.
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
