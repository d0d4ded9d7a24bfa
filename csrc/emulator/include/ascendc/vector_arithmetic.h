// Vector instructions with one result per element: arithmetic, logic, functions.
#pragma once

#include "ascendc/vector_engine.h"
#include "ascendc/vector_types.h"

namespace aicore {

template <class To, class First, class Second, class Mask, class Body>
void binary(const Instruction& instruction, bool set, bool reads_to, const LocalTensor<To>& to,
            const LocalTensor<First>& first, const LocalTensor<Second>& second, Mask mask,
            std::int32_t repeats, const AscendC::BinaryRepeatParams& strides, Body body) {
    static_assert(has_repeats<First>, "this type has the form with a count of elements only");
    const Lanes lanes =
        lanes_of(instruction, set, mask, std::max(sizeof(To), sizeof(First)), repeats);
    with_repeats(instruction, lanes, reads_to, to, {strides.dstBlkStride, strides.dstRepStride},
                 body, operand(first, strides.src0BlkStride, strides.src0RepStride),
                 operand(second, strides.src1BlkStride, strides.src1RepStride));
}

template <class To, class From, class Mask, class Body>
void unary(const Instruction& instruction, bool set, bool reads_to, const LocalTensor<To>& to,
           const LocalTensor<From>& from, Mask mask, std::int32_t repeats,
           const AscendC::UnaryRepeatParams& strides, Body body) {
    static_assert(has_repeats<From>, "this type has the form with a count of elements only");
    const Lanes lanes =
        lanes_of(instruction, set, mask, std::max(sizeof(To), sizeof(From)), repeats);
    with_repeats(instruction, lanes, reads_to, to, {strides.dstBlkStride, strides.dstRepStride},
                 body, operand(from, strides.srcBlkStride, strides.srcRepStride));
}

}  // namespace aicore

// Masks are a number of lanes or two words of bits: `lanes_of` takes either.

