// How a tiling structure declares a field.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#define __kfc_workspace__  // NOLINT(bugprone-reserved-identifier): the name is CANN's

// A field, and what the host part of an op fills and reads it with.
#define AICORE_TILING_FIELD(TYPE, NAME)             \
    TYPE NAME;                                      \
    void set_##NAME(TYPE value) { (NAME) = value; } \
    TYPE get_##NAME() const { return NAME; }

// The structure as the bytes that the host part copies to the device.
#define AICORE_TILING_BYTES()                                                     \
    std::size_t GetDataSize() const { return sizeof *this; }                      \
    void SaveToBuffer(void* to, std::size_t capacity) const {                     \
        std::memcpy(to, this, capacity < sizeof *this ? capacity : sizeof *this); \
    }
