"""The base class of ops that run on the host."""

from __future__ import annotations

from .builder import OpBuilder


class CPUOpBuilder(OpBuilder):
    """The base class of ops that run on the host; they build and link without CANN.

    If all ops share one base class, a CPU optimizer requires the accelerator's toolkit (DeepSpeed
    #7174, #5813, #2337, #7452).

    Example:
        >>> from op_builder import CPUOpBuilder
        >>> class SquareBuilder(CPUOpBuilder):
        ...     NAME = "square"
        ...     BUILD_VAR = "DS_BUILD_SQUARE"
        ...     BINDING = "ctypes"
        ...
        ...     def sources(self) -> list[str]:
        ...         return ["square.cpp"]  # beside the file that declares the class
        >>> SquareBuilder().is_compatible()
        True

        ``SquareBuilder().load()`` now builds the library and returns it as a ``ctypes.CDLL``.
    """
