// The engine of the CPU optimizers: an update is a plan, which is checked once and then run on any
// ranges of elements.
//
// An optimizer consists of a formula (<optimizer>/formula.h, compiled for every instruction set)
// and its coefficients (<optimizer>/<optimizer>.h). The result for an element depends bit for bit
// on that element and the plan alone, not on the range, the thread or the instruction set; only the
// sign and payload of a NaN may differ. All arithmetic is in fp32, whatever the storage type is.
#pragma once

#include <cstdint>
#include <type_traits>

#include "cpu/dtype.h"
#include "cpu/isa.h"

namespace ascend_ops {

constexpr int max_state_count = 2;

/// The dtypes of one parameter's tensors.
///
/// Supported are params in fp32, bf16 or fp16, with grads and states each in fp32 or in the params'
/// dtype. Optimizers with an offload step also support fp32 params and states with grads of any
/// dtype, and then write a bf16 or fp16 copy of the params.
struct DTypes {
    DType params = DType::float32;
    DType grads = DType::float32;
    DType states = DType::float32;
    DType low_precision_params = DType::float32;  // float32 means that there is no copy

    bool operator==(const DTypes& other) const {
        return params == other.params && grads == other.grads && states == other.states &&
               low_precision_params == other.low_precision_params;
    }
};

/// Arrays of equal length that do not overlap, aligned to at least their element size.
struct Tensors {
    void* params;
    const void* grads;
    void* states[max_state_count];         // the first state_count are used
    void* low_precision_params = nullptr;  // only written, and only if the dtypes have a copy
};

/// The coefficients of any formula, as bytes: the code that schedules updates need not know them.
class Coefficients {
  public:
    Coefficients() = default;
    template <class T>
    explicit Coefficients(const T& values) {
        static_assert(sizeof(T) <= sizeof bytes_ && std::is_trivially_copyable<T>::value, "");
        __builtin_memcpy(bytes_, &values, sizeof values);
    }

    // Always inlined: kernels must leave the linker nothing to merge.
    template <class T>
    [[gnu::always_inline]] T as() const {
        T values;
        __builtin_memcpy(&values, bytes_, sizeof values);
        return values;
    }

  private:
    unsigned char bytes_[48] = {};
};

/// How results are rounded to bf16: to nearest, or stochastically to one of the two neighbours,
/// with a probability that is the higher the nearer the neighbour is. The random bits are a
/// function of these members, the element's index and its role, so they are the same on every
/// machine. fp16 and fp32 are always rounded to nearest.
struct Rounding {
    bool stochastic = false;
    std::uint64_t seed = 0;
    std::uint64_t parameter = 0;  // its index among the parameters updated with this seed
};

struct Plan;
using Kernel = void (*)(const Plan& plan, const Tensors& tensors, std::int64_t begin,
                        std::int64_t end);

/// One checked update, ready to run on any number of threads.
struct Plan {
    Kernel kernel = nullptr;
    Coefficients coefficients;
    DTypes dtypes;
    bool stochastic = false;
    std::uint64_t random_key = 0;
};

/// A validation error; `argument == nullptr` means success. The texts are literals.
struct Problem {
    const char* argument = nullptr;
    const char* requirement = nullptr;  // completes "<argument> must ...": see torch_check.h
    double value = 0.0;
};

enum class Direction : std::uint8_t { step, rollback };

/// Fills the plan. Problems: dtypes that are not supported ("dtypes"), and an instruction set that
/// this CPU lacks ("isa").
Problem make_plan(const Coefficients& coefficients, const DTypes& dtypes, Isa isa,
                  Direction direction, const Rounding& rounding, std::int64_t step, Plan* plan);

/// Returns what a plan for `isa` runs on: `isa`, or the next lower one that is compiled in, if the
/// library's compiler did not know `isa`.
Isa compiled_isa(Isa isa);

/// Runs a plan on elements [begin, end) of the tensors. Ranges that do not overlap may run
/// concurrently.
inline void run_plan(const Plan& plan, const Tensors& tensors, std::int64_t begin,
                     std::int64_t end) {
    plan.kernel(plan, tensors, begin, end);
}

/// Returns the sum of the squares of elements [begin, end). Squares are exact in double, and the
/// order of the summation depends only on the length of the range. The result is finite if and only
/// if every element is.
double square_sum(Isa isa, DType dtype, const void* elements, std::int64_t begin, std::int64_t end);

// Checks of hyperparameters, which must be finite in fp32.
Problem check_not_negative(const char* argument, double value);
Problem check_beta(const char* argument, double value);
Problem check_step(std::int64_t step);

/// Returns the first problem that is not a success.
template <class... Problems>
Problem first_of(const Problems&... problems) {
    Problem first;
    ((first.argument == nullptr ? void(first = problems) : void()), ...);
    return first;
}

}  // namespace ascend_ops
