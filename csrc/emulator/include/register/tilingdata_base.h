// The macros with which the host part of an op declares a tiling structure.
//
// CANN makes classes of them that write themselves in the layout of the kernel's structure; here
// they are that structure.
#pragma once

#include <algorithm>

#include "kernel_tiling/kernel_tiling.h"

#define BEGIN_TILING_DATA_DEF(NAME) struct NAME {
#define BEGIN_TILING_DATA_DEF_T(NAME) BEGIN_TILING_DATA_DEF(NAME)
#define TILING_DATA_FIELD_DEF(TYPE, NAME)           \
    TYPE NAME{};                                    \
    void set_##NAME(TYPE value) { (NAME) = value; } \
    TYPE get_##NAME() const { return NAME; }
#define TILING_DATA_FIELD_DEF_ARR(TYPE, LENGTH, NAME)                          \
    TYPE NAME[LENGTH]{};                                                       \
    void set_##NAME(const TYPE* values) { std::copy_n(values, LENGTH, NAME); } \
    TYPE* get_##NAME() { return NAME; }
#define TILING_DATA_FIELD_DEF_STRUCT(TYPE, NAME) TYPE NAME{};
#define END_TILING_DATA_DEF                                                                \
    void SaveToBuffer(void* to, std::size_t capacity) const {                              \
        std::memcpy(to, static_cast<const void*>(this), std::min(capacity, sizeof *this)); \
    }                                                                                      \
    std::size_t GetDataSize() const { return sizeof *this; }                               \
    }
#define END_TILING_DATA_DEF_T END_TILING_DATA_DEF
#define REGISTER_TILING_DATA_CLASS(OP, NAME) static_assert(sizeof(NAME) != 0);
