"""Transformers models on these ops: attention, norms, rotary embedding, SwiGLU and experts.

``register()`` makes Transformers know the attention and the experts named ``"ascend_ops"``;
``kernelize(model)`` replaces layers of a model; ``calls()`` returns what ran.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .counting import calls, reset_calls

if TYPE_CHECKING:
    from .layers import Kernelized, kernelize

__all__ = ["Kernelized", "calls", "kernelize", "register", "reset_calls"]

NAME = "ascend_ops"


def register() -> None:
    """Make Transformers know the attention and the experts named ``"ascend_ops"``.

    Pass ``attn_implementation="ascend_ops"`` and ``experts_implementation="ascend_ops"`` to
    ``from_pretrained``, or call ``model.set_attn_implementation("ascend_ops")``. Calling
    ``register`` again changes nothing.

    Example:
        >>> from transformers import AttentionInterface
        >>> from ascend_ops.integrations.transformers import register
        >>> register()
        >>> "ascend_ops" in AttentionInterface()
        True
    """
    from transformers import AttentionInterface
    from transformers.integrations.moe import ExpertsInterface
    from transformers.masking_utils import AttentionMaskInterface

    from .attention import attention_forward
    from .experts import experts_forward
    from .kernel_mapping import register_mapping
    from .masks import attention_mask

    AttentionInterface.register(NAME, attention_forward)
    AttentionMaskInterface.register(NAME, attention_mask)
    ExpertsInterface.register(NAME, experts_forward)
    register_mapping()


def __getattr__(name: str) -> object:
    if name not in ("Kernelized", "kernelize"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import layers

    return getattr(layers, name)
