"""Two ops that include ``torch/extension.h``, one with each binding that can."""

from __future__ import annotations

from op_builder import CPUOpBuilder


class TwiceBuilder(CPUOpBuilder):
    """``twice(x)``, registered with TORCH_LIBRARY."""

    NAME = "twice"
    BUILD_VAR = "DS_BUILD_TWICE"
    BINDING = "torch_extension"
    NAMESPACE = "ascend_ops_test_twice"

    def sources(self) -> list[str]:
        return ["twice.cpp"]

    def cxx_args(self) -> list[str]:
        return ["-O1", "-w", "-Werror=invalid-pch"]


class SchemaNameBuilder(TwiceBuilder):
    """``name(schema)``, bound with pybind11."""

    NAME = "schema_name"
    BUILD_VAR = "DS_BUILD_SCHEMA_NAME"
    BINDING = "python"

    def sources(self) -> list[str]:
        return ["schema_name.cpp"]

    def uses_torch(self) -> bool:
        return True
