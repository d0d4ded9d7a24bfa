"""``kernelize(model)``: RMS norms, SwiGLU MLPs and rotary functions of a model on these ops."""

from __future__ import annotations

import functools
import inspect
import logging
import sys
from collections import Counter
from types import MethodType, ModuleType
from typing import Any, NamedTuple

import torch
from torch import nn

from op_builder.ops.activation import ActivationBuilder
from op_builder.ops.norm import NormBuilder
from op_builder.ops.rotary import RotaryBuilder

from .counting import COUNTER
from .forms import (
    epsilon_of,
    is_norm,
    is_swiglu,
    mlp_children,
    norm_form,
    rotary_forms,
    swiglu_mlp,
)

Tensor = torch.Tensor

_logger = logging.getLogger("ascend_ops.integrations.transformers")
_ROTARY = "apply_rotary_pos_emb"


class Kernelized(NamedTuple):
    """What :func:`kernelize` did.

    Attributes:
        replaced: the number of layers per op that computes them; for ``"rotary_embedding"``, the
            number of attention layers whose rotary function was replaced.
        kept: why layers that look like one of these keep their own forward, per class.
    """

    replaced: dict[str, int]
    kept: dict[str, str]


def kernelize(model: nn.Module) -> Kernelized:
    """Make a model's RMS norms, SwiGLU MLPs and rotary embeddings call the ops of this package.

    Layers are recognized by what they compute, not by name: each class is tried out on small
    tensors. Weights and their names do not change. The rotary function belongs to the modeling file
    of Transformers, so it is replaced for all models of that file; for tensors that are not on an
    NPU, the replacement calls the original and counts it.

    Args:
        model: a model of Transformers, also one that PEFT has wrapped.

    Returns:
        The number of layers per op, and the layers that were kept and why.

    Raises:
        ValueError: if the model has no layer that can be replaced.

    Example:
        >>> from transformers import LlamaConfig, LlamaForCausalLM
        >>> from ascend_ops.integrations.transformers import kernelize
        >>> config = LlamaConfig(
        ...     vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        ...     num_attention_heads=2,
        ... )
        >>> kernelize(LlamaForCausalLM(config)).replaced
        {'rms_norm': 5, 'rotary_embedding': 2, 'swiglu': 2}
    """
    replaced: Counter[str] = Counter()
    kept: dict[str, str] = {}
    for module in model.modules():
        if is_norm(module):
            _replace_norm(module, replaced, kept)
        elif mlp_children(module) is not None:
            _replace_mlp(module, replaced, kept)
        elif _has_rotary(module):
            _replace_rotary(type(module).__module__, replaced, kept)
    for name, reason in kept.items():
        _logger.warning("kernelize() keeps %s: %s", name, reason)
    if not replaced:
        raise ValueError(
            "model must have RMS norms, SwiGLU MLPs or rotary embeddings that ascend_ops can "
            f"compute, got {type(model).__name__} without them"
        )
    return Kernelized(dict(sorted(replaced.items())), kept)


def _replace_norm(module: Any, replaced: Counter[str], kept: dict[str, str]) -> None:
    if norm_form(module, module.weight.dtype) is None:
        kept[type(module).__name__] = "its result is not that of a known RMS norm"
        return
    module.forward = MethodType(norm_forward, module)
    replaced["rms_norm"] += 1


def norm_forward(self: Any, hidden_states: Tensor) -> Tensor:
    """The forward of an RMS norm; for kernels' mapping and :func:`kernelize`."""
    form, eps = norm_form(self, hidden_states.dtype), epsilon_of(self)
    result: Tensor
    if form is None or eps is None:
        what = f"{type(self).__name__} with {hidden_states.dtype} and {self.weight.dtype}"
        COUNTER.fall_back("rms_norm", f"{what} is not a known RMS norm")
        result = type(self).forward(self, hidden_states)
        return result
    # Under autocast rms_norm returns fp32, but these layers compute the same with and without it.
    with torch.autocast(hidden_states.device.type, enabled=False):
        result = form(hidden_states, self.weight, eps)
    COUNTER.call("rms_norm", NormBuilder, hidden_states)
    return result


