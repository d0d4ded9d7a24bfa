// The operands of attention for serving: where their elements lie.
#pragma once

#include "emulator/ops/attention/serving_attention.h"

namespace ascend_emulator {

inline std::size_t at(Int index) { return static_cast<std::size_t>(index); }

/// Elements of a tensor in fp32, and how far apart its sequences, heads and positions are.
struct Rows {
    Tensor values;
    Int sequence_stride = 0;
    Int head_stride = 0;
    Int row_stride = 0;
    Int sequences = 0;
    Int heads = 0;
    Int length = 0;  // positions of a sequence, or of all of them in layout TND
    Int size = 0;    // of a head

    const float* row(Int sequence, Int head, Int position) const {
        return static_cast<const float*>(values.data()) + sequence * sequence_stride +
               head * head_stride + position * row_stride;
    }
};

Rows rows_of(const char* name, const Tensor& x, const String& layout, Int heads);

/// Keys or values, straight or through the block table.
class Cache {
  public:
    Cache(const char* name, const ServingAttention& a, const Tensor& x);
    const float* row(Int sequence, Int head, Int position) const;
    /// How many positions a sequence can have.
    Int capacity() const { return paged_ ? columns_ * rows_.length : rows_.length; }
    bool paged() const { return paged_; }
    Int size() const { return rows_.size; }

  private:
    bool paged_;
    Rows rows_;
    IntList blocks_;
    Int columns_ = 0;
};

/// Element [sequence][head][query][key] of a tensor that has 1 where it is repeated.
class Plane {
  public:
    /// The mask: (Q, K), (B, Q, K), (1, Q, K), (B, 1, Q, K) or (1, 1, Q, K); of one query (B, K).
    static Plane of_mask(const Tensor& mask, Int sequences, Int queries, Int keys);
    static Plane of_bias(const ServingAttention& a, Int sequences, Int queries, Int keys);
    bool given() const { return values_.defined(); }
    float get(Int sequence, Int head, Int query, Int key) const;

  private:
    Tensor values_;
    IntList sizes_;
};

/// Sparse modes 2 and 3 come with one mask for all lengths, which has to be the one they mean.
void check_compressed(const Tensor& mask);

}  // namespace ascend_emulator
