// Sampling of the next token: the k most probable, those with a probability of p together, those
// not much less probable than the best, and a draw.
#include <cmath>
#include <limits>

#include "emulator/ops/checks.h"
#include "emulator/ops/rows.h"

using namespace ascend_emulator;

namespace {

std::vector<double> numbers_of(const Tensor& x) {
    const Tensor wide = x.to(DType::float64).contiguous();
    const auto* first = static_cast<const double*>(wide.data());
    return {first, first + wide.numel()};
}

struct Candidates {
    IntList tokens;
    std::vector<double> probabilities;

    void keep(Int count) {
        tokens.resize(as_index(count));
        probabilities.resize(as_index(count));
    }
};

void make_probabilities(std::vector<double>& x) {
    const double largest = *std::max_element(x.begin(), x.end());
    double sum = 0;
    for (double& value : x) {
        sum += value = std::exp(value - largest);
    }
    for (double& value : x) {
        value /= sum;
    }
}

struct Sampler {
    Tensor logits;
    Tensor top_k;
    Tensor top_p;
    Tensor min_ps;  // or undefined
    Int k_max = 1024;
    bool are_logits = true;  // and not probabilities

    Int vocabulary() const { return logits.size(1); }

    /// The tokens of a row that remain, the most probable first if any filter is on.
    Candidates of_row(const double* row, Int k, double p, double min_p) const {
        const bool by_k = k >= 1 && k <= std::min(k_max, vocabulary());
        const bool by_p = p < 1;
        Candidates found;
        found.tokens.resize(as_index(vocabulary()));
        std::iota(found.tokens.begin(), found.tokens.end(), Int{0});
        if (by_k || by_p || min_p >= 1) {
            std::stable_sort(found.tokens.begin(), found.tokens.end(),
                             [row](Int a, Int b) { return row[a] > row[b]; });
        }
        if (by_k) {
            found.tokens.resize(as_index(k));
        }
        for (const Int token : found.tokens) {
            found.probabilities.push_back(row[token]);
        }
        if (are_logits) {
            make_probabilities(found.probabilities);
        }
        if (by_p) {
            found.keep(within(found.probabilities, p));
            if (p <= 0 && are_logits) {
                found.probabilities[0] = 1;
            }
        }
        filter(&found, min_p);
        return found;
    }

  private:
    /// How many of the probabilities come before their sum reaches p; at least one.
    static Int within(const std::vector<double>& probabilities, double p) {
        double sum = 0;
        Int count = 0;
        for (const double value : probabilities) {
            if (count > 0 && sum >= p) {
                break;
            }
            sum += value;
            ++count;
        }
        return count;
    }
    /// Drop what is less probable than min_p times the best.
    static void filter(Candidates* found, double min_p) {
        if (min_p >= 1) {
            found->keep(1);
        } else if (min_p > 0) {
            const double limit =
                min_p * *std::max_element(found->probabilities.begin(), found->probabilities.end());
            Candidates kept;
            for (std::size_t i = 0; i < found->tokens.size(); ++i) {
                if (found->probabilities[i] >= limit) {
                    kept.tokens.push_back(found->tokens[i]);
                    kept.probabilities.push_back(found->probabilities[i]);
                }
            }
            *found = kept;
        }
    }
};

/// Where the outputs of a call go; undefined ones are not wanted.
struct Samples {
    Out chosen;
    Out logits;         // of the candidates; others are -infinity, or 0 for probabilities
    Out tokens;         // of the candidates
    Out probabilities;  // of the candidates
};

void sample(const Sampler& sampler, const Tensor& q, double eps, const Samples& outputs) {
    const Int rows = sampler.logits.size(0);
    const Int width = sampler.vocabulary();
    const std::vector<double> logits = numbers_of(sampler.logits);
    const IntList ks = integers_of(sampler.top_k);
    const std::vector<double> ps = numbers_of(sampler.top_p);
    const std::vector<double> min_ps = sampler.min_ps.defined()
                                           ? numbers_of(sampler.min_ps)
                                           : std::vector<double>(as_index(rows), -1);
    const std::vector<double> draws = q.defined() ? numbers_of(q) : std::vector<double>();
    const double nothing = sampler.are_logits ? -std::numeric_limits<double>::infinity() : 0;
    const Tensor kept = full({rows, width}, Scalar{nothing}, DType::float32);
    const Tensor values = full({rows, width}, Scalar{0.0}, DType::float32);
    IntList chosen;
    IntList tokens(as_index(rows * width), 0);
    for (Int row = 0; row < rows; ++row) {
        const double* own = &logits[as_index(row * width)];
        const Candidates found =
            sampler.of_row(own, ks[as_index(row)], ps[as_index(row)], min_ps[as_index(row)]);
        std::size_t best = 0;
        double largest = -1;
        for (std::size_t i = 0; i < found.tokens.size(); ++i) {
            const Int place = row * width + static_cast<Int>(i);
            const double score =
                q.defined() ? found.probabilities[i] / (std::abs(draws[as_index(place)]) + eps)
                            : found.probabilities[i];
            best = score > largest ? i : best;
            largest = std::max(score, largest);
            static_cast<float*>(kept.data())[row * width + found.tokens[i]] =
                static_cast<float>(own[found.tokens[i]]);
            static_cast<float*>(values.data())[place] = static_cast<float>(found.probabilities[i]);
            tokens[as_index(place)] = found.tokens[i];
        }
        chosen.push_back(found.tokens[best]);
    }
    outputs.chosen = integer_tensor(chosen);
    outputs.logits = kept;
    outputs.tokens = integer_tensor(tokens).reshape({rows, width});
    outputs.probabilities = values;
}

}  // namespace

// topKGuess is a hint about where top-p ends.
ACLNN(aclnnTopKTopPSample, Tensor logits, Tensor topK, Tensor topP, Optional<Tensor> q, double eps,
      bool isNeedLogits, Unused<Int>, Out logitsSelectIdx, Optional<Out> logitsTopKPSelect) {
    sample({logits, topK, topP, {}}, q, eps,
           {logitsSelectIdx, isNeedLogits ? logitsTopKPSelect : Out(), {}, {}});
}
ACLNN(aclnnTopKTopPSampleV2, Tensor logits, Tensor topK, Tensor topP, Optional<Tensor> q,
      Optional<Tensor> minPs, double eps, bool isNeedLogits, Unused<Int>, Int ksMax,
      bool inputIsLogits, bool isNeedSampleResult, Out logitsSelectIdx,
      Optional<Out> logitsTopKPSelect, Optional<Out> logitsIdx, Optional<Out> logitsSortMasked) {
    const Int k_max = std::min((ksMax + 7) / 8 * 8, Int{1024});
    sample({logits, topK, topP, minPs, k_max, inputIsLogits}, q, eps,
           {isNeedSampleResult ? Out() : logitsSelectIdx, isNeedLogits ? logitsTopKPSelect : Out(),
            isNeedSampleResult ? logitsIdx : Out(), isNeedSampleResult ? logitsSortMasked : Out()});
}
