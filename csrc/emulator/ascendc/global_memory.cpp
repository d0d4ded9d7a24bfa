// Accesses of a launch to global memory: whether they stay inside live memory, and whether two
// cores meet in the same bytes.
#include <algorithm>
#include <cstring>

#include "ascendc/types.h"
#include "emulator/ascendc/launch.h"
#include "emulator/ascendc/shadow.h"
#include "emulator/ascendc/timeline.h"
#include "emulator/interface/services.h"

namespace aicore {
namespace {

template <class Value>
void combine(void* bytes, const void* values, std::uint64_t count, Atomic atomic) {
    auto* const to = static_cast<Value*>(bytes);
    const auto* const from = static_cast<const Value*>(values);
    for (std::uint64_t index = 0; index < count; ++index) {
        to[index] = atomic == Atomic::add   ? static_cast<Value>(to[index] + from[index])
                    : atomic == Atomic::max ? std::max(to[index], from[index])
                                            : std::min(to[index], from[index]);
    }
}

std::uint64_t size_of(Element element) {
    return element == Element::f32 || element == Element::i32 ? 4 : element == Element::i8 ? 1 : 2;
}

}  // namespace

void Core::store_global(void* to, const void* values, std::uint64_t bytes, Element element) const {
    const std::uint64_t elements = bytes / size_of(element);
    if (atomic == Atomic::none || element == Element::other) {
        __builtin_memcpy(to, values, bytes);
    } else if (element == Element::f32) {
        combine<float>(to, values, elements, atomic);
    } else if (element == Element::f16) {
        combine<half>(to, values, elements, atomic);
    } else if (element == Element::bf16) {
        combine<bfloat16_t>(to, values, elements, atomic);
    } else if (element == Element::i32) {
        combine<std::int32_t>(to, values, elements, atomic);
    } else if (element == Element::i16) {
        combine<std::int16_t>(to, values, elements, atomic);
    } else {
        combine<std::int8_t>(to, values, elements, atomic);
    }
}

const LiveRange* Launch::find_live(const void* host) {
    const auto address = reinterpret_cast<std::uintptr_t>(host);
    for (std::size_t index = live_.size(); index-- > 0;) {
        if (address - live_[index].begin < live_[index].end - live_[index].begin) {
            return &live_[index];
        }
    }
    const auto range = ascend_emulator::services().live_range(host);
    if (range.bytes == 0) {
        return nullptr;
    }
    const auto begin = reinterpret_cast<std::uintptr_t>(range.begin);
    live_.push_back({begin, begin + range.bytes});
    return &live_.back();
}

void* Launch::global(Core& core, const Instruction& instruction, const void* address,
                     std::uint64_t bytes, bool writes, const void* values) {
    void* const host = bytes_of(address);
    if (bytes == 0) {
        return host;
    }
    const auto begin = reinterpret_cast<std::uintptr_t>(host);
    const LiveRange* const live = find_live(host);
    if (live == nullptr || bytes > live->end - begin) {
        const std::string what = std::string(instruction.name) + (writes ? " writes " : " reads ") +
                                 std::to_string(bytes) + " bytes of global memory, of which " +
                                 (live == nullptr ? "none is allocated"
                                                  : std::to_string(bytes - (live->end - begin)) +
                                                        " lie behind the end of the allocation");
        core.end("bounds", what, instruction.site);
    }
    check_time(core, instruction);
    if (core.timeline != nullptr) {
        core.timeline->access_global(instruction, host, bytes, writes);
    }
    if (core.hints) {
        hint_alignment(instruction, address, bytes, writes);
    }
    if (!checks) {
        return host;
    }
    const Fiber& fiber = *fibers_[core.index];
    const bool atomic = writes && core.atomic != Atomic::none;
    const Span span{begin,
                    begin + bytes,
                    core.index,
                    fiber.clock[core.index],
                    static_cast<std::uint32_t>(fiber.known.size() - 1),
                    remember(instruction),
                    writes,
                    atomic,
                    instruction.pipe == Pipe::s && !instruction.bypasses_cache,
                    values != nullptr && !atomic && std::memcmp(host, values, bytes) == 0,
                    static_cast<std::uint32_t>(spans_.size())};
    add_span(span);
    check_caches(core, span);
    return host;
}

/// Lengthen the instruction's last span, as a loop over tiles does, keep it if the instruction
/// accesses the same bytes again, as a loop that waits does, or begin a new one.
void Launch::add_span(const Span& span) {
    if (last_spans_.size() < instructions_.size()) {
        last_spans_.resize(instructions_.size(), none);
    }
    std::uint32_t& index = last_spans_[span.instruction];
    if (index != none) {
        Span& last = spans_[index];
        const bool again = last.begin <= span.begin && span.end <= last.end;
        if ((again || last.end == span.begin) && last.core == span.core && last.tick == span.tick &&
            last.known == span.known && last.writes == span.writes && last.atomic == span.atomic &&
            last.cached == span.cached && last.unchanged == span.unchanged) {
            last.end = std::max(last.end, span.end);
            return;
        }
    }
    index = static_cast<std::uint32_t>(spans_.size());
    spans_.push_back(span);
}

/// Whether everything that one stands for had ended before the other began.
bool Launch::are_ordered(const Span& first, const Span& second) const {
    const auto is_before = [this](const Span& early, const Span& late) {
        return fibers_[late.core]->known[late.known][early.core] >= early.tick;
    };
    return is_before(first, second) || is_before(second, first);
}

/// Whether the cube core of a block wrote the same for both vector cores. It does one after the
/// other, so the bytes are right whichever was first: mixed samples of CANN rely on it.
bool Launch::wrote_the_same(const Span& first, const Span& second) const {
    const Span& later = first.number < second.number ? second : first;
    const auto by_cube_core = [this](const Span& span) {
        return span.writes && instruction(span.instruction).pipe == Pipe::fix;
    };
    return later.unchanged && by_cube_core(first) && by_cube_core(second) &&
           fibers_[first.core]->core->block == fibers_[second.core]->core->block;
}

void Launch::check_spans() {
    std::sort(spans_.begin(), spans_.end(),
              [](const Span& first, const Span& second) { return first.begin < second.begin; });
    std::vector<const Span*> open;  // that may reach into the next ones
    for (const Span& span : spans_) {
        open.erase(std::remove_if(open.begin(), open.end(),
                                  [&](const Span* other) { return other->end <= span.begin; }),
                   open.end());
        for (const Span* other : open) {
            if (other->core == span.core || (!other->writes && !span.writes) ||
                (other->atomic && span.atomic) || are_ordered(*other, span) ||
                wrote_the_same(*other, span)) {
                continue;
            }
            const Span& writer = span.writes ? span : *other;
            const Span& second = span.writes ? *other : span;
            const Instruction& at = instruction(second.instruction);
            report(*fibers_[writer.core]->core, "global",
                   std::string(instruction(writer.instruction).name) +
                       " writes bytes of global memory that block " +
                       std::to_string(fibers_[second.core]->core->block) +
                       (second.writes ? " writes" : " reads") + " with " + at.name + " at line " +
                       std::to_string(at.site.line) +
                       ", and nothing orders the two; SyncAll or a cross-core flag must come "
                       "between them, or each block must have bytes of its own",
                   instruction(writer.instruction).site);
        }
        const bool repeats = !open.empty() && open.back()->core == span.core &&
                             open.back()->end >= span.end && open.back()->writes == span.writes &&
                             open.back()->tick == span.tick && open.back()->atomic == span.atomic &&
                             open.back()->unchanged == span.unchanged;
        if (!repeats) {
            open.push_back(&span);
        }
    }
}

}  // namespace aicore
