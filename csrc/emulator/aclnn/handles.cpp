#include "emulator/aclnn/handles.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "emulator/aclnn/storage_format.h"
#include "emulator/interface/services.h"

namespace ascend_emulator {
namespace {

template <class T>
Scalar read(const void* value) {
    Scalar scalar;
    scalar.value = *static_cast<const T*>(value);
    return scalar;
}

/// Read float16 and bfloat16 by way of a tensor of one element.
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

}  // namespace

IntList contiguous_strides(const IntList& sizes) {
    IntList strides(sizes.size());
    std::int64_t stride = 1;
    for (std::size_t i = sizes.size(); i-- > 0;) {
        strides[i] = stride;
        if (__builtin_mul_overflow(stride, std::max<std::int64_t>(sizes[i], 1), &stride)) {
            stride = 0;  // why_invalid refuses such sizes
        }
    }
    return strides;
}

std::string text_of(const IntList& values) {
    std::string text = "[";
    for (std::size_t i = 0; i < values.size(); ++i) {
        text += (i == 0 ? "" : ", ") + std::to_string(values[i]);
    }
    return text + "]";
}

namespace {

constexpr std::int64_t max_elements = std::int64_t{1} << 48;

/// The last element that the strides reach, from the first; -1 if it is out of all bounds.
std::int64_t reach_of(const TensorDescription& tensor) {
    std::int64_t reach = 0;
    for (std::size_t i = 0; i < tensor.sizes.size(); ++i) {
        std::int64_t step = 0;
        if (tensor.strides[i] < 0 ||
            __builtin_mul_overflow(tensor.sizes[i] - 1, tensor.strides[i], &step) ||
            __builtin_add_overflow(reach, step, &reach) || reach > max_elements) {
            return -1;
        }
    }
    return reach;
}

/// The number of elements; -1 if a size is negative or there are too many elements.
std::int64_t count_of(const IntList& sizes) {
    std::int64_t count = 1;
    bool fits = true;
    for (const std::int64_t size : sizes) {
        if (size < 0) {
            return -1;
        }
        fits = fits && !__builtin_mul_overflow(count, std::max<std::int64_t>(size, 1), &count) &&
               count <= max_elements;
    }
    if (!fits) {
        return -1;
    }
    return std::find(sizes.begin(), sizes.end(), 0) == sizes.end() ? count : 0;
}

}  // namespace

namespace {

std::int64_t bytes_of(std::int64_t elements, DType dtype) {
    return is_packed(dtype) ? (elements + 1) / 2 : elements * element_size(dtype);
}

/// The dimension along which two elements share a byte: the last one whose elements are adjacent.
std::size_t packed_dimension(const TensorDescription& tensor) {
    std::size_t packed = tensor.sizes.size();
    for (std::size_t i = 0; i < tensor.sizes.size(); ++i) {
        const bool is_adjacent = tensor.strides[i] == 1;
        packed =
            is_adjacent && (packed == tensor.sizes.size() || tensor.sizes[i] != 1) ? i : packed;
    }
    return packed;
}

/// Whether no byte has an element of another row.
bool is_whole_bytes(const TensorDescription& tensor) {
    const std::size_t packed = packed_dimension(tensor);
    for (std::size_t i = 0; i < tensor.sizes.size(); ++i) {
        if ((i == packed ? tensor.sizes[i] : tensor.strides[i]) % 2 != 0 && tensor.sizes[i] != 1) {
            return false;
        }
    }
    return packed != tensor.sizes.size() && tensor.sizes[packed] % 2 == 0 && tensor.offset % 2 == 0;
}

/// A tensor of bytes: the dimension that two elements share has half its size.
Tensor packed_tensor_of(const TensorDescription& tensor, void* bytes) {
    IntList sizes = tensor.sizes;
    IntList strides = tensor.strides;
    const std::size_t packed = packed_dimension(tensor);
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        (i == packed ? sizes[i] : strides[i]) /= 2;
    }
    return tensor_at(bytes, sizes, strides, tensor.dtype());
}

}  // namespace

std::string why_invalid(const TensorDescription& tensor) {
    if (!is_emulated(tensor.data_type)) {
        return "must have a dtype that is emulated, got aclDataType " +
               std::to_string(tensor.data_type);
    }
    const std::int64_t count = count_of(tensor.sizes);
    if (count < 0) {
        return "must have sizes that are not negative, with at most 2^48 elements, got " +
               text_of(tensor.sizes);
    }
    if (count == 0) {
        return {};
    }
    if (is_packed(tensor.dtype()) && !is_whole_bytes(tensor)) {
        return "must have an even number of 4-bit elements per row, got sizes " +
               text_of(tensor.sizes) + " and strides " + text_of(tensor.strides);
    }
    const std::int64_t reach = reach_of(tensor);
    const std::int64_t storage = tensor.storage < 0 ? max_elements : tensor.storage;
    if (reach < 0 || tensor.offset < 0 || tensor.offset > max_elements ||
        tensor.offset + reach >= storage) {
        return "must lie within its storage of " +
               (tensor.storage < 0 ? "at most 2^48" : std::to_string(storage)) +
               " elements, got sizes " + text_of(tensor.sizes) + ", strides " +
               text_of(tensor.strides) + " and offset " + std::to_string(tensor.offset);
    }
    return {};
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
            throw std::runtime_error("a scalar of aclDataType " + std::to_string(type) +
                                     " is not emulated");
    }
}

