// The four tensors of an Adam op, checked.
#pragma once

#include <utility>

#include "adam.h"
#include "ascend_ops/torch_arguments.h"
#include "ascend_ops/torch_check.h"

namespace ascend_ops {

struct AdamArguments {
    /// Takes the tensors in the order of the fields.
    explicit AdamArguments(ArgumentReader& arguments)
        : params{"params", arguments.take<Tensor>()},
          grads{"grads", arguments.take<Tensor>()},
          exp_avg{"exp_avg", arguments.take<Tensor>()},
          exp_avg_sq{"exp_avg_sq", arguments.take<Tensor>()} {}
    AdamArguments(Tensor params_, Tensor grads_, Tensor exp_avg_, Tensor exp_avg_sq_)
        : params{"params", std::move(params_)},
          grads{"grads", std::move(grads_)},
          exp_avg{"exp_avg", std::move(exp_avg_)},
          exp_avg_sq{"exp_avg_sq", std::move(exp_avg_sq_)} {}

    TensorArgument params;
    TensorArgument grads;
    TensorArgument exp_avg;
    TensorArgument exp_avg_sq;
};

inline DType params_dtype_or_float32(const TensorArgument& argument, DType params) {
    const DType found = dtype_of(argument);
    if (found != params && found != DType::float32) {
        fail(argument.name, "the dtype of params, or float32", dtype_text(argument));
    }
    return found;
}

inline AdamDTypes check_dtypes(const AdamArguments& arguments) {
    AdamDTypes dtypes;
    dtypes.params = dtype_of(arguments.params);
    dtypes.grads = params_dtype_or_float32(arguments.grads, dtypes.params);
    dtypes.states = params_dtype_or_float32(arguments.exp_avg, dtypes.params);
    if (dtype_of(arguments.exp_avg_sq) != dtypes.states) {
        fail("exp_avg_sq", "the dtype of exp_avg, " + dtype_text(arguments.exp_avg),
             dtype_text(arguments.exp_avg_sq));
    }
    return dtypes;
}

/// Devices, layouts, shapes, dtypes and overlaps. Strides may be any.
inline AdamDTypes check_tensors(const AdamArguments& arguments) {
    const TensorArgument* const all[] = {&arguments.params, &arguments.grads, &arguments.exp_avg,
                                         &arguments.exp_avg_sq};
    for (const TensorArgument* argument : all) {
        check_strided_cpu(*argument);
        check_same_sizes(*argument, arguments.params);
    }
    const AdamDTypes dtypes = check_dtypes(arguments);
    for (const TensorArgument* argument : all) {
        if (argument != &arguments.grads) {  // grads are only read: they may be expanded
            check_no_self_overlap(*argument);
        }
        for (const TensorArgument* const* other = all; *other != argument; ++other) {
            check_disjoint(*argument, **other);
        }
    }
    return dtypes;
}

/// Whether the update may run over the memory of all four from first to last.
inline bool share_dense_layout(const AdamArguments& arguments) {
    const Tensor& params = arguments.params.tensor;
    return same_dense_layout(params, arguments.grads.tensor) &&
           same_dense_layout(params, arguments.exp_avg.tensor) &&
           same_dense_layout(params, arguments.exp_avg_sq.tensor);
}

}  // namespace ascend_ops
