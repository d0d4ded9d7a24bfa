"""An op that compiles and links, and cannot be loaded: nobody defines what it calls."""

from __future__ import annotations

from op_builder import CPUOpBuilder


class UnresolvedBuilder(CPUOpBuilder):
    """Calls ``nobody_defines_this()``."""

    NAME = "unresolved"
    BUILD_VAR = "DS_BUILD_UNRESOLVED"
    BINDING = "ctypes"

    def sources(self) -> list[str]:
        return ["unresolved.cpp"]

    def extra_ldflags(self) -> list[str]:
        return ["-Wl,-z,now"]
