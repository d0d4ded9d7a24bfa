"""An op whose header is a system header for the compiler, because of ``-isystem``."""

from __future__ import annotations

from pathlib import Path

from op_builder import CPUOpBuilder


class VendoredBuilder(CPUOpBuilder):
    """``answer()`` is the number in ``vendored/third_party.h``."""

    NAME = "vendored"
    BUILD_VAR = "DS_BUILD_VENDORED"
    BINDING = "ctypes"

    def sources(self) -> list[str]:
        return ["vendored.cpp"]

    def cxx_args(self) -> list[str]:
        return ["-isystem", str(Path(__file__).parent / "vendored")]
