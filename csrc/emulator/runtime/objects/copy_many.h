// Copies of several ranges: the rows of a matrix, and batches.
#pragma once

#include <cstddef>

#include "acl/acl_rt.h"

namespace ascend_emulator {

/// `height` rows of `width` bytes, whose beginnings are a pitch apart.
struct Matrix {
    char* to;
    std::size_t to_pitch;
    const char* from;
    std::size_t from_pitch;
    std::size_t width;
    std::size_t height;

    bool is_empty() const { return width == 0 || height == 0; }
    void* row_to(std::size_t row) const { return to + row * to_pitch; }
    const void* row_from(std::size_t row) const { return from + row * from_pitch; }
};

/// Copy the matrix on the calling thread, or queue its copies. 0 or a code, which is returned
/// before anything is copied.
int copy_matrix(const Matrix& matrix, aclrtMemcpyKind kind);
int queue_matrix(const Matrix& matrix, aclrtMemcpyKind kind, aclrtStream stream);

/// The ranges of a batch.
struct Batch {
    void** to;
    std::size_t* capacities;
    void** from;
    std::size_t* sizes;
    std::size_t count;
};

/// The same for a batch. `failed` becomes the range that cannot be copied, if there is one.
int copy_batch(const Batch& batch, std::size_t* failed);
int queue_batch(const Batch& batch, aclrtStream stream, std::size_t* failed);

}  // namespace ascend_emulator
