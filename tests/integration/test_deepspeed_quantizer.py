"""The functions of DeepSpeed's module ``quantizer`` against loops over groups and elements."""

from __future__ import annotations

import pytest
import torch

from ascend_ops.integrations.deepspeed import quantization as q

Tensor = torch.Tensor
SYMMETRIC, ASYMMETRIC = q.QuantizationType.Symmetric, q.QuantizationType.Asymmetric

pytestmark = pytest.mark.npu
devices = pytest.mark.parametrize("device", ["cpu", "npu"])


def values(*shape: int, device: str, dtype: torch.dtype = torch.float16) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=generator).to(dtype).to(device)


def wanted_levels(x: Tensor, groups: int, bits: int, kind: int) -> tuple[list[int], Tensor]:
    """Return the integers of a tensor and its groups' parameters, by Python's own rounding."""
    levels, parameters = [], []
    for group in x.double().cpu().reshape(groups, -1).tolist():
        low, high = min(group), max(group)
        offset = (low + high) / 2 if kind == ASYMMETRIC else 0.0
        reach = (high - low) / 2 if kind == ASYMMETRIC else max(abs(low), abs(high))
        scale = reach / 2 ** (bits - 1) or 1.0
        limit = 2 ** (bits - 1)
        levels += [min(max(round((v - offset) / scale), -limit), limit - 1) for v in group]
        parameters.append([scale, offset] if kind == ASYMMETRIC else [scale])
    return levels, torch.tensor(parameters)


