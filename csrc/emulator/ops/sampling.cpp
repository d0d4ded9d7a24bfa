// Steps of a server for language models: sampling, and the bookkeeping between two tokens.
#include "emulator/aclnn/operation.h"
#include "emulator/ops/checks.h"
#include "emulator/ops/rows.h"

#include <limits>

using namespace ascend_emulator;

namespace {

Tensor without(const Tensor& x, const Tensor& lost) {
    return aten("masked_fill.Scalar", x, lost, -std::numeric_limits<double>::infinity());
}

}  // namespace

// p and k have one value per row of the logits; each may be null.
ACLNN(aclnnApplyTopKTopP, Tensor logits, Optional<Tensor> p, Optional<Tensor> k, Out out) {
    const TensorList sorted = aten_all("sort.stable", logits.to_float(), true, Int{-1}, false);
    Tensor values = sorted[0];
    const Int count = values.size(-1);
    if (k.defined()) {
        const Tensor at = -aten("unsqueeze", k.to(DType::int64), -1) + static_cast<double>(count);
        const Tensor threshold = aten("gather", values, Int{-1}, at.to(DType::int64));
        values = without(values, aten("lt.Tensor", values, threshold));
    }
    if (p.defined()) {
        const Tensor sum = aten("cumsum", aten("softmax.int", values, Int{-1}), Int{-1});
        const Tensor limit = -aten("unsqueeze", p.to_float(), -1) + 1.0;
        const Tensor lost = aten("le.Tensor", sum, limit);
        aten("fill_.Scalar", aten("select.int", lost, -1, Int{-1}), 0);  // one is always kept
        values = without(values, lost);
    }
    out = aten("scatter.src", values, Int{-1}, sorted[1], values);
}

namespace {

Int* values_of(const InOut& x) { return static_cast<Int*>(x.tensor.data()); }

}  // namespace

// The first numQueries of numSeqs sequences advance; the others are padding. As CANN documents, the
// block is looked up in the first row of the table, and the row's distance is added to it.
ACLNN(aclnnAdvanceStep, InOut tokens, Tensor sampled, InOut positions, InOut lengths, InOut slots,
      Tensor block_table, Int sequences, Int queries, Int block_size) {
    require(queries >= 0 && queries <= sequences && sequences <= lengths.tensor.numel(),
            "numQueries must be at most numSeqs, got " + std::to_string(queries));
    const IntList chosen = integers_of(sampled.reshape({-1}));
    const IntList blocks = integers_of(block_table.reshape({-1}));
    for (Int i = 0; i < sequences; ++i) {
        if (i >= queries) {
            values_of(tokens)[i] = 0;
            values_of(positions)[i] = 0;
            values_of(slots)[i] = -1;
            continue;
        }
        const Int position = values_of(lengths)[i];
        const auto block = static_cast<std::size_t>(position / block_size);
        require(position >= 0 && block < blocks.size(),
                "seqLens must lie within blockTables, got " + std::to_string(position));
        values_of(slots)[i] =
            (blocks[block] + block_table.size(1) * i) * block_size + position % block_size;
        values_of(tokens)[i] = chosen[static_cast<std::size_t>(i)];
        values_of(positions)[i] = position;
        values_of(lengths)[i] = position + 1;
    }
}

// Each sequence has a sampled token and those of a draft model. The last token that was accepted
// stands before the first -1.
ACLNN(aclnnAdvanceStepV2, InOut tokens, Tensor sampled, InOut positions, InOut lengths, InOut slots,
      Tensor block_table, Tensor drafted, Tensor accepted, Int sequences, Unused<Int>,
      Int block_size) {
    const Int each = drafted.size(1) + 1;
    const IntList grid{sequences, each};
    const Tensor now =
        aten("add.Scalar", positions.tensor.reshape(grid) + aten("unsqueeze", accepted, -1), 1);
    const Tensor end = full({sequences, 1}, Scalar{Int{-1}}, DType::int64);
    const Tensor first_end = aten("argmin", aten("cat", TensorList{sampled, end}, 1), Int{1});
    const Tensor last =
        aten("gather", sampled, Int{1}, aten("unsqueeze", aten("sub.Scalar", first_end, 1), -1));
    const Tensor block =
        aten("gather", block_table, Int{1}, aten("floor_divide.Scalar", now, block_size));
    const Tensor offset = aten("remainder.Scalar", now, block_size);
    const Tensor slot = aten("mul.Scalar", block, block_size) + offset;
    tokens = aten("cat", TensorList{last, drafted}, 1).reshape(tokens.tensor.sizes());
    positions = now.reshape(positions.tensor.sizes());
    lengths = aten("add.Scalar", now, 1).reshape(lengths.tensor.sizes());
    slots = slot.reshape(slots.tensor.sizes());
}
