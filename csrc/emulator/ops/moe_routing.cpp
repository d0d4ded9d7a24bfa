// Mixture of experts: tokens go to the experts that were chosen for them, and come back.
#include "emulator/ops/checks.h"
#include "emulator/ops/rows.h"

using namespace ascend_emulator;

namespace {

/// A pair is a token and one of its k experts; pair i belongs to token i / k. Experts from `begin`
/// to `end` take part. With a capacity each of them has that many rows, and the pairs that exceed
/// it are dropped.
struct Routing {
    Routing(const IntList& experts, Int begin, Int end, Int capacity)
        : rows(experts.size(), -1), counts(as_index(end - begin), 0) {
        order.reserve(experts.size());
        for (const Int pair : argsort(experts)) {
            if (experts[as_index(pair)] >= begin && experts[as_index(pair)] < end) {
                order.push_back(pair);
            }
        }
        sources.assign(capacity > 0 ? as_index((end - begin) * capacity) : order.size(), -1);
        Int next = 0;
        for (const Int pair : order) {
            const Int expert = experts[as_index(pair)] - begin;
            const Int taken = counts[as_index(expert)]++;
            if (capacity > 0 && taken >= capacity) {
                continue;
            }
            const Int row = capacity > 0 ? expert * capacity + taken : next++;
            rows[as_index(pair)] = row;
            sources[as_index(row)] = pair;
        }
    }

    /// The token of each row, or -1.
    IntList tokens(Int k) const {
        IntList found;
        for (const Int pair : sources) {
            found.push_back(pair < 0 ? -1 : pair / k);
        }
        return found;
    }
    IntList cumulative_counts() const {
        IntList sums(counts.size());
        std::partial_sum(counts.begin(), counts.end(), sums.begin());
        return sums;
    }

    IntList order;    // the pairs that take part, by expert
    IntList rows;     // of each pair, or -1
    IntList sources;  // the pair of each row, or -1
    IntList counts;   // the pairs of each expert, before any is dropped
};

Int top_k_of(const Tensor& expert_idx) { return expert_idx.dim() == 1 ? 1 : expert_idx.size(1); }

void check_experts(const Tensor& x, const Tensor& expert_idx) {
    require(x.dim() == 2, "x must have 2 dimensions, got " + std::to_string(x.dim()));
    require(expert_idx.dim() == 2 || (expert_idx.dim() == 1 && is_ascend950()),
            "expertIdx must have 2 dimensions, got " + std::to_string(expert_idx.dim()));
    require(expert_idx.size(0) == x.size(0), "expertIdx must have the rows of x, " +
                                                 std::to_string(x.size(0)) + ", got " +
                                                 std::to_string(expert_idx.size(0)));
}

void check_range(const IntList& experts, Int count) {
    for (const Int expert : experts) {
        require(expert >= 0 && expert < count, "expertIdx must be 0 to " +
                                                   std::to_string(count - 1) + ", got " +
                                                   std::to_string(expert));
    }
}

/// The numbers that the second versions take.
struct RoutingNumbers {
    Int active_num;
    Int capacity;
    Int expert_num;
    Int drop_pad_mode;
    Int flag;  // what the counts are: nothing, their cumulative sums, or the counts

    bool pads() const { return drop_pad_mode == 1; }
    void check(const Tensor& x, const Tensor& expert_idx) const {
        check_experts(x, expert_idx);
        require(drop_pad_mode == 0 || pads(),
                "dropPadMode must be 0 or 1, got " + std::to_string(drop_pad_mode));
        require(flag >= 0 && flag <= 2,
                "expertTokensCountOrCumsumFlag must be 0 to 2, got " + std::to_string(flag));
        require(active_num >= 0, "activeNum must be at least 0, got " + std::to_string(active_num));
        require((!pads() && flag == 0) || expert_num > 0,
                "expertNum must be positive, got " + std::to_string(expert_num));
        require(!pads() || (capacity > 0 && capacity <= x.size(0)),
                "expertCapacity must be 1 to " + std::to_string(x.size(0)) + ", got " +
                    std::to_string(capacity));
    }
    Routing routing(const IntList& experts) const {
        const Int largest = experts.empty() ? 0 : *std::max_element(experts.begin(), experts.end());
        const Int count = pads() || flag != 0 ? expert_num : largest + 1;
        check_range(experts, count);
        return Routing(experts, 0, count, pads() ? capacity : 0);
    }
    void store_counts(const Routing& routing, bool before_capacity, const Out& counts,
                      const Out& all) const {
        if (!pads() && flag != 0) {
            counts = integer_tensor(flag == 1 ? routing.cumulative_counts() : routing.counts);
        }
        if (pads() && before_capacity) {
            all = integer_tensor(routing.counts);
        }
    }
};

}  // namespace