namespace {

constexpr std::pair<aclDataType, DType> dtypes[] = {
    {ACL_FLOAT, DType::float32},
    {ACL_FLOAT16, DType::float16},
    {ACL_BF16, DType::bfloat16},
    {ACL_DOUBLE, DType::float64},
    {ACL_INT8, DType::int8},
    {ACL_UINT8, DType::uint8},
    {ACL_INT16, DType::int16},
    {ACL_INT32, DType::int32},
    {ACL_INT64, DType::int64},
    {ACL_UINT16, DType::uint16},
    {ACL_UINT32, DType::uint32},
    {ACL_UINT64, DType::uint64},
    {ACL_BOOL, DType::boolean},
    {ACL_COMPLEX32, DType::complex32},
    {ACL_COMPLEX64, DType::complex64},
    {ACL_COMPLEX128, DType::complex128},
    {ACL_FLOAT8_E4M3FN, DType::float8_e4m3fn},
    {ACL_FLOAT8_E5M2, DType::float8_e5m2},
    {ACL_INT4, DType::int4},
    {ACL_FLOAT8_E8M0, DType::float8_e8m0},
    {ACL_FLOAT4_E2M1, DType::float4_e2m1},
};

/// DType::none if the type is not emulated.
DType dtype_or_none(aclDataType type) {
    for (const auto& [data_type, dtype] : dtypes) {
        if (data_type == type) {
            return dtype;
        }
    }
    return DType::none;
}

}  // namespace

bool is_emulated(aclDataType type) { return dtype_or_none(type) != DType::none; }

DType dtype_of(aclDataType type) {
    if (!is_emulated(type)) {
        throw std::runtime_error("aclDataType " + std::to_string(type) + " is not emulated");
    }
    return dtype_or_none(type);
}

DType TensorDescription::dtype() const { return dtype_of(data_type); }

const void* TensorDescription::begin() const {
    return static_cast<const char*>(data) + bytes_of(offset, dtype());
}

std::size_t TensorDescription::bytes() const {
    std::int64_t elements = 1;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        if (sizes[i] == 0) {
            return 0;
        }
        elements += (sizes[i] - 1) * strides[i];
    }
    if (is_blocked(format)) {
        elements = std::accumulate(storage_sizes.begin(), storage_sizes.end(), std::int64_t{1},
                                   std::multiplies<std::int64_t>());
    }
    return static_cast<std::size_t>(bytes_of(elements, dtype()));
}

Tensor tensor_of(const TensorDescription& description) {
    if (!is_plain(description.format)) {
        throw std::runtime_error("the storage format " + std::to_string(description.format) +
                                 " is not emulated here");
    }
    void* bytes = services().bytes_of(description.begin());
    if (is_packed(description.dtype())) {
        return packed_tensor_of(description, bytes);
    }
    return tensor_at(bytes, description.sizes, description.strides, description.dtype());
}

Tensor storage_of(const TensorDescription& description) {
    if (is_packed(description.dtype())) {
        throw std::runtime_error("a 4-bit dtype in the storage format " +
                                 std::to_string(description.format) + " is not emulated");
    }
    return tensor_at(services().bytes_of(description.data), description.storage_sizes,
                     contiguous_strides(description.storage_sizes), description.dtype());
}

namespace {

/// The dimensions of a dense view in the order of the storage, the largest stride first.
IntList storage_order(const TensorDescription& description) {
    IntList order(description.sizes.size());
    std::iota(order.begin(), order.end(), std::int64_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
        return description.strides[static_cast<std::size_t>(a)] >
               description.strides[static_cast<std::size_t>(b)];
    });
    return order;
}

}  // namespace

Tensor input_of(const TensorDescription& description) {
    if (!is_blocked(description.format)) {
        return tensor_of(description);
    }
    const IntList order = storage_order(description);
    IntList sizes;
    IntList back(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        sizes.push_back(description.sizes[static_cast<std::size_t>(order[i])]);
        back[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(i);
    }
    if (description.offset != 0) {
        throw std::runtime_error("a view of a tensor in the storage format " +
                                 std::to_string(description.format) +
                                 " must begin at its first element");
    }
    return from_storage(storage_of(description), sizes, description.format).permute(back);
}

}  // namespace ascend_emulator
