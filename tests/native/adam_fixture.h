// Tensors of any dtype, filled and compared, for the tests of the Adam kernels.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "adam/adam.h"
#include "native_test.h"
#include "reference_format.h"

namespace adam_test {

using ascend_ops::AdamHyperparameters;
using ascend_ops::DTypes;
using ascend_ops::Plan;
using ascend_ops::Problem;

using ascend_ops::DType;
using ascend_ops::Isa;

/// All instruction sets that run here.
inline std::vector<Isa> isas() {
    std::vector<Isa> found;
    for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512, Isa::neon, Isa::sve, Isa::rvv}) {
        if (ascend_ops::cpu_supports(isa)) {
            found.push_back(isa);
        }
    }
    return found;
}

/// All combinations that the kernels support.
inline std::vector<DTypes> all_dtypes() {
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

/// Adam and AdamW, with and without bias correction, weight decay and maximize, early and late.
inline std::vector<AdamHyperparameters> all_modes() {
    std::vector<AdamHyperparameters> modes;
    for (int bits = 0; bits < 32; ++bits) {
        AdamHyperparameters h;
        h.lr = 0.01;
        h.adamw_mode = (bits & 1) != 0;
        h.bias_correction = (bits & 2) != 0;
        h.maximize = (bits & 4) != 0;
        h.weight_decay = (bits & 8) != 0 ? 0.1 : 0.0;
        h.step = (bits & 16) != 0 ? 1000 : 1;
        modes.push_back(h);
    }
    return modes;
}

/// An array that ends where its memory does, `skew` elements from the start of its memory: one more
/// element is an error to AddressSanitizer, and an odd skew leaves vectors unaligned.
class Array {
  public:
    Array(DType dtype, std::size_t count, std::size_t skew)
        : dtype_(dtype),
          count_(count),
          start_(skew * reference::size_of(dtype)),
          bytes_(start_ + count * reference::size_of(dtype)) {}

    unsigned char* data() { return bytes_.data() + start_; }
    const unsigned char* data() const { return bytes_.data() + start_; }
    DType dtype() const { return dtype_; }
    std::size_t count() const { return count_; }
    double get(std::size_t i) const { return reference::load(dtype_, at(i)); }
    void set(std::size_t i, double x) { reference::store(dtype_, bytes_.data() + offset(i), x); }

    /// Bitwise, but that any NaN equals any other.
    bool same_element(const Array& other, std::size_t i, std::size_t other_i) const {
        return std::memcmp(at(i), other.at(other_i), reference::size_of(dtype_)) == 0 ||
               (std::isnan(get(i)) && std::isnan(other.get(other_i)));
    }

  private:
    std::size_t offset(std::size_t i) const { return start_ + i * reference::size_of(dtype_); }
    const unsigned char* at(std::size_t i) const { return bytes_.data() + offset(i); }

    DType dtype_;
    std::size_t count_;
    std::size_t start_;
    std::vector<unsigned char> bytes_;
};

struct Tensors {
    Tensors(const DTypes& dtypes, std::size_t count, std::size_t skew = 0)
        : params(dtypes.params, count, skew),
          grads(dtypes.grads, count, skew),
          exp_avg(dtypes.states, count, skew),
          exp_avg_sq(dtypes.states, count, skew) {}

    ascend_ops::Tensors pointers() {
        return {params.data(), grads.data(), {exp_avg.data(), exp_avg_sq.data()}};
    }

    Array params, grads, exp_avg, exp_avg_sq;
};

/// Numbers of some 16 powers of two and both signs.
inline double random_number(std::mt19937& random) {
    const double fraction = static_cast<double>(random() >> 8) * 0x1p-24;
    const int exponent = static_cast<int>(random() % 16) - 12;
    return std::ldexp((random() & 1u) != 0 ? fraction : -fraction, exponent);
}

inline Tensors random_tensors(const DTypes& dtypes, std::size_t count, std::uint32_t seed,
                              std::size_t skew = 0) {
    Tensors tensors(dtypes, count, skew);
    std::mt19937 random(seed);
    for (std::size_t i = 0; i < count; ++i) {
        tensors.params.set(i, random_number(random));
        tensors.grads.set(i, random_number(random));
        tensors.exp_avg.set(i, random_number(random));
        tensors.exp_avg_sq.set(i, std::fabs(random_number(random)));
    }
    return tensors;
}

inline Plan step_plan(const AdamHyperparameters& h, const DTypes& dtypes, Isa isa) {
    Plan plan;
    const Problem problem = ascend_ops::plan_adam_step(h, dtypes, isa, &plan);
    CHECK(problem.argument == nullptr, "%s on %s", problem.argument, ascend_ops::isa_name(isa));
    return plan;
}

inline Plan rollback_plan(const AdamHyperparameters& h, const DTypes& dtypes, Isa isa) {
    Plan plan;
    const Problem problem = ascend_ops::plan_adam_rollback(h, dtypes, isa, &plan);
    CHECK(problem.argument == nullptr, "%s on %s", problem.argument, ascend_ops::isa_name(isa));
    return plan;
}

inline void run(const Plan& plan, Tensors& tensors, std::size_t begin, std::size_t end) {
    ascend_ops::run_plan(plan, tensors.pointers(), static_cast<std::int64_t>(begin),
                         static_cast<std::int64_t>(end));
}

/// Checks that elements [begin, end) of what was written are the same.
inline void check_same(const Tensors& found, const Tensors& wanted, std::size_t begin,
                       std::size_t end, const char* what) {
    for (std::size_t i = begin; i < end; ++i) {
        CHECK(found.params.same_element(wanted.params, i, i), "%s: params[%zu] %a, not %a", what, i,
              found.params.get(i), wanted.params.get(i));
        CHECK(found.exp_avg.same_element(wanted.exp_avg, i, i), "%s: exp_avg[%zu] %a, not %a", what,
              i, found.exp_avg.get(i), wanted.exp_avg.get(i));
        CHECK(found.exp_avg_sq.same_element(wanted.exp_avg_sq, i, i),
              "%s: exp_avg_sq[%zu] %a, not %a", what, i, found.exp_avg_sq.get(i),
              wanted.exp_avg_sq.get(i));
    }
}

}  // namespace adam_test