ACLNN_CHECKED(aclnnMoeInitRouting, Tensor x, Tensor rowIdx, Tensor expertIdx, Int activeNum,
              Out expandedXOut, Out expandedRowIdxOut, Out expandedExpertIdxOut) {
    check_experts(x, expertIdx);
    require(rowIdx.sizes() == expertIdx.sizes(), "rowIdx must have the shape of expertIdx");
    require(activeNum >= 0, "activeNum must be at least 0, got " + std::to_string(activeNum));
    const IntList rows = integers_of(rowIdx);
    const IntList experts = integers_of(expertIdx);
    const auto pairs = static_cast<Int>(rows.size());
    IntList expanded_row_idx(rows.size());
    IntList sources;
    IntList sorted;
    for (const Int pair : argsort(experts)) {
        const Int row = rows[as_index(pair)];
        require(row >= 0 && row < pairs, "rowIdx must be 0 to " + std::to_string(pairs - 1) +
                                             ", got " + std::to_string(row));
        expanded_row_idx[as_index(row)] = static_cast<Int>(sources.size());
        sources.push_back(row % x.size(0));
        sorted.push_back(experts[as_index(pair)]);
    }
    sources.resize(as_index(std::min(x.size(0), activeNum) * expertIdx.size(1)));
    expandedXOut = gathered(x, sources);
    expandedRowIdxOut = integer_tensor(expanded_row_idx);
    expandedExpertIdxOut = integer_tensor(sorted);
}

ACLNN_CHECKED(aclnnMoeInitRoutingV2, Tensor x, Tensor expertIdx, Int activeNum, Int expertCapacity,
              Int expertNum, Int dropPadMode, Int expertTokensCountOrCumsumFlag,
              bool expertTokensBeforeCapacityFlag, Out expandedXOut, Out expandedRowIdxOut,
              Optional<Out> expertTokensCountOrCumsumOut,
              Optional<Out> expertTokensBeforeCapacityOut) {
    const RoutingNumbers numbers = {activeNum, expertCapacity, expertNum, dropPadMode,
                                    expertTokensCountOrCumsumFlag};
    numbers.check(x, expertIdx);
    const Routing routing = numbers.routing(integers_of(expertIdx));
    IntList tokens = routing.tokens(top_k_of(expertIdx));
    if (!numbers.pads() && activeNum > 0) {
        tokens.resize(std::min(tokens.size(), as_index(activeNum)));
    }
    const Tensor expanded = gathered(x, tokens);
    expandedXOut =
        numbers.pads() ? expanded.reshape({expertNum, expertCapacity, x.size(1)}) : expanded;
    expandedRowIdxOut = integer_tensor(routing.rows);
    numbers.store_counts(routing, expertTokensBeforeCapacityFlag, expertTokensCountOrCumsumOut,
                         expertTokensBeforeCapacityOut);
}

namespace {

enum TokensNum : Int { cumulative = 0, count = 1, key_value = 2 };
enum Quantization : Int { no_quantization = -1, static_int8 = 0, dynamic_int8 = 1 };

/// The experts that have pairs and their number, then a row of zeros if there is room; the rows
/// after it are not written.
void assign_key_values(const Out& out, const Routing& routing, Int begin) {
    IntList values;
    for (std::size_t i = 0; i < routing.counts.size(); ++i) {
        if (routing.counts[i] != 0) {
            values.push_back(begin + static_cast<Int>(i));
            values.push_back(routing.counts[i]);
        }
    }
    if (static_cast<Int>(values.size()) < out.tensor.numel()) {
        values.insert(values.end(), 2, 0);
    }
    assign_first_rows(out, integer_tensor(values).reshape({-1, 2}));
}

Tensor to_int8(const Tensor& x) {
    return aten("clamp", aten("round", x), Scalar{-128.0}, Scalar{127.0}).to(DType::int8);
}

struct Quantized {
    Tensor values;
    Tensor scales;  // one per row
};

/// Symmetric, with the largest magnitude of a row as 127.
Quantized quantized_by_row(const Tensor& x) {
    const Tensor scales = aten("amax", aten("abs", x), IntList{-1}, true) / 127.0;
    const Tensor is_zero = aten("eq.Scalar", scales, Scalar{0.0});
    const Tensor divisors = aten("masked_fill.Scalar", scales, is_zero, Scalar{1.0});
    return {to_int8(x / divisors), scales.reshape({x.size(0)})};
}

/// The factor of each row for dynamic quantisation: one for all, or one per expert.
Tensor factors(const Tensor& scale, const IntList& experts, const IntList& sources, Int begin) {
    if (scale.size(0) == 1) {
        return scale.to_float();
    }
    IntList rows;
    for (const Int pair : sources) {
        rows.push_back(pair < 0 ? -1 : experts[as_index(pair)] - begin);
    }
    return gathered(scale.to_float(), rows);
}

/// What the third version does with the tokens that it copies.
struct Expansion {
    Tensor x;
    Tensor scale;
    Tensor offset;
    Int mode;
    Int expert_num;
    Int capacity;  // 0: without padding
    Int active_num;
    IntList range;

