#include "emulator/aclnn/handles.h"

#include <algorithm>
#include <stdexcept>

#include "emulator/interface/services.h"
#include "emulator/interface/status.h"

namespace ascend_emulator {
namespace {

bool is_plain(aclFormat format) {
    switch (format) {
        case ACL_FORMAT_ND:
        case ACL_FORMAT_NCHW:
        case ACL_FORMAT_NHWC:
        case ACL_FORMAT_NCL:
        case ACL_FORMAT_NC:
        case ACL_FORMAT_NCDHW:
        case ACL_FORMAT_NDHWC:
            return true;
        default:
            return false;
    }
}

IntList contiguous_strides(const IntList& sizes) {
    IntList strides(sizes.size());
    std::int64_t stride = 1;
    for (std::size_t i = sizes.size(); i-- > 0;) {
        strides[i] = stride;
        stride *= std::max<std::int64_t>(sizes[i], 1);
    }
    return strides;
}

template <class T>
T* created(T* handle) {
    services().count_handle(handle->kind, 1);
    return handle;
}

template <class T>
int destroy(const T* handle, HandleKind kind) {
    static auto* const quarantine = new Quarantine<T>;
    if (handle == nullptr) {
        return 0;
    }
    const std::string problem = why_unusable(handle, kind);
    if (!problem.empty()) {
        return services().fail(invalid_handle, problem);
    }
    services().count_handle(kind, -1);
    quarantine->put(const_cast<T*>(handle));
    return 0;
}

template <class Array, class T>
Array* create_array(const T* values, std::uint64_t count) {
    auto* array = new Array;
    array->values.assign(values, values + count);
    return created(array);
}

/// Lists made of handles that are alive; a null member is an absent tensor.
template <class List, class Member>
List* create_list(const Member* const* members, std::uint64_t count) {
    auto* list = new List;
    list->members.assign(members, members + count);
    return created(list);
}

template <class List>
int destroy_list(const List* list, HandleKind member_kind) {
    if (list != nullptr && why_unusable(list, HandleKind::list).empty()) {
        for (const auto* member : list->members) {
            if (const int code = destroy(member, member_kind)) {
                return code;
            }
        }
    }
    return destroy(list, HandleKind::list);
}

template <class T>
Scalar read(const void* value) {
    Scalar scalar;
    scalar.value = *static_cast<const T*>(value);
    return scalar;
}

/// float16 and bfloat16 by way of a tensor of one element.
Scalar read_half(void* value, DType dtype) {
    Scalar scalar;
    scalar.value = tensor_at(value, {}, {}, dtype).item();
    return scalar;
}

template <class T>
Scalar read_as(const void* value) {
    using Wide = std::conditional_t<std::is_floating_point_v<T>, double, std::int64_t>;
    Scalar scalar;
    scalar.value = static_cast<Wide>(*static_cast<const T*>(value));
    return scalar;
}

Scalar read_scalar(void* value, aclDataType type) {
    switch (type) {
        case ACL_FLOAT:
            return read_as<float>(value);
        case ACL_DOUBLE:
            return read_as<double>(value);
        case ACL_FLOAT16:
            return read_half(value, DType::float16);
        case ACL_BF16:
            return read_half(value, DType::bfloat16);
        case ACL_INT8:
            return read_as<std::int8_t>(value);
        case ACL_UINT8:
            return read_as<std::uint8_t>(value);
        case ACL_INT16:
            return read_as<std::int16_t>(value);
        case ACL_INT32:
            return read_as<std::int32_t>(value);
        case ACL_INT64:
            return read_as<std::int64_t>(value);
        case ACL_BOOL:
            return read<bool>(value);
        case ACL_COMPLEX64: {
            Scalar scalar;
            scalar.value = std::complex<double>(*static_cast<std::complex<float>*>(value));
            return scalar;
        }
        case ACL_COMPLEX128:
            return read<std::complex<double>>(value);
        default:
            throw std::runtime_error("a scalar of data type " + std::to_string(type) +
                                     " is not emulated");
    }
}

}  // namespace

DType dtype_of(aclDataType type) {
    switch (type) {
        case ACL_FLOAT:
            return DType::float32;
        case ACL_FLOAT16:
            return DType::float16;
        case ACL_BF16:
            return DType::bfloat16;
        case ACL_DOUBLE:
            return DType::float64;
        case ACL_INT8:
            return DType::int8;
        case ACL_UINT8:
            return DType::uint8;
        case ACL_INT16:
            return DType::int16;
        case ACL_INT32:
            return DType::int32;
        case ACL_INT64:
            return DType::int64;
        case ACL_UINT16:
            return DType::uint16;
        case ACL_UINT32:
            return DType::uint32;
        case ACL_UINT64:
            return DType::uint64;
        case ACL_BOOL:
            return DType::boolean;
        case ACL_COMPLEX32:
            return DType::complex32;
        case ACL_COMPLEX64:
            return DType::complex64;
        case ACL_COMPLEX128:
            return DType::complex128;
        case ACL_FLOAT8_E4M3FN:
            return DType::float8_e4m3fn;
        case ACL_FLOAT8_E5M2:
            return DType::float8_e5m2;
        default:
            throw std::runtime_error("data type " + std::to_string(type) + " is not emulated");
    }
}

DType TensorDescription::dtype() const { return dtype_of(data_type); }

const void* TensorDescription::begin() const {
    return static_cast<const char*>(data) + offset * element_size(dtype());
}

std::size_t TensorDescription::bytes() const {
    std::int64_t elements = 1;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        if (sizes[i] == 0) {
            return 0;
        }
        elements += (sizes[i] - 1) * strides[i];
    }
    return static_cast<std::size_t>(elements * element_size(dtype()));
}

