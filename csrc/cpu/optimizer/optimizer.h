// What the optimizers of host memory share: an update as a value, checked once and then run on any
// ranges of elements.
//
// An optimizer is a formula (<optimizer>/formula.h, compiled for every instruction set) and the
// coefficients that it takes (<optimizer>/<optimizer>.h). An element's result depends on that
// element and the plan alone, bit for bit: not on the range, the thread or the instruction set (the
// sign and payload of a NaN excepted). Elements are computed in fp32, whatever they are stored as.
#pragma once

#include <cstdint>
#include <type_traits>

#include "cpu/dtype.h"
#include "cpu/isa.h"

namespace ascend_ops {

constexpr int max_state_count = 2;

/// Supported: params fp32, bf16 or fp16; grads and states each fp32 or the params' dtype.
/// Optimizers with an offload step take fp32 params and states with grads of any dtype as well, and
/// give a bf16 or fp16 copy of the params then.
struct DTypes {
    DType params = DType::float32;
    DType grads = DType::float32;
    DType states = DType::float32;
    DType low_precision_params = DType::float32;  // float32: no copy

    bool operator==(const DTypes& other) const {
        return params == other.params && grads == other.grads && states == other.states &&
               low_precision_params == other.low_precision_params;
    }
};

/// Arrays of equal length that do not overlap; aligned to their element or better.
struct Tensors {
    void* params;
    const void* grads;
    void* states[max_state_count];         // as many as the optimizer has
    void* low_precision_params = nullptr;  // written only; where the dtypes have one
};

/// A formula's numbers, whatever they are, as bytes: what schedules updates need not know them.
class Coefficients {
  public:
    Coefficients() = default;
    template <class T>
    explicit Coefficients(const T& values) {
        static_assert(sizeof(T) <= sizeof bytes_ && std::is_trivially_copyable<T>::value, "");
        __builtin_memcpy(bytes_, &values, sizeof values);
    }

    // Inlined at any -O: kernels must leave the linker nothing to merge.
    template <class T>
    [[gnu::always_inline]] T as() const {
        T values;
        __builtin_memcpy(&values, bytes_, sizeof values);
        return values;
    }

  private:
    unsigned char bytes_[48] = {};
};

/// How numbers become bf16: to the nearest, or at random to one of the two next to them, each the
/// more likely the nearer it is. The random bits are a function of these numbers, an element's
/// index and its role, so the same on every machine. fp16 and fp32 are rounded to the nearest
/// always.
struct Rounding {
    bool stochastic = false;
    std::uint64_t seed = 0;
    std::uint64_t parameter = 0;  // which one of those that are updated with this seed
};

struct Plan;
using Kernel = void (*)(const Plan& plan, const Tensors& tensors, std::int64_t begin,
                        std::int64_t end);

/// One update, checked and ready to run on any number of threads.
struct Plan {
    Kernel kernel = nullptr;
    Coefficients coefficients;
    DTypes dtypes;
    bool stochastic = false;
    std::uint64_t random_key = 0;
};

/// Why there is no plan. `argument` is null where there is nothing wrong; texts are literals.
struct Problem {
    const char* argument = nullptr;
    const char* wanted = nullptr;
    double found = 0.0;
};

enum class Direction : std::uint8_t { step, rollback };

/// Fills the plan. Problems: "dtypes" that are not supported; an instruction set that the CPU lacks
/// ("isa").
Problem make_plan(const Coefficients& coefficients, const DTypes& dtypes, Isa isa,
                  Direction direction, const Rounding& rounding, std::int64_t step, Plan* plan);

/// What a plan for `isa` runs on: `isa`, or the next lower one that is compiled in, where the
/// library's compiler did not know `isa`.
Isa compiled_isa(Isa isa);

/// Runs a plan on elements [begin, end) of the tensors. Ranges that do not overlap may run at the
/// same time.
inline void run_plan(const Plan& plan, const Tensors& tensors, std::int64_t begin,
                     std::int64_t end) {
    plan.kernel(plan, tensors, begin, end);
}

/// The sum of the squares of elements [begin, end), each exact in double, summed in double in an
/// order that depends on the range's length alone; not finite if, and only if, an element is not.
double square_sum(Isa isa, DType dtype, const void* elements, std::int64_t begin, std::int64_t end);

// Checks of hyperparameters, of which all that is used is finite in fp32.
Problem check_not_negative(const char* argument, double value);
Problem check_beta(const char* argument, double value);
Problem check_step(std::int64_t step);

/// The first that is one.
template <class... Problems>
Problem first_of(const Problems&... problems) {
    Problem first;
    ((first.argument == nullptr ? void(first = problems) : void()), ...);
    return first;
}

}  // namespace ascend_ops
