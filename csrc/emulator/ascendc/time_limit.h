// The end of kernels that do not end by themselves.
#pragma once

#include <cstdint>
#include <ctime>

namespace aicore {

/// The longest CPU time of a launch. Unlike a clock, it does not run while other programs do.
class TimeLimit {
  public:
    /// Without a limit if `seconds` is 0.
    explicit TimeLimit(long seconds) : limit_ns_(seconds * 1'000'000'000) {}

    /// Whether the time is over. Call it often: it reads the clock once in several thousand calls,
    /// and counts from the first time that it does.
    bool is_over() {
        if (limit_ns_ == 0 || ++calls_ % between_looks != 0) {
            return false;
        }
        timespec used{};
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
        const std::int64_t now = used.tv_sec * std::int64_t{1'000'000'000} + used.tv_nsec;
        if (calls_ == between_looks) {
            begin_ns_ = now;
        }
        return now - begin_ns_ > limit_ns_;
    }

  private:
    static constexpr std::uint64_t between_looks = 4096;

    const std::int64_t limit_ns_;
    std::int64_t begin_ns_ = 0;
    std::uint64_t calls_ = 0;
};

}  // namespace aicore
