// The C API: vector instructions. Each is the instruction of the C++ API on the tensors at the
// addresses, in three forms: a count of elements, repeats under the mask of the core, and a count
// with a wait for all pipes behind it (`_sync`).
#pragma once

#include "ascendc/c_api.h"
#include "ascendc/vector_arithmetic.h"
#include "ascendc/vector_cast.h"
#include "ascendc/vector_data.h"

namespace aicore {

constexpr std::uint64_t unused_mask = 0;  // the forms with repeats take the mask of the core

/// The forms with a count use the counter mode of the mask, and leave a full mask.
inline void leave_full_mask() { core->mask = {}; }

inline std::int32_t elements_of(std::uint32_t count) { return static_cast<std::int32_t>(count); }

}  // namespace aicore

#define AICORE_C_API_BINARY(NAME, INSTRUCTION)                                                  \
    template <class T>                                                                          \
    void NAME(__ubuf__ T* dst, __ubuf__ T* src0, __ubuf__ T* src1, std::uint32_t count,         \
              aicore::Site site = aicore::Site::here()) {                                       \
        AscendC::INSTRUCTION(aicore::tensor_at(dst), aicore::tensor_at(src0),                   \
                             aicore::tensor_at(src1), aicore::elements_of(count), site);        \
        aicore::leave_full_mask();                                                              \
    }                                                                                           \
    template <class T>                                                                          \
    void NAME(__ubuf__ T* dst, __ubuf__ T* src0, __ubuf__ T* src1, std::uint8_t repeat,         \
              std::uint8_t dst_block_stride, std::uint8_t src0_block_stride,                    \
              std::uint8_t src1_block_stride, std::uint8_t dst_repeat_stride,                   \
              std::uint8_t src0_repeat_stride, std::uint8_t src1_repeat_stride,                 \
              aicore::Site site = aicore::Site::here()) {                                       \
        AscendC::INSTRUCTION<T, false>(                                                         \
            aicore::tensor_at(dst), aicore::tensor_at(src0), aicore::tensor_at(src1),           \
            aicore::unused_mask, repeat,                                                        \
            AscendC::BinaryRepeatParams(dst_block_stride, src0_block_stride, src1_block_stride, \
                                        dst_repeat_stride, src0_repeat_stride,                  \
                                        src1_repeat_stride),                                    \
            site);                                                                              \
    }                                                                                           \
    template <class T>                                                                          \
    void NAME##_sync(__ubuf__ T* dst, __ubuf__ T* src0, __ubuf__ T* src1, std::uint32_t count,  \
                     aicore::Site site = aicore::Site::here()) {                                \
        NAME(dst, src0, src1, count, site);                                                     \
        aicore::wait_for_all_pipes();                                                           \
    }

#define AICORE_C_API_UNARY(NAME, INSTRUCTION)                                            \
    template <class T>                                                                   \
    void NAME(__ubuf__ T* dst, __ubuf__ T* src, std::uint32_t count,                     \
              aicore::Site site = aicore::Site::here()) {                                \
        AscendC::INSTRUCTION(aicore::tensor_at(dst), aicore::tensor_at(src),             \
                             aicore::elements_of(count), site);                          \
        aicore::leave_full_mask();                                                       \
    }                                                                                    \
    template <class T>                                                                   \
    void NAME(__ubuf__ T* dst, __ubuf__ T* src, std::uint8_t repeat,                     \
              std::uint16_t dst_block_stride, std::uint16_t src_block_stride,            \
              std::uint16_t dst_repeat_stride, std::uint16_t src_repeat_stride,          \
              aicore::Site site = aicore::Site::here()) {                                \
        AscendC::INSTRUCTION<T, false>(                                                  \
            aicore::tensor_at(dst), aicore::tensor_at(src), aicore::unused_mask, repeat, \
            aicore::unary_strides(dst_block_stride, src_block_stride, dst_repeat_stride, \
                                  src_repeat_stride, site),                              \
            site);                                                                       \
    }                                                                                    \
    template <class T>                                                                   \
    void NAME##_sync(__ubuf__ T* dst, __ubuf__ T* src, std::uint32_t count,              \
                     aicore::Site site = aicore::Site::here()) {                         \
        NAME(dst, src, count, site);                                                     \
        aicore::wait_for_all_pipes();                                                    \
    }

