"""An op whose header is found through ``CPLUS_INCLUDE_PATH`` or ``CPATH`` only."""

from __future__ import annotations

from op_builder import CPUOpBuilder


class AmbientBuilder(CPUOpBuilder):
    """``answer()`` is the number in the ``third_party.h`` that the compiler finds."""

    NAME = "ambient"
    BUILD_VAR = "DS_BUILD_AMBIENT"
    BINDING = "ctypes"

    def sources(self) -> list[str]:
        return ["vendored.cpp"]
