"""Which formula a layer of a model computes, found by running it on small random tensors.

Transformers has more than a hundred classes of RMS norms, gated MLPs and rotary functions, which
differ in rounding, in an offset of the weight and in the order of pairs, and often not in name.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import ascend_ops

Tensor = torch.Tensor

_SIZE = 8
_EPSILONS = ("variance_epsilon", "eps", "epsilon")


def epsilon_of(norm: nn.Module) -> float | None:
    """Return the epsilon of a norm, or None if it has none."""
    found = (getattr(norm, name, None) for name in _EPSILONS)
    return next((float(value) for value in found if isinstance(value, (int, float))), None)


def _rounded_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Round to x's dtype before the weight, as Llama does."""
    if weight.dtype is x.dtype:
        return ascend_ops.rms_norm(x, weight, eps, casting_mode="llama")
    # The product has the wider dtype, as in these layers.
    return ascend_ops.rms_norm(x, torch.ones_like(weight, dtype=x.dtype), eps) * weight


def _wide_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Round after the weight, as GPT-OSS does."""
    return ascend_ops.rms_norm(x, weight, eps)


def _zero_centered_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Multiply by 1 + weight, as Gemma does."""
    return ascend_ops.rms_norm(x, 1.0 + weight.float(), eps)


_NORMS = (_rounded_norm, _wide_norm, _zero_centered_norm)
NormForm = Callable[[Tensor, Tensor, float], Tensor]


def is_norm(module: nn.Module) -> bool:
    """Return whether a module may be an RMS norm: a vector of weights, an epsilon, no more."""
    parameters = dict(module.named_parameters())
    return (
        not isinstance(module, nn.LayerNorm)
        and list(parameters) == ["weight"]
        and parameters["weight"].dim() == 1
        and epsilon_of(module) is not None
        and _arguments(type(module)) == 1
    )


def norm_form(norm: nn.Module, dtype: torch.dtype) -> NormForm | None:
    """Return the formula of an RMS norm for inputs of this dtype, or None if it is not known."""
    eps = epsilon_of(norm)
    if eps is None or not isinstance(norm.weight, Tensor):
        return None
    kind: Any = type(norm)
    return _norm_form(kind, eps, dtype, norm.weight.dtype)


@functools.cache
def _norm_form(
    kind: type[nn.Module], eps: float, dtype: torch.dtype, of_weight: torch.dtype
) -> NormForm | None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(16, _SIZE, generator=generator).to(dtype)
    weight = torch.randn(_SIZE, generator=generator).to(of_weight)
    probe = _empty(kind)
    for name in _EPSILONS:
        probe.__dict__[name] = eps
    probe.__dict__["normalized_shape"] = (_SIZE,)
    probe.weight = nn.Parameter(weight)
    with torch.no_grad(), torch.autocast("cpu", enabled=False):
        wanted = _tried(probe, x)
        exactly = dtype not in (torch.float32, torch.float64)
        for form in _NORMS:
            if _is_same(wanted, form(x, weight, eps), exactly=exactly):
                return form
    return None


#: The children of gated MLPs: the projections, and the activation.
_MLPS = (
    (("gate_proj", "up_proj", "down_proj"), "act_fn"),
    (("gate_up_proj", "down_proj"), "activation_fn"),
)


def mlp_children(module: nn.Module) -> tuple[str, ...] | None:
    """Return the names of the projections of a gated MLP, or None if the module is not one."""
    children = dict(module.named_children())
    for projections, activation in _MLPS:
        if set(projections) <= set(children) and hasattr(module, activation):
            return projections
    return None


def is_swiglu(mlp: nn.Module) -> bool:
    """Return whether a gated MLP is ``down(silu(gate(x)) * up(x))``."""
    projections = mlp_children(mlp)
    if projections is None or _arguments(type(mlp)) != 1:
        return False
    activation = next(getattr(mlp, name) for _, name in _MLPS if hasattr(mlp, name))
    return _is_swiglu(type(mlp), type(activation), projections, activation)


