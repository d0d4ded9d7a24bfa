// What scalar code of a kernel calls: the device compiler's functions, and small ones of AscendC.
#pragma once

#include <algorithm>
#include <cmath>
#include <tuple>
#include <type_traits>
#include <utility>

#include "ascendc/vector_engine.h"

// The device's compiler has these without a header. Two types, so that `std::min` wins if a kernel
// also uses namespace std.
template <class First, class Second>
constexpr std::common_type_t<First, Second> min(First first, Second second) {
    using Both = std::common_type_t<First, Second>;
    return static_cast<Both>(second) < static_cast<Both>(first) ? static_cast<Both>(second)
                                                                : static_cast<Both>(first);
}
template <class First, class Second>
constexpr std::common_type_t<First, Second> max(First first, Second second) {
    using Both = std::common_type_t<First, Second>;
    return static_cast<Both>(first) < static_cast<Both>(second) ? static_cast<Both>(second)
                                                                : static_cast<Both>(first);
}

#ifndef likely
#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)
#endif

/// The zeros before the highest bit that is set.
inline std::int64_t clz(std::uint64_t value) { return value == 0 ? 64 : __builtin_clzll(value); }

namespace AscendC {

/// The address by which a device's cores wait for one another; the emulated ones need none.
inline void SetSyncBaseAddr(std::uint64_t /*address*/) {}

constexpr std::uint32_t GetDataBlockSizeInBytes() { return ONE_BLK_SIZE; }
inline std::uint32_t GetUBSizeInBytes() { return aicore::Core::bytes(aicore::Space::ub); }
inline std::uint32_t GetRuntimeUBSize() { return GetUBSizeInBytes(); }
constexpr std::uint32_t GetVecLen() { return ONE_REPEAT_BYTE_SIZE; }

/// The quotient rounded up.
constexpr std::int64_t CeilDivision(std::int64_t value, std::int64_t divisor) {
    return divisor == 0 ? 0 : (value + divisor - 1) / divisor;
}

constexpr std::uint32_t DivCeil(std::uint32_t value, std::uint32_t divisor) {
    return static_cast<std::uint32_t>(CeilDivision(value, divisor));
}
/// The quotient of two numbers, rounded up.
template <class Value, class Divisor, std::enable_if_t<std::is_integral_v<Value>, bool> = true>
constexpr auto Ceil(Value value, Divisor divisor) {
    return (value + divisor - 1) / divisor;
}
/// The same; a kernel's own CeilDiv of two numbers is preferred to this one.
template <class... Values>
constexpr auto CeilDiv(Values... values) {
    return Ceil(values...);
}
/// The next multiple of a unit; a kernel's own CeilAlign is preferred to this one.
template <class... Values>
constexpr auto CeilAlign(Values... values) {
    return [](auto value, auto unit) { return Ceil(value, unit) * unit; }(values...);
}

// The bits of what is not finite in fp32.
constexpr std::uint32_t F32_INF = 0x7F800000;
constexpr std::uint32_t F32_NEG_INF = 0xFF800000;
constexpr std::uint32_t F32_NAN = 0x7FC00000;
constexpr std::uint32_t AlignUp(std::uint32_t value, std::uint32_t unit) {
    return DivCeil(value, unit) * unit;
}

/// How many bits of `value` are `countValue`.
template <int countValue>
std::int64_t ScalarGetCountOfValue(std::uint64_t value) {
    const std::int64_t ones = __builtin_popcountll(value);
    return countValue == 1 ? ones : 64 - ones;
}
template <int countValue>
std::int64_t GetBitCount(std::uint64_t value) {
    return ScalarGetCountOfValue<countValue>(value);
}
/// The zeros before the highest bit that is set.
inline std::int64_t ScalarCountLeadingZero(std::uint64_t value) {
    return value == 0 ? 64 : __builtin_clzll(value);
}
inline std::int64_t CountLeadingZero(std::uint64_t value) { return ScalarCountLeadingZero(value); }
/// The bits after the sign that equal it.
inline std::int64_t CountBitsCntSameAsSignBit(std::int64_t value) {
    return __builtin_clrsbll(value);
}
/// The lowest bit that is `countValue`, or -1.
template <int countValue>
std::int64_t ScalarGetSFFValue(std::uint64_t value) {
    const std::uint64_t bits = countValue == 1 ? value : ~value;
    return bits == 0 ? -1 : __builtin_ctzll(bits);
}
template <int countValue>
std::int64_t GetSFFValue(std::uint64_t value) {
    return ScalarGetSFFValue<countValue>(value);
}

template <class To>
To Cast(float value) {
    return static_cast<To>(value);
}
inline float Cast(bfloat16_t value) { return value; }

/// Bits of the control register, which the emulated instructions do not depend on.
template <std::int8_t startBit, std::int8_t endBit>
void SetCtrlSpr(std::int64_t value, aicore::Site site = aicore::Site::here()) {
    constexpr int width = endBit - startBit + 1;
    constexpr std::uint64_t ones = width >= 64 ? ~0ULL : (1ULL << width) - 1;
    aicore::core->control = (aicore::core->control & ~(ones << startBit)) |
                            (static_cast<std::uint64_t>(value) & ones) << startBit;
    if constexpr (__NPU_ARCH__ == 3510 && startBit <= 48 && endBit >= 48) {
        aicore::core->require(
            (aicore::core->control >> 48 & 1) != 0, "unsupported",
            "SetCtrlSpr: results of half that saturate (bit 48 is 0) are not emulated", site);
    }
}
template <std::int8_t startBit, std::int8_t endBit>
std::int64_t GetCtrlSpr() {
    constexpr int width = endBit - startBit + 1;
    constexpr std::uint64_t ones = width >= 64 ? ~0ULL : (1ULL << width) - 1;
    return static_cast<std::int64_t>(aicore::core->control >> startBit & ones);
}
template <std::int8_t startBit, std::int8_t endBit>
void ResetCtrlSpr() {
    SetCtrlSpr<startBit, endBit>(0);
}

/// The masks of older kernels, which name lanes of the type.
struct AscendCUtils {
    template <class T, bool isSetMask = true>
    static void SetMask(std::int32_t length) {
        SetVectorMask<T>(length);
    }
    template <class T, bool isSetMask = true>
    static void SetMask(std::uint64_t high, std::uint64_t low) {
        SetVectorMask<T>(high, low);
    }
    static void SetOverflow(std::uint64_t /*mode*/) {}  // the emulated casts do not depend on it
    static std::uint64_t GetRsvdCnt() { return aicore::core->kept; }
    static void ResetMask() { ::AscendC::ResetMask(); }
    static constexpr std::int32_t GetC0Count(std::int32_t bytes) { return ONE_BLK_SIZE / bytes; }
};

/// The compile-time library of kernels, which has the names of C++'s.
namespace Std {
using std::abs;
using std::add_const;
using std::add_const_t;
using std::add_cv;
using std::add_cv_t;
using std::add_lvalue_reference_t;
using std::add_pointer;
using std::add_pointer_t;
using std::add_rvalue_reference;
using std::add_rvalue_reference_t;
using std::add_volatile;
using std::add_volatile_t;
using std::bool_constant;
using std::conditional;
using std::conditional_t;
using std::conjunction;
using std::conjunction_v;
using std::decay;
using std::decay_t;
using std::declval;
using std::disjunction;
using std::disjunction_v;
using std::enable_if;
using std::enable_if_t;
using std::exchange;
using std::extent;
using std::extent_v;
using std::false_type;
using std::forward;
using std::get;
using std::index_sequence;
using std::index_sequence_for;
using std::integer_sequence;
using std::integral_constant;
using std::is_arithmetic;
using std::is_arithmetic_v;
using std::is_array;
using std::is_array_v;
using std::is_base_of;
using std::is_base_of_v;
using std::is_class;
using std::is_class_v;
using std::is_const;
using std::is_const_v;
using std::is_constructible;
using std::is_constructible_v;
using std::is_convertible;
using std::is_convertible_v;
using std::is_empty;
using std::is_empty_v;
using std::is_enum;
using std::is_enum_v;
using std::is_floating_point;
using std::is_floating_point_v;
using std::is_function;
using std::is_function_v;
using std::is_integral;
using std::is_integral_v;
using std::is_lvalue_reference;
using std::is_lvalue_reference_v;
using std::is_pointer;
using std::is_pointer_v;
using std::is_reference;
using std::is_reference_v;
using std::is_rvalue_reference;
using std::is_rvalue_reference_v;
using std::is_same;
template <class T, class U>
using IsSame = std::is_same<T, U>;
using std::is_same_v;
using std::is_scalar;
using std::is_scalar_v;
using std::is_signed;
using std::is_signed_v;
using std::is_unsigned;
using std::is_unsigned_v;
using std::is_void;
using std::is_void_v;
using std::is_volatile;
using std::is_volatile_v;
using std::make_index_sequence;
using std::make_pair;
using std::make_signed;
using std::make_signed_t;
using std::make_tuple;
using std::make_unsigned;
using std::make_unsigned_t;
using std::max;
using std::min;
using std::move;
using std::negation;
using std::negation_v;
using std::pair;
using std::rank;
using std::rank_v;
using std::remove_all_extents;
using std::remove_all_extents_t;
using std::remove_const;
using std::remove_const_t;
using std::remove_cv;
using std::remove_cv_t;
using std::remove_extent;
using std::remove_extent_t;
using std::remove_pointer;
using std::remove_pointer_t;
using std::remove_reference;
using std::remove_reference_t;
using std::remove_volatile;
using std::remove_volatile_t;
using std::sqrt;
using std::swap;
using std::tie;
using std::true_type;
using std::tuple;
using std::tuple_element;
using std::tuple_element_t;
using std::tuple_size;
using std::tuple_size_v;
using std::underlying_type;
using std::underlying_type_t;
using std::void_t;
template <std::size_t value>
using Int = std::integral_constant<std::size_t, value>;
}  // namespace Std

}  // namespace AscendC
