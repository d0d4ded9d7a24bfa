"""``transformer_inference``: the functions of DeepSpeed's inference layers."""

from __future__ import annotations

from types import ModuleType

from .. import inference
from .builder import Base, Functions


class InferenceBuilder(Base):
    """The functions that the layers of ``deepspeed.init_inference`` call."""

    BUILD_VAR = "DS_BUILD_TRANSFORMER_INFERENCE"
    NAME = "transformer_inference"
    ACCELERATORS = ("npu",)

    def functions(self) -> Functions:
        """Return the functions that DeepSpeed calls."""
        return inference.functions()

    def load(self, verbose: bool = False) -> ModuleType:
        """Return the module; other names raise NotServedError, an AttributeError."""
        module = super().load(verbose)
        module.__dict__["__getattr__"] = inference.missing
        return module

    jit_load = load
