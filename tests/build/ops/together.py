"""An op of three sources, two of which are compiled together."""

from __future__ import annotations

from collections.abc import Mapping

from op_builder import CPUOpBuilder


class TogetherBuilder(CPUOpBuilder):
    """``answer()`` is a number that a second source has from a header in its own folder."""

    NAME = "together"
    BUILD_VAR = "DS_BUILD_TOGETHER"
    BINDING = "ctypes"
    SOURCES_PER_UNIT = 2

    def sources(self) -> list[str]:
        return ["together/first.cpp", "together/second.cpp", "together/third.cpp"]

    def source_flags(self) -> Mapping[str, list[str]]:
        return {"together/third.cpp": ["-DADDEND=0"]}