#define AICORE_C_API_SCALAR(NAME, INSTRUCTION)                                                  \
    template <class T>                                                                          \
    void NAME(__ubuf__ T* dst, __ubuf__ T* src, aicore::Given<T> value, std::uint32_t count,    \
              aicore::Site site = aicore::Site::here()) {                                       \
        AscendC::INSTRUCTION(aicore::tensor_at(dst), aicore::tensor_at(src), value,             \
                             aicore::elements_of(count), site);                                 \
        aicore::leave_full_mask();                                                              \
    }                                                                                           \
    template <class T>                                                                          \
    void NAME(__ubuf__ T* dst, __ubuf__ T* src, aicore::Given<T> value, std::uint8_t repeat,    \
              std::uint16_t dst_block_stride, std::uint16_t src_block_stride,                   \
              std::uint16_t dst_repeat_stride, std::uint16_t src_repeat_stride,                 \
              aicore::Site site = aicore::Site::here()) {                                       \
        AscendC::INSTRUCTION<T, false>(                                                         \
            aicore::tensor_at(dst), aicore::tensor_at(src), value, aicore::unused_mask, repeat, \
            aicore::unary_strides(dst_block_stride, src_block_stride, dst_repeat_stride,        \
                                  src_repeat_stride, site),                                     \
            site);                                                                              \
    }                                                                                           \
    template <class T>                                                                          \
    void NAME##_sync(__ubuf__ T* dst, __ubuf__ T* src, aicore::Given<T> value,                  \
                     std::uint32_t count, aicore::Site site = aicore::Site::here()) {           \
        NAME(dst, src, value, count, site);                                                     \
        aicore::wait_for_all_pipes();                                                           \
    }

#define AICORE_C_API_CAST(NAME, TO, FROM, MODE)                                                 \
    inline void NAME(__ubuf__ TO* dst, __ubuf__ FROM* src, std::uint32_t count,                 \
                     aicore::Site site = aicore::Site::here()) {                                \
        AscendC::Cast(aicore::tensor_at(dst), aicore::tensor_at(src), AscendC::RoundMode::MODE, \
                      count, site);                                                             \
        aicore::leave_full_mask();                                                              \
    }                                                                                           \
    inline void NAME(__ubuf__ TO* dst, __ubuf__ FROM* src, std::uint8_t repeat,                 \
                     std::uint16_t dst_block_stride, std::uint16_t src_block_stride,            \
                     std::uint16_t dst_repeat_stride, std::uint16_t src_repeat_stride,          \
                     aicore::Site site = aicore::Site::here()) {                                \
        AscendC::Cast<TO, FROM, false>(                                                         \
            aicore::tensor_at(dst), aicore::tensor_at(src), AscendC::RoundMode::MODE,           \
            aicore::unused_mask, repeat,                                                        \
            aicore::unary_strides(dst_block_stride, src_block_stride, dst_repeat_stride,        \
                                  src_repeat_stride, site),                                     \
            site);                                                                              \
    }                                                                                           \
    inline void NAME##_sync(__ubuf__ TO* dst, __ubuf__ FROM* src, std::uint32_t count,          \
                            aicore::Site site = aicore::Site::here()) {                         \
        NAME(dst, src, count, site);                                                            \
        aicore::wait_for_all_pipes();                                                           \
    }

