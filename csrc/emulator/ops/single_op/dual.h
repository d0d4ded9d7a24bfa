// Forward-mode differentiation: tensors with their derivatives by a few inputs, so that a formula
// is written once for its values and its gradients.
#pragma once

#include <utility>

#include "emulator/aten/value.h"

namespace ascend_emulator {

/// A value and its derivatives; an undefined one is 0.
struct Dual {
    Tensor value;
    TensorList slopes;
};

inline Tensor minimum(const Tensor& a, const Tensor& b) { return aten("minimum", a, b); }
inline Tensor maximum(const Tensor& a, const Tensor& b) { return aten("maximum", a, b); }
inline Tensor positive(const Tensor& a) { return aten("clamp_min", a, Scalar{0.0}); }
inline Tensor arctangent(const Tensor& a) { return aten("atan", a); }
inline Tensor value_of(const Tensor& a) { return a; }
inline Tensor value_of(const Dual& a) { return a.value; }

/// The derivatives of a value whose derivatives by `a` and `b` are `by_a` and `by_b`.
inline Dual chain(Tensor value, const Dual& a, const Tensor& by_a, const Dual& b,
                  const Tensor& by_b) {
    Dual result{std::move(value), TensorList(a.slopes.size())};
    for (std::size_t i = 0; i < a.slopes.size(); ++i) {
        const bool has_a = a.slopes[i].defined();
        const bool has_b = b.slopes[i].defined();
        const Tensor from_a = has_a ? a.slopes[i] * by_a : Tensor();
        const Tensor from_b = has_b ? b.slopes[i] * by_b : Tensor();
        result.slopes[i] = has_a && has_b ? from_a + from_b : has_a ? from_a : from_b;
    }
    return result;
}

inline Dual chain(Tensor value, const Dual& a, const Tensor& by_a) {
    const Dual constant{{}, TensorList(a.slopes.size())};
    return chain(std::move(value), a, by_a, constant, {});
}

/// 1 where the comparison holds, else 0.
inline Tensor indicator(const char* comparison, const Tensor& a, const Tensor& b) {
    return aten(comparison, a, b).to_float();
}

inline Tensor ones_like(const Tensor& a) { return aten("ones_like", a); }

inline Dual operator+(const Dual& a, const Dual& b) {
    const Tensor one = ones_like(a.value);
    return chain(a.value + b.value, a, one, b, one);
}
inline Dual operator-(const Dual& a, const Dual& b) {
    const Tensor one = ones_like(a.value);
    return chain(a.value - b.value, a, one, b, -one);
}
inline Dual operator*(const Dual& a, const Dual& b) {
    return chain(a.value * b.value, a, b.value, b, a.value);
}
inline Dual operator/(const Dual& a, const Dual& b) {
    const Tensor ratio = a.value / b.value;
    return chain(ratio, a, ones_like(b.value) / b.value, b, -(ratio / b.value));
}
inline Dual operator+(const Dual& a, double b) { return {a.value + b, a.slopes}; }
inline Dual operator-(const Dual& a, double b) { return {a.value - b, a.slopes}; }
inline Dual operator*(const Dual& a, double b) {
    return chain(a.value * b, a, ones_like(a.value) * b);
}
inline Dual operator*(const Dual& a, const Tensor& b) { return chain(a.value * b, a, b); }

/// Equal values share the derivative, as in ATen.
inline Dual extreme(const Dual& a, const Dual& b, Tensor value, const char* a_is_chosen) {
    const Tensor by_a =
        indicator(a_is_chosen, a.value, b.value) + indicator("eq.Tensor", a.value, b.value) * 0.5;
    return chain(std::move(value), a, by_a, b, -by_a + 1.0);
}
inline Dual minimum(const Dual& a, const Dual& b) {
    return extreme(a, b, minimum(a.value, b.value), "lt.Tensor");
}
inline Dual maximum(const Dual& a, const Dual& b) {
    return extreme(a, b, maximum(a.value, b.value), "gt.Tensor");
}
inline Dual positive(const Dual& a) {
    return chain(positive(a.value), a, indicator("ge.Tensor", a.value, a.value * 0.0));
}
inline Dual arctangent(const Dual& a) {
    const Tensor one = ones_like(a.value);
    return chain(arctangent(a.value), a, one / (a.value * a.value + 1.0));
}

}  // namespace ascend_emulator
