// Arrays of any dtype, for the tests of all kernels.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "cpu/optimizer/optimizer.h"
#include "native_test.h"
#include "reference_format.h"

namespace optimizer_test {

using ascend_ops::DType;
using ascend_ops::DTypes;
using ascend_ops::Isa;
using ascend_ops::Plan;
using ascend_ops::Problem;

/// Returns all instruction sets that this CPU can run.
inline std::vector<Isa> isas() {
    std::vector<Isa> found;
    for (const Isa isa : ascend_ops::all_isas) {
        if (ascend_ops::cpu_supports(isa) && ascend_ops::compiled_isa(isa) == isa) {
            found.push_back(isa);
        }
    }
    return found;
}

/// Returns the combinations of dtypes that every optimizer supports.
inline std::vector<DTypes> step_dtypes() {
    std::vector<DTypes> combinations = {DTypes{}};
    for (const DType params : {DType::bfloat16, DType::float16}) {
        for (const DType grads : {params, DType::float32}) {
            for (const DType states : {params, DType::float32}) {
                combinations.push_back({params, grads, states});
            }
        }
    }
    return combinations;
}

/// Returns the combinations of dtypes of an offload step that step_dtypes() does not contain.
inline std::vector<DTypes> offload_dtypes() {
    std::vector<DTypes> combinations;
    for (const DType grads : {DType::float32, DType::bfloat16, DType::float16}) {
        for (const DType copy : {DType::float32, DType::bfloat16, DType::float16}) {
            if (grads != DType::float32 || copy != DType::float32) {
                combinations.push_back({DType::float32, grads, DType::float32, copy});
            }
        }
    }
    return combinations;
}

/// An array that begins `skew` elements into its memory and ends where the memory ends: access to
/// one more element is an AddressSanitizer error, and an odd skew makes vectors unaligned.
class Array {
  public:
    Array(DType dtype, std::size_t count, std::size_t skew)
        : dtype_(dtype),
          count_(count),
          start_(skew * reference::bytes_of(dtype)),
          bytes_(start_ + count * reference::bytes_of(dtype)) {}

    unsigned char* data() { return bytes_.data() + start_; }
    const unsigned char* data() const { return bytes_.data() + start_; }
    DType dtype() const { return dtype_; }
    std::size_t count() const { return count_; }
    double get(std::size_t i) const { return reference::load(dtype_, at(i)); }
    void set(std::size_t i, double x) { reference::store(dtype_, bytes_.data() + offset(i), x); }

    /// Compares bitwise, except that all NaNs are equal.
    bool same_element(const Array& other, std::size_t i, std::size_t other_i) const {
        return std::memcmp(at(i), other.at(other_i), reference::bytes_of(dtype_)) == 0 ||
               (std::isnan(get(i)) && std::isnan(other.get(other_i)));
    }

  private:
    std::size_t offset(std::size_t i) const { return start_ + i * reference::bytes_of(dtype_); }
    const unsigned char* at(std::size_t i) const { return bytes_.data() + offset(i); }

    DType dtype_;
    std::size_t count_;
    std::size_t start_;
    std::vector<unsigned char> bytes_;
};

/// Returns a number of either sign within 16 powers of two.
inline double random_number(std::mt19937& random) {
    const double fraction = static_cast<double>(random() >> 8) * 0x1p-24;
    const int exponent = static_cast<int>(random() % 16) - 12;
    return std::ldexp((random() & 1u) != 0 ? fraction : -fraction, exponent);
}

/// Params, gradients, one or two states, and the low-precision copy.
struct Tensors {
    Tensors(const DTypes& dtypes, int state_count, std::size_t count, std::size_t skew = 0)
        : params(dtypes.params, count, skew),
          grads(dtypes.grads, count, skew),
          copies(dtypes.low_precision_params, count, skew) {
        for (int k = 0; k < state_count; ++k) {
            states.emplace_back(dtypes.states, count, skew);
        }
    }

    ascend_ops::Tensors pointers() {
        ascend_ops::Tensors all = {params.data(), grads.data(), {}, copies.data()};
        for (std::size_t k = 0; k < states.size(); ++k) {
            all.states[k] = states[k].data();
        }
        return all;
    }

    Array params, grads;
    std::vector<Array> states;
    Array copies;
};

/// `positive` is the index of the state that is a sum of squares; -1 if no state is.
inline Tensors random_tensors(const DTypes& dtypes, int state_count, int positive,
                              std::size_t count, std::uint32_t seed, std::size_t skew = 0) {
    Tensors tensors(dtypes, state_count, count, skew);
    std::mt19937 random(seed);
    for (std::size_t i = 0; i < count; ++i) {
        tensors.params.set(i, random_number(random));
        tensors.grads.set(i, random_number(random));
        for (int k = 0; k < state_count; ++k) {
            const double state = random_number(random);
            tensors.states[static_cast<std::size_t>(k)].set(
                i, k == positive ? std::fabs(state) : state);
        }
    }
    return tensors;
}

inline void run(const Plan& plan, Tensors& tensors, std::size_t begin, std::size_t end) {
    ascend_ops::run_plan(plan, tensors.pointers(), static_cast<std::int64_t>(begin),
                         static_cast<std::int64_t>(end));
}

inline void check_same(const Array& found, const Array& wanted, std::size_t begin, std::size_t end,
                       const char* name, const char* what) {
    for (std::size_t i = begin; i < end; ++i) {
        CHECK_MESSAGE(found.same_element(wanted, i, i), "%s: %s[%zu] %a, not %a", what, name, i,
                      found.get(i), wanted.get(i));
    }
}

/// Checks that elements [begin, end) of all arrays that an update writes are the same.
inline void check_same(const Tensors& found, const Tensors& wanted, std::size_t begin,
                       std::size_t end, const char* what) {
    check_same(found.params, wanted.params, begin, end, "params", what);
    check_same(found.copies, wanted.copies, begin, end, "copies", what);
    for (std::size_t k = 0; k < found.states.size(); ++k) {
        check_same(found.states[k], wanted.states[k], begin, end, k == 0 ? "state 0" : "state 1",
                   what);
    }
}

}  // namespace optimizer_test
