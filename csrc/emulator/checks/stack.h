// Call stacks, kept cheaply and turned into text only for a report.
#pragma once

#include <array>
#include <string>

namespace ascend_emulator {

class Stack {
  public:
    /// The callers of this function.
    static Stack here();

    /// A line a frame, library, function and offset; without the emulator's own innermost ones.
    std::string text() const;

    /// Whether the innermost callers outside of the emulator are torch_npu's.
    bool is_of_torch_npu() const;

  private:
    std::array<void*, 16> frames_ = {};
    int count_ = 0;
};

/// Whether the code at an address is torch_npu's own. It keeps a few streams, events and blocks
/// until the process ends, which are no leaks of the program's.
bool is_torch_npu(const void* code);

}  // namespace ascend_emulator
