// The Vec of one simd header, which TEST_SIMD_HEADER names: conversions of all 16-bit values and of
// all ties, and arithmetic against double.
#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "native_test.h"
#include "reference_format.h"
#include TEST_SIMD_HEADER

namespace ascend_ops {
namespace {

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<BFloat16> {
    static constexpr DType value = DType::bfloat16;
};
template <>
struct DTypeOf<Float16> {
    static constexpr DType value = DType::float16;
};

float float_of_bits(std::uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

bool same(double a, double b) {
    return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

template <class T>
void check_load(std::uint32_t first) {
    T stored[max_width];
    float loaded[max_width];
    for (std::uint32_t lane = 0; lane < width(); ++lane) {
        stored[lane].bits = static_cast<std::uint16_t>(first + lane);
    }
    store(loaded, load(stored));
    for (std::uint32_t lane = 0; lane < width(); ++lane) {
        const double wanted = reference::decode(DTypeOf<T>::value, stored[lane].bits);
        CHECK_MESSAGE(same(loaded[lane], wanted), "0x%04x loads as %g", stored[lane].bits,
                      loaded[lane]);
    }
}

template <class T>
void check_store(const float* values) {
    T stored[max_width];
    store(stored, load(values));
    for (int lane = 0; lane < width(); ++lane) {
        const double found = reference::decode(DTypeOf<T>::value, stored[lane].bits);
        const double wanted = reference::round_to(DTypeOf<T>::value, values[lane]);
        CHECK_MESSAGE(same(found, wanted), "%a is stored as 0x%04x, %a", values[lane],
                      stored[lane].bits, found);
    }
}

// Returns every number of the format, the midpoints between neighbours, and the fp32 numbers next
// to both.
template <class T>
std::vector<float> interesting_floats() {
    std::vector<float> values;
    for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
        const float value = static_cast<float>(reference::decode(DTypeOf<T>::value, bits));
        const double half = reference::spacing(DTypeOf<T>::value, value) / 2;
        for (const float x : {value, static_cast<float>(value + half)}) {
            values.insert(values.end(),
                          {x, std::nextafter(x, INFINITY), std::nextafter(x, -INFINITY)});
        }
    }
    // NaNs whose payload is a single bit or all lower bits, and random bits
    for (std::uint32_t bit = 0; bit < 23; ++bit) {
        for (const std::uint32_t sign : {0u, 0x80000000u}) {
            values.push_back(float_of_bits(sign | 0x7f800000u | (1u << bit)));
            values.push_back(float_of_bits(sign | 0x7f800000u | ((2u << bit) - 1u)));
        }
    }
    std::mt19937 random(1);
    for (int i = 0; i < 200000; ++i) {
        values.push_back(float_of_bits(static_cast<std::uint32_t>(random())));
    }
    values.resize((values.size() + max_width - 1) / max_width * max_width);
    return values;
}

template <class T>
void check_conversions() {
    for (std::uint32_t bits = 0; bits < 0x10000u; bits += static_cast<std::uint32_t>(width())) {
        check_load<T>(bits);
    }
    const std::vector<float> values = interesting_floats<T>();
    for (std::size_t i = 0; i < values.size(); i += static_cast<std::size_t>(width())) {
        check_store<T>(&values[i]);
    }
}

TEST(bf16_conversions_are_exact_or_nearest_even) { check_conversions<BFloat16>(); }
TEST(fp16_conversions_are_exact_or_nearest_even) { check_conversions<Float16>(); }

// Returns operands with few different exponents, so that sums cancel and round; some have any bits.
std::vector<float> operands(std::uint32_t seed, std::size_t count) {
    std::mt19937 random(seed);
    std::vector<float> values(count);
    for (float& value : values) {
        const std::uint32_t bits = static_cast<std::uint32_t>(random());
        const std::uint32_t near_one = (bits & 0x80ffffffu) | 0x3e000000u;
        value = float_of_bits(random() % 4 == 0 ? bits : near_one);
    }
    return values;
}

template <class Compute, class Wanted>
void check_arithmetic(const char* name, Compute compute, Wanted wanted) {
    const std::size_t count = 1u << 16;
    const std::vector<float> a = operands(1, count);
    const std::vector<float> b = operands(2, count);
    const std::vector<float> c = operands(3, count);
    float found[max_width];
    for (std::size_t i = 0; i < count; i += static_cast<std::size_t>(width())) {
        store(found, compute(load(&a[i]), load(&b[i]), load(&c[i])));
        for (std::size_t lane = 0; lane < static_cast<std::size_t>(width()); ++lane) {
            const std::size_t k = i + lane;
            const float want = wanted(a[k], b[k], c[k]);
            CHECK_MESSAGE(same(found[lane], want), "%s(%a, %a, %a) is %a, not %a", name, a[k], b[k],
                          c[k], found[lane], want);
        }
    }
}

TEST(arithmetic_is_correctly_rounded) {
    using V = Vec;
    check_arithmetic(
        "add", [](V a, V b, V) { return add(a, b); },
        [](float a, float b, float) { return a + b; });
    check_arithmetic(
        "subtract", [](V a, V b, V) { return sub(a, b); },
        [](float a, float b, float) { return a - b; });
    check_arithmetic(
        "multiply", [](V a, V b, V) { return mul(a, b); },
        [](float a, float b, float) { return a * b; });
    check_arithmetic(
        "divide", [](V a, V b, V) { return div(a, b); },
        [](float a, float b, float) { return a / b; });
    check_arithmetic(
        "sqrt", [](V a, V, V) { return sqrt(a); },
        [](float a, float, float) { return std::sqrt(a); });
}

TEST(fma_rounds_once) {
    using V = Vec;
    check_arithmetic(
        "fma", [](V a, V b, V c) { return fma(a, b, c); },
        [](float a, float b, float c) { return std::fma(a, b, c); });
    check_arithmetic(
        "fnma", [](V a, V b, V c) { return fnma(a, b, c); },
        [](float a, float b, float c) { return std::fma(-a, b, c); });
}

// The product is half of c's last place, except for one part in 2^46. If the sum were first rounded
// to double, it would become a tie and then round to even, which is wrong every other time.
TEST(fma_is_not_fooled_by_near_ties) {
    for (const int exponent : {0, -149}) {  // c in [1, 2), and c a subnormal
        for (std::uint32_t k = 0; k < 4096; ++k) {
            const float one = exponent == 0 ? 1.0f : 0.0f;
            const float last_place = exponent == 0 ? 0x1p-23f : 0x1p-149f;
            const float c = one + static_cast<float>(k) * last_place;
            for (const float sign : {1.0f, -1.0f}) {
                const float scale = exponent == 0 ? 0x1p-12f : 0x1p-75f;
                const float a = sign * scale * (1.0f + 0x1p-23f);
                const float b = scale * (1.0f - 0x1p-23f);
                float found[max_width];
                store(found, fma(broadcast(a), broadcast(b), broadcast(c)));
                CHECK_MESSAGE(same(found[0], std::fma(a, b, c)), "fma(%a, %a, %a) is %a", a, b, c,
                              found[0]);
            }
        }
    }
}

TEST(max_is_the_second_unless_the_first_is_greater) {
    const float values[] = {-1.0f, -0.0f, 0.0f, 1.0f, -INFINITY, INFINITY, NAN, 1e-45f};
    for (const float a : values) {
        for (const float b : values) {
            float found[max_width];
            store(found, max(broadcast(a), broadcast(b)));
            CHECK_MESSAGE(same(found[0], a > b ? a : b), "max(%g, %g) is %g", a, b, found[0]);
        }
    }
}

TEST(sign_is_one_or_the_zero_or_nan_itself) {
    const float values[] = {-1.5f, -0.0f, 0.0f, 1e30f, -INFINITY, INFINITY, NAN, 1e-45f, -1e-45f};
    for (const float a : values) {
        float found[max_width];
        store(found, sign(broadcast(a)));
        CHECK_MESSAGE(same(found[0], a > 0 ? 1 : a < 0 ? -1 : a), "sign(%g) is %g", a, found[0]);
    }
}

}  // namespace
}  // namespace ascend_ops
