// Quantized values: int4 in bytes, scales as fixed-point units read them, and rounding to a narrow
// dtype.
#pragma once

#include <string>

#include "emulator/aclnn/operation.h"

namespace ascend_emulator {

/// The int8 values of an int4 tensor, or of an int32 tensor that holds eight int4 per element. The
/// packed dimension is the last one or, in a transposed matrix, the one before it.
Tensor unpack_int4(const Tensor& x);

/// Pack the integers of x, which fit int4, into bytes along the last dimension.
Tensor pack_int4(const Tensor& x);

/// float32 values of a tensor of any dtype; int32 counts as integers, not as packed int4.
Tensor real_values(const Tensor& x);

/// The factors that `scale` stands for: it may hold what aclnnTransQuantParam encodes in 64 bits.
Tensor decode_scale(const Tensor& scale);
/// The offsets in the same codes.
Tensor decode_offset(const Tensor& codes);
bool is_encoded_scale(const Tensor& scale);

/// Round to integers as `mode` names it: round or rint (ties to even), floor, ceil or trunc; an
/// empty name is round.
Tensor round_by(const Tensor& x, const std::string& mode);

/// The largest and the smallest number of a quantized dtype.
struct Range {
    double min;
    double max;
};
/// int32 stands for packed int4.
Range range_of(DType dtype);

bool is_float8(DType dtype);

/// The 910B and the 910_93 quantize to int8 and int4; refuse what only an Ascend 950 has.
void check_quantized_dtype(const char* name, DType dtype);

/// x rounded and clamped to `dtype`, unpacked: int4 is int8 in its range. What is not a number is
/// 0.
Tensor quantized_values(const Tensor& x, DType dtype, const std::string& mode = "round");

/// Round x, clamp it to the range of y's dtype, and store it. An int32 y receives packed int4.
void store_quantized(const Out& y, const Tensor& x, const std::string& mode = "round");

/// One scale per row: the largest magnitude of each row divided by the largest number of `dtype`.
struct DynamicQuantized {
    Tensor values;  // float32, not rounded
    Tensor scale;   // without the last dimension
};
DynamicQuantized quantize_rows(const Tensor& x, DType dtype);

/// `x` with a new last dimension.
Tensor column(const Tensor& x);

}  // namespace ascend_emulator
