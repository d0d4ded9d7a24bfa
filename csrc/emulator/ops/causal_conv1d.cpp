// A causal convolution of three taps along sequences that go on from cached tokens, in fp32.
#include "emulator/ops/checks.h"
#include "emulator/ops/rows.h"
#include "emulator/ops/slices.h"

using namespace ascend_emulator;

namespace {

constexpr Int conv_taps = 3;
constexpr Int conv_history =
    conv_taps - 1;  // the tokens before a sequence that its first result needs

enum ConvMode : Int { go_on = 0, reset_first_tokens = 1 };

struct CausalConvInputs {
    Tensor x;              // [tokens, dim], or [batch, tokens, dim]
    Tensor weight;         // [3, dim]
    Tensor states;         // [lines, tokens of a line, dim], the last tokens of each sequence
    Tensor starts;         // of the sequences in x, and the end of the last one
    Tensor lines;          // of the states: [batch], or [batch, blocks] if prefixes are cached
    Tensor accepted;       // speculated tokens of the call before that were right
    Tensor computed;       // tokens of each sequence that came before
    Tensor first_block;    // of x in each sequence; undefined if prefixes are not cached
    Tensor last_block;     // the same
    Tensor initial_block;  // the one whose line a sequence goes on from
    Int pad_slot;
    bool adds_x;
    Int block_size;
    Int mode;

    bool caches_prefixes() const { return last_block.defined(); }
    Int batch() const { return starts.defined() ? starts.numel() - 1 : x.size(0); }

    void check() const {
        require(x.dim() == 2 || x.dim() == 3,
                "x must have 2 or 3 dimensions, got " + std::to_string(x.dim()));
        require(x.dtype() == DType::float16 || x.dtype() == DType::bfloat16,
                std::string("x must be float16 or bfloat16, got ") + name_of(x.dtype()));
        require(weight.dtype() == x.dtype() && states.dtype() == x.dtype(),
                "weight and convStates must have the dtype of x");
        const Int dim = x.size(-1);
        require(dim >= 64 && dim <= 16384 && dim % 16 == 0,
                "x must have 64 to 16384 channels, a multiple of 16, got " + std::to_string(dim));
        require(weight.sizes() == IntList{conv_taps, dim},
                "weight must be [3, " + std::to_string(dim) + "]");
        require(states.dim() == 3 && states.size(1) >= conv_history && states.size(2) == dim,
                "convStates must be [lines, at least 2, " + std::to_string(dim) + "]");
        require(mode == go_on || mode == reset_first_tokens,
                "convMode must be 0 or 1, got " + std::to_string(mode));
        require(mode == go_on || computed.defined(),
                "numComputedTokens is required with convMode 1");
        check_indices();
    }

  private:
    void check_indices() const {
        require(x.dim() == 3 || starts.defined(),
                "queryStartLoc is required if x is [tokens, dim]");
        const bool given = caches_prefixes();
        require(first_block.defined() == given && initial_block.defined() == given,
                "blockIdxFirstScheduledToken, blockIdxLastScheduledToken and initialStateIdx must "
                "be given together");
        require(!given || (computed.defined() && lines.defined() && lines.dim() == 2),
                "numComputedTokens and cacheIndices of 2 dimensions are required with "
                "blockIdxLastScheduledToken");
        require(given || !lines.defined() || lines.dim() == 1,
                "cacheIndices must have 1 dimension without blockIdxLastScheduledToken");
        require(!given || block_size >= 2,
                "blockSize must be at least 2, got " + std::to_string(block_size));
        check_integers("queryStartLoc", starts, batch() + 1);
        check_integers("cacheIndices", lines, given ? lines.numel() : batch());
        require(!given || lines.size(0) == batch(), "cacheIndices must have one row per sequence");
        check_integers("numAcceptedTokens", accepted, batch());
        check_integers("numComputedTokens", computed, batch());
        check_integers("blockIdxFirstScheduledToken", first_block, batch());
        check_integers("blockIdxLastScheduledToken", last_block, batch());
        check_integers("initialStateIdx", initial_block, batch());
    }
    static void check_integers(const char* name, const Tensor& values, Int count) {
        require(!values.defined() || (values.dtype() == DType::int32 && values.numel() == count),
                std::string(name) + " must be int32 with " + std::to_string(count) + " elements");
    }
};

IntList given_integers(const Tensor& x) { return x.defined() ? integers_of(x) : IntList(); }

/// The remainder that is not negative.
Int modulo(Int a, Int b) { return (a % b + b) % b; }

class CausalConv {
  public:
    explicit CausalConv(const CausalConvInputs& inputs)
        : in_(inputs),
          flat_(in_.x.reshape({-1, in_.x.size(-1)})),
          starts_(given_integers(in_.starts)),
          lines_(given_integers(in_.lines)),
          accepted_(given_integers(in_.accepted)),
          computed_(given_integers(in_.computed)),
          first_block_(given_integers(in_.first_block)),
          last_block_(given_integers(in_.last_block)),
          initial_block_(given_integers(in_.initial_block)) {}

