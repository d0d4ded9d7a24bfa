// Conversions between storage formats. The operands are converted around the kernel.
#include <algorithm>

#include "emulator/aclnn/operation.h"
#include "emulator/aclnn/storage_format.h"
#include "emulator/interface/status.h"
#include "emulator/ops/checks.h"
#include "emulator/ops/single_op.h"

namespace ascend_emulator {

/// A tensor with its storage format; other bodies see its elements only.
template <>
struct Parameter<TensorDescriptionPtr>
    : PointerParameter<const aclTensor*, ParameterKind::input, true> {};
template <>
TensorDescriptionPtr Arguments::get(std::size_t index) const;

}  // namespace ascend_emulator

using namespace ascend_emulator;

SINGLE_OP(Identity) {
    operands.accept_attributes({});
    operands.output(0) = operands.input(0);
}

// The formats come from the descriptors, whatever the attributes repeat.
SINGLE_OP(TransData) {
    operands.accept_attributes(
        {"src_format", "dst_format", "groups", "src_subformat", "dst_subformat"});
    require(operands.number("groups", 1) <= 1, "groups must be 1; others are not emulated");
    operands.output(0) = operands.input(0);
}

namespace {

bool is_matrix_format(aclFormat format) {
    return is_blocked(format) && format != ACL_FORMAT_NC1HWC0 && format != ACL_FORMAT_FRACTAL_Z &&
           format != ACL_FORMAT_NDC1HWC0 && format != ACL_FRACTAL_Z_3D;
}

/// Whether CANN converts between the formats on the emulated SoC.
bool is_convertible(aclFormat from, aclFormat to) {
    const bool one_way = is_plain(from) && is_blocked(to);
    const bool back = is_blocked(from) && is_plain(to);
    const aclFormat blocked = one_way ? to : from;
    return (one_way || back) && (!is_ascend950() || is_matrix_format(blocked));
}

/// On an Ascend 950, the format of values that are wider than those for which the blocks are made
/// names the size of a block.
aclFormat actual_format(aclFormat wanted, std::int64_t columns, std::int64_t bytes) {
    if (!is_ascend950() || wanted != ACL_FORMAT_FRACTAL_NZ || bytes < 4) {
        return wanted;
    }
    return columns == 32   ? ACL_FORMAT_FRACTAL_NZ_C0_32
           : columns == 16 ? ACL_FORMAT_FRACTAL_NZ_C0_16
                           : wanted;
}

constexpr std::int64_t block_bytes = 32;
constexpr int runtime_error = 361001;  // CANN's ACLNN_ERR_RUNTIME_ERROR

/// What aclnnNpuFormatCastCalculateSizeAndFormat returns.
struct StoragePlan {
    IntList sizes;
    aclFormat format;
};

StoragePlan plan_storage(const TensorDescription& tensor, aclFormat wanted, aclDataType dtype) {
    if (is_plain(wanted)) {
        return {tensor.sizes, wanted};
    }
    const std::int64_t columns = block_bytes / element_size(dtype_of(dtype));
    return {storage_sizes_of(tensor.sizes, wanted, columns),
            actual_format(wanted, columns, element_size(tensor.dtype()))};
}

}  // namespace

/// The caller frees the sizes with delete[].
EMULATOR_EXPORT int aclnnNpuFormatCastCalculateSizeAndFormat(const aclTensor* source, int format,
                                                             int additional_dtype,
                                                             std::int64_t** sizes,
                                                             std::uint64_t* rank, int* actual) {
    return guarded([&] {
        if (source == nullptr) {
            return check_pointer(source, "srcTensor");
        }
        int refused = services().enter("aclnnNpuFormatCastCalculateSizeAndFormat");
        refused =
            refused != 0 ? refused : check_pointer(static_cast<const void*>(sizes), "dstShape");
        refused = refused != 0 ? refused : check_pointer(rank, "dstShapeSize");
        refused = refused != 0 ? refused : check_pointer(actual, "actualFormat");
        if (refused != 0) {
            return refused;
        }
        const std::string problem = why_unusable(source);
        if (!problem.empty()) {
            return services().fail(invalid_handle, "srcTensor: " + problem);
        }
        const TensorDescription& tensor = *source->description;
        const auto wanted = static_cast<aclFormat>(format);
        if (!is_convertible(tensor.format, wanted)) {
            return services().fail(runtime_error,
                                   "dstFormat must be a format into which CANN "
                                   "converts format " +
                                       std::to_string(tensor.format) + ", got " +
                                       std::to_string(format));
        }
        const StoragePlan plan = plan_storage(
            tensor, wanted,
            additional_dtype < 0 ? tensor.data_type : static_cast<aclDataType>(additional_dtype));
        *sizes = new std::int64_t[std::max<std::size_t>(plan.sizes.size(), 1)];
        std::copy(plan.sizes.begin(), plan.sizes.end(), *sizes);
        *rank = plan.sizes.size();
        *actual = plan.format;
        return 0;
    });
}

ACLNN(aclnnNpuFormatCast, TensorDescriptionPtr source, TensorDescriptionPtr target) {
    const TensorDescription& to = *target;
    const Tensor tensor = input_of(*source);
    if (is_plain(to.format)) {
        assign(tensor_of(to), tensor);
    } else {
        assign(storage_of(to), to_storage(tensor, to.storage_sizes, to.format));
    }
}
