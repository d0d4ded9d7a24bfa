// The functions that make, describe and destroy tensors, scalars, arrays and lists.
#include <algorithm>

#include "emulator/aclnn/handles.h"
#include "emulator/interface/services.h"
#include "emulator/interface/status.h"

using namespace ascend_emulator;

namespace {

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

/// Create a list of handles; a null member stands for a tensor that is not given.
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

/// 0, or the code, with an error noted, of a handle that is not a live tensor.
int refuse(const aclTensor* tensor) {
    const std::string problem = why_unusable(tensor, HandleKind::tensor);
    return problem.empty() ? 0 : services().fail(invalid_handle, problem);
}

}  // namespace

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

/// The caller frees the array with delete[].
EMULATOR_EXPORT int aclGetViewShape(const aclTensor* tensor, std::int64_t** sizes,
                                    std::uint64_t* rank) {
    if (const int refused = refuse(tensor)) {
        return refused;
    }
    const IntList& found = tensor->description->sizes;
    *rank = found.size();
    *sizes = new std::int64_t[std::max<std::size_t>(found.size(), 1)];
    std::copy(found.begin(), found.end(), *sizes);
    return 0;
}

EMULATOR_EXPORT int aclGetDataType(const aclTensor* tensor, aclDataType* type) {
    if (const int refused = refuse(tensor)) {
        return refused;
    }
    *type = tensor->description->data_type;
    return 0;
}
EMULATOR_EXPORT int aclGetFormat(const aclTensor* tensor, aclFormat* format) {
    if (const int refused = refuse(tensor)) {
        return refused;
    }
    *format = tensor->description->format;
    return 0;
}
