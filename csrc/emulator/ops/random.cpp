// Random numbers. The caller passes a Philox seed and offset. A CPU generator that is seeded from
// both gives the same numbers each time, but not a device's.
#include <algorithm>
#include <cstdlib>

#include "emulator/aclnn/operation.h"
#include "emulator/ops/attention/packed_mask.h"
#include "emulator/ops/checks.h"
#include "emulator/ops/seed.h"

using namespace ascend_emulator;

namespace {

void fill_with_normal(const Tensor& self, float mean, float deviation, const Seed& seed) {
    aten("normal_", self, static_cast<double>(mean), static_cast<double>(deviation), seed);
}

void write_dropout_mask(const Ints& shape, double probability, const Seed& seed, const Out& out) {
    Int count = 1;
    for (const Int size : shape) {
        count *= size;
    }
    const Tensor keep = full({count}, Scalar{0.0}, DType::float32);
    aten("bernoulli_.float", keep, 1 - probability, seed);
    out = pack_mask(keep, out.tensor.sizes());
}

}  // namespace

ACLNN(aclnnInplaceNormal, InOut self, float mean, float deviation, Int seed, Int offset) {
    fill_with_normal(self.tensor, mean, deviation, Seed(seed, offset));
}
ACLNN(aclnnInplaceNormalTensor, InOut self, float mean, float deviation, Tensor seed, Tensor offset,
      Int more) {
    fill_with_normal(self.tensor, mean, deviation, seed_in(seed, offset, more));
}
namespace {

/// Draw from the standard normal distribution, in the shape of `like`.
Tensor standard_normal(const Tensor& like, Int seed, Int offset) {
    const Tensor made = full(like.sizes(), Scalar{0.0}, DType::float32);
    aten("normal_", made, 0.0, 1.0, Seed(seed, offset));
    return made;
}

}  // namespace

ACLNN(aclnnNormalFloatFloat, float mean, float deviation, Int seed, Int offset, Out out) {
    out = standard_normal(out.tensor, seed, offset) * deviation + mean;
}
ACLNN(aclnnNormalFloatTensor, float mean, Tensor deviation, Int seed, Int offset, Out out) {
    out = standard_normal(out.tensor, seed, offset) * deviation + mean;
}
ACLNN(aclnnNormalTensorFloat, Tensor mean, float deviation, Int seed, Int offset, Out out) {
    out = standard_normal(out.tensor, seed, offset) * deviation + mean;
}
ACLNN(aclnnNormalTensorTensor, Tensor mean, Tensor deviation, Int seed, Int offset, Out out) {
    out = standard_normal(out.tensor, seed, offset) * deviation + mean;
}
ACLNN(aclnnInplaceUniform, InOut self, double from, double to, UInt seed, UInt offset) {
    aten("uniform_", self.tensor, from, to, Seed(static_cast<Int>(seed), static_cast<Int>(offset)));
}
namespace {

void fill_with_exponential(const InOut& self, double lambda, const Seed& seed) {
    require(lambda > 0, "lambda must be positive, got " + std::to_string(lambda));
    const Tensor made = full(self.tensor.sizes(), Scalar{0.0}, DType::float32);
    aten("exponential_", made, lambda, seed);
    self = made;
}

}  // namespace

ACLNN_CHECKED(aclnnSimThreadExponential, InOut self, Int count, double lambda, Int seed,
              Int offset) {
    require(count == self.tensor.numel(), "count must be the number of elements, " +
                                              std::to_string(self.tensor.numel()) + ", got " +
                                              std::to_string(count));
    fill_with_exponential(self, lambda, Seed(seed, offset));
}
ACLNN(aclnnStatelessExponentialTensor, InOut self, Tensor seed, Tensor offset, Int more,
      double lambda) {
    fill_with_exponential(self, lambda, seed_in(seed, offset, more));
}
ACLNN(aclnnInplaceUniformTensor, InOut self, double from, double to, Tensor seed, Tensor offset,
      UInt more) {
    aten("uniform_", self.tensor, from, to, seed_in(seed, offset, static_cast<Int>(more)));
}
namespace {

/// Draw integers from `from` to `to - 1`. Half precision would round the largest ones up to `to`,
/// so that the bound is the largest integer below `to` that the dtype represents.
void fill_with_integers_below(const Tensor& self, Int from, Int to, const Seed& seed) {
    const bool is_half = self.dtype() == DType::float16 || self.dtype() == DType::bfloat16;
    if (is_half && to > from + 1) {
        const Int digits = self.dtype() == DType::float16 ? 11 : 8;
        Int spacing = 1;
        while (std::abs(to - 1) / spacing >= Int{1} << digits) {
            spacing *= 2;
        }
        const Int over = ((to - 1) % spacing + spacing) % spacing;
        to = std::max(from + 1, to - over);
    }
    aten("random_.from", self, from, to, seed);
}

}  // namespace