    /// Write the results; those of sequences that are left out keep what `y` holds.
    void run(const Out& y) const {
        const Tensor results = aten("clone", y.tensor.to_float().reshape(flat_.sizes()));
        for (Int b = 0; b < in_.batch(); ++b) {
            run_sequence(b, results);
        }
        y = results.reshape(y.tensor.sizes());
    }

  private:
    static Int checked(const char* name, Int value, Int low, Int high) {
        require(value >= low && value <= high,
                std::string(name) + " must be " + std::to_string(low) + " to " +
                    std::to_string(high) + ", got " + std::to_string(value));
        return value;
    }
    /// A line of the states: of a block if prefixes are cached.
    Int line(Int b, Int block) const {
        if (!in_.caches_prefixes()) {
            return lines_.empty() ? b : lines_[as_index(b)];
        }
        const Int blocks = in_.lines.size(1);
        return lines_[as_index(b * blocks + checked("initialStateIdx and the scheduled blocks",
                                                    block, 0, blocks - 1))];
    }
    Tensor state(Int index) const {
        checked("cacheIndices", index, 0, in_.states.size(0) - 1);
        return aten("select.int", in_.states, 0, index);
    }
    /// The cached tokens before those that the call before speculated wrongly.
    Int tokens_before(Int b, Int tokens) const {
        if (!computed_.empty() && computed_[as_index(b)] == 0) {
            return conv_history;
        }
        const Int length = in_.states.size(1);
        return accepted_.empty() ? length
                                 : checked("numAcceptedTokens", accepted_[as_index(b)], 1,
                                           std::min(tokens, length - conv_history + 1)) -
                                       1 + conv_history;
    }

    void run_sequence(Int b, const Tensor& results) const {
        const Int per_row = in_.x.dim() == 3 ? in_.x.size(1) : 0;
        const Int begin = starts_.empty() ? b * per_row : starts_[as_index(b)];
        const Int end = starts_.empty() ? begin + per_row : starts_[as_index(b + 1)];
        require(begin >= 0 && begin <= end && end <= flat_.size(0),
                "queryStartLoc must ascend from 0 to " + std::to_string(flat_.size(0)));
        const Int read = line(b, in_.caches_prefixes() ? initial_block_[as_index(b)] : Int{0});
        if (read == in_.pad_slot) {
            return;
        }
        const Tensor own = rows(flat_, begin, end);
        const bool is_new = !computed_.empty() && computed_[as_index(b)] == 0;
        const Int before = tokens_before(b, end - begin);
        const Tensor cached =
            is_new ? full({conv_history, own.size(1)}, Scalar{0.0}, own.dtype()) : state(read);
        const Tensor joined = aten("cat", TensorList{rows(cached, 0, before), own}, 0);
        const Int last = in_.caches_prefixes() ? last_block_[as_index(b)] : Int{0};
        keep_last(state(line(b, last)), joined);
        const Tensor padded = rows(joined, before - conv_history, joined.size(0));
        keep_prefixes(b, end - begin, padded);
        assign(rows(results, begin, end), convolved(b, padded, own));
    }
    static void keep_last(const Tensor& to, const Tensor& tokens) {
        const Int count = std::min(to.size(0), tokens.size(0));
        assign(rows(to, to.size(0) - count, to.size(0)),
               rows(tokens, tokens.size(0) - count, tokens.size(0)));
    }
    /// Each block that is full now keeps the tokens before its end.
    void keep_prefixes(Int b, Int tokens, const Tensor& padded) const {
        if (!in_.caches_prefixes()) {
            return;
        }
        const Int size = in_.block_size;
        const Int first = first_block_[as_index(b)];
        const Int count = last_block_[as_index(b)] - first;
        const Int to_first_end = size - computed_[as_index(b)] % size;
        const Int rest = modulo(tokens - to_first_end, size);
        const Int last_end = rest == 0 ? tokens - size : tokens - rest;
        for (Int i = 0; i < count; ++i) {
            const Int end = checked("blockIdxLastScheduledToken: the end of a full block",
                                    last_end - (count - i - 1) * size, 1, tokens);
            keep_last(state(line(b, first + i)), rows(padded, end, end + conv_history));
        }
    }
    Tensor convolved(Int b, const Tensor& padded, const Tensor& own) const {
        const Int tokens = own.size(0);
        Tensor sum = full(own.sizes(), Scalar{0.0}, DType::float32);
        for (Int k = 0; k < conv_taps; ++k) {
            sum = sum + rows(padded, k, k + tokens).to_float() *
                            aten("select.int", in_.weight, 0, k).to_float();
        }
        if (in_.mode == reset_first_tokens) {
            const Int reset = std::max<Int>(conv_history - computed_[as_index(b)], 0);
            aten("zero_", rows(sum, 0, std::min(reset, tokens)));
        }
        return in_.adds_x ? sum + own.to_float() : sum;
    }

