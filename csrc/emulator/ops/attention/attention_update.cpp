// The union of attention results over parts of the keys.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"

using namespace ascend_emulator;

ACLNN_CHECKED(aclnnAttentionUpdate, Tensors lse, Tensors local, Int update_type, Out out,
              Optional<Out> lse_out) {
    require(!lse.empty() && lse.size() == local.size(),
            "localOut must have as many tensors as lse, " + std::to_string(lse.size()) + ", got " +
                std::to_string(local.size()));
    require(update_type == 0 || update_type == 1,
            "updateType must be 0 or 1, got " + std::to_string(update_type));
    require((update_type == 1) == lse_out.defined(),
            "lseOut must be given if updateType is 1, and only then");
    TensorList rows;
    for (const Tensor& part : lse) {
        rows.push_back(part.to_float());
    }
    const Tensor all = aten("stack", rows, 0);
    const Tensor total = aten("logsumexp", all, IntList{0});
    Tensor sum;
    for (std::size_t i = 0; i < local.size(); ++i) {
        const Tensor weight = aten("unsqueeze", aten("exp", rows[i] - total), -1);
        const Tensor part = local[i].to_float() * weight;
        sum = sum.defined() ? sum + part : part;
    }
    out = sum;
    lse_out = total;
}
