"""The builders of DeepSpeed's optimizers for host memory."""

from __future__ import annotations

from typing import ClassVar

from op_builder.builder import OpBuilder as OwnOpBuilderClass

from ....dispatch.loading import load
from .builder import Base, Functions


class CPUOptimizer(Base):
    """A module with DeepSpeed's functions ``create_<optimizer>``, ``<optimizer>_update`` and so on.

    Attributes:
        OWN: This project's builder of the module.
        FUNCTIONS: The functions that DeepSpeed calls.
    """

    OWN: ClassVar[type[OwnOpBuilderClass]]
    FUNCTIONS: ClassVar[tuple[str, ...]]

    def functions(self) -> Functions:
        """Return the functions that DeepSpeed calls."""
        module = load(self.OWN)
        return {name: getattr(module, name) for name in self.FUNCTIONS}

    def is_compatible(self, verbose: bool = False) -> bool:
        """Return whether the op can be built and used on this machine."""
        return self.OWN().is_compatible(verbose)
