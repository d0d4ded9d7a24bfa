// Quantization with a given factor that also returns the largest magnitude.
#include "emulator/ops/checks.h"
#include "emulator/ops/groups.h"
#include "emulator/ops/quantization/quantized.h"

using namespace ascend_emulator;

namespace {

void check_amax(const Tensor& scale, const Tensor& x, Int groups, const String& mode, Int dst_type,
                const Out& y, const Out& amax) {
    const DType dtype = y.tensor.dtype();
    require((dst_type == ACL_FLOAT8_E5M2 && dtype == DType::float8_e5m2) ||
                (dst_type == ACL_FLOAT8_E4M3FN && dtype == DType::float8_e4m3fn),
            "dstType must be 35 or 36, the dtype of y, got " + std::to_string(dst_type));
    check_quantized_dtype("y", dtype);
    require(mode == "rint", "roundMode must be rint, got " + mode);
    require(scale.dtype() == DType::float32 && scale.sizes() == IntList{groups},
            "scale must be float32 with one element per group, " + std::to_string(groups));
    require(amax.tensor.sizes() == IntList{groups} && amax.tensor.dtype() == x.dtype(),
            "amax must have the dtype of x and one element per group, " + std::to_string(groups));
}

Tensor largest_magnitude(const Tensor& x) {
    return x.numel() == 0 ? full({}, Scalar{0.0}, DType::float32)
                          : aten("amax", aten("abs", x), IntList{}, false);
}

}  // namespace

ACLNN_CHECKED(aclnnQuantMax, Tensor x, Tensor scale, String roundMode, Int dstType, Out y,
              Out amax) {
    check_amax(scale, x, 1, roundMode, dstType, y, amax);
    const Tensor wide = x.to_float();
    store_quantized(y, wide * scale);
    amax.fill(largest_magnitude(wide));
}

// groupList holds the end of each group of rows.
ACLNN_CHECKED(aclnnGroupedQuantMax, Tensor x, Tensor scale, Tensor groupList, String roundMode,
              Int dstType, Out y, Out amax) {
    check_amax(scale, x, groupList.numel(), roundMode, dstType, y, amax);
    const Groups groups = groups_of(groupList, static_cast<Int>(GroupList::ends), x.size(0));
    require(rows_in(groups) == x.size(0), "groupList must end at the number of rows of x, " +
                                              std::to_string(x.size(0)) + ", got " +
                                              std::to_string(rows_in(groups)));
    const Tensor wide = x.to_float();
    for (const Group& group : groups) {
        const Tensor own = rows(wide, group.begin, group.end);
        store_quantized({rows(y.tensor, group.begin, group.end), y.parameter},
                        own * aten("select.int", scale, 0, group.index));
        assign(aten("select.int", amax.tensor, 0, group.index), largest_magnitude(own));
    }
}
