"""An op that is compiled for the CPU that compiles it."""

from __future__ import annotations

from op_builder import CPUOpBuilder


class NativeBuilder(CPUOpBuilder):
    """``answer`` with ``-march=native``."""

    NAME = "native"
    BUILD_VAR = "DS_BUILD_NATIVE"
    BINDING = "ctypes"

    def sources(self) -> list[str]:
        return ["answer.cpp"]

    def include_paths(self) -> list[str]:  # type: ignore[override]
        return ["include"]

    def cxx_args(self) -> list[str]:
        return ["-DADDEND=0", "-march=native"]
