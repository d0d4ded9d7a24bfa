"""A function on torch's stable ABI."""

from __future__ import annotations

from op_builder import CPUOpBuilder


class StableAnswerBuilder(CPUOpBuilder):
    """``answer()`` is 42."""

    NAME = "stable_answer"
    BUILD_VAR = "DS_BUILD_STABLE_ANSWER"
    NAMESPACE = "ascend_ops_test_stable_answer"

    def sources(self) -> list[str]:
        return ["stable_answer.cpp"]
