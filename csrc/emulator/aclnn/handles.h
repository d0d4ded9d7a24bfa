// The objects behind aclTensor, aclScalar, the arrays and the lists.
#pragma once

#include <memory>

#include "acl/acl_base.h"
#include "emulator/aten/value.h"
#include "emulator/interface/handle.h"

namespace ascend_emulator {

/// What an aclTensor describes. Executors share it, as the caller destroys its handles as soon as
/// phase 2 has returned.
struct TensorDescription {
    IntList sizes;
    IntList strides;      // in elements
    std::int64_t offset;  // in elements, from `data`
    aclDataType data_type;
    aclFormat format;
    void* data;             // the beginning of the storage
    std::int64_t storage;   // its elements, or -1 if they are not known
    IntList storage_sizes;  // which differ from `sizes` in private formats

    DType dtype() const;
    /// The first byte, and the number of bytes from the first element to the last.
    const void* begin() const;
    std::size_t bytes() const;
};

using TensorDescriptionPtr = std::shared_ptr<const TensorDescription>;

bool is_emulated(aclDataType type);

/// The dtype of an aclDataType. Throws std::runtime_error if it is not emulated.
DType dtype_of(aclDataType type);

IntList contiguous_strides(const IntList& sizes);

/// Read a scalar of the given type. Throws std::runtime_error for a type that is not emulated.
Scalar read_scalar(void* value, aclDataType type);

/// Why no operator can use the tensor, or "": its dimensions, dtype, format or strides.
std::string why_invalid(const TensorDescription& description);

/// "[2, 3]".
std::string text_of(const IntList& values);

/// A tensor on the bytes behind the description's device address. Throws std::runtime_error for
/// private formats.
Tensor tensor_of(const TensorDescription& description);
/// The same for an input: one in a private format is copied to contiguous memory.
Tensor input_of(const TensorDescription& description);
/// The storage of a tensor in a private format.
Tensor storage_of(const TensorDescription& description);

}  // namespace ascend_emulator

struct aclTensor {
    static constexpr auto handle_kind = ascend_emulator::HandleKind::tensor;
    ascend_emulator::TensorDescriptionPtr description;
    std::string problem;  // why no operator can use it, or ""
};

struct aclScalar {
    static constexpr auto handle_kind = ascend_emulator::HandleKind::scalar;
    ascend_emulator::Scalar value;
};

/// aclIntArray, aclFloatArray and aclBoolArray.
template <class T>
struct AclArray {
    static constexpr auto handle_kind = ascend_emulator::HandleKind::array;
    std::vector<T> values;
};
struct aclIntArray : AclArray<std::int64_t> {};
struct aclFloatArray : AclArray<double> {};
struct aclBoolArray : AclArray<bool> {};

/// A list owns its members: destroying it destroys them.
struct aclTensorList {
    static constexpr auto handle_kind = ascend_emulator::HandleKind::list;
    std::vector<const aclTensor*> members;
};
struct aclScalarList {
    static constexpr auto handle_kind = ascend_emulator::HandleKind::list;
    std::vector<const aclScalar*> members;
};