// In the expressions, x and y are the sources and z is what the destination held.
#define AICORE_BINARY(NAME, READS_TO, TYPES, EXPRESSION)                                           \
    namespace aicore {                                                                             \
    template <class T>                                                                             \
    auto NAME##Body() {                                                                            \
        static_assert(is_one_of<T, TYPES>, #NAME " has no instruction for this type");             \
        return [](T old, T first, T second) {                                                      \
            [[maybe_unused]] const auto x = widen(first);                                          \
            [[maybe_unused]] const auto y = widen(second);                                         \
            [[maybe_unused]] const auto z = widen(old);                                            \
            return static_cast<T>(EXPRESSION);                                                     \
        };                                                                                         \
    }                                                                                              \
    }                                                                                              \
    namespace AscendC {                                                                            \
    template <class T>                                                                             \
    void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1,   \
              const std::int32_t& count, aicore::Site site = aicore::Site::here()) {               \
        aicore::with_count({#NAME, aicore::Pipe::v, site}, count, READS_TO, dst,                   \
                           aicore::NAME##Body<T>(), src0, src1);                                   \
    }                                                                                              \
    template <class T, template <class> class Tensor>                                              \
    void NAME(const Tensor<T>& dst, const Tensor<T>& src0, const Tensor<T>& src1,                  \
              const std::int32_t& count) {                                                         \
        NAME(dst, src0, src1, count, aicore::through_pointer);                                     \
    }                                                                                              \
    template <class T, bool isSetMask = true, class Mask>                                          \
    void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src0, const LocalTensor<T>& src1,   \
              Mask mask, std::uint8_t repeatTime, const BinaryRepeatParams& repeatParams,          \
              aicore::Site site = aicore::Site::here()) {                                          \
        aicore::binary({#NAME, aicore::Pipe::v, site}, isSetMask, READS_TO, dst, src0, src1, mask, \
                       repeatTime, repeatParams, aicore::NAME##Body<T>());                         \
    }                                                                                              \
    template <class T, bool isSetMask = true, class Mask, template <class> class Tensor>           \
    void NAME(const Tensor<T>& dst, const Tensor<T>& src0, const Tensor<T>& src1, Mask mask,       \
              std::uint8_t repeatTime, const BinaryRepeatParams& repeatParams) {                   \
        NAME<T, isSetMask>(dst, src0, src1, mask, repeatTime, repeatParams,                        \
                           aicore::through_pointer);                                               \
    }                                                                                              \
    }

#define AICORE_UNARY(NAME, TYPES, EXPRESSION)                                                  \
    namespace aicore {                                                                         \
    template <class T>                                                                         \
    auto NAME##Body() {                                                                        \
        static_assert(is_one_of<T, TYPES>, #NAME " has no instruction for this type");         \
        return [](T /*old*/, T value) {                                                        \
            const auto x = widen(value);                                                       \
            return static_cast<T>(EXPRESSION);                                                 \
        };                                                                                     \
    }                                                                                          \
    }                                                                                          \
    namespace AscendC {                                                                        \
    template <class T>                                                                         \
    void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src, const std::int32_t& count, \
              aicore::Site site = aicore::Site::here()) {                                      \
        aicore::with_count({#NAME, aicore::Pipe::v, site}, count, false, dst,                  \
                           aicore::NAME##Body<T>(), src);                                      \
    }                                                                                          \
    template <class T, template <class> class Tensor>                                          \
    void NAME(const Tensor<T>& dst, const Tensor<T>& src, const std::int32_t& count) {         \
        NAME(dst, src, count, aicore::through_pointer);                                        \
    }                                                                                          \
    template <class T, bool isSetMask = true, class Mask>                                      \
    void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src, Mask mask,                 \
              std::uint8_t repeatTime, const UnaryRepeatParams& repeatParams,                  \
              aicore::Site site = aicore::Site::here()) {                                      \
        aicore::unary({#NAME, aicore::Pipe::v, site}, isSetMask, false, dst, src, mask,        \
                      repeatTime, repeatParams, aicore::NAME##Body<T>());                      \
    }                                                                                          \
    template <class T, bool isSetMask = true, class Mask, template <class> class Tensor>       \
    void NAME(const Tensor<T>& dst, const Tensor<T>& src, Mask mask, std::uint8_t repeatTime,  \
              const UnaryRepeatParams& repeatParams) {                                         \
        NAME<T, isSetMask>(dst, src, mask, repeatTime, repeatParams, aicore::through_pointer); \
    }                                                                                          \
    }

// y is the scalar.
#define AICORE_SCALAR(NAME, READS_TO, TYPES, EXPRESSION)                                         \
    namespace aicore {                                                                           \
    template <class T>                                                                           \
    auto NAME##Body(T scalar) {                                                                  \
        static_assert(is_one_of<T, TYPES>, #NAME " has no instruction for this type");           \
        return [y = widen(scalar)](T old, T value) {                                             \
            const auto x = widen(value);                                                         \
            [[maybe_unused]] const auto z = widen(old);                                          \
            return static_cast<T>(EXPRESSION);                                                   \
        };                                                                                       \
    }                                                                                            \
    }                                                                                            \
    namespace AscendC {                                                                          \
    template <class T, bool isSetMask = true>                                                    \
    void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src,                              \
              const aicore::Given<T>& scalar, const std::int32_t& count,                         \
              aicore::Site site = aicore::Site::here()) {                                        \
        aicore::with_count({#NAME, aicore::Pipe::v, site}, count, READS_TO, dst,                 \
                           aicore::NAME##Body<T>(scalar), src);                                  \
    }                                                                                            \
    template <class T, bool isSetMask = true, template <class> class Tensor>                     \
    void NAME(const Tensor<T>& dst, const Tensor<T>& src, const aicore::Given<T>& scalar,        \
              const std::int32_t& count) {                                                       \
        NAME<T, isSetMask>(dst, src, scalar, count, aicore::through_pointer);                    \
    }                                                                                            \
    template <class T, bool isSetMask = true, class Mask>                                        \
    void NAME(const LocalTensor<T>& dst, const LocalTensor<T>& src,                              \
              const aicore::Given<T>& scalar, Mask mask, std::uint8_t repeatTime,                \
              const UnaryRepeatParams& repeatParams, aicore::Site site = aicore::Site::here()) { \
        aicore::unary({#NAME, aicore::Pipe::v, site}, isSetMask, READS_TO, dst, src, mask,       \
                      repeatTime, repeatParams, aicore::NAME##Body<T>(scalar));                  \
    }                                                                                            \
    template <class T, bool isSetMask = true, class Mask, template <class> class Tensor>         \
    void NAME(const Tensor<T>& dst, const Tensor<T>& src, const aicore::Given<T>& scalar,        \
              Mask mask, std::uint8_t repeatTime, const UnaryRepeatParams& repeatParams) {       \
        NAME<T, isSetMask>(dst, src, scalar, mask, repeatTime, repeatParams,                     \
                           aicore::through_pointer);                                             \
    }                                                                                            \
    }

AICORE_BINARY(Add, false, AICORE_ADDED, x + y)
AICORE_BINARY(Sub, false, AICORE_ADDED, x - y)
AICORE_BINARY(Mul, false, AICORE_MULTIPLIED, x* y)
AICORE_BINARY(Div, false, AICORE_DIVIDED, quotient<T>(x, y))
AICORE_BINARY(Max, false, AICORE_COMPARED, x > y || x != x ? x : y)
AICORE_BINARY(Min, false, AICORE_COMPARED, x < y || x != x ? x : y)
AICORE_BINARY(FusedMulAdd, true, AICORE_FUSED, x* z + y)
AICORE_BINARY(FusedMulAddRelu, true, AICORE_FLOATS, std::max(x* z + y, decltype(x)(0)))
AICORE_BINARY(AddRelu, false, AICORE_ADDED_RELU, std::max<decltype(x + y)>(x + y, 0))
AICORE_BINARY(SubRelu, false, AICORE_ADDED_RELU, std::max<decltype(x - y)>(x - y, 0))
AICORE_BINARY(And, false, AICORE_BITS, x& y)
AICORE_BINARY(Or, false, AICORE_BITS, x | y)

AICORE_UNARY(Exp, AICORE_FLOATS, normal<T>(std::exp(normal<T>(x))))
AICORE_UNARY(Ln, AICORE_FLOATS, normal<T>(std::log(normal<T>(x))))
AICORE_UNARY(Abs, AICORE_FLOATS, std::fabs(x))
AICORE_UNARY(Sqrt, AICORE_FLOATS, normal<T>(std::sqrt(normal<T>(x))))
AICORE_UNARY(Rsqrt, AICORE_FLOATS, normal<T>(1 / std::sqrt(normal<T>(x))))
AICORE_UNARY(Reciprocal, AICORE_RECIPROCAL, normal<T>(1 / normal<T>(x)))
AICORE_UNARY(Relu, AICORE_RELU, x > 0 ? x : 0)
AICORE_UNARY(Not, AICORE_BITS, ~x)

AICORE_SCALAR(Adds, false, AICORE_SCALAR_ADDED, x + y)
AICORE_SCALAR(Muls, false, AICORE_SCALAR_MULTIPLIED, x* y)
AICORE_SCALAR(Maxs, false, AICORE_SCALAR_ADDED, x > y || x != x ? x : y)
AICORE_SCALAR(Mins, false, AICORE_SCALAR_ADDED, x < y || x != x ? x : y)
AICORE_SCALAR(LeakyRelu, false, AICORE_FLOATS, x >= 0 ? x : x * y)

namespace aicore {

/// `z + x * scalar`, where the destination may be wider than the source.
template <class To, class From>
auto axpy_body(From scalar) {
    static_assert(is_one_of<From, half, float>, "Axpy has no instruction for this type");
    return [y = widen(scalar)](To old, From value) {
        return static_cast<To>(widen(value) * y + widen(old));
    };
}

/// `x * y + z`, where the destination may be wider than the sources.
template <class To, class From>
auto mul_add_body() {
    static_assert(
        is_one_of<From, half, float> && (std::is_same_v<To, From> || std::is_same_v<To, float>),
        "MulAddDst has no instruction for these types");
    return [](To old, From first, From second) {
        return static_cast<To>(widen(first) * widen(second) + widen(old));
    };
}

/// A shift; one to the right rounds half a unit up if `rounds`.
template <class T>
auto shift_body(bool left, T bits, bool rounds = false) {
    return [left, bits, rounds](T /*old*/, T value) {
        const T half_unit = rounds && bits > 0 ? T(T(1) << (bits - 1)) : T(0);
        return static_cast<T>(left ? value << bits : (value + half_unit) >> bits);
    };
}

}  // namespace aicore

namespace AscendC {

template <class T, class U>
void Axpy(const LocalTensor<T>& dst, const LocalTensor<U>& src, const aicore::Given<U>& scalar,
          const std::int32_t& count, aicore::Site site = aicore::Site::here()) {
    aicore::with_count({"Axpy", aicore::Pipe::v, site}, count, true, dst,
                       aicore::axpy_body<T, U>(scalar), src);
}
template <class T, class U, bool isSetMask = true>
void Axpy(const LocalTensor<T>& dst, const LocalTensor<U>& src, const aicore::Given<U>& scalar,
          std::uint64_t mask, std::uint8_t repeatTime, const UnaryRepeatParams& repeatParams,
          aicore::Site site = aicore::Site::here()) {
    aicore::unary({"Axpy", aicore::Pipe::v, site}, isSetMask, true, dst, src, mask, repeatTime,
                  repeatParams, aicore::axpy_body<T, U>(scalar));
}

template <class T, class U>
void MulAddDst(const LocalTensor<T>& dst, const LocalTensor<U>& src0, const LocalTensor<U>& src1,
               const std::int32_t& count, aicore::Site site = aicore::Site::here()) {
    aicore::with_count({"MulAddDst", aicore::Pipe::v, site}, count, true, dst,
                       aicore::mul_add_body<T, U>(), src0, src1);
}
template <class T, class U, bool isSetMask = true, class Mask>
void MulAddDst(const LocalTensor<T>& dst, const LocalTensor<U>& src0, const LocalTensor<U>& src1,
               Mask mask, std::uint8_t repeatTime, const BinaryRepeatParams& repeatParams,
               aicore::Site site = aicore::Site::here()) {
    aicore::binary({"MulAddDst", aicore::Pipe::v, site}, isSetMask, true, dst, src0, src1, mask,
                   repeatTime, repeatParams, aicore::mul_add_body<T, U>());
}

template <class T, bool isSetMask = true>
void ShiftLeft(const LocalTensor<T>& dst, const LocalTensor<T>& src, const aicore::Given<T>& bits,
               const std::int32_t& count, aicore::Site site = aicore::Site::here()) {
    aicore::with_count(
        {"ShiftLeft", aicore::Pipe::v, site}, count, false, dst,
        [bits](T, T value) { return static_cast<T>(value << bits); }, src);
}
template <class T, bool isSetMask = true>
void ShiftLeft(const LocalTensor<T>& dst, const LocalTensor<T>& src, const aicore::Given<T>& bits,
               std::uint64_t mask, std::uint8_t repeatTime, const UnaryRepeatParams& repeatParams,
               aicore::Site site = aicore::Site::here()) {
    aicore::unary({"ShiftLeft", aicore::Pipe::v, site}, isSetMask, false, dst, src, mask,
                  repeatTime, repeatParams, aicore::shift_body<T>(true, bits));
}
template <class T, bool isSetMask = true>
void ShiftRight(const LocalTensor<T>& dst, const LocalTensor<T>& src, const aicore::Given<T>& bits,
                const std::int32_t& count, aicore::Site site = aicore::Site::here()) {
    aicore::with_count(
        {"ShiftRight", aicore::Pipe::v, site}, count, false, dst,
        [bits](T, T value) { return static_cast<T>(value >> bits); }, src);
}
template <class T, bool isSetMask = true>
void ShiftRight(const LocalTensor<T>& dst, const LocalTensor<T>& src, const aicore::Given<T>& bits,
                std::uint64_t mask, std::uint8_t repeatTime, const UnaryRepeatParams& repeatParams,
                bool roundEn = false, aicore::Site site = aicore::Site::here()) {
    aicore::unary({"ShiftRight", aicore::Pipe::v, site}, isSetMask, false, dst, src, mask,
                  repeatTime, repeatParams, aicore::shift_body<T>(false, bits, roundEn));
}

}  // namespace AscendC

namespace aicore {

/// `a + b` and the like, until it is assigned to a tensor.
template <class T>
struct Sum {
    const AscendC::LocalTensor<T>& first;
    const AscendC::LocalTensor<T>& second;
    void (*instruction)(const AscendC::LocalTensor<T>&, const AscendC::LocalTensor<T>&,
                        const AscendC::LocalTensor<T>&, const std::int32_t&, Site);
    Site site;
};

}  // namespace aicore

namespace AscendC {

#define AICORE_OPERATOR(SYMBOL, NAME)                                                           \
    template <class T>                                                                          \
    aicore::Sum<T> operator SYMBOL(const LocalTensor<T>& first, const LocalTensor<T>& second) { \
        return {first, second, &NAME<T>, {#NAME " of two tensors", 0}};                         \
    }

AICORE_OPERATOR(+, Add)
AICORE_OPERATOR(-, Sub)
AICORE_OPERATOR(*, Mul)
AICORE_OPERATOR(/, Div)
AICORE_OPERATOR(&, And)
AICORE_OPERATOR(|, Or)

template <class T>
LocalTensor<T>& LocalTensor<T>::operator=(const aicore::Sum<T>& sum) {
    sum.instruction(*this, sum.first, sum.second, static_cast<std::int32_t>(GetSize()), sum.site);
    return *this;
}

}  // namespace AscendC