#define AICORE_C_API_ROUNDED_CASTS(NAME, TO, FROM)      \
    AICORE_C_API_CAST(NAME##_rn, TO, FROM, CAST_RINT)   \
    AICORE_C_API_CAST(NAME##_rna, TO, FROM, CAST_ROUND) \
    AICORE_C_API_CAST(NAME##_rd, TO, FROM, CAST_FLOOR)  \
    AICORE_C_API_CAST(NAME##_ru, TO, FROM, CAST_CEIL)   \
    AICORE_C_API_CAST(NAME##_rz, TO, FROM, CAST_TRUNC)

namespace aicore {

/// The strides of an instruction with one source; those from repeat to repeat have 8 bits.
inline AscendC::UnaryRepeatParams unary_strides(std::uint16_t dst_block, std::uint16_t src_block,
                                                std::uint16_t dst_repeat, std::uint16_t src_repeat,
                                                Site site) {
    core->require(dst_repeat <= 255 && src_repeat <= 255, "range",
                  "dst_repeat_stride and src_repeat_stride must be at most 255", site);
    return {dst_block, src_block, static_cast<std::uint8_t>(dst_repeat),
            static_cast<std::uint8_t>(src_repeat)};
}

}  // namespace aicore

AICORE_C_API_BINARY(asc_add, Add)
AICORE_C_API_BINARY(asc_sub, Sub)
AICORE_C_API_BINARY(asc_mul, Mul)
AICORE_C_API_BINARY(asc_div, Div)
AICORE_C_API_BINARY(asc_max, Max)
AICORE_C_API_BINARY(asc_min, Min)
AICORE_C_API_BINARY(asc_and, And)
AICORE_C_API_BINARY(asc_or, Or)
AICORE_C_API_BINARY(asc_add_relu, AddRelu)
AICORE_C_API_BINARY(asc_sub_relu, SubRelu)
AICORE_C_API_BINARY(asc_mul_add, FusedMulAdd)
AICORE_C_API_BINARY(asc_mul_add_relu, FusedMulAddRelu)

AICORE_C_API_UNARY(asc_abs, Abs)
AICORE_C_API_UNARY(asc_exp, Exp)
AICORE_C_API_UNARY(asc_log, Ln)
AICORE_C_API_UNARY(asc_sqrt, Sqrt)
AICORE_C_API_UNARY(asc_rsqrt, Rsqrt)
AICORE_C_API_UNARY(asc_rcp, Reciprocal)
AICORE_C_API_UNARY(asc_relu, Relu)
AICORE_C_API_UNARY(asc_not, Not)

AICORE_C_API_SCALAR(asc_add_scalar, Adds)
AICORE_C_API_SCALAR(asc_mul_scalar, Muls)
AICORE_C_API_SCALAR(asc_max_scalar, Maxs)
AICORE_C_API_SCALAR(asc_min_scalar, Mins)
AICORE_C_API_SCALAR(asc_leakyrelu, LeakyRelu)

AICORE_C_API_CAST(asc_half2float, float, half, CAST_NONE)
AICORE_C_API_CAST(asc_float2half, half, float, CAST_NONE)
AICORE_C_API_CAST(asc_bfloat162float, float, bfloat16_t, CAST_NONE)
AICORE_C_API_CAST(asc_int322float, float, std::int32_t, CAST_NONE)
AICORE_C_API_ROUNDED_CASTS(asc_float2half, half, float)
AICORE_C_API_ROUNDED_CASTS(asc_float2bfloat16, bfloat16_t, float)
AICORE_C_API_ROUNDED_CASTS(asc_float2int32, std::int32_t, float)
AICORE_C_API_ROUNDED_CASTS(asc_half2int32, std::int32_t, half)

template <class T>
void asc_duplicate(__ubuf__ T* dst, aicore::Given<T> src, std::uint32_t count,
                   aicore::Site site = aicore::Site::here()) {
    AscendC::Duplicate(aicore::tensor_at(dst), src, aicore::elements_of(count), site);
    aicore::leave_full_mask();
}
template <class T>
void asc_duplicate(__ubuf__ T* dst, aicore::Given<T> src, std::uint8_t repeat,
                   std::uint16_t dst_block_stride, std::uint16_t dst_repeat_stride,
                   aicore::Site site = aicore::Site::here()) {
    aicore::core->require(dst_repeat_stride <= 255, "range",
                          "dst_repeat_stride must be at most 255", site);
    AscendC::Duplicate<T, false>(aicore::tensor_at(dst), src, aicore::unused_mask, repeat,
                                 dst_block_stride, static_cast<std::uint8_t>(dst_repeat_stride),
                                 site);
}
template <class T>
void asc_duplicate_sync(__ubuf__ T* dst, aicore::Given<T> src, std::uint32_t count,
                        aicore::Site site = aicore::Site::here()) {
    asc_duplicate(dst, src, count, site);
    aicore::wait_for_all_pipes();
}

inline void asc_set_mask_count() { AscendC::SetMaskCount(); }
inline void asc_set_mask_norm() { AscendC::SetMaskNorm(); }
/// The lanes of the forms with repeats, or in counter mode the number of elements.
inline void asc_set_vector_mask(std::uint64_t mask1, std::uint64_t mask0) {
    AscendC::SetVectorMask<std::uint8_t>(mask1, mask0);
}
