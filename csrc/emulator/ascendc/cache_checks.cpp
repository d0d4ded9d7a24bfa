// Mistakes with the data caches of a launch's cores.
#include <algorithm>
#include <string>

#include "emulator/ascendc/launch.h"

namespace aicore {
namespace {

std::string at_line(const Instruction& instruction) {
    return std::string(instruction.name) + " at line " + std::to_string(instruction.site.line);
}

/// What a core does to global memory that a cache does not know of, or the other way round.
std::string text_of(CacheFinding::Kind kind, const std::string& name, const std::string& other,
                    const std::string& whose) {
    switch (kind) {
        case CacheFinding::Kind::unwritten:
            return name + " reads bytes of global memory that " + other +
                   " has written to the data cache of " + whose +
                   " only; DataCacheCleanAndInvalid must follow " + other;
        case CacheFinding::Kind::cleaned_late:
            return name + " reads bytes of global memory that " + other +
                   " has written to the data cache of " + whose +
                   "; DataCacheCleanAndInvalid must come before what orders the two, not after it";
        case CacheFinding::Kind::written_over:
            return name + " writes to a cache line of 64 bytes that " + other +
                   " has changed in the data cache of " + whose +
                   ", which writes back the whole line; DataCacheCleanAndInvalid must come between "
                   "them";
        case CacheFinding::Kind::stale:
            return name + " finds in the data cache what " + other + " of " + whose +
                   " has changed in global memory since; DataCacheCleanAndInvalid must come "
                   "between them";
    }
    return {};
}

}  // namespace

void Launch::check_caches(const Core& core, const Span& span) {
    const CachedAccess access{span.begin,       span.end,    span.core,  span.tick,
                              span.instruction, span.writes, span.cached};
    const auto knows = [this](std::uint32_t one, std::uint32_t other, std::uint32_t tick) {
        return one == other || fibers_[one]->clock[other] >= tick;
    };
    for (const CacheFinding& finding : caches_.touch(access, knows)) {
        const std::string whose =
            finding.core == span.core
                ? "this core"
                : "block " + std::to_string(fibers_[finding.core]->core->block);
        const Instruction& at = instruction(span.instruction);
        report(core, "cache",
               text_of(finding.kind, at.name, at_line(instruction(finding.other)), whose), at.site);
    }
}

void Launch::clean_cache(const Core& core, const void* address) {
    if (!checks) {
        return;
    }
    const std::uint32_t tick = fibers_[core.index]->clock[core.index];
    if (address == nullptr) {
        caches_.clean_all(core.index, tick);
    } else {
        caches_.clean(core.index, reinterpret_cast<std::uintptr_t>(bytes_of(address)), tick);
    }
}

/// Find cache lines that a core writes by scalar code while another one writes to them.
void Launch::check_lines() {
    struct Lines {
        std::uintptr_t begin;
        std::uintptr_t end;
        const Span* span;
    };
    std::vector<Lines> writes;
    bool cached = false;
    for (const Span& span : spans_) {
        if (span.writes) {
            const std::uintptr_t line = span.cached ? cache_line_bytes : 1;
            writes.push_back(
                {span.begin / line * line, (span.end + line - 1) / line * line, &span});
            cached = cached || span.cached;
        }
    }
    if (!cached) {
        return;
    }
    std::sort(writes.begin(), writes.end(),
              [](const Lines& first, const Lines& second) { return first.begin < second.begin; });
    std::vector<const Lines*> open;  // that may reach into the next ones
    for (const Lines& lines : writes) {
        open.erase(std::remove_if(open.begin(), open.end(),
                                  [&](const Lines* other) { return other->end <= lines.begin; }),
                   open.end());
        for (const Lines* other : open) {
            check_line(*other->span, *lines.span);
        }
        open.push_back(&lines);
    }
}

void Launch::check_line(const Span& first, const Span& second) {
    const bool meets = first.begin < second.end && second.begin < first.end;  // check_spans
    if (first.core == second.core || (!first.cached && !second.cached) || meets ||
        are_ordered(first, second)) {
        return;
    }
    const Span& scalar = first.cached ? first : second;
    const Span& other = first.cached ? second : first;
    const Instruction& at = instruction(scalar.instruction);
    report(*fibers_[scalar.core]->core, "cache",
           std::string(at.name) + " changes a cache line of 64 bytes to which block " +
               std::to_string(fibers_[other.core]->core->block) + " writes with " +
               at_line(instruction(other.instruction)) +
               ", and the data cache writes back whole lines; each block must have cache lines of "
               "its own",
           at.site);
}

}  // namespace aicore
