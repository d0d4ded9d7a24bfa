"""A plain C function with its own header: the smallest possible op, built in 0.3 s."""

from __future__ import annotations

from op_builder import CPUOpBuilder


class AnswerBuilder(CPUOpBuilder):
    """``answer()`` is the number in ``include/answer.h``, plus the ADDEND of the flags."""

    NAME = "answer"
    BUILD_VAR = "DS_BUILD_ANSWER"
    BINDING = "ctypes"

    def sources(self) -> list[str]:
        return ["answer.cpp"]

    def include_paths(self) -> list[str]:  # type: ignore[override]
        return ["include"]

    def cxx_args(self) -> list[str]:
        return ["-DADDEND=0"]

    def extra_ldflags(self) -> list[str]:
        return ["-Wl,--hash-style=gnu"]
