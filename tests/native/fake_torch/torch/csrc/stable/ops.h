// torch::stable::parallel_for on plain threads, whose number the test chooses. The scheduling of
// work is tested without torch, so that ThreadSanitizer sees every access.
#pragma once

#include <algorithm>
#include <cstdint>
#include <thread>
#include <vector>

namespace torch::stable {

inline int thread_count = 1;

inline std::uint32_t get_num_threads() { return static_cast<std::uint32_t>(thread_count); }

template <class F>
void parallel_for(std::int64_t begin, std::int64_t end, std::int64_t grain, const F& f) {
    const std::int64_t tasks = std::min<std::int64_t>(
        thread_count, (end - begin + grain - 1) / std::max<std::int64_t>(grain, 1));
    std::vector<std::thread> threads;
    for (std::int64_t task = 0; task < tasks; ++task) {
        const std::int64_t first = begin + (end - begin) * task / tasks;
        const std::int64_t last = begin + (end - begin) * (task + 1) / tasks;
        threads.emplace_back([&f, first, last] { f(first, last); });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
}

}  // namespace torch::stable