    const CausalConvInputs& in_;
    Tensor flat_;
    IntList starts_;
    IntList lines_;
    IntList accepted_;
    IntList computed_;
    IntList first_block_;
    IntList last_block_;
    IntList initial_block_;
};

void causal_conv(const CausalConvInputs& inputs, Int residual, const Out& y) {
    require_ascend950();
    require(residual == 0 || residual == 1,
            "residualConnection must be 0 or 1, got " + std::to_string(residual));
    inputs.check();
    require(y.tensor.sizes() == inputs.x.sizes() && y.tensor.dtype() == inputs.x.dtype(),
            "y must have the shape and the dtype of x");
    CausalConv(inputs).run(y);
}

}  // namespace

// CANN documents that initialStateMode, bias, activationMode and runMode have no effect;
// maxQueryLen decides how the work is divided.
#define CAUSAL_CONV_TENSORS                                                                        \
    Tensor weight, InOut convStates, Optional<Tensor> queryStartLoc,                               \
        Optional<Tensor> cacheIndices, Unused<Tensor>, Unused<Tensor>,                             \
        Optional<Tensor> numAcceptedTokens, Optional<Tensor> numComputedTokens,                    \
        Optional<Tensor> blockIdxFirstScheduledToken, Optional<Tensor> blockIdxLastScheduledToken, \
        Optional<Tensor> initialStateIdx
#define CAUSAL_CONV_NUMBERS                                                                      \
    Unused<Int>, Int padSlotId, Unused<Int>, Unused<Int>, Int residualConnection, Int blockSize, \
        Int convMode
#define CAUSAL_CONV_INPUTS(X)     \
    {X,                           \
     weight,                      \
     convStates.tensor,           \
     queryStartLoc,               \
     cacheIndices,                \
     numAcceptedTokens,           \
     numComputedTokens,           \
     blockIdxFirstScheduledToken, \
     blockIdxLastScheduledToken,  \
     initialStateIdx,             \
     padSlotId,                   \
     residualConnection == 1,     \
     blockSize,                   \
     convMode}

ACLNN_CHECKED(aclnnFusedCausalConv1d, Tensor x, CAUSAL_CONV_TENSORS, CAUSAL_CONV_NUMBERS, Out y) {
    causal_conv(CAUSAL_CONV_INPUTS(x), residualConnection, y);
}
ACLNN_CHECKED(aclnnInplaceFusedCausalConv1d, InOut x, CAUSAL_CONV_TENSORS, CAUSAL_CONV_NUMBERS) {
    causal_conv(CAUSAL_CONV_INPUTS(x.tensor), residualConnection, x);
}
