// The tensors of an optimizer's op, one list per role, and their checks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cpu/optimizer/optimizer.h"
#include "cpu/python_arguments.h"
#include "cpu/threads.h"
#include "cpu/torch_arguments.h"
#include "cpu/torch_check.h"

namespace ascend_ops {

/// One tensor per parameter, in the order of the parameters.
struct TensorList {
    const char* name;  // of one tensor, in errors
    std::vector<Tensor> tensors;
    std::vector<HostTensor> described = {};  // in place of `tensors`, if Python passed them

    std::size_t size() const { return described.empty() ? tensors.size() : described.size(); }
    HostTensor at(std::size_t i) const {
        return described.empty() ? host_tensor(name, tensors[i]) : described[i];
    }
};

/// All tensors of the parameters. An op for a single parameter has lists of one tensor.
struct Parameters {
    TensorList params;
    TensorList grads;
    std::vector<TensorList> states;
    TensorList low_precision_params = {"low_precision_params", {}};  // may be empty

    std::size_t count() const { return params.size(); }
    bool has_copies() const { return !low_precision_params.tensors.empty(); }

    /// Returns the lists; the last one is grads, which are only read.
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
};

/// The tensors of one parameter, in the order of Parameters::roles().
class Roles {
  public:
    explicit Roles(const Parameters& parameters)
        : lists_(parameters.roles()),
          state_count_(parameters.states.size()),
          has_copies_(parameters.has_copies()) {}

    /// Reads the tensors of parameter i. Throws unless they are strided CPU tensors of one shape.
    void read(std::size_t i) {
        tensors_.clear();
        for (const TensorList* list : lists_) {
            tensors_.push_back(list->at(i));
            check_same_sizes(tensors_.back(), tensors_.front());
        }
    }

    const std::vector<const TensorList*>& lists() const { return lists_; }
    const std::vector<HostTensor>& all() const { return tensors_; }
    std::size_t written_count() const { return lists_.size() - 1; }  // all but grads
    const HostTensor& params() const { return tensors_.front(); }
    const HostTensor& grads() const { return tensors_.back(); }
    const HostTensor& state(std::size_t k) const { return tensors_[1 + k]; }
    std::size_t state_count() const { return state_count_; }
    bool has_copies() const { return has_copies_; }
    const HostTensor& low_precision_params() const { return state(state_count_); }

    Tensors pointers() const {
        Tensors all = {params().data, grads().data, {}};
        for (std::size_t k = 0; k < state_count_; ++k) {
            all.states[k] = state(k).data;
        }
        all.low_precision_params = has_copies_ ? low_precision_params().data : nullptr;
        return all;
    }

    /// Returns whether an update may run over the memory of all tensors from first to last.
    bool share_dense_layout() const {
        return std::all_of(tensors_.begin(), tensors_.end(), [&](const HostTensor& tensor) {
            return same_dense_layout(params(), tensor);
        });
    }