def unpacked(packed: Tensor, bits: int) -> list[int]:
    found = [byte % 256 for byte in packed.reshape(-1).tolist()]
    if bits == 4:
        found = [half for byte in found for half in (byte // 16, byte % 16)]
    return [level - 2**bits if level >= 2 ** (bits - 1) else level for level in found]


@devices
@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("kind", [SYMMETRIC, ASYMMETRIC])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_levels_are_the_nearest_and_come_back(
    device: str, bits: int, kind: int, dtype: torch.dtype
) -> None:
    x = values(6, 32, device=device, dtype=dtype)
    x[2] = 0
    packed, parameters = q.quantize(x, 12, bits, kind)
    levels, wanted = wanted_levels(x, 12, bits, kind)
    assert packed.dtype == torch.int8
    assert packed.shape == (6, 32 if bits == 8 else 16)
    torch.testing.assert_close(parameters.cpu(), wanted, rtol=1e-6, atol=1e-7)
    different = sum(a != b for a, b in zip(unpacked(packed, bits), levels, strict=True))
    assert different <= 2  # ties, whose quotient is rounded
    error = (q.dequantize_fp32(packed, parameters, 12, bits, kind) - x.float()).abs()
    scale = parameters[:, :1].repeat_interleave(16, 1).view(6, 32)
    top = 1.0 if kind == SYMMETRIC else 1.5  # the maximum is limited to the highest level
    assert (error <= top * scale * 1.001).all()
    assert (error.median() <= 0.5 * scale.max()).all()
    half = q.dequantize(packed, parameters, 12, bits, kind)
    assert half.dtype == torch.float16
    assert half.shape == x.shape


def test_the_error_is_that_of_rounding_which_deepspeed_truncates() -> None:
    x = values(64, 128, device="cpu", dtype=torch.float32)
    packed, scale = q.quantize(x, 64, 8, SYMMETRIC)
    inside = packed.abs() < 127
    error = q.dequantize_fp32(packed, scale, 64, 8, SYMMETRIC) - x
    assert (error.abs() <= 0.5001 * scale)[inside].all()
    assert error[inside].mean().abs() < 0.01 * scale.mean()


@devices
@pytest.mark.parametrize("bits", [8, 4])
def test_swizzled_groups_are_in_the_order_of_the_devices(device: str, bits: int) -> None:
    nodes, per_node, slices, each, size = 2, 4, 3, 2, 8
    groups = nodes * per_node * slices * each
    x = values(groups, size, device=device)
    packed, scales = q.swizzle_quant(x, groups, bits, SYMMETRIC, slices, nodes, per_node)
    plain, plain_scales = q.quantize(x, groups, bits, SYMMETRIC)
    order = [
        ((node * per_node + part) * slices + piece) * each + group
        for piece in range(slices)
        for part in range(per_node)
        for node in range(nodes)
        for group in range(each)
    ]
    assert packed.dim() == 1
    assert packed.view(groups, -1).tolist() == plain[order].tolist()
    assert scales.tolist() == plain_scales[order].tolist()


@devices
@pytest.mark.parametrize("bits", [8, 4])
def test_the_reduction_is_the_sum_of_what_was_sent(device: str, bits: int) -> None:
    count, groups, outer = 3, 8, 4
    parts = [values(groups, 16, device=device) * (i + 1) for i in range(count)]
    sent = [q.quantize(part.view(-1), groups, bits, SYMMETRIC) for part in parts]
    packed, scales = q.quantized_reduction(
        torch.cat([s[0] for s in sent]),
        torch.cat([s[1] for s in sent]),
        groups * count,
        outer,
        bits,
        SYMMETRIC,
        count,
    )
    total = sum(q.dequantize_fp32(*s, groups, bits, SYMMETRIC).double() for s in sent)
    wanted, wanted_scales = q.quantize(total.float(), outer, bits, SYMMETRIC)
    assert packed.tolist() == wanted.tolist()
    torch.testing.assert_close(scales, wanted_scales)


def test_a_sum_beyond_float16_is_not_infinite() -> None:
    x = torch.full((16,), 60000.0)
    packed, scale = q.quantize(x, 1, 8, SYMMETRIC)
    twice, scales = q.quantized_reduction(
        packed.repeat(2), scale.repeat(2, 1), 2, 1, 8, SYMMETRIC, 2
    )
    found = q.dequantize_fp32(twice, scales, 1, 8, SYMMETRIC)
    torch.testing.assert_close(found, torch.full((16,), 120000.0), rtol=0.02, atol=0)


@devices
@pytest.mark.parametrize("bad", [float("inf"), float("-inf"), float("nan")])
def test_an_overflow_spoils_its_group_and_no_other(device: str, bad: float) -> None:
    x = values(2, 8, device=device)
    x[0, 3] = bad
    packed, parameters = q.quantize(x, 2, 8, SYMMETRIC)
    found = q.dequantize(packed, parameters, 2, 8, SYMMETRIC)
    assert found[0].isnan().all()
    assert found[1].isfinite().all()


@devices
def test_weights_of_the_inference_module(device: str) -> None:
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(0, 256, (3, 16), dtype=torch.uint8, generator=generator).to(device)
    scale, low = values(3, 1, device=device).abs() + 1, values(3, 1, device=device)
    found = q.dequantize_int8_to_half_experimental(levels, scale, low, 3, 16)
    torch.testing.assert_close(found, (levels.float() / scale + low).half(), rtol=2e-3, atol=1e-3)
    halves = [half for byte in levels.view(-1).tolist() for half in (byte >> 4, byte & 15)]
    wanted = torch.tensor(halves, device=device).view(3, 32) / scale + low
    found = q.dequantize_int4_to_half_experimental(levels, scale, low, 3, 32)
    torch.testing.assert_close(found, wanted.half(), rtol=2e-3, atol=1e-3)


def test_arguments_that_are_refused() -> None:
    x = values(4, 8, device="cpu")
    packed, scale = q.quantize(x, 4, 8, SYMMETRIC)
    for call, message in [
        (lambda: q.quantize(x, 4, 6, SYMMETRIC), "num_bits must be 4 or 8, got 6"),
        (lambda: q.quantize(x, 4, 8, 2), "quant_type must be Symmetric or Asymmetric"),
        (lambda: q.quantize(x, 5, 8, SYMMETRIC), "groups must divide .* 32, got 5"),
        (lambda: q.quantize(x.int(), 4, 8, SYMMETRIC), "input_vals must have dtype float16"),
        (lambda: q.quantize(x[:, :7], 4, 4, SYMMETRIC), "an even last dimension"),
        (lambda: q.dequantize(packed.float(), scale, 4, 8, SYMMETRIC), "must have dtype int8"),
        (lambda: q.dequantize(packed, scale, 4, 8, ASYMMETRIC), "2 elements per group"),
        (lambda: q.swizzle_quant(x, 4, 8, SYMMETRIC, 1, 1, 3), "groups must be a multiple"),
        (
            lambda: q.quantized_reduction(packed, scale, 4, 2, 8, SYMMETRIC, 3),
            "devices_per_node must divide",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


def test_the_builder() -> None:
    pytest.importorskip("deepspeed", reason="DeepSpeed is not installed")
    from ascend_ops.integrations.deepspeed import calls
    from ascend_ops.integrations.deepspeed.builders.quantizer import QuantizerBuilder

    module = QuantizerBuilder().load()
    x = values(4, 8, device="cpu")
    packed, scale = module.quantize(x, 4, 8, module.Symmetric)
    assert module.dequantize(packed, scale, 4, 8, module.Symmetric).shape == x.shape
    assert calls()["quantizer.quantize"] == 1
    assert module.Asymmetric == 1
    with pytest.raises(AttributeError, match="ds_quantize_fp16"):
        _ = module.ds_quantize_fp16
