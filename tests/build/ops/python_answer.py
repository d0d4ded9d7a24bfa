"""A Python module, bound with pybind11, that links torch."""

from __future__ import annotations

from op_builder import CPUOpBuilder


class PythonAnswerBuilder(CPUOpBuilder):
    """``answer()`` is 42 if torch's library can be called."""

    NAME = "python_answer"
    BUILD_VAR = "DS_BUILD_PYTHON_ANSWER"
    BINDING = "python"

    def sources(self) -> list[str]:
        return ["python_answer.cpp"]

    def uses_torch(self) -> bool:
        return True
