// Attention and its gradient as their plain fp32 formula, on [batch, heads, sequence, head
// dimension].
#pragma once

#include "emulator/aclnn/operation.h"

namespace ascend_emulator {

/// Which scores count, apart from those that an explicit mask takes out. `mode` is CANN's
/// sparseMode.
struct Window {
    Int mode = 0;
    Int before = 0;
    Int after = 0;
};

/// CANN's "pseType": scale * product + bias, or scale * (product + bias). Functions without the
/// parameter compute the latter.
constexpr Int bias_after_scale = 0;
constexpr Int bias_before_scale = 1;

/// The inputs of both passes. Undefined and empty tensors are inputs that were not given.
struct AttentionInputs {
    Tensor query;
    Tensor key;
    Tensor value;
    Tensor bias;       // "pse"; pse_type decides where it is added
    Tensor drop_mask;  // packed bits, 1 keeps
    Tensor mask;       // 1 takes a score out
    Tensor sink;       // [heads], a score without a value
    std::optional<IntList> prefix;
    double scale = 1;
    double keep_probability = 1;
    Window window;
    Int pse_type = bias_before_scale;
    Tensor query_rope = {};  // joined to the query's and the key's last dimension
    Tensor key_rope = {};
};

/// How the heads lie in a tensor.
struct Layout {
    String name;
    Int heads;

    Tensor to_bnsd(const Tensor& x, Int count) const;
    Tensor from_bnsd(const Tensor& x) const;
    Int kv_heads(const Tensor& query, const Tensor& key) const;
    /// The inputs in BNSD.
    AttentionInputs converted(AttentionInputs inputs) const;
};

struct AttentionResult {
    Tensor output;
    Tensor max;  // [batch, heads, queries, 1]
    Tensor sum;
};
struct AttentionGradients {
    Tensor query;
    Tensor key;
    Tensor value;
    Tensor sink;             // undefined without one
    Tensor bias;             // undefined without one
    Tensor query_rope = {};  // undefined without one
    Tensor key_rope = {};
};

/// Rows [begin, end) of a [T, N, D] tensor as [1, N, S, D], and such a result as [S, N, D].
Tensor sequence(const Tensor& x, Int begin, Int end);
Tensor tokens(const Tensor& x);

/// Refuse what is not emulated before anything is computed.
void check_emulated(const AttentionInputs& inputs);

/// A row in which no score counts is 0. Both throw as checks.h describes.
AttentionResult attention(const AttentionInputs& inputs);
AttentionGradients attention_gradients(const AttentionInputs& inputs, const Tensor& grad);

/// The outputs of a gradient; null ones are not wanted.
struct GradientOutputs {
    Out query;
    Out key;
    Out value;
    Out bias = {};
    Out sink = {};
    Out query_rope = {};
    Out key_rope = {};
};

/// How a device stores the maxima and sums of a packed batch, [tokens, heads, 8]: in the order of
/// the tokens, or heads before tokens within each sequence.
enum class StatisticsOrder { tokens, heads };
StatisticsOrder statistics_order(const char* argument, const String& layout);

struct StatisticsOutputs {
    Out max;
    Out sum;
    StatisticsOrder order = StatisticsOrder::heads;
};

/// Sequences of one length, in any layout but TND.
void dense_attention(const Layout& layout, const AttentionInputs& inputs,
                     const StatisticsOutputs& statistics, const Out& out);
void dense_attention_backward(const Layout& layout, const AttentionInputs& inputs, const Tensor& dy,
                              const GradientOutputs& gradients);

/// Sequences that lie one after the other, with their ends as cumulative lengths.
void packed_attention(const AttentionInputs& inputs, const OptionalInts& query_ends,
                      const OptionalInts& key_ends, const StatisticsOutputs& statistics,
                      const Out& out);
void packed_attention_backward(const AttentionInputs& inputs, const OptionalInts& query_ends,
                               const OptionalInts& key_ends, const Tensor& dy,
                               const GradientOutputs& gradients);

}  // namespace ascend_emulator
