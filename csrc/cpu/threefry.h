// Threefry-2x32 with 13 rounds, the fewest that pass BigCrush (Salmon, Moraes, Dror and Shaw,
// "Parallel random numbers: as easy as 1, 2, 3", 2011).
//
// The random bits are a function of a key and a counter, so that any thread can compute any
// element's bits in any order. The function needs only additions, rotations and exclusive ors.
#pragma once

#include <cstdint>

namespace ascend_ops {
namespace {

struct Random64 {
    std::uint32_t low;
    std::uint32_t high;
};

template <int distance>
[[gnu::always_inline]] inline void threefry_round(std::uint32_t& x0, std::uint32_t& x1) {
    x0 += x1;
    x1 = ((x1 << distance) | (x1 >> (32 - distance))) ^ x0;
}

[[gnu::always_inline]] inline Random64 threefry(std::uint64_t key, std::uint32_t counter_low,
                                                std::uint32_t counter_high) {
    const auto key0 = static_cast<std::uint32_t>(key);
    const auto key1 = static_cast<std::uint32_t>(key >> 32);
    const std::uint32_t key2 = 0x1bd11bdau ^ key0 ^ key1;
    std::uint32_t x0 = counter_low + key0;
    std::uint32_t x1 = counter_high + key1;
    const auto odd_rounds = [&](std::uint32_t inject0, std::uint32_t inject1) {
        threefry_round<13>(x0, x1);
        threefry_round<15>(x0, x1);
        threefry_round<26>(x0, x1);
        threefry_round<6>(x0, x1);
        x0 += inject0;
        x1 += inject1;
    };
    const auto even_rounds = [&](std::uint32_t inject0, std::uint32_t inject1) {
        threefry_round<17>(x0, x1);
        threefry_round<29>(x0, x1);
        threefry_round<16>(x0, x1);
        threefry_round<24>(x0, x1);
        x0 += inject0;
        x1 += inject1;
    };
    odd_rounds(key1, key2 + 1u);
    even_rounds(key2, key0 + 2u);
    odd_rounds(key0, key1 + 3u);
    threefry_round<17>(x0, x1);
    return {x0, x1};
}

}  // namespace
}  // namespace ascend_ops
