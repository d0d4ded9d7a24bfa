// The storage types of host kernels. All arithmetic is in fp32, whatever the storage type is.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ascend_ops {

/// The index of a kernel table: the values are dense and start at 0.
enum class DType : std::uint8_t { float32 = 0, bfloat16 = 1, float16 = 2 };

constexpr int dtype_count = 3;

/// Returns the bytes per element. Always inlined: kernels must leave the linker nothing to merge.
[[gnu::always_inline]] inline constexpr std::size_t size_of(DType dtype) {
    return dtype == DType::float32 ? 4 : 2;
}

/// The upper 16 bits of an IEEE binary32.
struct BFloat16 {
    std::uint16_t bits;
};

/// IEEE binary16.
struct Float16 {
    std::uint16_t bits;
};

}  // namespace ascend_ops
