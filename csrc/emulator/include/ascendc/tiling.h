// How a kernel reads the structure that its host part has filled.
#pragma once

#include "ascendc/kernel_launch.h"
#include "ascendc/tensor.h"

namespace aicore {

template <std::size_t size>
struct Bytes {
    std::uint8_t values[size];
};

}  // namespace aicore

/// A structure with these bytes, as a constant if they are one.
template <class T>
constexpr T convert_from_bytes(const std::uint8_t* bytes) {
    aicore::Bytes<sizeof(T)> copy{};
    for (std::size_t index = 0; index < sizeof(T); ++index) {
        copy.values[index] = bytes[index];
    }
    return __builtin_bit_cast(T, copy);
}

#define REGISTER_TILING_DEFAULT(STRUCTURE) using aicore_default_tiling [[maybe_unused]] = STRUCTURE
#define REGISTER_TILING_FOR_TILINGKEY(expression, STRUCTURE)
#define REGISTER_NONE_TILING
#define GET_TILING_DATA_WITH_STRUCT(STRUCTURE, name, address) \
    STRUCTURE name;                                           \
    std::memcpy(static_cast<void*>(&name), ::aicore::bytes_of(address), sizeof name)
#define GET_TILING_DATA(name, address) \
    GET_TILING_DATA_WITH_STRUCT(aicore_default_tiling, name, address)
#define GET_TILING_DATA_MEMBER(STRUCTURE, member, name, address)                \
    decltype(STRUCTURE::member) name;                                           \
    std::memcpy(static_cast<void*>(&name),                                      \
                static_cast<const std::uint8_t*>(::aicore::bytes_of(address)) + \
                    offsetof(STRUCTURE, member),                                \
                sizeof name)
#define GET_TILING_DATA_PTR_WITH_STRUCT(STRUCTURE, pointer, address) \
    const STRUCTURE* pointer = static_cast<const STRUCTURE*>(::aicore::bytes_of(address))
#define COPY_TILING_WITH_STRUCT(STRUCTURE, source, pointer) \
    const STRUCTURE pointer##_copy = *(source);             \
    const STRUCTURE* pointer = &pointer##_copy
#define COPY_TILING_WITH_ARRAY(TYPE, length, source, pointer)                         \
    TYPE pointer##_copy[length];                                                      \
    std::memcpy(static_cast<void*>(pointer##_copy), (source), sizeof pointer##_copy); \
    const TYPE(*pointer)[length] = &pointer##_copy
// A build for one tiling key defines TILING_KEY_VAR. Without it, the key is that of the function
// that a program has got from the binary, and 0 for a kernel that <<<>>> launches.
#ifdef TILING_KEY_VAR
#define TILING_KEY_IS(key) ((TILING_KEY_VAR) == (key))
#else
#define TILING_KEY_IS(key) (::aicore::core->tiling_key == static_cast<std::uint64_t>(key))
#define TILING_KEY_VAR 0
#endif
#define TILING_KEY_LIST(first, second) (TILING_KEY_IS(first) || TILING_KEY_IS(second))

// The compiler's driver reads these from the source, since they decide which cores run.
#define KERNEL_TASK_TYPE_DEFAULT(type)
#define KERNEL_TASK_TYPE(key, type)
