// Instructions on registers with one result per element.
#pragma once

#include "ascendc/register_memory.h"

namespace AscendC {

// How exact a function is; only the choice that keeps subnormal numbers changes the emulated
// values.
enum class ExpAlgo : std::uint8_t { INTRINSIC, PRECISION_1ULP_FTZ_TRUE, PRECISION_1ULP_FTZ_FALSE };
enum class LnAlgo : std::uint8_t { INTRINSIC, PRECISION_1ULP_FTZ_TRUE, PRECISION_1ULP_FTZ_FALSE };
enum class LogAlgo : std::uint8_t { INTRINSIC, PRECISION_1ULP_FTZ_TRUE, PRECISION_1ULP_FTZ_FALSE };
enum class Log2Algo : std::uint8_t { INTRINSIC, PRECISION_1ULP_FTZ_TRUE, PRECISION_1ULP_FTZ_FALSE };
enum class Log10Algo : std::uint8_t {
    INTRINSIC,
    PRECISION_1ULP_FTZ_TRUE,
    PRECISION_1ULP_FTZ_FALSE
};
enum class DivAlgo : std::uint8_t {
    INTRINSIC,
    DIFF_COMPENSATION,
    PRECISION_1ULP_FTZ_TRUE,
    PRECISION_0ULP_FTZ_TRUE,
    PRECISION_0ULP_FTZ_FALSE,
    PRECISION_1ULP_FTZ_FALSE
};
enum class SqrtAlgo : std::uint8_t {
    INTRINSIC,
    FAST_INVERSE,
    PRECISION_1ULP_FTZ_TRUE,
    PRECISION_0ULP_FTZ_FALSE,
    PRECISION_1ULP_FTZ_FALSE
};

namespace Reg {

struct ExpSpecificMode {
    MaskMergeMode mrgMode = MaskMergeMode::ZEROING;
    ExpAlgo algo = ExpAlgo::INTRINSIC;
};
struct LnSpecificMode {
    MaskMergeMode mrgMode = MaskMergeMode::ZEROING;
    LnAlgo algo = LnAlgo::INTRINSIC;
};
struct LogSpecificMode {
    MaskMergeMode mrgMode = MaskMergeMode::ZEROING;
    LogAlgo algo = LogAlgo::INTRINSIC;
};
struct Log2SpecificMode {
    MaskMergeMode mrgMode = MaskMergeMode::ZEROING;
    Log2Algo algo = Log2Algo::INTRINSIC;
};
struct Log10SpecificMode {
    MaskMergeMode mrgMode = MaskMergeMode::ZEROING;
    Log10Algo algo = Log10Algo::INTRINSIC;
};
struct DivSpecificMode {
    MaskMergeMode mrgMode = MaskMergeMode::ZEROING;
    bool precisionMode = false;
    DivAlgo algo = DivAlgo::INTRINSIC;
};
struct SqrtSpecificMode {
    MaskMergeMode mrgMode = MaskMergeMode::ZEROING;
    bool precisionMode = false;
    SqrtAlgo algo = SqrtAlgo::INTRINSIC;
};

}  // namespace Reg
}  // namespace AscendC

