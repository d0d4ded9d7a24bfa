// The Python names of dtypes: torch's C++ names Double what its users know as float64.
#pragma once

#include <torch/headeronly/core/ScalarType.h>

#include <string>

namespace ascend_ops {

/// Returns "float64" for Double. A dtype without a Python name keeps its C++ name.
inline std::string dtype_name(torch::headeronly::ScalarType dtype) {
    using torch::headeronly::ScalarType;
    switch (dtype) {
        case ScalarType::Byte:
            return "uint8";
        case ScalarType::Char:
            return "int8";
        case ScalarType::Short:
            return "int16";
        case ScalarType::Int:
            return "int32";
        case ScalarType::Long:
            return "int64";
        case ScalarType::Half:
            return "float16";
        case ScalarType::Float:
            return "float32";
        case ScalarType::Double:
            return "float64";
        case ScalarType::ComplexFloat:
            return "complex64";
        case ScalarType::ComplexDouble:
            return "complex128";
        case ScalarType::Bool:
            return "bool";
        case ScalarType::BFloat16:
            return "bfloat16";
        default:
            return torch::headeronly::toString(dtype);
    }
}

}  // namespace ascend_ops
