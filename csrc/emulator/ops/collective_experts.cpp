// The products of experts that several ranks hold, fused with the exchange of their tokens. Counts
// are [ranks, experts per rank], rank by rank.
#include "emulator/ops/quantization/mx.h"
#include "emulator/ops/quantization/quantized.h"
#include "emulator/ops/ranks.h"
#include "emulator/ops/rows.h"
#include "emulator/ops/slices.h"

using namespace ascend_emulator;

namespace {

struct ExpertCounts {
    Ranks ranks;
    IntList sent;
    IntList received;
    Int experts;

    ExpertCounts(const String& group, Int world_size, const Ints& send, const Ints& receive,
                 const Tensor& weight)
        : ranks(group), sent(send), received(receive), experts(weight.size(0)) {
        require(weight.dim() == 3, "gmmWeight must be [experts, H1, N1]");
        require(world_size == ranks.size(), "epWorldSize must be the number of ranks, " +
                                                std::to_string(ranks.size()) + ", got " +
                                                std::to_string(world_size));
        const auto wanted = as_index(experts * ranks.size());
        require(sent.size() == wanted && received.size() == wanted,
                "sendCounts and recvCounts must have one element per rank and expert, " +
                    std::to_string(wanted));
    }

    IntList per_rank(const IntList& counts) const {
        IntList sums(as_index(ranks.size()), 0);
        for (Int i = 0; i < static_cast<Int>(counts.size()); ++i) {
            sums[as_index(i / experts)] += counts[as_index(i)];
        }
        return sums;
    }
    IntList per_expert(const IntList& counts) const {
        IntList sums(as_index(experts), 0);
        for (Int i = 0; i < static_cast<Int>(counts.size()); ++i) {
            sums[as_index(i % experts)] += counts[as_index(i)];
        }
        return sums;
    }
    /// The rows in the order of experts, of rows that lie in the order of ranks.
    IntList order_of_experts(const IntList& counts) const {
        IntList experts_of_rows;
        for (Int i = 0; i < static_cast<Int>(counts.size()); ++i) {
            experts_of_rows.insert(experts_of_rows.end(), as_index(counts[as_index(i)]),
                                   i % experts);
        }
        return argsort(experts_of_rows);
    }
};

Tensor rows_at(const Tensor& x, const IntList& order) {
    return aten("index_select", x, 0, integer_tensor(order));
}

/// Rows in the order of experts, each times its expert's weight.
Tensor expert_products(const Tensor& x, const Tensor& weight, bool transposes,
                       const IntList& counts) {
    TensorList parts;
    Int begin = 0;
    for (Int expert = 0; expert < weight.size(0); ++expert) {
        const Int end = begin + counts[as_index(expert)];
        const Tensor own = aten("select.int", weight, 0, expert).to_float();
        parts.push_back(
            aten("matmul", rows(x, begin, end).to_float(), transposes ? own.transpose(0, 1) : own));
        begin = end;
    }
    return aten("cat", parts, 0);
}

void check_rows(const Tensor& x, const IntList& counts) {
    const Int wanted = std::accumulate(counts.begin(), counts.end(), Int{0});
    require(x.dim() == 2 && x.size(0) == wanted,
            "gmmX must have as many rows as the counts say, " + std::to_string(wanted));
}

void shared_expert(const Tensor& x, const Tensor& weight, bool transposes, const Out& y) {
    if (x.defined()) {
        const Tensor own = weight.to_float();
        y = aten("matmul", x.to_float(), transposes ? own.transpose(0, 1) : own);
    }
}

void check_shared(const Tensor& x, const Tensor& weight) {
    require(x.defined() == weight.defined(), "mmX and mmWeight must be given together");
}

/// The rows for this rank's experts, in the order of experts.
Tensor received_rows(const ExpertCounts& counts, const Tensor& x) {
    check_rows(x, counts.sent);
    const Tensor found =
        counts.ranks.all_to_all(x, counts.per_rank(counts.sent), counts.per_rank(counts.received));
    return rows_at(found, counts.order_of_experts(counts.received));
}

void exchange_and_multiply(const ExpertCounts& counts, const Tensor& x, const Tensor& weight,
                           bool transposes, const Out& y, const Out& permuted) {
    const Tensor ordered = received_rows(counts, x);
    y = expert_products(ordered, weight, transposes, counts.per_expert(counts.received));
    permuted = ordered;
}

void multiply_and_exchange(const ExpertCounts& counts, const Tensor& x, const Tensor& weight,
                           bool transposes, const Out& y) {
    check_rows(x, counts.sent);
    const Tensor products = expert_products(x, weight, transposes, counts.per_expert(counts.sent));
    const Tensor by_rank = rows_at(products, inverse_of(counts.order_of_experts(counts.sent)));
    y = counts.ranks.all_to_all(by_rank, counts.per_rank(counts.sent),
                                counts.per_rank(counts.received));
}

}  // namespace

