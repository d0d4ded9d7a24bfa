// The functions that make, describe and destroy tensors, scalars, arrays and lists.
#include <algorithm>

#include "emulator/aclnn/handles.h"
#include "emulator/include/aclnn/acl_meta.h"
#include "emulator/interface/guard.h"
#include "emulator/interface/status.h"

using namespace ascend_emulator;

namespace {

constexpr std::uint64_t max_rank = 64;  // torch's
constexpr std::uint64_t max_count = 1 << 24;

/// Whether `count` values can be read; if not, an error is noted.
bool can_read(const void* values, std::uint64_t count, std::uint64_t max, const char* name) {
    if (count > max) {
        services().fail(invalid_argument, "the number of " + std::string(name) +
                                              " must be at most " + std::to_string(max) + ", got " +
                                              std::to_string(count));
        return false;
    }
    return count == 0 || check_pointer(values, name) == 0;
}

template <class T>
T* created(T* handle) {
    services().count_handle(T::handle_kind, 1);
    return handle;
}

/// 0, or the code, with an error noted, if the handle is not a live T.
template <class T>
int refusal_of(const T* handle) {
    const std::string problem = why_unusable(handle);
    return problem.empty() ? 0 : services().fail(invalid_handle, problem);
}

template <class T>
int destroy(const T* handle) {
    if (handle == nullptr) {
        return 0;
    }
    if (const int refused = refusal_of(handle)) {
        return refused;
    }
    services().count_handle(T::handle_kind, -1);
    destroy_handle(handle);
    return 0;
}

template <class Array, class T>
Array* create_array(const T* values, std::uint64_t count) {
    return guarded_pointer([&]() -> Array* {
        if (!can_read(values, count, max_count, "values")) {
            return nullptr;
        }
        auto* array = make_handle<Array>();
        array->values.assign(values, values + count);
        return created(array);
    });
}

/// Create a list of handles; a null member stands for a tensor that is not given.
template <class List, class Member>
List* create_list(const Member* const* members, std::uint64_t count) {
    return guarded_pointer([&]() -> List* {
        if (!can_read(static_cast<const void*>(members), count, max_count, "members")) {
            return nullptr;
        }
        auto* list = make_handle<List>();
        list->members.assign(members, members + count);
        return created(list);
    });
}

template <class List>
int destroy_list(const List* list) {
    return guarded([&] {
        if (list == nullptr) {
            return 0;
        }
        if (const int refused = refusal_of(list)) {
            return refused;
        }
        for (const auto* member : list->members) {
            if (const int code = destroy(member)) {
                return code;
            }
        }
        return destroy(list);
    });
}

/// The elements of a storage; -1 if they are not given, or overflow.
std::int64_t count_of(const std::int64_t* sizes, std::uint64_t rank) {
    std::int64_t count = sizes == nullptr || rank == 0 ? -1 : 1;
    for (std::uint64_t i = 0; i < rank && count >= 0; ++i) {
        if (sizes[i] < 0 || __builtin_mul_overflow(count, sizes[i], &count)) {
            return -1;
        }
    }
    return count;
}

/// The description of the arguments of aclCreateTensor; null, with an error noted, if they cannot
/// be read.
std::shared_ptr<TensorDescription> description_from(const std::int64_t* sizes, std::uint64_t rank,
                                                    aclDataType type, const std::int64_t* strides,
                                                    std::int64_t offset, aclFormat format,
                                                    const std::int64_t* storage_sizes,
                                                    std::uint64_t storage_rank, void* data) {
    if (!can_read(sizes, rank, max_rank, "viewDims") ||
        !can_read(storage_sizes, storage_sizes == nullptr ? 0 : storage_rank, max_rank,
                  "storageDims")) {
        return nullptr;
    }
    IntList size_list(sizes, sizes + rank);
    IntList stride_list =
        strides == nullptr ? contiguous_strides(size_list) : IntList(strides, strides + rank);
    return std::make_shared<TensorDescription>(TensorDescription{
        std::move(size_list), std::move(stride_list), offset, type, format, data,
        count_of(storage_sizes, storage_rank),
        storage_sizes == nullptr ? IntList()
                                 : IntList(storage_sizes, storage_sizes + storage_rank)});
}

void set_description(aclTensor* tensor, std::shared_ptr<TensorDescription> description) {
    tensor->problem = why_invalid(*description);
    tensor->description = std::move(description);
}

/// Call `get` with the description of a live tensor.
template <class Get>
int describe(const aclTensor* tensor, const void* result, const char* name, Get get) {
    return guarded([&] {
        int refused = refusal_of(tensor);
        refused = refused != 0 ? refused : check_pointer(result, name);
        if (refused == 0) {
            get(*tensor->description);
        }
        return refused;
    });
}

/// Return a copy of `values`, which the caller frees with delete[].
void copy_list(const IntList& values, std::int64_t** copy, std::uint64_t* count) {
    *copy = new std::int64_t[std::max<std::size_t>(values.size(), 1)];
    *count = values.size();
    std::copy(values.begin(), values.end(), *copy);
}

/// The number of values of a live array, or of the members of a live list.
template <class Handle, class Count>
int count_members(const Handle* handle, std::uint64_t* count, Count count_of_handle) {
    return guarded([&] {
        int refused = refusal_of(handle);
        refused = refused != 0 ? refused : check_pointer(count, "size");
        if (refused == 0) {
            *count = count_of_handle(*handle);
        }
        return refused;
    });
}

template <class Array>
int array_size(const Array* array, std::uint64_t* count) {
    return count_members(array, count, [](const Array& found) { return found.values.size(); });
}

template <class List>
int list_size(const List* list, std::uint64_t* count) {
    return count_members(list, count, [](const List& found) { return found.members.size(); });
}

}  // namespace

