#include "emulator/ascendc/timeline.h"

#include <algorithm>

#include "emulator/ascendc/data_cache.h"
#include "emulator/ascendc/kernel_trace.h"
#include "emulator/ascendc/shadow.h"

namespace aicore {
namespace {

constexpr std::uint64_t global_block = 32;  // bytes that global memory moves at least

/// Whether --cce-auto-sync lets scalar code wait for the pipe.
bool is_waited_for(Pipe pipe) {
    return pipe == Pipe::v || pipe == Pipe::mte2 || pipe == Pipe::mte3;
}

}  // namespace

void CoreTimeline::open(const Instruction& instruction) {
    if (is_open_ && instruction.number == number_) {
        return;
    }
    close();
    is_open_ = true;
    instruction.number = ++number_;
    site_ = instruction.site;
    work_ = {};
    work_.name = instruction.name;
    work_.pipe = instruction.pipe;
    global_end_ = 0;
    if (instruction.pipe != Pipe::s) {
        ready(Pipe::s) += issue_cycles();
    }
    begin_ = std::max(ready(instruction.pipe), ready(Pipe::s));
}

void CoreTimeline::close() {
    if (!is_open_) {
        return;
    }
    is_open_ = false;
    const std::uint64_t end = begin_ + cycles_of(work_);
    ready(work_.pipe) = end;
    for (const Range& range : ranges_) {
        for (std::uint32_t index = range.first; index <= range.last; ++index) {
            Granule& one = granules_[index];
            std::uint64_t& last = range.writes ? one.written : one.read;
            last = std::max(last, end);
        }
    }
    ranges_.clear();
    TimelineEvent event{work_.name, site_, work_.pipe, begin_, end, 0, 0, work_.steps};
    for (int place = 0; place < place_count; ++place) {
        event.read += work_.read[place];
        event.written += work_.written[place];
    }
    record(event);
}

void CoreTimeline::record(const TimelineEvent& event) {
    if (take_event()) {
        events_.push_back(event);
    } else {
        ++dropped_;
    }
}

void CoreTimeline::add(int place, std::uint64_t bytes, bool writes) {
    (writes ? work_.written : work_.read)[place] += bytes;
}

void CoreTimeline::note_ub(std::uint32_t first, std::uint32_t last, bool writes) {
    if (granules_.empty()) {
        granules_.resize(Core::bytes(Space::ub) / granule + 1);
    }
    if (is_waited_for(work_.pipe)) {
        if (!ranges_.empty() && ranges_.back().writes == writes &&
            ranges_.back().last + 1 >= first && ranges_.back().first <= first) {
            ranges_.back().last = std::max(ranges_.back().last, last);
        } else {
            ranges_.push_back({first, last, writes});
        }
    }
    if (work_.pipe != Pipe::s || !auto_sync_) {
        return;
    }
    for (std::uint32_t index = first; index <= last; ++index) {
        const Granule& one = granules_[index];
        begin_ = std::max({begin_, one.written, writes ? one.read : 0});
    }
}

void CoreTimeline::access(const Instruction& instruction, Space space, std::uint32_t address,
                          std::uint64_t bytes, bool writes) {
    open(instruction);
    add(static_cast<int>(space), bytes, writes);
    work_.largest = std::max(work_.largest, bytes);
    ++work_.accesses;
    if (space == Space::ub) {
        note_ub(address / granule, static_cast<std::uint32_t>((address + bytes - 1) / granule),
                writes);
    }
}

void CoreTimeline::access_global(const Instruction& instruction, const void* address,
                                 std::uint64_t bytes, bool writes) {
    open(instruction);
    add(global_place, bytes, writes);
    const auto begin = reinterpret_cast<std::uintptr_t>(address);
    if (begin != global_end_) {
        work_.padding += (global_block - bytes % global_block) % global_block;
    }
    global_end_ = begin + bytes;
    if (instruction.pipe == Pipe::s && !instruction.bypasses_cache) {
        work_.reuses_cache_line = begin / cache_line_bytes == cache_line_;
        cache_line_ = begin / cache_line_bytes;
    }
}

void CoreTimeline::add_steps(const Instruction& instruction, std::uint64_t steps) {
    open(instruction);
    work_.steps += steps;
}

std::uint64_t CoreTimeline::time(Pipe pipe) {
    close();
    return pipe == Pipe::all ? *std::max_element(ready_.begin(), ready_.end()) : ready(pipe);
}

void CoreTimeline::wait(Pipe pipe, std::uint64_t time) {
    close();
    if (pipe != Pipe::all) {
        ready(pipe) = std::max(ready(pipe), time);
        return;
    }
    for (std::uint64_t& one : ready_) {
        one = std::max(one, time);
    }
}

void CoreTimeline::stall(const char* name, Site site, std::uint64_t time) {
    const std::uint64_t now = this->time(Pipe::s);
    if (now < time) {
        ready(Pipe::s) = time;
        record({name, site, Pipe::s, now, time, 0, 0, 0});
    }
}

// What the headers and the launch call.

void Core::note_steps(const Instruction& instruction, std::uint64_t steps) {
    timeline->add_steps(instruction, steps);
}

void Core::note_product(const Instruction& instruction, std::uint64_t m, std::uint64_t n,
                        std::uint64_t k, std::uint64_t bytes) {
    timeline->add_steps(instruction, cube_cycles(m, n, k, bytes));
}

void Core::follow(Pipe pipe, Pipe before) {
    if (timeline != nullptr) {
        timeline->wait(pipe, timeline->time(before));
    }
}

std::uint64_t Core::time(Pipe pipe) const { return timeline == nullptr ? 0 : timeline->time(pipe); }

void Core::stall(const char* name, Site site, std::uint64_t time) {
    if (timeline != nullptr) {
        timeline->stall(name, site, time);
    }
}

}  // namespace aicore