#define EXPERT_OPERANDS                                                                     \
    Tensor gmmX, Tensor gmmWeight, REFUSED(Tensor, sendCountsTensor),                       \
        REFUSED(Tensor, recvCountsTensor), Optional<Tensor> mmX, Optional<Tensor> mmWeight, \
        String group
#define EXPERT_COUNTS \
    Int epWorldSize, Ints sendCounts, Ints recvCounts, bool transGmmWeight, bool transMmWeight
#define EXCHANGE_AND_MULTIPLY                                                                \
    {                                                                                        \
        check_shared(mmX, mmWeight);                                                         \
        exchange_and_multiply({group, epWorldSize, sendCounts, recvCounts, gmmWeight}, gmmX, \
                              gmmWeight, transGmmWeight, gmmY,                               \
                              permuteOutFlag ? permuteOut : Out());                          \
        shared_expert(mmX, mmWeight, transMmWeight, mmY);                                    \
    }
#define MULTIPLY_AND_EXCHANGE                                                                \
    {                                                                                        \
        check_shared(mmX, mmWeight);                                                         \
        multiply_and_exchange({group, epWorldSize, sendCounts, recvCounts, gmmWeight}, gmmX, \
                              gmmWeight, transGmmWeight, y);                                 \
        shared_expert(mmX, mmWeight, transMmWeight, mmY);                                    \
    }

ACLNN_CHECKED(aclnnAlltoAllvGroupedMatMul, EXPERT_OPERANDS, EXPERT_COUNTS, bool permuteOutFlag,
              Out gmmY, Optional<Out> mmY, Optional<Out> permuteOut)
EXCHANGE_AND_MULTIPLY
ACLNN_CHECKED(aclnnAlltoAllvGroupedMatMulV2, EXPERT_OPERANDS, Unused<String>, EXPERT_COUNTS,
              bool permuteOutFlag, Out gmmY, Optional<Out> mmY, Optional<Out> permuteOut)
EXCHANGE_AND_MULTIPLY
ACLNN_CHECKED(aclnnGroupedMatMulAlltoAllv, EXPERT_OPERANDS, EXPERT_COUNTS, Out y, Optional<Out> mmY)
MULTIPLY_AND_EXCHANGE
ACLNN_CHECKED(aclnnGroupedMatMulAlltoAllvV2, EXPERT_OPERANDS, Unused<String>, EXPERT_COUNTS, Out y,
              Optional<Out> mmY)
MULTIPLY_AND_EXCHANGE

namespace {

/// Operands of a product in blocks of 32 along k.
struct MxOperands {
    Tensor x;
    Tensor x_scale;
    Tensor weight;
    Tensor weight_scale;

    void check(const char* names, Int x_mode, Int weight_mode) const {
        if (x_mode != 6 || weight_mode != 6) {
            not_emulated(std::string(names) + " in the quantization modes " +
                         std::to_string(x_mode) + " and " + std::to_string(weight_mode));
        }
        require(is_float8(x.dtype()) && is_float8(weight.dtype()),
                std::string(names) + " must be float8, got " + name_of(x.dtype()) + " and " +
                    name_of(weight.dtype()));
        require(x_scale.defined() && weight_scale.defined(),
                std::string("the scales of ") + names + " must be given");
    }
    /// The operands in float32, which their scales leave exact.
    Tensor wide_x() const { return from_mx(x, x_scale, -1, 32); }
    Tensor wide_weight(bool transposes) const {
        return from_mx(weight, weight_scale, transposes ? -1 : -2, 32);
    }
};

struct QuantizedExperts {
    MxOperands routed;
    MxOperands shared;

