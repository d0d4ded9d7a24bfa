// What the bindings of all optimizers share: a registry of ids, and the choice of an instruction
// set.
#pragma once

#include <torch/csrc/stable/library.h>

#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <vector>

#include "cpu/optimizer/optimizer.h"
#include "cpu/torch_arguments.h"
#include "cpu/torch_check.h"

namespace ascend_ops {

template <class T>
void give(StableIValue& value, const T& result) {
    value = torch::stable::detail::from(result);
}

/// The options given to create_<optimizer>, by id. A vector, since a process has few optimizers.
template <class Options>
class Registry {
  public:
    /// `optimizer` completes the names of the ops in errors: "adam" for create_adam.
    explicit Registry(const char* optimizer) : optimizer_(optimizer) {}

    void create(std::int64_t id, const Options& options) {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (Optimizer& optimizer : optimizers_) {
            if (optimizer.id == id) {
                optimizer.options = options;
                return;
            }
        }
        optimizers_.push_back({id, options});
    }

    void destroy(std::int64_t id) {
        const std::lock_guard<std::mutex> lock(mutex_);
        find(id) = optimizers_.back();
        optimizers_.pop_back();
    }

    Options get(std::int64_t id) {
        const std::lock_guard<std::mutex> lock(mutex_);
        return find(id).options;
    }

  private:
    struct Optimizer {
        std::int64_t id;
        Options options;
    };

    Optimizer& find(std::int64_t id) {
        for (Optimizer& optimizer : optimizers_) {
            if (optimizer.id == id) {
                return optimizer;
            }
        }
        fail("optimizer_id", "be the id of an optimizer that exists",
             std::to_string(id) + ": call create_" + optimizer_ + " first");
    }

    const char* optimizer_;
    std::mutex mutex_;
    std::vector<Optimizer> optimizers_;
};

inline void log_created(std::int64_t id, const char* optimizer) {
    std::fprintf(stderr, "ascend_ops: optimizer %lld is %s on %s\n", static_cast<long long>(id),
                 optimizer, isa_name(compiled_isa(current_isa())));
}

inline void cpu_capability(StableIValue* values, std::uint64_t, std::uint64_t) {
    give(values[0], std::string(isa_name(compiled_isa(current_isa()))));
}

inline void set_cpu_capability(StableIValue* values, std::uint64_t count, std::uint64_t) {
    const auto name = ArgumentReader(values, count).take<std::string>();
    Isa isa = Isa::scalar;
    if (!parse_isa(name.c_str(), &isa)) {
        fail("isa", std::string("be one of ") + isa_names(), "'" + name + "'");
    }
    if (compiled_isa(isa) != isa || !set_current_isa(isa)) {
        fail("isa", "be supported by this CPU and by the compiler of this library", name);
    }
}

}  // namespace ascend_ops