  private:
    std::vector<const TensorList*> lists_;
    std::vector<HostTensor> tensors_;
    std::size_t state_count_;
    bool has_copies_;
};

/// The checked update of one parameter.
struct Update {
    Plan plan;
    Tensors pointers;
    std::int64_t numel;
    bool dense;  // if false, the pointers cannot be used: see run_on_copies()
};

inline TensorList take_list(ArgumentReader& arguments, const char* name) {
    return {name, arguments.take<std::vector<Tensor>>()};
}

inline TensorList take_list(PythonArguments& arguments, const char* name) {
    return {name, {}, arguments.take_tensors(name)};
}

inline TensorList take_one(ArgumentReader& arguments, const char* name) {
    return {name, {arguments.take<Tensor>()}};
}

inline void check_length(const char* name, std::size_t count, std::size_t param_count) {
    if (count != param_count) {
        fail(name, "have " + std::to_string(param_count) + " tensors, one per parameter",
             std::to_string(count));
    }
}

inline void check_problem(const Problem& problem) {
    if (problem.argument != nullptr) {
        fail(problem.argument, problem.requirement, to_text(problem.value));
    }
}

inline DType params_dtype_or_float32(const HostTensor& tensor, DType params) {
    const DType found = dtype_of(tensor);
    if (found != params && found != DType::float32) {
        fail(tensor.name, "have the dtype of params or float32", dtype_text(tensor));
    }
    return found;
}

inline DType low_precision_dtype(const HostTensor& tensor) {
    const DType found = dtype_of(tensor);
    if (found == DType::float32) {
        fail(tensor.name, "have dtype bfloat16 or float16", dtype_text(tensor));
    }
    return found;
}

/// With offload, params must be fp32 and grads, which are scaled, may have any dtype.
enum class Purpose : std::uint8_t { step, offload };

inline DTypes check_dtypes(const Roles& roles, Purpose purpose) {
    DTypes dtypes;
    dtypes.params = dtype_of(roles.params());
    if (purpose == Purpose::offload && dtypes.params != DType::float32) {
        fail(roles.params().name, "have dtype float32", dtype_text(roles.params()));
    }
    dtypes.grads = purpose == Purpose::offload
                       ? dtype_of(roles.grads())
                       : params_dtype_or_float32(roles.grads(), dtypes.params);
    const HostTensor& first = roles.state(0);
    dtypes.states = params_dtype_or_float32(first, dtypes.params);
    for (std::size_t k = 1; k < roles.state_count(); ++k) {
        const HostTensor& other = roles.state(k);
        if (dtype_of(other) != dtypes.states) {
            fail(other.name,
                 std::string("have the dtype of ") + first.name + ", " + dtype_text(first),
                 dtype_text(other));
        }
    }
    if (roles.has_copies()) {
        dtypes.low_precision_params = low_precision_dtype(roles.low_precision_params());
    }
    return dtypes;
}

/// Throws if tensors of one parameter overlap. Their dtypes must have been checked.
inline void check_overlaps(const Roles& roles) {
    std::vector<MemoryRange> ranges;
    ranges.reserve(roles.all().size());
    for (const HostTensor& tensor : roles.all()) {
        if (ranges.size() < roles.written_count()) {  // grads may be expanded
            check_no_self_overlap(tensor);
        }
        ranges.emplace_back(tensor);
        for (std::size_t other = 0; other + 1 < ranges.size(); ++other) {
            check_disjoint(tensor.name, ranges.back(), roles.all()[other].name, ranges[other]);
        }
    }
}

/// Stores the memory that an update writes, one range per role. Tensors with holes get an empty
/// range: they may interleave without sharing elements, and they are not updated in parallel.
inline void note_written(const Roles& roles, MemoryRange* written) {
    for (std::size_t k = 0; k < roles.written_count(); ++k) {
        const HostTensor& tensor = roles.all()[k];
        const bool dense = tensor.numel != 0 && tensor.extent == tensor.numel;
        written[k] = dense ? MemoryRange(tensor) : MemoryRange();
    }
}

/// Throws if parameters share memory with each other or with states, which two threads would
/// write.
inline void check_all_disjoint(std::vector<MemoryRange> written) {
    std::sort(written.begin(), written.end(),
              [](const MemoryRange& a, const MemoryRange& b) { return a.begin < b.begin; });
    for (std::size_t i = 1; i < written.size(); ++i) {
        if (written[i].begin < written[i - 1].end) {
            const auto shared = std::min(written[i - 1].end, written[i].end) - written[i].begin;
            fail("params", "not overlap each other or the states in memory",
                 "two that share " + std::to_string(shared) + " bytes");
        }
    }
}

using Planner = std::function<Problem(std::size_t i, const DTypes& dtypes, Plan* plan)>;

/// The result of checking many updates.
struct Checked {
    std::vector<Update> updates;
    std::vector<MemoryRange> written;
    std::size_t failed;  // the index of the first bad parameter, or the number of parameters
    std::exception_ptr error;
    std::mutex mutex;  // guards failed and error

    void fail(std::size_t i) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (i < failed) {
            failed = i;
            error = std::current_exception();
        }
    }

    void rethrow() const {
        const std::size_t count = updates.size();
        if (failed == count) {
            return;
        }
        try {
            std::rethrow_exception(error);
        } catch (const std::runtime_error& refused) {
            if (count == 1) {
                throw;
            }
            throw std::runtime_error("parameter " + std::to_string(failed) + " of " +
                                     std::to_string(count) + ": " + refused.what());
        }
    }
};

inline Update plan_one(const Roles& roles, Purpose purpose, const Planner& planner, std::size_t i) {
    const DTypes dtypes = check_dtypes(roles, purpose);
    check_overlaps(roles);
    Update update = {{}, roles.pointers(), roles.params().numel, roles.share_dense_layout()};
    check_problem(planner(i, dtypes, &update.plan));
    return update;
}

/// Plans the updates of parameters [begin, end), up to the first one that fails a check.
inline void plan_range(Roles roles, Purpose purpose, const Planner& planner, std::size_t begin,
                       std::size_t end, Checked* checked) {
    for (std::size_t i = begin; i < end; ++i) {
        try {
            roles.read(i);
            checked->updates[i] = plan_one(roles, purpose, planner, i);
            note_written(roles, &checked->written[i * roles.written_count()]);
        } catch (...) {
            checked->fail(i);
            return;
        }
    }
}

/// The minimum number of parameters that a thread checks.
constexpr std::int64_t plan_grain = 128;

/// Runs all checks of an update without changing anything. Each thread has its own copy of
/// `planner`.
inline std::vector<Update> plan_all(const Parameters& parameters, Purpose purpose,
                                    const Planner& planner) {
    const std::size_t count = parameters.count();
    const Roles roles(parameters);
    for (const TensorList* list : roles.lists()) {
        check_length(list->name, list->size(), count);
    }
    Checked checked = {std::vector<Update>(count),
                       std::vector<MemoryRange>(count * roles.written_count()),
                       count,
                       {},
                       {}};
    parallel_for(0, static_cast<std::int64_t>(count), plan_grain,
                 [&](std::int64_t begin, std::int64_t end) {
                     plan_range(roles, purpose, Planner(planner), static_cast<std::size_t>(begin),
                                static_cast<std::size_t>(end), &checked);
                 });
    checked.rethrow();
    check_all_disjoint(std::move(checked.written));
    return std::move(checked.updates);
}

}  // namespace ascend_ops
