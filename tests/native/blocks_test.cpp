// The split of work among threads, and the kernels that run on it, also under ThreadSanitizer.
#include <algorithm>
#include <memory>

#include "adam_fixture.h"
#include "cpu/optimizer/blocks.h"
#include "cpu/optimizer/total_square_sum.h"

namespace adam_test {
namespace {

using ascend_ops::Elements;

const std::int64_t sizes[] = {0, 1, 7, 4096, 5000, 0, 20011, 3, 64};

TEST(each_element_is_in_one_call_that_begins_at_a_block) {
    for (const int threads : {1, 2, 3, 8}) {
        torch::stable::thread_count = threads;
        for (const std::int64_t block_size : {1, 64, 1024}) {
            ascend_ops::Blocks blocks(block_size);
            std::vector<std::vector<unsigned char>> seen;
            for (const std::int64_t size : sizes) {
                blocks.add(seen.size(), size / 3, size);
                seen.emplace_back(static_cast<std::size_t>(size));
            }
            std::vector<unsigned char> block_seen(static_cast<std::size_t>(blocks.count()));
            blocks.run(
                1, [&](std::size_t i, std::int64_t begin, std::int64_t end, std::int64_t block) {
                    CHECK_MESSAGE((begin - sizes[i] / 3) % block_size == 0, "begins at %lld",
                                  static_cast<long long>(begin));
                    for (std::int64_t k = begin; k < end; k += block_size, ++block) {
                        ++block_seen[static_cast<std::size_t>(block)];
                    }
                    for (std::int64_t k = begin; k < end; ++k) {
                        ++seen[i][static_cast<std::size_t>(k)];
                    }
                });
            for (std::size_t i = 0; i < seen.size(); ++i) {
                for (std::int64_t k = 0; k < sizes[i]; ++k) {
                    const int wanted = k < sizes[i] / 3 ? 0 : 1;
                    CHECK_MESSAGE(seen[i][static_cast<std::size_t>(k)] == wanted,
                                  "element %lld of %zu", static_cast<long long>(k), i);
                }
            }
            CHECK_MESSAGE(std::all_of(block_seen.begin(), block_seen.end(),
                                      [](unsigned char count) { return count == 1; }),
                          "a block was visited twice or never");
        }
    }
}

TEST(a_parallel_step_is_the_serial_one) {
    AdamHyperparameters h;
    h.rounding.stochastic = true;
    const DTypes dtypes = {DType::float32, DType::bfloat16, DType::float32, DType::bfloat16};
    for (const Isa isa : isas()) {
        const Plan plan = step_plan(h, dtypes, isa);
        const Tensors before = random_tensors(dtypes, 20011, 3);
        Tensors wanted = before;
        run(plan, wanted, 0, 20011);
        for (const int threads : {2, 5}) {
            torch::stable::thread_count = threads;
            Tensors found = before;
            const ascend_ops::Tensors pointers = found.pointers();
            ascend_ops::Blocks blocks(1024);
            blocks.add(0, 0, 20011);
            blocks.run(1, [&](std::size_t, std::int64_t begin, std::int64_t end, std::int64_t) {
                run_plan(plan, pointers, begin, end);
            });
            check_same(found, wanted, 0, 20011, ascend_ops::isa_name(isa));
        }
    }
}

/// Returns random arrays of one dtype, with the sizes above.
std::vector<std::unique_ptr<Array>> make_arrays(DType dtype) {
    std::vector<std::unique_ptr<Array>> arrays;
    std::mt19937 random(3);
    for (const std::int64_t size : sizes) {
        arrays.push_back(std::make_unique<Array>(dtype, static_cast<std::size_t>(size), 1));
        for (std::size_t i = 0; i < arrays.back()->count(); ++i) {
            arrays.back()->set(i, random_number(random));
        }
    }
    return arrays;
}

double total(Isa isa, const std::vector<std::unique_ptr<Array>>& arrays) {
    std::vector<Elements> elements;
    for (const auto& array : arrays) {
        elements.push_back({static_cast<const Array&>(*array).data(), array->dtype(),
                            static_cast<std::int64_t>(array->count())});
    }
    return ascend_ops::total_square_sum(isa, elements);
}

constexpr DType dtypes[] = {DType::float32, DType::bfloat16, DType::float16};

TEST(square_sums_are_right_and_the_same_bits_for_any_threads_and_isa) {
    for (const DType dtype : dtypes) {
        const auto arrays = make_arrays(dtype);
        long double exact = 0.0L;
        for (const auto& array : arrays) {
            for (std::size_t i = 0; i < array->count(); ++i) {
                exact += static_cast<long double>(array->get(i)) * array->get(i);
            }
        }
        torch::stable::thread_count = 1;
        const double wanted = total(Isa::scalar, arrays);
        CHECK_MESSAGE(std::fabs(static_cast<double>(wanted - exact)) < 1e-13 * wanted, "%a",
                      wanted);
        for (const Isa isa : isas()) {
            for (const int threads : {1, 2, 3, 7}) {
                torch::stable::thread_count = threads;
                CHECK_MESSAGE(total(isa, arrays) == wanted, "%s with %d threads: %a, not %a",
                              ascend_ops::isa_name(isa), threads, total(isa, arrays), wanted);
            }
        }
        std::printf("digest norm%d %016llx\n", static_cast<int>(dtype),
                    static_cast<unsigned long long>(wanted * 1e9));
    }
}

// At any position; the largest and smallest finite numbers are not mistaken for infinity.
TEST(one_element_that_is_not_finite_is_found) {
    torch::stable::thread_count = 2;
    for (const DType dtype : dtypes) {
        for (const Isa isa : isas()) {
            auto arrays = make_arrays(dtype);
            const double largest = dtype == DType::float16 ? 65504.0 : 3.3e38;
            for (std::size_t i = 0; i < 4096; ++i) {
                arrays[3]->set(i, i % 2 == 0 ? largest : -largest);
            }
            CHECK_MESSAGE(std::isfinite(total(isa, arrays)), "%g", total(isa, arrays));
            for (const std::size_t at : {0u, 31u, 32u, 8191u, 8192u, 20010u}) {
                for (const double value : {-1.0 * INFINITY, 1.0 * INFINITY, 1.0 * NAN}) {
                    const double before = arrays[6]->get(at);
                    arrays[6]->set(at, value);
                    CHECK_MESSAGE(!std::isfinite(total(isa, arrays)), "%g at %zu", value, at);
                    arrays[6]->set(at, before);
                }
            }
        }
    }
}

TEST(small_numbers_are_not_lost) {
    torch::stable::thread_count = 1;
    for (const Isa isa : isas()) {
        Array array(DType::float32, 100, 0);
        for (std::size_t i = 0; i < 100; ++i) {
            array.set(i, 0x1p-140);
        }
        const Elements elements = {static_cast<const Array&>(array).data(), DType::float32, 100};
        const double found = ascend_ops::total_square_sum(isa, {elements});
        CHECK_MESSAGE(found == 100 * 0x1p-280, "%a", found);
    }
}

}  // namespace
}  // namespace adam_test
