// The tensors of an optimizer's op, a list for each role, and their checks.
#pragma once

#include <torch/csrc/stable/ops.h>

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "ascend_ops/torch_arguments.h"
#include "ascend_ops/torch_check.h"
#include "optimizer.h"

namespace ascend_ops {

/// One tensor of each parameter, in their order.
struct TensorList {
    const char* name;  // of one, as an error says it
    std::vector<Tensor> tensors;

    TensorArgument at(std::size_t i) const { return {name, tensors[i]}; }
};

/// All tensors of the parameters; an op of one parameter has lists of one.
struct Parameters {
    TensorList params;
    TensorList grads;
    std::vector<TensorList> states;
    TensorList low_precision_params = {"low_precision_params", {}};  // may be empty

    std::size_t count() const { return params.tensors.size(); }
    bool has_copies() const { return !low_precision_params.tensors.empty(); }

    /// The parameters' tensors by role; grads, which are only read, last.
    std::vector<const TensorList*> roles() const {
        std::vector<const TensorList*> all = {&params};
        for (const TensorList& list : states) {
            all.push_back(&list);
        }
        if (has_copies()) {
            all.push_back(&low_precision_params);
        }
        all.push_back(&grads);
        return all;
    }

    Tensors pointers(std::size_t i) const {
        Tensors all = {params.tensors[i].mutable_data_ptr(), grads.tensors[i].const_data_ptr(), {}};
        for (std::size_t k = 0; k < states.size(); ++k) {
            all.states[k] = states[k].tensors[i].mutable_data_ptr();
        }
        if (has_copies()) {
            all.low_precision_params = low_precision_params.tensors[i].mutable_data_ptr();
        }
        return all;
    }
};

inline TensorList take_list(ArgumentReader& arguments, const char* name) {
    return {name, arguments.take<std::vector<Tensor>>()};
}

inline TensorList take_one(ArgumentReader& arguments, const char* name) {
    return {name, {arguments.take<Tensor>()}};
}

inline void check_length(const char* name, std::size_t found, std::size_t wanted) {
    if (found != wanted) {
        fail(name, "as many as params, " + std::to_string(wanted), std::to_string(found));
    }
}

inline void check_problem(const Problem& problem) {
    if (problem.argument != nullptr) {
        fail(problem.argument, problem.wanted, to_text(problem.found));
    }
}

inline DType params_dtype_or_float32(const TensorArgument& argument, DType params) {
    const DType found = dtype_of(argument);
    if (found != params && found != DType::float32) {
        fail(argument.name, "the dtype of params, or float32", dtype_text(argument));
    }
    return found;
}

inline DType low_precision_dtype(const TensorArgument& argument) {
    const DType found = dtype_of(argument);
    if (found == DType::float32) {
        fail(argument.name, "dtype bfloat16 or float16", dtype_text(argument));
    }
    return found;
}

/// Whether grads may have any dtype, to be scaled, and params have to be fp32.
enum class Purpose : std::uint8_t { step, offload };

inline DTypes check_dtypes(const Parameters& parameters, std::size_t i, Purpose purpose) {
    DTypes dtypes;
    dtypes.params = dtype_of(parameters.params.at(i));
    if (purpose == Purpose::offload && dtypes.params != DType::float32) {
        fail(parameters.params.name, "dtype float32", dtype_text(parameters.params.at(i)));
    }
    dtypes.grads = purpose == Purpose::offload
                       ? dtype_of(parameters.grads.at(i))
                       : params_dtype_or_float32(parameters.grads.at(i), dtypes.params);
    const TensorArgument state = parameters.states[0].at(i);
    dtypes.states = params_dtype_or_float32(state, dtypes.params);
    for (const TensorList& other : parameters.states) {
        if (dtype_of(other.at(i)) != dtypes.states) {
            fail(other.name, std::string("the dtype of ") + state.name + ", " + dtype_text(state),
                 dtype_text(other.at(i)));
        }
    }
    if (parameters.has_copies()) {
        dtypes.low_precision_params = low_precision_dtype(parameters.low_precision_params.at(i));
    }
    return dtypes;
}

/// Devices, layouts, shapes, dtypes and overlaps of one parameter's tensors. Strides may be any.
inline DTypes check_tensors(const Parameters& parameters,
                            const std::vector<const TensorList*>& roles, std::size_t i,
                            Purpose purpose) {
    const TensorArgument params = parameters.params.at(i);
    for (const TensorList* role : roles) {
        check_strided_cpu(role->at(i));
        check_same_sizes(role->at(i), params);
    }
    const DTypes dtypes = check_dtypes(parameters, i, purpose);
    std::vector<MemoryRange> ranges;
    ranges.reserve(roles.size());
    for (const TensorList* role : roles) {
        if (role != &parameters.grads) {  // grads are only read: they may be expanded
            check_no_self_overlap(role->at(i));
        }
        ranges.emplace_back(role->tensors[i]);
        for (std::size_t other = 0; other + 1 < ranges.size(); ++other) {
            check_disjoint(role->name, ranges.back(), roles[other]->name, ranges[other]);
        }
    }
    return dtypes;
}

/// Refuses parameters that share memory with others, or with their states: two threads would write
/// it. Tensors with holes are left out: they may interleave without meeting, and are not run in
/// parallel.
inline void check_all_disjoint(const Parameters& parameters,
                               const std::vector<const TensorList*>& roles) {
    std::vector<MemoryRange> written;
    written.reserve(parameters.count() * (roles.size() - 1));
    for (std::size_t i = 0; i < parameters.count(); ++i) {
        for (const TensorList* role : roles) {
            const Tensor& tensor = role->tensors[i];
            const std::int64_t numel = tensor.numel();
            if (role != &parameters.grads && numel != 0 && extent(tensor) == numel) {
                written.emplace_back(tensor);
            }
        }
    }
    std::sort(written.begin(), written.end(),
              [](const MemoryRange& a, const MemoryRange& b) { return a.begin < b.begin; });
    for (std::size_t i = 1; i < written.size(); ++i) {
        if (written[i].begin < written[i - 1].end) {
            const auto shared = std::min(written[i - 1].end, written[i].end) - written[i].begin;
            fail("params", "parameters and states that do not overlap in memory",
                 "two that share " + std::to_string(shared) + " bytes");
        }
    }
}

using Planner = std::function<Problem(std::size_t i, const DTypes& dtypes, Plan* plan)>;

/// All checks of an update; nothing is changed. `plan` makes that of parameter i.
inline std::vector<Plan> plan_all(const Parameters& parameters, Purpose purpose,
                                  const Planner& plan) {
    const std::size_t count = parameters.count();
    const std::vector<const TensorList*> roles = parameters.roles();
    for (const TensorList* role : roles) {
        check_length(role->name, role->tensors.size(), count);
    }
    std::vector<Plan> plans(count);
    for (std::size_t i = 0; i < count; ++i) {
        try {
            const DTypes dtypes = check_tensors(parameters, roles, i, purpose);
            check_problem(plan(i, dtypes, &plans[i]));
        } catch (const std::runtime_error& error) {
            if (count == 1) {
                throw;
            }
            throw std::runtime_error("parameter " + std::to_string(i) + " of " +
                                     std::to_string(count) + ": " + error.what());
        }
    }
    check_all_disjoint(parameters, roles);
    return plans;
}

}  // namespace ascend_ops
