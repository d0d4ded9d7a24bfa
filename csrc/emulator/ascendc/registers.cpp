// What loads and stores of registers on Ascend 950 do with UB. A load may take bytes that the
// kernel does not use, so what is wrong with them is kept with the register until a mask selects
// them.
#include <algorithm>
#include <cstring>

#include "ascendc/core.h"
#include "emulator/ascendc/launch.h"
#include "emulator/ascendc/shadow.h"
#include "emulator/ascendc/soc.h"
#include "emulator/ascendc/timeline.h"

namespace aicore {
namespace {

std::string place_of_flaw(const Instruction& load) {
    return std::string(load.name) + " at line " + std::to_string(load.site.line);
}

}  // namespace

void Core::begin_registers() {
    // Ascend 950 begins with the mode of infinities and NaN (bit 48), for all instructions (bit
    // 60).
    control = soc().arch == arch_of_ascend950 ? 1ULL << 60 | 1ULL << 48 : 0;
    squeezed = nothing_squeezed;
    squeezed_before = 0;
    flaws_.clear();
    vector_functions_ = 0;
    unordered_stores_.clear();
}

void Core::begin_vector_function() {
    ++vector_functions_;
    order_vector_function();
}

void Core::end_vector_function() {
    --vector_functions_;
    order_vector_function();
}

void Core::order_vector_function() { unordered_stores_.clear(); }

std::uint32_t Core::register_operand(const Instruction& instruction, const void* pointer,
                                     std::uint32_t count, std::uint32_t alignment, bool writes) {
    const auto offset = static_cast<const std::uint8_t*>(pointer) - memory_;
    if (offset < 0 || offset + std::ptrdiff_t{count} > std::ptrdiff_t{bytes(Space::ub)}) {
        end("bounds",
            std::string(instruction.name) + (writes ? " writes " : " reads ") +
                std::to_string(count) + " bytes from offset " + std::to_string(offset) +
                " on, and UB has " + std::to_string(bytes(Space::ub)),
            instruction.site);
    }
    if (offset % alignment != 0) {
        report("alignment",
               std::string(instruction.name) + ": the address must be a multiple of " +
                   std::to_string(alignment) + " bytes, got offset " + std::to_string(offset),
               instruction.site);
    }
    return static_cast<std::uint32_t>(offset);
}

std::uint16_t Core::flaw_of(const Flaw& flaw) {
    const auto same = std::find_if(flaws_.begin(), flaws_.end(), [&](const Flaw& other) {
        return other.kind == flaw.kind && other.load == flaw.load && other.other == flaw.other;
    });
    // The numbers 0 and 1 stand for no flaw, and for a register without a value.
    constexpr std::size_t first = 2;
    if (same != flaws_.end()) {
        return static_cast<std::uint16_t>(same - flaws_.begin() + first);
    }
    flaws_.push_back(flaw);
    return static_cast<std::uint16_t>(flaws_.size() - 1 + first);
}

/// What is wrong with a granule that a load reads, or 0. The load counts as a read of it if not.
std::uint16_t Core::load_granule(std::uint32_t index, const Access& access, const void* to) {
    Shadow& shadow = shadow_[index];
    if (shadow.run != run_ || !shadow.written) {
        return flaw_of({Flaw::Kind::unwritten, access.site, 0});
    }
    if (shadow.write_number != 0 && !is_ordered(Pipe::v, shadow.write_pipe, shadow.write_number)) {
        return flaw_of({Flaw::Kind::unordered, access.site, shadow.write_site});
    }
    const auto store = unordered_stores_.find(index);
    if (store != unordered_stores_.end() && store->second.from != to) {
        return flaw_of({Flaw::Kind::no_barrier, access.site, store->second.site});
    }
    shadow.read_number[access.pipe] = access.number;
    shadow.read_site[access.pipe] = access.site;
    return 0;
}

void Core::load_register(const Instruction& instruction, const void* from, std::uint32_t count,
                         std::uint32_t alignment, std::uint8_t* values, std::uint16_t* flaws,
                         const void* to) {
    const std::uint32_t address = register_operand(instruction, from, count, alignment, false);
    std::memcpy(values, memory_ + address, count);
    std::fill_n(flaws, count, std::uint16_t{0});
    if (timeline != nullptr) {
        timeline->access(instruction, Space::ub, address, count, false);
    }
    if (!launch->checks) {
        return;
    }
    const int pipe = static_cast<int>(instruction.pipe);
    const Access access{static_cast<std::uint8_t>(pipe), ++issued_.ended[pipe],
                        launch->remember(instruction), false};
    for (std::uint32_t begin = address; begin < address + count;) {
        const std::uint32_t end = std::min((begin / granule + 1) * granule, address + count);
        const std::uint16_t flaw = load_granule(begin / granule, access, to);
        std::fill(flaws + (begin - address), flaws + (end - address), flaw);
        begin = end;
    }
}

void Core::store_register(const Instruction& instruction, void* to, std::uint32_t count,
                          std::uint32_t alignment, const std::uint8_t* values, const bool* on,
                          const void* from) {
    std::uint32_t used = count;
    while (used != 0 && !on[used - 1]) {
        --used;
    }
    const std::uint32_t address = register_operand(instruction, to, used, alignment, true);
    for (std::uint32_t begin = 0; begin < count;) {
        if (!on[begin]) {
            ++begin;
            continue;
        }
        const bool* const stop = std::find(on + begin, on + count, false);
        const auto end = static_cast<std::uint32_t>(stop - on);
        access(instruction, address + begin, end - begin, true, nullptr, 0);
        std::memcpy(memory_ + address + begin, values + begin, end - begin);
        if (launch->checks && vector_functions_ != 0) {
            const std::uint32_t site = launch->remember(instruction);
            for (std::uint32_t index = (address + begin) / granule;
                 index <= (address + end - 1) / granule; ++index) {
                unordered_stores_[index] = {from, site};
            }
        }
        begin = end;
    }
}

void Core::report_flaw(const Instruction& instruction, std::uint16_t number) {
    if (number < 2) {
        report("uninitialised",
               std::string(instruction.name) + " uses elements of a register that have no value",
               instruction.site);
        return;
    }
    const Flaw& flaw = flaws_[number - 2];
    const Instruction& load = launch->instruction(flaw.load);
    const std::string uses = std::string(instruction.name) + " uses what " + place_of_flaw(load) +
                             " loaded from bytes of UB";
    if (flaw.kind == Flaw::Kind::unwritten) {
        report("uninitialised", uses + " that nothing has written; the mask must not select them",
               instruction.site);
        return;
    }
    const Instruction& other = launch->instruction(flaw.other);
    const std::string by = " that " + place_of_flaw(other) + " writes, ";
    if (flaw.kind == Flaw::Kind::no_barrier) {
        report("hazard",
               uses + by +
                   "in the same vector function; LocalMemBar<MemType::VEC_STORE, "
                   "MemType::VEC_LOAD>() must come between them",
               instruction.site);
        return;
    }
    const std::string pipe = name_of(other.pipe);
    report("hazard",
           uses + by + "on PIPE_" + pipe + ", without an order; SetFlag and WaitFlag<HardEvent::" +
               pipe + "_V>, or a queue, must come between them",
           instruction.site);
}

}  // namespace aicore
