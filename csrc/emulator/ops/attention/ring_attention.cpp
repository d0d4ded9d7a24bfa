// The results of attention to two parts of the keys become the result for both.
#include "emulator/ops/checks.h"
#include "emulator/ops/rows.h"

using namespace ascend_emulator;

namespace {

struct Part {
    Tensor out;
    Tensor max;  // the last dimension repeats one value 8 times
    Tensor sum;
};

/// Factors of each token and head, [S, B, N, 1], given [B, N, S, 8].
Tensor by_position(const Tensor& factors) {
    return aten("slice.Tensor", factors, -1, 0, 1).permute({2, 0, 1, 3});
}

/// Factors of each token and head, [T, N, 1], given those of sequence after sequence, each with
/// its heads before its tokens.
Tensor by_token(const Tensor& factors, const Tensor& ends, Int tokens, Int heads) {
    require(ends.defined(), "actualSeqQlen is required with inputLayout TND");
    IntList rows(static_cast<std::size_t>(tokens * heads));
    Int begin = 0;
    for (const Int end : integers_of(ends)) {
        for (Int token = begin; token < end; ++token) {
            for (Int head = 0; head < heads; ++head) {
                rows[static_cast<std::size_t>(token * heads + head)] =
                    begin * heads + head * (end - begin) + token - begin;
            }
        }
        begin = end;
    }
    require(begin == tokens, "actualSeqQlen must end at " + std::to_string(tokens) + ", got " +
                                 std::to_string(begin));
    const Tensor flat = aten("slice.Tensor", factors.reshape({-1, 8}), -1, 0, 1);
    return gathered(flat, rows).reshape({tokens, heads, 1});
}

void update(const Part& previous, const Part& current, const Tensor& ends, const String& layout,
            const String& softmax_layout, const Part& outputs) {
    const Tensor max = aten("maximum", previous.max, current.max);
    const Tensor previous_sum = aten("exp", previous.max - max) * previous.sum;
    const Tensor current_sum = aten("exp", current.max - max) * current.sum;
    const Tensor sum = previous_sum + current_sum;
    const IntList sizes = previous.out.sizes();
    const auto weighted = [&](const Tensor& out, const Tensor& part) {
        const Tensor factors = part / sum;
        const Tensor wide = out.to_float();
        if (layout == "SBH") {
            const Int heads = max.size(1);
            const Tensor split = wide.reshape({sizes[0], sizes[1], heads, sizes[2] / heads});
            return (split * by_position(factors)).reshape(sizes);
        }
        return wide * (softmax_layout == "TND" ? aten("slice.Tensor", factors, -1, 0, 1)
                                               : by_token(factors, ends, sizes[0], sizes[1]));
    };
    assign(outputs.out, weighted(previous.out, previous_sum) + weighted(current.out, current_sum));
    assign(outputs.max, max);
    assign(outputs.sum, sum);
}

void check_ring_layout(const String& layout) {
    require(layout == "SBH" || layout == "TND", "inputLayout must be SBH or TND, got " + layout);
}

}  // namespace

#define RING_PARTS                                                                       \
    Tensor prevAttnOut, Tensor prevSoftmaxMax, Tensor prevSoftmaxSum, Tensor curAttnOut, \
        Tensor curSoftmaxMax, Tensor curSoftmaxSum, Optional<Tensor> actualSeqQlen

ACLNN_CHECKED(aclnnRingAttentionUpdate, RING_PARTS, String inputLayout, Out attnOut, Out softmaxMax,
              Out softmaxSum) {
    check_ring_layout(inputLayout);
    update({prevAttnOut, prevSoftmaxMax, prevSoftmaxSum},
           {curAttnOut, curSoftmaxMax, curSoftmaxSum}, actualSeqQlen, inputLayout, "",
           {attnOut.tensor, softmaxMax.tensor, softmaxSum.tensor});
}
ACLNN_CHECKED(aclnnRingAttentionUpdateV2, RING_PARTS, String inputLayout, String inputSoftmaxLayout,
              Out attnOut, Out softmaxMax, Out softmaxSum) {
    check_ring_layout(inputLayout);
    require(
        inputSoftmaxLayout.empty() || inputSoftmaxLayout == "SBH" || inputSoftmaxLayout == "TND",
        "inputSoftmaxLayout must be empty, SBH or TND, got " + inputSoftmaxLayout);
    update({prevAttnOut, prevSoftmaxMax, prevSoftmaxSum},
           {curAttnOut, curSoftmaxMax, curSoftmaxSum}, actualSeqQlen, inputLayout,
           inputSoftmaxLayout, {attnOut.tensor, softmaxMax.tensor, softmaxSum.tensor});
}
