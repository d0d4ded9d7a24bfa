// The timelines of a launch's cores in the file of ASCEND_EMULATOR_KERNEL_TRACE.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "emulator/ascendc/timeline.h"

namespace aicore {

/// Count an event of the file; false if it has as many as its limit.
bool take_event();

class KernelTrace {
  public:
    /// The trace of a launch, or null if none is wanted.
    static std::unique_ptr<KernelTrace> begin(const char* kernel, std::uint32_t blocks,
                                              bool auto_sync);

    /// Add a core. Its timeline lives as long as this object.
    CoreTimeline* add(const Core& core);
    /// Write the timelines behind those of the launches that were written before.
    void write();

  private:
    struct Part {
        std::string core;  // which one it is
        CoreTimeline timeline;
    };

    KernelTrace(const char* kernel, std::uint32_t blocks, bool auto_sync);
    std::string summary(int process, std::uint64_t cycles) const;
    bool write_part(Part& part, std::string text) const;

    const std::string kernel_;
    const std::uint32_t blocks_;
    const bool auto_sync_;
    const int number_;  // of the launch
    std::deque<Part> parts_;
};

}  // namespace aicore
