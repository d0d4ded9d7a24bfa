// Mixture of experts: a logical expert has one or more copies on the ranks.
#include "emulator/ops/checks.h"
#include "emulator/ops/rows.h"

using namespace ascend_emulator;

namespace {

/// Row e of the table: the number of copies of expert e, and then the copies.
struct Placement {
    explicit Placement(const Tensor& table)
        : values(integers_of(table)), experts(table.size(0)), width(table.size(1)) {}
    Int copies(Int expert) const { return values[static_cast<std::size_t>(expert * width)]; }
    Int copy(Int expert, Int index) const {
        return values[static_cast<std::size_t>(expert * width + 1 + index)];
    }
    IntList values;
    Int experts;
    Int width;
};

}  // namespace

// balanceMode 0 gives each rank a copy, and 1 each token.
ACLNN_CHECKED(aclnnMoeUpdateExpert, Tensor expertIds, Tensor eplbTable,
              Optional<Tensor> expertScales, Optional<Tensor> pruningThreshold,
              Optional<Tensor> activeMask, Int localRankId, Int worldSize, Int balanceMode,
              Out balancedExpertIds, Optional<Out> balancedActiveMask) {
    require(balanceMode == 0 || balanceMode == 1,
            "balanceMode must be 0 or 1, got " + std::to_string(balanceMode));
    require(expertScales.defined() == pruningThreshold.defined(),
            "expertScales and pruningThreshold must be given together");
    require(!activeMask.defined() || expertScales.defined(),
            "expertScales is required with activeMask");
    const Placement placement(eplbTable);
    IntList ids = integers_of(expertIds);
    const Int k = expertIds.size(1);
    for (std::size_t i = 0; i < ids.size(); ++i) {
        require(ids[i] >= 0 && ids[i] < placement.experts,
                "expertIds must be 0 to " + std::to_string(placement.experts - 1) + ", got " +
                    std::to_string(ids[i]));
        const Int copies = placement.copies(ids[i]);
        require(copies > 0 && copies < placement.width,
                "the first column of eplbTable must be 1 to " +
                    std::to_string(placement.width - 1) + ", got " + std::to_string(copies));
        const Int token = static_cast<Int>(i) / k;
        const Int ranks_per_copy = (worldSize + copies - 1) / copies;
        ids[i] = placement.copy(ids[i], copies == 1        ? 0
                                        : balanceMode == 0 ? localRankId / ranks_per_copy
                                                           : token % copies);
    }
    balancedExpertIds = integer_tensor(ids).reshape(expertIds.sizes());
    if (expertScales.defined()) {
        const Tensor scales = expertScales.to_float();
        const Tensor limit = scales.sum({1}, true) * pruningThreshold.to_float().reshape({1, k});
        const Tensor kept = aten("ge.Tensor", scales, limit);
        balancedActiveMask =
            activeMask.defined()
                ? aten("logical_and", kept, aten("unsqueeze", activeMask.to(DType::boolean), -1))
                : kept;
    }
}
