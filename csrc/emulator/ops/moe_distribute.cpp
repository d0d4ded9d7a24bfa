// Mixture of experts over ranks: tokens go to the ranks of their experts, and the results come
// back.
#include "emulator/ops/ranks.h"
#include "emulator/ops/rms_norm.h"
#include "emulator/ops/rows.h"

using namespace ascend_emulator;

namespace {

/// The pairs of a token and one of its k experts that take part, and how many rows every rank sends
/// to every other.
struct Exchange {
    Exchange(const String& group, Int moe_experts, const Tensor& expert_ids, const Tensor& mask)
        : ranks(group), local(moe_experts / ranks.size()), k(expert_ids.size(1)) {
        require(moe_experts % ranks.size() == 0,
                "moeExpertNum must be a multiple of the number of ranks, " +
                    std::to_string(ranks.size()) + ", got " + std::to_string(moe_experts));
        IntList experts = integers_of(expert_ids);
        const IntList active = mask.defined() ? integers_of(mask) : IntList();
        for (std::size_t pair = 0; pair < experts.size(); ++pair) {
            const bool by_pair = mask.defined() && mask.dim() == 2;
            const bool takes_part =
                !mask.defined() || active[by_pair ? pair : pair / as_index(k)] != 0;
            require(!takes_part || (experts[pair] >= 0 && experts[pair] < moe_experts),
                    "expertIds must be 0 to " + std::to_string(moe_experts - 1) + ", got " +
                        std::to_string(experts[pair]));
            experts[pair] = takes_part ? experts[pair] : -1;
        }
        sent.assign(as_index(ranks.size()), 0);
        sent_by_expert.assign(as_index(moe_experts), 0);
        for (const Int pair : argsort(experts)) {
            const Int expert = experts[as_index(pair)];
            if (expert >= 0) {
                pairs.push_back(pair);
                ++sent[as_index(expert / local)];
                ++sent_by_expert[as_index(expert)];
            }
        }
    }

    Ranks ranks;
    Int local;  // experts per rank
    Int k;
    IntList pairs;  // by expert, and so by rank
    IntList sent;   // rows to each rank
    IntList sent_by_expert;
};

/// The rows that this rank receives, by source rank and then by expert, and their order by expert
/// and then by source rank.
struct Received {
    /// counts[source * local + expert]
    Received(IntList its_counts, Int ranks, Int local) : counts(std::move(its_counts)) {
        IntList expert_of;
        for (Int source = 0; source < ranks; ++source) {
            Int rows = 0;
            for (Int expert = 0; expert < local; ++expert) {
                const Int count = counts[as_index(source * local + expert)];
                expert_of.insert(expert_of.end(), as_index(count), expert);
                rows += count;
            }
            by_rank.push_back(rows);
        }
        order = argsort(expert_of);
        for (Int expert = 0; expert < local; ++expert) {
            Int rows = 0;
            for (Int source = 0; source < ranks; ++source) {
                rows += counts[as_index(source * local + expert)];
                ends.push_back((ends.empty() ? 0 : ends.back()) +
                               counts[as_index(source * local + expert)]);
            }
            by_expert.push_back(rows);
        }
    }
    IntList counts;
    IntList by_rank;
    IntList by_expert;
    IntList order;
    IntList ends;  // of each expert's rows from each source rank
};

void check_world(Int ep_world_size, const Ranks& ranks, Int tp_world_size) {
    require(ep_world_size == ranks.size(), "epWorldSize must be the size of groupEp, " +
                                               std::to_string(ranks.size()) + ", got " +
                                               std::to_string(ep_world_size));
    if (tp_world_size > 1) {
        not_emulated("tpWorldSize " + std::to_string(tp_world_size));
    }
}

struct DispatchOutputs {
    Out expand_x;
    Out expert_token_nums;
    Out counts;
    Out expand_scales;
};

void dispatch(const Tensor& x, const Exchange& exchange, const Tensor& scales, Int nums_type,
              const DispatchOutputs& outputs) {
    const Ranks& ranks = exchange.ranks;
    const Received received(
        integers_of(ranks.all_to_all(
            integer_tensor(exchange.sent_by_expert).reshape({ranks.size(), exchange.local}))),
        ranks.size(), exchange.local);
    IntList tokens = exchange.pairs;
    for (Int& pair : tokens) {
        pair /= exchange.k;
    }
    const auto delivered = [&](const Tensor& rows) {
        return gathered(ranks.all_to_all(rows, exchange.sent, received.by_rank), received.order);
    };
    assign_first_rows(outputs.expand_x, delivered(gathered(x, tokens)));
    if (scales.defined()) {
        const Tensor weights = scales.to_float().reshape({-1});
        assign_first_rows(outputs.expand_scales, delivered(gathered(weights, exchange.pairs)));
    }
    IntList nums = received.by_expert;
    if (nums_type == 0) {
        std::partial_sum(nums.begin(), nums.end(), nums.begin());
    }
    outputs.expert_token_nums = integer_tensor(nums);
    assign_first_rows(outputs.counts, integer_tensor(received.ends));
}

/// Send the rows back, and add those of each token with their weights.
Tensor combine(const Tensor& expand_x, const Exchange& exchange, const Tensor& ends,
               const Tensor& scales, Int tokens) {
    const Ranks& ranks = exchange.ranks;
    const IntList all_ends = integers_of(ends);
    IntList counts(as_index(ranks.size() * exchange.local));
    for (Int expert = 0; expert < exchange.local; ++expert) {
        for (Int source = 0; source < ranks.size(); ++source) {
            const Int i = expert * ranks.size() + source;
            counts[as_index(source * exchange.local + expert)] =
                all_ends[as_index(i)] - (i == 0 ? 0 : all_ends[as_index(i - 1)]);
        }
    }
    const Received received(counts, ranks.size(), exchange.local);
    const Tensor by_rank = gathered(expand_x.to_float(), inverse_of(received.order));
    const Tensor rows = ranks.all_to_all(by_rank, received.by_rank, exchange.sent);
    const Tensor weights = gathered(scales.to_float().reshape({-1}), exchange.pairs);
    IntList token_of = exchange.pairs;
    for (Int& pair : token_of) {
        pair /= exchange.k;
    }
    return scattered(rows * weights.reshape({-1, 1}), token_of, tokens);
}

}  // namespace

