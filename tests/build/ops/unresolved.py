"""An op that compiles and links but cannot be loaded: a symbol is undefined."""

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
