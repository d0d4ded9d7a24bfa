// Stochastic rounding: the published numbers of its generator, equal bits for any split, no bias,
// and no effect on fp32 and fp16.
#include "cpu/threefry.h"

#include <algorithm>
#include <utility>

#include "adam_fixture.h"

namespace adam_test {
namespace {

TEST(threefry_gives_the_published_numbers) {
    // Random123 1.14, kat_vectors, "threefry2x32 13"
    const struct {
        std::uint32_t counter[2], key[2], wanted[2];
    } cases[] = {
        {{0, 0}, {0, 0}, {0x9d1c5ec6u, 0x8bd50731u}},
        {{~0u, ~0u}, {~0u, ~0u}, {0xfd36d048u, 0x2d17272cu}},
        {{0x243f6a88u, 0x85a308d3u}, {0x13198a2eu, 0x03707344u}, {0xba3e4725u, 0xf27d669eu}}};
    for (const auto& c : cases) {
        const auto key = (static_cast<std::uint64_t>(c.key[1]) << 32) | c.key[0];
        const ascend_ops::Random64 found = ascend_ops::threefry(key, c.counter[0], c.counter[1]);
        CHECK_MESSAGE(found.low == c.wanted[0] && found.high == c.wanted[1], "%08x %08x", found.low,
                      found.high);
    }
}

AdamHyperparameters stochastic(std::uint64_t seed, std::uint64_t parameter = 0) {
    AdamHyperparameters h;
    h.step = 3;
    h.rounding.stochastic = true;
    h.rounding.seed = seed;
    h.rounding.parameter = parameter;
    return h;
}

TEST(isas_and_splits_do_not_matter) {
    const std::size_t count = 1501;
    for (const DTypes& dtypes : all_dtypes()) {
        const Tensors before = random_tensors(dtypes, count, 4);
        Tensors wanted = before;
        run(step_plan(stochastic(9), dtypes, Isa::scalar), wanted, 0, count);
        std::mt19937 random(6);
        for (const Isa isa : isas()) {
            Tensors found = before;
            for (std::size_t begin = 0; begin < count;) {
                const auto end = std::min<std::size_t>(count, begin + random() % 600);
                run(step_plan(stochastic(9), dtypes, isa), found, begin, end);
                begin = end;
            }
            check_same(found, wanted, 0, count, ascend_ops::isa_name(isa));
        }
    }
}

constexpr DTypes all_bf16 = {DType::bfloat16, DType::bfloat16, DType::bfloat16};

std::size_t differences(const AdamHyperparameters& a, const AdamHyperparameters& b) {
    const std::size_t count = 1000;
    Tensors left = random_tensors(all_bf16, count, 4);
    Tensors right = left;
    run(step_plan(a, all_bf16, Isa::scalar), left, 0, count);
    run(step_plan(b, all_bf16, Isa::scalar), right, 0, count);
    std::size_t different = 0;
    for (std::size_t i = 0; i < count; ++i) {
        different += left.states[0].same_element(right.states[0], i, i) ? 0 : 1;
    }
    return different;
}

TEST(seeds_and_parameters_differ_and_repeat) {
    CHECK_MESSAGE(differences(stochastic(1), stochastic(1)) == 0, "the same seed");
    CHECK_MESSAGE(differences(stochastic(1), stochastic(2)) > 100, "another seed");
    CHECK_MESSAGE(differences(stochastic(1, 0), stochastic(1, 1)) > 100, "another parameter");
}

std::vector<double> rounded_up(const Array& stored, double target) {
    std::vector<double> up;
    for (std::size_t i = 0; i < stored.count(); ++i) {
        up.push_back(stored.get(i) > target ? 1.0 : 0.0);
    }
    return up;
}

double covariance(const std::vector<double>& a, const std::vector<double>& b) {
    double sum_a = 0.0;
    double sum_b = 0.0;
    double both = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        sum_a += a[i];
        sum_b += b[i];
        both += a[i] * b[i];
    }
    const double count = static_cast<double>(a.size());
    return both / count - sum_a / count * (sum_b / count);
}

// The stored number is one of the two neighbours and is correct on average. The numbers of an
// element are rounded independently of each other.
TEST(rounding_has_no_bias) {
    const std::size_t count = 65536;
    const DTypes exact = {DType::float32, DType::float32, DType::float32};
    Tensors wanted = random_tensors(exact, count, 4);
    Tensors found = random_tensors(all_bf16, count, 4);
    for (std::size_t i = 0; i < count;
         ++i) {  // all elements are equal, and both start from bf16 values
        for (Tensors* tensors : {&wanted, &found}) {
            tensors->params.set(i, 1.0);
            tensors->grads.set(i, 0.75);
            tensors->states[0].set(i, 0.3125);
            tensors->states[1].set(i, 0.2);
        }
        wanted.states[1].set(i, found.states[1].get(i));
    }
    run(step_plan(stochastic(5), exact, Isa::scalar), wanted, 0, count);
    run(step_plan(stochastic(5), all_bf16, isas().back()), found, 0, count);
    const Array* const pairs[][2] = {{&found.params, &wanted.params},
                                     {&found.states[0], &wanted.states[0]},
                                     {&found.states[1], &wanted.states[1]}};
    std::vector<std::vector<double>> ups;
    for (const auto& pair : pairs) {
        const double target = pair[1]->get(0);
        const double spacing = reference::spacing(DType::bfloat16, target);
        double sum = 0.0;
        for (std::size_t i = 0; i < count; ++i) {
            CHECK_MESSAGE(std::fabs(pair[0]->get(i) - target) < spacing, "%a for %a",
                          pair[0]->get(i), target);
            sum += pair[0]->get(i);
        }
        ups.push_back(rounded_up(*pair[0], target));
        const double bias = std::fabs(sum / static_cast<double>(count) - target) / spacing;
        CHECK_MESSAGE(bias < 0.01, "biased by %g of a spacing", bias);  // five standard deviations
    }
    for (const auto& [a, b] : {std::pair{0, 1}, std::pair{0, 2}, std::pair{1, 2}}) {
        const double found =
            covariance(ups[static_cast<std::size_t>(a)], ups[static_cast<std::size_t>(b)]);
        CHECK_MESSAGE(std::fabs(found) < 0.005, "numbers %d and %d go up together: %g", a, b,
                      found);
    }
}

TEST(no_bf16_no_randomness) {
    for (const DTypes& dtypes : all_dtypes()) {
        if (dtypes.params != DType::bfloat16 && dtypes.low_precision_params != DType::bfloat16) {
            CHECK_MESSAGE(!step_plan(stochastic(1), dtypes, Isa::scalar).stochastic,
                          "fp32 or fp16 only");
        }
    }
}

TEST(nan_and_infinity_stay) {
    for (const Isa isa : isas()) {
        Tensors tensors = random_tensors(all_bf16, 40, 1);
        tensors.grads.set(3, NAN);
        tensors.grads.set(20, INFINITY);
        run(step_plan(stochastic(1), all_bf16, isa), tensors, 0, 40);
        CHECK_MESSAGE(std::isnan(tensors.states[0].get(3)), "%g", tensors.states[0].get(3));
        CHECK_MESSAGE(std::isinf(tensors.states[1].get(20)), "%g", tensors.states[1].get(20));
    }
}

// Adding random bits to this NaN would carry into the sign.
TEST(nan_with_all_bits_set_stays_one) {
    const DTypes dtypes = {DType::bfloat16, DType::float32, DType::bfloat16};
    for (const Isa isa : isas()) {
        Tensors tensors = random_tensors(dtypes, 64, 1);
        const std::uint32_t bits = 0x7fffffffu;
        for (std::size_t i = 0; i < 64; ++i) {
            std::memcpy(tensors.grads.data() + 4 * i, &bits, sizeof bits);
        }
        run(step_plan(stochastic(1), dtypes, isa), tensors, 0, 64);
        for (std::size_t i = 0; i < 64; ++i) {
            CHECK_MESSAGE(std::isnan(tensors.states[0].get(i)), "%g", tensors.states[0].get(i));
        }
    }
}

}  // namespace
}  // namespace adam_test
