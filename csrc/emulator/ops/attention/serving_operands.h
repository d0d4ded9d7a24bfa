// The operands of serving attention: where their elements lie.
#pragma once

#include "emulator/ops/attention/serving_attention.h"

namespace ascend_emulator {

/// The elements of a tensor in fp32, and the strides of its sequences, heads and positions.
struct Rows {
    Tensor values;
    Int sequence_stride = 0;
    Int head_stride = 0;
    Int row_stride = 0;
    Int sequences = 0;
    Int heads = 0;
    Int length = 0;  // positions of a sequence, or of all sequences in layout TND
    Int size = 0;    // head_dim

    const float* row(Int sequence, Int head, Int position) const {
        return static_cast<const float*>(values.data()) + sequence * sequence_stride +
               head * head_stride + position * row_stride;
    }
};

Rows rows_of(const char* name, const Tensor& x, const String& layout, Int heads);

/// Keys or values, addressed directly or through the block table.
class Cache {
  public:
    Cache(const char* name, const ServingAttention& a, const Tensor& x);
    const float* row(Int sequence, Int head, Int position) const;
    /// The largest number of positions of a sequence.
    Int capacity() const { return paged_ ? columns_ * rows_.length : rows_.length; }
    bool paged() const { return paged_; }
    Int size() const { return rows_.size; }

  private:
    bool paged_;
    Rows rows_;
    IntList blocks_;
    Int columns_ = 0;
};

/// A tensor addressed as [sequence][head][query][key]; dimensions of size 1 are broadcast.
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

/// Check the mask of sparse modes 2 to 4, which is the same for all lengths.
void check_compressed(const Tensor& mask);

}  // namespace ascend_emulator
