#include "emulator/runtime/objects/copy_many.h"

#include <string>

#include "emulator/runtime/objects/copy.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/stream.h"

namespace ascend_emulator {
namespace {

int check_matrix(const Matrix& matrix, aclrtMemcpyKind kind) {
    if (matrix.width > matrix.to_pitch || matrix.width > matrix.from_pitch) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "width must be at most the pitches, " +
                                                    std::to_string(matrix.to_pitch) + " and " +
                                                    std::to_string(matrix.from_pitch) + ", got " +
                                                    std::to_string(matrix.width));
    }
    for (std::size_t row = 0; !matrix.is_empty() && row < matrix.height; ++row) {
        if (const int code = check_copy(matrix.row_to(row), matrix.width, matrix.row_from(row),
                                        matrix.width, kind)) {
            return code;
        }
    }
    return 0;
}

/// 0, or a code, with `failed` set to the range that cannot be copied.
int check_batch(const Batch& batch, std::size_t* failed) {
    constexpr std::size_t most_ranges = 65536;  // so that a wild count is recognised
    if (batch.count > most_ranges) {
        return fail(ACL_ERROR_RT_PARAM_INVALID, "numBatches must be at most " +
                                                    std::to_string(most_ranges) + ", got " +
                                                    std::to_string(batch.count));
    }
    for (std::size_t i = 0; i < batch.count; ++i) {
        if (const int code = check_copy(batch.to[i], batch.capacities[i], batch.from[i],
                                        batch.sizes[i], ACL_MEMCPY_DEFAULT)) {
            *failed = i;
            return code;
        }
    }
    return 0;
}

}  // namespace

int copy_matrix(const Matrix& matrix, aclrtMemcpyKind kind) {
    const int refused = check_matrix(matrix, kind);
    for (std::size_t row = 0; refused == 0 && !matrix.is_empty() && row < matrix.height; ++row) {
        copy_now(matrix.row_to(row), matrix.row_from(row), matrix.width);
    }
    return refused;
}

int queue_matrix(const Matrix& matrix, aclrtMemcpyKind kind, aclrtStream stream) {
    int code = check_matrix(matrix, kind);
    for (std::size_t row = 0; code == 0 && !matrix.is_empty() && row < matrix.height; ++row) {
        code = enqueue(stream, copy_task(matrix.row_to(row), matrix.row_from(row), matrix.width));
    }
    return code;
}

int copy_batch(const Batch& batch, std::size_t* failed) {
    const int refused = check_batch(batch, failed);
    for (std::size_t i = 0; refused == 0 && i < batch.count; ++i) {
        copy_now(batch.to[i], batch.from[i], batch.sizes[i]);
    }
    return refused;
}

int queue_batch(const Batch& batch, aclrtStream stream, std::size_t* failed) {
    int code = check_batch(batch, failed);
    for (std::size_t i = 0; code == 0 && i < batch.count; ++i) {
        code = enqueue(stream, copy_task(batch.to[i], batch.from[i], batch.sizes[i]));
    }
    return code;
}

}  // namespace ascend_emulator
