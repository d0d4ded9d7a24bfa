#include "emulator/aten/value.h"

namespace ascend_emulator {

double Scalar::to_double() const {
    if (const auto* complex = std::get_if<std::complex<double>>(&value)) {
        return complex->real();
    }
    if (const auto* number = std::get_if<double>(&value)) {
        return *number;
    }
    const auto* integer = std::get_if<std::int64_t>(&value);
    return integer != nullptr ? static_cast<double>(*integer) : std::get<bool>(value) ? 1.0 : 0.0;
}

// SplitMix64's finaliser: similar seeds give unrelated streams.
Seed::Seed(std::int64_t seed, std::int64_t offset) {
    std::uint64_t mixed = static_cast<std::uint64_t>(seed) * 0x9E3779B97F4A7C15U +
                          static_cast<std::uint64_t>(offset) + 1;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9U;
    value = mixed ^ (mixed >> 27);
}

Tensor full(const IntList& sizes, const Scalar& value, DType dtype) {
    return aten("full", sizes, value, dtype);
}
Tensor arange(std::int64_t end) { return aten("arange", end); }

Tensor operator+(const Tensor& a, const Tensor& b) { return aten("add.Tensor", a, b); }
Tensor operator-(const Tensor& a, const Tensor& b) { return aten("sub.Tensor", a, b); }
Tensor operator*(const Tensor& a, const Tensor& b) { return aten("mul.Tensor", a, b); }
Tensor operator/(const Tensor& a, const Tensor& b) { return aten("div.Tensor", a, b); }
Tensor operator+(const Tensor& a, double b) { return aten("add.Scalar", a, b); }
Tensor operator-(const Tensor& a, double b) { return aten("sub.Scalar", a, b); }
Tensor operator*(const Tensor& a, double b) { return aten("mul.Scalar", a, b); }
Tensor operator/(const Tensor& a, double b) { return aten("div.Scalar", a, b); }
Tensor operator-(const Tensor& a) { return aten("neg", a); }

}  // namespace ascend_emulator