    void check(Int x_mode, Int weight_mode, Int shared_x_mode, Int shared_weight_mode) const {
        require_ascend950();
        routed.check("gmmX and gmmWeight", x_mode, weight_mode);
        check_shared(shared.x, shared.weight);
        if (shared.x.defined()) {
            shared.check("mmX and mmWeight", shared_x_mode, shared_weight_mode);
        }
    }
    void multiply_shared(bool transposes, const Out& y) const {
        if (shared.x.defined()) {
            shared_expert(shared.wide_x(), shared.wide_weight(transposes), transposes, y);
        }
    }
};

void exchange_bytes(const ExpertCounts& counts, const Tensor& x, const Out& permuted) {
    const Tensor bytes = aten("view.dtype", x.contiguous(), DType::uint8);
    permuted = aten("view.dtype", received_rows(counts, bytes), x.dtype());
}

}  // namespace

#define QUANTIZED_EXPERTS                                                           \
    Tensor gmmX, Tensor gmmWeight, Tensor gmmXScale, Tensor gmmWeightScale,         \
        REFUSED(Tensor, sendCountsTensor), REFUSED(Tensor, recvCountsTensor),       \
        Optional<Tensor> mmX, Optional<Tensor> mmWeight, Optional<Tensor> mmXScale, \
        Optional<Tensor> mmWeightScale
#define QUANTIZATION_MODES \
    Int gmmXQuantMode, Int gmmWeightQuantMode, Int mmXQuantMode, Int mmWeightQuantMode
#define CHECKED_EXPERTS                                                                \
    const QuantizedExperts experts{{gmmX, gmmXScale, gmmWeight, gmmWeightScale},       \
                                   {mmX, mmXScale, mmWeight, mmWeightScale}};          \
    experts.check(gmmXQuantMode, gmmWeightQuantMode, mmXQuantMode, mmWeightQuantMode); \
    const ExpertCounts counts(group, epWorldSize, sendCounts, recvCounts, gmmWeight);
#define QUANTIZED_EXCHANGE_AND_MULTIPLY                                                         \
    {                                                                                           \
        CHECKED_EXPERTS                                                                         \
        exchange_and_multiply(counts, experts.routed.wide_x(),                                  \
                              experts.routed.wide_weight(transGmmWeight), transGmmWeight, gmmY, \
                              Out());                                                           \
        experts.multiply_shared(transMmWeight, mmY);                                            \
        if (permuteOutFlag) {                                                                   \
            exchange_bytes(counts, gmmX, permuteOut);                                           \
        }                                                                                       \
    }
#define QUANTIZED_MULTIPLY_AND_EXCHANGE                                                       \
    {                                                                                         \
        CHECKED_EXPERTS                                                                       \
        multiply_and_exchange(counts, experts.routed.wide_x(),                                \
                              experts.routed.wide_weight(transGmmWeight), transGmmWeight, y); \
        experts.multiply_shared(transMmWeight, mmY);                                          \
    }
// groupSize follows from the modes, and the dtype of communication from its mode.
#define QUANTIZED_COMMUNICATION REFUSED(Int, commQuantMode), Unused<Int>, Unused<Int>

ACLNN_CHECKED(aclnnAlltoAllvQuantGroupedMatMul, QUANTIZED_EXPERTS, QUANTIZATION_MODES, String group,
              EXPERT_COUNTS, Unused<Int>, bool permuteOutFlag, Out gmmY, Optional<Out> mmY,
              Optional<Out> permuteOut)
QUANTIZED_EXCHANGE_AND_MULTIPLY
ACLNN_CHECKED(aclnnAlltoAllvQuantGroupedMatMulV2, QUANTIZED_EXPERTS, QUANTIZATION_MODES,
              String group, Unused<String>, EXPERT_COUNTS, Unused<Int>, bool permuteOutFlag,
              Out gmmY, Optional<Out> mmY, Optional<Out> permuteOut)
QUANTIZED_EXCHANGE_AND_MULTIPLY
ACLNN_CHECKED(aclnnQuantGroupedMatMulAlltoAllv, QUANTIZED_EXPERTS, REFUSED(Tensor, commQuantScale),
              QUANTIZATION_MODES, QUANTIZED_COMMUNICATION, String group, EXPERT_COUNTS, Out y,
              Optional<Out> mmY)
QUANTIZED_MULTIPLY_AND_EXCHANGE
ACLNN_CHECKED(aclnnQuantGroupedMatMulAlltoAllvV2, QUANTIZED_EXPERTS,
              REFUSED(Tensor, commQuantScale), QUANTIZATION_MODES, QUANTIZED_COMMUNICATION,
              String group, Unused<String>, EXPERT_COUNTS, Out y, Optional<Out> mmY)
QUANTIZED_MULTIPLY_AND_EXCHANGE
