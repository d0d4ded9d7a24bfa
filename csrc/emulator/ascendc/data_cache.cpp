#include "emulator/ascendc/data_cache.h"

#include <algorithm>

namespace aicore {
namespace {

/// The bytes of a line that an access touches.
std::uint64_t bytes_in_line(const CachedAccess& access, std::uintptr_t line) {
    const std::uintptr_t first = std::max(access.begin, line) - line;
    const std::uintptr_t last = std::min(access.end, line + cache_line_bytes) - line;
    const std::uint64_t upto_last = last == cache_line_bytes ? ~0ULL : (1ULL << last) - 1;
    return upto_last & ~((1ULL << first) - 1);
}

std::uintptr_t line_of(std::uintptr_t address) {
    return address / cache_line_bytes * cache_line_bytes;
}

}  // namespace

DataCaches::Copy& DataCaches::copy_of(Line& line, std::uint32_t core) {
    for (Copy& copy : line) {
        if (copy.core == core) {
            return copy;
        }
    }
    line.emplace_back();
    line.back().core = core;
    return line.back();
}

/// Scalar code accesses the line in the cache of its core, which takes it first if it must.
void DataCaches::touch_own(Copy& copy, const CachedAccess& access, std::uint64_t bytes,
                           const Knows& knows, std::vector<CacheFinding>& findings) {
    if (!copy.held) {
        copy.held = true;
        copy.stale = 0;
    }
    if (!access.writes) {
        if ((copy.stale & bytes) != 0 && knows(access.core, copy.changed_core, copy.changed_tick)) {
            findings.push_back({CacheFinding::Kind::stale, copy.changed_by, copy.changed_core});
            copy.stale = 0;  // one report is enough
        }
        return;
    }
    copy.written = copy.cleaned ? bytes : copy.written | bytes;
    copy.cleaned = false;
    copy.stale &= ~bytes;
    copy.writer = access.instruction;
    copy.tick = access.tick;
}

/// An access to bytes of a line that is, or was, in the cache of another core, or that goes past
/// the cache of its own.
void DataCaches::meet(Copy& copy, const CachedAccess& access, std::uint64_t bytes,
                      const Knows& knows, std::vector<CacheFinding>& findings) {
    const bool is_ordered = copy.core == access.core || knows(access.core, copy.core, copy.tick);
    if (copy.written != 0 && is_ordered) {
        if (!copy.cleaned && access.writes) {
            findings.push_back({CacheFinding::Kind::written_over, copy.writer, copy.core});
            copy.written = 0;  // one report is enough
        } else if (!copy.cleaned && (copy.written & bytes) != 0) {
            findings.push_back({CacheFinding::Kind::unwritten, copy.writer, copy.core});
            copy.written = 0;
        } else if (copy.cleaned && (copy.written & bytes) != 0 && copy.core != access.core &&
                   !knows(access.core, copy.core, copy.clean_tick)) {
            findings.push_back({CacheFinding::Kind::cleaned_late, copy.writer, copy.core});
            copy.written = 0;
        }
    }
    if (access.writes && copy.held) {
        copy.stale |= bytes;
        copy.changed_by = access.instruction;
        copy.changed_core = access.core;
        copy.changed_tick = access.tick;
    }
}

std::vector<CacheFinding> DataCaches::touch(const CachedAccess& access, const Knows& knows) {
    std::vector<CacheFinding> findings;
    if (access.cached) {
        for (std::uintptr_t line = line_of(access.begin); line < access.end;
             line += cache_line_bytes) {
            copy_of(lines_[line], access.core);
        }
    }
    for (auto found = lines_.lower_bound(line_of(access.begin));
         found != lines_.end() && found->first < access.end; ++found) {
        const std::uint64_t bytes = bytes_in_line(access, found->first);
        for (Copy& copy : found->second) {
            if (access.cached && copy.core == access.core) {
                touch_own(copy, access, bytes, knows, findings);
            } else {
                meet(copy, access, bytes, knows, findings);
            }
        }
    }
    return findings;
}

void DataCaches::clean(std::uint32_t core, std::uintptr_t address, std::uint32_t tick) {
    const auto found = lines_.find(line_of(address));
    if (found == lines_.end()) {
        return;
    }
    for (Copy& copy : found->second) {
        if (copy.core == core) {
            if (!copy.cleaned) {
                copy.clean_tick = tick;
            }
            copy.cleaned = true;
            copy.held = false;
        }
    }
}

void DataCaches::clean_all(std::uint32_t core, std::uint32_t tick) {
    for (const auto& [address, line] : lines_) {
        clean(core, address, tick);
    }
}

}  // namespace aicore
