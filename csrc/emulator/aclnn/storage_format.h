// Private storage formats: tensors that are stored in blocks, in the order that the NPU's matrix
// units read.
#pragma once

#include "acl/acl_base.h"
#include "emulator/aten/value.h"

namespace ascend_emulator {

/// Whether a tensor of this format is stored as its strides describe.
bool is_plain(aclFormat format);

/// Whether the format is a private one that is emulated: FRACTAL_NZ and its C0 variants, NC1HWC0,
/// FRACTAL_Z, NDC1HWC0, FRACTAL_Z_3D.
bool is_blocked(aclFormat format);

/// The sizes of the storage of a tensor of `sizes`, with blocks of `c0` channels or columns.
IntList storage_sizes_of(const IntList& sizes, aclFormat format, std::int64_t c0);

/// The contiguous tensor of `sizes` that `stored` holds. Padding is dropped.
///
/// Throws std::invalid_argument if no tensor of `sizes` has such a storage.
Tensor from_storage(const Tensor& stored, const IntList& sizes, aclFormat format);

/// `tensor` in the order of `format`, with the sizes of its storage. Padding is 0.
Tensor to_storage(const Tensor& tensor, const IntList& storage_sizes, aclFormat format);

}  // namespace ascend_emulator
