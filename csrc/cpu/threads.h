// Torch's threads for a loop, and the refusal of a loop that would never end after a fork.
#pragma once

#include <torch/csrc/stable/ops.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>

namespace ascend_ops {

/// Returns whether torch uses GNU's OpenMP, as its wheels for Linux do: after a fork, GNU's waits
/// for threads that only the parent has. Other libraries start new ones.
inline bool uses_gnu_openmp() {
    std::ifstream maps("/proc/self/maps");
    bool gnu = false;
    for (std::string line; std::getline(maps, line);) {
        gnu = gnu || line.find("/libgomp") != std::string::npos;
        if (line.find("/libiomp") != std::string::npos ||
            line.find("/libomp.") != std::string::npos) {
            return false;  // perhaps torch uses this one
        }
    }
    return gnu;
}

/// Throws if a loop of `count` iterations would wait for threads that a fork has left behind. Call
/// it before anything is changed.
inline void check_threads(std::int64_t count, std::int64_t grain) {
    if (count <= grain) {
        return;
    }
    const std::uint32_t threads = torch::stable::get_num_threads();
    if (threads < 2) {
        return;
    }
    thread_local pid_t process = 0;  // in which this thread has started others; a fork copies it
    const pid_t current = getpid();
    if (process != 0 && process != current && uses_gnu_openmp()) {
        throw std::runtime_error(
            "the number of threads must be 1 in a process that was forked after a step with more, "
            "got " +
            std::to_string(threads) +
            ": call torch.set_num_threads(1) in it, or start it with the method 'spawn'");
    }
    process = current;
}

/// Calls work(begin, end) for parts of [first, last) with at least `grain` iterations, in parallel.
template <class Work>
void parallel_for(std::int64_t first, std::int64_t last, std::int64_t grain, const Work& work) {
    check_threads(last - first, grain);
    torch::stable::parallel_for(first, last, grain, work);
}

}  // namespace ascend_ops
