"""Group-wise quantization to 8 and 4 bits, as ZeRO++ and DeepSpeed's inference need it.

Each group of a tensor has a scale, and an offset if it is asymmetric. With b bits and the group's
maximum and minimum, an element x becomes the nearest integer q (half to even), limited to
-2**(b-1) ... 2**(b-1)-1:

    symmetric     q = x / scale             scale = 2 * max(abs(x)) / 2**b
    asymmetric    q = (x - offset) / scale  scale = (max - min) / 2**b, offset = (max + min) / 2

DeepSpeed's own functions for NPUs truncate instead, which doubles the error and moves every value
towards 0. With 4 bits, a byte has the first of two elements in its higher half. A group with an
infinite or undefined element becomes NaN, so that an overflow of gradients is noticed.

The functions are made of torch's operators; there is no aclnn function with this rounding.
"""

from __future__ import annotations

import enum

import torch

Tensor = torch.Tensor

_INPUTS = (torch.float16, torch.bfloat16, torch.float32)


class QuantizationType(enum.IntEnum):
    """Whether a group has only a scale, or an offset as well."""

    Symmetric = 0
    Asymmetric = 1


def quantize(
    input_vals: Tensor, groups: int, num_bits: int, quant_type: int
) -> tuple[Tensor, Tensor]:
    """Return a tensor in 8 or 4 bits, and the parameters of its groups.

    Args:
        input_vals: a tensor in float16, bfloat16 or float32.
        groups: into how many groups of consecutive elements it is split.
        num_bits: 8 or 4.
        quant_type: ``Symmetric`` or ``Asymmetric``.

    Returns:
        An int8 tensor of the same shape, with half of the last dimension if ``num_bits`` is 4; and
        in float32 ``[groups, 1]`` (scales) or ``[groups, 2]`` (scales and offsets).

    Raises:
        ValueError: an argument cannot be used.
    """
    _check_kind(num_bits, quant_type)
    values = _in_groups(input_vals, groups)
    shape = list(input_vals.shape)
    if num_bits == 4 and shape[-1] % 2:
        raise ValueError(f"input_vals must have an even last dimension for 4 bits, got {shape}")
    levels, parameters = _quantize(values, num_bits, quant_type)
    if num_bits == 4:
        shape[-1] //= 2
    return _pack(levels.view(-1), num_bits).view(shape), parameters


def dequantize(
    quantized_data: Tensor, params: Tensor, groups: int, num_bits: int, quant_type: int
) -> Tensor:
    """Return what :func:`quantize` was given, in float16. See there for the arguments."""
    return dequantize_fp32(quantized_data, params, groups, num_bits, quant_type).half()


def dequantize_fp32(
    quantized_data: Tensor, params: Tensor, groups: int, num_bits: int, quant_type: int
) -> Tensor:
    """Return what :func:`quantize` was given, in float32. See there for the arguments."""
    _check_kind(num_bits, quant_type)
    _check_packed("quantized_data", quantized_data)
    levels = _unpack(quantized_data.reshape(-1), num_bits)
    shape = list(quantized_data.shape)
    if num_bits == 4:
        shape[-1] *= 2
    _check_groups("quantized_data", levels.numel(), groups)
    return _dequantize(levels.view(groups, -1), params, quant_type).view(shape)


