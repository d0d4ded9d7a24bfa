#include "aclnn/arguments.h"

#include <stdexcept>

#include "aclnn/function.h"
#include "aclnn/torch_npu.h"

namespace ascend_ops::aclnn {
namespace {

using torch::headeronly::ScalarType;

constexpr int kFormatNd = 2;

/// aclDataType of a dtype, from acl_base.h.
int data_type_of(ScalarType dtype) {
    switch (dtype) {
        case ScalarType::Float:
            return 0;
        case ScalarType::Half:
            return 1;
        case ScalarType::Char:
            return 2;
        case ScalarType::Int:
            return 3;
        case ScalarType::Byte:
            return 4;
        case ScalarType::Short:
            return 6;
        case ScalarType::Long:
            return 9;
        case ScalarType::Double:
            return 11;
        case ScalarType::Bool:
            return 12;
        case ScalarType::BFloat16:
            return 27;
        default:
            throw std::runtime_error(std::string("expected a dtype of CANN, found ") +
                                     torch::headeronly::toString(dtype));
    }
}

/// NCHW, NHWC, ND and NCDHW store the elements at their strides; the others rearrange them.
void check_format(const Tensor& tensor) {
    const std::int64_t format = torch_npu().format_of(tensor.get());
    if (format > kFormatNd && format != 30) {
        throw std::runtime_error(
            "expected a tensor in a plain format, found CANN's private format " +
            std::to_string(format) + ": convert it with torch_npu.npu_format_cast(tensor, 2)");
    }
}

template <class Signature>
Signature* acl_function(const char* name) {
    auto* found = reinterpret_cast<Signature*>(find_symbol(name));
    if (found == nullptr) {
        throw std::runtime_error(std::string("expected ") + name +
                                 " in CANN's libraries, found none");
    }
    return found;
}

template <class Handle>
Handle* created(Handle* handle, const char* what) {
    if (handle == nullptr) {
        check_status(-1, what);
    }
    return handle;
}

}  // namespace

aclTensor* make_tensor(const Tensor& tensor) {
    static auto* const create =
        acl_function<aclTensor*(const std::int64_t*, std::uint64_t, int, const std::int64_t*,
                                std::int64_t, int, const std::int64_t*, std::uint64_t, void*)>(
            "aclCreateTensor");
    if (!tensor.defined()) {
        return nullptr;
    }
    check_format(tensor);
    const auto sizes = tensor.sizes();
    const auto strides = tensor.strides();
    const std::int64_t offset = tensor.storage_offset();
    const auto bytes = static_cast<std::int64_t>(tensor.element_size());
    std::int64_t storage_bytes = 0;
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_storage_size(tensor.get(), &storage_bytes));
    const std::int64_t storage_elements = storage_bytes / bytes;
    auto* const data = static_cast<char*>(tensor.data_ptr());
    return created(create(sizes.data(), sizes.size(), data_type_of(tensor.scalar_type()),
                          strides.data(), offset, kFormatNd, &storage_elements, 1,
                          data == nullptr ? nullptr : data - offset * bytes),
                   "aclCreateTensor");
}

aclTensorList* make_tensor_list(const std::vector<Tensor>& tensors) {
    static auto* const create =
        acl_function<aclTensorList*(const aclTensor* const*, std::uint64_t)>("aclCreateTensorList");
    std::vector<Owned<aclTensor>> owned;
    std::vector<aclTensor*> members;
    owned.reserve(tensors.size());
    for (const Tensor& tensor : tensors) {
        owned.emplace_back(make_tensor(tensor));
        members.push_back(owned.back().get());
    }
    aclTensorList* list = created(create(members.data(), members.size()), "aclCreateTensorList");
    for (Owned<aclTensor>& member : owned) {
        member.release();  // the list destroys its members
    }
    return list;
}

aclIntArray* make_int_array(const std::vector<std::int64_t>& values) {
    static auto* const create =
        acl_function<aclIntArray*(const std::int64_t*, std::uint64_t)>("aclCreateIntArray");
    return created(create(values.data(), values.size()), "aclCreateIntArray");
}

aclBoolArray* make_bool_array(const bool* values, std::size_t count) {
    static auto* const create =
        acl_function<aclBoolArray*(const bool*, std::uint64_t)>("aclCreateBoolArray");
    return created(create(values, count), "aclCreateBoolArray");
}

void destroy(const aclTensor* handle) {
    static auto* const release = acl_function<int(const aclTensor*)>("aclDestroyTensor");
    release(handle);
}
void destroy(const aclTensorList* handle) {
    static auto* const release = acl_function<int(const aclTensorList*)>("aclDestroyTensorList");
    release(handle);
}
void destroy(const aclIntArray* handle) {
    static auto* const release = acl_function<int(const aclIntArray*)>("aclDestroyIntArray");
    release(handle);
}
void destroy(const aclBoolArray* handle) {
    static auto* const release = acl_function<int(const aclBoolArray*)>("aclDestroyBoolArray");
    release(handle);
}

}  // namespace ascend_ops::aclnn
