// What is slow on a device, though the result is right: printed once for each place, never an
// error.
#include <array>
#include <cstdio>
#include <mutex>
#include <set>

#include "ascendc/core.h"
#include "emulator/ascendc/launch.h"
#include "emulator/ascendc/shadow.h"
#include "emulator/ascendc/soc.h"

namespace aicore {
namespace {

// Of global memory, in bytes; shorter moves gain nothing from it.
constexpr std::uint64_t alignment = 512;

const char* const unaligned = "gm alignment";
const char* const same_bank = "bank";
const char* const one_buffer = "single buffer";

// How UB consists of banks, as CANN documents it for Ascend910B: rows of 32 bytes follow one
// another in 16 banks, and the next 64 KB are in the next 16. A group is the banks of one column.
constexpr std::uint32_t row_bytes = 32;
constexpr std::uint32_t groups = 16;
constexpr std::uint32_t segment_bytes = 64 * 1024;
constexpr std::uint32_t arch_with_these_banks = 2201;

std::uint32_t group_of(std::uint32_t address) { return address / row_bytes % groups; }

std::uint32_t bank_of(std::uint32_t address) {
    return address / segment_bytes * groups + group_of(address);
}

std::string in_hex(std::uint32_t address) {
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "0x%x", address);
    return text.data();
}

}  // namespace

bool Launch::is_first_hint(const char* kind, Site site) {
    if (!hinted_.emplace(kind, site.file, site.line).second) {
        return false;
    }
    static std::mutex mutex;
    static std::set<std::tuple<std::string, std::string, std::string>> known;
    const std::lock_guard<std::mutex> lock(mutex);
    return known.emplace(kernel_.name, kind, place(site)).second;
}

void Launch::hint(const char* kind, const std::string& what, Site site) const {
    std::fprintf(stderr, "[emulated NPU] hint: kernel %s: %s: [%s] %s\n", kernel_.name,
                 place(site).c_str(), kind, what.c_str());
}

void Launch::hint_alignment(const Instruction& instruction, const void* address,
                            std::uint64_t bytes, bool writes) {
    if (instruction.pipe == Pipe::s || bytes < alignment ||
        reinterpret_cast<std::uintptr_t>(address) % alignment == 0 ||
        !is_first_hint(unaligned, instruction.site)) {
        return;
    }
    hint(unaligned,
         std::string(instruction.name) + (writes ? " writes" : " reads") +
             " global memory from an address that is not a multiple of 512 bytes, which takes a "
             "device longer; let each block and each tile begin at one",
         instruction.site);
}

void Core::hint_banks(const Instruction& instruction, std::uint32_t target,
                      std::uint32_t block_stride, const std::uint32_t* sources, int count) const {
    if (soc().arch != arch_with_these_banks) {
        return;
    }
    if (count == 2 && sources[0] != sources[1] && group_of(sources[0]) == group_of(sources[1]) &&
        launch->is_first_hint(same_bank, instruction.site)) {
        launch->hint(same_bank,
                     std::string(instruction.name) + " reads its operands at " +
                         in_hex(sources[0]) + " and " + in_hex(sources[1]) +
                         " of UB, which are in the same bank group, one " +
                         "after the other; move one of them by 256 bytes",
                     instruction.site);
    }
    for (int index = 0; index < count; ++index) {
        if (sources[index] != target && bank_of(sources[index]) == bank_of(target) &&
            launch->is_first_hint(same_bank, instruction.site)) {
            launch->hint(same_bank,
                         std::string(instruction.name) + " reads " + in_hex(sources[index]) +
                             " and writes " + in_hex(target) +
                             " of UB, which are in the same bank; move one of " +
                             "them by 256 bytes",
                         instruction.site);
        }
    }
    if (block_stride != 0 && block_stride % (groups / 2) == 0 &&
        launch->is_first_hint(same_bank, instruction.site)) {
        launch->hint(same_bank,
                     std::string(instruction.name) + " writes blocks that are " +
                         std::to_string(block_stride * row_bytes) +
                         " bytes apart, so that several of a repeat are in the same bank group; a "
                         "block stride that is not a multiple of 8 avoids it",
                     instruction.site);
    }
}

/// All queues with one buffer must have room for a second one.
void Core::hint_second_buffers() {
    std::array<std::uint64_t, space_count> wanted{};
    for (int space = 0; space < space_count; ++space) {
        wanted[space] = most_reserved_[space];
    }
    for (const SingleBuffer& queue : single_buffers_) {
        wanted[static_cast<int>(queue.space)] += queue.bytes;
    }
    for (const auto& [bytes, space, site] : single_buffers_) {
        const std::uint64_t total = wanted[static_cast<int>(space)];
        if (total > Core::bytes(space) || !launch->is_first_hint(one_buffer, site)) {
            continue;
        }
        launch->hint(one_buffer,
                     "InitBuffer of a queue that is used several times, with one buffer: moves "
                     "wait for the computation; two buffers of " +
                         std::to_string(bytes) + " bytes fit in " + name_of(space) +
                         ", which would hold " + std::to_string(total) + " of " +
                         std::to_string(Core::bytes(space)) + " bytes",
                     site);
    }
}

}  // namespace aicore