// epRankId is the communicator's, globalBS sizes the buffers of a device, and commAlg is a hint.
// Only a combine reads the outputs that are not written, and here it does not need them.
#define EXPERT_GROUP                                                                \
    String groupEp, Int epWorldSize, Unused<Int>, Int moeExpertNum, Unused<String>, \
        Int tpWorldSize, Unused<Int>, Unused<Int>, Unused<Int>, REFUSED(Int, sharedExpertRankNum)
#define DISPATCH_INPUTS                                                                \
    Tensor x, Tensor expertIds, REFUSED(Tensor, scales), Optional<Tensor> xActiveMask, \
        Optional<Tensor> expertScales
#define DISPATCH_NUMBERS REFUSED(Int, quantMode), Unused<Int>, Int expertTokenNumsType
#define DISPATCH_OUTPUTS                                                                       \
    Out expandX, Unused<Out>, Unused<Out>, Out expertTokenNums, Out epRecvCounts, Unused<Out>, \
        Optional<Out> expandScales
#define SPECIAL_EXPERTS \
    REFUSED(Int, zeroExpertNum), REFUSED(Int, copyExpertNum), REFUSED(Int, constExpertNum)
#define DISPATCH                                                                \
    {                                                                           \
        const Exchange exchange(groupEp, moeExpertNum, expertIds, xActiveMask); \
        check_world(epWorldSize, exchange.ranks, tpWorldSize);                  \
        dispatch(x, exchange, expertScales, expertTokenNumsType,                \
                 {expandX, expertTokenNums, epRecvCounts, expandScales});       \
    }

ACLNN_CHECKED(aclnnMoeDistributeDispatch, DISPATCH_INPUTS, EXPERT_GROUP, DISPATCH_NUMBERS,
              DISPATCH_OUTPUTS)
DISPATCH
ACLNN_CHECKED(aclnnMoeDistributeDispatchV2, DISPATCH_INPUTS, EXPERT_GROUP, DISPATCH_NUMBERS,
              Unused<String>, DISPATCH_OUTPUTS)
DISPATCH
ACLNN_CHECKED(aclnnMoeDistributeDispatchV3, DISPATCH_INPUTS, REFUSED(Tensor, elasticInfo),
              EXPERT_GROUP, DISPATCH_NUMBERS, Unused<String>, SPECIAL_EXPERTS, DISPATCH_OUTPUTS)
DISPATCH
ACLNN_CHECKED(aclnnMoeDistributeDispatchV4, DISPATCH_INPUTS, REFUSED(Tensor, elasticInfo),
              REFUSED(Tensor, performanceInfo), EXPERT_GROUP, DISPATCH_NUMBERS, Unused<String>,
              SPECIAL_EXPERTS, DISPATCH_OUTPUTS)
DISPATCH

#define COMBINE_INPUTS                                                                          \
    Tensor expandX, Tensor expertIds, Unused<Tensor>, Tensor epSendCounts, Tensor expertScales, \
        Unused<Tensor>, Optional<Tensor> xActiveMask, REFUSED(Tensor, activationScale),         \
        REFUSED(Tensor, weightScale), REFUSED(Tensor, groupList), Unused<Tensor>
