#include "npu/call/arguments.h"

#include <stdexcept>

#include "cpu/dtype_name.h"
#include "npu/call/function.h"
#include "npu/call/torch_npu.h"

namespace ascend_ops::aclnn {
namespace {

using torch::headeronly::ScalarType;

constexpr int nd_format = 2;
constexpr int ncdhw_format = 30;

/// Return the aclDataType of a dtype, as acl_base.h numbers them.
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
            throw std::runtime_error(std::string("tensors must have a dtype that CANN has, got ") +
                                     ascend_ops::dtype_name(dtype));
    }
}

/// Formats up to ND (NCHW, NHWC, ND) and NCDHW store the elements at their strides. The private
/// formats rearrange them.
void check_format(const Tensor& tensor) {
    const std::int64_t format = torch_npu().format_of(tensor.get());
    if (format > nd_format && format != ncdhw_format) {
        throw std::runtime_error("tensors must be in a plain format, got CANN's private format " +
                                 std::to_string(format) +
                                 ": convert them with torch_npu.npu_format_cast(tensor, 2)");
    }
}

template <class Signature>
Signature* acl_function(const char* name) {
    auto* found = reinterpret_cast<Signature*>(find_symbol(name));
    if (found == nullptr) {
        throw std::runtime_error(std::string("NPU ops require ") + name +
                                 ", which the libraries of this CANN lack");
    }
    return found;
}

using Destroy = int (*)(const void*);

Destroy destroyer(const char* name) { return acl_function<int(const void*)>(name); }

aclTensor* make_tensor(const Tensor& tensor) {
    static auto* const create =
        acl_function<aclTensor*(const std::int64_t*, std::uint64_t, int, const std::int64_t*,
                                std::int64_t, int, const std::int64_t*, std::uint64_t, void*)>(
            "aclCreateTensor");
    check_format(tensor);
    const auto sizes = tensor.sizes();
    const auto strides = tensor.strides();
    const std::int64_t offset = tensor.storage_offset();
    const auto bytes = static_cast<std::int64_t>(tensor.element_size());
    std::int64_t storage_bytes = 0;
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_storage_size(tensor.get(), &storage_bytes));
    const std::int64_t storage_elements = storage_bytes / bytes;
    auto* const data = static_cast<char*>(tensor.data_ptr());
    return create(sizes.data(), sizes.size(), data_type_of(tensor.scalar_type()), strides.data(),
                  offset, nd_format, &storage_elements, 1,
                  data == nullptr ? nullptr : data - offset * bytes);
}

}  // namespace

Handles::~Handles() {
    for (const Held& held : held_) {
        held.destroy(held.handle);
    }
}

template <class Handle>
Handle* Handles::keep(Handle* made, const char* maker, Destroy destroy) {
    if (made == nullptr) {
        check_status(-1, maker);
    }
    held_.push_back({made, destroy});
    return made;
}

aclTensor* Handles::hold(const Tensor& tensor) {
    static const Destroy destroy = destroyer("aclDestroyTensor");
    return tensor.defined() ? keep(make_tensor(tensor), "aclCreateTensor", destroy) : nullptr;
}

aclTensorList* Handles::hold(const std::vector<Tensor>& tensors) {
    static auto* const create =
        acl_function<aclTensorList*(const aclTensor* const*, std::uint64_t)>("aclCreateTensorList");
    static const Destroy destroy = destroyer("aclDestroyTensorList");
    const std::size_t before = held_.size();
    std::vector<aclTensor*> members;
    members.reserve(tensors.size());
    for (const Tensor& tensor : tensors) {
        members.push_back(hold(tensor));
    }
    aclTensorList* const list = create(members.data(), members.size());
    if (list != nullptr) {
        held_.resize(before);  // it destroys its members
    }
    return keep(list, "aclCreateTensorList", destroy);
}

aclScalar* Handles::hold(const Scalar& value) {
    // CANN copies the value, and declares it without const.
    static auto* const create = acl_function<aclScalar*(void*, int)>("aclCreateScalar");
    static const Destroy destroy = destroyer("aclDestroyScalar");
    void* const data = const_cast<void*>(value.data());
    return keep(create(data, data_type_of(value.dtype())), "aclCreateScalar", destroy);
}

aclIntArray* Handles::hold(const std::vector<std::int64_t>& values) {
    static auto* const create =
        acl_function<aclIntArray*(const std::int64_t*, std::uint64_t)>("aclCreateIntArray");
    static const Destroy destroy = destroyer("aclDestroyIntArray");
    return keep(create(values.data(), values.size()), "aclCreateIntArray", destroy);
}

aclBoolArray* Handles::hold_booleans(const bool* values, std::size_t count) {
    static auto* const create =
        acl_function<aclBoolArray*(const bool*, std::uint64_t)>("aclCreateBoolArray");
    static const Destroy destroy = destroyer("aclDestroyBoolArray");
    return keep(create(values, count), "aclCreateBoolArray", destroy);
}

}  // namespace ascend_ops::aclnn