def _replace_mlp(module: Any, replaced: Counter[str], kept: dict[str, str]) -> None:
    if not is_swiglu(module):
        kept[type(module).__name__] = "its result is not down(silu(gate(x)) * up(x))"
        return
    module.forward = MethodType(mlp_forward, module)
    replaced["swiglu"] += 1


def mlp_forward(self: Any, x: Tensor) -> Tensor:
    """The forward of a SwiGLU MLP; for kernels' mapping and :func:`kernelize`."""
    projections = mlp_children(self)
    if projections is None or not is_swiglu(self):
        COUNTER.fall_back("swiglu", f"{type(self).__name__} is not a known SwiGLU MLP")
        original: Tensor = type(self).forward(self, x)
        return original
    result = swiglu_mlp(self, projections, x)
    COUNTER.call(_swiglu_op(projections), ActivationBuilder, x)
    return result


def _swiglu_op(projections: tuple[str, ...]) -> str:
    """Return the op behind :func:`ascend_ops.swiglu` of two tensors, or of one."""
    return "swiglu" if len(projections) == 2 else "silu_mul"


def _has_rotary(module: nn.Module) -> bool:
    """Return whether the module's own forward calls its file's rotary function."""
    code = getattr(type(module).forward, "__code__", None)
    wrapped = getattr(type(module).forward, "__wrapped__", None)
    codes = [code, getattr(wrapped, "__code__", None)]
    return any(_ROTARY in found.co_names for found in codes if found is not None)


def _replace_rotary(name: str, replaced: Counter[str], kept: dict[str, str]) -> None:
    file = sys.modules.get(name)
    function = getattr(file, _ROTARY, None)
    if not isinstance(file, ModuleType) or not callable(function):
        kept[f"{name}.{_ROTARY}"] = "the file has no such function"
        return
    if not hasattr(function, "ascend_ops_original"):
        parameters = list(inspect.signature(function).parameters)
        if parameters[:4] != ["q", "k", "cos", "sin"] or rotary_forms(function) == (None, None):
            kept[f"{name}.{_ROTARY}"] = "its result is not that of a known rotary embedding"
            return
        setattr(file, _ROTARY, _rotary_function(function))
    replaced["rotary_embedding"] += 1


def _rotary_function(original: Any) -> Any:
    """Return a function that computes ``original`` with :func:`ascend_ops.rotary_embedding`."""
    rotate: Any = functools.wraps(original)(functools.partial(rotated, original))
    rotate.ascend_ops_original = original
    return rotate


def rotated(
    original: Any, q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, *args: Any, **options: Any
) -> tuple[Tensor, Tensor]:
    """Return query and key, rotated as ``original`` does it, by the op if it can."""
    form = rotary_forms(original)[cos.shape[-1] < q.shape[-1]]
    dimension = options.get("unsqueeze_dim", args[0] if args else 1)
    reason = _why_not(q, k, cos, args, options)
    if form is None and not reason:
        reason = f"its formula for cos of {list(cos.shape)} is not known"
    if form is None or reason:
        COUNTER.fall_back("rotary_embedding", reason)
        found: tuple[Tensor, Tensor] = original(q, k, cos, sin, *args, **options)
        return found
    factors = cos.unsqueeze(dimension), sin.unsqueeze(dimension)
    turned = form(q, *factors), form(k, *factors)
    for x in (q, k):
        COUNTER.call("rotary_embedding", RotaryBuilder, x)
    return turned


def _why_not(q: Tensor, k: Tensor, cos: Tensor, args: Any, options: dict[str, Any]) -> str:
    """Return why the op cannot take these arguments, or ""."""
    if q.device.type != "npu":
        return f"the tensors are on {q.device.type}, not on an NPU"
    if len(args) > 1 or set(options) - {"unsqueeze_dim"}:
        return f"it has arguments that are not known: {sorted(options)}"
    # Under autocast cos is in fp32, and attention rounds query and key to what the op returns.
    is_wider = cos.dtype is torch.float32 and torch.is_autocast_enabled("npu")
    if q.dtype is not k.dtype or not (is_wider or cos.dtype is q.dtype):
        return f"cos is {cos.dtype}, but query is {q.dtype} and key {k.dtype}"
    return ""
