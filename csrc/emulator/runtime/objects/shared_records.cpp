#include "emulator/runtime/objects/shared_records.h"

#include <algorithm>
#include <stdexcept>

namespace ascend_emulator {
namespace {

std::uint32_t unchanged(std::uint32_t value) { return value; }

}  // namespace

std::uint32_t SharedRecords::begin() {
    return words_.first().update([](std::uint32_t value) { return value + 1; });
}

void SharedRecords::end(std::uint32_t number) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_.insert(number);
    std::uint32_t last = words_.second().load();
    while (!ended_.empty() && *ended_.begin() == last + 1) {
        ended_.erase(ended_.begin());
        ++last;
    }
    words_.second().update([last](std::uint32_t) { return last; });
}

bool SharedRecords::has_ended(std::uint32_t number) { return words_.second().load() >= number; }

bool SharedRecords::wait(std::uint32_t number, int timeout_ms) {
    constexpr int between_looks_ms = 500;
    int left = timeout_ms;
    for (;;) {
        const int slice = left < 0 ? between_looks_ms : std::min(left, between_looks_ms);
        if (words_.second().wait([number](std::uint32_t last) { return last >= number; }, unchanged,
                                 slice)) {
            return true;
        }
        left -= left < 0 ? 0 : slice;
        if (left == 0) {
            return false;
        }
        if (!words_.is_alive() && !has_ended(number)) {
            throw std::runtime_error(
                "the process that created the event has ended, or destroyed the event, before the "
                "record was reached");
        }
    }
}

}  // namespace ascend_emulator
