// Updates on copies of the elements: the last elements of a range, fewer than one iteration of a
// kernel takes; and whole ranges, block by block in fp32, for combinations of dtypes that are too
// rare for kernels of their own.
#pragma once

#include <cstddef>

#include "cpu/optimizer/kernels.h"
#include "cpu/threefry.h"
#include "formula.h"

namespace ascend_ops {
namespace {

inline unsigned char* at(void* elements, DType dtype, std::int64_t i) {
    return static_cast<unsigned char*>(elements) + static_cast<std::size_t>(i) * size_of(dtype);
}

inline const unsigned char* at(const void* elements, DType dtype, std::int64_t i) {
    return static_cast<const unsigned char*>(elements) +
           static_cast<std::size_t>(i) * size_of(dtype);
}

// The maximum number of Vecs per iteration of a kernel (see kernel_loop.h); 1 if a Vec is long.
constexpr int max_vecs = max_width < 32 ? 4 : 1;

// Copies the elements out, updates them by one full iteration of the same kernel, so that they are
// rounded like all others, and copies them back.
[[gnu::noinline]] void run_tail(Kernel kernel, const Plan& plan, const Tensors& tensors,
                                std::int64_t begin, std::int64_t end, std::int64_t per_iteration) {
    constexpr std::size_t bytes = max_vecs * max_width * sizeof(float);
    alignas(float) unsigned char copies[3 + max_state_count][bytes] = {};
    const DTypes& dtypes = plan.dtypes;
    const std::size_t count = static_cast<std::size_t>(end - begin);
    const std::size_t param_bytes = count * size_of(dtypes.params);
    const std::size_t state_bytes = count * size_of(dtypes.states);
    unsigned char* const params = at(tensors.params, dtypes.params, begin);

    __builtin_memcpy(copies[0], params, param_bytes);
    __builtin_memcpy(copies[1], at(tensors.grads, dtypes.grads, begin),
                     count * size_of(dtypes.grads));
    for (int k = 0; k < Formula::state_count; ++k) {
        __builtin_memcpy(copies[2 + k], at(tensors.states[k], dtypes.states, begin), state_bytes);
    }
    kernel(plan, {copies[0], copies[1], {copies[2], copies[3]}, copies[4]}, 0, per_iteration);
    __builtin_memcpy(params, copies[0], param_bytes);
    for (int k = 0; k < Formula::state_count; ++k) {
        __builtin_memcpy(at(tensors.states[k], dtypes.states, begin), copies[2 + k], state_bytes);
    }
    if (dtypes.low_precision_params != DType::float32) {
        __builtin_memcpy(at(tensors.low_precision_params, dtypes.low_precision_params, begin),
                         copies[4], count * size_of(dtypes.low_precision_params));
    }
}

constexpr int stage_size = 256;  // a multiple of every width; 4 or 5 KiB of copies in total

struct Stage {
    alignas(64) float params[stage_size];
    alignas(64) float grads[stage_size];
    alignas(64) float states[max_state_count][stage_size];
};

template <class T>
void widen(const unsigned char* from, float* to, int count) {
    T stored[stage_size];
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    __builtin_memcpy(stored, from, bytes);
    __builtin_memset(reinterpret_cast<unsigned char*>(stored) + bytes, 0, sizeof stored - bytes);
    for (int i = 0; i < stage_size; i += static_cast<int>(width())) {
        store(to + i, load(stored + i));
    }
}

inline void widen(DType dtype, const unsigned char* from, float* to, int count) {
    switch (dtype) {
        case DType::float32:
            return widen<float>(from, to, count);
        case DType::bfloat16:
            return widen<BFloat16>(from, to, count);
        case DType::float16:
            return widen<Float16>(from, to, count);
    }
}

template <class T>
void narrow(const float* from, unsigned char* to, int count) {
    T stored[stage_size];
    for (int i = 0; i < stage_size; i += static_cast<int>(width())) {
        store(stored + i, load(from + i));
    }
    __builtin_memcpy(to, stored, static_cast<std::size_t>(count) * sizeof(T));
}

inline void narrow(DType dtype, const float* from, unsigned char* to, int count) {
    switch (dtype) {
        case DType::float32:
            return narrow<float>(from, to, count);
        case DType::bfloat16:
            return narrow<BFloat16>(from, to, count);
        case DType::float16:
            return narrow<Float16>(from, to, count);
    }
}

// Adds 16 random bits below the last bit that bf16 keeps, then truncates: the value is rounded up
// with a probability equal to the part that is cut off. Infinities and NaNs are only truncated. A
// NaN stays a NaN, since arithmetic returns quiet NaNs.
[[gnu::always_inline]] inline std::uint16_t round_stochastic(float value, std::uint32_t random) {
    std::uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    const bool finite = (bits & 0x7f800000u) != 0x7f800000u;
    return static_cast<std::uint16_t>((bits + (finite ? random & 0xffffu : 0u)) >> 16);
}

// At -O2 GCC does not vectorize these loops, which makes them four times slower. They use 32-bit
// numbers only, so that they can be vectorized.
#if defined(__GNUC__) && !defined(__clang__)
#define ASCEND_OPS_VECTORIZE [[gnu::optimize("O3")]]
#else
#define ASCEND_OPS_VECTORIZE
#endif

// 64 random bits per element of a block: 16 for each of its stored numbers.
struct RandomBlock {
    std::uint32_t low[stage_size];
    std::uint32_t high[stage_size];
};

ASCEND_OPS_VECTORIZE [[gnu::noinline]] void fill(RandomBlock& block, std::uint64_t key,
                                                 std::int64_t first) {
    const auto first_low = static_cast<std::uint32_t>(first);
    const auto first_high = static_cast<std::uint32_t>(static_cast<std::uint64_t>(first) >> 32);
    for (std::uint32_t i = 0; i < stage_size; ++i) {
        const std::uint32_t low = first_low + i;
        const Random64 random = threefry(key, low, first_high + (low < first_low ? 1u : 0u));
        block.low[i] = random.low;
        block.high[i] = random.high;
    }
}

ASCEND_OPS_VECTORIZE [[gnu::noinline]] void narrow_stochastic(const float* from,
                                                              const std::uint32_t* random,
                                                              int shift, unsigned char* to,
                                                              int count) {
    std::uint16_t stored[stage_size];
    for (int i = 0; i < stage_size; ++i) {
        stored[i] = round_stochastic(from[i], random[i] >> shift);
    }
    __builtin_memcpy(to, stored, static_cast<std::size_t>(count) * sizeof(std::uint16_t));
}

inline void store_stage(const Plan& plan, const Tensors& tensors, const Stage& stage,
                        std::int64_t begin, int count) {
    const DTypes& dtypes = plan.dtypes;
    const bool has_copy = dtypes.low_precision_params != DType::float32;
    unsigned char* const params = at(tensors.params, dtypes.params, begin);
    if (plan.stochastic) {
        RandomBlock random;
        fill(random, plan.random_key, begin);
        const auto put = [&](DType dtype, const float* from, const std::uint32_t* bits, int shift,
                             unsigned char* to) {
            if (dtype == DType::bfloat16) {
                narrow_stochastic(from, bits, shift, to, count);
            } else {
                narrow(dtype, from, to, count);
            }
        };
        put(dtypes.params, stage.params, random.low, 0, params);
        for (int k = 0; k < Formula::state_count; ++k) {
            put(dtypes.states, stage.states[k], random.high, 16 * k,
                at(tensors.states[k], dtypes.states, begin));
        }
        if (has_copy) {
            put(dtypes.low_precision_params, stage.params, random.low, 16,
                at(tensors.low_precision_params, dtypes.low_precision_params, begin));
        }
        return;
    }
    narrow(dtypes.params, stage.params, params, count);
    for (int k = 0; k < Formula::state_count; ++k) {
        narrow(dtypes.states, stage.states[k], at(tensors.states[k], dtypes.states, begin), count);
    }
    if (has_copy) {
        narrow(dtypes.low_precision_params, stage.params,
               at(tensors.low_precision_params, dtypes.low_precision_params, begin), count);
    }
}

/// Runs an fp32 kernel on tensors of any dtypes.
[[gnu::noinline]] void run_in_blocks(Kernel kernel, const Plan& plan, const Tensors& tensors,
                                     std::int64_t begin, std::int64_t end) {
    const DTypes& dtypes = plan.dtypes;
    for (std::int64_t i = begin; i < end; i += stage_size) {
        const int count = static_cast<int>(end - i < stage_size ? end - i : stage_size);
        Stage stage;
        widen(dtypes.params, at(tensors.params, dtypes.params, i), stage.params, count);
        widen(dtypes.grads, at(tensors.grads, dtypes.grads, i), stage.grads, count);
        for (int k = 0; k < Formula::state_count; ++k) {
            widen(dtypes.states, at(tensors.states[k], dtypes.states, i), stage.states[k], count);
        }
        kernel(plan, {stage.params, stage.grads, {stage.states[0], stage.states[1]}}, 0,
               stage_size);
        store_stage(plan, tensors, stage, i, count);
    }
}

}  // namespace
}  // namespace ascend_ops
