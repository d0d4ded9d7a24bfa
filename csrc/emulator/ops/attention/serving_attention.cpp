// The arithmetic of serving attention; its aclnn functions are in serving_functions.cpp.
#include "emulator/ops/attention/serving_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "emulator/ops/attention/serving_operands.h"
#include "emulator/ops/checks.h"

namespace ascend_emulator {

namespace {

constexpr double minus_infinity = -std::numeric_limits<double>::infinity();

/// The first query, the queries and the keys of each sequence.
struct Sequence {
    Int begin;
    Int queries;
    Int keys;
};

std::vector<Sequence> sequences_of(const ServingAttention& a, const Rows& query, const Cache& key) {
    const bool ragged = a.layout == "TND";
    const bool has_lengths =
        !a.query_lengths.empty() && !(a.needs_no_length_of_one && query.length == 1);
    const Int count = ragged ? static_cast<Int>(a.query_lengths.size()) : query.sequences;
    require(!ragged || (key.paged() && count > 0 && a.query_lengths.back() == query.length),
            "layout TND must come with a block table and with query lengths that end at T, " +
                std::to_string(query.length));
    require(!key.paged() || static_cast<Int>(a.key_lengths.size()) == count,
            "a block table must come with one length of keys per sequence, " +
                std::to_string(count) + ", got " + std::to_string(a.key_lengths.size()));
    std::vector<Sequence> all;
    Int begin = 0;
    for (Int i = 0; i < count; ++i) {
        Sequence one{0, query.length, key.capacity()};
        if (ragged) {
            one = {begin, a.query_lengths[as_index(i)] - begin, 0};
            begin = a.query_lengths[as_index(i)];
        } else if (has_lengths) {
            one.queries = a.query_lengths[as_index(a.query_lengths.size() == 1 ? 0 : i)];
        }
        if (!a.key_lengths.empty()) {
            one.keys = a.key_lengths[as_index(a.key_lengths.size() == 1 ? 0 : i)];
        }
        require(one.queries >= 0 && one.begin + one.queries <= query.length && one.keys >= 0 &&
                    one.keys <= key.capacity(),
                "lengths must fit query and key, got " + std::to_string(one.queries) +
                    " queries and " + std::to_string(one.keys) + " keys for sequence " +
                    std::to_string(i));
        all.push_back(one);
    }
    return all;
}

/// The softmax of one query over its keys, rescaled by every new maximum.
struct Softmax {
    explicit Softmax(Int size) : sum(as_index(size), 0.0) {}
    void add(double score, const float* value) {
        if (score == minus_infinity) {
            return;
        }
        seen = true;
        const double larger = score > max ? score : max;
        const double shrink = max == minus_infinity ? 0 : std::exp(max - larger);
        const double weight = std::exp(score - larger);
        for (std::size_t d = 0; d < sum.size(); ++d) {
            sum[d] = sum[d] * shrink + weight * value[d];
        }
        total = total * shrink + weight;
        max = larger;
    }
    std::vector<double> sum;
    double total = 0;
    double max = minus_infinity;
    bool seen = false;  // whether a key is not masked out, even if its score is NaN
};

double dot(const float* a, const float* b, Int size) {
    double sum = 0;
    for (Int i = 0; i < size; ++i) {
        sum += static_cast<double>(a[i]) * b[i];
    }
    return sum;
}

class Computation {
  public:
    explicit Computation(const ServingAttention& attention)
        : a_(attention),
          q_(rows_of("query", a_.query, a_.layout, a_.heads)),
          k_("key", a_, a_.key),
          v_("value", a_, a_.value),
          bias_(Plane::of_bias(a_, q_.sequences, q_.length, k_.capacity())),
          results_(as_index(a_.query.numel()), 0.0F),
          logarithms_(as_index(q_.sequences * q_.length * a_.heads), INFINITY) {
        require(a_.key.sizes() == a_.value.sizes(), "key and value must have one shape");
        require(k_.size() == q_.size && q_.size <= 512,
                "query and key must have one head_dim of at most 512, got " +
                    std::to_string(q_.size) + " and " + std::to_string(k_.size()));
        require(a_.query_rope.defined() == a_.key_rope.defined(),
                "queryRope and keyRope must be given together");
        if (a_.query_rope.defined()) {
            q_rope_ = rows_of("queryRope", a_.query_rope, a_.layout, a_.heads);
            k_rope_.emplace("keyRope", a_, a_.key_rope);
            require(
                k_rope_->size() == q_rope_.size && q_rope_.length == q_.length &&
                    k_rope_->capacity() == k_.capacity(),
                "queryRope and keyRope must have one head_dim, and the tokens of query and key");
        }
        require(a_.sparse_mode != 1 || a_.mask.defined(),
                "attenMask must be given in sparse mode 1");
        if (a_.sparse_mode <= 1) {
            mask_ = Plane::of_mask(a_.mask, q_.sequences, q_.length, k_.capacity());
        } else {
            check_compressed(a_.mask);
        }
    }