ACLNN(aclnnInplaceRandom, InOut self, Int from, Int to, Int seed, Int offset) {
    fill_with_integers_below(self.tensor, from, to, Seed(seed, offset));
}
ACLNN(aclnnInplaceRandomTensor, InOut self, Int from, Int to, Tensor seed, Tensor offset,
      Int more) {
    fill_with_integers_below(self.tensor, from, to, seed_in(seed, offset, more));
}
namespace {

/// Draw from 0 to the largest integer that the dtype represents with all smaller ones.
void fill_with_integers(const Tensor& self, const Seed& seed) {
    if (self.dtype() == DType::float16 || self.dtype() == DType::bfloat16) {
        const Int largest = self.dtype() == DType::float16 ? 1 << 11 : 1 << 8;
        aten("random_.from", self, 0, largest + 1, seed);
    } else {
        aten("random_", self, seed);
    }
}

}  // namespace

ACLNN(aclnnInplaceRandomWithoutFromTo, InOut self, Int seed, Int offset) {
    fill_with_integers(self.tensor, Seed(seed, offset));
}
ACLNN(aclnnInplaceRandomWithoutFromToTensor, InOut self, Tensor seed, Tensor offset, Int more) {
    fill_with_integers(self.tensor, seed_in(seed, offset, more));
}
ACLNN(aclnnInplaceBernoulli, InOut self, Scalar probability, Int seed, Int offset) {
    aten("bernoulli_.float", self.tensor, probability.to_double(), Seed(seed, offset));
}
ACLNN(aclnnInplaceBernoulliTensor, InOut self, Tensor probability, Int seed, Int offset) {
    aten("bernoulli_.Tensor", self.tensor, probability, Seed(seed, offset));
}
ACLNN(aclnnRandperm, Int count, Int seed, Int offset, Out out) {
    out = aten("randperm.generator", count, Seed(seed, offset));
}
ACLNN(aclnnMultinomial, Tensor self, Int count, bool replacement, Int seed, Int offset, Out out) {
    out = aten("multinomial", self, count, replacement, Seed(seed, offset));
}
ACLNN(aclnnMultinomialTensor, Tensor self, Int count, bool replacement, Tensor seed, Tensor offset,
      Int more, Out out) {
    out = aten("multinomial", self, count, replacement, seed_in(seed, offset, more));
}
ACLNN(aclnnDropoutGenMaskV2, Ints shape, double probability, Int seed, Int offset, Unused<DType>,
      Out out) {
    write_dropout_mask(shape, probability, Seed(seed, offset), out);
}
ACLNN(aclnnDropoutGenMaskV2Tensor, Ints shape, double probability, Tensor seed, Tensor offset,
      Int more, Unused<DType>, Out out) {
    write_dropout_mask(shape, probability, seed_in(seed, offset, more), out);
}
ACLNN(aclnnDropoutDoMask, Tensor self, Tensor mask, double probability, Out out) {
    out =
        probability >= 1 ? self * 0.0 : self * unpack_mask(mask, self.sizes()) / (1 - probability);
}

namespace ascend_emulator {

Tensor pack_mask(const Tensor& keep, const IntList& sizes) {
    const Tensor packed = full(sizes, Scalar{std::int64_t{0}}, DType::uint8);
    const auto* flags = static_cast<const float*>(keep.data());
    auto* bytes = static_cast<std::uint8_t*>(packed.data());
    for (Int i = 0; i < keep.numel(); ++i) {
        bytes[i / 8] |= static_cast<std::uint8_t>((flags[i] != 0 ? 1 : 0) << (i % 8));
    }
    return packed;
}

Tensor unpack_mask(const Tensor& mask, const IntList& sizes) {
    const Tensor keep = full(sizes, Scalar{0.0}, DType::float32);
    const Tensor packed = mask.contiguous();
    const auto* bytes = static_cast<const std::uint8_t*>(packed.data());
    auto* flags = static_cast<float*>(keep.data());
    for (Int i = 0; i < keep.numel(); ++i) {
        flags[i] = static_cast<float>(bytes[i / 8] >> (i % 8) & 1);
    }
    return keep;
}

}  // namespace ascend_emulator
