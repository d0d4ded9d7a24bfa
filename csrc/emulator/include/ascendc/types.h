// The types, qualifiers and enumerations of Ascend C.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "ascendc/core.h"

// Qualifiers of the device's compiler, which mean nothing on a host.
// NOLINTBEGIN(bugprone-reserved-identifier): the names are CANN's
#define __aicore__
#ifndef __global__  // bisheng keeps the word if it looks for kernels in a preprocessed source
#define __global__
#endif
#define __gm__
#define __ubuf__
#define __cbuf__
#define __ca__
#define __cb__
#define __cc__
#define __fbuf__
#define __sync_alias__
#define __sync_noalias__
#define __check_sync_alias__
#define __vector__
#define __cube__
#define __mix__(cube, vector)
#define __schedmode__(mode)
#define __forceinline__ inline
#define __disable_kernel_type_autoinfer__
#define __tiling_data_ptr__
#define __in_pipe__(pipe)
#define __out_pipe__(pipe)
#define __inout_pipe__(pipe)
#define __no_simd_vf_fusion__
// NOLINTEND(bugprone-reserved-identifier)

using GM_ADDR = __gm__ std::uint8_t*;

#if defined(__FLT16_MANT_DIG__)
using half = _Float16;
#elif defined(__ARM_FP16_FORMAT_IEEE)
using half = __fp16;
#else
#error "the emulated AI core requires a compiler with a 16-bit floating type, such as GCC 12"
#endif

/// A float of 16 bits with the exponent of fp32. Conversions from float round to the nearest even.
struct bfloat16_t {
    std::uint16_t bits;

    bfloat16_t() = default;
    bfloat16_t(float value) {  // NOLINT(google-explicit-constructor): as on the device
        std::uint32_t wide = 0;
        std::memcpy(&wide, &value, sizeof wide);
        bits = value != value
                   ? 0x7FC0
                   : static_cast<std::uint16_t>((wide + 0x7FFF + (wide >> 16 & 1)) >> 16);
    }
    operator float() const {  // NOLINT(google-explicit-constructor)
        const std::uint32_t wide = std::uint32_t{bits} << 16;
        float value = 0;
        std::memcpy(&value, &wide, sizeof value);
        return value;
    }
};

enum pipe_t {
    PIPE_S = 0,
    PIPE_V,
    PIPE_M,
    PIPE_MTE1,
    PIPE_MTE2,
    PIPE_MTE3,
    PIPE_ALL,
    PIPE_MTE4,
    PIPE_MTE5,
    PIPE_V2,
    PIPE_FIX = 10
};

enum event_t {
    EVENT_ID0 = 0,
    EVENT_ID1,
    EVENT_ID2,
    EVENT_ID3,
    EVENT_ID4,
    EVENT_ID5,
    EVENT_ID6,
    EVENT_ID7
};

namespace aicore {

constexpr Pipe pipe_of(pipe_t pipe) {
    return pipe == PIPE_S      ? Pipe::s
           : pipe == PIPE_V    ? Pipe::v
           : pipe == PIPE_M    ? Pipe::m
           : pipe == PIPE_MTE1 ? Pipe::mte1
           : pipe == PIPE_MTE2 ? Pipe::mte2
           : pipe == PIPE_MTE3 ? Pipe::mte3
           : pipe == PIPE_FIX  ? Pipe::fix
                               : Pipe::all;
}

template <class T>
constexpr Element element_of() {
    return std::is_same_v<T, float>          ? Element::f32
           : std::is_same_v<T, half>         ? Element::f16
           : std::is_same_v<T, bfloat16_t>   ? Element::bf16
           : std::is_same_v<T, std::int32_t> ? Element::i32
           : std::is_same_v<T, std::int16_t> ? Element::i16
           : std::is_same_v<T, std::int8_t>  ? Element::i8
                                             : Element::other;
}

/// The type without deduction, so that `Adds(tensor_of_half, tensor_of_half, 1.0f, n)` compiles.
template <class T>
struct Same {
    using type = T;
};
template <class T>
using Given = typename Same<T>::type;

}  // namespace aicore