namespace aicore {

constexpr bool keeps_subnormals(AscendC::DivAlgo algo) {
    return algo == AscendC::DivAlgo::PRECISION_0ULP_FTZ_FALSE ||
           algo == AscendC::DivAlgo::PRECISION_1ULP_FTZ_FALSE;
}
constexpr bool keeps_subnormals(AscendC::SqrtAlgo algo) {
    return algo == AscendC::SqrtAlgo::FAST_INVERSE ||
           algo == AscendC::SqrtAlgo::PRECISION_0ULP_FTZ_FALSE ||
           algo == AscendC::SqrtAlgo::PRECISION_1ULP_FTZ_FALSE;
}
template <class Algorithm>
constexpr bool keeps_subnormals(Algorithm algo) {
    return algo == Algorithm::PRECISION_1ULP_FTZ_FALSE;
}

/// A value as a function with this `mode` takes and gives it for elements of type T.
template <class T, auto mode>
float flushed(float value) {
    if constexpr (std::is_same_v<decltype(mode), MaskMergeMode>) {
        return normal<T>(value);
    } else {
        return keeps_subnormals(mode->algo) ? value : normal<T>(value);
    }
}

template <class T, auto mode>
T register_quotient(T value, T divisor) {
    if constexpr (std::is_integral_v<T>) {
        return quotient<T>(value, divisor);
    } else {
        return static_cast<T>(
            flushed<T, mode>(flushed<T, mode>(widen(value)) / flushed<T, mode>(widen(divisor))));
    }
}

// Integers wrap; floats of 16 bits are computed in fp32 and rounded once.
template <class T>
using Wrapping = std::conditional_t<std::is_integral_v<T>, std::uint64_t, float>;
template <class T>
Wrapping<T> wide(T value) {
    return static_cast<Wrapping<T>>(value);
}

/// A shift by any number of bits.
template <class T>
T shifted_left(T value, std::int64_t bits) {
    constexpr std::int64_t width = sizeof(T) * 8;
    return bits >= width ? T(0) : static_cast<T>(static_cast<std::uint64_t>(value) << bits);
}
template <class T>
T shifted_right(T value, std::int64_t bits) {
    constexpr std::int64_t width = sizeof(T) * 8;
    return static_cast<T>(bits < width ? value >> bits : value < 0 ? T(-1) : T(0));
}

inline std::int64_t shift_of(const Instruction& instruction, std::int64_t bits) {
    core->require(bits >= 0, "range", "a shift by a negative number of bits is not defined",
                  instruction.site);
    return std::max<std::int64_t>(bits, 0);
}

}  // namespace aicore

#define AICORE_REG_INTEGERS                                                              \
    std::int8_t, std::uint8_t, std::int16_t, std::uint16_t, std::int32_t, std::uint32_t, \
        std::int64_t, std::uint64_t
#define AICORE_REG_FUSED half, bfloat16_t, float
#define AICORE_REG_WORDS std::int32_t, std::uint32_t
#define AICORE_REG_SIGNED std::int8_t, std::int16_t, half, std::int32_t, float, std::int64_t