    void check() const {
        if (mode > dynamic_int8) {
            not_emulated("quantMode " + std::to_string(mode));
        }
        require(mode >= no_quantization,
                "quantMode must be at least -1, got " + std::to_string(mode));
        require(mode != static_int8 || (scale.defined() && offset.defined()),
                "scale and offset are required with quantMode 0");
        require(
            range.size() == 2 && range[0] >= 0 && range[0] < range[1] && range[1] <= expert_num,
            "activeExpertRange must be a range of the " + std::to_string(expert_num) + " experts");
        require(capacity == 0 || range == IntList{0, expert_num},
                "activeExpertRange must be all experts with dropPadMode 1");
    }
    Tensor shaped(const Tensor& rows) const {
        return capacity > 0 ? rows.reshape({expert_num, capacity, x.size(1)}) : rows;
    }
    void run(const IntList& experts, Int k, const Routing& routing, const Out& expanded,
             const Out& expanded_scale) const {
        IntList sources = routing.sources;
        if (capacity == 0 && active_num > 0) {
            sources.resize(std::min(sources.size(), as_index(active_num)));
        }
        IntList tokens = routing.tokens(k);
        tokens.resize(sources.size());
        const Tensor copied = gathered(x, tokens);
        if (mode == no_quantization) {
            assign_first_rows(expanded, shaped(copied));
            if (scale.defined()) {
                assign_first_rows(expanded_scale, gathered(scale, tokens));
            }
        } else if (mode == static_int8) {
            const Tensor moved = x.to_float() * scale.item() + offset.item();
            assign_first_rows(expanded, shaped(gathered(to_int8(moved), tokens)));
        } else {
            const Tensor wide = copied.to_float();
            const Quantized found = quantized_by_row(
                scale.defined() ? wide * factors(scale, experts, sources, range[0]) : wide);
            assign_first_rows(expanded, shaped(found.values));
            assign_first_rows(expanded_scale, found.scales);
        }
    }
};

}  // namespace

// Quantisation to fp8, fp4, hif8 and int4, which most of the SoCs do not have, is not emulated.
ACLNN_CHECKED(aclnnMoeInitRoutingV3, Tensor x, Tensor expertIdx, Optional<Tensor> scale,
              Optional<Tensor> offset, Int activeNum, Int expertCapacity, Int expertNum,
              Int dropPadMode, Int expertTokensNumType, bool expertTokensNumFlag, Int quantMode,
              OptionalInts activeExpertRange, Int rowIdxType, Out expandedXOut,
              Out expandedRowIdxOut, Optional<Out> expertTokensCountOrCumsumOut,
              Optional<Out> expandedScaleOut) {
    check_experts(x, expertIdx);
    const bool pads = dropPadMode == 1;
    require(dropPadMode == 0 || pads,
            "dropPadMode must be 0 or 1, got " + std::to_string(dropPadMode));
    require(!pads || expertCapacity > 0,
            "expertCapacity must be positive, got " + std::to_string(expertCapacity));
    const IntList range = activeExpertRange.values.value_or(IntList{0, expertNum});
    const Expansion expansion = {
        x, scale, offset, quantMode, expertNum, pads ? expertCapacity : 0, activeNum, range};
    expansion.check();
    const IntList experts = integers_of(expertIdx);
    const Routing routing(experts, range[0], range[1], expansion.capacity);
    expansion.run(experts, top_k_of(expertIdx), routing, expandedXOut, expandedScaleOut);
    if (rowIdxType == 1 && !pads) {
        assign_first_rows(expandedRowIdxOut, integer_tensor(routing.order));
    } else {
        expandedRowIdxOut = integer_tensor(routing.rows);
    }
    if (expertTokensNumFlag && expertTokensNumType == key_value) {
        assign_key_values(expertTokensCountOrCumsumOut, routing, range[0]);
    } else if (expertTokensNumFlag) {
        expertTokensCountOrCumsumOut = integer_tensor(
            expertTokensNumType == cumulative ? routing.cumulative_counts() : routing.counts);
    }
}