namespace AscendC {

enum class TPosition : std::uint8_t {
    GM,
    A1,
    A2,
    B1,
    B2,
    C1,
    C2,
    CO1,
    CO2,
    VECIN,
    VECOUT,
    VECCALC,
    LCM = VECCALC,
    SPM,
    SHM = SPM,
    TSCM,
    C2PIPE2GM,
    C2PIPE2LOCAL,
    MAX
};
using QuePosition = TPosition;

enum class Hardware : std::uint8_t { GM, UB, L1, L0A, L0B, L0C, BIAS, FIXBUF, MAX };

enum class HardEvent : std::uint8_t {
    MTE2_MTE1,
    MTE1_MTE2,
    MTE1_M,
    M_MTE1,
    MTE2_V,
    V_MTE2,
    MTE3_V,
    V_MTE3,
    M_V,
    V_M,
    V_V,
    MTE3_MTE1,
    MTE1_MTE3,
    MTE1_V,
    MTE2_M,
    M_MTE2,
    V_MTE1,
    M_FIX,
    FIX_M,
    MTE3_MTE2,
    MTE2_MTE3,
    S_V,
    V_S,
    S_MTE2,
    MTE2_S,
    S_MTE3,
    MTE3_S,
    MTE2_FIX,
    FIX_MTE2,
    FIX_S,
    S_FIX,
    M_S,
    S_M,
    FIX_MTE3,
    MTE3_FIX,
    MTE1_FIX,
    FIX_MTE1,
    MTE1_S,
    S_MTE1,
    FIX_FIX,
    MAX
};

enum class RoundMode : std::uint8_t {
    CAST_NONE,
    CAST_RINT,
    CAST_FLOOR,
    CAST_CEIL,
    CAST_ROUND,
    CAST_TRUNC,
    CAST_ODD,
    CAST_HYBRID,
    UNKNOWN = 255
};

enum class CMPMODE : std::uint8_t { LT, GT, EQ, LE, GE, NE };
enum class SELMODE : std::uint8_t {
    VSEL_CMPMASK_SPR,
    VSEL_TENSOR_SCALAR_MODE,
    VSEL_TENSOR_TENSOR_MODE
};
enum class ReduceOrder : std::uint8_t {
    ORDER_VALUE_INDEX,
    ORDER_INDEX_VALUE,
    ORDER_ONLY_VALUE,
    ORDER_ONLY_INDEX
};
enum class MaskMode : std::uint8_t { NORMAL, COUNTER };
enum class CacheLine : std::uint8_t { SINGLE_CACHE_LINE, ENTIRE_DATA_CACHE };
enum class DcciDst : std::uint8_t { CACHELINE_ALL, CACHELINE_UB, CACHELINE_OUT, CACHELINE_ATOMIC };
enum class MemDsbT : std::uint8_t { ALL, DDR, UB, SEQ };
enum class CacheMode : std::uint8_t {
    CACHE_MODE_DISABLE,
    CACHE_MODE_NORMAL,
    CACHE_MODE_LAST,
    CACHE_MODE_PERSISTENT
};
enum class CacheRwMode : std::uint8_t { READ = 1, WRITE = 2, RW = 3 };

using TEventID = std::int8_t;

template <class T, class U>
struct IsSameType : std::is_same<T, U> {};
template <bool condition, class T, class U>
using Conditional = std::conditional<condition, T, U>;

/// Two integers of 4 bits share a byte. A tensor's elements count in halves of a byte.
struct int4b_t {
    std::uint8_t bits;
};

constexpr std::int32_t AIV = 1;
constexpr std::int32_t AIC = 0;
constexpr std::int32_t ONE_BLK_SIZE = 32;
constexpr std::uint32_t CACHE_LINE_SIZE = 64;
constexpr std::int32_t DEFAULT_C0_SIZE = 32;
constexpr std::int32_t ONE_REPEAT_BYTE_SIZE = 256;
constexpr std::uint8_t DEFAULT_BLK_STRIDE = 1;
constexpr std::uint8_t DEFAULT_REPEAT_STRIDE = 8;
constexpr std::uint8_t DEFAULT_BLK_NUM = 8;
constexpr std::int32_t MASK_PLACEHOLDER = 0;
constexpr std::uint64_t MASK_PLACEHOLDER_LIST[2] = {0, 0};
#if __NPU_ARCH__ == 3510
constexpr std::uint32_t TOTAL_UB_SIZE = 248 * 1024;
constexpr std::uint32_t TOTAL_VEC_LOCAL_SIZE = TOTAL_UB_SIZE;
constexpr std::uint32_t TOTAL_L0C_SIZE = 256 * 1024;
#else
constexpr std::uint32_t TOTAL_UB_SIZE = 192 * 1024;
constexpr std::uint32_t TOTAL_VEC_LOCAL_SIZE = 184 * 1024;
constexpr std::uint32_t TOTAL_L0C_SIZE = 128 * 1024;
#endif
constexpr std::uint32_t TOTAL_L1_SIZE = 512 * 1024;
constexpr std::uint32_t TOTAL_L0A_SIZE = 64 * 1024;
constexpr std::uint32_t TOTAL_L0B_SIZE = 64 * 1024;
constexpr std::uint32_t K_MAX_DIM = 8;
constexpr std::uint32_t K_MAX_SHAPE_DIM = 8;
constexpr std::int32_t CUBE_MAX_SIZE = 256;
constexpr std::int32_t BLOCK_CUBE = 16;
constexpr std::int32_t MAX_REPEAT_TIMES = 255;
constexpr std::int32_t BYTE_PER_BLK = 32;

inline float ToFloat(bfloat16_t value) { return value; }
inline bfloat16_t ToBfloat16(float value) { return {value}; }

}  // namespace AscendC

