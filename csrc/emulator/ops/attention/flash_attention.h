// Attention and its gradient as their plain fp32 formula, on [batch, heads, sequence, head
// dimension].
#pragma once

#include "emulator/aclnn/operation.h"

namespace ascend_emulator {

/// Which scores count, besides those that an explicit mask takes out. `mode` is CANN's sparseMode.
struct Window {
    Int mode = 0;
    Int before = 0;
    Int after = 0;
};

/// CANN's "pseType": scale * product + bias, or scale * (product + bias), as without a type.
constexpr Int kBiasAfterScale = 0;
constexpr Int kBiasBeforeScale = 1;

/// What both passes take. Undefined and empty tensors stand for what is not given.
struct AttentionInputs {
    Tensor query;
    Tensor key;
    Tensor value;
    Tensor bias;       // "pse", added to the scores where pse_type says
    Tensor drop_mask;  // packed bits, 1 keeps
    Tensor mask;       // 1 takes out
    Tensor sink;       // [heads], a score without a value
    std::optional<IntList> prefix;
    double scale = 1;
    double keep_probability = 1;
    Window window;
    Int pse_type = kBiasBeforeScale;
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
    Tensor sink;  // undefined without one
};

/// A row in which nothing counts is 0. Throws std::runtime_error for what is not emulated, and
/// std::invalid_argument for what a device refuses.
AttentionResult attention(const AttentionInputs& inputs);
AttentionGradients attention_gradients(const AttentionInputs& inputs, const Tensor& grad);

}  // namespace ascend_emulator