Tensor tensor_of(const TensorDescription& description) {
    if (!is_plain(description.format)) {
        throw std::runtime_error("the private tensor format " + std::to_string(description.format) +
                                 " is not emulated");
    }
    void* bytes = services().bytes_of(description.begin());
    return tensor_at(bytes, description.sizes, description.strides, description.dtype());
}

}  // namespace ascend_emulator

using namespace ascend_emulator;

EMULATOR_EXPORT aclTensor* aclCreateTensor(const std::int64_t* sizes, std::uint64_t rank,
                                           aclDataType type, const std::int64_t* strides,
                                           std::int64_t offset, aclFormat format,
                                           const std::int64_t* storage_sizes,
                                           std::uint64_t storage_rank, void* data) {
    (void)storage_sizes;
    (void)storage_rank;
    auto* tensor = new aclTensor;
    const IntList size_list(sizes, sizes + rank);
    const IntList stride_list =
        strides == nullptr ? contiguous_strides(size_list) : IntList(strides, strides + rank);
    tensor->description = std::make_shared<TensorDescription>(
        TensorDescription{size_list, stride_list, offset, type, format, data});
    return created(tensor);
}

EMULATOR_EXPORT aclScalar* aclCreateScalar(void* value, aclDataType type) {
    try {
        auto scalar = std::make_unique<aclScalar>();
        scalar->value = read_scalar(value, type);
        return created(scalar.release());
    } catch (const std::exception& error) {
        services().fail(invalid_argument, error.what());
        return nullptr;
    }
}

EMULATOR_EXPORT aclIntArray* aclCreateIntArray(const std::int64_t* values, std::uint64_t count) {
    return create_array<aclIntArray>(values, count);
}
EMULATOR_EXPORT aclFloatArray* aclCreateFloatArray(const float* values, std::uint64_t count) {
    return create_array<aclFloatArray>(values, count);
}
EMULATOR_EXPORT aclBoolArray* aclCreateBoolArray(const bool* values, std::uint64_t count) {
    return create_array<aclBoolArray>(values, count);
}
EMULATOR_EXPORT aclTensorList* aclCreateTensorList(const aclTensor* const* members,
                                                   std::uint64_t count) {
    return create_list<aclTensorList>(members, count);
}
EMULATOR_EXPORT aclScalarList* aclCreateScalarList(const aclScalar* const* members,
                                                   std::uint64_t count) {
    return create_list<aclScalarList>(members, count);
}

EMULATOR_EXPORT int aclDestroyTensor(const aclTensor* tensor) {
    return destroy(tensor, HandleKind::tensor);
}
EMULATOR_EXPORT int aclDestroyScalar(const aclScalar* scalar) {
    return destroy(scalar, HandleKind::scalar);
}
EMULATOR_EXPORT int aclDestroyIntArray(const aclIntArray* array) {
    return destroy(array, HandleKind::array);
}
EMULATOR_EXPORT int aclDestroyFloatArray(const aclFloatArray* array) {
    return destroy(array, HandleKind::array);
}
EMULATOR_EXPORT int aclDestroyBoolArray(const aclBoolArray* array) {
    return destroy(array, HandleKind::array);
}
EMULATOR_EXPORT int aclDestroyTensorList(const aclTensorList* list) {
    return destroy_list(list, HandleKind::tensor);
}
EMULATOR_EXPORT int aclDestroyScalarList(const aclScalarList* list) {
    return destroy_list(list, HandleKind::scalar);
}