namespace aicore {

struct PipePair {
    Pipe source;
    Pipe destination;
};

/// The pipes of an event, in the order of the enumeration.
constexpr PipePair pipes_of(AscendC::HardEvent event) {
    constexpr PipePair table[] = {
        {Pipe::mte2, Pipe::mte1}, {Pipe::mte1, Pipe::mte2}, {Pipe::mte1, Pipe::m},
        {Pipe::m, Pipe::mte1},    {Pipe::mte2, Pipe::v},    {Pipe::v, Pipe::mte2},
        {Pipe::mte3, Pipe::v},    {Pipe::v, Pipe::mte3},    {Pipe::m, Pipe::v},
        {Pipe::v, Pipe::m},       {Pipe::v, Pipe::v},       {Pipe::mte3, Pipe::mte1},
        {Pipe::mte1, Pipe::mte3}, {Pipe::mte1, Pipe::v},    {Pipe::mte2, Pipe::m},
        {Pipe::m, Pipe::mte2},    {Pipe::v, Pipe::mte1},    {Pipe::m, Pipe::fix},
        {Pipe::fix, Pipe::m},     {Pipe::mte3, Pipe::mte2}, {Pipe::mte2, Pipe::mte3},
        {Pipe::s, Pipe::v},       {Pipe::v, Pipe::s},       {Pipe::s, Pipe::mte2},
        {Pipe::mte2, Pipe::s},    {Pipe::s, Pipe::mte3},    {Pipe::mte3, Pipe::s},
        {Pipe::mte2, Pipe::fix},  {Pipe::fix, Pipe::mte2},  {Pipe::fix, Pipe::s},
        {Pipe::s, Pipe::fix},     {Pipe::m, Pipe::s},       {Pipe::s, Pipe::m},
        {Pipe::fix, Pipe::mte3},  {Pipe::mte3, Pipe::fix},  {Pipe::mte1, Pipe::fix},
        {Pipe::fix, Pipe::mte1},  {Pipe::mte1, Pipe::s},    {Pipe::s, Pipe::mte1},
        {Pipe::fix, Pipe::fix}};
    return table[static_cast<int>(event)];
}

constexpr Space space_of(AscendC::TPosition position) {
    using Position = AscendC::TPosition;
    switch (position) {
        case Position::A1:
        case Position::B1:
        case Position::C1:
        case Position::SPM:
        case Position::TSCM:
            return Space::l1;
        case Position::A2:
            return Space::l0a;
        case Position::B2:
            return Space::l0b;
        case Position::CO1:
            return Space::l0c;
        case Position::C2:
            return Space::bias;
        case Position::C2PIPE2GM:
        case Position::C2PIPE2LOCAL:
            return Space::fixpipe;
        default:
            return Space::ub;
    }
}

constexpr Space space_of(AscendC::Hardware hardware) {
    using AscendC::Hardware;
    return hardware == Hardware::L1       ? Space::l1
           : hardware == Hardware::L0A    ? Space::l0a
           : hardware == Hardware::L0B    ? Space::l0b
           : hardware == Hardware::L0C    ? Space::l0c
           : hardware == Hardware::BIAS   ? Space::bias
           : hardware == Hardware::FIXBUF ? Space::fixpipe
                                          : Space::ub;
}

}  // namespace aicore
