"""Library functions of the emulated AI core give the values that CANN documents."""

from __future__ import annotations

import pytest
from kernel_results import results_of

from op_builder.toolchain.torch_install import find_torch_npu

pytestmark = pytest.mark.skipif(find_torch_npu() is None, reason="torch_npu is not installed")

# x, y and zeros of 256 floats; what each kernel leaves in z.
EXPECTED = {
    "softmax": "z = x.view(4, 64).softmax(1).flatten()",
    "adjust_softmax": "v = x.view(4, 64); top = v.amax(1, keepdim=True); "
    "z = torch.where(top == top[1], 7.0, v.softmax(1)).flatten()",
    "softmax_in_halves": "a, b = x[:128].view(4, 32), y[:128].view(4, 32); "
    "top = torch.cat([a, b], 1).amax(1, keepdim=True); "
    "e = (b - top).exp(); z[:128] = e.flatten(); "
    "f = (a.amax(1, keepdim=True) - top).exp(); z[128:160] = f.expand(4, 8).flatten(); "
    "s = (a - top).exp().sum(1, keepdim=True) + e.sum(1, keepdim=True); "
    "z[160:192] = s.expand(4, 8).flatten()",
    "softmax_grad": "g, v = x.view(4, 64), y.view(4, 64); "
    "z = ((g - (g * v).sum(1, keepdim=True)) * v).flatten()",
    "layer_norm": "z = torch.nn.functional.layer_norm(x.view(4, 64), [64], y[:64], y[64:128])"
    ".flatten()",
    "rms_norm": "v = x.view(4, 64); "
    "z = (v * (v.square().mean(1, keepdim=True) + 1e-5).rsqrt() * y[:64]).flatten()",
    "reduce_last_axis": "z[:4] = x.view(4, 64).sum(1); z[8:12] = x.view(4, 64).amax(1)",
    "reduce_first_axis": "z[:64] = x.view(4, 64).amin(0); z[64:128] = x.view(4, 64).mean(0)",
    "reduce_max_masked": "v = x.view(4, 64)[:, :32]; z[0] = v.max(); "
    "i = v.flatten().argmax(); z[1] = i // 32 * 64 + i % 32",
    "reduce_repeat": "z[:4] = x.view(4, 64).sum(1); z[64:96] = x.view(32, 8).amax(1); "
    "z[128:256] = x.view(128, 2).sum(1)",
    "transpose": "z[:128] = x[:128].view(16, 8).t().flatten()",
    "interleave": "z = torch.stack([x[:128], y[:128]], 1).flatten()",
    "deinterleave": "z = torch.cat([x[::2], x[1::2]])",
    "gather_blocks": "z[:64] = x[:64].view(8, 8).flip(0).flatten()",
    "select_by_register": "m = (x > y)[:64].repeat(4); z = torch.where(m, x, y)",
    "select_first_repeat": "m = (x > y)[:64].repeat(4); z = torch.where(m, x, y)",
    "select_bytes": "z = x.clone(); z[1::2] = 5",
    "select_bytes_of_tensor": "z = torch.full((256,), 5.0); z[1::2] = x[1::2]",
    "drop_out": "z[1::2] = x[1::2] * 2",
    "quantize": "z = (x * 4 + 1).clamp(-128, 127)",
    "dequantize": "z = (x.round().view(4, 64) * y[:64]).flatten()",
    "clamp": "z = torch.minimum(x.clamp(min=-3), y)",
    "fmod": "z = torch.fmod(x, y)",
    "power": "z = x * x",
    "power_of_number": "z = 2 ** x; z[192:] = x[192:] * x[192:]",
    "exclusive_or": "z = (x.round().short() ^ y.round().short()).float()",
    "cumulative_sum": "z = x.view(4, 64).cumsum(1).flatten()",
    "cumulative_sum_totals": "z[:4] = x.view(4, 64).sum(1)",
    "layer_norm_grad": "v = x.view(4, 64).clone().requires_grad_(); "
    "torch.nn.functional.layer_norm(v, [64], y[:64], y[64:128]).backward(y.view(4, 64)); "
    "z = v.grad.flatten()",
    "padded": "z[:64] = torch.nn.functional.pad(x[:56].view(4, 14), (1, 1), value=7).flatten(); "
    "z[64:116] = x[:64].view(4, 16)[:, :13].flatten()",
    "transposed_matrix": "z = x.view(16, 16).t().flatten()",
    "gated": "F = torch.nn.functional; z[:128] = x[:128] * F.gelu(y[:128], approximate='tanh'); "
    "z[128:] = x[:128] * F.silu(y[:128])",
    "top_k": "v = x.view(4, 64).sort(stable=True, dim=1, descending=True); "
    "z[:32] = v.values[:, :8].flatten(); z[32:64] = v.indices[:, :8].flatten()",
    "slice": "z[:32] = x.view(4, 64)[:2, 8:24].flatten()",
    "pool": "z = 2 * x + 1",
    "scalars": "z[:5] = torch.tensor([9, 8, 3, 3, 5.5])",
    "elements": "z[:4] = torch.tensor([15, 15, 4.5, 12])",
    "in_turns": "z = 2 * x + 2",
}


@pytest.fixture(scope="module")
def results() -> dict[str, object]:
    return results_of("functions", EXPECTED, rtol=1e-5)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_function_gives_the_documented_values(results: dict[str, object], name: str) -> None:
    assert results[name] == []
