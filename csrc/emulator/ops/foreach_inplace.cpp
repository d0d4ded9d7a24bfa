// Multi-tensor operators that work in place, and older forms of others.
#include "emulator/ops/for_each.h"

using namespace ascend_emulator;

ATEN(aclnnForeachACosInplace, "_foreach_acos_", InOuts)
ATEN(aclnnForeachLogInplace, "_foreach_log_", InOuts)

ACLNN(aclnnForeachAddListInplace, InOuts x, Tensors y, Tensor alpha) {
    const double value = alpha.item();
    for_each(x, [&](std::size_t i) { return aten("add.Tensor", x.tensors[i], y[i], value); });
}
ACLNN(aclnnForeachSubListInplace, InOuts x, Tensors y, Tensor alpha) {
    const double value = alpha.item();
    for_each(x, [&](std::size_t i) { return aten("sub.Tensor", x.tensors[i], y[i], value); });
}
ACLNN(aclnnForeachMulListInplace, InOuts x, Tensors y) {
    for_each(x, [&](std::size_t i) { return x.tensors[i] * y[i]; });
}
ACLNN(aclnnForeachDivListInplace, InOuts x, Tensors y) {
    for_each(x, [&](std::size_t i) { return x.tensors[i] / y[i]; });
}
ACLNN(aclnnForeachMulScalarInplace, InOuts x, Tensor scalar) {
    const double value = scalar.item();
    for_each(x, [&](std::size_t i) { return x.tensors[i] * value; });
}
ACLNN(aclnnForeachSubScalarInplace, InOuts x, Tensor scalar) {
    const double value = scalar.item();
    for_each(x, [&](std::size_t i) { return x.tensors[i] - value; });
}

// x + scalars[i] * y * z, and x + scalars[i] * y / z; the scalars are one tensor.
#define FOREACH_POINTWISE_LIST(OP, SCHEMA)                                                     \
    ACLNN(aclnnForeach##OP##List, Tensors x, Tensors y, Tensors z, Tensor scalars, Outs out) { \
        for_each(out, [&](std::size_t i) {                                                     \
            const double value = aten("select.int", scalars, 0, static_cast<Int>(i)).item();   \
            return aten(SCHEMA, x[i], y[i], z[i], value);                                      \
        });                                                                                    \
    }
FOREACH_POINTWISE_LIST(Addcmul, "addcmul")
FOREACH_POINTWISE_LIST(Addcdiv, "addcdiv")