namespace {

void check_quantized_routing(const Tensor& x, const Tensor& scale, const Tensor& offset,
                             Int expert_num, Int mode) {
    require_ascend910b_910_93_or_950();
    require(mode == static_int8 || mode == dynamic_int8,
            "quantMode must be 0 or 1, got " + std::to_string(mode));
    for (const Tensor& factor : {scale, offset}) {
        require(!factor.defined() || factor.dtype() == DType::float32,
                "scaleOptional and offsetOptional must be float32");
    }
    if (mode == static_int8) {
        require(scale.defined() && scale.numel() == 1 && offset.defined() && offset.numel() == 1,
                "scaleOptional and offsetOptional must have one element with quantMode 0");
    } else {
        if (offset.defined()) {
            not_emulated("offsetOptional with quantMode 1");
        }
        require(!scale.defined() || (scale.dim() == 2 && scale.size(1) == x.size(1) &&
                                     (scale.size(0) == 1 || scale.size(0) == expert_num)),
                "scaleOptional must be [1, H] or [expertNum, H] with quantMode 1");
    }
}

}  // namespace

ACLNN_CHECKED(aclnnMoeInitRoutingQuantV2, Tensor x, Tensor expertIdx,
              Optional<Tensor> scaleOptional, Optional<Tensor> offsetOptional, Int activeNum,
              Int expertCapacity, Int expertNum, Int dropPadMode, Int expertTokensCountOrCumsumFlag,
              bool expertTokensBeforeCapacityFlag, Int quantMode, Out expandedXOut,
              Out expandedRowIdxOut, Optional<Out> expertTokensCountOrCumsumOut,
              Optional<Out> expertTokensBeforeCapacityOut, Optional<Out> dynamicQuantScaleOut) {
    const RoutingNumbers numbers = {activeNum, expertCapacity, expertNum, dropPadMode,
                                    expertTokensCountOrCumsumFlag};
    numbers.check(x, expertIdx);
    check_quantized_routing(x, scaleOptional, offsetOptional, expertNum, quantMode);
    const IntList experts = integers_of(expertIdx);
    const Routing routing = numbers.routing(experts);
    const Expansion expansion = {x,         scaleOptional, offsetOptional,
                                 quantMode, expertNum,     numbers.pads() ? expertCapacity : 0,
                                 activeNum, {0, expertNum}};
    expansion.run(experts, top_k_of(expertIdx), routing, expandedXOut, dynamicQuantScaleOut);
    expandedRowIdxOut = integer_tensor(routing.rows);
    numbers.store_counts(routing, expertTokensBeforeCapacityFlag, expertTokensCountOrCumsumOut,
                         expertTokensBeforeCapacityOut);
}

ACLNN(aclnnMoeInitRoutingV2Grad, Tensor gradExpandedX, Tensor expandedRowIdx, Int topK,
      Unused<Int> drop_pad_mode, Unused<Int> active_num, Out out) {
    (void)drop_pad_mode;  // as the shape of the gradient tells
    (void)active_num;
    const Int hidden = gradExpandedX.size(-1);
    const Tensor rows =
        gathered(gradExpandedX.reshape({-1, hidden}).to_float(), integers_of(expandedRowIdx));
    out = rows.reshape({-1, topK, hidden}).sum({1});
}

// The end of each expert's part of a sorted list.
ACLNN(aclnnMoeComputeExpertTokens, Tensor sortedExperts, Int numExperts, Out out) {
    require(numExperts > 0 && numExperts <= 2048,
            "numExperts must be 1 to 2048, got " + std::to_string(numExperts));
    out = aten("searchsorted.Tensor", sortedExperts.contiguous(), arange(numExperts), true, true);
}

// Tokens that came from several ranks, sorted by rank, are sorted by expert.
ACLNN_CHECKED(aclnnMoeReRouting, Tensor tokens, Tensor expertTokenNumPerRank,
              Optional<Tensor> perTokenScales, REFUSED_UNLESS(1, Int, expertTokenNumType),
              Int idxType, Out permuteTokensOut, Optional<Out> permutePerTokenScalesOut,
              Out permuteTokenIdxOut, Out expertTokenNumOut) {
    require(idxType == 0 || (idxType == 1 && is_ascend950()),
            "idxType must be 0, got " + std::to_string(idxType));
    const Int experts = expertTokenNumPerRank.size(1);
    const IntList counts = integers_of(expertTokenNumPerRank);
    IntList expert_of;  // each token
    for (std::size_t i = 0; i < counts.size(); ++i) {
        expert_of.insert(expert_of.end(), as_index(counts[i]), static_cast<Int>(i) % experts);
    }
    require(static_cast<Int>(expert_of.size()) <= tokens.size(0),
            "expertTokenNumPerRank must add up to at most " + std::to_string(tokens.size(0)) +
                ", got " + std::to_string(expert_of.size()));
    const IntList order = argsort(expert_of);
    assign_first_rows(permuteTokensOut, gathered(tokens, order));
    if (perTokenScales.defined()) {
        assign_first_rows(permutePerTokenScalesOut, gathered(perTokenScales, order));
    }
    assign_first_rows(permuteTokenIdxOut, integer_tensor(idxType == 1 ? inverse_of(order) : order));
    expertTokenNumOut = expertTokenNumPerRank.to(DType::int64).sum({0});
}