def swizzle_quant(
    input_vals: Tensor,
    groups: int,
    num_bits: int,
    quant_type: int,
    pipeline_size: int,
    nodes: int,
    devices_per_node: int,
) -> tuple[Tensor, Tensor]:
    """Quantize, with the groups in the order that ZeRO++ sends them in.

    The groups are split into one part per device of all nodes, and each part into
    ``pipeline_size`` slices. The result has the first slices of all parts, then the second ones and
    so on; of each, those for the first device of every node come first.

    Returns:
        A flat int8 tensor and the parameters of its groups, in the same order.

    Raises:
        ValueError: an argument cannot be used.
    """
    _check_kind(num_bits, quant_type)
    values = _in_groups(input_vals, groups)
    parts = nodes * devices_per_node
    if groups % (parts * pipeline_size):
        raise ValueError(
            f"groups must be a multiple of nodes * devices_per_node * pipeline_size, {parts} * "
            f"{pipeline_size}, got {groups}"
        )
    if num_bits == 4 and values.shape[1] % 2:
        raise ValueError(f"groups must have an even number of elements, got {values.shape[1]}")
    levels, parameters = _quantize(values, num_bits, quant_type)

    def swizzled(tensor: Tensor) -> Tensor:
        split = (nodes, devices_per_node, pipeline_size, groups // (parts * pipeline_size))
        return tensor.view(*split, -1).permute(2, 1, 0, 3, 4).reshape(groups, -1)

    return _pack(swizzled(levels).view(-1), num_bits), swizzled(parameters)


def quantized_reduction(
    input_vals: Tensor,
    input_scales: Tensor,
    in_groups: int,
    out_groups: int,
    num_bits: int,
    quant_type: int,
    devices_per_node: int,
) -> tuple[Tensor, Tensor]:
    """Sum the tensors of a node's devices, and quantize the sum.

    The sum is formed in float32; DeepSpeed's own functions form it in float16, in which it may
    overflow.

    Args:
        input_vals: the quantized tensors, one after another.
        input_scales: the parameters of all ``in_groups`` groups.
        in_groups: the number of groups in all tensors.
        out_groups: the number of groups of the sum.
        num_bits: 8 or 4.
        quant_type: ``Symmetric`` or ``Asymmetric``.
        devices_per_node: the number of tensors.

    Returns:
        An int8 tensor, whose last dimension is that of ``input_vals`` divided by the number of
        tensors, and the parameters of its groups.

    Raises:
        ValueError: an argument cannot be used.
    """
    _check_kind(num_bits, quant_type)
    _check_packed("input_vals", input_vals)
    shape = list(input_vals.shape)
    if devices_per_node < 1 or shape[-1] % devices_per_node or in_groups % devices_per_node:
        raise ValueError(
            f"devices_per_node must divide the last dimension of input_vals and in_groups, "
            f"{shape[-1]} and {in_groups}, got {devices_per_node}"
        )
    shape[-1] //= devices_per_node
    levels = _unpack(input_vals.reshape(-1), num_bits)
    _check_groups("input_vals", levels.numel(), in_groups)
    values = _dequantize(levels.view(in_groups, -1), input_scales, quant_type)
    total = values.view(devices_per_node, -1).sum(0)
    _check_groups("the sum", total.numel(), out_groups)
    if num_bits == 4 and total.numel() // out_groups % 2:
        raise ValueError(f"out_groups must have an even number of elements, got {out_groups}")
    levels, parameters = _quantize(total.view(out_groups, -1), num_bits, quant_type)
    return _pack(levels.view(-1), num_bits).view(shape), parameters


def dequantize_int8_to_half_experimental(
    data_in: Tensor, scale_buffer: Tensor, min_val_buffer: Tensor, num_group: int, group_size: int
) -> Tensor:
    """Return ``data_in / scale + min`` in float16, for weights of DeepSpeed's inference in 8 bits.

    Args:
        data_in: uint8, ``num_group * group_size`` elements.
        scale_buffer: levels per unit, one per group.
        min_val_buffer: the minimum of each group.
        num_group: the number of groups.
        group_size: elements per group.

    Raises:
        ValueError: an argument cannot be used.
    """
    return _weights(data_in.float(), data_in, scale_buffer, min_val_buffer, num_group, group_size)


def dequantize_int4_to_half_experimental(
    data_in: Tensor, scale_buffer: Tensor, min_val_buffer: Tensor, num_group: int, group_size: int
) -> Tensor:
    """Return the like of :func:`dequantize_int8_to_half_experimental` for two elements per byte."""
    data = data_in.float()
    high = (data / 16).floor()
    levels = torch.stack((high, data - 16 * high), dim=-1)
    return _weights(levels, data_in, scale_buffer, min_val_buffer, num_group, group_size)


def _weights(
    levels: Tensor, data: Tensor, scale: Tensor, minimum: Tensor, num_group: int, group_size: int
) -> Tensor:
    if data.dtype is not torch.uint8:
        raise ValueError(f"data_in must have dtype uint8, got {data.dtype}")
    for name, tensor in (("scale_buffer", scale), ("min_val_buffer", minimum)):
        if tensor.numel() != num_group:
            raise ValueError(f"{name} must have {num_group} elements, got {tensor.numel()}")
    if levels.numel() != num_group * group_size:
        raise ValueError(
            f"data_in must have {num_group} groups of {group_size} elements, got {levels.numel()}"
        )
    groups = levels.view(num_group, group_size)
    return (groups / scale.view(-1, 1).float() + minimum.view(-1, 1).float()).half()


def _quantize(values: Tensor, num_bits: int, quant_type: int) -> tuple[Tensor, Tensor]:
    """Return the levels of the rows of a float32 tensor, as float32, and their parameters."""
    limit = 2 ** (num_bits - 1)
    offset = None
    if quant_type == QuantizationType.Symmetric:
        reach = values.abs().amax(1, keepdim=True)
    else:
        high, low = values.amax(1, keepdim=True) / 2, values.amin(1, keepdim=True) / 2
        reach, offset = high - low, high + low
        values = values - offset
    scale = torch.where(reach == 0, torch.ones_like(reach), reach / limit)
    levels = values / scale
    levels = torch.where(levels.isnan(), torch.zeros_like(levels), levels)
    levels = levels.round().clamp(-limit, limit - 1)
    return levels, scale if offset is None else torch.cat((scale, offset), 1)


def _dequantize(levels: Tensor, parameters: Tensor, quant_type: int) -> Tensor:
    columns = 1 if quant_type == QuantizationType.Symmetric else 2
    if parameters.numel() != columns * levels.shape[0]:
        raise ValueError(
            f"params must have {columns} elements per group, for {levels.shape[0]} groups, got "
            f"{parameters.numel()}"
        )
    table = parameters.reshape(-1, columns).float()
    values = levels * table[:, :1]
    return values if columns == 1 else values + table[:, 1:]


def _pack(levels: Tensor, num_bits: int) -> Tensor:
    """Return levels as int8. Arithmetic is exact, and supported by every device for float32."""
    if num_bits == 8:
        return levels.to(torch.int8)
    high, low = levels.view(-1, 2).unbind(1)
    return (16 * high + torch.where(low < 0, low + 16, low)).to(torch.int8)


def _unpack(packed: Tensor, num_bits: int) -> Tensor:
    values = packed.float()
    if num_bits == 8:
        return values
    high = (values / 16).floor()
    low = values - 16 * high
    return torch.stack((high, torch.where(low >= 8, low - 16, low)), dim=-1).view(-1)


def _in_groups(tensor: Tensor, groups: int) -> Tensor:
    if tensor.dtype not in _INPUTS:
        raise ValueError(
            f"input_vals must have dtype float16, bfloat16 or float32, got {tensor.dtype}"
        )
    _check_groups("input_vals", tensor.numel(), groups)
    return tensor.detach().reshape(groups, -1).float()


def _check_groups(name: str, count: int, groups: int) -> None:
    if groups < 1 or count == 0 or count % groups:
        raise ValueError(f"groups must divide the elements of {name}, {count}, got {groups}")


def _check_packed(name: str, tensor: Tensor) -> None:
    if tensor.dtype is not torch.int8:
        raise ValueError(f"{name} must have dtype int8, got {tensor.dtype}")


def _check_kind(num_bits: int, quant_type: int) -> None:
    if num_bits not in (4, 8):
        raise ValueError(f"num_bits must be 4 or 8, got {num_bits}")
    if quant_type not in tuple(QuantizationType):
        raise ValueError(f"quant_type must be Symmetric or Asymmetric, got {quant_type}")
