"""Norms, also of a sum with a residual, on :func:`ascend_ops.layer_norm` and RMS norm."""

from __future__ import annotations

import torch

from ....norm.add_rms_norm import add_rms_norm
from ....norm.layer_norm import layer_norm as layer_norm_op
from ....norm.rms_norm import rms_norm as rms_norm_op

Tensor = torch.Tensor


def layer_norm(vals: Tensor, gamma: Tensor, beta: Tensor | None, epsilon: float) -> Tensor:
    """Return the layer norm over the last dimension in gamma's dtype, computed in fp32."""
    if vals.dtype == gamma.dtype:
        return layer_norm_op(vals, gamma.shape, gamma, beta, epsilon)
    return _wide_layer_norm(vals.float(), gamma, beta, epsilon)


def layer_norm_residual(
    vals: Tensor, bias: Tensor, res: Tensor, gamma: Tensor, beta: Tensor | None, epsilon: float
) -> Tensor:
    """Return the layer norm of ``vals + bias + res``, which is summed in fp32."""
    return _wide_layer_norm(_sum(vals, bias, res), gamma, beta, epsilon)


def layer_norm_residual_store_pre_ln_res(
    vals: Tensor, bias: Tensor, res: Tensor, gamma: Tensor, beta: Tensor | None, epsilon: float
) -> list[Tensor]:
    """Return the layer norm of ``vals + bias + res``, and that sum."""
    total = _sum(vals, bias, res)
    return [_wide_layer_norm(total, gamma, beta, epsilon), total.to(gamma.dtype)]


def rms_norm(vals: Tensor, gamma: Tensor, epsilon: float) -> Tensor:
    """Return the RMS norm over the last dimension in gamma's dtype, computed in fp32."""
    if vals.dtype == gamma.dtype:
        return rms_norm_op(vals, gamma, epsilon)
    return rms_norm_op(vals.float(), gamma.float(), epsilon).to(gamma.dtype)


def pre_rms_norm(vals: Tensor, residual: Tensor, gamma: Tensor, epsilon: float) -> list[Tensor]:
    """Return the RMS norm of ``vals + residual``, and that sum, both in gamma's dtype."""
    if vals.dtype == residual.dtype == gamma.dtype:
        return list(add_rms_norm(vals, residual, gamma, epsilon))
    normed, total = add_rms_norm(vals.float(), residual.float(), gamma.float(), epsilon)
    return [normed.to(gamma.dtype), total.to(gamma.dtype)]


def _sum(vals: Tensor, bias: Tensor, res: Tensor) -> Tensor:
    return vals.float() + bias.float() + res.float()


def _wide_layer_norm(wide: Tensor, gamma: Tensor, beta: Tensor | None, epsilon: float) -> Tensor:
    wide_beta = None if beta is None else beta.float()
    return layer_norm_op(wide, gamma.shape, gamma.float(), wide_beta, epsilon).to(gamma.dtype)
