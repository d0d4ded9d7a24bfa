"""An op whose header only the environment finds: through ``CPLUS_INCLUDE_PATH`` or ``CPATH``."""

from __future__ import annotations

from op_builder import CPUOpBuilder


class AmbientBuilder(CPUOpBuilder):
    """``answer()`` is the number in whichever ``third_party.h`` the compiler meets."""

    NAME = "ambient"
    BUILD_VAR = "DS_BUILD_AMBIENT"
    BINDING = "ctypes"

    def sources(self) -> list[str]:
        return ["vendored.cpp"]
