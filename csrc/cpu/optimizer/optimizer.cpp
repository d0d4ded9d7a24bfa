#include "cpu/optimizer/optimizer.h"

#include <cfloat>
#include <cmath>

#include "cpu/optimizer/kernels.h"

namespace ascend_ops {
namespace {

const KernelTable* const tables[] = {
#define ASCEND_OPS_ISA(name, lower) &kernels_##name,
    ASCEND_OPS_ISAS(ASCEND_OPS_ISA)
#undef ASCEND_OPS_ISA
};

const KernelTable& table_of(Isa isa) { return *tables[static_cast<int>(isa)]; }

int index_of(DType dtype) { return static_cast<int>(dtype); }

bool writes(const DTypes& dtypes, DType dtype) {
    return dtypes.params == dtype || dtypes.states == dtype || dtypes.low_precision_params == dtype;
}

// The finalizer of SplitMix64 (Steele, Lea and Flood 2014), a bijection that spreads every bit.
std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

Kernel choose(const KernelTable& table, const DTypes& dtypes, Direction direction,
              bool stochastic) {
    const Kernel direct =
        table.step[index_of(dtypes.params)][index_of(dtypes.grads)][index_of(dtypes.states)]
                  [index_of(dtypes.low_precision_params)];
    if (direct == nullptr) {
        return nullptr;
    }
    if (direction == Direction::rollback) {
        const bool fp32 = dtypes.params == DType::float32 && dtypes.grads == DType::float32;
        return fp32 ? table.rollback : table.staged_rollback;
    }
    return stochastic ? table.staged_step : direct;
}

}  // namespace

Isa compiled_isa(Isa isa) {
    while (table_of(isa).staged_step == nullptr) {
        isa = next_lower(isa);
    }
    return isa;
}

Problem make_plan(const Coefficients& coefficients, const DTypes& dtypes, Isa isa,
                  Direction direction, const Rounding& rounding, std::int64_t step, Plan* plan) {
    if (!cpu_supports(isa)) {
        return {"isa", "be supported by this CPU", static_cast<double>(isa)};
    }
    const bool stochastic = rounding.stochastic && writes(dtypes, DType::bfloat16);
    const Kernel kernel = choose(table_of(compiled_isa(isa)), dtypes, direction, stochastic);
    if (kernel == nullptr) {
        return {"dtypes", "have grads and states in float32 or in the dtype of params", 0.0};
    }
    const std::uint64_t key =
        mix(mix(mix(rounding.seed) + static_cast<std::uint64_t>(step)) + rounding.parameter);
    *plan = {kernel, coefficients, dtypes, stochastic, key};
    return {};
}

double square_sum(Isa isa, DType dtype, const void* elements, std::int64_t begin,
                  std::int64_t end) {
    isa = compiled_isa(isa);
    while (table_of(isa).square_sum[index_of(dtype)] == nullptr) {
        isa = next_lower(isa);
    }
    return table_of(isa).square_sum[index_of(dtype)](
        static_cast<const unsigned char*>(elements) +
            static_cast<std::size_t>(begin) * size_of(dtype),
        end - begin);
}

Problem check_not_negative(const char* argument, double value) {
    if (std::fabs(value) <= FLT_MAX && value >= 0.0) {  // false for NaN
        return {};
    }
    return {argument, "be a finite number of at least 0", value};
}

Problem check_beta(const char* argument, double value) {
    if (value >= 0.0 && value < 1.0) {
        return {};
    }
    return {argument, "be at least 0 and less than 1", value};
}

Problem check_step(std::int64_t step) {
    if (step >= 1) {
        return {};
    }
    return {"step", "be at least 1", static_cast<double>(step)};
}

}  // namespace ascend_ops
