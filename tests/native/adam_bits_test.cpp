// An element's result is bitwise the same for any address, split of the work and instruction set.
#include <algorithm>
#include <limits>
#include <thread>

#include "adam_fixture.h"

namespace adam_test {
namespace {

const double special_values[] = {0.0,       -0.0,    1.0,     -1.0,     0x1p-149, 0x1p-130,
                                 -0x1p-24,  0x1p-12, 65504.0, 1.0e30,   -3.4e38,  INFINITY,
                                 -INFINITY, NAN,     0x1p-75, 1.0 / 3.0};

/// Returns every special value as parameter with every other one as gradient, and special states.
Tensors special_tensors(const DTypes& dtypes) {
    const std::size_t specials = sizeof special_values / sizeof special_values[0];
    Tensors tensors = random_tensors(dtypes, specials * specials, 3);
    for (std::size_t i = 0; i < tensors.params.count(); ++i) {
        tensors.params.set(i, special_values[i / specials]);
        tensors.grads.set(i, special_values[i % specials]);
        if (i % 3 == 0) {
            tensors.states[0].set(i, special_values[(i / 3) % specials]);
        }
        if (i % 5 == 0) {
            tensors.states[1].set(i, std::fabs(special_values[(i / 5) % specials]));
        }
    }
    return tensors;
}

void check_isas_agree(const Tensors& before, const AdamHyperparameters& h, const DTypes& dtypes) {
    Tensors wanted_step = before;
    run(step_plan(h, dtypes, Isa::scalar), wanted_step, 0, before.params.count());
    Tensors wanted_rollback = before;
    run(rollback_plan(h, dtypes, Isa::scalar), wanted_rollback, 0, before.params.count());
    for (const Isa isa : isas()) {
        Tensors found = before;
        run(step_plan(h, dtypes, isa), found, 0, before.params.count());
        check_same(found, wanted_step, 0, before.params.count(), ascend_ops::isa_name(isa));
        found = before;
        run(rollback_plan(h, dtypes, isa), found, 0, before.params.count());
        check_same(found, wanted_rollback, 0, before.params.count(), ascend_ops::isa_name(isa));
    }
}

TEST(every_isa_gives_the_same_bits) {
    for (const DTypes& dtypes : all_dtypes()) {
        for (const AdamHyperparameters& h : all_modes()) {
            check_isas_agree(random_tensors(dtypes, 517, 1), h, dtypes);
        }
    }
}

TEST(every_isa_gives_the_same_bits_for_special_values) {
    for (const DTypes& dtypes : all_dtypes()) {
        for (const AdamHyperparameters& h : all_modes()) {
            check_isas_agree(special_tensors(dtypes), h, dtypes);
        }
    }
}

AdamHyperparameters usual() {
    AdamHyperparameters h;
    h.step = 7;
    h.weight_decay = 0.1;
    return h;
}

TEST(splits_and_alignment_do_not_matter) {
    const std::size_t count = 1003;
    for (const DTypes& dtypes : all_dtypes()) {
        for (const Isa isa : isas()) {
            const Plan plan = step_plan(usual(), dtypes, isa);
            Tensors wanted = random_tensors(dtypes, count, 2);
            run(plan, wanted, 0, count);
            std::mt19937 random(5);
            for (std::size_t skew = 0; skew < 18; ++skew) {
                Tensors found = random_tensors(dtypes, count, 2, skew);
                for (std::size_t begin = 0; begin < count;) {
                    const std::size_t end = std::min<std::size_t>(count, begin + random() % 100);
                    run(plan, found, begin, end);
                    begin = end;
                }
                check_same(found, wanted, 0, count, ascend_ops::isa_name(isa));
            }
        }
    }
}

TEST(nothing_outside_the_range_is_touched) {
    const std::size_t count = 100;
    for (const DTypes& dtypes : all_dtypes()) {
        for (const Isa isa : isas()) {
            const Tensors before = random_tensors(dtypes, count, 2);
            for (std::size_t begin = 30; begin < 50; ++begin) {
                for (std::size_t end = begin; end < begin + 20; ++end) {
                    Tensors after = before;
                    run(step_plan(usual(), dtypes, isa), after, begin, end);
                    check_same(after, before, 0, begin, "before the range");
                    check_same(after, before, end, count, "after the range");
                }
            }
        }
    }
}

TEST(threads_do_not_matter) {
    const std::size_t count = 100003;
    for (const Isa isa : isas()) {
        const Plan plan = step_plan(usual(), DTypes{}, isa);
        const Tensors before = random_tensors(DTypes{}, count, 2);
        Tensors wanted = before;
        run(plan, wanted, 0, count);
        Tensors found = before;
        std::vector<std::thread> threads;
        threads.reserve(3);
        for (std::size_t i = 0; i < 3; ++i) {
            threads.emplace_back([&, i] { run(plan, found, count * i / 3, count * (i + 1) / 3); });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        check_same(found, wanted, 0, count, ascend_ops::isa_name(isa));
    }
}

TEST(nan_and_infinity_propagate) {
    for (const DTypes& dtypes : all_dtypes()) {
        for (const Isa isa : isas()) {
            const std::size_t count = 19;
            Tensors tensors = random_tensors(dtypes, count, 2);
            tensors.grads.set(3, NAN);
            tensors.grads.set(17, INFINITY);  // in the tail of every vector
            run(step_plan(usual(), dtypes, isa), tensors, 0, count);
            for (const Array* array : {&tensors.params, &tensors.states[0], &tensors.states[1]}) {
                CHECK_MESSAGE(std::isnan(array->get(3)), "%g", array->get(3));
                CHECK_MESSAGE(!std::isfinite(array->get(17)), "%g", array->get(17));
                for (const std::size_t i : {2u, 4u, 16u, 18u}) {
                    CHECK_MESSAGE(std::isfinite(array->get(i)), "[%zu] %g", i, array->get(i));
                }
            }
        }
    }
}

std::uint64_t mix(std::uint64_t hash, const Array& array) {  // FNV-1a
    for (std::size_t i = 0; i < array.count(); ++i) {
        hash = (hash ^ reference::encode(array.dtype(), array.get(i))) * 0x100000001b3u;
    }
    return hash;
}

// Printed, so that builds for different processors can be compared.
TEST(digest_of_all_results) {
    for (const Isa isa : isas()) {
        std::uint64_t hash = 0xcbf29ce484222325u;
        for (const DTypes& dtypes : all_dtypes()) {
            for (const AdamHyperparameters& h : all_modes()) {
                Tensors tensors = random_tensors(dtypes, 300, 11);
                run(step_plan(h, dtypes, isa), tensors, 0, 300);
                hash = mix(mix(mix(hash, tensors.params), tensors.states[0]), tensors.states[1]);
                run(rollback_plan(h, dtypes, isa), tensors, 0, 300);
                hash = mix(mix(mix(hash, tensors.params), tensors.states[0]), tensors.states[1]);
            }
        }
        std::printf("digest %s %016llx\n", ascend_ops::isa_name(isa),
                    static_cast<unsigned long long>(hash));
    }
}

}  // namespace
}  // namespace adam_test