_known_mlps: dict[Any, bool] = {}


def _is_swiglu(
    kind: type[nn.Module], of_activation: type, projections: tuple[str, ...], activation: Any
) -> bool:
    key = (kind, of_activation, projections)
    if key not in _known_mlps:
        generator = torch.Generator().manual_seed(0)
        probe = _empty(kind)
        probe.act_fn = probe.activation_fn = activation
        for name in projections:
            inner = 2 * _SIZE if name == "gate_up_proj" else _SIZE
            layer = nn.Linear(_SIZE, inner, bias=False)
            layer.weight.data = torch.randn(layer.weight.shape, generator=generator)
            setattr(probe, name, layer)
        x = torch.randn(4, _SIZE, generator=generator)
        with torch.no_grad():
            _known_mlps[key] = _is_same(_tried(probe, x), swiglu_mlp(probe, projections, x))
    return _known_mlps[key]


def swiglu_mlp(mlp: Any, projections: tuple[str, ...], x: Tensor) -> Tensor:
    """Compute ``down(silu(gate(x)) * up(x))`` with :func:`ascend_ops.swiglu`."""
    if projections[0] == "gate_up_proj":
        gated = ascend_ops.swiglu(mlp.gate_up_proj(x))
    else:
        gated = ascend_ops.swiglu(mlp.gate_proj(x), mlp.up_proj(x))
    result: Tensor = mlp.down_proj(gated)
    return result


RotaryForm = Callable[[Tensor, Tensor, Tensor], Tensor]


def _half(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate as many elements of each head as cos has."""
    return ascend_ops.rotary_embedding(x, cos, sin, "half")


def _half_of_halves(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Take cos and sin of half the width, as GPT-OSS does."""
    wide_cos, wide_sin = (torch.cat((factor, factor), -1) for factor in (cos, sin))
    return ascend_ops.rotary_embedding(x, wide_cos, wide_sin, "half")


def _interleaved(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return ascend_ops.rotary_embedding(x, cos, sin, "interleave")


@functools.cache
def rotary_forms(function: Callable[..., Any]) -> tuple[RotaryForm | None, RotaryForm | None]:
    """Return the formulas of a rotary function for cos as wide as a head, and for half as wide.

    None stands for a width that the function does not take, or a formula that is not known.
    """
    return (
        _rotary_form(function, _SIZE, (_half, _interleaved)),
        _rotary_form(function, _SIZE // 2, (_half_of_halves, _half)),
    )


def _rotary_form(
    function: Callable[..., Any], width: int, forms: tuple[RotaryForm, ...]
) -> RotaryForm | None:
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(1, heads, 3, _SIZE, generator=generator) for heads in (2, 1))
    cos, sin = torch.randn(2, 1, 3, width, generator=generator)
    with torch.no_grad():
        wanted = _tried(function, q, k, cos, sin)
        if not isinstance(wanted, tuple) or len(wanted) != 2:
            return None
        for form in forms:
            found = (form(x, cos[:, None], sin[:, None]) for x in (q, k))
            if all(_is_same(a, b) for a, b in zip(wanted, found, strict=True)):
                return form
    return None


def _arguments(kind: type[nn.Module]) -> int:
    return len(inspect.signature(kind.forward).parameters) - 1


def _empty(kind: type[nn.Module]) -> Any:
    """Return a module of this class without running its constructor."""
    module = kind.__new__(kind)
    nn.Module.__init__(module)
    return module


def _tried(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what ``function`` does, or None if it cannot be called so."""
    try:
        return function(*arguments)
    except Exception:  # noqa: BLE001 - foreign code that misses attributes, or takes other shapes
        return None


def _is_same(wanted: Any, found: Tensor, *, exactly: bool = False) -> bool:
    if not isinstance(wanted, Tensor) or wanted.shape != found.shape:
        return False
    if wanted.dtype is not found.dtype:
        return False
    return torch.equal(wanted, found) if exactly else torch.allclose(wanted, found, 1e-5, 1e-5)
