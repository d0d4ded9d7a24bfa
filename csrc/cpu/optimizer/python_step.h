// The steps of optimizers that Python calls past the dispatcher, for lists of many tensors.
#pragma once

#include <algorithm>
#include <cstdint>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include "cpu/optimizer/multi_tensor.h"
#include "cpu/python_arguments.h"

namespace ascend_ops {

/// What a call returns; ascend_ops/cpu_optimizers/python_step.py knows the values.
enum class PythonOutcome : std::int32_t {
    done = 0,
    use_dispatcher = 1,  // nothing has been changed
    raised = 2,          // with Python's error set
};

/// Checks a step and, unless the call only checks, runs it. `take` reads its lists from
/// PythonArguments. A step that is refused, or that needs copies, is left to the dispatcher, whose
/// errors and copies are made from tensors.
template <class TakeStep>
std::int32_t python_step(const PythonCall* call, const TakeStep& take) {
    using Lists = decltype(take(std::declval<PythonArguments&>()));
    const auto use_dispatcher = static_cast<std::int32_t>(PythonOutcome::use_dispatcher);
    std::optional<Lists> lists;
    std::vector<Update> updates;
    try {
        PythonArguments arguments(*call);
        lists.emplace(take(arguments));
        const GilReleased released;
        updates = lists->plan();
    } catch (const std::exception&) {
        return use_dispatcher;
    }
    if (!std::all_of(updates.begin(), updates.end(), [](const Update& u) { return u.dense; })) {
        return use_dispatcher;
    }
    if (call->check_only == 0) {
        try {
            const GilReleased released;
            run_all(lists->parameters, updates);
            lists->steps.count_update();
        } catch (const std::exception& error) {  // for example, after a fork
            const PythonInterface& python = PythonInterface::get();
            python.raise(*python.runtime_error, error.what());
            return static_cast<std::int32_t>(PythonOutcome::raised);
        }
    }
    return static_cast<std::int32_t>(PythonOutcome::done);
}

/// Returns the address of a function that takes a PythonCall, for Python.
inline std::int64_t address_of(std::int32_t (*step)(const PythonCall*)) {
    return static_cast<std::int64_t>(reinterpret_cast<std::intptr_t>(step));
}

}  // namespace ascend_ops