    void run() {
        const std::vector<Sequence> all = sequences_of(a_, q_, k_);
        for (Int b = 0; b < static_cast<Int>(all.size()); ++b) {
            for (Int n = 0; n < a_.heads; ++n) {
                for (Int i = 0; i < all[as_index(b)].queries; ++i) {
                    attend(b, n, i, all[as_index(b)]);
                }
            }
        }
    }

    void write(const Out& out, const Out& lse) {
        const auto count = static_cast<Int>(results_.size());
        out = tensor_at(results_.data(), {count}, {1}, DType::float32).reshape(a_.query.sizes());
        if (lse.defined() && lse.tensor.numel() != 0) {
            const auto rows = static_cast<Int>(logarithms_.size());
            require(lse.tensor.numel() == rows && lse.tensor.dtype() == DType::float32,
                    "softmaxLse must be float32 with one value per head and query, " +
                        std::to_string(rows));
            lse = tensor_at(logarithms_.data(), {rows}, {1}, DType::float32)
                      .reshape(lse.tensor.sizes());
        }
    }

  private:
    struct Keys {
        Int first;
        Int end;
    };
    /// The keys that query i may see, apart from the mask. In modes 0 and 2 the first query stands
    /// at the first key, in modes 3 and 4 the last query at the last key. Without a mask, mode 0
    /// ignores the window.
    Keys visible(Int i, const Sequence& one) const {
        const bool is_causal = a_.sparse_mode == 2 || a_.sparse_mode == 3;
        const bool has_window = a_.sparse_mode == 4 || (a_.sparse_mode == 0 && mask_.given());
        const Int place = a_.sparse_mode >= 3 ? i + one.keys - one.queries : i;
        if (is_causal) {
            return {0, std::min(one.keys, place + 1)};
        }
        return has_window ? Keys{std::max<Int>(0, place - a_.before),
                                 std::min(one.keys, place + a_.after + 1)}
                          : Keys{0, one.keys};
    }

    double score(Int b, Int n, Int position, Int group, Int j) const {
        const Int sequence = a_.layout == "TND" ? 0 : b;
        const double sum = dot(q_.row(sequence, n, position), k_.row(b, group, j), q_.size) +
                           (k_rope_ ? dot(q_rope_.row(sequence, n, position),
                                          k_rope_->row(b, group, j), q_rope_.size)
                                    : 0.0);
        return sum * a_.scale;
    }

    void attend(Int b, Int n, Int i, const Sequence& one) {
        const bool ragged = a_.layout == "TND";
        const float* query = q_.row(ragged ? 0 : b, n, one.begin + i);
        const Int group = n / (a_.heads / a_.key_heads);
        Softmax softmax(q_.size);
        const Keys seen = visible(i, one);
        for (Int j = seen.first; j < seen.end; ++j) {
            if (!mask_.given() || mask_.get(b, 0, i, j) == 0) {
                const double added = bias_.given() ? bias_.get(b, n, i, j) : 0.0;
                softmax.add(score(b, n, one.begin + i, group, j) + added, v_.row(b, group, j));
            }
        }
        if (!softmax.seen) {
            require(a_.corrects_masked_rows || one.keys == 0,
                    "attenMask must leave every query a key, got none for query " +
                        std::to_string(i) + " of sequence " + std::to_string(b));
            return;  // 0, and infinity for the logarithm
        }
        const Int first = static_cast<Int>(query - static_cast<const float*>(q_.values.data()));
        for (Int d = 0; d < q_.size; ++d) {
            results_[as_index(first + d)] =
                static_cast<float>(softmax.sum[as_index(d)] / softmax.total);
        }
        const Int place =
            ragged ? (one.begin + i) * a_.heads + n : (b * a_.heads + n) * q_.length + i;
        logarithms_[as_index(place)] = static_cast<float>(softmax.max + std::log(softmax.total));
    }

    const ServingAttention& a_;
    Rows q_;
    Cache k_;
    Cache v_;
    Rows q_rope_;
    std::optional<Cache> k_rope_;
    Plane bias_;
    Plane mask_;
    std::vector<float> results_;
    std::vector<float> logarithms_;
};

}  // namespace

void ServingAttention::run(const Out& out, const Out& lse) const {
    require(heads > 0 && key_heads > 0 && heads % key_heads == 0 && heads / key_heads <= 64 &&
                heads <= 256,
            "numHeads must be at most 256, and a multiple of numKeyValueHeads by at most 64, got " +
                std::to_string(heads) + " and " + std::to_string(key_heads));
    if (sparse_mode < 0 || sparse_mode > 4) {
        not_emulated("sparseMode " + std::to_string(sparse_mode));
    }
    require(out.tensor.sizes() == query.sizes(), "attentionOut must have the shape of query");
    Computation computation(*this);
    computation.run();
    computation.write(out, lse);
}

}  // namespace ascend_emulator