// A tensor that no operator can use is created all the same, and phase 1 names it.
EMULATOR_EXPORT aclTensor* aclCreateTensor(const std::int64_t* sizes, std::uint64_t rank,
                                           aclDataType type, const std::int64_t* strides,
                                           std::int64_t offset, aclFormat format,
                                           const std::int64_t* storage_sizes,
                                           std::uint64_t storage_rank, void* data) {
    return guarded_pointer([&]() -> aclTensor* {
        auto description = description_from(sizes, rank, type, strides, offset, format,
                                            storage_sizes, storage_rank, data);
        if (description == nullptr) {
            return nullptr;
        }
        auto* tensor = make_handle<aclTensor>();
        set_description(tensor, std::move(description));
        return created(tensor);
    });
}

EMULATOR_EXPORT int aclInitTensor(aclTensor* tensor, const std::int64_t* sizes, std::uint64_t rank,
                                  aclDataType type, const std::int64_t* strides,
                                  std::int64_t offset, aclFormat format,
                                  const std::int64_t* storage_sizes, std::uint64_t storage_rank,
                                  void* data) {
    return guarded([&]() -> int {
        if (const int refused = refusal_of(tensor)) {
            return refused;
        }
        auto description = description_from(sizes, rank, type, strides, offset, format,
                                            storage_sizes, storage_rank, data);
        if (description == nullptr) {
            return invalid_argument;
        }
        set_description(tensor, std::move(description));
        return 0;
    });
}

EMULATOR_EXPORT aclScalar* aclCreateScalar(void* value, aclDataType type) {
    return guarded_pointer([&]() -> aclScalar* {
        if (check_pointer(value, "value") != 0) {
            return nullptr;
        }
        const Scalar read = read_scalar(value, type);
        auto* scalar = make_handle<aclScalar>();
        scalar->value = read;
        return created(scalar);
    });
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
    return guarded([&] { return destroy(tensor); });
}
EMULATOR_EXPORT int aclDestroyScalar(const aclScalar* scalar) {
    return guarded([&] { return destroy(scalar); });
}
EMULATOR_EXPORT int aclDestroyIntArray(const aclIntArray* array) {
    return guarded([&] { return destroy(array); });
}
EMULATOR_EXPORT int aclDestroyFloatArray(const aclFloatArray* array) {
    return guarded([&] { return destroy(array); });
}
EMULATOR_EXPORT int aclDestroyBoolArray(const aclBoolArray* array) {
    return guarded([&] { return destroy(array); });
}
EMULATOR_EXPORT int aclDestroyTensorList(const aclTensorList* list) { return destroy_list(list); }
EMULATOR_EXPORT int aclDestroyScalarList(const aclScalarList* list) { return destroy_list(list); }

EMULATOR_EXPORT int aclGetViewShape(const aclTensor* tensor, std::int64_t** sizes,
                                    std::uint64_t* rank) {
    return describe(tensor, sizes == nullptr ? nullptr : rank, "viewDims and viewDimsNum",
                    [&](const TensorDescription& found) { copy_list(found.sizes, sizes, rank); });
}
EMULATOR_EXPORT int aclGetViewStrides(const aclTensor* tensor, std::int64_t** strides,
                                      std::uint64_t* rank) {
    return describe(
        tensor, strides == nullptr ? nullptr : rank, "stridesValue and stridesNum",
        [&](const TensorDescription& found) { copy_list(found.strides, strides, rank); });
}
EMULATOR_EXPORT int aclGetViewOffset(const aclTensor* tensor, std::int64_t* offset) {
    return describe(tensor, offset, "offset",
                    [&](const TensorDescription& found) { *offset = found.offset; });
}
EMULATOR_EXPORT int aclGetDataType(const aclTensor* tensor, aclDataType* type) {
    return describe(tensor, type, "dataType",
                    [&](const TensorDescription& found) { *type = found.data_type; });
}
EMULATOR_EXPORT int aclGetFormat(const aclTensor* tensor, aclFormat* format) {
    return describe(tensor, format, "format",
                    [&](const TensorDescription& found) { *format = found.format; });
}

EMULATOR_EXPORT int aclGetRawTensorAddr(const aclTensor* tensor, void** data) {
    return describe(tensor, static_cast<const void*>(data), "addr",
                    [&](const TensorDescription& found) { *data = found.data; });
}
EMULATOR_EXPORT int aclSetRawTensorAddr(aclTensor* tensor, void* data) {
    return guarded([&]() -> int {
        if (const int refused = refusal_of(tensor)) {
            return refused;
        }
        auto description = std::make_shared<TensorDescription>(*tensor->description);
        description->data = data;
        set_description(tensor, std::move(description));
        return 0;
    });
}

EMULATOR_EXPORT int aclGetIntArraySize(const aclIntArray* array, std::uint64_t* count) {
    return array_size(array, count);
}
EMULATOR_EXPORT int aclGetFloatArraySize(const aclFloatArray* array, std::uint64_t* count) {
    return array_size(array, count);
}
EMULATOR_EXPORT int aclGetBoolArraySize(const aclBoolArray* array, std::uint64_t* count) {
    return array_size(array, count);
}
EMULATOR_EXPORT int aclGetTensorListSize(const aclTensorList* list, std::uint64_t* count) {
    return list_size(list, count);
}
EMULATOR_EXPORT int aclGetScalarListSize(const aclScalarList* list, std::uint64_t* count) {
    return list_size(list, count);
}