#define AICORE_REG_CHECK(NAME, REGISTER, MERGES, ...)                                             \
    using E = aicore::ElementOfRegister<REGISTER>;                                                \
    static_assert(aicore::is_type_of<T, REGISTER>, #NAME ": T must be the type of the register"); \
    static_assert(aicore::is_one_of<E, __VA_ARGS__>, #NAME " has no instruction for this type");  \
    constexpr bool merges = aicore::merge_mode<mode>() == MaskMergeMode::MERGING;                 \
    static_assert(MERGES || !merges, #NAME " supports MaskMergeMode::ZEROING only");              \
    const aicore::Instruction instruction AICORE_NOTE(#NAME);

// x and y are the sources, and z is what the destination held.
#define AICORE_REG_BINARY(NAME, MODE, TYPES, MERGES, EXPRESSION)                             \
    template <class T = DefaultType, MODE mode = MaskMergeMode::ZEROING, aicore::Register U> \
    void NAME(U& dstReg, U& srcReg0, U& srcReg1, MaskReg& mask, AICORE_SITE) {               \
        AICORE_REG_CHECK(NAME, U, MERGES, TYPES)                                             \
        aicore::per_lane(                                                                    \
            instruction, dstReg, mask, merges,                                               \
            [](E x, E y) { return static_cast<E>(EXPRESSION); }, srcReg0, srcReg1);          \
    }
#define AICORE_REG_TERNARY(NAME, TYPES, EXPRESSION)                                           \
    template <class T = DefaultType, MaskMergeMode mode = MaskMergeMode::ZEROING,             \
              aicore::Register U>                                                             \
    void NAME(U& dstReg, U& srcReg0, U& srcReg1, MaskReg& mask, AICORE_SITE) {                \
        AICORE_REG_CHECK(NAME, U, false, TYPES)                                               \
        const U old = dstReg;                                                                 \
        aicore::per_lane(                                                                     \
            instruction, dstReg, mask, merges,                                                \
            [](E x, E y, E z) { return static_cast<E>(EXPRESSION); }, srcReg0, srcReg1, old); \
    }
#define AICORE_REG_SCALAR(NAME, TYPES, EXPRESSION)                                              \
    template <class T = DefaultType, class U, MaskMergeMode mode = MaskMergeMode::ZEROING,      \
              aicore::Register S>                                                               \
    void NAME(S& dstReg, S& srcReg, U scalarValue, MaskReg& mask, AICORE_SITE) {                \
        AICORE_REG_CHECK(NAME, S, false, TYPES)                                                 \
        const E y = static_cast<E>(scalarValue);                                                \
        aicore::per_lane(                                                                       \
            instruction, dstReg, mask, merges, [y](E x) { return static_cast<E>(EXPRESSION); }, \
            srcReg);                                                                            \
    }
#define AICORE_REG_UNARY(NAME, MODE, TYPES, EXPRESSION)                                        \
    template <class T = DefaultType, MODE mode = MaskMergeMode::ZEROING, aicore::Register U>   \
    void NAME(U& dstReg, U& srcReg, MaskReg& mask, AICORE_SITE) {                              \
        AICORE_REG_CHECK(NAME, U, false, TYPES)                                                \
        aicore::per_lane(                                                                      \
            instruction, dstReg, mask, merges, [](E x) { return static_cast<E>(EXPRESSION); }, \
            srcReg);                                                                           \
    }
/// A function in fp32 that takes and gives no subnormal number, unless `mode` chooses so.
#define AICORE_REG_FUNCTION(NAME, FUNCTION) \
    AICORE_REG_UNARY(                       \
        NAME, auto, AICORE_FLOATS,          \
        (aicore::flushed<E, mode>(FUNCTION(aicore::flushed<E, mode>(aicore::widen(x))))))

namespace AscendC::Reg {

using aicore::wide;
using aicore::widen;

AICORE_REG_BINARY(Add, MaskMergeMode, AICORE_ADDED, true, wide(x) + wide(y))
AICORE_REG_BINARY(Sub, MaskMergeMode, AICORE_ADDED, true, wide(x) - wide(y))
AICORE_REG_BINARY(Mul, MaskMergeMode, AICORE_MULTIPLIED, false, wide(x) * wide(y))
AICORE_REG_BINARY(Div, auto, AICORE_DIVIDED, false, (aicore::register_quotient<E, mode>(x, y)))
AICORE_REG_BINARY(Max, MaskMergeMode, AICORE_COMPARED, true,
                  x > y || x != x || (x == y && !std::signbit(static_cast<double>(x))) ? x : y)
AICORE_REG_BINARY(Min, MaskMergeMode, AICORE_COMPARED, true,
                  x < y || x != x || (x == y && std::signbit(static_cast<double>(x))) ? x : y)
AICORE_REG_BINARY(And, MaskMergeMode, AICORE_REG_INTEGERS, false, x& y)
AICORE_REG_BINARY(Or, MaskMergeMode, AICORE_REG_INTEGERS, false, x | y)
AICORE_REG_BINARY(Xor, MaskMergeMode, AICORE_REG_INTEGERS, false, x ^ y)
AICORE_REG_BINARY(Prelu, MaskMergeMode, AICORE_FLOATS, false,
                  widen(x) >= 0 ? widen(x) : widen(x) * widen(y))
AICORE_REG_BINARY(AbsSub, MaskMergeMode, AICORE_FLOATS, false, std::fabs(widen(x) - widen(y)))

AICORE_REG_TERNARY(MulAddDst, AICORE_MULTIPLIED, wide(x) * wide(y) + wide(z))
AICORE_REG_TERNARY(MulDstAdd, AICORE_REG_FUSED, wide(z) * wide(x) + wide(y))

AICORE_REG_SCALAR(Adds, AICORE_ADDED, wide(x) + wide(y))
AICORE_REG_SCALAR(Muls, AICORE_MULTIPLIED, wide(x) * wide(y))
AICORE_REG_SCALAR(Maxs, AICORE_COMPARED, x > y || x != x ? x : y)
AICORE_REG_SCALAR(Mins, AICORE_COMPARED, x < y || x != x ? x : y)
AICORE_REG_SCALAR(LeakyRelu, AICORE_FLOATS, widen(x) >= 0 ? widen(x) : widen(x) * widen(y))

AICORE_REG_UNARY(Abs, MaskMergeMode, AICORE_REG_SIGNED, x < 0 ? -wide(x) : wide(x))
AICORE_REG_UNARY(Neg, MaskMergeMode, AICORE_REG_SIGNED, -wide(x))
AICORE_REG_UNARY(Relu, MaskMergeMode, AICORE_RELU, x > 0 ? x : E(0))
AICORE_REG_UNARY(Not, MaskMergeMode, AICORE_REG_INTEGERS, ~x)
AICORE_REG_FUNCTION(Exp, std::exp)
AICORE_REG_FUNCTION(Sqrt, std::sqrt)
AICORE_REG_FUNCTION(Ln, std::log)
AICORE_REG_FUNCTION(Log, std::log)
AICORE_REG_FUNCTION(Log2, std::log2)
AICORE_REG_FUNCTION(Log10, std::log10)

/// dst + scalar * src.
template <class T = DefaultType, class U, MaskMergeMode mode = MaskMergeMode::ZEROING,
          aicore::Register S>
void Axpy(S& dstReg, S& srcReg, const U scalarValue, MaskReg& mask, AICORE_SITE) {
    AICORE_REG_CHECK(Axpy, S, false, AICORE_FLOATS)
    const S old = dstReg;
    const E y = static_cast<E>(scalarValue);
    aicore::per_lane(
        instruction, dstReg, mask, merges,
        [y](E x, E z) { return static_cast<E>(widen(y) * widen(x) + widen(z)); }, srcReg, old);
}

// Shifts by a register, and by a number.
#define AICORE_REG_SHIFT(NAME, FUNCTION)                                                           \
    template <class T = DefaultType, class U = DefaultType,                                        \
              MaskMergeMode mode = MaskMergeMode::ZEROING, aicore::Register S, aicore::Register V> \
    void NAME(S& dstReg, S& srcReg0, V& srcReg1, MaskReg& mask, AICORE_SITE) {                     \
        AICORE_REG_CHECK(NAME, S, false, AICORE_REG_INTEGERS)                                      \
        aicore::per_lane(                                                                          \
            instruction, dstReg, mask, merges,                                                     \
            [&](E x, auto bits) {                                                                  \
                return aicore::FUNCTION(x, aicore::shift_of(instruction, bits));                   \
            },                                                                                     \
            srcReg0, srcReg1);                                                                     \
    }                                                                                              \
    template <class T = DefaultType, class U, MaskMergeMode mode = MaskMergeMode::ZEROING,         \
              aicore::Register S>                                                                  \
    void NAME##s(S& dstReg, S& srcReg, U scalarValue, MaskReg& mask, AICORE_SITE) {                \
        AICORE_REG_CHECK(NAME##s, S, false, AICORE_REG_INTEGERS)                                   \
        const std::int64_t bits = aicore::shift_of(instruction, scalarValue);                      \
        aicore::per_lane(                                                                          \
            instruction, dstReg, mask, merges, [bits](E x) { return aicore::FUNCTION(x, bits); },  \
            srcReg);                                                                               \
    }

AICORE_REG_SHIFT(ShiftLeft, shifted_left)
AICORE_REG_SHIFT(ShiftRight, shifted_right)

/// The low and the high half of each product.
template <class T = DefaultType, aicore::Register U>
void Mull(U& dstReg0, U& dstReg1, U& srcReg0, U& srcReg1, MaskReg& mask, AICORE_SITE) {
    constexpr MaskMergeMode mode = MaskMergeMode::ZEROING;
    AICORE_REG_CHECK(Mull, U, false, AICORE_REG_WORDS)
    using Wide = std::conditional_t<std::is_signed_v<E>, std::int64_t, std::uint64_t>;
    const U first = srcReg0;
    const U second = srcReg1;
    const auto product = [](E x, E y) { return static_cast<Wide>(x) * static_cast<Wide>(y); };
    aicore::per_lane(
        instruction, dstReg0, mask, merges, [&](E x, E y) { return static_cast<E>(product(x, y)); },
        first, second);
    aicore::per_lane(
        instruction, dstReg1, mask, merges,
        [&](E x, E y) { return static_cast<E>(product(x, y) >> 32); }, first, second);
}

// Former names.
template <class T = DefaultType, MaskMergeMode mode = MaskMergeMode::ZEROING, aicore::Register U>
void FusedMulDstAdd(U& dstReg, U& srcReg0, U& srcReg1, MaskReg& mask, AICORE_SITE) {
    MulDstAdd<T, mode>(dstReg, srcReg0, srcReg1, mask, site);
}
template <class T = DefaultType, MaskMergeMode mode = MaskMergeMode::ZEROING, aicore::Register U>
void FusedAbsSub(U& dstReg, U& srcReg0, U& srcReg1, MaskReg& mask, AICORE_SITE) {
    AbsSub<T, mode>(dstReg, srcReg0, srcReg1, mask, site);
}

}  // namespace AscendC::Reg

namespace aicore {

/// The bits of a comparison of elements that a mask selects.
template <AscendC::CMPMODE mode, Register R, class Other>
MaskReg compared(const Instruction& instruction, const R& first, const MaskReg& mask, Other other) {
    require_mask(instruction, mask);
    MaskReg result;
    result.is_set = true;
    for (std::uint32_t lane = 0; lane < R::lanes; ++lane) {
        if (!selects<R>(mask, lane) || !require_known(instruction, first.flaw(lane))) {
            continue;
        }
        const auto x = first.get(lane);
        const auto y = other(lane);
        using AscendC::CMPMODE;
        const bool holds = mode == CMPMODE::LT   ? x < y
                           : mode == CMPMODE::GT ? x > y
                           : mode == CMPMODE::EQ ? x == y
                           : mode == CMPMODE::LE ? x <= y
                           : mode == CMPMODE::GE ? x >= y
                                                 : x != y;
        if (holds) {
            result.turn_on(lane * mask_step<R>);
        }
    }
    return result;
}

}  // namespace aicore

namespace AscendC::Reg {

template <class T = DefaultType, CMPMODE mode = CMPMODE::EQ, aicore::Register U>
void Compare(MaskReg& dst, U& srcReg0, U& srcReg1, MaskReg& mask, AICORE_SITE) {
    static_assert(aicore::is_type_of<T, U>, "Compare: T must be the type of the registers");
    const aicore::Instruction instruction AICORE_NOTE("Compare");
    dst = aicore::compared<mode>(instruction, srcReg0, mask, [&](std::uint32_t lane) {
        aicore::require_known(instruction, srcReg1.flaw(lane));
        return srcReg1.get(lane);
    });
}
template <class T = DefaultType, CMPMODE mode = CMPMODE::EQ, aicore::Register U, class S>
void Compares(MaskReg& dst, U& srcReg, S scalarValue, MaskReg& mask, AICORE_SITE) {
    static_assert(aicore::is_type_of<T, U>, "Compares: T must be the type of the register");
    const auto number = static_cast<aicore::ElementOfRegister<U>>(scalarValue);
    dst = aicore::compared<mode>(AICORE_NOTE("Compares"), srcReg, mask,
                                 [number](std::uint32_t /*lane*/) { return number; });
}
template <class T = DefaultType, CMPMODE mode = CMPMODE::EQ, aicore::Register U, class S>
void CompareScalar(MaskReg& dst, U& srcReg, S scalarValue, MaskReg& mask, AICORE_SITE) {
    Compares<T, mode>(dst, srcReg, scalarValue, mask, site);
}

/// Elements of the first source if the mask selects them, else of the second.
template <class T = DefaultType, aicore::Register U>
void Select(U& dstReg, U& srcReg0, U& srcReg1, MaskReg& mask, AICORE_SITE) {
    aicore::require_mask(AICORE_NOTE("Select"), mask);
    U result = srcReg1;
    for (std::uint32_t lane = 0; lane < U::lanes; ++lane) {
        if (aicore::selects<U>(mask, lane)) {
            result.set(lane, srcReg0.get(lane), srcReg0.flaw(lane));
        }
    }
    dstReg = result;
}

}  // namespace AscendC::Reg