// outDtype is the output's, and groupListType is reserved.
#define COMBINE_NUMBERS Unused<Int>, Unused<Int>, REFUSED(Int, commQuantMode), Unused<Int>
#define SPECIAL_INPUTS Unused<Tensor>, Unused<Tensor>, Unused<Tensor>, Unused<Tensor>
#define COMBINE(SHARED)                                                                \
    {                                                                                  \
        const Exchange exchange(groupEp, moeExpertNum, expertIds, xActiveMask);        \
        check_world(epWorldSize, exchange.ranks, tpWorldSize);                         \
        const Tensor sum =                                                             \
            combine(expandX, exchange, epSendCounts, expertScales, expertIds.size(0)); \
        const Tensor& shared = SHARED;                                                 \
        x = shared.defined() ? sum + shared.to_float() : sum;                          \
    }

ACLNN_CHECKED(aclnnMoeDistributeCombine, COMBINE_INPUTS, EXPERT_GROUP, COMBINE_NUMBERS, Out x)
COMBINE(Tensor())
ACLNN_CHECKED(aclnnMoeDistributeCombineV2, COMBINE_INPUTS, Optional<Tensor> sharedExpertX,
              EXPERT_GROUP, COMBINE_NUMBERS, Unused<String>, Out x)
COMBINE(sharedExpertX)
ACLNN_CHECKED(aclnnMoeDistributeCombineV3, COMBINE_INPUTS, Optional<Tensor> sharedExpertX,
              REFUSED(Tensor, elasticInfo), SPECIAL_INPUTS, EXPERT_GROUP, COMBINE_NUMBERS,
              Unused<String>, SPECIAL_EXPERTS, Out x)
COMBINE(sharedExpertX)
ACLNN_CHECKED(aclnnMoeDistributeCombineV4, COMBINE_INPUTS, Optional<Tensor> sharedExpertX,
              REFUSED(Tensor, elasticInfo), SPECIAL_INPUTS, REFUSED(Tensor, performanceInfo),
              EXPERT_GROUP, COMBINE_NUMBERS, Unused<String>, SPECIAL_EXPERTS, Out x)
COMBINE(sharedExpertX)

#define COMBINE_AND_NORM_INPUTS                                                                 \
    Tensor expandX, Tensor expertIds, Unused<Tensor>, Tensor epSendCounts, Tensor expertScales, \
        Tensor residualX, Tensor gamma, Unused<Tensor>, Optional<Tensor> xActiveMask,           \
        REFUSED(Tensor, activationScale), REFUSED(Tensor, weightScale),                         \
        REFUSED(Tensor, groupList), Unused<Tensor>, Optional<Tensor> sharedExpertX
#define COMBINE_AND_NORM                                                                   \
    {                                                                                      \
        const Exchange exchange(groupEp, moeExpertNum, expertIds, xActiveMask);            \
        check_world(epWorldSize, exchange.ranks, tpWorldSize);                             \
        const Tensor sum =                                                                 \
            combine(expandX, exchange, epSendCounts, expertScales, expertIds.size(0));     \
        const Tensor all = sharedExpertX.defined() ? sum + sharedExpertX.to_float() : sum; \
        x = (all + residualX.to_float().reshape(all.sizes())).reshape(x.tensor.sizes());   \
        const RmsNormed found = rms_norm(x.tensor, gamma, normEps);                        \
        y = found.normed;                                                                  \
        rstd = found.rstd;                                                                 \
    }

ACLNN_CHECKED(aclnnMoeDistributeCombineAddRmsNorm, COMBINE_AND_NORM_INPUTS, EXPERT_GROUP,
              COMBINE_NUMBERS, Unused<String>, float normEps, Out y, Out rstd, Out x)
COMBINE_AND_NORM
ACLNN_CHECKED(aclnnMoeDistributeCombineAddRmsNormV2, COMBINE_AND_NORM_INPUTS,
              REFUSED(Tensor, elasticInfo), SPECIAL_INPUTS, EXPERT_GROUP, COMBINE_NUMBERS,
              Unused<String>, float normEps, SPECIAL_EXPERTS, Out y, Out rstd, Out x)
COMBINE_AND_NORM

namespace {

void wait_for_all(const String& group, Int world_size) {
    const Ranks ranks(group);
    require(world_size == ranks.size(), "worldSize must be the size of group, " +
                                            std::to_string(ranks.size()) + ", got " +
                                            std::to_string(world_size));
    ranks.all_gather(full({1}, Scalar{0.0}, DType::float32));
}

}  // namespace

// x only orders the barrier among the operators of its stream.
ACLNN_CHECKED(aclnnDistributeBarrier, Unused<InOut>, String group, Int worldSize) {
    wait_for_all(group, worldSize);
}
ACLNN_CHECKED(aclnnDistributeBarrierV2, Unused<InOut>, Unused<Tensor>, REFUSED(Tensor, elasticInfo),
              String group, Int worldSize) {
    wait_for_all(group, worldSize);
}
