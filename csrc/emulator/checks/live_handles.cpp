#include "emulator/checks/live_handles.h"

#include <array>
#include <atomic>
#include <cstdio>

#include "emulator/options/options.h"
#include "emulator/runtime/objects/error.h"
#include "emulator/runtime/objects/memory.h"

namespace ascend_emulator {
namespace {

constexpr int kinds = static_cast<int>(HandleKind::count);
std::array<std::atomic<long>, kinds> counts{};

}  // namespace

void count_handle(HandleKind kind, int change) {
    counts[static_cast<int>(kind)].fetch_add(change, std::memory_order_relaxed);
}

long live_handles(HandleKind kind) { return counts[static_cast<int>(kind)]; }

std::string describe_leaks() {
    std::string text;
    for (int kind = 0; kind < kinds; ++kind) {
        if (const long count = counts[kind]) {
            text += "  " + std::to_string(count) + " of kind " +
                    name_of(static_cast<HandleKind>(kind)) + " not destroyed\n";
        }
    }
    return text + describe_live_blocks();
}

void report_leaks() {
    static std::atomic<bool> reported{false};
    if (!options().leaks || reported.exchange(true)) {
        return;
    }
    const std::string leaks = describe_leaks();
    if (!leaks.empty()) {
        std::fprintf(
            stderr, "[emulated NPU] left at the end of the process%s:\n%s",
            has_failed() ? " (torch_npu does not destroy the handles of a failed call)" : "",
            leaks.c_str());
    }
}

}  // namespace ascend_emulator
