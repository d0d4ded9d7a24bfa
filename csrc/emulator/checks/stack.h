// Call stacks, which are cheap to record and are turned into text only for a report.
#pragma once

#include <array>
#include <string>

namespace ascend_emulator {

class Stack {
  public:
    /// The callers of this function.
    static Stack here();

    /// One line per frame, without here(): library, function and offset.
    std::string text() const;

    /// Whether one of the innermost frames is torch_npu's.
    bool is_of_torch_npu() const;

  private:
    std::array<void*, 16> frames_ = {};
    int count_ = 0;
};

/// Whether the code at an address is torch_npu's. It keeps a few streams, events and blocks until
/// the process ends, which are not leaks of the program.
bool is_torch_npu(const void* code);

}  // namespace ascend_emulator
