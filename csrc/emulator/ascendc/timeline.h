// When the instructions of a core would begin and end, by the costs of costs.h: a model.
//
// Each pipe runs its instructions one after another. An instruction begins when its pipe is free,
// when scalar code has issued it, and when what its pipe waits for has ended. All times are cycles
// from the begin of the launch.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "ascendc/core.h"
#include "emulator/ascendc/costs.h"

namespace aicore {

/// An instruction in the timeline, or a wait for other cores.
struct TimelineEvent {
    const char* name;
    Site site;
    Pipe pipe;
    std::uint64_t begin;
    std::uint64_t end;
    std::uint64_t read;     // bytes
    std::uint64_t written;  // bytes
    std::uint64_t steps;    // repeats, or cycles of the cube unit
};

class CoreTimeline {
  public:
    explicit CoreTimeline(bool auto_sync) : auto_sync_(auto_sync) {}

    // What an instruction does. All calls with one Instruction are one event, unless there is
    // another between them.
    void access(const Instruction& instruction, Space space, std::uint32_t address,
                std::uint64_t bytes, bool writes);
    void access_global(const Instruction& instruction, const void* address, std::uint64_t bytes,
                       bool writes);
    void add_steps(const Instruction& instruction, std::uint64_t steps);

    /// When all instructions of a pipe have ended that it was given so far.
    std::uint64_t time(Pipe pipe);
    /// Let the next instruction of a pipe begin no earlier.
    void wait(Pipe pipe, std::uint64_t time);
    /// Let scalar code wait for another core, which the timeline shows.
    void stall(const char* name, Site site, std::uint64_t time);

    const std::vector<TimelineEvent>& events() const { return events_; }
    /// Events that the limit of the trace leaves out.
    std::uint64_t dropped() const { return dropped_; }

  private:
    /// Bytes of UB, in granules.
    struct Range {
        std::uint32_t first;
        std::uint32_t last;
        bool writes;
    };
    /// When the last accesses to a granule of UB by other pipes than S end.
    struct Granule {
        std::uint64_t read = 0;
        std::uint64_t written = 0;
    };

    void open(const Instruction& instruction);
    void close();
    void add(int place, std::uint64_t bytes, bool writes);
    void note_ub(std::uint32_t first, std::uint32_t last, bool writes);
    void record(const TimelineEvent& event);
    std::uint64_t& ready(Pipe pipe) { return ready_[static_cast<int>(pipe)]; }

    const bool auto_sync_;
    std::array<std::uint64_t, pipe_count> ready_{};
    bool is_open_ = false;
    std::uint32_t number_ = 0;  // of the last instruction
    Site site_{"", 0};
    std::uint64_t begin_ = 0;
    Work work_;
    std::uintptr_t global_end_ = 0;  // of the instruction's last access to global memory
    std::uintptr_t cache_line_ = 0;  // that scalar code accessed last
    std::vector<Range> ranges_;
    std::vector<Granule> granules_;
    std::vector<TimelineEvent> events_;
    std::uint64_t dropped_ = 0;
};

}  // namespace aicore
